"""What the token endpoint answered: a token, or an error that says what to do. Pure functions, no I/O."""

from __future__ import annotations

import base64
import json
import math
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urljoin, urlsplit, urlunsplit

import jmespath
from jmespath.exceptions import JMESPathError

from airflow_provider_oauth.exceptions import TokenResponseError
from airflow_provider_oauth.protocol.config import url_problem
from airflow_provider_oauth.protocol.redaction import redact
from airflow_provider_oauth.protocol.refusals import error_code, is_form, refusal
from airflow_provider_oauth.protocol.token import Token, is_sendable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token_requests import Request, TokenRequest

#: ``expires_in`` beyond this many seconds (31 years) is a point in time, not a span: some servers send an epoch.
MAX_SPAN = 1_000_000_000
MAX_LIFETIME = timedelta(days=3650)
#: What servers call the seconds until a refresh token ends. No RFC has a name for it.
REFRESH_LIFETIME = ("refresh_expires_in", "refresh_token_expires_in")

#: Shown in place of a query, which may hold a token.
HIDDEN_QUERY = "?…"
#: The most characters that a token can have. Servers accept no header with a longer one.
MAX_TOKEN_LENGTH = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class HttpResponse:
    """What came back. ``headers`` finds names in any case; ``sent_at`` is when the request left."""

    status_code: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    sent_at: datetime


def parse_token_response(config: OAuthConfig, request: TokenRequest, answer: HttpResponse) -> Token:
    """Return the token in ``answer`` (RFC 6749 section 5.1).

    :raises TokenRequestError: the server refused; one of its subclasses for the error codes of section 5.2
    :raises TokenResponseError: the answer is neither a token nor an error
    """
    values = _values(config, request, answer)
    access_token, refresh_token = _access_token(config, request, answer, values), values.get("refresh_token")
    token_type = values.get("token_type") if isinstance(values.get("token_type"), str) else "Bearer"
    if str(token_type).lower() in ("mac", "pop", "dpop"):
        raise invalid_response(
            config, request, f"issues tokens of type {token_type!r}, which need a signature for every request"
        )
    if not isinstance(refresh_token, str) or not refresh_token:
        refresh_token = None
    for name, token in (("refresh token", refresh_token), ("ID token", values.get("id_token"))):
        if isinstance(token, str) and (problem := _token_problem(token)):
            raise invalid_response(
                config, request, f"answered with {'an' if name[0] == 'I' else 'a'} {name} that {problem}"
            )
    in_use = refresh_token is not None or request.grant_type == "refresh_token"
    return Token(
        access_token=access_token,
        token_type=_encodable(str(token_type)),
        issued_at=answer.sent_at,
        expires_at=_expires_at(config, request, values.get("expires_in"), refresh_token, answer.sent_at),
        refresh_token=refresh_token,
        scope=_scope(config, values.get("scope")),
        base_url=_base_url(config, request, values.get("base_url")),
        refresh_expires_at=_refresh_expires_at(config, values, answer.sent_at) if in_use else None,
        subject=_subject(values.get("id_token")),
    )


def parse_revocation_response(config: OAuthConfig, request: TokenRequest, answer: HttpResponse) -> bool:
    """Tell whether the server has revoked the token, or never knew it (RFC 7009 section 2.2).

    :return: False if it cannot revoke tokens of this kind
    :raises TokenRequestError: the server refused
    :raises TokenResponseError: it redirected
    """
    if 300 <= answer.status_code < 400:
        raise _redirected(config, request, answer)
    content = _content(answer)
    values = _standard_names(config, content)
    error = error_code(values)
    # The body of a good answer means nothing, says section 2.2; but some servers say 200 to all.
    if error == "invalid_token" or (answer.status_code < 300 and not error):
        return True  # some know the one that is no good any more by that, for which the RFC has 200
    if error == "unsupported_token_type":  # section 2.2.1
        return False
    raise refusal(config, request, answer, content, values)


def _values(config: OAuthConfig, request: TokenRequest, answer: HttpResponse) -> dict[str, Any]:
    """Return the members of a successful response by RFC 6749's names."""
    if 300 <= answer.status_code < 400:
        raise _redirected(config, request, answer)
    content = _content(answer)
    values = _standard_names(config, content)
    if answer.status_code >= 400 or error_code(values):
        raise refusal(config, request, answer, content, values)
    return values


def _access_token(config: OAuthConfig, request: TokenRequest, answer: HttpResponse, values: Mapping[str, Any]) -> str:
    token = values.get("access_token")
    if not isinstance(token, str) or not token:
        # A response of an unknown shape may hold a token anywhere, so nothing of it is quoted.
        raise invalid_response(
            config,
            request,
            f"answered {answer.status_code} without an access token (content type: {_content_type(answer)}). Check "
            f"{request.place.field}; if the response has the token under another name, set Token response map",
        )
    if not is_sendable(token):
        raise invalid_response(config, request, "answered with an access token that cannot be sent in a header")
    if problem := _token_problem(token):
        raise invalid_response(config, request, f"answered with an access token that {problem}")
    return token


def _token_problem(token: str) -> str | None:
    """Say why a token cannot be kept or sent; None if it can."""
    if len(token) > MAX_TOKEN_LENGTH:
        return f"is longer than {MAX_TOKEN_LENGTH // 1024} kB"
    if _encodable(token) != token:
        return "contains an unpaired surrogate (\\ud800 to \\udfff), so it cannot be stored or sent"
    return None


def _encodable(text: str) -> str:
    """Return ``text`` with unpaired surrogates, which JSON can escape but UTF-8 cannot encode, replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _base_url(config: OAuthConfig, request: TokenRequest, base_url: Any) -> str | None:
    if not isinstance(base_url, str) or not base_url:
        return None
    if url_problem(base_url, allow_http=config.allow_http):  # which may quote the host
        raise invalid_response(
            config,
            request,
            "answered with a base_url (Token response map) that is not an https URL of an API. Check Token response "
            "map; for plain http set allow_http",
        )
    return base_url


def _content_type(answer: HttpResponse) -> str:
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()
    return kind if re.fullmatch(r"[\w.+-]{1,60}/[\w.+-]{1,60}", kind, re.ASCII) else "none that is valid"


def _subject(id_token: Any) -> str | None:
    """Return the user whom an ID token identifies (OpenID Connect Core 1.0 section 2); None if there is no such token.

    It came from the token endpoint itself, so its signature need not be checked (section 3.1.3.7).
    """
    try:
        payload = str(id_token).split(".")[1]
        subject = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"]
    except (IndexError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return _encodable(subject) if isinstance(subject, str) and subject else None


def invalid_response(config: OAuthConfig, request: Request, problem: str) -> TokenResponseError:
    """Return the error that describes an invalid response."""
    return TokenResponseError(f"Connection {config.conn_id!r}: {request.where} {problem}.")


def _redirected(config: OAuthConfig, request: TokenRequest, answer: HttpResponse) -> TokenResponseError:
    # Following it would carry the secret to where the connection does not say.
    target = destination(request, answer)
    where = redact(target or "an invalid URL", request.secrets)
    advice = f"Check {request.place.field}"
    # Only if the whole URL is shown, unchanged, and the field accepts it.
    is_whole = target is not None and target == where and HIDDEN_QUERY not in target and target != request.url
    if is_whole and url_problem(where, allow_http=config.allow_http) is None:
        advice = f"If that is the {request.place.name}, set {request.place.field} to {target}"
    return invalid_response(config, request, f"redirected to {where}. {advice}")


def destination(request: Request, answer: HttpResponse) -> str | None:
    """Return the URL that a redirect leads to, without user, fragment and the content of its query; None without one.

    :param request: what was redirected: ``Location`` may be relative to its URL (RFC 9110 section 10.2.2)
    """
    try:
        parts = urlsplit(urljoin(request.url, answer.headers["Location"]))
    except (KeyError, ValueError):
        return None
    if parts.scheme not in ("http", "https"):
        return None
    netloc = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, netloc, parts.path, "", "")) + (HIDDEN_QUERY if parts.query else "")


def _content(answer: HttpResponse) -> Any:
    """Return the decoded body; None if it is not JSON, nor a form (as GitHub's was for years)."""
    if is_form(answer):
        return dict(parse_qsl(answer.body.decode(errors="replace")))
    try:
        content = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return {} if content is None else content


def _standard_names(config: OAuthConfig, content: Any) -> dict[str, Any]:
    """Return the answer's values by RFC 6749's names, as ``response_map`` says."""
    values = dict(content) if isinstance(content, dict) else {}
    for name, path in config.response_map.items():
        try:
            found = jmespath.search(path, content)
        except (JMESPathError, RecursionError, TypeError, ValueError):
            found = None  # a function, comparison or slice that does not fit what is there
        if found is not None:
            values[name] = found
    return values


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
    return timedelta(seconds=max(0.0, min(seconds, MAX_LIFETIME.total_seconds())))


def _refresh_expires_at(config: OAuthConfig, values: Mapping[str, Any], sent_at: datetime) -> datetime | None:
    """Return when the refresh token ends if nobody uses it; None if neither the answer nor the preset tells."""
    for name in REFRESH_LIFETIME:
        seconds = _seconds(values.get(name), sent_at)
        # Keycloak says 0 for never.
        if seconds is not None and 0 < seconds <= MAX_LIFETIME.total_seconds():
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
    return seconds - now.timestamp() if seconds > MAX_SPAN else seconds


def _scope(config: OAuthConfig, value: Any) -> str | None:
    if isinstance(value, list):
        return _encodable(" ".join(map(str, value)))
    if not isinstance(value, str):
        return None
    return " ".join(_encodable(value).replace(config.scope_separator, " ").split())
