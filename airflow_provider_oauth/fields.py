"""The connection's extra fields: name, type, label and explanation, in the order of the form.

One table serves the form (``get_provider_info.py``) and the reader (``connection.py``), so that what is asked and what
is understood cannot drift apart. Plain data: Airflow loads it on every ``airflow`` command.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

FieldType = Literal["string", "integer", "boolean", "object"]


class Field(NamedTuple):
    """One key of the connection's ``extra``.

    :param type: what the value is coerced to
    :param label: its name in the form
    :param description: the sentence under it
    :param default: filled into a new connection's form
    :param choices: value and label of each choice, for a dropdown
    :param required: the form insists on a value
    :param secret: shown as dots, and masked. Airflow masks by *name*, so the name of such a field must be one that
        Airflow counts as sensitive; and such a field has no default, which would reach the browser as ``***``
    :param minimum: the lowest number allowed
    :param shown: part of the form; the others are read from the extra JSON only
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


FIELDS: dict[str, Field] = {
    "grant_type": Field(
        "string",
        "Grant type",
        "How Airflow gets its tokens. Client credentials needs no more than the client ID and secret; the others speak "
        "for a user.",
        default="client_credentials",
        required=True,
        choices={
            "client_credentials": "Client credentials (no user)",
            "password": "Password (user name and password)",
            "authorization_code": "Authorization code (a user consents)",
            "refresh_token": "Refresh token (obtained elsewhere)",
        },
    ),
    "grant_url": Field(
        "string",
        "Token URL",
        "Where tokens are asked for, often ending in /token. Absolute, or relative to the API base URL. Not needed "
        "where Issuer is given.",
    ),
    "scope": Field("string", "Scope", "Which access to ask for, separated by spaces. Empty: the server's default."),
    "username": Field("string", "User name", "Password grant only: the user that the token speaks for."),
    "user_password": Field("string", "User password", "Password grant only: that user's password.", secret=True),
    "refresh_token": Field(
        "string",
        "Refresh token",
        "Refresh token grant: the first one, obtained elsewhere. When the server replaces it, the new one is kept in "
        "an Airflow Variable. Paste a new one here to start again.",
        secret=True,
    ),
    "client_auth": Field(
        "string",
        "Client authentication",
        "How the client ID and secret are sent to the token URL. The API's documentation says which; a server that "
        "answers invalid_client often wants another one.",
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
        "The format of the request to the token URL. RFC 6749 says form; some APIs want another.",
        default="form",
        choices={"form": "Form (standard)", "json": "JSON", "multipart": "Multipart form data"},
    ),
    "audience": Field("string", "Audience", "The API that the token is for, where the server asks for it (Auth0)."),
    "resource": Field("string", "Resource", "URI of the API that the token is for (RFC 8707)."),
    "use_refresh": Field(
        "boolean",
        "Renew with refresh tokens",
        "Password and client credentials: renew with the refresh token of the last answer, instead of asking anew.",
        default=False,
    ),
    "refresh_url": Field("string", "Refresh URL", "Where tokens are refreshed, if that is not the token URL."),
    "authorize_url": Field("string", "Authorization URL", "Authorization code only: where the user consents."),
    "authorize_params": Field(
        "object",
        "Authorization request parameters",
        "Authorization code only: JSON object of more parameters for the authorization URL. Google issues a refresh "
        'token only with {"access_type": "offline", "prompt": "consent"}.',
    ),
    "skip_pkce": Field(
        "boolean",
        "Without PKCE",
        "Authorization code only: the server refuses requests with PKCE (RFC 7636). Leave off otherwise.",
        default=False,
    ),
    "revoke_url": Field("string", "Revocation URL", "Where tokens are revoked (RFC 7009)."),
    "issuer": Field(
        "string",
        "Issuer",
        "The authorization server's name, a URL. Of Token, Authorization and Revocation URL, those that are left empty "
        "are read from its metadata (RFC 8414, OpenID Connect Discovery).",
    ),
    "scope_separator": Field(
        "string",
        "Scope separator",
        "What stands between scopes on the wire, if not a space. Write them with spaces above.",
    ),
    "grant_params": Field("object", "Token request parameters", "JSON object of more parameters for the token URL."),
    "grant_headers": Field("object", "Token request headers", "JSON object of more headers for the token URL."),
    "secret_grant_params": Field(
        "object",
        "Secret token request parameters",
        "Like token request parameters, but the values are hidden.",
        secret=True,
    ),
    "api_headers": Field("object", "API headers", "JSON object of headers for every API request, say a tenant."),
    "api_params": Field("object", "API parameters", "JSON object of query parameters for every API request."),
    "secret_headers": Field(
        "object", "Secret API headers", "Like API headers, but the values are hidden.", secret=True
    ),
    "secret_params": Field(
        "object", "Secret API parameters", "Like API parameters, but the values are hidden.", secret=True
    ),
    "auth_scheme": Field(
        "string",
        "Authorization scheme",
        'The word before the token in the header. Default Bearer; "none" sends the token alone.',
    ),
    "header_name": Field("string", "Authorization header", "The header that carries the token. Default Authorization."),
    "renew_on": Field(
        "string",
        "Renew token on",
        "Response statuses of the API besides 401 that mean an invalid token, for example 403 400. The token is then "
        "renewed and the request repeated once.",
    ),
    "error_path": Field(
        "string",
        "Error message path",
        "Where the API's error responses have their message: a JMESPath such as errors[].message. It is then quoted "
        "in task errors. The members error, error_description, message, detail, title and hint are always quoted.",
    ),
    "response_map": Field(
        "string",
        "Token answer map",
        "Where things stand when the token answer is not a standard one, as pairs: access_token=data.token, "
        "expires_in=data.ttl, base_url=instance_url.",
    ),
    # An integer, always there: stock code that takes every extra for a header is refused by requests and aiohttp on it
    # before it sends the other extras anywhere (see "No extra ever becomes a header" in the README).
    "leeway": Field(
        "integer",
        "Leeway (seconds)",
        "A token is no longer used this long before it ends; never more than a tenth of its life.",
        default=60,
        required=True,
        minimum=0,
    ),
    "default_lifetime": Field(
        "integer",
        "Default lifetime (seconds)",
        "How long a token is good for when the server does not say. Default 3600.",
        minimum=1,
    ),
    "timeout": Field(
        "integer",
        "Timeout (seconds)",
        "How long to wait for a connection to the API and for each part of its response. A slow response can take "
        "longer in total: limit that with the task's execution_timeout. In deferred tasks, the limit of the whole "
        "request. Default 60.",
        minimum=1,
    ),
    "allow_http": Field(
        "boolean",
        "Allow plain http",
        "Send tokens and secrets unencrypted to hosts other than this machine. For test systems only.",
        default=False,
    ),
    "verify": Field("string", "Verify TLS", "false, or the path of a CA bundle. Default true.", shown=False),
    "verify_ssl": Field("string", "Verify TLS", "Another name of verify, as in HttpHook.", shown=False),
    "cert": Field("string", "Client certificate", "Path of a client certificate with its key.", shown=False),
    "proxies": Field("object", "Proxies", "JSON object, scheme to proxy URL.", secret=True, shown=False),
    "proxy": Field("object", "Proxies", "Another name of proxies, as in HttpHook.", secret=True, shown=False),
    "trust_env": Field("boolean", "Trust the environment", "Proxies and CA bundle from the environment.", shown=False),
    "stream": Field("boolean", "Stream", "Read answers in pieces, as in requests.", shown=False),
    "check_response": Field("boolean", "Check answers", "Fail on status 400 and above.", shown=False),
    "allow_redirects": Field("boolean", "Follow redirects", "Tokens stay behind in any case.", shown=False),
    "max_redirects": Field("integer", "Redirects at most", "How many redirects to follow.", minimum=0, shown=False),
    # Read as grant_url; the form does not use them, because Airflow masks what is named "token", the URL included.
    "token_url": Field("string", "Token URL", "Another name of grant_url.", shown=False),
    "token_endpoint": Field("string", "Token URL", "Another name of grant_url.", shown=False),
}

#: Other names that are read too, and the field that they mean.
ALIASES = {"token_url": "grant_url", "token_endpoint": "grant_url", "verify_ssl": "verify", "proxy": "proxies"}
