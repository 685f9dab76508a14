"""A server that takes a JSON body, credentials included, and gives a refresh token with every grant.

Its codes end in ``%3D`` and its refresh tokens in ``%3d``: whoever decodes them has another value, which is refused.
"""

from __future__ import annotations

from sandbox.authorization import Server

SERVER = Server(
    name="jsonbody",
    # Not implicit: its answer is for a browser, and the authorization endpoint's.
    grants=("authorization_code", "client_credentials", "password", "refresh_token"),
    body_format="json",
    client_auth=("client_secret_post",),
    client_credentials_refresh=True,
    # A form nevertheless, as everywhere.
    revoke_path="/revoke",
    publishes_metadata=True,
)
