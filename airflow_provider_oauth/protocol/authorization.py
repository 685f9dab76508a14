"""Builds the authorization request and validates its callback (RFC 6749 section 4.1).

An :class:`AuthorizationRequest` binds the steps of the flow to each other: ``state`` binds the callback to the request
(section 10.12), ``code_verifier`` binds the token request to both (PKCE, RFC 7636), and ``nonce`` binds the ID token to
them (OpenID Connect Core 1.0 section 3.1.2.1).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from airflow_provider_oauth.exceptions import ConfigurationError, ConsentDenied
from airflow_provider_oauth.protocol.advice import authorization_advice
from airflow_provider_oauth.protocol.callback_values import MAX_LENGTH, code_parameter, is_valid, kept_values
from airflow_provider_oauth.protocol.config import is_loopback
from airflow_provider_oauth.protocol.field_labels import field_name
from airflow_provider_oauth.protocol.redaction import redact
from airflow_provider_oauth.protocol.request_formats import pairs
from airflow_provider_oauth.protocol.request_parameters import renamed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from airflow_provider_oauth.protocol.config import OAuthConfig


@dataclass(frozen=True, kw_only=True)
class AuthorizationRequest:
    """An authorization request that waits for its callback. It must be kept secret.

    :param conn_id: ID of the connection
    :param redirect_uri: where the server sends the browser with the code; the token request repeats it
    :param state: random value that the callback must contain, valid for one callback
    :param code_verifier: PKCE code verifier; never sent through the browser
    """

    conn_id: str
    redirect_uri: str
    state: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    code_verifier: str = field(default_factory=lambda: secrets.token_urlsafe(64), repr=False)

    @property
    def nonce(self) -> str:
        """The nonce that the ID token must contain. It is derived from the code verifier, so it need not be stored."""
        # The prefix makes it a different hash than the code challenge.
        return _encoded_hash(f"nonce {self.code_verifier}")


@dataclass(frozen=True)
class Callback:
    """A valid callback.

    :param code: the authorization code
    :param values: the values to keep with the grant (``callback_map``), by the callback's parameter
    """

    code: str = field(repr=False)
    values: Mapping[str, str]


def authorization_url(config: OAuthConfig, authorization: AuthorizationRequest) -> str:
    """Return the URL to send the browser to (RFC 6749 section 4.1.1).

    Parameters of ``authorize_params`` replace those in the query of the authorization URL.

    :param config: the connection
    :param authorization: the authorization request
    :raises ConfigurationError: see ``authorization_parameters``
    """
    parameters = {**config.authorize_params, **renamed(config, authorization_parameters(config, authorization))}
    return _with_parameters(config, parameters, replaced=parameters)


def pushed_authorization_url(config: OAuthConfig, authorization: AuthorizationRequest, request_uri: str) -> str:
    """Return the URL to send the browser to after the parameters were pushed to the server (RFC 9126 section 4).

    :param config: the connection
    :param authorization: the authorization request
    :param request_uri: the reference that the server returned for the parameters
    :raises ConfigurationError: see ``authorization_parameters``
    """
    client = {"client_id": config.client_id} if config.client_id else {}
    parameters = renamed(config, {**client, "request_uri": request_uri})
    pushed = renamed(config, authorization_parameters(config, authorization))
    return _with_parameters(config, parameters, replaced={*config.authorize_params, *pushed, *parameters})


def _with_parameters(config: OAuthConfig, parameters: Mapping[str, Any], replaced: Collection[str]) -> str:
    """Return the authorization URL with parameters, and without the ones in its own query that they replace."""
    url = urlsplit(config.authorize_url or "")
    present = [(name, value) for name, value in parse_qsl(url.query, keep_blank_values=True) if name not in replaced]
    return urlunsplit(url._replace(query=urlencode([*present, *pairs(parameters)])))


def authorization_parameters(config: OAuthConfig, authorization: AuthorizationRequest) -> dict[str, Any]:
    """Return the parameters of an authorization request under their standard names, without ``authorize_params``.

    They are defined in RFC 6749 section 4.1.1 and RFC 7636 section 4.3.

    The code challenge method is always S256. Servers that do not support PKCE ignore its parameters (RFC 6749 section
    3.1); ``skip_pkce`` is for servers that refuse them. The nonce is sent only if an ID token is requested.

    :param config: the connection
    :param authorization: the authorization request
    :raises ConfigurationError: if the connection has a different grant type or no authorization URL, or if the redirect
        URI would send the code over plain http to another machine
    """
    check_grant_type(config)
    if config.authorize_url is None:
        raise config.error("authorize_url", "is missing. Set Authorization URL, or set Issuer to discover it")
    target = urlsplit(authorization.redirect_uri)
    if not (target.scheme == "https" or (target.scheme == "http" and is_loopback(target.hostname or ""))):
        raise ConfigurationError(
            f"Connection {config.conn_id!r}: the redirect URI {authorization.redirect_uri} would send the code "
            f"unencrypted. Set [api] base_url (on the command line: --redirect-uri) to an https URL, or to an http URL "
            f"of this machine."
        )
    parameters = {
        "response_type": "code",
        "client_id": config.client_id,
        "redirect_uri": authorization.redirect_uri,
        "scope": config.scope_separator.join((config.scope or "").split()),
        "audience": config.audience,
        "resource": config.resource,
        "state": authorization.state,
        "nonce": expected_nonce(config, authorization),
    }
    if not config.skip_pkce:
        parameters |= {
            "code_challenge": _encoded_hash(authorization.code_verifier),
            "code_challenge_method": "S256",
        }
    return {name: value for name, value in parameters.items() if value}


def check_grant_type(config: OAuthConfig) -> None:
    """Check that a user can authorize the connection.

    :raises ConfigurationError: if the connection has a different grant type
    """
    if config.grant_type != "authorization_code":
        advice = "To authorize it in a browser, set Grant type to authorization_code"
        raise config.error(
            "grant_type", f"is {config.grant_type}, so the connection cannot be authorized here. {advice}"
        )


def expected_nonce(config: OAuthConfig, authorization: AuthorizationRequest) -> str | None:
    """Return the nonce that an ID token must contain; None if the connection requests no ID token.

    :param config: the connection
    :param authorization: the authorization request
    """
    return authorization.nonce if "openid" in (config.scope or "").split() else None


def _encoded_hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def validate_callback(config: OAuthConfig, authorization: AuthorizationRequest, callback: str) -> Callback:
    """Validate a callback, and return its code and the values to keep (RFC 6749 sections 4.1.2 and 10.12, RFC 9207).

    :param config: the connection
    :param authorization: the authorization request
    :param callback: the URL that the browser was sent to, or its query
    :raises ConsentDenied: if the callback contains an error, does not belong to the authorization request, or lacks a
        value of ``callback_map``
    """
    parameters = _callback_parameters(config, callback)
    # The state is checked before the other parameters, because anyone can invent a callback, even one with an error.
    state = parameters.get("state", "").encode(errors="replace")
    if not secrets.compare_digest(state, authorization.state.encode()):
        raise _invalid_callback(
            config,
            "its state does not match the authorization request. It may be an old callback, or a callback for another "
            "user",
        )
    _check_issuer(config, parameters)
    if error := parameters.get("error"):
        raise _denied(config, authorization, error, parameters)
    code = parameters.get(code_parameter(config.callback_map), "")
    # Only a pasted callback can have an unpaired surrogate, which UTF-8 cannot encode.
    if not code or code.encode(errors="replace").decode() != code:
        raise ConsentDenied(
            f"Connection {config.conn_id!r}: the callback contains no authorization code. Authorize again. On the "
            f"command line, paste the complete URL from the browser."
        )
    return Callback(code, _kept_values(config, parameters))


def _kept_values(config: OAuthConfig, parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the values that ``callback_map`` keeps, by the callback's parameter."""
    values = {}
    for name, parameter in kept_values(config.callback_map).items():
        value = parameters.get(parameter, "")
        if not value:
            raise ConsentDenied(
                f"Connection {config.conn_id!r}: the callback contains no {parameter!r}, but "
                f"{field_name('callback_map')} keeps it as {name!r}. Choose an account at the server for which it "
                "sends this parameter, or correct the field, and authorize again."
            )
        if not is_valid(value):
            raise _invalid_callback(
                config, f"{parameter!r} is longer than {MAX_LENGTH} characters, or is not a printable value"
            )
        values[parameter] = value
    return values


def _callback_parameters(config: OAuthConfig, callback: str) -> dict[str, str]:
    before, question_mark, after = callback.strip().partition("?")
    query = after if question_mark else before
    parameters = parse_qsl(query.partition("#")[0], keep_blank_values=True)
    if len(dict(parameters)) != len(parameters):
        raise _invalid_callback(config, "it has a parameter twice")
    return dict(parameters)


def _check_issuer(config: OAuthConfig, parameters: Mapping[str, str]) -> None:
    """Check that the callback comes from the authorization server of the connection (RFC 9207)."""
    # An error response without iss is accepted, because it contains no code: Django OAuth Toolkit 3.4 announces iss in
    # its metadata, but omits it from error responses.
    if config.iss_required and "iss" not in parameters and "error" not in parameters:
        raise _invalid_callback(
            config,
            "it does not name the server that sent it: the parameter iss is missing, although the server's metadata "
            "announces it",
        )
    if "iss" in parameters and not _is_issuer(config, parameters["iss"]):
        raise ConsentDenied(
            f"Connection {config.conn_id!r}: the callback was rejected, because its iss parameter names another "
            f"server. If {redact(parameters['iss'], config.secrets)!r} is the issuer of the server that you want to "
            f"use, set Issuer to it. Otherwise do not authorize again."
        )


def _is_issuer(config: OAuthConfig, iss: str) -> bool:
    """Return whether ``iss`` is the connection's issuer or, if that is not set, has the authorization URL's origin."""
    if config.issuer:
        return iss == config.issuer
    with suppress(ValueError):
        return urlsplit(iss)[:2] == urlsplit(config.authorize_url or "")[:2]
    return False


def _invalid_callback(config: OAuthConfig, reason: str) -> ConsentDenied:
    return ConsentDenied(
        f"Connection {config.conn_id!r}: the callback was rejected, because {reason}. Authorize again."
    )


def _denied(
    config: OAuthConfig, authorization: AuthorizationRequest, error: str, parameters: Mapping[str, str]
) -> ConsentDenied:
    """Return the error for a callback that reports an error of the server."""
    # Justimmo sends message and hint instead of error_description (RFC 6749 section 4.1.2.1).
    names = ("error_description", "message", "hint")
    message = " ".join(filter(None, map(parameters.get, names)))
    hidden = (*config.secrets, authorization.state, authorization.code_verifier)
    shown = redact(error, hidden)
    advice = authorization_advice(config, error, message)
    details = f" The server's message: {redact(message, hidden)!r}" if message else ""
    return ConsentDenied(
        f"Connection {config.conn_id!r}: {config.vendor_label or 'the server'} did not authorize Airflow ({shown}). "
        f"{advice}{details}",
        error=shown,
    )
