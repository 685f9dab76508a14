"""A server that takes a JSON body, credentials included, and gives a refresh token with every grant."""

from __future__ import annotations

from sandbox.authorization import Server

SERVER = Server(
    name="jsonbody",
    grants=("client_credentials", "password", "refresh_token"),
    body_format="json",
    client_auth=("client_secret_post",),
    client_credentials_refresh=True,
)
