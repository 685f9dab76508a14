"""The authorization endpoint (RFC 6749 §3.1): a page on which a made-up user logs in and allows or denies access."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from sandbox.metadata import issuer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.server_config import ServerConfig
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
<main><h1>{server}</h1><p><b>{client}</b> requests access to your data. Scope: {scope}.</p>
<form method="post"><label>User name <input name="username" value="ada"></label>{fields}
<p><button name="consent" value="yes">Allow</button>
<button name="consent" value="no">Deny</button></p></form>
<small>This page runs on your machine. It stands in for the vendor's page.</small></main></html>"""

_FIELD = '<p><label>{0} <input name="{0}" value="{1}"></label></p>'


def authorization_router(server: ServerConfig, state: State) -> APIRouter:
    """Return a router with the server's authorization endpoint; it is empty if the server has no such endpoint."""
    router = APIRouter(prefix=f"/{server.name}")
    if "authorization_code" not in server.grants:
        return router

    @router.get(server.authorize_path)
    async def show_page(request: Request) -> Response:
        parameters = _parameters(server, state, request)
        error = _error(server, state, request, parameters)
        if error is not None:
            return _refuse(server, request, parameters, error)
        values = {
            "server": server.name,
            "client": parameters["client_id"],
            "scope": parameters.get("scope", "everything this client may access"),
        }
        fields = "".join(_FIELD.format(name, value) for name, value in server.callback_values.items())
        return HTMLResponse(_PAGE.format(fields=fields, **{name: escape(value) for name, value in values.items()}))

    @router.post(server.authorize_path)
    async def submit_page(request: Request) -> Response:
        parameters = _parameters(server, state, request)
        error = _error(server, state, request, parameters)
        if error is not None:
            return _refuse(server, request, parameters, error)
        state.delete(pushed_key(server, request.query_params.get("request_uri", "")))
        form = dict(parse_qsl((await request.body()).decode()))
        if form.get("consent") != "yes":
            return _redirect(server, request, parameters, _access_denied(server))
        code = state.issue_code(
            server.name,
            parameters["client_id"],
            scope=parameters.get("scope"),
            username=form.get("username", "ada"),
            redirect_uri=parameters["redirect_uri"],
            challenge=parameters.get("code_challenge"),
            nonce=parameters.get("nonce"),
            lifetime=server.code_lifetime,
        )
        values = {name: form.get(name, value) for name, value in server.callback_values.items()}
        return _redirect(server, request, parameters, {"code": code, **values})

    return router


def pushed_key(server: ServerConfig, request_uri: str) -> str:
    """Return the key under which the parameters of a pushed authorization request are stored (RFC 9126)."""
    return f"{server.name} {request_uri}"


def _parameters(server: ServerConfig, state: State, request: Request) -> dict[str, str]:
    """Return the parameters of the request, or those that the client pushed; empty if that was too long ago."""
    parameters = dict(request.query_params)
    if "request_uri" not in parameters:
        return parameters
    pushed = state.get(pushed_key(server, parameters["request_uri"])) or {}
    return pushed if pushed.get("client_id") == parameters.get("client_id") else {}


def _error(
    server: ServerConfig, state: State, request: Request, parameters: Mapping[str, str]
) -> dict[str, str] | None:
    error = validation_error(server, state, parameters)
    if error is None and server.requires_par and "request_uri" not in request.query_params:
        return {"error": "invalid_request", "error_description": "Pushed Authorization Request must be used"}
    return error


def validation_error(server: ServerConfig, state: State, parameters: Mapping[str, str]) -> dict[str, str] | None:
    """Return the error response to a request, or ``None``; empty if the browser must not be redirected (§4.1.2.1)."""
    target = urlsplit(parameters.get("redirect_uri", ""))
    if state.client(server.name, parameters.get("client_id")) is None or not target.scheme or target.fragment:
        return {}
    if parameters.get("response_type") != "code":
        return {"error": "unsupported_response_type"}
    if "code_challenge" in parameters and parameters.get("code_challenge_method") != "S256":
        return {"error": "invalid_request", "error_description": "The code challenge must be S256"}
    if set(parameters.get("scope", "").split()) - set(server.scopes):
        return {"error": "invalid_scope"}
    return None


def _access_denied(server: ServerConfig) -> dict[str, str]:
    text = "The resource owner or authorization server denied the request."
    if server.error_style == "league":
        return {"error": "access_denied", "message": text, "hint": "The user denied the request"}
    return {"error": "access_denied", "error_description": text}


def _refuse(server: ServerConfig, request: Request, parameters: Mapping[str, str], error: dict[str, str]) -> Response:
    if not error:
        return HTMLResponse("<p>This request cannot be trusted.</p>", 400)
    return _redirect(server, request, parameters, error)


def _redirect(
    server: ServerConfig, request: Request, parameters: Mapping[str, str], response: dict[str, Any]
) -> Response:
    """Send the browser to the redirect URI with the response, the request's ``state`` and the issuer."""
    if "state" in parameters:
        response = {**response, "state": parameters["state"]}
    if server.sends_issuer:
        # RFC 9207 §2: errors too.
        response = {**response, "iss": issuer(server, request)}
    target = urlsplit(parameters["redirect_uri"])
    query = [*parse_qsl(target.query), *response.items()]
    return RedirectResponse(urlunsplit(target._replace(query=urlencode(query))), 303, {"Cache-Control": "no-store"})
