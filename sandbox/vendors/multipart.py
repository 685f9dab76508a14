"""A server that takes multipart/form-data only and knows only the password grant, as JOOR's does.

It gives refresh tokens, but documents no grant to use them with.
"""

from __future__ import annotations

from typing import Any

from sandbox.authorization import Server

_REFRESH_LIFETIME = 86400


def password_server(name: str, scopes: tuple[str, ...], **more: Any) -> Server:
    """Return a server of this kind.

    :param more: Further fields of the :class:`~sandbox.authorization.Server`.
    """
    return Server(
        name=name,
        grants=("password",),
        body_format="multipart",
        client_auth=("client_secret_post",),
        scopes=scopes,
        access_lifetime=36000,
        refresh_lifetime=_REFRESH_LIFETIME,
        states_scope=True,
        answer_fields=_keycloak_fields,
        **more,
    )


def _keycloak_fields(family: str) -> dict[str, Any]:
    """Further fields of the answer in JOOR's documents; they look like Keycloak's."""
    return {"refresh_expires_in": _REFRESH_LIFETIME, "not-before-policy": 0, "session_state": family}


SERVER = password_server("multipart", ("email", "profile", "read", "write", "admin"))
