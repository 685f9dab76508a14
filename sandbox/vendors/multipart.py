"""A server that accepts only multipart/form-data and supports only the password grant, like JOOR's.

Its responses contain refresh tokens, but there is no grant to use them.
"""

from __future__ import annotations

from typing import Any

from sandbox.server_config import ServerConfig

_REFRESH_LIFETIME = 86400


def password_server(name: str, scopes: tuple[str, ...], **more: Any) -> ServerConfig:
    """Return the configuration of a server of this kind.

    :param more: The other fields of :class:`~sandbox.server_config.ServerConfig`.
    """
    return ServerConfig(
        name=name,
        grants=("password",),
        body_format="multipart",
        client_auth=("client_secret_post",),
        scopes=scopes,
        access_lifetime=36000,
        refresh_lifetime=_REFRESH_LIFETIME,
        sends_scope=True,
        extra_response_fields=_keycloak_fields,
        **more,
    )


def _keycloak_fields(family: str) -> dict[str, Any]:
    """Return the additional response fields in JOOR's documentation. They look like those of Keycloak."""
    return {"refresh_expires_in": _REFRESH_LIFETIME, "not-before-policy": 0, "session_state": family}


SERVER = password_server("multipart", ("email", "profile", "read", "write", "admin"))
