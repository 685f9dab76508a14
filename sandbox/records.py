"""The records that the sandbox stores: clients, tokens and injected faults."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

TokenKind = Literal["access", "refresh", "code"]
EndpointName = Literal["token", "api", "revoke"]


@dataclass(frozen=True)
class Client:
    """A client that is registered at one of the servers.

    :param server: The server's name, e.g. ``standard``.
    :param client_id: The client ID.
    :param client_secret: The client secret; ``None`` makes it a public client, unless
        it has a public key.
    :param public_key: The public key in PEM that verifies its JWTs, for ``private_key_jwt``.
    :param scopes: The scopes that it may be granted.
    :param users: The users of the password grant: passwords by user name.
    :param access_lifetime: Lifetime of its access tokens in seconds, instead of the server's.
    :param code_lifetime: Lifetime of its authorization codes in seconds, instead of the server's; 0 for codes that are
        already expired.
    :param credits: The credits per account and time window, instead of the API's limit.
    :param credit_window: The length of that time window in seconds, instead of the API's.
    """

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}

    server: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    scopes: list[str] = field(default_factory=lambda: ["read"])
    users: dict[str, str] = field(default_factory=dict, repr=False)
    access_lifetime: int | None = None
    code_lifetime: int | None = None
    credits: int | None = None
    credit_window: float | None = None
    public_key: str | None = None

    @property
    def is_public(self) -> bool:
        """Whether it has no credentials (RFC 6749 §2.1)."""
        return self.client_secret is None and self.public_key is None


@dataclass(frozen=True)
class IssuedToken:
    """An authorization code, access token or refresh token that was issued, and its state."""

    value: str = field(repr=False)
    kind: TokenKind
    server: str
    client_id: str
    username: str | None
    scope: str
    family: str
    expires_at: float | None
    used: bool = False
    revoked: bool = False


@dataclass(frozen=True)
class Fault:
    """A fault that the next requests get instead of the real response.

    Without ``status`` and ``drop``, the real response is sent after ``delay`` seconds.

    :param server: The server's name.
    :param endpoint: Its token endpoint, its API or its revocation endpoint.
    :param times: The number of requests.
    :param share: The probability that a request gets the fault, from 0 to 1.
    :param status: The HTTP status of the response.
    :param headers: The headers of the response.
    :param body: The body of the response.
    :param content_type: The content type of the response.
    :param delay: The delay of the response in seconds.
    :param after_processing: Process the request first (this uses up a refresh token), then lose the response.
    :param drop: Close the connection without a response.
    """

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}

    server: str
    endpoint: EndpointName
    times: int = 1
    share: float = 1.0
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    content_type: str = "text/plain"
    delay: float = 0.0
    after_processing: bool = False
    drop: bool = False
