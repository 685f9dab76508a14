"""The action *Test*: finds out whether a connection works, and if it does not, which field to check."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

from airflow_provider_oauth.exceptions import (
    InvalidGrant,
    TokenRequestError,
    UnauthorizedClient,
    UnrecognizedRefusal,
    UnsupportedGrantType,
)
from airflow_provider_oauth.management.api_check import ApiCheck, check_api
from airflow_provider_oauth.management.messages import not_granted, remarks
from airflow_provider_oauth.protocol.advice import client_fields, joined
from airflow_provider_oauth.protocol.redaction import redact
from airflow_provider_oauth.protocol.token import missing_scopes
from airflow_provider_oauth.protocol.token_requests import TOKEN
from airflow_provider_oauth.runtime.token_sources import token_endpoint
from airflow_provider_oauth.tokens.grant_state import OTHER_SETTINGS

if TYPE_CHECKING:
    from airflow_provider_oauth.management.status import ConnectionStatus
    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token import Token

NOT_AUTHORIZED = "No user has authorized the connection, or its tokens were forgotten."
CHANGED = f"The stored tokens cannot be used, because they {OTHER_SETTINGS}."
NOT_RENEWABLE = "No usable refresh token is stored. Obtain a new one and enter it in the field Refresh token."
NOT_TESTED = "The refresh token was not tested, because the server may accept it only once."
RENEW_TO_TEST = "To test the client and the refresh token, click Renew now or run airflow oauth renew."
NOT_LOOKED_UP = "This test does not show whether a user has authorized the connection. See Admin → OAuth connections."


RENEW_REFUSED = "The next task renews the token. To test a new one, click Renew now or run airflow oauth renew."
#: The results of tests: the first one in this order decides.
CERTAINTY = (False, None, True)


class GrantCheck(NamedTuple):
    """The result of a test.

    :param works: whether the connection works; None if the server's response does not show it
    :param text: what the test shows, without a secret
    :param needs_authorization: whether a user must authorize the connection next
    """

    works: bool | None
    text: str
    needs_authorization: bool = False


def check_grant(config: OAuthConfig, status: ConnectionStatus | None = None) -> GrantCheck:
    """Test the connection's grant at the token endpoint. This stores nothing and uses no refresh token.

    If the vendor has a test request, the token is also tested at the API: the new one, or the stored one.

    :param config: the settings of the connection
    :param status: the status of the stored grant; None if unknown, because Airflow tests connections under a random ID
    :raises OAuthError: if the server refuses the client, does not respond, or sends an invalid response
    """
    # The endpoints are discovered first, so that the result names the server that receives the request.
    config = token_endpoint(config).with_discovered_endpoints(
        "refresh_url" if _has_refresh_url(config) else "token_url"
    )
    if not config.requires_refresh_token:
        token = token_endpoint(config).grant(retry=False)
        api = check_api(config, token)
        return GrantCheck(api.works, _joined([_describe(config, token), api.text, *remarks(config)]))
    works, text, _ = _test_refresh(config, status)
    if works is False:
        return GrantCheck(False, _joined([text, *remarks(config)]))
    works, stored, needs_authorization = _stored_grant(config, works, status)
    api = _stored_token(config, status)
    works = min((works, api.works), key=CERTAINTY.index)
    return GrantCheck(works, _joined([text, api.text, *remarks(config), stored]), needs_authorization)


def _joined(sentences: list[str]) -> str:
    return " ".join(filter(None, sentences))


def _test_refresh(config: OAuthConfig, status: ConnectionStatus | None) -> GrantCheck:
    """Send a made-up refresh token. The refusal usually shows whether the server accepts the client."""
    server, fields = f"The {_server(config)}", _fields(config)
    try:
        token_endpoint(config).refresh(f"made-up-{uuid4().hex}", retry=False)
    except InvalidGrant as error:
        code = error.error or "invalid_grant"
        return GrantCheck(
            True,
            f"{server} accepted the client. As expected, it refused only the made-up refresh token ({code}). "
            f"{fields} are correct.",
        )
    except UnrecognizedRefusal as error:
        return GrantCheck(
            None,
            f"{server} refused a made-up refresh token{_quoted(error)}. This response does not show whether it "
            f"rejected the client or the token, so {fields} may be wrong.",
        )
    except (UnsupportedGrantType, UnauthorizedClient) as error:
        # Servers whose tokens never expire need not support refresh tokens.
        if config.grant_type != "authorization_code" or (status and status.has_refresh_token):
            raise
        return GrantCheck(
            None,
            f"{server} does not allow this client to use refresh tokens{_quoted(error)}, so this test does not show "
            f"whether {fields} are correct. The connection works only if the server's tokens never expire.",
        )
    return GrantCheck(
        False,
        f"{server} issued a token for a made-up refresh token, so it does not check refresh tokens. Check "
        f"{_url_label(config)}: it may be the URL of a mock server.",
    )


def _stored_grant(config: OAuthConfig, works: bool | None, status: ConnectionStatus | None) -> GrantCheck:
    """Return the result of the test, with what is known about the stored grant.

    :param works: whether the server accepts the client
    """
    if status is None:
        return GrantCheck(works, NOT_TESTED if config.refresh_token else NOT_LOOKED_UP)
    refusal = status.error.removeprefix(f"Connection {config.conn_id!r}: ")
    if refusal and (status.needs_consent or status.locked):
        return GrantCheck(False, refusal)
    if status.needs_consent and config.grant_type == "authorization_code":
        return GrantCheck(works, CHANGED if status.changed else NOT_AUTHORIZED, needs_authorization=True)
    if status.needs_consent:
        return GrantCheck(False, NOT_RENEWABLE)
    texts = [NOT_TESTED] if status.has_refresh_token else []
    if works is None and status.has_refresh_token:
        texts.append(refusal or RENEW_TO_TEST)
    return GrantCheck(works, " ".join([*texts, not_granted(status.missing_scopes)]).strip())


def _stored_token(config: OAuthConfig, status: ConnectionStatus | None) -> ApiCheck:
    """Test the stored access token at the API, if it can still be sent."""
    if status is None or status.token is None or not status.usable:
        return ApiCheck(True, "")
    result = check_api(config, status.token)
    if result.is_refused and status.has_refresh_token:
        # The next task renews it, so the connection can still work.
        return ApiCheck(None, f"{result.text} {RENEW_REFUSED}")
    return result


def _quoted(error: TokenRequestError) -> str:
    """Return the response's status and error code, in parentheses."""
    return f" (status {error.status_code}{f', {error.error}' if error.error else ''})"


def _has_refresh_url(config: OAuthConfig) -> bool:
    """Return whether tokens are renewed at a Refresh URL instead of the Token URL."""
    return config.requires_refresh_token and config.refresh_url is not None


def _server(config: OAuthConfig) -> str:
    """Return the token endpoint with its host, which shows users whether they test a sandbox or production."""
    host = urlsplit((config.refresh_url if _has_refresh_url(config) else None) or config.server).netloc
    name = TOKEN.name_in(config)
    return f"{name} ({host})" if config.vendor_label else f"{name} at {host}"


def _url_label(config: OAuthConfig) -> str:
    return "Refresh URL" if _has_refresh_url(config) else "Token URL"


def _fields(config: OAuthConfig) -> str:
    """Return the labels of the fields that have a value and that a refresh request depends on."""
    return joined(
        [_url_label(config), *(each for each in client_fields(config) if each != "Client ID" or config.client_id)]
    )


def _describe(config: OAuthConfig, token: Token) -> str:
    seconds = None if token.lifetime is None else round(token.lifetime.total_seconds())
    validity = "never expires" if seconds is None else f"is valid for {seconds} s"
    requested = config.scope or "the server's default"
    # A token response without scope means that the requested scope was granted (RFC 6749 section 5.1).
    granted = token.scope if token.scope is not None else "as requested"
    granted = redact(granted, (*config.secrets, token.access_token, *filter(None, [token.refresh_token])))
    grant = config.shown_grant_type(config.grant_type)
    return (
        f"The {grant} grant works: the {_server(config)} issued a token that {validity}. "
        f"Requested scope: {requested}; granted: {granted or 'none'}. "
        f"{not_granted(missing_scopes(config.scope, token))}"
    ).rstrip()
