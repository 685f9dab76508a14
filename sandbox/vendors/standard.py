"""A server by the book: RFC 6749, with the refresh token rotation that RFC 9700 §4.14.2 asks for."""

from __future__ import annotations

from sandbox.authorization import Server

SERVER = Server(
    name="standard",
    grants=("authorization_code", "client_credentials", "password", "refresh_token"),
    revoke_path="/revoke",
    publishes_metadata=True,
    states_issuer=True,
)
