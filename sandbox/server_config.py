"""The configuration of one authorization server and its API: how it differs from the other servers of the sandbox."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fastapi import APIRouter
    from fastapi.responses import Response

    from sandbox.state import State

GrantType = Literal[
    "client_credentials",
    "password",
    "refresh_token",
    "authorization_code",
    "urn:ietf:params:oauth:grant-type:device_code",
]
BodyFormat = Literal["form", "multipart", "json"]
ErrorStyle = Literal["rfc6749", "league"]
#: ``client_secret_basic_raw`` is this project's name for HTTP Basic without form encoding of client ID and secret.
ClientAuth = Literal[
    "client_secret_basic",
    "client_secret_basic_raw",
    "client_secret_post",
    "private_key_jwt",
    "client_secret_jwt",
    "none",
]


@dataclass(frozen=True)
class ServerConfig:
    """Describes one authorization server and its API.

    :param name: The name of the server, which is also the first part of its paths.
    :param grants: The supported grant types.
    :param body_format: The only body format that the token endpoint accepts.
    :param client_auth: The accepted client authentication methods. ``none`` is for public clients.
    :param scopes: All scopes that exist.
    :param access_lifetime: Lifetime of access tokens in seconds, for all grant types or per grant type.
    :param refresh_lifetime: Lifetime of refresh tokens in seconds; ``None`` for unlimited.
    :param code_lifetime: Lifetime of authorization codes in seconds.
    :param rotates_refresh_tokens: Refresh tokens are single-use: each refresh returns a new one.
    :param client_credentials_refresh: client_credentials returns a refresh token too.
    :param bearer_with_refresh: A refresh request may carry the old access token in the ``Authorization`` header.
    :param sends_scope: Whether responses contain ``scope``; ``None`` for only when RFC 6749 §5.1 requires it.
    :param error_style: The format of error responses.
    :param invalid_grant_hints: For these grant types, an invalid refresh token or code is an ``invalid_request`` with
        this hint instead of an ``invalid_grant``.
    :param extra_response_fields: Returns additional fields of a token response for the ID of a grant.
    :param token_path: Path of the token endpoint, relative to the server.
    :param authorize_path: Path of the authorization endpoint, relative to the server.
    :param revoke_path: Path of the revocation endpoint, relative to the server; ``None`` for no such endpoint.
    :param par_path: Path of the pushed authorization request endpoint (RFC 9126), relative to the server; ``None`` for
        no such endpoint.
    :param device_path: Path of the device authorization endpoint (RFC 8628), relative to the server; ``None`` for no
        such endpoint.
    :param requires_par: The authorization endpoint accepts only pushed authorization requests.
    :param issues_id_tokens: The token response for a code has an ID token if ``openid`` was requested.
    :param publishes_metadata: Serves metadata at ``.well-known/openid-configuration``, relative to the server.
    :param callback_values: Values that the user can change on the authorization page, and that authorization responses
        contain, such as the ID of a company.
    :param sends_issuer: Authorization responses contain ``iss`` (RFC 9207).
    :param api_path: Path of the API, relative to the server.
    :param add_api: Adds the routes of the vendor's API to a router that has validated the access token and stored it
        in ``request.state.token``; ``None`` for the generic API.
    :param api_error: Creates an error response of that API from its status and its members.
    """

    name: str
    grants: tuple[GrantType, ...]
    body_format: BodyFormat = "form"
    client_auth: tuple[ClientAuth, ...] = ("client_secret_basic", "client_secret_post", "none")
    scopes: tuple[str, ...] = ("read", "write", "admin")
    access_lifetime: int | Mapping[str, int] = 3600
    refresh_lifetime: int | None = None
    code_lifetime: int = 600
    rotates_refresh_tokens: bool = True
    client_credentials_refresh: bool = False
    bearer_with_refresh: bool = False
    sends_scope: bool | None = None
    error_style: ErrorStyle = "rfc6749"
    invalid_grant_hints: Mapping[str, str] = field(default_factory=dict)
    extra_response_fields: Callable[[str], dict[str, Any]] | None = None
    token_path: str = "/token"  # noqa: S105 - a path
    authorize_path: str = "/authorize"
    revoke_path: str | None = None
    par_path: str | None = None
    device_path: str | None = None
    requires_par: bool = False
    issues_id_tokens: bool = False
    publishes_metadata: bool = False
    callback_values: Mapping[str, str] = field(default_factory=dict)
    sends_issuer: bool = False
    api_path: str = "/api"
    add_api: Callable[[APIRouter, ServerConfig, State], None] | None = None
    api_error: Callable[[int, dict[str, Any]], Response] | None = None
