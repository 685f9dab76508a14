"""What the token endpoint answered: a token, or an error that says what to do. Pure functions, no I/O."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import jmespath
from jmespath.exceptions import JMESPathError

from airflow_provider_oauth import exceptions
from airflow_provider_oauth.exceptions import OAuthError, TokenRequestError, TokenResponseError
from airflow_provider_oauth.oauth.config import url_problem
from airflow_provider_oauth.oauth.pace import retry_after
from airflow_provider_oauth.oauth.quoting import LONGEST_PAGE, scrub, visible_text
from airflow_provider_oauth.oauth.token import Token

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_provider_oauth.oauth.config import OAuthConfig
    from airflow_provider_oauth.oauth.messages import Request, TokenRequest

#: ``expires_in`` beyond this many seconds (31 years) is a point in time, not a span: some servers send an epoch.
LONGEST_SPAN = 1_000_000_000
LONGEST_LIFETIME = timedelta(days=3650)
#: What servers call the seconds until a refresh token ends. No RFC has a name for it.
REFRESH_LIFETIME = ("refresh_expires_in", "refresh_token_expires_in")

ERRORS: dict[str, type[TokenRequestError]] = {
    "invalid_request": exceptions.InvalidRequest,
    "invalid_client": exceptions.InvalidClient,
    "invalid_grant": exceptions.InvalidGrant,
    "unauthorized_client": exceptions.UnauthorizedClient,
    "unsupported_grant_type": exceptions.UnsupportedGrantType,
    "invalid_scope": exceptions.InvalidScope,
}
ADVICE: dict[type[OAuthError], str] = {
    exceptions.InvalidRequest: "Check Token request body, Client authentication and Token request parameters.",
    exceptions.InvalidClient: "Check Client ID, Client secret and Client authentication.",
    exceptions.WrongPassword: "Check User name and User password.",
    exceptions.InvalidGrant: "The refresh token is invalid, expired, revoked or already used.",
    exceptions.UnauthorizedClient: "Check Grant type: the server does not let this client use it.",
    exceptions.UnsupportedGrantType: "Check Grant type, {field} and Token request body.",
    exceptions.InvalidScope: "Check Scope.",
}
ADVICE_BY_STATUS = {
    404: "Check {field}.",
    405: "Check {field}.",
    415: "Check Token request body.",
    429: "The server is asked too often; try again later.",
    500: "The server failed; try again later.",
    502: "The server failed; try again later.",
    503: "The server is busy; try again later.",
    504: "The server failed; try again later.",
}


@dataclass(frozen=True, kw_only=True)
class TokenAnswer:
    """What came back. ``headers`` finds names in any case; ``sent_at`` is when the request left."""

    status_code: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    sent_at: datetime


def parse_answer(config: OAuthConfig, request: TokenRequest, answer: TokenAnswer) -> Token:
    """Return the token in ``answer`` (RFC 6749 section 5.1).

    :raises TokenRequestError: the server refused; one of its subclasses for the error codes of section 5.2
    :raises TokenResponseError: the answer is neither a token nor an error
    """
    content = _content(answer)
    values = _standard_names(config, content)
    if answer.status_code >= 400 or _error_code(values):
        raise refusal(config, request, answer, values)
    if 300 <= answer.status_code < 400:
        raise _redirected(config, request, answer)
    access_token = values.get("access_token")
    if not isinstance(access_token, str) or not access_token:
        # What is no page may be a token in a shape of its own, so it is not quoted.
        said = _description(values) or (_text(answer) if answer.body.lstrip().startswith(b"<") else "")
        quoted = f" ({scrub(said, request.secrets)!r})" if said.strip() else ""
        raise unusable(config, request, f"answered {answer.status_code} without an access token{quoted}")
    if not all(
        "\x21" <= char <= "\x7e" for char in access_token
    ):  # RFC 6750 section 2.1: nothing to split a header with
        raise unusable(config, request, "answered with an access token that cannot stand in a header")
    token_type = values.get("token_type") if isinstance(values.get("token_type"), str) else "Bearer"
    if str(token_type).lower() in ("mac", "pop", "dpop"):
        raise unusable(
            config, request, f"issues tokens of type {token_type!r}, which need a signature for every request"
        )
    base_url, refresh_token = values.get("base_url"), values.get("refresh_token")
    if not isinstance(refresh_token, str) or not refresh_token:
        refresh_token = None
    in_use = refresh_token is not None or request.grant_type == "refresh_token"
    if isinstance(base_url, str) and base_url and (problem := url_problem(base_url, allow_http=config.allow_http)):
        raise unusable(config, request, f"answered with a base_url (Token answer map) that {problem}")
    return Token(
        access_token=access_token,
        token_type=str(token_type),
        issued_at=answer.sent_at,
        expires_at=_expires_at(config, request, values.get("expires_in"), refresh_token, answer.sent_at),
        refresh_token=refresh_token,
        scope=_scope(config, values.get("scope")),
        base_url=base_url if isinstance(base_url, str) and base_url else None,
        refresh_expires_at=_refresh_expires_at(config, values, answer.sent_at) if in_use else None,
        subject=_subject(values.get("id_token")),
    )


def _subject(id_token: Any) -> str | None:
    """Return whom an ID token is about (OpenID Connect Core 1.0 section 2); None if there is no such token.

    It came from the token endpoint itself, so its signature need not be checked (section 3.1.3.7).
    """
    try:
        payload = str(id_token).split(".")[1]
        subject = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"]
    except (IndexError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return subject if isinstance(subject, str) and subject else None


def parse_revocation(config: OAuthConfig, request: TokenRequest, answer: TokenAnswer) -> bool:
    """Tell whether the server has revoked the token, or never knew it (RFC 7009 section 2.2).

    :return: False if it cannot revoke tokens of this kind
    :raises TokenRequestError: the server refused
    :raises TokenResponseError: it redirected
    """
    if 300 <= answer.status_code < 400:
        raise _redirected(config, request, answer)
    values = _standard_names(config, _content(answer))
    error = _error_code(values)
    # The body of a good answer means nothing, says section 2.2; but some servers say 200 to all.
    if error == "invalid_token" or (answer.status_code < 300 and not error):
        return True  # some know the one that is no good any more by that, for which the RFC has 200
    if error == "unsupported_token_type":  # section 2.2.1
        return False
    raise refusal(config, request, answer, values)


def refusal(config: OAuthConfig, request: TokenRequest, answer: TokenAnswer, values: Mapping[str, Any]) -> OAuthError:
    """Return the error that tells how the server refused, in its own words, and what to look at."""
    code = _error_code(values)
    description = scrub(_description(values), request.secrets) or None
    if code is None and description is None and _content(answer) is None:
        description = scrub(_text(answer), request.secrets) or None
    error = _error_class(request, answer.status_code, code, values)
    said = ": ".join(part for part in (scrub(code or "", request.secrets), description) if part)
    advice = ADVICE.get(error) or ADVICE_BY_STATUS.get(answer.status_code, "")
    advice = advice.format(field=request.place.field)
    if error is exceptions.InvalidGrant and request.grant_type == "authorization_code":
        advice = "The code is invalid, expired or already used; authorize again."
    if error is exceptions.InvalidRequest and not request.grant_type:
        advice = "Check Revocation URL and Client authentication."
    if error is exceptions.InvalidClient:
        advice += f" (It is sent by {config.client_auth}.)"
    refused = f"the {request.grant_type} grant" if request.grant_type else "to revoke a token"
    after = retry_after(answer.headers.get("Retry-After", ""), answer.sent_at)
    return error(
        f"Connection {config.conn_id!r}: {request.where} refused {refused} with status "
        f"{answer.status_code}{f', {said!r}' if said else ''}. {advice}".rstrip(),
        error=scrub(code, request.secrets) if code else None,
        error_description=description,
        error_uri=scrub(uri, request.secrets) if isinstance(uri := values.get("error_uri"), str) else None,
        status_code=answer.status_code,
        retryable=answer.status_code == 429 or answer.status_code >= 500,
        retry_after=after,
    )


def _error_class(
    request: TokenRequest, status_code: int, code: str | None, values: Mapping[str, Any]
) -> type[TokenRequestError]:
    if status_code == 429 or status_code >= 500:
        return TokenRequestError
    said = _description(values).lower()
    if code == "invalid_request":
        # league/oauth2-server (Justimmo) calls a bad refresh token or code so, and names it in message or hint.
        if (
            "refresh token" in said
            or "authorization code" in said
            or request.grant_type == "password"
            and "password" in said
            and "parameter" not in said
        ):
            code = "invalid_grant"
    elif code == "invalid_credentials" and request.grant_type == "password":  # league's older name for it
        code = "invalid_grant"
    elif status_code == 401 and code not in ERRORS:
        # RFC 6749 section 5.2 has 401 for credentials only. Whose, the code does not say: not to be tried again.
        code = "invalid_grant" if request.grant_type == "password" else "invalid_client"
    error = ERRORS.get(code or "", TokenRequestError)
    if error is exceptions.InvalidGrant and request.grant_type == "password":
        return exceptions.WrongPassword
    return error


def unusable(config: OAuthConfig, request: Request, problem: str) -> TokenResponseError:
    """Return the error that says what an answer is instead of what it should be."""
    return TokenResponseError(f"Connection {config.conn_id!r}: {request.where} {problem}.")


def _redirected(config: OAuthConfig, request: TokenRequest, answer: TokenAnswer) -> TokenResponseError:
    # Following it would carry the secret to where the connection does not say.
    where = scrub(destination(answer), request.secrets)
    return unusable(config, request, f"redirected to {where}; set {request.place.field} to that, if it is right")


def destination(answer: TokenAnswer) -> str:
    """Return where a redirect leads, without user, query and fragment."""
    try:
        parts = urlsplit(answer.headers.get("Location", ""))
        return f"{parts.netloc.rpartition('@')[2]}{parts.path}" or "nowhere"
    except ValueError:
        return "what is not a URL"


def _text(answer: TokenAnswer) -> str:
    return visible_text(answer.body[:LONGEST_PAGE].decode(errors="replace"))


def _content(answer: TokenAnswer) -> Any:
    """Return the decoded body; None if it is not JSON, nor a form (as GitHub's was for years)."""
    if "x-www-form-urlencoded" in answer.headers.get("Content-Type", "").lower():
        return dict(parse_qsl(answer.body.decode(errors="replace")))
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        return None


def _standard_names(config: OAuthConfig, content: Any) -> dict[str, Any]:
    """Return the answer's values by RFC 6749's names, as ``response_map`` says."""
    values = dict(content) if isinstance(content, dict) else {}
    for name, path in config.response_map.items():
        try:
            found = jmespath.search(path, content)
        except JMESPathError:  # a function that does not fit what is there
            found = None
        if found is not None:
            values[name] = found
    return values


def _error_code(values: Mapping[str, Any]) -> str | None:
    error = values.get("error")
    if error and isinstance(error, dict):  # {"error": {"type": …, "message": …}}, as several large APIs have it
        error = error.get("type") or error.get("code") or error.get("status") or "error"
    return str(error) if error else None


def _description(values: Mapping[str, Any]) -> str:
    """Return the server's explanation, whatever it calls it."""
    nested = values.get("error")
    places = [values, nested] if isinstance(nested, dict) else [values]
    names = ("error_description", "message", "detail", "title", "hint")
    found = [str(place[name]) for place in places for name in names if isinstance(place.get(name), str) and place[name]]
    return " ".join(dict.fromkeys(found))


def _expires_at(
    config: OAuthConfig, request: TokenRequest, expires_in: Any, refresh_token: str | None, sent_at: datetime
) -> datetime | None:
    """Return when the token expires; None if it never does.

    RFC 6749 section 5.1 lets the server omit ``expires_in``. A user's token without it and without a refresh token, as
    Notion, Slack and Intercom issue it, stays valid until it is revoked.
    """
    if expires_in is None and refresh_token is None and request.grant_type == "authorization_code":
        return None
    return sent_at + _lifetime(expires_in, config.default_lifetime, sent_at)


def _lifetime(value: Any, default: int, now: datetime) -> timedelta:
    """Return how long the token lives; nothing, if the server says zero or less."""
    seconds = _seconds(value, now)
    if seconds is None:
        seconds = default
    return timedelta(seconds=max(0.0, min(seconds, LONGEST_LIFETIME.total_seconds())))


def _refresh_expires_at(config: OAuthConfig, values: Mapping[str, Any], sent_at: datetime) -> datetime | None:
    """Return when the refresh token ends if nobody uses it; None if neither the answer nor the preset tells."""
    for name in REFRESH_LIFETIME:
        seconds = _seconds(values.get(name), sent_at)
        # Keycloak says 0 for never.
        if seconds is not None and 0 < seconds <= LONGEST_LIFETIME.total_seconds():
            return sent_at + timedelta(seconds=seconds)
    return None if config.refresh_lifetime is None else sent_at + timedelta(seconds=config.refresh_lifetime)


def _seconds(value: Any, now: datetime) -> float | None:
    """Return a span in seconds, as whatever the server has sent it; None if it is none."""
    if not isinstance(value, (int, float, str)) or isinstance(value, bool):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(seconds):
        return None
    return seconds - now.timestamp() if seconds > LONGEST_SPAN else seconds


def _scope(config: OAuthConfig, value: Any) -> str | None:
    if isinstance(value, list):
        return " ".join(map(str, value))
    if not isinstance(value, str):
        return None
    return " ".join(value.replace(config.scope_separator, " ").split())
