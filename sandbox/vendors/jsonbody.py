"""A server that accepts a JSON body with credentials, and returns a refresh token for every grant.

Its codes end in ``%3D`` and its refresh tokens in ``%3d``. A client that decodes them sends another value, which is
refused.
"""

from __future__ import annotations

from sandbox.server_config import ServerConfig

SERVER = ServerConfig(
    name="jsonbody",
    # The implicit grant is missing: its response comes from the authorization endpoint and is meant for a browser.
    grants=("authorization_code", "client_credentials", "password", "refresh_token"),
    body_format="json",
    client_auth=("client_secret_post",),
    client_credentials_refresh=True,
    # RFC 7009: always a form.
    revoke_path="/revoke",
    publishes_metadata=True,
    # As at QuickBooks, the user chooses a company on the authorization page.
    callback_values={"realmId": "1"},
)
