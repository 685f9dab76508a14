"""An independent authorization server for tests: Authlib's, on Flask, over a real loopback socket.

Authlib decides which requests to accept. This module only stores clients, users and tokens in memory and records
requests::

    with serve(expires_in=60) as server:
        server.add_client("id", "fake-secret", auth_method="client_secret_post", scope="read")
        requests.post(server.token_url, ...)
        server.requests[-1]      # TokenRequest(grant_type="client_credentials", status=200)

The login and consent page, revocation and metadata are in :mod:`tests.integration.authlib_consent`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector, current_token
from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin, grants
from authlib.oauth2.rfc6750 import BearerTokenValidator
from flask import Flask, jsonify, request
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.integration.authlib_consent import add_consent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from authlib.oauth2 import OAuth2Request
    from flask import Response

AUTH_METHODS = ["client_secret_basic", "client_secret_post", "none"]
GRANT_TYPES = ("client_credentials", "password", "refresh_token", "authorization_code")


@dataclass
class Client(ClientMixin):
    """A client, as Authlib's model."""

    client_id: str
    client_secret: str
    auth_method: str
    scope: str
    grant_types: tuple[str, ...]
    redirect_uris: tuple[str, ...] = ()

    def get_client_id(self) -> str:
        return self.client_id

    def get_allowed_scope(self, scope: str | None) -> str:
        # As in Authlib's documentation of this method.
        return " ".join(name for name in (scope or "").split() if name in self.scope.split())

    def check_client_secret(self, client_secret: str) -> bool:
        return secrets.compare_digest(self.client_secret.encode(), client_secret.encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return self.auth_method == method

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.grant_types

    def get_default_redirect_uri(self) -> None:
        return None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.redirect_uris

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code" and self.check_grant_type("authorization_code")


@dataclass
class Token(TokenMixin):
    """The tokens of one response, as Authlib's model."""

    client: Client
    user: str | None
    access_token: str
    expires_in: int
    scope: str = ""
    refresh_token: str | None = None
    token_type: str = "Bearer"
    issued_at: float = field(default_factory=time.time)
    access_revoked: bool = False
    refresh_revoked: bool = False

    def check_client(self, client: Client) -> bool:
        return self.client.client_id == client.client_id

    def get_scope(self) -> str:
        return self.scope

    def get_expires_in(self) -> int:
        return self.expires_in

    def is_expired(self) -> bool:
        return time.time() >= self.issued_at + self.expires_in

    def is_revoked(self) -> bool:
        return self.access_revoked

    def get_user(self) -> str | None:
        return self.user

    def get_client(self) -> Client:
        return self.client


@dataclass(frozen=True)
class TokenRequest:
    """A token request and the status of its response."""

    grant_type: str | None
    status: int
    error: str | None


@dataclass
class Server:
    """A running server: its clients, users and tokens, and a record of all requests.

    :param requests: token requests
    :param api_statuses: statuses of the API's responses
    :param paths: paths of all requests
    :param revocations: statuses of the responses to revocation requests
    :param code_lifetime: lifetime of an authorization code in seconds
    """

    url: str = ""
    clients: dict[str, Client] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=dict)
    tokens: list[Token] = field(default_factory=list)
    requests: list[TokenRequest] = field(default_factory=list)
    api_statuses: list[int] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    revocations: list[int] = field(default_factory=list)
    code_lifetime: int = 600

    @property
    def token_url(self) -> str:
        return f"{self.url}/token"

    @property
    def issued(self) -> list[str]:
        """All issued access and refresh tokens."""
        return [value for token in self.tokens for value in (token.access_token, token.refresh_token) if value]

    def add_client(
        self,
        client_id: str,
        client_secret: str = "",
        auth_method: str = "client_secret_basic",
        scope: str = "read write",
        grant_types: tuple[str, ...] = GRANT_TYPES,
        redirect_uris: tuple[str, ...] = (),
    ) -> Client:
        client = Client(client_id, client_secret, auth_method, scope, grant_types, redirect_uris)
        self.clients[client_id] = client
        return client

    def add_user(self, username: str, password: str) -> None:
        self.users[username] = password

    def revoke_access_tokens(self) -> None:
        for token in self.tokens:
            token.access_revoked = True


class _QuietHandler(WSGIRequestHandler):
    """Does not log requests to the console."""

    def log_request(self, *args: object) -> None:
        pass


@contextlib.contextmanager
def serve(expires_in: int = 3600) -> Iterator[Server]:
    """Run the server in a background thread.

    :param expires_in: lifetime of an access token in seconds
    """
    server = Server()
    http = make_server("127.0.0.1", 0, _app(server, expires_in), threaded=True, request_handler=_QuietHandler)
    server.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, name="authlib", daemon=True)
    before = os.environ.get("AUTHLIB_INSECURE_TRANSPORT")
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join(10)
        http.server_close()
        os.environ.pop("AUTHLIB_INSECURE_TRANSPORT")
        if before is not None:
            os.environ["AUTHLIB_INSECURE_TRANSPORT"] = before


def _app(server: Server, expires_in: int) -> Flask:
    app = Flask("authlib_server")
    app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = True
    app.config["OAUTH2_TOKEN_EXPIRES_IN"] = dict.fromkeys(GRANT_TYPES, expires_in)

    def save_token(token: dict[str, Any], oauth_request: OAuth2Request) -> None:
        server.tokens.append(Token(oauth_request.client, oauth_request.user, **token))

    authorization = AuthorizationServer(app, query_client=server.clients.get, save_token=save_token)
    for grant in _grants(server):
        authorization.register_grant(grant)
    add_consent(app, authorization, server, AUTH_METHODS)
    require_oauth = _protector(server)

    @app.post("/token")
    def token() -> Response:
        response = authorization.create_token_response()
        error = response.get_json(force=True).get("error")
        server.requests.append(TokenRequest(request.form.get("grant_type"), response.status_code, error))
        return response

    @app.route("/api/me", methods=["GET", "POST"])
    @require_oauth("read")
    def me() -> Response:
        return jsonify(client_id=current_token.client.client_id, user=current_token.user, scope=current_token.scope)

    @app.get("/api/admin")
    @require_oauth("admin")
    def admin() -> Response:
        return jsonify(admin=True)

    @app.after_request
    def count(response: Response) -> Response:
        server.paths.append(request.path)
        if request.path.startswith("/api/"):
            server.api_statuses.append(response.status_code)
        return response

    return app


def _grants(server: Server) -> list[type]:
    """Return Authlib's grants with access to the users and tokens of ``server``."""

    class ClientCredentials(grants.ClientCredentialsGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    class Password(grants.ResourceOwnerPasswordCredentialsGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

        def authenticate_user(self, username: str, password: str) -> str | None:
            return username if server.users.get(username) == password else None

    class Refresh(grants.RefreshTokenGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS
        INCLUDE_NEW_REFRESH_TOKEN = True

        def authenticate_refresh_token(self, refresh_token: str) -> Token | None:
            valid = (token for token in server.tokens if not token.refresh_revoked)
            return next((token for token in valid if token.refresh_token == refresh_token), None)

        def authenticate_user(self, refresh_token: Token) -> str | None:
            return refresh_token.user

        def revoke_old_credential(self, refresh_token: Token) -> None:
            refresh_token.refresh_revoked = True

    return [ClientCredentials, Password, Refresh]


def _protector(server: Server) -> ResourceProtector:
    class Validator(BearerTokenValidator):
        def authenticate_token(self, token_string: str) -> Token | None:
            return next((token for token in server.tokens if token.access_token == token_string), None)

    protector = ResourceProtector()
    protector.register_token_validator(Validator())
    return protector
