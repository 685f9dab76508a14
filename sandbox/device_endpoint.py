"""The device authorization endpoint (RFC 8628 §3.1), and the page on which a user enters the code (§3.3)."""

from __future__ import annotations

import secrets
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from sandbox.bodies import read_parameters
from sandbox.client_auth import authenticate, find_credentials
from sandbox.errors import NO_STORE, TokenError
from sandbox.metadata import audiences, issuer

if TYPE_CHECKING:
    from sandbox.server_config import ServerConfig
    from sandbox.state import State

#: The path of the page, relative to the server.
PAGE_PATH = "/device"
#: The lifetime of the codes in seconds.
LIFETIME = 600
INTERVAL = 5
#: RFC 8628 §6.1 recommends letters that form no words.
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_PAGE = """<!doctype html><html lang="en"><title>{server}: enter the code</title>
<main><h1>{server}</h1><form method="post"><p><label>Code <input name="user_code" value="{code}"></label>
<p><label>User name <input name="username" value="ada"></label>
<p><button name="consent" value="yes">Allow</button> <button name="consent" value="no">Deny</button></form>
<small>This page runs on your machine. It stands in for the vendor's page.</small></main></html>"""


def device_router(server: ServerConfig, state: State) -> APIRouter:
    """Return a router with the endpoint and the page; it is empty if the server has no such endpoint."""
    router = APIRouter(prefix=f"/{server.name}")
    if server.device_path is None:
        return router

    @router.post(server.device_path)
    async def authorize(request: Request) -> Response:
        try:
            return JSONResponse(await _codes(server, state, request), headers=NO_STORE)
        except TokenError as error:
            return error.response(server.error_style)

    @router.get(PAGE_PATH)
    async def show_page(user_code: str = "") -> Response:
        return HTMLResponse(_PAGE.format(server=escape(server.name), code=escape(user_code)))

    @router.post(PAGE_PATH)
    async def submit_page(request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        key = _user_key(server, form.get("user_code", "").strip().upper())
        found = state.get(key)
        if found is None:
            return HTMLResponse("<p>This code is unknown or has expired.</p>", 400)
        state.delete(key)
        decision = {"allowed": form.get("consent") == "yes", "username": form.get("username", "ada")}
        device_key = device_code_key(server, found["device_code"])
        state.put(device_key, {**(state.get(device_key) or {}), **decision}, LIFETIME)
        return HTMLResponse("<p>You can close this page.</p>")

    return router


def device_code_key(server: ServerConfig, device_code: str) -> str:
    """Return the key under which an authorization is stored: its client and scope, and the decision of the user."""
    return f"{server.name} device code {device_code}"


def _user_key(server: ServerConfig, user_code: str) -> str:
    return f"{server.name} user code {user_code}"


async def _codes(server: ServerConfig, state: State, request: Request) -> dict[str, Any]:
    """Create and store the codes, and return the response (§3.2)."""
    parameters = await read_parameters(request, "form")
    credentials = find_credentials(request.headers.get("authorization"), parameters, server.client_auth)
    client = authenticate(state, server.name, credentials, server.client_auth, audiences(server, request))
    scope = parameters.get("scope", " ".join(client.scopes))
    if set(scope.split()) - set(server.scopes):
        raise TokenError("invalid_scope", "There is no such scope")
    device_code = secrets.token_urlsafe(32)
    user_code = "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(2))
    state.put(device_code_key(server, device_code), {"client_id": client.client_id, "scope": scope}, LIFETIME)
    state.put(_user_key(server, user_code), {"device_code": device_code}, LIFETIME)
    page = issuer(server, request) + PAGE_PATH
    return {
        "device_code": device_code,
        "user_code": user_code,
        "verification_uri": page,
        "verification_uri_complete": f"{page}?user_code={user_code}",
        "expires_in": LIFETIME,
        "interval": INTERVAL,
    }
