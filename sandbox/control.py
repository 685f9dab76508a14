"""The control routes under ``/_control``: register clients, read counters, inject faults, revoke tokens.

They belong to no vendor and need no authentication, because the sandbox listens on loopback only.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from fastapi import APIRouter, HTTPException

from sandbox.records import Client, Fault  # noqa: TC001 - FastAPI reads the annotations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.server_config import ServerConfig
    from sandbox.state import State


@dataclass(frozen=True)
class GrantRequest:
    """Requests a first refresh token; see :meth:`sandbox.state.State.issue_refresh_token`."""

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}

    server: str
    client_id: str
    scope: str | None = None
    username: str | None = None


@dataclass(frozen=True)
class CodeRequest:
    """Requests an authorization code; see :meth:`sandbox.state.State.issue_code`."""

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}

    server: str
    client_id: str
    scope: str | None = None
    username: str = "user"
    redirect_uri: str | None = None


@dataclass(frozen=True)
class RevocationRequest:
    """Requests that tokens are revoked; see :meth:`sandbox.state.State.revoke`."""

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}

    server: str
    client_id: str | None = None
    what: Literal["access", "refresh", "all"] = "all"


def control_router(state: State, servers: Sequence[ServerConfig]) -> APIRouter:
    """Return a router with the routes under ``/_control``.

    :param servers: The existing servers. Requests that name another one are refused, to catch typos in tests.
    """
    router = APIRouter(prefix="/_control")
    by_name = {server.name: server for server in servers}
    _add_registration(router, state, by_name)
    _add_counters(router, state)

    @router.post("/faults", status_code=204)
    async def inject_fault(fault: Fault) -> None:
        _find(fault.server, by_name)
        state.inject_fault(**asdict(fault))

    @router.post("/faults/clear", status_code=204)
    async def clear_faults() -> None:
        state.clear_faults()

    @router.post("/revoke")
    async def revoke(body: RevocationRequest) -> dict[str, int]:
        _find(body.server, by_name)
        return {"revoked": state.revoke(**asdict(body))}

    return router


def _find(name: str, servers: Mapping[str, ServerConfig]) -> ServerConfig:
    if name not in servers:
        raise HTTPException(404, f"There is no server {name!r}, only {', '.join(servers)}")
    return servers[name]


def _add_registration(router: APIRouter, state: State, servers: Mapping[str, ServerConfig]) -> None:
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


def _add_counters(router: APIRouter, state: State) -> None:
    @router.get("/counts")
    async def counts() -> dict[str, dict[str, Any]]:
        return state.counts()

    @router.post("/counts/reset", status_code=204)
    async def reset_counts() -> None:
        state.reset_counts()

    @router.get("/issued")
    async def issued() -> list[str]:
        return state.issued()
