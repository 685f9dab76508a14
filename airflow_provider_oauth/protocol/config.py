"""The configuration of one connection as a frozen, validated value."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.protocol.callback_values import URLS, check_values, fixed_parts
from airflow_provider_oauth.protocol.client_check import CLIENT_AUTH_METHODS, check_client
from airflow_provider_oauth.protocol.field_labels import field_name
from airflow_provider_oauth.protocol.grant_names import GRANT_NAMES, check_grant_name
from airflow_provider_oauth.protocol.pasted_key import secret_texts
from airflow_provider_oauth.protocol.request_parameters import check_parameters
from airflow_provider_oauth.protocol.signing_algorithms import SIGNING_ALGORITHMS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_oauth.protocol.lookup import Lookup

#: Grants that depend on a refresh token: if it is lost, a user must authorize again.
REFRESH_TOKEN_GRANTS = ("authorization_code", "refresh_token")
#: Grants that can be requested again at any time.
REPEATABLE_GRANTS = ("client_credentials", "password", "jwt_bearer", "token_exchange")
BODY_FORMATS = ("form", "json", "multipart", "query")
TOKEN_METHODS = ("POST", "GET")
#: The password in a proxy's URL, with or without a scheme.
PROXY_PASSWORD = re.compile(r"(?:^|//)[^/@:]*:([^/]*)@")
#: Names that ``response_map`` may map.
MAPPABLE = (
    "access_token",
    "token_type",
    "expires_in",
    "refresh_token",
    "scope",
    "base_url",
    "error",
    "error_description",
)


@dataclass(frozen=True, kw_only=True)
class TransportOptions:
    """Options of HTTP requests, with the names that ``HttpHook`` uses.

    :param timeout: seconds to wait for a connection and for each part of a response
    :param verify: whether to verify TLS certificates, or the path of a file or folder of CA certificates
    :param cert: path of a file with the client certificate and its key, or the paths of both
    :param proxies: proxy URLs by scheme
    :param trust_env: whether to use proxies and CA certificates from the environment
    :param stream: whether to stream responses instead of reading the body immediately
    :param check_response: whether a status of 400 or above is an error
    :param allow_redirects: whether to follow redirects
    :param max_redirects: maximum number of redirects to follow
    """

    timeout: float = 60
    verify: bool | str = True
    cert: str | tuple[str, str] | None = None
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    trust_env: bool = True
    stream: bool = False
    check_response: bool = True
    allow_redirects: bool = True
    max_redirects: int = 30


@dataclass(frozen=True, kw_only=True)
class OAuthConfig:
    """An OAuth 2.0 client and the API that it calls.

    The attributes have the names and meanings of the connection's fields (see ``fields.py``), except for ``base_url``
    (``host``), ``client_id`` (``login``), ``client_secret`` (``password``) and ``token_url`` (``grant_url``). If
    ``issuer`` is set, the token, authorization and revocation URLs that are None are read from its metadata.

    :raises ConfigurationError: if a value is missing, unknown or unsafe
    """

    conn_id: str
    base_url: str
    vendor: str | None = None
    vendor_label: str = ""  # the vendor's name for users, from the vendor file or the preset
    endpoint_prefix: str = ""  # from the vendor file; it may contain the names of callback and lookup values
    api_hosts: tuple[str, ...] = ()  # from the vendor file: hosts that a base URL in a token response may have
    lookup: Lookup | None = None  # from the vendor file
    account_values: Mapping[str, str] = field(default_factory=dict)  # entered values in URLs of the vendor, by name
    vendor_values: Mapping[str, str] = field(default_factory=dict)  # entered callback and lookup values, by name
    token_url: str | None = field(default=None, repr=False)  # its query may contain a secret
    grant_type: str = "client_credentials"
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    grant_name: str | None = None
    private_key: str | None = field(default=None, repr=False)
    private_key_file: str | None = None
    private_key_passphrase: str | None = field(default=None, repr=False)
    key_id: str | None = None
    certificate: str | None = field(default=None, repr=False)
    signing_algorithm: str | None = None
    assertion_issuer: str | None = None
    assertion_subject: str | None = None
    assertion_audience: str | None = None
    assertion_claims: Mapping[str, Any] = field(default_factory=dict, repr=False)
    assertion_file: str | None = None
    subject_token_file: str | None = None
    subject_token_type: str = "urn:ietf:params:oauth:token-type:jwt"  # noqa: S105 - a type, RFC 8693 section 3
    refresh_url: str | None = field(default=None, repr=False)
    authorize_url: str | None = field(default=None, repr=False)
    authorize_params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    par_url: str | None = field(default=None, repr=False)
    device_url: str | None = field(default=None, repr=False)
    callback_map: Mapping[str, str] = field(default_factory=dict)
    skip_pkce: bool = False
    revoke_url: str | None = field(default=None, repr=False)
    issuer: str | None = None
    iss_required: bool = False  # whether callbacks must contain iss; from the issuer's metadata
    scope: str | None = None
    scope_separator: str = " "
    audience: str | None = None
    resource: str | None = None
    username: str | None = None
    user_password: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    use_refresh: bool = False
    client_auth: str = "client_secret_basic"
    body_format: str = "form"
    token_method: str = "POST"  # noqa: S105 - an HTTP method
    request_map: Mapping[str, str] = field(default_factory=dict)
    grant_params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    grant_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret_grant_params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    secret_grant_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    api_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    api_params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    secret_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret_params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    auth_scheme: str = "Bearer"
    header_name: str = "Authorization"
    renew_on: tuple[int, ...] = ()
    error_path: str | None = None
    response_map: Mapping[str, str] = field(default_factory=dict)
    refresh_bearer: bool = False  # from the preset
    refresh_lifetime: int | None = None  # from the preset; seconds
    leeway: int = 60
    default_lifetime: int = 3600
    allow_http: bool = False
    transport: TransportOptions = field(default_factory=TransportOptions)
    allowed_hosts: tuple[str, ...] = ()  # from [oauth] allowed_hosts
    file_folder: str = ""  # from [oauth] file_folder; "" if it is not set
    #: Warnings about the connection's fields, as sentences for users.
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check all values; raise an error if one is missing, unknown or unsafe."""
        self._check_encoding()
        if self.token_url is None and self.issuer is None:
            raise self.error("token_url", "is missing. Set Token URL, or set Issuer to discover it")
        self._check_grant()
        self._check_choice("client_auth", CLIENT_AUTH_METHODS)
        if self.signing_algorithm is not None:
            self._check_choice("signing_algorithm", SIGNING_ALGORITHMS)
        check_client(self)
        for name in URLS:
            self._check_url(name, getattr(self, name))
        check_values(self)
        check_parameters(self)
        if self.private_key is not None and self.private_key_file is not None:
            raise self.error("private_key", f"and {field_name('private_key_file')} are both set. Remove one of them")
        for name in set(self.response_map) - set(MAPPABLE):
            raise self.error("response_map", f"has the unknown name {name!r}. Use {_one_of(MAPPABLE)}")

    def _check_encoding(self) -> None:
        """Reject values that cannot be encoded as JSON in UTF-8: they could not be sent, hashed or stored."""
        values = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "transport"}
        for name, value in {**values, **vars(self.transport)}.items():
            try:
                json.dumps(value, default=_to_json, ensure_ascii=False, allow_nan=False).encode()
            except UnicodeEncodeError:
                problem = "contains an unpaired surrogate (U+D800 to U+DFFF), which cannot be sent. Remove it"
            except RecursionError:
                problem = "is nested too deeply. Simplify it"
            except ValueError:  # a UnicodeEncodeError is one, too
                problem = "contains NaN or Infinity, which JSON does not allow. Remove it"
            else:
                continue
            raise self.error(name, problem) from None

    def _check_grant(self) -> None:
        if self.grant_type == "implicit":
            raise self.error(
                "grant_type",
                "is 'implicit', which is not supported. Use authorization_code, or client_credentials if no user is "
                "involved",
                "(RFC 9700 section 2.1.2 advises against the implicit grant.)",
            )
        check_grant_name(self)
        self._check_choice("grant_type", REPEATABLE_GRANTS + REFRESH_TOKEN_GRANTS)
        if self.grant_type == "password":
            for name in ("username", "user_password"):
                if getattr(self, name) is None:
                    raise self.error(
                        name, "is missing, but the password grant requires it. Enter it, or choose another Grant type"
                    )
        self._check_choice("body_format", BODY_FORMATS)
        self._check_choice("token_method", TOKEN_METHODS)
        if self.is_get and self.body_format in ("json", "multipart"):
            problem = f"is {self.body_format}, but a GET request has no body. Choose query, or set Token request method"
            raise self.error("body_format", f"{problem} to POST")

    def _check_choice(self, name: str, choices: tuple[str, ...]) -> None:
        value = getattr(self, name)
        if value not in choices:
            raise self.error(name, f"is {value!r}, which is not supported. Use {_one_of(choices)}")

    def _check_url(self, name: str, url: str | None) -> None:
        if url is not None and (problem := url_problem(url, allow_http=self.allow_http)):
            raise self.error(name, problem)

    def error(self, name: str, problem: str, details: str = "") -> ConfigurationError:
        """Return the error for a field of this connection.

        :param name: name of the field in this class or in ``TransportOptions``
        :param problem: what is wrong with it, as a predicate, and what to do, without the final period
        :param details: more information, in parentheses
        """
        return ConfigurationError(f"Connection {self.conn_id!r}: {field_name(name)} {problem}. {details}".rstrip())

    @property
    def is_get(self) -> bool:
        """Whether token requests are GET requests, with all parameters in the query."""
        return self.token_method == "GET"  # noqa: S105 - an HTTP method

    def shown_grant_type(self, grant_type: str) -> str:
        """Return the name of a grant for users: the connection's ``grant_name`` if it replaces this grant's name.

        :param grant_type: the name of the grant in this package
        """
        return self.grant_name if self.grant_name and grant_type == self.grant_type else grant_type

    def wire_grant_type(self, grant_type: str) -> str:
        """Return the ``grant_type`` to send for a grant: its standard name, or the connection's ``grant_name``.

        :param grant_type: the name of the grant in this package
        """
        name = self.shown_grant_type(grant_type)
        return GRANT_NAMES.get(name, name)

    @property
    def server(self) -> str:
        """Identifier of the authorization server: its token URL or, if that is not set, its issuer."""
        return self.token_url or self.issuer or ""

    @property
    def api_name(self) -> str:
        """The name of the API in texts for users: the vendor's name or, without one, "the API"."""
        return self.vendor_label or "the API"

    @property
    def requires_refresh_token(self) -> bool:
        """Whether tokens can be renewed only with a refresh token."""
        return self.grant_type in REFRESH_TOKEN_GRANTS

    @property
    def own_refresh_token(self) -> str | None:
        """The refresh token that is entered in the connection; None if its grant type does not use one."""
        return self.refresh_token if self.requires_refresh_token else None

    @property
    def secrets(self) -> tuple[str, ...]:
        """All secrets of the connection, for redaction and masking."""
        maps = (self.secret_grant_params, self.secret_grant_headers, self.secret_headers, self.secret_params)
        values = [self.client_secret, self.user_password, self.refresh_token]
        values += [self.private_key_passphrase, *secret_texts(self.private_key or "")]
        texts = [text for mapping in maps for text in _texts(mapping)]
        values += [part for text in texts for part in fixed_parts(text, self)]
        values += [found[1] for proxy in self.transport.proxies.values() if (found := PROXY_PASSWORD.search(proxy))]
        return tuple(value for value in values if value)

    @cached_property
    def version(self) -> str:
        """Hash of all values of the connection. It must not be stored, because secrets could be guessed from it."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return hashlib.sha256(json.dumps(values, sort_keys=True, default=_to_json).encode()).hexdigest()

    @property
    def identity(self) -> dict[str, Any]:
        """The values that a token depends on. If one of them changes, a stored token is no longer used."""
        names = ("client_id", "grant_type", "username", "audience", "resource")
        # These are left out if they are not set, so that key IDs of records from the first release stay the same.
        added = ["grant_name", "assertion_issuer", "assertion_subject", "assertion_claims", "subject_token_file"]
        if self.grant_type == "jwt_bearer":
            added += ["assertion_file", "private_key_file"]  # may be the assertion, or the key, of another account
        if not self.requires_refresh_token:
            added.append("key_id")  # in NetSuite, it decides for which user and role the client acts
        return {
            **{name: getattr(self, name) for name in names},
            **{name: _plain(getattr(self, name)) for name in added if getattr(self, name)},
            "token_url": self.server,  # may be the issuer; the key is not renamed, because stored key IDs depend on it
            "scope": normalize_scope(self.scope),
            "grant_params": dict(self.grant_params),
            "grant_headers": dict(self.grant_headers),
        }


def url_problem(url: str, *, allow_http: bool) -> str | None:
    """Return why a URL cannot be used for the API or the authorization server; None if it can be used.

    :param url: the URL
    :param allow_http: whether plain http to other machines is allowed
    :return: what is wrong, as a predicate, and in some cases what to do, without the final period
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https") or not host or re.search(r"[\s\\\x00-\x1f\x7f\ud800-\udfff]", url):
        return "is not an http(s) URL with a host"
    if parts.username is not None or parts.password is not None:
        return "must not contain a user name or password"
    if parts.fragment:  # RFC 6749 sections 3.1 and 3.2
        return "must not have a fragment (#…)"
    if parts.scheme == "http" and not (allow_http or is_loopback(host)):
        return f"uses plain http to {host}. Use https; for a test system, turn on Allow plain http (allow_http)"
    return None


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is this machine: a localhost name (RFC 6761 section 6.3) or a loopback address."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _texts(value: Any) -> Iterator[str]:
    """Yield all strings and numbers in a JSON value, the numbers as strings."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _to_json(value: Any) -> dict[str, Any]:
    """Return a mapping or the transport options as a dict, for ``json.dumps``."""
    return dict(value) if isinstance(value, Mapping) else vars(value)


def normalize_scope(scope: str | None) -> str:
    """Return the scopes in sorted order, because their order has no meaning (RFC 6749 section 3.3)."""
    return " ".join(sorted((scope or "").split()))


def _one_of(choices: tuple[str, ...]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}"
