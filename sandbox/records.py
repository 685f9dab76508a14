"""What the sandbox's memory is made of: clients, tokens, and misbehaviour that was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

TokenKind = Literal["access", "refresh", "code"]
EndpointInfo = Literal["token", "api", "revoke"]


@dataclass(frozen=True)
class Client:
    """A client registered at one of the servers.

    :param server: The server's name, e.g. ``standard``.
    :param client_id: The client identifier.
    :param client_secret: Its secret; ``None`` makes it a public client.
    :param scopes: The scopes it may be granted.
    :param users: User names and passwords it may use with the password grant.
    :param access_lifetime: Seconds its access tokens live, instead of the server's own lifetime.
    :param code_lifetime: Seconds its authorization codes live, likewise; 0 for codes that always come too late.
    :param credits: What an account may spend on its calls in one window, instead of the API's own limit.
    :param credit_window: Seconds that window lasts, instead of the API's own.
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


@dataclass(frozen=True)
class IssuedToken:
    """An authorization code, access or refresh token that was issued, and what has become of it."""

    value: str = field(repr=False)
    kind: TokenKind
    server: str
    client_id: str
    username: str | None
    scope: str
    family: str
    expires_at: float | None
    spent: bool = False
    revoked: bool = False


@dataclass(frozen=True)
class Misbehaviour:
    """What the next requests get instead of the real answer.

    Without a ``status`` and without ``drop`` the real answer is given, only ``delay`` seconds late.

    :param server: The server that is to misbehave.
    :param where: Its token endpoint, its API or its revocation endpoint.
    :param times: For how many requests.
    :param share: The part of the requests that it meets, by chance; the others get the real answer.
    :param status: The HTTP status of the answer.
    :param headers: Headers of the answer.
    :param body: Body of the answer.
    :param content_type: Content type of the answer.
    :param delay: Seconds to wait before the answer.
    :param after_processing: The request takes effect (a refresh token is spent), only its answer is lost.
    :param drop: Close the connection without an answer.
    """

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}

    server: str
    where: EndpointInfo
    times: int = 1
    share: float = 1.0
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    content_type: str = "text/plain"
    delay: float = 0.0
    after_processing: bool = False
    drop: bool = False

    @property
    def replaces_the_answer(self) -> bool:
        """Whether the real answer is withheld, and not only delayed."""
        return self.drop or self.status is not None
