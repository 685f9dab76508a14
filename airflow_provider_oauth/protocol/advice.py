"""Advice for errors of the authorization server: which field to check, or which feature is not supported."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_provider_oauth import exceptions
from airflow_provider_oauth.exceptions import OAuthError, UnrecognizedRefusal

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token_requests import Request, TokenRequest

#: Error codes that mean ``invalid_grant``, because a user must consent first. DocuSign sends the first one in response
#: to an assertion (developers.docusign.com, "JWT Grant"); Microsoft sends all of them (learn.microsoft.com,
#: "InteractionRequiredAuthErrorCodes" of MSAL).
CONSENT_CODES = frozenset({"consent_required", "interaction_required", "login_required"})
#: Advice if the server issued no refresh token after a consent.
OFFLINE_ACCESS = (
    "To request a refresh token, add offline_access to Scope, or set Authorization request parameters "
    '(authorize_params) to {"access_type": "offline", "prompt": "consent"}: see the vendor\'s documentation. Then '
    "authorize again."
)
PKCE_REQUIRED = "The server requires PKCE. Turn off Skip PKCE (skip_pkce)."
PKCE_REFUSED = "If the server does not support PKCE, turn on Skip PKCE (skip_pkce)."
PAR_REQUIRED = (
    "The server requires pushed authorization requests (PAR, RFC 9126). Set Pushed authorization request URL (par_url)."
)
DPOP_REQUIRED = (
    "The server requires DPoP (RFC 9449), which this package does not support. Ask the server's operator to allow "
    "bearer tokens for this client."
)
CONSENT_REQUIRED = (
    "The user in Assertion subject must allow this client once in a browser, or an administrator must allow it for all "
    "users: see the vendor's documentation on consent for JWT bearer."
)
INVALID_TARGET = "Check Resource and Audience."
PARAMETERS = "Check Token request parameters and Secret token request parameters."
NAMED_GRANT = "Check {client}. Also check Token request parameters and Secret token request parameters."
GRANT_NAME = "The server does not support this grant. Check Grant name, {field} and Token request body."
REVOCATION = "Check Revocation URL and Client authentication."
AUTHORIZATION_REQUEST = "Check Client ID, Scope and the redirect URI."
NO_DEVICE_GRANT = (
    "The server, or this client, does not support the device authorization grant (RFC 8628). Ask the server's operator "
    "to allow it, or authorize without --device."
)
NOT_FOR_THIS_CLIENT = "Ask the server's operator to allow this client to use the authorization_code grant."
TRY_LATER = "The server has a problem. Try again later."
TOO_MANY = "The server receives too many requests. Try again later."
PAGE = (
    "The response does not look like one from an authorization server; it may be from a proxy or a firewall. "
    "Check {field}."
)
NOT_READ = "The response is XML, which this package does not read."
XML = (
    "Find out in the vendor's documentation how the server responds with JSON: at another URL, with a header (Token "
    "request headers) or with a parameter (Token request parameters)."
)
PUBLIC_CLIENT = "Check Client ID. If the client has a secret, enter it and set Client authentication."
#: At Google, for example, the assertion authenticates the client.
ASSERTION_ONLY = "Check {assertion}. If the server requires client authentication, set Client authentication."
ANY_CREDENTIALS = (
    "The response does not show which credentials were rejected. Check User name and User password. Also check "
    "{client}."
)
#: Added to the advice about refused credentials if the response has status 401 but no error code. The URL might
#: not be that of a token endpoint then: a URL of the API, for example, also responds with 401, because the request has
#: no access token.
NO_ERROR_CODE = " If they are correct, check {field}, because the response has no OAuth error code."
#: Advice by class of the error.
BY_CLASS: dict[type[OAuthError], str] = {
    exceptions.InvalidRequest: "Check Token request body, Client authentication and Token request parameters.",
    exceptions.InvalidClient: "Check {client} ({client_auth}).",
    exceptions.WrongPassword: "Check User name and User password.",
    exceptions.UnauthorizedClient: (
        "The server does not allow this client to use the {grant} grant. Ask its operator to allow it, or choose "
        "another Grant type."
    ),
    exceptions.UnsupportedGrantType: "Check Grant type, {field} and Token request body.",
    exceptions.InvalidScope: "Check Scope.",
}
#: Advice by class of the error and grant type. It takes precedence over BY_CLASS. A request without a grant type has
#: the field with the URL of its endpoint instead.
BY_GRANT: dict[tuple[type[OAuthError], str], str] = {
    (exceptions.InvalidRequest, "revoke_url"): REVOCATION,
    (exceptions.UnauthorizedClient, "revoke_url"): REVOCATION,
    (exceptions.InvalidRequest, "par_url"): AUTHORIZATION_REQUEST,
    (exceptions.UnauthorizedClient, "par_url"): NOT_FOR_THIS_CLIENT,
    (exceptions.InvalidRequest, "device_url"): "Check Client ID, Scope and Client authentication.",
    (exceptions.UnauthorizedClient, "device_url"): NO_DEVICE_GRANT,
    (exceptions.UnsupportedGrantType, "device_url"): NO_DEVICE_GRANT,
    (exceptions.UnauthorizedClient, "device_code"): NO_DEVICE_GRANT,
    (exceptions.UnsupportedGrantType, "device_code"): NO_DEVICE_GRANT,
    (exceptions.InvalidGrant, "device_code"): (
        "The device code is invalid, expired or already used. Run the command again."
    ),
    (UnrecognizedRefusal, "device_code"): (
        "The response does not show whether the client or the device code was rejected. Check {client}, and run the "
        "command again."
    ),
    (exceptions.UnauthorizedClient, "refresh_token"): (
        "The server does not allow this client to use the refresh_token grant. Ask its operator to allow it."
    ),
    (exceptions.InvalidGrant, "client_credentials"): (
        "Check Scope, Audience and Token request parameters, and ask the server's operator whether this client may use "
        "the {grant} grant."
    ),
    (exceptions.InvalidGrant, "refresh_token"): "The refresh token is invalid, expired, revoked or already used.",
    (exceptions.InvalidGrant, "authorization_code"): "The code is invalid, expired or already used. Authorize again.",
    (exceptions.InvalidGrant, "jwt_bearer"): (
        "The server refused the assertion. Check {assertion}. Also check that the clock of this host is right, and "
        "that the user or an administrator has allowed this client at the server."
    ),
    (exceptions.InvalidGrant, "token_exchange"): (
        "The server refused the token in Subject token file: it may be expired, or issued for another audience. Check "
        "the file, Subject token type, Audience and Resource."
    ),
    # RFC 8693 section 2.2.2: this code is also for an invalid subject token.
    (exceptions.InvalidRequest, "token_exchange"): (
        "The server may have refused the token in Subject token file. Check the file, Subject token type, Audience, "
        "Resource and Token request parameters."
    ),
    (exceptions.UnauthorizedClient, "jwt_bearer"): (
        "The server does not allow this client to use the jwt_bearer grant for this user and scope. Ask its "
        "administrator to allow it (at Google: domain-wide delegation), and check Assertion subject and Scope."
    ),
    (UnrecognizedRefusal, "jwt_bearer"): (
        "The response does not show whether the client or the assertion was rejected. Check {client}. Also check "
        "{assertion}."
    ),
    (UnrecognizedRefusal, "token_exchange"): (
        "The response does not show whether the client or the subject token was rejected. Check {client}. Also check "
        "Subject token file and Subject token type."
    ),
    (UnrecognizedRefusal, "client_credentials"): "Check {client}. Also check Scope.",
    (UnrecognizedRefusal, "password"): (
        "The response does not show whether the client or the user was rejected. Check {client}. Also check User name "
        "and User password."
    ),
    (UnrecognizedRefusal, "refresh_token"): (
        "The response does not show whether the client or the refresh token was rejected. Check {client}. If they are "
        "correct, the refresh token is probably invalid."
    ),
    (UnrecognizedRefusal, "authorization_code"): (
        "The response does not show whether the client or the code was rejected. Check {client}, and authorize again."
    ),
}
#: Advice for error codes of the RFCs that have no exception class of their own.
BY_CODE = {
    "invalid_target": INVALID_TARGET,
    "invalid_dpop_proof": DPOP_REQUIRED,
    "use_dpop_nonce": DPOP_REQUIRED,
    "slow_down": TOO_MANY,
    "server_error": TRY_LATER,
    "temporarily_unavailable": TRY_LATER,
}
#: Advice for HTTP statuses.
BY_STATUS = {
    404: "Check {field}.",
    405: "This URL does not accept {method} requests. Check {field}.",
    407: "A proxy requires authentication. Check proxies.",
    415: "The server does not accept the format {body_format}. Choose another Token request body.",
    429: TOO_MANY,
    500: TRY_LATER,
    502: TRY_LATER,
    503: "The server is busy. Try again later.",
    504: TRY_LATER,
}
#: Advice for errors of the authorization endpoint (RFC 6749 section 4.1.2.1, OpenID Connect Core 1.0 section 3.1.2.6).
AUTHORIZATION_ERRORS = {
    "access_denied": (
        "The user declined, or is not allowed to consent. Authorize again as a user who is allowed to consent."
    ),
    "server_error": TRY_LATER,
    "temporarily_unavailable": TRY_LATER,
    "login_required": "Log in at the server and authorize again.",
    "interaction_required": "Log in at the server and authorize again.",
    "account_selection_required": "Log in at the server with the account that you want to use, and authorize again.",
    "invalid_scope": "Check Scope.",
    "invalid_target": INVALID_TARGET,
    "unauthorized_client": NOT_FOR_THIS_CLIENT,
}
#: Errors of the pushed authorization request endpoint that mean that a parameter is wrong (RFC 9126 section 2.3,
#: RFC 6749 section 4.1.2.1). oidc-provider (npm) sends invalid_redirect_uri.
PAR_ERRORS = ("invalid_redirect_uri", "unsupported_response_type", "invalid_request_object")

_PKCE = re.compile(r"\bpkce\b|code.?(?:verifier|challenge)", re.IGNORECASE)
_PAR = re.compile(r"pushed.authorization|\bpar\b", re.IGNORECASE)
#: Matches messages of the npm package oidc-provider, such as "authorization_code is not allowed for this client".
_NOT_FOR_CLIENT = re.compile(r"(?:authorization_code|response_type) is not allowed for this client", re.IGNORECASE)
_GRANT_NOT_ALLOWED = re.compile(
    r"grant.?type.{0,60}\b(?:not (?:allowed|permitted|enabled|authori[sz]ed)|restricted|unauthori[sz]ed|disabled)\b",
    re.IGNORECASE,
)


def token_advice(
    config: OAuthConfig, request: TokenRequest, error: type[OAuthError], status: int, code: str | None, message: str
) -> str:
    """Return what to do after an endpoint at which the client authenticates refused a request; "" if not known.

    :param config: the connection
    :param request: the refused request
    :param error: class of the error
    :param status: HTTP status
    :param code: the server's error code
    :param message: the server's message
    """
    grant = request.grant_type or request.endpoint.field
    if error is exceptions.InvalidRequest and status in (404, 405, 415):
        code, error = None, exceptions.TokenRequestError  # oidc-provider (npm) reports a wrong URL as invalid_request
    text = (
        _by_details(config, grant, error, code, message)
        or BY_GRANT.get((error, grant))
        or BY_CLASS.get(error)
        or BY_CODE.get(code or "")
        or _by_status(request, status)
    )
    if status == 401 and not code and error in (exceptions.InvalidClient, exceptions.WrongPassword):
        text += NO_ERROR_CODE
    return text.format(
        field=request.endpoint.label,
        method=request.method,
        grant=config.shown_grant_type(grant),
        client=joined(client_fields(config)),
        assertion=joined(_assertion_fields(config)),
        client_auth=config.client_auth,
        body_format=config.body_format,
    )


def status_advice(request: Request, status: int) -> str:
    """Return what to do about an HTTP status of the authorization server; "" if not known."""
    return BY_STATUS.get(status, "").format(field=request.endpoint.label, method=request.method)


def authorization_advice(config: OAuthConfig, code: str, message: str) -> str:
    """Return what to do about an error of the authorization endpoint.

    :param config: the connection
    :param code: the server's error code
    :param message: the server's message
    """
    if code == "invalid_request" and _PAR.search(message) and config.par_url is None:
        return PAR_REQUIRED
    if code == "invalid_request" and _PKCE.search(message):
        return PKCE_REQUIRED if config.skip_pkce else PKCE_REFUSED
    if code == "invalid_request" and _NOT_FOR_CLIENT.search(message):
        code = "unauthorized_client"
    return AUTHORIZATION_ERRORS.get(code, AUTHORIZATION_REQUEST)


def _by_details(config: OAuthConfig, grant: str, error: type[OAuthError], code: str | None, message: str) -> str:
    """Return the advice that depends on the server's message or on the client; "" if there is none."""
    if grant in ("authorization_code", "par_url") and _PKCE.search(message):
        if config.skip_pkce:
            return PKCE_REQUIRED
        return PKCE_REFUSED if error is exceptions.InvalidRequest else ""
    if code == "device_flow_disabled":  # GitHub: docs.github.com, "Authorizing OAuth apps"
        return "Enable the device flow in the settings of the app."
    if grant == "par_url" and code in PAR_ERRORS:
        return AUTHORIZATION_REQUEST
    if _GRANT_NOT_ALLOWED.search(message):
        return BY_GRANT.get((exceptions.UnauthorizedClient, grant)) or BY_CLASS[exceptions.UnauthorizedClient]
    if config.grant_name and grant == config.grant_type and (advice := _by_named_grant(config, error)):
        return advice
    if error is exceptions.InvalidGrant and grant == "jwt_bearer" and code in CONSENT_CODES:
        return CONSENT_REQUIRED
    if error is exceptions.InvalidClient and config.client_auth == "none":
        return ASSERTION_ONLY if grant == "jwt_bearer" else PUBLIC_CLIENT
    # With any other code, the only reason for WrongPassword was status 401, which can also mean a rejected client.
    if error is exceptions.WrongPassword and code not in ("invalid_grant", "invalid_request", "invalid_credentials"):
        return ANY_CREDENTIALS
    return ""


def _by_named_grant(config: OAuthConfig, error: type[OAuthError]) -> str:
    """Return the advice for a grant whose name the connection sets; "" if the general advice applies."""
    if error is exceptions.UnsupportedGrantType:
        return GRANT_NAME
    if config.client_id is None and error is exceptions.InvalidClient:
        return PARAMETERS
    if config.grant_type == "client_credentials" and error in (UnrecognizedRefusal, exceptions.InvalidGrant):
        return NAMED_GRANT if config.client_id else PARAMETERS
    return ""


def _by_status(request: TokenRequest, status: int) -> str:
    if status == 415 and not request.grant_type:  # RFC 7009 section 2.1, RFC 9126 section 2.1
        return "This URL does not accept form-encoded requests, which the RFCs require. Check {field}."
    if status == 405 and request.method == "GET":
        return "This URL does not accept {method} requests. Check {field} and Token request method."
    return BY_STATUS.get(status, "")


def client_fields(config: OAuthConfig) -> list[str]:
    """Return the labels of the fields with which the client authenticates.

    :param config: the connection
    """
    fields = {
        "private_key_jwt": _key_fields(config),
        "client_secret_jwt": ["Client secret", "Signing algorithm", "Assertion audience"],
        "tls_client_auth": ["cert (client certificate)"],
        "none": [],
    }
    return ["Client ID", *fields.get(config.client_auth, ["Client secret"]), "Client authentication"]


def _assertion_fields(config: OAuthConfig) -> list[str]:
    """Return the labels of the fields that a JWT bearer grant depends on."""
    if config.assertion_file:
        return _key_fields(config)
    return ["Assertion issuer", "Assertion subject", *_key_fields(config)]


def _key_fields(config: OAuthConfig) -> list[str]:
    if config.assertion_file:
        return ["Assertion file"]
    return ["Private key file" if config.private_key_file else "Private key", "Key ID", "Assertion audience"]


def joined(labels: list[str]) -> str:
    """Return labels as a list in a sentence."""
    return f"{', '.join(labels[:-1])} and {labels[-1]}" if len(labels) > 1 else labels[0]
