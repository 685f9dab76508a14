"""What goes on the wire to the token endpoint, and to the one that revokes tokens: pure functions, no I/O."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from urllib3.filepost import encode_multipart_formdata

from airflow_provider_oauth.protocol.client_auth import CLIENT_AUTH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_oauth.protocol.config import OAuthConfig


#: Fields with what must not be quoted, beyond the connection's own secrets.
SHOWN = ("refresh_token", "code", "code_verifier", "token")


class EndpointInfo(NamedTuple):
    """What is asked of an authorization server, in words for people.

    :param name: what answers
    :param field: the label of the connection's field that says where it is
    """

    name: str
    field: str


TOKEN = EndpointInfo("token endpoint", "Token URL")
REFRESH = EndpointInfo("token endpoint", "Refresh URL")
REVOCATION = EndpointInfo("revocation endpoint", "Revocation URL")


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request to the authorization server, ready to be sent.

    :param place: what is asked
    :param method: of HTTP
    :param url: where it goes
    :param headers: all that matter
    :param body: the exact bytes
    :param secrets: what must not be quoted from it
    """

    place: EndpointInfo = TOKEN
    method: str = "POST"
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def where(self) -> str:
        """What is asked, and its URL, without the query, which may hold a secret."""
        parts = urlsplit(self.url)
        return f"the {self.place.name} {parts.scheme}://{parts.netloc}{parts.path}"


@dataclass(frozen=True, kw_only=True)
class TokenRequest(Request):
    """One request to the token endpoint, or to the one that revokes tokens.

    :param grant_type: what it asks by; nothing, if it revokes
    """

    grant_type: str = ""


def grant_request(config: OAuthConfig, scope: str | None = None) -> TokenRequest:
    """Build the request that repeats the connection's grant (RFC 6749 sections 4.3.2 and 4.4.2).

    :param config: a connection by client_credentials or password
    :param scope: instead of the connection's, separated by spaces
    """
    fields: dict[str, Any] = {"grant_type": config.grant_type}
    if config.grant_type == "password":
        fields |= {"username": config.username, "password": config.user_password}
    return _token_request(config, _token_url(config), fields | _access_fields(config, scope or config.scope))


def code_request(config: OAuthConfig, code: str, redirect_uri: str, code_verifier: str) -> TokenRequest:
    """Build the request that trades an authorization code for tokens (RFC 6749 section 4.1.3, RFC 7636 section 4.5).

    The resource is sent again (RFC 8707 section 2.2): without it, some servers issue a token for another API. Scope and
    audience are not: the code fixes both (RFC 6749 section 4.1.3 has no such parameters, and Auth0, which defines
    audience, reads it from the authorization request).

    :param config: a connection by authorization_code
    :param code: what the browser brought back
    :param redirect_uri: where it came back to: the same as it was asked for with
    :param code_verifier: what the challenge was made of; not sent if there was none (``skip_pkce``)
    """
    fields: dict[str, Any] = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
    }
    if not config.skip_pkce:
        fields["code_verifier"] = code_verifier
    return _token_request(config, _token_url(config), fields | _resource(config))


def refresh_request(config: OAuthConfig, refresh_token: str, access_token: str | None = None) -> TokenRequest:
    """Build the request that trades a refresh token for an access token (RFC 6749 section 6).

    The resource is sent with every refresh (RFC 8707 section 2.2): without it, some servers issue a token for another
    API. Scope and audience are sent only where this is the connection's only request: without a scope, the server keeps
    the one that was granted (RFC 6749 section 6), and no standard defines an audience here.

    :param config: a connection that has a refresh token
    :param refresh_token: what is traded
    :param access_token: the one that is to be replaced, for servers that want to see it (JustLogin)
    """
    fields: dict[str, Any] = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    if config.grant_type == "refresh_token":
        fields |= _access_fields(config, config.scope)
    fields |= _resource(config)
    bearer = access_token if config.refresh_bearer else None
    if config.refresh_url is None:
        return _token_request(config, _token_url(config), fields, bearer)
    return replace(_token_request(config, config.refresh_url, fields, bearer), place=REFRESH)


def revocation_request(config: OAuthConfig, token: str, hint: str) -> TokenRequest:
    """Build the request that revokes a token (RFC 7009 section 2.1): a form, whatever the token endpoint takes.

    :param config: the connection
    :param token: what is revoked
    :param hint: which kind it is: ``access_token`` or ``refresh_token``
    :raises ConfigurationError: if the connection does not say where tokens are revoked
    """
    if config.revoke_url is None:
        raise config.error(
            "revoke_url", "(Revocation URL) is missing; without it Airflow can only forget the tokens, not revoke them"
        )
    # Without grant_params: they belong to token requests.
    fields: dict[str, Any] = {"token": token, "token_type_hint": hint}
    headers = {"Accept": "application/json"}
    CLIENT_AUTH[config.client_auth].apply(config.client_id, config.client_secret, headers, fields)
    return replace(_request(config, config.revoke_url, headers, fields, "form"), place=REVOCATION)


def _token_url(config: OAuthConfig) -> str:
    if config.token_url is None:
        raise config.error("grant_url", "(Token URL) is missing, and was not read from the issuer's metadata")
    return config.token_url


def _access_fields(config: OAuthConfig, scope: str | None) -> dict[str, str]:
    """Return what the token is to be good for."""
    joined = config.scope_separator.join((scope or "").split())
    wanted = {"scope": joined, "audience": config.audience}
    return {name: value for name, value in wanted.items() if value} | _resource(config)


def _resource(config: OAuthConfig) -> dict[str, str]:
    """Return the parameter that names the API that the token is for (RFC 8707 section 2)."""
    return {"resource": config.resource} if config.resource else {}


def _token_request(config: OAuthConfig, url: str, fields: dict[str, Any], bearer: str | None = None) -> TokenRequest:
    headers: dict[str, str] = {"Accept": "application/json"}
    if bearer:
        headers["Authorization"] = f"Bearer {bearer}"
    CLIENT_AUTH[config.client_auth].apply(config.client_id, config.client_secret, headers, fields)
    for name, value in {**config.grant_params, **config.secret_grant_params}.items():
        fields.setdefault(name, value)
    return _request(config, url, headers, fields, config.body_format)


def _request(
    config: OAuthConfig, url: str, headers: dict[str, str], fields: dict[str, Any], body_format: str
) -> TokenRequest:
    body, headers["Content-Type"] = BODIES[body_format](fields)
    # What the request needs wins over what the connection adds; header names know no case.
    taken = {name.lower() for name in headers if name != "Accept"}
    added = {name: value for name, value in config.grant_headers.items() if name.lower() not in taken}
    if any(name.lower() == "accept" for name in added):
        del headers["Accept"]
    shown_by = (headers.get("Authorization", "").partition(" ")[2], *map(fields.get, SHOWN))
    return TokenRequest(
        grant_type=fields.get("grant_type", ""),
        url=url,
        headers={**headers, **added},
        body=body,
        secrets=config.secrets + tuple(secret for secret in shown_by if isinstance(secret, str) and secret),
    )


def _form(fields: Mapping[str, Any]) -> tuple[bytes, str]:
    return urlencode(pairs(fields)).encode("ascii"), "application/x-www-form-urlencoded"


def _json(fields: Mapping[str, Any]) -> tuple[bytes, str]:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode(), "application/json"


def _multipart(fields: Mapping[str, Any]) -> tuple[bytes, str]:
    return encode_multipart_formdata(pairs(fields))


def pairs(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the fields as texts: a list as a repeated field, everything else but a text as JSON writes it."""
    return [
        (name, value if isinstance(value, str) else json.dumps(value))
        for name, values in fields.items()
        for value in (values if isinstance(values, list) else [values])
    ]


BODIES = {"form": _form, "json": _json, "multipart": _multipart}
