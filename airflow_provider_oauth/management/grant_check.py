"""What *Test* reports: whether a connection works, and if not, which field to check."""

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
from airflow_provider_oauth.protocol.endpoint import TokenEndpoint
from airflow_provider_oauth.protocol.redaction import redact
from airflow_provider_oauth.protocol.token import missing_scopes
from airflow_provider_oauth.runtime.encryption import RecordEncryption

if TYPE_CHECKING:
    from airflow_provider_oauth.management.grants import Status
    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token import Token

AUTHORIZE = "Now click Authorize."
NOT_AUTHORIZED = "No user's authorization is stored."
CHANGED = (
    "The stored tokens cannot be used: they are for another client, secret, user, URL or scope, or the record is "
    "damaged."
)
NOT_ENCRYPTED = (
    "The connection has no secret, so its tokens are stored unencrypted: everyone who can read Airflow Variables can "
    "read them."
)
NOT_USED = "The refresh token was not tested, because it can be used only once."
NOT_LOOKED_UP = "The test does not show whether a user has authorized the connection: see Admin → OAuth connections."


class GrantCheck(NamedTuple):
    """The result of a test.

    :param works: whether the connection works; None if the server's response does not show it
    :param text: what the test proves, for a person to read, without a secret
    """

    works: bool | None
    text: str


def check_grant(config: OAuthConfig, status: Status | None = None) -> GrantCheck:
    """Try the connection's grant at the token endpoint. Nothing is stored, and no refresh token is used.

    :param config: the connection
    :param status: what is stored for it; None if that is not known, as when Airflow tests under a random ID
    :raises OAuthError: if the server refuses the client, does not answer, or sends an invalid response
    """
    # With the URL from the metadata, so that the result names the server that gets the request.
    config = TokenEndpoint(config).with_discovered_endpoints(
        "refresh_url" if _is_refreshed_elsewhere(config) else "token_url"
    )
    if not config.requires_refresh_token:
        token = TokenEndpoint(config).grant(retry=False)
        return GrantCheck(True, " ".join([_describe(config, token), *remarks(config)]))
    works, text = _try_refresh(config, status)
    if works is False:
        return GrantCheck(False, " ".join([text, *remarks(config)]))
    works, stored = _stored_grant(config, works, status)
    return GrantCheck(works, " ".join(filter(None, [text, *remarks(config), stored])))  # the next step comes last


def remarks(config: OAuthConfig) -> list[str]:
    """Return what a person should know about the connection: unencrypted tokens, and ignored settings."""
    return [*([] if RecordEncryption(config).has_key else [NOT_ENCRYPTED]), *config.warnings]


def not_granted(scopes: tuple[str, ...]) -> str:
    """Return the sentence that lists the scopes that were requested and not granted; "" if there are none."""
    return f"Not granted: {', '.join(scopes)}." if scopes else ""


def _try_refresh(config: OAuthConfig, status: Status | None) -> GrantCheck:
    """Send a made-up refresh token: how the server refuses it shows whether it accepts the client."""
    host, fields = _host(config), _fields(config)
    try:
        TokenEndpoint(config).refresh(f"made-up-{uuid4().hex}", retry=False)
    except InvalidGrant as error:
        return GrantCheck(
            True,
            f"The token endpoint at {host} accepted the client: it answered {error.error or 'invalid_grant'} to a "
            f"made-up refresh token, as it should. So {fields} are correct.",
        )
    except UnrecognizedRefusal as error:
        return GrantCheck(
            None,
            f"The token endpoint at {host} refused a made-up refresh token{_quoted(error)}. This response cannot "
            f"distinguish a rejected client from a rejected token, so the test does not show whether {fields} are "
            f"correct.",
        )
    except (UnsupportedGrantType, UnauthorizedClient) as error:
        # Servers whose tokens never expire need not support refresh tokens.
        if config.grant_type != "authorization_code" or (status and status.has_refresh_token):
            raise
        return GrantCheck(
            None,
            f"The token endpoint at {host} does not let this client use refresh tokens{_quoted(error)}, so the test "
            f"does not show whether {fields} are correct. The connection works only if the server's tokens never "
            f"expire.",
        )
    return GrantCheck(
        False,
        f"The token endpoint at {host} issued a token for a made-up refresh token. Check {_url_label(config)}: this "
        f"server is not safe.",
    )


def _stored_grant(config: OAuthConfig, works: bool | None, status: Status | None) -> GrantCheck:
    """Return what is known of the stored grant, and what to do next.

    :param works: whether the server accepts the client
    """
    if status is None:
        return GrantCheck(works, NOT_USED if config.refresh_token else NOT_LOOKED_UP)
    refusal = status.error.removeprefix(f"Connection {config.conn_id!r}: ")
    if status.needs_consent and refusal:
        return GrantCheck(False, refusal)
    if status.needs_consent and config.grant_type == "authorization_code":
        return GrantCheck(works, f"{CHANGED if status.changed else NOT_AUTHORIZED} {AUTHORIZE}")
    if status.needs_consent:
        return GrantCheck(False, "No refresh token is left. Obtain a new one and paste it into Refresh token.")
    texts = [NOT_USED] if status.has_refresh_token else []
    if works is None and status.has_refresh_token:
        texts.append(refusal or "Renew now uses it, and so tests the client and the token.")
    return GrantCheck(works, " ".join([*texts, not_granted(status.missing_scopes)]).strip())


def _quoted(error: TokenRequestError) -> str:
    """Return the server's status and words, in brackets."""
    return f" (status {error.status_code}{f', {error.error}' if error.error else ''})"


def _is_refreshed_elsewhere(config: OAuthConfig) -> bool:
    return config.requires_refresh_token and config.refresh_url is not None


def _host(config: OAuthConfig) -> str:
    """Return which server was asked: a sandbox is easily taken for the real one."""
    return urlsplit((config.refresh_url if _is_refreshed_elsewhere(config) else None) or config.server).netloc


def _url_label(config: OAuthConfig) -> str:
    return "Refresh URL" if _is_refreshed_elsewhere(config) else "Token URL"


def _fields(config: OAuthConfig) -> str:
    """Return the labels of the fields that the request for a refresh depends on; only those that have a value."""
    labels = [_url_label(config)]
    labels += ["Client ID"] if config.client_id else []
    labels += ["Client secret"] if config.client_secret and config.client_auth != "none" else []
    return f"{', '.join(labels)} and Client authentication"


def _describe(config: OAuthConfig, token: Token) -> str:
    valid = f"for {round(token.lifetime.total_seconds())} s" if token.lifetime is not None else "that never expires"
    asked = config.scope or "no scope in particular"
    granted = token.scope if token.scope is not None else "the same"  # so RFC 6749 section 5.1
    granted = redact(granted, (*config.secrets, token.access_token, *filter(None, [token.refresh_token])))
    return (
        f"The {config.grant_type} grant works: the token endpoint at {_host(config)} issued a token {valid}. "
        f"Scope requested: {asked}; granted: {granted or 'none'}. {not_granted(missing_scopes(config.scope, token))}"
    ).rstrip()
