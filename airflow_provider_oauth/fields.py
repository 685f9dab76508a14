"""The fields of a connection's ``extra``: name, type, label and description, in the order of the form.

The form (``get_provider_info.py``) and the reader (``connection.py``) use the same table. It is plain data, because
Airflow loads it on every ``airflow`` command.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

FieldType = Literal["string", "integer", "boolean", "object"]


class Field(NamedTuple):
    """One key of the connection's ``extra``.

    :param type: the type that a value is converted to
    :param label: the label in the form
    :param description: the text below the field in the form: which grant type or case the field is for
    :param default: the value in the form of a new connection
    :param choices: the choices of a dropdown, value to label
    :param required: whether the form requires a value
    :param secret: whether the value is shown as dots and masked. Airflow masks by *name*, so the field's name must be
        one that Airflow considers sensitive. A secret field has no default, because the browser would get it as ``***``
    :param minimum: the lowest number allowed
    :param shown: whether the form has the field; otherwise it is only read from the extra JSON
    :param example: a valid value, shown in the form and in errors
    """

    type: FieldType
    label: str
    description: str
    default: Any = None
    choices: dict[str, str] | None = None
    required: bool = False
    secret: bool = False
    minimum: int | None = None
    shown: bool = True
    example: str | None = None

    @property
    def help_text(self) -> str:
        """The description with the example."""
        return f"{self.description} Example: {self.example}" if self.example else self.description


FIELDS: dict[str, Field] = {
    "grant_type": Field(
        "string",
        "Grant type",
        "How Airflow obtains tokens. Choose Client credentials if the API is not called on behalf of a user.",
        default="client_credentials",
        required=True,
        choices={
            "client_credentials": "Client credentials (no user)",
            "password": "Password (user name and password)",
            "authorization_code": "Authorization code (a user consents in the browser)",
            "refresh_token": "Refresh token (obtained elsewhere)",
        },
    ),
    "grant_url": Field(
        "string",
        "Token URL",
        "For every grant type: the URL of the token endpoint, absolute or relative to the API base URL. Leave it empty "
        "if you set Issuer.",
        example="https://login.example.com/oauth/token",
    ),
    "issuer": Field(
        "string",
        "Issuer",
        "Instead of the URLs, if the server publishes its metadata (RFC 8414 or OpenID Connect Discovery): the "
        "server's issuer URL. Token URL, Authorization URL and Revocation URL are read from the metadata if they are "
        "empty.",
        example="https://login.example.com",
    ),
    "scope": Field(
        "string",
        "Scope",
        "For every grant type: the scopes to request, separated by spaces. Leave it empty for the server's default.",
        example="orders.read stock.read",
    ),
    "authorize_url": Field(
        "string",
        "Authorization URL",
        "For grant type Authorization code: the URL where the user logs in and consents. Leave it empty if you set "
        "Issuer.",
        example="https://login.example.com/oauth/authorize",
    ),
    "username": Field(
        "string",
        "User name",
        "For grant type Password: the user on whose behalf Airflow calls the API.",
        example="reports@example.com",
    ),
    "user_password": Field(
        "string",
        "User password",
        "For grant type Password: the password of that user.",
        secret=True,
    ),
    "refresh_token": Field(
        "string",
        "Refresh token",
        "For grant type Refresh token: a refresh token that you obtained elsewhere. If the server replaces it, Airflow "
        "stores the new one in a Variable. To start again, paste a new one here.",
        secret=True,
    ),
    "client_auth": Field(
        "string",
        "Client authentication",
        "For every grant type: how the client ID and secret are sent to the token endpoint. Try another choice if the "
        "server responds with invalid_client.",
        default="client_secret_basic",
        choices={
            "client_secret_basic": "Basic header (standard)",
            "client_secret_basic_raw": "Basic header, not URL-encoded",
            "client_secret_post": "In the request body",
            "none": "None (public client, no secret)",
        },
    ),
    "body_format": Field(
        "string",
        "Token request body",
        "For every grant type: the format of requests to the token endpoint. Change it if the server's documentation "
        "requires another format than a form.",
        default="form",
        choices={"form": "Form (standard)", "json": "JSON", "multipart": "Multipart form data"},
    ),
    "audience": Field(
        "string",
        "Audience",
        "If the server requires an audience, as Auth0 does: the API that the token is for.",
        example="https://api.example.com",
    ),
    "resource": Field(
        "string",
        "Resource",
        "If the server requires a resource (RFC 8707): the URI of the API that the token is for.",
        example="https://api.example.com",
    ),
    "use_refresh": Field(
        "boolean",
        "Renew with refresh tokens",
        "For grant types Client credentials and Password: renew the token with the refresh token from the last token "
        "response, instead of sending the credentials again.",
        default=False,
    ),
    "refresh_url": Field(
        "string",
        "Refresh URL",
        "If the server refreshes tokens at another URL than the Token URL: that URL.",
        example="https://login.example.com/oauth/refresh",
    ),
    "revoke_url": Field(
        "string",
        "Revocation URL",
        "If you want to revoke tokens from Airflow (RFC 7009): the URL of the revocation endpoint.",
        example="https://login.example.com/oauth/revoke",
    ),
    "skip_pkce": Field(
        "boolean",
        "Skip PKCE",
        "For grant type Authorization code, if the server rejects PKCE (RFC 7636): send the request without it.",
        default=False,
    ),
    "scope_separator": Field(
        "string",
        "Scope separator",
        "If the server separates scopes by something else than spaces: that separator. Use spaces in Scope.",
        example=",",
    ),
    "auth_scheme": Field(
        "string",
        "Authorization scheme",
        'If the API expects another word than Bearer before the token: that word, or "none" to send the token alone.',
        example="Token",
    ),
    "header_name": Field(
        "string",
        "Authorization header",
        "If the API expects the token in another header than Authorization: the name of that header.",
        example="X-Auth-Token",
    ),
    "renew_on": Field(
        "string",
        "Renew token on",
        "If the API reports an invalid token with other statuses than 401: those statuses. Airflow then renews the "
        "token and repeats the request once.",
        example="403 400",
    ),
    "error_path": Field(
        "string",
        "Error message path",
        "If task errors do not quote the API's error message: its JMESPath in the API's error responses. The members "
        "error, error_description, message, detail, title and hint are always quoted.",
        example="errors[].message",
    ),
    "response_map": Field(
        "string",
        "Token response map",
        "If the token response is not standard: the JMESPath of each value in it, as pairs separated by commas.",
        example="access_token=data.token, expires_in=data.ttl, base_url=instance_url",
    ),
    # The value is an integer and is always present: stock code sends every key of extra as a header, and requests and
    # aiohttp refuse an integer there before they send anything (see "Never remove leeway" in docs/connections).
    "leeway": Field(
        "integer",
        "Leeway (seconds)",
        "For every grant type: how long before its expiry a token is no longer used. It is limited to a tenth of the "
        "token's lifetime.",
        default=60,
        required=True,
        minimum=0,
        example="60",
    ),
    "default_lifetime": Field(
        "integer",
        "Default lifetime (seconds)",
        "If the server does not send expires_in: how long a token is valid. The default is 3600.",
        minimum=1,
        example="900",
    ),
    "timeout": Field(
        "integer",
        "Timeout (seconds)",
        "For requests to the API: how long to wait for a connection and for each part of the response. The default is "
        "60. It does not limit a slow response as a whole, except in deferred tasks; use the task's execution_timeout "
        "for that.",
        minimum=1,
        example="60",
    ),
    "allow_http": Field(
        "boolean",
        "Allow plain http",
        "For test systems only: send tokens and secrets unencrypted to other hosts than this machine.",
        default=False,
    ),
    "authorize_params": Field(
        "object",
        "Authorization request parameters",
        "For grant type Authorization code, if the authorization URL needs more parameters: a JSON object of them. "
        "Google issues a refresh token only with those of the example.",
        example='{"access_type": "offline", "prompt": "consent"}',
    ),
    "api_headers": Field(
        "object",
        "API headers",
        "If every API request needs more headers: a JSON object of them.",
        example='{"X-Tenant": "acme"}',
    ),
    "secret_headers": Field(
        "object",
        "Secret API headers",
        "For API headers with secret values: a JSON object of them. The values are masked.",
        secret=True,
        example='{"X-Api-Key": "API_KEY"}',
    ),
    "api_params": Field(
        "object",
        "API parameters",
        "If every API request needs more query parameters: a JSON object of them.",
        example='{"account": "12345"}',
    ),
    "secret_params": Field(
        "object",
        "Secret API parameters",
        "For API parameters with secret values: a JSON object of them. The values are masked.",
        secret=True,
        example='{"api_key": "API_KEY"}',
    ),
    "grant_params": Field(
        "object",
        "Token request parameters",
        "If every token request needs more parameters: a JSON object of them.",
        example='{"tenant": "acme"}',
    ),
    "secret_grant_params": Field(
        "object",
        "Secret token request parameters",
        "For token request parameters with secret values: a JSON object of them. The values are masked.",
        secret=True,
        example='{"pin": "PIN"}',
    ),
    "grant_headers": Field(
        "object",
        "Token request headers",
        "If every token request needs more headers: a JSON object of them.",
        example='{"X-Api-Version": "2"}',
    ),
    "verify": Field(
        "string",
        "Verify TLS",
        "false, or the path of a CA bundle. The default is true.",
        shown=False,
        example="/etc/ssl/ca.pem",
    ),
    "verify_ssl": Field(
        "string", "Verify TLS", "Another name of verify, as in HttpHook.", shown=False, example="/etc/ssl/ca.pem"
    ),
    "cert": Field(
        "string",
        "Client certificate",
        "Path of a file with the client certificate and its key, or a list of two paths.",
        shown=False,
        example='["/etc/ssl/client.pem", "/etc/ssl/client.key"]',
    ),
    "proxies": Field(
        "object",
        "Proxies",
        "JSON object of proxy URLs by scheme.",
        secret=True,
        shown=False,
        example='{"https": "http://proxy.example.com:3128"}',
    ),
    "proxy": Field(
        "object",
        "Proxies",
        "Another name of proxies, as in HttpHook.",
        secret=True,
        shown=False,
        example="http://proxy.example.com:3128",
    ),
    "trust_env": Field(
        "boolean", "Trust the environment", "Use the proxies and CA bundle of the environment.", shown=False
    ),
    "stream": Field("boolean", "Stream", "Read responses in parts, as in requests.", shown=False),
    "check_response": Field("boolean", "Check responses", "Fail on status 400 and above.", shown=False),
    "allow_redirects": Field("boolean", "Follow redirects", "Tokens are never sent to another origin.", shown=False),
    "max_redirects": Field(
        "integer", "Maximum redirects", "How many redirects to follow.", minimum=0, shown=False, example="30"
    ),
    # The form uses grant_url instead, because Airflow masks the value of every key whose name contains "token".
    "token_url": Field(
        "string",
        "Token URL",
        "Another name of grant_url.",
        shown=False,
        example="https://login.example.com/oauth/token",
    ),
    "token_endpoint": Field(
        "string",
        "Token URL",
        "Another name of grant_url.",
        shown=False,
        example="https://login.example.com/oauth/token",
    ),
}

#: Other names of fields, and the field that each one means.
ALIASES = {"token_url": "grant_url", "token_endpoint": "grant_url", "verify_ssl": "verify", "proxy": "proxies"}
