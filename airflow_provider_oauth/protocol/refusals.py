"""How an authorization server refused a request: which error it is, and what may be quoted. Pure functions, no I/O."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_oauth import exceptions
from airflow_provider_oauth.exceptions import TokenRequestError, UnrecognizedRefusal
from airflow_provider_oauth.protocol.advice import PAGE, token_advice
from airflow_provider_oauth.protocol.redaction import redact
from airflow_provider_oauth.protocol.retry_after import retry_after

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token_requests import TokenRequest
    from airflow_provider_oauth.protocol.token_responses import HttpResponse

#: Error codes of the RFCs. Those without an exception class do not mean that credentials were refused.
ERRORS: dict[str, type[TokenRequestError]] = {
    # RFC 6749 section 5.2
    "invalid_request": exceptions.InvalidRequest,
    "invalid_client": exceptions.InvalidClient,
    "invalid_grant": exceptions.InvalidGrant,
    "unauthorized_client": exceptions.UnauthorizedClient,
    "unsupported_grant_type": exceptions.UnsupportedGrantType,
    "invalid_scope": exceptions.InvalidScope,
    "server_error": TokenRequestError,  # section 4.1.2.1, but Microsoft's token endpoint uses both too
    "temporarily_unavailable": TokenRequestError,
    "slow_down": TokenRequestError,  # RFC 8628 section 3.5
    "invalid_target": TokenRequestError,  # RFC 8707 section 2
    "invalid_dpop_proof": TokenRequestError,  # RFC 9449 sections 5 and 8
    "use_dpop_nonce": TokenRequestError,
}
#: Vendors' words for ``invalid_client``.
CLIENT_WORDS = frozenset(
    {
        "bad_client_secret",  # Slack, with status 200: api.slack.com/methods/oauth.v2.access
        "invalid_client_id",  # the same
        "incorrect_client_credentials",  # GitHub, with status 200: docs.github.com, "Troubleshooting OAuth app access
        # token request errors"
        "application.invalid",  # Strava (resource and code): github.com/dreeveapp/dreeve/issues/372
    }
)
#: Vendors' words for ``invalid_grant`` in response to a refresh request.
REFRESH_TOKEN_WORDS = frozenset(
    {
        "bad_refresh_token",  # HubSpot (status): github.com/airbytehq/airbyte/issues/79592. GitHub, with status 200:
        # docs.github.com, "Refreshing user access tokens"
        "invalid_refresh_token",  # Slack, with status 200: api.slack.com/methods/tooling.tokens.rotate
        "expired_refresh_token",  # Follow Up Boss, with hyphens, as the one above: docs.followupboss.com/docs/
        # oauth-error-codes
        "refreshtoken.invalid",  # Strava (resource and code): github.com/dreeveapp/dreeve/issues/1449
        "interaction_required",  # Microsoft: learn.microsoft.com, "InteractionRequiredAuthErrorCodes" of MSAL
        "consent_required",  # the same
        "login_required",  # the same
    }
)
#: The same, in sentences: Twitch (dev.twitch.tv/docs/authentication/refresh-tokens), Square
#: (developer.squareup.com/forums/t/11056), league/oauth2-server (OAuthServerException::invalidRefreshToken).
REFRESH_TOKEN_SENTENCE = re.compile(r"\binvalid refresh[ _]token\b|\brefresh[ _]token is invalid\b", re.IGNORECASE)
#: Members with text for people, at the top level or inside an ``error`` object. Nothing else of a body is quoted.
MEMBERS = ("error_description", "message", "detail", "title", "hint")
#: Tokens in a response, which an error description might repeat.
TOKENS = ("access_token", "refresh_token", "id_token")


class _Quote(NamedTuple):
    """What may be quoted from a refusal, redacted."""

    code: str | None
    description: str | None
    uri: str | None


def refusal(
    config: OAuthConfig, request: TokenRequest, answer: HttpResponse, content: Any, values: Mapping[str, Any]
) -> TokenRequestError:
    """Return the error that tells how the server refused, with its explanation and advice.

    :param content: the decoded body; None if it is neither JSON nor a form
    :param values: its members, by RFC 6749's names
    """
    error, word = _classify(request, answer, content, values)
    quote = _quote(request, answer, values, word)
    said = ": ".join(filter(None, (quote.code, quote.description)))
    refused = f"the {request.grant_type} grant" if request.grant_type else "to revoke a token"
    advice = token_advice(config, request, error, answer.status_code, quote.code, quote.description or "")
    if error is TokenRequestError and answer.status_code in (400, 401, 403) and content is None:
        advice = PAGE.format(field=request.place.field)
    return error(
        f"Connection {config.conn_id!r}: {request.where} refused {refused} with status "
        f"{answer.status_code}{f', {said!r}' if said else ''}. {advice}".rstrip(),
        error=quote.code,
        error_description=quote.description,
        error_uri=quote.uri,
        status_code=answer.status_code,
        retryable=_is_busy(answer.status_code),
        retry_after=retry_after(answer.headers.get("Retry-After", ""), answer.sent_at),
    )


def error_code(values: Mapping[str, Any]) -> str | None:
    """Return the server's error code; None if it reports no error."""
    error = values.get("error")
    if error and isinstance(error, dict):  # {"error": {"type": …, "message": …}}, as several large APIs have it
        error = next((error[name] for name in ("type", "code", "status") if error.get(name)), "error")
    if not error:
        return None
    return str(error) if isinstance(error, (str, int)) else "error"


def error_words(values: Mapping[str, Any]) -> str:
    """Return what the server writes for people in an error: the members that are known to hold that."""
    nested = values.get("error")
    places = [values, nested] if isinstance(nested, dict) else [values]
    found = [place[name] for place in places for name in MEMBERS if isinstance(place.get(name), str) and place[name]]
    return " ".join(dict.fromkeys(found))


def _quote(request: TokenRequest, answer: HttpResponse, values: Mapping[str, Any], word: str | None) -> _Quote:
    """Return what may be quoted. A successful status may come with a token in any member, so only two are quoted."""
    secrets = (*request.secrets, *(values[name] for name in TOKENS if isinstance(values.get(name), str)))
    found: tuple[Any, Any, Any] = (word, None, None)
    if answer.status_code >= 400:
        found = (error_code(values) or word, error_words(values), values.get("error_uri"))
    elif isinstance(values.get("error"), str) and not is_form(answer):
        found = (values["error"], values.get("error_description"), None)
    return _Quote(*(redact(text, secrets) or None if isinstance(text, str) else None for text in found))


def is_form(answer: HttpResponse) -> bool:
    """Tell whether the body is form-encoded."""
    return "x-www-form-urlencoded" in answer.headers.get("Content-Type", "").lower()


def _is_busy(status_code: int) -> bool:
    return status_code == 429 or status_code >= 500


def _classify(
    request: TokenRequest, answer: HttpResponse, content: Any, values: Mapping[str, Any]
) -> tuple[type[TokenRequestError], str | None]:
    """Return the class of the error, and the vendor's word that decided it, if one did."""
    if _is_busy(answer.status_code):
        return TokenRequestError, None
    code, said, word = error_code(values), error_words(values), None
    if _is_leagues_invalid_grant(request.grant_type, code, said.lower()):
        code = "invalid_grant"
    elif code not in ERRORS:
        found, word = _vendor_code(request.grant_type, content, said)
        code = found or code
    error = ERRORS.get(code or "") or _unrecognized(request.grant_type, answer, content)
    if error is exceptions.InvalidGrant and request.grant_type == "password":
        return exceptions.WrongPassword, word
    return error, word


def _is_leagues_invalid_grant(grant_type: str, code: str | None, said: str) -> bool:
    """Tell whether league/oauth2-server (Justimmo) means a refresh token, code or password by another code."""
    is_password = grant_type == "password"
    if code == "invalid_credentials":  # up to version 7
        return is_password
    if code != "invalid_request":
        return False
    return (
        "refresh token" in said
        or "authorization code" in said
        or (is_password and "password" in said and "parameter" not in said)
    )


def _vendor_code(grant_type: str, content: Any, said: str) -> tuple[str | None, str | None]:
    """Return RFC 6749's code for a vendor's word, and the word; None for each if it is not known."""
    for word in _words(content):
        name = word.lower().replace("-", "_")
        if name in ERRORS:
            return name, word
        if name in CLIENT_WORDS:
            return "invalid_client", word
        if name in REFRESH_TOKEN_WORDS and grant_type == "refresh_token":
            return "invalid_grant", word
    is_token = grant_type == "refresh_token" and REFRESH_TOKEN_SENTENCE.search(said)
    return ("invalid_grant" if is_token else None), None


def _words(content: Any) -> Iterator[str]:
    """Yield what may be a code in an error of a vendor's own shape."""
    if not isinstance(content, dict):
        return
    errors = content.get("errors")
    candidates = [content.get("error"), content.get("status")]
    for each in errors if isinstance(errors, list) else []:
        if isinstance(each, dict):
            candidates += [each.get("errorType"), f"{each.get('resource')}.{each.get('code')}"]
    yield from (each for each in candidates if isinstance(each, str))


def _unrecognized(grant_type: str, answer: HttpResponse, content: Any) -> type[TokenRequestError]:
    """Return the class of an error that neither an RFC's code nor a vendor's word explains."""
    if answer.status_code == 401 and grant_type not in ("refresh_token", "authorization_code"):
        # RFC 6749 section 5.2 has 401 for credentials only, and trying them again may lock an account.
        return exceptions.WrongPassword if grant_type == "password" else exceptions.InvalidClient
    if not grant_type:
        return TokenRequestError
    # A page of HTML, or another status, may be from a proxy or a firewall, which says nothing about the credentials.
    is_servers_own = content is not None or not answer.body.strip()
    if answer.status_code < 300 or (answer.status_code in (400, 401, 403) and is_servers_own):
        return UnrecognizedRefusal
    return TokenRequestError
