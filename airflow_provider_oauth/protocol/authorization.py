"""The authorization request, and validation of its callback (RFC 6749 section 4.1).

An :class:`AuthorizationRequest` binds the steps of the flow to each other: ``state`` binds the callback to the request
(section 10.12), and ``code_verifier`` binds the token request to both (PKCE, RFC 7636).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from airflow_provider_oauth.exceptions import ConfigurationError, ConsentDenied
from airflow_provider_oauth.protocol.advice import authorization_advice
from airflow_provider_oauth.protocol.config import is_loopback
from airflow_provider_oauth.protocol.redaction import redact
from airflow_provider_oauth.protocol.token_requests import pairs

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig


@dataclass(frozen=True, kw_only=True)
class AuthorizationRequest:
    """A consent that was asked for and not given yet. Whoever holds it can use the code that comes back: keep it.

    :param conn_id: the connection that it is for
    :param redirect_uri: where the browser comes back to; the same in both requests
    :param state: good for one answer
    :param code_verifier: never sent through the browser
    """

    conn_id: str
    redirect_uri: str
    state: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    code_verifier: str = field(default_factory=lambda: secrets.token_urlsafe(64), repr=False)


def authorization_url(config: OAuthConfig, consent: AuthorizationRequest) -> str:
    """Return where to send the browser (RFC 6749 section 4.1.1, RFC 7636 section 4.3: always S256).

    Servers that do not know PKCE ignore its parameters (RFC 6749 section 3.1); for one that refuses them there is
    ``skip_pkce``. Parameters of ``authorize_params`` replace those in the query of the authorization URL.

    :raises ConfigurationError: if the connection has no authorization URL, or another grant; or if the code would
        travel in clear
    """
    if config.grant_type != "authorization_code":
        raise config.error(
            "grant_type", f"is {config.grant_type}; nobody can consent to anything but authorization_code"
        )
    if config.authorize_url is None:
        raise config.error("authorize_url", "(Authorization URL) is missing")
    target = urlsplit(consent.redirect_uri)
    if not (target.scheme == "https" or (target.scheme == "http" and is_loopback(target.hostname or ""))):
        raise ConfigurationError(
            f"Connection {config.conn_id!r}: the redirect URI {consent.redirect_uri} is neither https nor of this "
            f"machine; the code would travel in clear."
        )
    wanted = {
        "response_type": "code",
        "client_id": config.client_id,
        "redirect_uri": consent.redirect_uri,
        "scope": config.scope_separator.join((config.scope or "").split()),
        "audience": config.audience,
        "resource": config.resource,
        "state": consent.state,
        **({} if config.skip_pkce else _challenge(consent.code_verifier)),
    }
    added = {**config.authorize_params, **{name: value for name, value in wanted.items() if value}}
    url = urlsplit(config.authorize_url)
    own = [(name, value) for name, value in parse_qsl(url.query, keep_blank_values=True) if name not in added]
    return urlunsplit(url._replace(query=urlencode([*own, *pairs(added)])))


def _challenge(code_verifier: str) -> dict[str, str]:
    digest = hashlib.sha256(code_verifier.encode()).digest()
    return {
        "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
        "code_challenge_method": "S256",
    }


def _is_of(config: OAuthConfig, iss: str) -> bool:
    """Tell whether a server that calls itself so is the one that was asked: by its name, or else by where it is."""
    if config.issuer:
        return iss == config.issuer
    with suppress(ValueError):
        return urlsplit(iss)[:2] == urlsplit(config.authorize_url or "")[:2]
    return False


def validate_callback(config: OAuthConfig, consent: AuthorizationRequest, answer: str) -> str:
    """Return the code that the browser brought back.

    :param config: the connection
    :param consent: what was asked for
    :param answer: the URL that the browser was sent to, whole, or its query
    :raises ConsentDenied: if the person or the server declined, or the answer is not to this question
    """
    before, mark, after = answer.strip().partition("?")
    query = after if mark else before
    pairs = parse_qsl(query.partition("#")[0], keep_blank_values=True)
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ConsentDenied(f"Connection {config.conn_id!r}: the answer has a parameter twice. Start again.")
    # First: whoever can make up an answer can make up an error too.
    if not secrets.compare_digest(values.get("state", "").encode(errors="replace"), consent.state.encode()):
        raise ConsentDenied(
            f"Connection {config.conn_id!r}: the answer does not belong to what was asked (state). It may be an "
            f"old one, or somebody else's. Start again."
        )
    # RFC 9207: an answer of another server than the one that was asked. Django OAuth Toolkit 3.4 announces
    # iss in its metadata but omits it from error responses. Those have no code, so the user gets to read the error.
    if config.iss_required and "iss" not in values and "error" not in values:
        raise ConsentDenied(
            f"Connection {config.conn_id!r}: the answer does not say which server it is of (iss), as this one does. It "
            f"may be another's. Start again."
        )
    if "iss" in values and not _is_of(config, values["iss"]):
        raise ConsentDenied(
            f"Connection {config.conn_id!r}: the answer is of another server (iss) than the one that was asked. If "
            f"{redact(values['iss'], config.secrets)!r} is what that one calls itself, enter it in Issuer."
        )
    if error := values.get("error"):
        # Justimmo says message and hint where RFC 6749 section 4.1.2.1 says error_description.
        words = " ".join(filter(None, (values.get(name) for name in ("error_description", "message", "hint"))))
        secret = (*config.secrets, consent.state, consent.code_verifier)
        said = redact(f"{error}: {words}" if words else error, secret)
        raise ConsentDenied(
            f"Connection {config.conn_id!r}: no consent was given ({said}). "
            f"{authorization_advice(config, error, words)}",
            error=redact(error, secret),
        )
    code = values.get("code", "")
    # An unpaired surrogate, which UTF-8 cannot encode, can only come from a pasted text.
    if not code or code.encode(errors="replace").decode() != code:
        raise ConsentDenied(f"Connection {config.conn_id!r}: the answer has no code. Paste the whole URL.")
    return code
