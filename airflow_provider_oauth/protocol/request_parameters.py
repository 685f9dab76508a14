"""The parameters that this package sends to the authorization server: their names, and which request has which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.protocol.field_labels import LABELS, field_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow_provider_oauth.protocol.config import OAuthConfig

#: Parameters of the authorization request (RFC 6749 section 4.1.1, RFC 7636, RFC 8707, RFC 9126; OpenID Connect Core
#: 1.0 section 3.1.2.1).
AUTHORIZATION_PARAMETERS = (
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "audience",
    "resource",
    "state",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "request_uri",
)
#: Parameters of revocations (RFC 7009 section 2.1).
REVOCATION_PARAMETERS = ("token", "token_type_hint")
#: Parameters of token requests and revocations, in addition to those of the authorization request.
OTHER_PARAMETERS = (
    "grant_type",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "username",
    "password",
    "code",
    "code_verifier",
    "refresh_token",
    "assertion",
    "subject_token",
    "subject_token_type",
    "device_code",
    *REVOCATION_PARAMETERS,
)
#: The names that ``request_map`` may rename.
PARAMETERS = (*AUTHORIZATION_PARAMETERS, *OTHER_PARAMETERS)
#: Where a user enters the value of a parameter. The other parameters have no field.
ADVICE = {
    "grant_type": "Choose Grant type, or set Grant name",
    **{
        parameter: f"Enter it in {LABELS[field]}"
        for parameter, field in {
            **{name: name for name in ("client_id", "client_secret", "scope", "audience", "resource")},
            **{name: name for name in ("username", "refresh_token", "subject_token_type")},
            "password": "user_password",
            "subject_token": "subject_token_file",
        }.items()
    },
}
#: The parameters with which each client authentication method identifies the client.
CLIENT_PARAMETERS = {
    "client_secret_post": ("client_id", "client_secret"),
    "private_key_jwt": ("client_id", "client_assertion", "client_assertion_type"),
    "client_secret_jwt": ("client_id", "client_assertion", "client_assertion_type"),
    "tls_client_auth": ("client_id",),
    "none": ("client_id",),
}
#: The client authentication methods that send HTTP Basic.
BASIC_AUTH = ("client_secret_basic", "client_secret_basic_raw")
#: The content type of each format of token requests that has a body.
CONTENT_TYPES = {
    "form": "application/x-www-form-urlencoded",
    "json": "application/json",
    "multipart": "multipart/form-data",
}
#: The parameters with which each grant that can be repeated obtains a token.
GRANT_PARAMETERS = {
    "client_credentials": (),
    "password": ("username", "password"),
    "jwt_bearer": ("assertion",),
    "token_exchange": ("subject_token", "subject_token_type"),
}


def renamed(config: OAuthConfig, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a request under the names that the server expects (``request_map``).

    All requests to the authorization server use this function: token requests, revocations, pushed authorization
    requests and device authorization requests. So does the authorization URL.

    :param config: the connection
    :param parameters: parameters under their standard names, without those that the connection adds
    """
    return {config.request_map.get(name, name): value for name, value in parameters.items()}


def check_parameters(config: OAuthConfig) -> None:
    """Check the parameters and headers that the connection adds to requests, and the names in ``request_map``.

    A parameter or header that this package sets itself would be ignored.

    :raises ConfigurationError: if a name is unknown, or is used twice in a request
    """
    if unknown := [name for name in config.request_map if name not in PARAMETERS]:
        problem = f"has unknown names: {', '.join(map(repr, unknown))}. Use names from this list"
        raise config.error("request_map", f"{problem}: {', '.join(PARAMETERS)}")
    client = CLIENT_PARAMETERS.get(config.client_auth, ())
    # A pushed authorization request has the parameters of the authorization request and those of the client.
    for sent in ({*AUTHORIZATION_PARAMETERS, *client}, {*REVOCATION_PARAMETERS, *client}, *token_parameters(config)):
        _check_new_names(config, sent)
    # A secret would be in the URL of the browser.
    _check_added(config, "authorize_params", {*AUTHORIZATION_PARAMETERS, *client, "client_secret"})
    for field in ("grant_params", "secret_grant_params"):
        _check_added(config, field, {name for sent in token_parameters(config) for name in sent})
    _check_overlap(config, "grant_params", "secret_grant_params")
    _check_overlap(config, "grant_headers", "secret_grant_headers")
    for field in ("grant_headers", "secret_grant_headers"):
        _check_headers(config, field)


def token_parameters(config: OAuthConfig) -> Iterator[set[str]]:
    """Yield the standard names of the parameters of each token request that the connection needs.

    A parameter whose field is empty is not sent.
    """
    common = {"grant_type", *CLIENT_PARAMETERS.get(config.client_auth, ())}
    if config.client_id is None:
        common -= {"client_id"}
    resource = {"resource"} if config.resource else set()
    access = {name for name in ("scope", "audience", "resource") if getattr(config, name)}
    if config.grant_type in GRANT_PARAMETERS:
        yield common | {*GRANT_PARAMETERS[config.grant_type]} | access
    if config.grant_type == "authorization_code":
        code_verifier = set() if config.skip_pkce else {"code_verifier"}
        yield common | {"code", "redirect_uri"} | code_verifier | resource
        yield common | {"device_code"} | resource
    if config.requires_refresh_token or config.use_refresh:
        yield common | {"refresh_token"} | (access if config.grant_type == "refresh_token" else resource)


def _check_new_names(config: OAuthConfig, sent: Iterable[str]) -> None:
    """Check that ``request_map`` does not give two parameters of one request the same name."""
    used: dict[str, str] = {}
    for name in sorted(sent):
        wire_name = config.request_map.get(name, name)
        if (other := used.setdefault(wire_name, name)) != name:
            problem = f"gives {other!r} and {name!r} the same name, {wire_name!r}. Use different names"
            raise config.error("request_map", problem)


def _check_added(config: OAuthConfig, field: str, sent: Iterable[str]) -> None:
    """Check that the connection does not add a parameter that this package sends."""
    for name in sorted(sent):
        wire_name = config.request_map.get(name, name)
        if wire_name in getattr(config, field):
            advice = ADVICE.get(name, "Remove it")
            raise config.error(field, f"must not contain {wire_name!r}, because this package sets it. {advice}")


def _check_overlap(config: OAuthConfig, open_field: str, secret_field: str) -> None:
    """Check that a field and its secret variant do not define the same name. Names of headers ignore case."""
    fold = str.lower if open_field.endswith("headers") else str
    known = {fold(name) for name in getattr(config, open_field)}
    for name in getattr(config, secret_field):
        if fold(name) in known:
            problem = f"must not contain {name!r}, because {field_name(open_field)} contains it. Remove one of them"
            raise config.error(secret_field, problem)


def _check_headers(config: OAuthConfig, field: str) -> None:
    """Check that the connection does not add a header with another value than the one that this package sends."""
    headers = {name.lower(): value for name, value in getattr(config, field).items()}
    if "authorization" in headers and (config.refresh_bearer or config.client_auth in BASIC_AUTH):
        problem = (
            "must not contain 'Authorization', because this package sets it. Remove it, or set Client authentication"
        )
        raise config.error(field, f"{problem} to another method")
    content_type = None if config.is_get else CONTENT_TYPES.get(config.body_format)
    own = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type and own and own != content_type:
        problem = f"must not contain a Content-Type other than {content_type}, because Token request body sets it"
        raise config.error(field, f"{problem}. Remove it, or choose another Token request body (body_format)")
