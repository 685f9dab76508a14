"""The authorization endpoint (RFC 6749 §3.1): one page on which a made-up user logs in and consents, or declines."""

from __future__ import annotations

import base64
import hashlib
import secrets
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.authorization import Server
    from sandbox.state import State

_PAGE = """<!doctype html><html lang="en"><title>{server}: allow access</title>
<style>
body {{ margin: 0; background: #eef1f5; color: #1b2430; font: 16px/1.5 system-ui, sans-serif }}
main {{ max-width: 26em; margin: 3em auto; padding: 1.5em 2em; border-radius: 8px; background: #fff;
  box-shadow: 0 1px 4px #0003 }}
input, button {{ padding: .4em .8em; border: 1px solid #8792a6; border-radius: 4px; background: #fff; font: inherit }}
button[value=yes] {{ border-color: #166534; background: #166534; color: #fff }}
h1 {{ margin: 0 }}
small {{ color: #4b5565 }}
</style>
<main><h1>{server}</h1><p><b>{client}</b> asks for access to your data ({scope}).</p>
<form method="post"><label>User name <input name="username" value="ada"></label>
<p><button name="consent" value="yes">Allow</button>
<button name="consent" value="no">Deny</button></p></form>
<small>A stand-in for the vendor's own page, on this machine.</small></main></html>"""


def consent_router(server: Server, state: State) -> APIRouter:
    """Return the server's authorization endpoint, to be mounted; nothing if it has no such grant."""
    router = APIRouter(prefix=f"/{server.name}")
    if "authorization_code" not in server.grants:
        return router

    @router.get(server.authorize_path)
    async def page(request: Request) -> Response:
        asked = dict(request.query_params)
        problem = _problem(server, state, asked)
        if problem is None:
            names = {"server": server.name, "client": asked["client_id"], "scope": asked.get("scope", "all there is")}
            return HTMLResponse(_PAGE.format(**{name: escape(value) for name, value in names.items()}))
        return _refuse(server, request, problem)

    @router.post(server.authorize_path)
    async def answer(request: Request) -> Response:
        asked = dict(request.query_params)
        problem = _problem(server, state, asked)
        if problem is not None:
            return _refuse(server, request, problem)
        given = dict(parse_qsl((await request.body()).decode()))
        if given.get("consent") != "yes":
            return _back(server, request, _declined(server))
        code = state.issue_code(
            server.name,
            asked["client_id"],
            scope=asked.get("scope"),
            username=given.get("username", "ada"),
            redirect_uri=asked["redirect_uri"],
            challenge=asked.get("code_challenge"),
            lifetime=server.code_lifetime,
        )
        return _back(server, request, {"code": code})

    return router


def issuer(server: Server, request: Request) -> str:
    """Return the URL that identifies the server (RFC 8414 §2)."""
    return f"{str(request.base_url).rstrip('/')}/{server.name}"


def verifies(verifier: str | None, challenge: str) -> bool:
    """Tell whether a code verifier is the one that a challenge was made of (RFC 7636 §4.6)."""
    digest = hashlib.sha256((verifier or "").encode()).digest()
    return secrets.compare_digest(base64.urlsafe_b64encode(digest).decode().rstrip("="), challenge)


def _problem(server: Server, state: State, asked: Mapping[str, str]) -> dict[str, str] | None:
    """Return the error that a request deserves; an empty one if the browser must not be sent anywhere (§4.1.2.1)."""
    target = urlsplit(asked.get("redirect_uri", ""))
    if state.client(server.name, asked.get("client_id")) is None or not target.scheme or target.fragment:
        return {}
    if asked.get("response_type") != "code":
        return {"error": "unsupported_response_type"}
    if "code_challenge" in asked and asked.get("code_challenge_method") != "S256":
        return {"error": "invalid_request", "error_description": "The code challenge must be S256"}
    if set(asked.get("scope", "").split()) - set(server.scopes):
        return {"error": "invalid_scope"}
    return None


def _declined(server: Server) -> dict[str, str]:
    said = "The resource owner or authorization server denied the request."
    if server.error_style == "league":
        return {"error": "access_denied", "message": said, "hint": "The user denied the request"}
    return {"error": "access_denied", "error_description": said}


def _refuse(server: Server, request: Request, problem: dict[str, str]) -> Response:
    return _back(server, request, problem) if problem else HTMLResponse("<p>This request cannot be trusted.</p>", 400)


def _back(server: Server, request: Request, answer: dict[str, Any]) -> Response:
    """Send the browser back, with the state it came with, and who sends it."""
    asked = request.query_params
    if "state" in asked:
        answer = {**answer, "state": asked["state"]}
    if server.states_issuer:
        # RFC 9207 §2: errors too.
        answer = {**answer, "iss": issuer(server, request)}
    target = urlsplit(asked["redirect_uri"])
    query = [*parse_qsl(target.query), *answer.items()]
    return RedirectResponse(urlunsplit(target._replace(query=urlencode(query))), 303, {"Cache-Control": "no-store"})
