"""The consent page, PKCE, revocation and metadata of Authlib's authorization server.

Any user can log in without a password. The tokens are for the entered user name.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, grants
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oauth2.rfc9207 import AuthorizationServerMetadata as IssuerMetadata
from authlib.oauth2.rfc9207 import IssuerParameter
from authlib.oidc.core import UserInfo
from authlib.oidc.core.grants import OpenIDCode
from flask import jsonify, render_template_string, request
from joserfc.jwk import RSAKey

if TYPE_CHECKING:
    from authlib.integrations.flask_oauth2 import AuthorizationServer
    from authlib.oauth2 import OAuth2Request
    from flask import Flask, Response

    from tests.integration.authlib_server import Client, Server, Token

PAGE = """<!doctype html><html lang="en"><title>Authlib: allow access</title>
<h1>Authlib</h1><p><b>{{ grant.client.client_id }}</b> requests access ({{ grant.request.scope }}).</p>
<form method="post"><label>User name <input name="username" value="ada"></label>
<button name="consent" value="yes">Allow</button> <button name="consent" value="no">Deny</button></form></html>"""


@dataclass
class Code(AuthorizationCodeMixin):
    """An authorization code, as Authlib's model."""

    value: str
    client: Client
    user: str
    redirect_uri: str
    scope: str
    code_challenge: str | None
    code_challenge_method: str | None
    nonce: str | None
    issued_at: float = field(default_factory=time.time)

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str | None:
        return self.nonce

    def get_auth_time(self) -> None:
        return None

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


def add_consent(app: Flask, authorization: AuthorizationServer, server: Server, auth_methods: list[str]) -> None:
    """Add the authorization, revocation and metadata endpoints.

    :param auth_methods: allowed client authentication methods
    """
    issuer = _issuer(server)
    authorization.register_extension(issuer)
    authorization.register_grant(_code_grant(server, auth_methods), [CodeChallenge(required=True), _id_tokens(server)])
    authorization.register_endpoint(_revocation(server, auth_methods))

    @app.get("/authorize")
    def page() -> str | Response:
        try:
            grant = authorization.get_consent_grant()
        except OAuth2Error as error:
            return refuse(error)
        return render_template_string(PAGE, grant=grant)

    @app.post("/authorize")
    def consent() -> Response:
        user = request.form["username"]
        try:
            grant = authorization.get_consent_grant(end_user=user)
        except OAuth2Error as error:
            return refuse(error)
        allowed = request.form["consent"] == "yes"
        return authorization.create_authorization_response(grant=grant, grant_user=user if allowed else None)

    def refuse(error: OAuth2Error) -> Response:
        response = authorization.handle_error_response(request, error)
        # Authlib adds it only to responses of create_authorization_response.
        issuer.add_issuer_parameter(authorization, response)
        return response

    @app.post("/revoke")
    def revoke() -> Response:
        response = authorization.create_endpoint_response("revocation")
        server.revocations.append(response.status_code)
        return response

    @app.get("/.well-known/oauth-authorization-server")
    def metadata() -> Response:
        document = _metadata(server.url, auth_methods)
        document.validate(metadata_classes=[IssuerMetadata])
        return jsonify(document)


def _metadata(url: str, auth_methods: list[str]) -> AuthorizationServerMetadata:
    return AuthorizationServerMetadata(
        issuer=url,
        authorization_endpoint=f"{url}/authorize",
        token_endpoint=f"{url}/token",
        revocation_endpoint=f"{url}/revoke",
        response_types_supported=["code"],
        grant_types_supported=["authorization_code", "client_credentials", "password", "refresh_token"],
        token_endpoint_auth_methods_supported=auth_methods,
        revocation_endpoint_auth_methods_supported=auth_methods,
        code_challenge_methods_supported=["S256"],
        authorization_response_iss_parameter_supported=True,
    )


def _issuer(server: Server) -> IssuerParameter:
    class Issuer(IssuerParameter):
        def get_issuer(self) -> str:
            return server.url

    return Issuer()


def _code_grant(server: Server, auth_methods: list[str]) -> type:
    """Return Authlib's authorization code grant, with codes stored in memory."""
    codes: dict[str, Code] = {}

    class AuthorizationCode(grants.AuthorizationCodeGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = auth_methods

        def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
            payload = request.payload
            names = ("code_challenge", "code_challenge_method", "nonce")
            values = (payload.data.get(name) for name in names)
            codes[code] = Code(code, request.client, request.user, payload.redirect_uri, request.scope, *values)

        def query_authorization_code(self, code: str, client: Client) -> Code | None:
            found = codes.get(code)
            if found is None or found.client is not client:
                return None
            return found if time.time() < found.issued_at + server.code_lifetime else None

        def delete_authorization_code(self, authorization_code: Code) -> None:
            del codes[authorization_code.value]

        def authenticate_user(self, authorization_code: Code) -> str:
            return authorization_code.user

    return AuthorizationCode


def _id_tokens(server: Server) -> OpenIDCode:
    """Return Authlib's extension that issues ID tokens if the scope contains ``openid``."""

    class IDTokens(OpenIDCode):
        key = RSAKey.generate_key(2048)

        def resolve_client_private_key(self, client: Client) -> RSAKey:
            return self.key

        def get_client_claims(self, client: Client) -> dict[str, Any]:
            return {"iss": server.url, "aud": [client.get_client_id()]}

        def exists_nonce(self, nonce: str, request: OAuth2Request) -> bool:
            return False

        def generate_user_info(self, user: str, scope: str) -> UserInfo:
            return UserInfo(sub=f"id of {user}")

    return IDTokens()


def _revocation(server: Server, auth_methods: list[str]) -> type:
    """Return Authlib's revocation endpoint with access to the tokens of ``server``."""

    class Revocation(RevocationEndpoint):
        CLIENT_AUTH_METHODS = auth_methods

        def query_token(self, token_string: str, token_type_hint: str | None) -> Token | None:
            found = (each for each in server.tokens if token_string in (each.access_token, each.refresh_token))
            return next(found, None)

        def revoke_token(self, token: Token, request: OAuth2Request) -> None:
            # As in Authlib's documentation of this method.
            token.access_revoked = True
            if request.form["token"] == token.refresh_token:
                token.refresh_revoked = True

    return Revocation
