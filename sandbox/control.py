"""The sandbox's own switches, under ``/_control``: register, count, misbehave, revoke.

Not part of any vendor. Without authentication: the sandbox is bound to loopback.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

from sandbox.records import Client, Misbehaviour  # noqa: TC001 - FastAPI reads the annotations

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from starlette.types import Receive, Scope, Send

    from sandbox.authorization import Server
    from sandbox.state import State


@dataclass(frozen=True)
class GrantRequest:
    """Asks for a first refresh token; see :meth:`sandbox.state.State.issue_refresh_token`."""

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}

    server: str
    client_id: str
    scope: str | None = None
    username: str | None = None


@dataclass(frozen=True)
class CodeRequest:
    """Asks for an authorization code; see :meth:`sandbox.state.State.issue_code`."""

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}

    server: str
    client_id: str
    scope: str | None = None
    username: str = "user"
    redirect_uri: str | None = None


@dataclass(frozen=True)
class Revocation:
    """Asks for tokens to be revoked; see :meth:`sandbox.state.State.revoke`."""

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}

    server: str
    client_id: str | None = None
    what: Literal["access", "refresh", "all"] = "all"


class NoAnswer(Response):
    """Closes the connection instead of answering."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Abort the transport that :class:`sandbox.server.Protocol` left in the scope."""
        scope["state"]["transport"].abort()
        # Until uvicorn has noticed: it would write a 500 for an application that returns without an answer.
        while (await receive())["type"] != "http.disconnect":
            pass


async def misbehaving(what: Misbehaviour | None, process: Callable[[], Awaitable[Response]]) -> Response:
    """Process a request as it deserves, or as it was asked to be misbehaved with.

    :param what: The misbehaviour; ``None`` for none.
    :param process: Gives the real answer; called only if the request is to take effect.
    """
    if what is None:
        return await process()
    real = await process() if what.after_processing else None
    await asyncio.sleep(what.delay)
    if what.drop:
        return NoAnswer()
    if what.status is not None:
        return Response(what.body, what.status, what.headers, what.content_type)
    return await process() if real is None else real


def control_router(state: State, servers: Sequence[Server]) -> APIRouter:
    """Return the routes under ``/_control``.

    :param servers: The servers there are, to catch typing errors in tests.
    """
    router = APIRouter(prefix="/_control")
    by_name = {server.name: server for server in servers}
    _add_registration(router, state, by_name)
    _add_counting(router, state)

    @router.post("/misbehave", status_code=204)
    async def misbehave(what: Misbehaviour) -> None:
        _find(what.server, by_name)
        state.misbehave(**asdict(what))

    @router.post("/behave", status_code=204)
    async def behave() -> None:
        state.behave()

    @router.post("/revoke")
    async def revoke(what: Revocation) -> dict[str, int]:
        _find(what.server, by_name)
        return {"revoked": state.revoke(**asdict(what))}

    return router


def _find(name: str, servers: Mapping[str, Server]) -> Server:
    if name not in servers:
        raise HTTPException(404, f"There is no server {name!r}, only {', '.join(servers)}")
    return servers[name]


def _add_registration(router: APIRouter, state: State, servers: Mapping[str, Server]) -> None:
    @router.post("/clients", status_code=204)
    async def add_client(client: Client) -> None:
        _find(client.server, servers)
        state.add_client(**asdict(client))

    @router.post("/grants")
    async def issue_refresh_token(grant: GrantRequest) -> dict[str, str]:
        lifetime = _find(grant.server, servers).refresh_lifetime
        try:
            return {"refresh_token": state.issue_refresh_token(**asdict(grant), lifetime=lifetime)}
        except KeyError as error:
            raise HTTPException(404, str(error)) from None

    @router.post("/codes")
    async def issue_code(consent: CodeRequest) -> dict[str, str]:
        server = _find(consent.server, servers)
        if "authorization_code" not in server.grants:
            raise HTTPException(409, f"Server {server.name!r} does not support authorization_code")
        try:
            return {"code": state.issue_code(**asdict(consent), lifetime=server.code_lifetime)}
        except KeyError as error:
            raise HTTPException(404, str(error)) from None


def _add_counting(router: APIRouter, state: State) -> None:
    @router.get("/counts")
    async def counts() -> dict[str, dict[str, Any]]:
        return state.counts()

    @router.post("/counts/reset", status_code=204)
    async def reset_counts() -> None:
        state.reset_counts()

    @router.get("/issued")
    async def issued() -> list[str]:
        return state.issued()
