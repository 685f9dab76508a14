"""What a connection means, as one frozen value. An ``OAuthConfig`` that exists is valid."""

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
from airflow_provider_oauth.protocol.client_auth import CLIENT_AUTH

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Grants that live by their refresh token: it is single-use, and when it is lost, a person has to consent again.
REFRESH_TOKEN_GRANTS = ("authorization_code", "refresh_token")
#: Grants that can be repeated at any time: nothing single-use is at stake.
REPEATABLE_GRANTS = ("client_credentials", "password")
#: The connection's fields that have another name here.
FIELDS = {"base_url": "host", "token_url": "grant_url", "client_id": "login", "client_secret": "password"}
BODY_FORMATS = ("form", "json", "multipart")
#: The password in a proxy's URL, with or without a scheme.
PROXY_PASSWORD = re.compile(r"(?:^|//)[^/@:]*:([^/]*)@")
#: Parameters of the authorization request that this package sets (RFC 6749 section 4.1.1, RFC 7636, RFC 8707).
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
)
#: What ``response_map`` may name.
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
    """How requests travel: the options of ``HttpHook``, by the same names. ``timeout`` is in seconds."""

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

    The names are those of the connection's fields (see ``fields.py``), but for ``base_url`` (host), ``client_id``
    (login), ``client_secret`` (password) and ``token_url`` (grant_url). What is None of ``token_url``,
    ``authorize_url`` and ``revoke_url`` is read from the metadata of ``issuer``, if there is one.

    :raises ConfigurationError: if a value is missing, unknown or unsafe
    """

    conn_id: str
    base_url: str
    token_url: str | None = field(default=None, repr=False)  # some hold a secret in their query
    grant_type: str = "client_credentials"
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    refresh_url: str | None = field(default=None, repr=False)
    authorize_url: str | None = field(default=None, repr=False)
    authorize_params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    skip_pkce: bool = False
    revoke_url: str | None = field(default=None, repr=False)
    issuer: str | None = None
    iss_required: bool = False  # not a field of the form: the issuer's metadata says so
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
    grant_params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    grant_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret_grant_params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    api_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    api_params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    secret_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret_params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    auth_scheme: str = "Bearer"
    header_name: str = "Authorization"
    renew_on: tuple[int, ...] = ()
    error_path: str | None = None
    response_map: Mapping[str, str] = field(default_factory=dict)
    refresh_bearer: bool = False  # not a field of the form: a vendor's preset says so
    refresh_lifetime: int | None = None  # nor is this: seconds until an unused refresh token ends
    leeway: int = 60
    default_lifetime: int = 3600
    allow_http: bool = False
    transport: TransportOptions = field(default_factory=TransportOptions)
    allowed_hosts: tuple[str, ...] = ()  # not a field of the form: [oauth] allowed_hosts
    #: What was ignored when the connection was read, in sentences for people.
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot work, or would not be safe."""
        self._check_encoding()
        if self.token_url is None and self.issuer is None:
            raise self.error("grant_url", "(Token URL) is missing, and so is issuer (Issuer), which would tell it")
        self._check_grant()
        self._check_client()
        for name in ("base_url", "token_url", "refresh_url", "authorize_url", "revoke_url", "issuer"):
            self._check_url(name, getattr(self, name))
        for name in filter(self.authorize_params.__contains__, AUTHORIZATION_PARAMETERS):
            labels = {"scope": "Scope", "audience": "Audience", "resource": "Resource"}
            advice = f"Enter it in {labels[name]}" if name in labels else "Remove it"
            raise self.error(
                "authorize_params",
                f"(Authorization request parameters) must not contain {name!r}: this package sets it. {advice}",
            )
        for name in set(self.response_map) - set(MAPPABLE):
            raise self.error("response_map", f"does not know {name!r}; it maps {', '.join(MAPPABLE)}")

    def _check_encoding(self) -> None:
        """Refuse values that no request, hash or record could contain."""
        values = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "transport"}
        for name, value in {**values, **vars(self.transport)}.items():
            try:
                json.dumps(value, default=_plain, ensure_ascii=False).encode()
            except UnicodeEncodeError:
                problem = "contains an unpaired surrogate (U+D800 to U+DFFF), which cannot be sent"
            except RecursionError:
                problem = "is nested too deeply"
            else:
                continue
            raise self.error(FIELDS.get(name, name), problem) from None

    def _check_grant(self) -> None:
        if self.grant_type == "implicit":
            raise self.error(
                "grant_type",
                "cannot be implicit: that grant hands the token to a browser, never to a server, and was withdrawn "
                "(RFC 9700 section 2.1.2). Use authorization_code, or client_credentials where no user is involved",
            )
        known = REPEATABLE_GRANTS + REFRESH_TOKEN_GRANTS
        if self.grant_type not in known:
            raise self.error("grant_type", f"is {self.grant_type!r}; it can be {', '.join(known)}")
        if self.grant_type == "password":
            for name in ("username", "user_password"):
                if getattr(self, name) is None:
                    raise self.error(name, "is missing; the password grant needs it")
        if self.body_format not in BODY_FORMATS:
            raise self.error("body_format", f"is {self.body_format!r}; it can be {', '.join(BODY_FORMATS)}")

    def _check_client(self) -> None:
        if self.client_auth not in CLIENT_AUTH:
            raise self.error("client_auth", f"is {self.client_auth!r}; it can be {', '.join(CLIENT_AUTH)}")
        if self.client_auth != "none" and not self.client_id:
            raise self.error("login", "(client ID) is missing")
        if self.client_auth != "none" and self.client_secret is None:
            raise self.error(
                "password", "(client secret) is missing; for a public client set Client authentication to none"
            )

    def _check_url(self, name: str, url: str | None) -> None:
        if url is not None and (problem := url_problem(url, allow_http=self.allow_http)):
            raise self.error(FIELDS.get(name, name), problem)

    def error(self, name: str, problem: str) -> ConfigurationError:
        """Return the error that says what is wrong with which field of this connection."""
        return ConfigurationError(f"Connection {self.conn_id!r}: {name} {problem}.")

    @property
    def server(self) -> str:
        """What the authorization server is known by: its token URL, or its name where only that is given."""
        return self.token_url or self.issuer or ""

    @property
    def requires_refresh_token(self) -> bool:
        """Whether only the refresh token keeps this grant alive."""
        return self.grant_type in REFRESH_TOKEN_GRANTS

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret of the connection, for scrubbing what is quoted and for masking."""
        maps = (self.secret_grant_params, self.secret_headers, self.secret_params)
        values = [self.client_secret, self.user_password, self.refresh_token]
        values += [text for mapping in maps for text in _texts(mapping)]
        values += [found[1] for proxy in self.transport.proxies.values() if (found := PROXY_PASSWORD.search(proxy))]
        return tuple(value for value in values if value)

    @cached_property
    def version(self) -> str:
        """What tells this state of the connection from any other. A hash of its secrets too: never to be stored."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return hashlib.sha256(json.dumps(values, sort_keys=True, default=_plain).encode()).hexdigest()

    @property
    def identity(self) -> dict[str, Any]:
        """What a token was issued for: if any of it changes, a stored token is no longer ours."""
        names = ("client_id", "grant_type", "username", "audience", "resource")
        return {
            **{name: getattr(self, name) for name in names},
            "token_url": self.server,  # by this name, though it may be the issuer: records are known by it
            "scope": normalize_scope(self.scope),
            "grant_params": dict(self.grant_params),
            "grant_headers": dict(self.grant_headers),
        }


def url_problem(url: str, *, allow_http: bool) -> str | None:
    """Say why ``url`` cannot be that of an API or of one of its server's endpoints; None if it can.

    :param url: the URL
    :param allow_http: whether plain http is good enough even to another machine
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https") or not host or re.search(r"[\s\\\x00-\x1f\x7f\ud800-\udfff]", url):
        return "is not an http(s) URL with a host"
    if parts.username is not None or parts.password is not None:
        return "must not hold a user name or password"
    if parts.fragment:  # RFC 6749 sections 3.1 and 3.2
        return "must not have a fragment (#…)"
    if parts.scheme == "http" and not (allow_http or is_loopback(host)):
        return f"is plain http to {host}, which shows tokens to the network; use https, or set allow_http"
    return None


def is_loopback(host: str) -> bool:
    """Tell whether ``host`` is this machine, by name (RFC 6761 section 6.3) or address."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _texts(value: Any) -> Iterator[str]:
    """Yield every text and number in a value from JSON."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _plain(value: Any) -> dict[str, Any]:
    """Return the content of a Mapping or of the transport options, for JSON."""
    return dict(value) if isinstance(value, Mapping) else vars(value)


def normalize_scope(scope: str | None) -> str:
    """Return ``scope`` with its words sorted: their order has no meaning (RFC 6749 section 3.3)."""
    return " ".join(sorted((scope or "").split()))
