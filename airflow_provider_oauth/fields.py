"""The fields of a connection's ``extra``: name, type, label and description, in the order of the form.

The connection form (``get_provider_info.py``) and the code that reads a connection (``connection.py``) use the same
table. This module contains only data, because every ``airflow`` command loads it, so it must load quickly.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from airflow_provider_oauth.protocol.signing_algorithms import SIGNING_ALGORITHMS

FieldType = Literal["string", "integer", "boolean", "object"]
#: The beginning of the label of an empty choice, in a form in which users choose a vendor.
OR_VENDOR = "Vendor's value, otherwise "


class Field(NamedTuple):
    """One key of the connection's ``extra``.

    :param type: the type that a value is converted to
    :param label: the label in the form
    :param description: the text below the field in the form; it says for which grant type or case the field is needed
    :param default: the value in the form of a new connection
    :param choices: the choices of a dropdown: a dict of values and their labels
    :param required: whether the form requires a value
    :param secret: whether the value is shown as dots and masked. Airflow masks by *name*, so the field's name must be
        one that Airflow considers sensitive. A secret field has no default, because Airflow would send the default to
        the browser as ``***``
    :param minimum: the lowest number allowed
    :param shown: whether the form has the field; otherwise it is only read from the extra JSON
    :param example: a valid value, shown in the form and in errors
    :param unset: the label of the dropdown's first choice, which leaves the field empty; None for no such choice
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
    unset: str | None = None

    @property
    def help_text(self) -> str:
        """The description, followed by the example unless the form shows a default or choices."""
        show = self.example and self.default is None and not self.choices
        return f"{self.description} Example: {self.example}" if show else self.description


FIELDS: dict[str, Field] = {
    "vendor": Field(
        "string",
        "Vendor",
        "The vendor of the API. You then need only a few of the fields below: the command airflow oauth vendors NAME "
        "lists them. A value that you enter replaces the vendor's value.",
        example="github",
        unset="None: enter the URLs of the server below",
    ),
    "vendor_values": Field(
        "object",
        "Vendor values",
        "Values that the vendor needs, such as the subdomain in its URLs, as a JSON object. Only for some vendors.",
        example='{"subdomain": "acme"}',
    ),
    "grant_type": Field(
        "string",
        "Grant type",
        "How Airflow obtains tokens. Choose Client credentials if the API is not called on behalf of a user.",
        unset=f"{OR_VENDOR}Client credentials",
        choices={
            "client_credentials": "Client credentials (no user)",
            "password": "Password (user name and password)",
            "authorization_code": "Authorization code (a user consents in the browser)",
            "refresh_token": "Refresh token (obtained elsewhere)",
            "jwt_bearer": "JWT bearer (a signed JWT)",
            "token_exchange": "Token exchange (a token from a file)",
        },
    ),
    "grant_url": Field(
        "string",
        "Token URL",
        "The URL of the token endpoint, absolute or relative to the API base URL. Every grant type needs it, unless "
        "Vendor or Issuer is set.",
        example="https://login.example.com/oauth/token",
    ),
    "issuer": Field(
        "string",
        "Issuer",
        "The server's issuer URL, exactly as in its metadata. Only if the server publishes metadata (RFC 8414, OpenID "
        "Connect Discovery). If Token URL, Authorization URL or Revocation URL is empty, Airflow reads that URL "
        "from the metadata.",
        example="https://login.example.com",
    ),
    "scope": Field(
        "string",
        "Scope",
        "The scopes to request, separated by spaces, for every grant type. Leave it empty for the vendor's or the "
        "server's default.",
        example="orders.read stock.read",
    ),
    "authorize_url": Field(
        "string",
        "Authorization URL",
        "The URL where the user logs in and consents. Only for grant type Authorization code; not needed if Vendor or "
        "Issuer is set.",
        example="https://login.example.com/oauth/authorize",
    ),
    "username": Field(
        "string",
        "User name",
        "The user on whose behalf Airflow calls the API. Only for grant type Password.",
        example="reports@example.com",
    ),
    "user_password": Field(
        "string",
        "User password",
        "The password of that user. Only for grant type Password.",
        secret=True,
    ),
    "refresh_token": Field(
        "string",
        "Refresh token",
        "A refresh token that you obtained elsewhere. Only for grant type Refresh token. If the server replaces it, "
        "Airflow stores the new one in a Variable. To start again, paste a new one here.",
        secret=True,
    ),
    "client_auth": Field(
        "string",
        "Client authentication",
        "How the client authenticates to the token endpoint, for every grant type. If the client has a private key, "
        'choose "JWT signed with a private key". Try another choice if the server responds with invalid_client.',
        unset=f"{OR_VENDOR}Basic header",
        choices={
            "client_secret_basic": "Basic header (standard)",
            "client_secret_basic_raw": "Basic header, not URL-encoded",
            "client_secret_post": "In the request body",
            "private_key_jwt": "JWT signed with a private key",
            "client_secret_jwt": "JWT signed with the client secret",
            "tls_client_auth": "Client certificate (mutual TLS)",
            "none": "None (public client, no secret)",
        },
    ),
    "private_key": Field(
        "string",
        "Private key",
        "The private key that signs JWTs: PEM, JWK, JWK set or Google service account (JSON). Only for client "
        'authentication "JWT signed with a private key" and grant type JWT bearer.',
        secret=True,
    ),
    "private_key_file": Field(
        "string",
        "Private key file",
        "The path of a file with that private key. Enter it instead of Private key. The file must be below the folder "
        "[oauth] file_folder.",
        example="/etc/airflow-oauth/client.pem",
    ),
    "private_key_passphrase": Field(
        "string",
        "Private key passphrase",
        "The passphrase of the private key, or of the key in cert. Only if the key is encrypted.",
        secret=True,
    ),
    "key_id": Field(
        "string",
        "Key ID",
        "The ID of the key (kid). Only if the server identifies the key by an ID.",
        example="my-key-1",
    ),
    "certificate": Field(
        "string",
        "Certificate",
        "The certificate of the private key (PEM). Only if the server identifies the key by its certificate, as "
        "Microsoft Entra does. Its thumbprints are sent as x5t and x5t#S256.",
        example="-----BEGIN CERTIFICATE-----…",
    ),
    "signing_algorithm": Field(
        "string",
        "Signing algorithm",
        "The algorithm that signs JWTs. Only if the server does not accept the usual algorithm of the key: RS256, "
        "ES256, ES384, ES512, EdDSA or HS256.",
        unset=f"{OR_VENDOR}the usual algorithm of the key",
        choices={name: name for name in SIGNING_ALGORITHMS},
    ),
    "assertion_audience": Field(
        "string",
        "Assertion audience",
        "The audience (aud) of signed JWTs. Only if the server does not accept the default: its Issuer or Token URL.",
        example="https://login.example.com",
    ),
    "assertion_file": Field(
        "string",
        "Assertion file",
        "The path of a file with a JWT that another system signs and renews, for example Kubernetes. Enter it instead "
        "of a private key. The file must be below the folder [oauth] file_folder.",
        example="/etc/airflow-oauth/assertion.jwt",
    ),
    "assertion_issuer": Field(
        "string",
        "Assertion issuer",
        "The issuer (iss) of the JWT. Only for grant type JWT bearer, if it is not the client ID.",
        example="reports@project.example.com",
    ),
    "assertion_subject": Field(
        "string",
        "Assertion subject",
        "The user or account (sub) on whose behalf Airflow calls the API. Only for grant type JWT bearer.",
        example="user@example.com",
    ),
    "subject_token_file": Field(
        "string",
        "Subject token file",
        "The path of a file with the token to exchange. Only for grant type Token exchange. The file must be below the "
        "folder [oauth] file_folder.",
        example="/etc/airflow-oauth/subject.jwt",
    ),
    "subject_token_type": Field(
        "string",
        "Subject token type",
        "The type of the token in Subject token file. Only for grant type Token exchange, if it is not "
        "urn:ietf:params:oauth:token-type:jwt.",
        example="urn:ietf:params:oauth:token-type:id_token",
    ),
    "body_format": Field(
        "string",
        "Token request body",
        "The format of requests to the token endpoint, for every grant type. Most servers expect a form. Choose the "
        "query only if the server requires it: servers and proxies log URLs.",
        unset=f"{OR_VENDOR}Form",
        choices={
            "form": "Form (standard)",
            "json": "JSON",
            "multipart": "Multipart form data",
            "query": "In the URL's query",
        },
    ),
    "audience": Field(
        "string",
        "Audience",
        "The API that the token is for. Only if the server requires an audience, as Auth0 does.",
        example="https://api.example.com",
    ),
    "resource": Field(
        "string",
        "Resource",
        "The URI of the API that the token is for. Only if the server requires a resource (RFC 8707).",
        example="https://api.example.com",
    ),
    "use_refresh": Field(
        "boolean",
        "Renew with refresh tokens",
        "Renew the token with the refresh token from the last token response, instead of sending the credentials "
        "again. Not for grant types Authorization code and Refresh token, which always do so. If you never touch the "
        "switch, the vendor's value is used.",
    ),
    "refresh_url": Field(
        "string",
        "Refresh URL",
        "The URL for refreshing tokens. Only if it is not the Token URL.",
        example="https://login.example.com/oauth/refresh",
    ),
    "revoke_url": Field(
        "string",
        "Revocation URL",
        "The URL for revoking tokens (RFC 7009). Only if you want to revoke tokens from Airflow.",
        example="https://login.example.com/oauth/revoke",
    ),
    "grant_name": Field(
        "string",
        "Grant name",
        "The grant_type to send to the token endpoint. Only if the server has its own name for grant type Client "
        "credentials or Password.",
        example="account_credentials",
    ),
    "token_method": Field(
        "string",
        "Token request method",
        "The HTTP method of token requests. Choose GET only if the server requires it: all parameters are then in the "
        "URL, which servers and proxies log.",
        unset=f"{OR_VENDOR}POST",
        choices={"POST": "POST (standard)", "GET": "GET"},
    ),
    "par_url": Field(
        "string",
        "Pushed authorization request URL",
        "The URL of the pushed authorization request endpoint (RFC 9126). Only for grant type Authorization code, if "
        "the server requires such requests. Not needed if Issuer is set.",
        example="https://login.example.com/oauth/par",
    ),
    "device_url": Field(
        "string",
        "Device authorization URL",
        "The URL of the device authorization endpoint (RFC 8628). Only for airflow oauth authorize --device. Not "
        "needed if Issuer is set.",
        example="https://login.example.com/oauth/device",
    ),
    "skip_pkce": Field(
        "boolean",
        "Skip PKCE",
        "Send authorization requests without PKCE (RFC 7636). Only for grant type Authorization code, if the server "
        "rejects PKCE. If you never touch the switch, the vendor's value is used.",
    ),
    "scope_separator": Field(
        "string",
        "Scope separator",
        "The separator between scopes in requests. Only if the server does not accept spaces. In Scope, always use "
        "spaces.",
        example=",",
    ),
    "auth_scheme": Field(
        "string",
        "Authorization scheme",
        'The word before the token in the header, or "none" to send the token alone. Only if the API does not '
        "expect Bearer.",
        example="Token",
    ),
    "header_name": Field(
        "string",
        "Authorization header",
        "The header that contains the token. Only if the API does not expect Authorization.",
        example="X-Auth-Token",
    ),
    "renew_on": Field(
        "string",
        "Renew token on",
        "The statuses that mean an invalid token, separated by spaces. Only if the API uses statuses other "
        "than 401. Airflow then renews the token and repeats the request once.",
        example="403 400",
    ),
    "error_path": Field(
        "string",
        "Error message path",
        "The JMESPath of the message in the API's error responses. Only if task errors do not quote the message: "
        "the members error, error_description, message, detail, title and hint are always quoted.",
        example="errors[].message",
    ),
    "response_map": Field(
        "string",
        "Token response map",
        "The JMESPath of each value in the token response, as pairs separated by commas. Only if the token response "
        "is not standard.",
        example="access_token=data.token, expires_in=data.ttl, base_url=instance_url",
    ),
    "request_map": Field(
        "string",
        "Request map",
        "Other names for parameters of requests to the authorization server, also in the authorization URL, as pairs "
        "separated by commas. Only if the server uses names that are not standard.",
        example="client_id=client_key",
    ),
    "callback_map": Field(
        "string",
        "Callback values",
        "Values of the callback to store with the tokens, as pairs of a name and the callback's parameter. Use them as "
        "{name} in endpoints, API parameters and API headers. Only for grant type Authorization code.",
        example="realm_id=realmId",
    ),
    # leeway must always be present and must be an integer. Airflow's own HttpSensor and deferrable HttpOperator send
    # every key of extra as a header. An integer prevents that: requests and aiohttp refuse it as the value of a header,
    # before they send anything (see "Never remove leeway" in docs/connections).
    "leeway": Field(
        "integer",
        "Leeway (seconds)",
        "How long before its expiry Airflow stops using a token, for every grant type. It is limited to a tenth "
        "of the token's lifetime.",
        default=60,
        required=True,
        minimum=0,
        example="60",
    ),
    "default_lifetime": Field(
        "integer",
        "Default lifetime (seconds)",
        "How long to treat a token as valid. Only if the server does not send expires_in. The default is the vendor's "
        "value, otherwise 3600.",
        minimum=1,
        example="900",
    ),
    "timeout": Field(
        "integer",
        "Timeout (seconds)",
        "How long to wait for a connection to the API and for each part of a response. The default is 60. In "
        "deferred tasks it limits the whole request; otherwise use the task's execution_timeout for that.",
        minimum=1,
        example="60",
    ),
    "allow_http": Field(
        "boolean",
        "Allow plain http",
        "Send tokens and secrets unencrypted to hosts other than this machine. Only for test systems.",
        default=False,
    ),
    "authorize_params": Field(
        "object",
        "Authorization request parameters",
        "Parameters to add to the authorization URL, as a JSON object. Only for grant type Authorization code. "
        "Google issues a refresh token only with the parameters in the example.",
        example='{"access_type": "offline", "prompt": "consent"}',
    ),
    "assertion_claims": Field(
        "object",
        "Assertion claims",
        "Claims to add to signed JWTs, as a JSON object. Only if the server requires them.",
        example='{"box_sub_type": "enterprise"}',
    ),
    "api_headers": Field(
        "object",
        "API headers",
        "Headers to add to every API request, as a JSON object. Only if the API requires them.",
        example='{"X-Tenant": "acme"}',
    ),
    "secret_headers": Field(
        "object",
        "Secret API headers",
        "Headers with secret values to add to every API request, as a JSON object. The values are masked.",
        secret=True,
        example='{"X-Api-Key": "API_KEY"}',
    ),
    "api_params": Field(
        "object",
        "API parameters",
        "Query parameters to add to every API request, as a JSON object. Only if the API requires them.",
        example='{"account": "12345"}',
    ),
    "secret_params": Field(
        "object",
        "Secret API parameters",
        "Query parameters with secret values to add to every API request, as a JSON object. The values are masked.",
        secret=True,
        example='{"api_key": "API_KEY"}',
    ),
    "grant_params": Field(
        "object",
        "Token request parameters",
        "Parameters to add to every token request, as a JSON object. Only if the server requires them.",
        example='{"tenant": "acme"}',
    ),
    "secret_grant_params": Field(
        "object",
        "Secret token request parameters",
        "Parameters with secret values to add to every token request, as a JSON object. The values are masked.",
        secret=True,
        example='{"pin": "PIN"}',
    ),
    "grant_headers": Field(
        "object",
        "Token request headers",
        "Headers to add to every token request, as a JSON object. Only if the server requires them.",
        example='{"X-Api-Version": "2"}',
    ),
    "secret_grant_headers": Field(
        "object",
        "Secret token request headers",
        "Headers with secret values to add to every token request, as a JSON object. The values are masked.",
        secret=True,
        example='{"X-Api-Key": "API_KEY"}',
    ),
    "verify": Field(
        "string",
        "Verify TLS",
        "false, or the path of a CA bundle. The default is true.",
        shown=False,
        example="/etc/ssl/ca.pem",
    ),
    "verify_ssl": Field(
        "string", "Verify TLS", "Another name for verify, as in HttpHook.", shown=False, example="/etc/ssl/ca.pem"
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
        "JSON object with the proxy URL of each scheme.",
        secret=True,
        shown=False,
        example='{"https": "http://proxy.example.com:3128"}',
    ),
    "proxy": Field(
        "object",
        "Proxies",
        "Another name for proxies, as in HttpHook.",
        secret=True,
        shown=False,
        example="http://proxy.example.com:3128",
    ),
    "trust_env": Field(
        "boolean", "Trust the environment", "Use the proxies and CA bundle of the environment.", shown=False
    ),
    "stream": Field(
        "boolean", "Stream", "Read response bodies in parts, like stream in the requests library.", shown=False
    ),
    "check_response": Field("boolean", "Check responses", "Fail on status 400 and above.", shown=False),
    "allow_redirects": Field("boolean", "Follow redirects", "Tokens are never sent to another origin.", shown=False),
    "max_redirects": Field(
        "integer", "Maximum redirects", "How many redirects to follow.", minimum=0, shown=False, example="30"
    ),
    # The form uses the key grant_url instead, because Airflow masks the value of every key that contains "token".
    "token_url": Field(
        "string",
        "Token URL",
        "Another name for grant_url.",
        shown=False,
        example="https://login.example.com/oauth/token",
    ),
    "token_endpoint": Field(
        "string",
        "Token URL",
        "Another name for grant_url.",
        shown=False,
        example="https://login.example.com/oauth/token",
    ),
}

#: Alternative names of fields, each with the main name of the field.
ALIASES = {"token_url": "grant_url", "token_endpoint": "grant_url", "verify_ssl": "verify", "proxy": "proxies"}
