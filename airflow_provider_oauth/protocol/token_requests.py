"""Builds the requests to the token endpoint and the revocation endpoint. Pure functions, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from airflow_provider_oauth.protocol.assertions import grant_assertion
from airflow_provider_oauth.protocol.client_auth import CLIENT_AUTH, ClientAuthContext
from airflow_provider_oauth.protocol.credentials import NO_CREDENTIALS, loaded
from airflow_provider_oauth.protocol.field_labels import LABELS
from airflow_provider_oauth.protocol.redaction import PREFIX_LENGTH
from airflow_provider_oauth.protocol.request_formats import encoded
from airflow_provider_oauth.protocol.request_parameters import renamed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.credentials import Credentials


#: Fields of a request whose values are redacted in errors, in addition to the secrets of the connection.
SECRET_FIELDS = ("refresh_token", "code", "code_verifier", "token", "state", "nonce", "device_code")
#: Fields with a token that proves the identity of the client or of a user.
ASSERTION_FIELDS = ("client_assertion", "assertion", "subject_token")


class EndpointInfo(NamedTuple):
    """How errors name an endpoint of the authorization server.

    :param name: the term of the RFCs
    :param field: field of the connection that has its URL
    """

    name: str
    field: str

    @property
    def label(self) -> str:
        """The field's label in the connection form."""
        return LABELS[self.field]

    def name_in(self, config: OAuthConfig) -> str:
        """Return the name of the endpoint in the errors of a connection, with the name of its vendor."""
        return f"{self.name} of {config.vendor_label}" if config.vendor_label else self.name


TOKEN = EndpointInfo("token endpoint", "token_url")
REFRESH = EndpointInfo("token endpoint", "refresh_url")
REVOCATION = EndpointInfo("revocation endpoint", "revoke_url")
PAR = EndpointInfo("pushed authorization request endpoint", "par_url")
DEVICE = EndpointInfo("device authorization endpoint", "device_url")


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request to the authorization server, ready to be sent.

    :param endpoint: which endpoint it is for
    :param method: HTTP method
    :param url: URL of the endpoint
    :param headers: the headers, without those that the requests library adds
    :param body: exact bytes of the body
    :param secrets: values that must be redacted in errors
    """

    endpoint: EndpointInfo = TOKEN
    method: str = "POST"
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def shown_url(self) -> str:
        """The URL without its query, which may contain a secret."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}{parts.path}"


@dataclass(frozen=True, kw_only=True)
class TokenRequest(Request):
    """One request to the token endpoint, or to another endpoint at which the client authenticates.

    :param grant_type: the grant, under its name in this package: ``client_credentials``, for example, although another
        name may be sent (``grant_name``); "" if the request is not for the token endpoint
    :param assertions: the tokens in the request that prove the identity of the client or of a user
    """

    grant_type: str = ""
    assertions: tuple[str, ...] = field(default=(), repr=False)


def grant_request(
    config: OAuthConfig, scope: str | None = None, *, now: datetime, credentials: Credentials = NO_CREDENTIALS
) -> TokenRequest:
    """Build the request for a grant that can be repeated.

    These are the password and client credentials grants (RFC 6749 sections 4.3.2 and 4.4.2), the JWT bearer grant
    (RFC 7523 section 2.1) and the token exchange (RFC 8693 section 2.1).

    :param config: the connection
    :param scope: scope to request, separated by spaces; None for the scope of the connection
    :param now: time of the request, with a time zone
    :param credentials: the signing key and the tokens from files that the request needs
    """
    fields: dict[str, Any] = {"grant_type": config.grant_type}
    if config.grant_type == "password":
        fields |= {"username": config.username, "password": config.user_password}
    access = access_fields(config, scope or config.scope)
    if config.grant_type == "jwt_bearer":
        fields["assertion"] = _grant_assertion(config, credentials, now, access)
    elif scope and "scope" in config.assertion_claims and _signs_client_assertion(config, credentials):
        # A server that reads the scope from the client assertion, such as NetSuite, ignores the parameter.
        config = replace(config, assertion_claims={**config.assertion_claims, "scope": access.pop("scope")})
    if config.grant_type == "token_exchange":
        fields |= {"subject_token": loaded(credentials.subject_token), "subject_token_type": config.subject_token_type}
    return _token_request(config, TOKEN, _token_url(config), fields | access, now, credentials)


def code_request(
    config: OAuthConfig,
    code: str,
    redirect_uri: str,
    code_verifier: str,
    *,
    now: datetime,
    credentials: Credentials = NO_CREDENTIALS,
) -> TokenRequest:
    """Build the request that exchanges an authorization code (RFC 6749 section 4.1.3, RFC 7636 section 4.5).

    The resource is sent again (RFC 8707 section 2.2): without it, some servers issue a token for another API. Scope and
    audience are not sent: the code determines both. RFC 6749 section 4.1.3 has no such parameters, and Auth0, which
    defines audience, reads it from the authorization request.

    :param config: a connection with the authorization code grant
    :param code: the authorization code
    :param redirect_uri: the redirect URI of the authorization request
    :param code_verifier: the PKCE code verifier; not sent if the connection turns PKCE off (``skip_pkce``)
    :param now: time of the request, with a time zone
    :param credentials: the signing key and the tokens from files that the request needs
    """
    fields: dict[str, Any] = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
    }
    if not config.skip_pkce:
        fields["code_verifier"] = code_verifier
    return _token_request(config, TOKEN, _token_url(config), fields | _resource(config), now, credentials)


def device_token_request(
    config: OAuthConfig, device_code: str, *, now: datetime, credentials: Credentials = NO_CREDENTIALS
) -> TokenRequest:
    """Build the request that asks whether the user has authorized a device (RFC 8628 section 3.4).

    The resource is sent again, as with an authorization code.

    :param config: a connection with the authorization code grant
    :param device_code: the device code
    :param now: time of the request, with a time zone
    :param credentials: the signing key and the tokens from files that the request needs
    """
    fields: dict[str, Any] = {"grant_type": "device_code", "device_code": device_code, **_resource(config)}
    return _token_request(config, TOKEN, _token_url(config), fields, now, credentials)


def refresh_request(
    config: OAuthConfig,
    refresh_token: str,
    access_token: str | None = None,
    *,
    now: datetime,
    credentials: Credentials = NO_CREDENTIALS,
) -> TokenRequest:
    """Build the request that exchanges a refresh token for an access token (RFC 6749 section 6).

    The resource is sent with every refresh (RFC 8707 section 2.2): without it, some servers issue a token for another
    API. Scope and audience are sent only if the connection's grant type is ``refresh_token``, because such a connection
    sends no other request. For other grant types, the server keeps the granted scope (RFC 6749 section 6), and no
    standard defines an audience in this request.

    :param config: the connection
    :param refresh_token: the refresh token to use
    :param access_token: the access token that is replaced; sent only if the preset requires it (JustLogin)
    :param now: time of the request, with a time zone
    :param credentials: the signing key and the tokens from files that the request needs
    """
    fields: dict[str, Any] = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    if config.grant_type == "refresh_token":
        fields |= access_fields(config, config.scope)
    fields |= _resource(config)
    bearer = access_token if config.refresh_bearer else None
    if config.refresh_url is None:
        return _token_request(config, TOKEN, _token_url(config), fields, now, credentials, bearer)
    return _token_request(config, REFRESH, config.refresh_url, fields, now, credentials, bearer)


def revocation_request(
    config: OAuthConfig, token: str, hint: str, *, now: datetime, credentials: Credentials = NO_CREDENTIALS
) -> TokenRequest:
    """Build the request that revokes a token (RFC 7009 section 2.1). Its body is always form-encoded.

    :param config: the connection
    :param token: the token to revoke
    :param hint: type of the token: ``access_token`` or ``refresh_token``
    :param now: time of the request, with a time zone
    :param credentials: the signing key and the tokens from files that the request needs
    :raises ConfigurationError: if the connection has no revocation URL
    """
    if config.revoke_url is None:
        raise config.error(
            "revoke_url",
            "is missing, so Airflow can delete the tokens (Forget), but not revoke them. Set Revocation URL if the "
            "server has one",
        )
    fields: dict[str, Any] = {"token": token, "token_type_hint": hint}
    return client_request(config, REVOCATION, config.revoke_url, fields, now=now, credentials=credentials)


def client_request(
    config: OAuthConfig,
    endpoint: EndpointInfo,
    url: str,
    fields: Mapping[str, Any],
    added: Mapping[str, Any] | None = None,
    *,
    now: datetime,
    credentials: Credentials,
) -> TokenRequest:
    """Build a request with client authentication to another endpoint than the token endpoint.

    Its body is form-encoded, as the RFCs require. It has no ``grant_params``, because they are for token requests.

    :param config: the connection
    :param endpoint: the endpoint
    :param url: its URL
    :param fields: the parameters under their standard names, without those that authenticate the client
    :param added: parameters that the connection adds; they are not renamed
    :param now: time of the request, with a time zone
    :param credentials: the signing key and the tokens from files that the request needs
    """
    headers, fields = {"Accept": "application/json"}, dict(fields)
    _authenticate(config, headers, fields, now, credentials)
    parameters = {**(added or {}), **renamed(config, fields)}
    return _request(config, endpoint, url, headers, parameters, "form", fields)


def _token_url(config: OAuthConfig) -> str:
    if config.token_url is None:
        raise config.error("token_url", "is missing and was not read from the issuer's metadata. Set Token URL")
    return config.token_url


def access_fields(config: OAuthConfig, scope: str | None) -> dict[str, str]:
    """Return the parameters that say what the token gives access to: scope, audience and resource."""
    joined = config.scope_separator.join((scope or "").split())
    values = {"scope": joined, "audience": config.audience}
    return {name: value for name, value in values.items() if value} | _resource(config)


def _grant_assertion(config: OAuthConfig, credentials: Credentials, now: datetime, access: dict[str, str]) -> str:
    """Return the assertion of a JWT bearer grant.

    :param access: the parameters from ``access_fields``; if the assertion has the scope, it is removed from them
    """
    if credentials.assertion:
        return credentials.assertion
    key = loaded(credentials.signing_key)
    # Google reads the scope from the assertion (developers.google.com/identity/protocols/oauth2/service-account). So do
    # servers for which the connection has this claim, such as DocuSign; a task's own scope replaces it.
    is_claim = key.issuer is not None or "scope" in config.assertion_claims
    scope = access.pop("scope", "") if is_claim else ""
    return grant_assertion(config, key, credentials.new_jwt_id(), now, scope)


def _signs_client_assertion(config: OAuthConfig, credentials: Credentials) -> bool:
    return config.client_auth in ("private_key_jwt", "client_secret_jwt") and credentials.assertion is None


def _resource(config: OAuthConfig) -> dict[str, str]:
    """Return the parameter that identifies the API (RFC 8707 section 2)."""
    return {"resource": config.resource} if config.resource else {}


def _token_request(
    config: OAuthConfig,
    endpoint: EndpointInfo,
    url: str,
    fields: dict[str, Any],
    now: datetime,
    credentials: Credentials,
    bearer: str | None = None,
) -> TokenRequest:
    headers: dict[str, str] = {"Accept": "application/json"}
    if bearer:
        headers["Authorization"] = f"Bearer {bearer}"
    grant_type = fields["grant_type"]
    fields["grant_type"] = config.wire_grant_type(grant_type)
    _authenticate(config, headers, fields, now, credentials)
    parameters = renamed(config, fields)
    for name, value in {**config.grant_params, **config.secret_grant_params}.items():
        parameters.setdefault(name, value)  # the scope of a call takes precedence
    body_format = "query" if config.is_get else config.body_format
    request = _request(config, endpoint, url, headers, parameters, body_format, fields)
    return replace(request, method=config.token_method, grant_type=grant_type)


def _authenticate(
    config: OAuthConfig, headers: dict[str, str], fields: dict[str, Any], now: datetime, credentials: Credentials
) -> None:
    context = ClientAuthContext(config=config, credentials=credentials, now=now)
    CLIENT_AUTH[config.client_auth].apply(context, headers, fields)


def _request(
    config: OAuthConfig,
    endpoint: EndpointInfo,
    url: str,
    headers: dict[str, str],
    parameters: Mapping[str, Any],
    body_format: str,
    fields: Mapping[str, Any],
) -> TokenRequest:
    """Return a POST request.

    :param headers: the headers that this package sets
    :param parameters: all parameters, under the names that are sent
    :param body_format: where the parameters are sent
    :param fields: the parameters under their standard names, for redaction and masking
    """
    if body_format == "query":
        _check_query(config, endpoint, url, parameters)
    url, body, content_type = encoded(url, parameters, body_format)
    if content_type:
        headers["Content-Type"] = content_type
    # The connection's headers can replace Accept, but no other header that the request needs. Names of headers are
    # case-insensitive.
    reserved = {name.lower() for name in headers if name != "Accept"}
    own = {**config.grant_headers, **config.secret_grant_headers}
    added = {name: value for name, value in own.items() if name.lower() not in reserved}
    if any(name.lower() == "accept" for name in added):
        del headers["Accept"]
    return TokenRequest(
        endpoint=endpoint,
        url=url,
        headers={**headers, **added},
        body=body,
        secrets=config.secrets + _secrets(headers, fields),
        assertions=_assertions(fields),
    )


def _check_query(config: OAuthConfig, endpoint: EndpointInfo, url: str, parameters: Mapping[str, Any]) -> None:
    """Check that the URL does not contain a parameter of the request, which would then be sent twice."""
    for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True):
        if name in parameters:
            problem = f"has {name!r} in its query, but this parameter is added to each request. Remove it from the URL"
            raise config.error(endpoint.field, problem)


def _secrets(headers: Mapping[str, str], fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the secrets of a request that are not in the connection, for redaction.

    :param fields: the parameters under their standard names
    """
    assertions = _assertions(fields)
    # A server may quote only the payload or the signature of a JWT. Shorter parts are not those of a JWT.
    parts = [part for assertion in assertions for part in assertion.split(".") if len(part) >= PREFIX_LENGTH]
    basic = headers.get("Authorization", "").partition(" ")[2]
    found = (basic, *map(fields.get, SECRET_FIELDS), *assertions, *parts)
    return tuple(secret for secret in found if isinstance(secret, str) and secret)


def _assertions(fields: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(fields[name] for name in ASSERTION_FIELDS if name in fields)
