"""A server that follows RFC 6749, with refresh token rotation (RFC 9700 §4.14.2)."""

from __future__ import annotations

from sandbox.server_config import ServerConfig

SERVER = ServerConfig(
    name="standard",
    grants=(
        "authorization_code",
        "client_credentials",
        "password",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:device_code",
    ),
    client_auth=(
        "client_secret_basic",
        "client_secret_post",
        "private_key_jwt",
        "client_secret_jwt",
        "none",
    ),
    scopes=("read", "write", "admin", "openid"),
    revoke_path="/revoke",
    par_path="/par",
    device_path="/device_authorization",
    issues_id_tokens=True,
    publishes_metadata=True,
    sends_issuer=True,
)
