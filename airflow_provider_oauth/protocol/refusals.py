"""Classifies error responses of the token endpoint and the revocation endpoint. Pure functions, no I/O."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_oauth import exceptions
from airflow_provider_oauth.exceptions import TokenRequestError, UnrecognizedRefusal
from airflow_provider_oauth.protocol.advice import CONSENT_CODES, NOT_READ, PAGE, XML, token_advice
from airflow_provider_oauth.protocol.redaction import redact
from airflow_provider_oauth.protocol.response_bodies import is_form, is_xml
from airflow_provider_oauth.protocol.retry_after import retry_after

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token_requests import TokenRequest
    from airflow_provider_oauth.protocol.token_responses import HttpResponse

#: Error codes of the RFCs. A code with the class ``TokenRequestError`` does not mean that credentials were refused.
ERRORS: dict[str, type[TokenRequestError]] = {
    # RFC 6749 section 5.2
    "invalid_request": exceptions.InvalidRequest,
    "invalid_client": exceptions.InvalidClient,
    "invalid_grant": exceptions.InvalidGrant,
    "unauthorized_client": exceptions.UnauthorizedClient,
    "unsupported_grant_type": exceptions.UnsupportedGrantType,
    "invalid_scope": exceptions.InvalidScope,
    "server_error": TokenRequestError,  # section 4.1.2.1; Microsoft's token endpoint sends it, too
    "temporarily_unavailable": TokenRequestError,  # section 4.1.2.1; Microsoft's token endpoint sends it, too
    "slow_down": TokenRequestError,  # RFC 8628 section 3.5
    "invalid_target": TokenRequestError,  # RFC 8707 section 2
    "invalid_dpop_proof": TokenRequestError,  # RFC 9449 sections 5 and 8
    "use_dpop_nonce": TokenRequestError,
}
#: Vendors' error codes that mean ``invalid_client``.
INVALID_CLIENT_CODES = frozenset(
    {
        # Slack, with HTTP status 200: api.slack.com/methods/oauth.v2.access
        "bad_client_secret",
        "invalid_client_id",
        # GitHub, with HTTP status 200: docs.github.com, "Troubleshooting OAuth app access token request errors"
        "incorrect_client_credentials",
        # Strava, in the members "resource" and "code" of an error: github.com/dreeveapp/dreeve/issues/372
        "application.invalid",
    }
)
#: Vendors' error codes that mean ``invalid_grant`` in response to a refresh request.
INVALID_REFRESH_TOKEN_CODES = frozenset(
    {
        # HubSpot, in the member "status": github.com/airbytehq/airbyte/issues/79592
        # GitHub, with HTTP status 200: docs.github.com, "Refreshing user access tokens"
        "bad_refresh_token",
        # Slack, with HTTP status 200: api.slack.com/methods/tooling.tokens.rotate
        # Follow Up Boss, as "invalid-refresh-token": docs.followupboss.com/docs/oauth-error-codes
        "invalid_refresh_token",
        # Follow Up Boss, as "expired-refresh-token"
        "expired_refresh_token",
        # Strava, in the members "resource" and "code" of an error: github.com/dreeveapp/dreeve/issues/1449
        "refreshtoken.invalid",
        # Zoho, with HTTP status 200, for a wrong or revoked refresh token: clients in public code
        "invalid_code",
    }
)
#: Matches vendors' messages that mean ``invalid_grant`` in response to a refresh request. They were found in the
#: documentation of Twitch (dev.twitch.tv/docs/authentication/refresh-tokens), in a forum of Square
#: (developer.squareup.com/forums/t/11056) and in league/oauth2-server (OAuthServerException::invalidRefreshToken).
REFRESH_TOKEN_MESSAGE = re.compile(r"\binvalid refresh[ _]token\b|\brefresh[ _]token is invalid\b", re.IGNORECASE)
#: Members with a message for users, at the top level or inside an ``error`` object. Errors quote only these members,
#: the error code and ``error_uri``.
MEMBERS = ("error_description", "message", "detail", "title", "hint")
#: Members with a token. It is redacted in quotations, because an error description might repeat it.
TOKEN_MEMBERS = ("access_token", "refresh_token", "id_token")


class _Quote(NamedTuple):
    """The parts of an error response that may be quoted, redacted."""

    code: str | None
    description: str | None
    uri: str | None


def refusal(
    config: OAuthConfig, request: TokenRequest, response: HttpResponse, content: Any, values: Mapping[str, Any]
) -> TokenRequestError:
    """Return the error for an error response, with the server's message and advice.

    :param config: the connection
    :param request: the request
    :param response: its response
    :param content: the decoded body; None if it is neither JSON nor form-encoded
    :param values: members of the body under their RFC 6749 names
    """
    status = response.status_code
    error, vendor_code = _classify(request, response, content, values)
    quote = _quote(request, response, values, vendor_code)
    advice = token_advice(config, request, error, status, quote.code, quote.description or "")
    if content is None and is_xml(response):
        advice = " ".join(filter(None, (advice, NOT_READ, "" if _is_temporary(status) else XML)))
    elif error is TokenRequestError and status in (400, 401, 403) and content is None:
        advice = PAGE.format(field=request.endpoint.label)
    event = f"refused the {config.shown_grant_type(request.grant_type)} grant with"
    if request.endpoint.field == "revoke_url":
        event = "did not revoke the token: it responded with"
    elif request.endpoint.field == "par_url":
        event = "refused the authorization request with"
    elif request.endpoint.field == "device_url":
        event = "refused the device authorization request with"
    code = f" and error {quote.code!r}" if quote.code else ""
    message = f"The server's message: {quote.description!r}" if quote.description else ""
    details = " ".join(filter(None, (advice, message, f"(URL: {request.shown_url})")))
    return error(
        f"Connection {config.conn_id!r}: the {request.endpoint.name_in(config)} {event} status {status}{code}. "
        f"{details}",
        error=quote.code,
        error_description=quote.description,
        error_uri=quote.uri,
        status_code=status,
        retryable=_is_temporary(status),
        retry_after=retry_after(response.headers.get("Retry-After", ""), response.sent_at),
    )


def error_code(values: Mapping[str, Any]) -> str | None:
    """Return the server's error code; None if the response reports no error."""
    error = values.get("error")
    if error and isinstance(error, dict):  # several large APIs send {"error": {"type": …, "message": …}}
        error = next((error[name] for name in ("type", "code", "status") if error.get(name)), "error")
    if not error:
        return None
    return str(error) if isinstance(error, (str, int)) else "error"


def error_message(values: Mapping[str, Any]) -> str:
    """Return the server's message for users: the known members that contain one, joined by spaces."""
    nested = values.get("error")
    sources = [values, nested] if isinstance(nested, dict) else [values]
    found = [source[name] for source in sources for name in MEMBERS if isinstance(source.get(name), str)]
    return " ".join(dict.fromkeys(filter(None, found)))


def _quote(request: TokenRequest, response: HttpResponse, values: Mapping[str, Any], vendor_code: str | None) -> _Quote:
    """Return the parts that may be quoted, redacted.

    A response with a success status may have a token in any member, so only ``error`` and ``error_description`` are
    quoted from it.
    """
    tokens = (values[name] for name in TOKEN_MEMBERS if isinstance(values.get(name), str))
    secrets = (*request.secrets, *tokens)
    found: tuple[Any, Any, Any] = (vendor_code, None, None)
    if response.status_code >= 400:
        found = (error_code(values) or vendor_code, error_message(values), values.get("error_uri"))
    elif isinstance(values.get("error"), str) and not is_form(response):
        found = (values["error"], values.get("error_description"), None)
    return _Quote(*(redact(text, secrets) or None if isinstance(text, str) else None for text in found))


def _is_temporary(status_code: int) -> bool:
    return status_code == 429 or status_code >= 500


def _classify(
    request: TokenRequest, response: HttpResponse, content: Any, values: Mapping[str, Any]
) -> tuple[type[TokenRequestError], str | None]:
    """Return the class of the error, and the vendor's error code if this code determined the class."""
    if _is_temporary(response.status_code):
        return TokenRequestError, None
    code, message, vendor_code = error_code(values), error_message(values), None
    if _is_league_invalid_grant(request.grant_type, code, message.lower()):
        code = "invalid_grant"
    elif code not in ERRORS:
        found, vendor_code = _vendor_code(request.grant_type, content, message)
        code = found or code
    error = ERRORS.get(code or "") or _unrecognized(request.grant_type, response, content)
    if error is exceptions.InvalidGrant and request.grant_type == "password":
        return exceptions.WrongPassword, vendor_code
    return error, vendor_code


def _is_league_invalid_grant(grant_type: str, code: str | None, message: str) -> bool:
    """Return whether league/oauth2-server (Justimmo) reports ``invalid_grant`` with another code."""
    is_password = grant_type == "password"
    if code == "invalid_credentials":  # up to version 7
        return is_password
    if code != "invalid_request":
        return False
    return (
        "refresh token" in message
        or "authorization code" in message
        or (is_password and "password" in message and "parameter" not in message)
    )


def _vendor_code(grant_type: str, content: Any, message: str) -> tuple[str | None, str | None]:
    """Return the RFC 6749 code that a vendor's code or message stands for, and the vendor's code; None if unknown."""
    for code in _possible_codes(content):
        name = code.lower().replace("-", "_")
        if name in ERRORS:
            return name, code
        if name in INVALID_CLIENT_CODES:
            return "invalid_client", code
        if name in INVALID_REFRESH_TOKEN_CODES and grant_type == "refresh_token":
            return "invalid_grant", code
        if name in CONSENT_CODES and grant_type in ("refresh_token", "jwt_bearer", "token_exchange"):
            return "invalid_grant", code
    is_refresh_token = grant_type == "refresh_token" and REFRESH_TOKEN_MESSAGE.search(message)
    return ("invalid_grant" if is_refresh_token else None), None


def _possible_codes(content: Any) -> Iterator[str]:
    """Yield the strings that may be an error code in a vendor's own format."""
    if not isinstance(content, dict):
        return
    errors = content.get("errors")
    candidates = [content.get("error"), content.get("status")]
    for each in errors if isinstance(errors, list) else []:
        if isinstance(each, dict):
            candidates += [each.get("errorType"), f"{each.get('resource')}.{each.get('code')}"]
    yield from (each for each in candidates if isinstance(each, str))


def _unrecognized(grant_type: str, response: HttpResponse, content: Any) -> type[TokenRequestError]:
    """Return the class of an error whose code is not known."""
    status = response.status_code
    if status == 401 and grant_type not in ("refresh_token", "authorization_code", "device_code"):
        # RFC 6749 section 5.2 uses 401 only for refused credentials. Airflow does not retry the task after these
        # classes, because sending the credentials again may lock the account.
        return exceptions.WrongPassword if grant_type == "password" else exceptions.InvalidClient
    if not grant_type:
        return TokenRequestError
    # An HTML page, or another status, does not count as a refusal: it may come from a proxy or a firewall, which does
    # not check the credentials.
    is_from_server = content is not None or not response.body.strip()
    if status < 300 or (status in (400, 401, 403) and is_from_server):
        return UnrecognizedRefusal
    return TokenRequestError
