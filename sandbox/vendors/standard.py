"""A server that follows RFC 6749, with refresh token rotation (RFC 9700 §4.14.2)."""

from __future__ import annotations

from sandbox.server_config import ServerConfig

SERVER = ServerConfig(
    name="standard",
    grants=("authorization_code", "client_credentials", "password", "refresh_token"),
    revoke_path="/revoke",
    publishes_metadata=True,
    sends_issuer=True,
)
