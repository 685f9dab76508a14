"""The routes of the page *OAuth connections*, and the redirect URI of authorization requests."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_connection
from airflow.api_fastapi.logging.decorators import action_logging
from airflow.models import Log
from airflow.utils.session import create_session
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from itsdangerous import BadData
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from airflow_provider_oauth.exceptions import ConfigurationError, ConsentDenied, OAuthError
from airflow_provider_oauth.management import connections, grants, messages
from airflow_provider_oauth.protocol.authorization import AuthorizationRequest
from airflow_provider_oauth.runtime.ui_urls import PAGES, airflow_url, callback_url
from airflow_provider_oauth.ui import pending
from airflow_provider_oauth.ui.page import FlashMessage, format_status, render, render_waiting
from airflow_provider_oauth.ui.protection import (
    HEADERS,
    SecurityHeadersMiddleware,
    can,
    can_edit,
    csrf_token,
    permitted_connections,
    signer,
    verify_csrf,
)
from airflow_provider_oauth.ui.threads import run_for_user

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser

Action = Literal["test", "authorize", "renew", "revoke", "forget"]
#: How long the browser keeps the cookies of an authorization request, in seconds.
REQUEST_LIFETIME = round(pending.LIFETIME.total_seconds())
#: Cookie with the result of the user's last action.
FLASH_COOKIE = "oauth_flash"
#: How long the browser keeps ``FLASH_COOKIE``, in seconds.
FLASH_LIFETIME = 120
#: Maximum length of a cookie's value. Every browser accepts cookies of 4096 bytes, including name and attributes
#: (RFC 6265 section 6.1).
MAX_COOKIE_SIZE = 3800
#: Maximum number of characters of a result that are shown.
MAX_FLASH_SIZE = 2000


def create_app() -> FastAPI:
    """Return the application that Airflow mounts in its API server."""
    app = FastAPI(title="OAuth connections", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(SecurityHeadersMiddleware, hidden="/callback")
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))
    app.add_exception_handler(HTTPException, _handle_http_error)  # this includes FastAPI's subclass
    app.add_exception_handler(RequestValidationError, _handle_http_error)
    app.add_exception_handler(Exception, _handle_unexpected_error)
    app.get("/", dependencies=[Depends(requires_access_connection("GET"))])(show)
    app.post(
        "/connections/{connection_id:path}/{action}",
        dependencies=[
            Depends(verify_csrf),
            Depends(can_edit),
            Depends(action_logging("oauth_connection")),
        ],
    )(act)
    app.get("/callback")(callback)
    app.get("/finish/{request_id}")(show_progress)
    app.post("/finish/{request_id}", dependencies=[Depends(verify_csrf)])(finish)
    return app


async def show(request: Request, user: GetUserDep, conn_id: str = "") -> Response:
    """Show all connections that the user may read, or one connection, wherever it is defined."""
    flash = _flash_message(request)
    try:
        rows = await run_in_threadpool(_rows, user, conn_id, flash)
    except ConfigurationError as error:
        rows, flash = [], flash or FlashMessage(False, str(error))
    if any(row["result"] for row in rows):
        flash = None  # a row shows the message
    response = HTMLResponse(render(rows, flash=flash, conn_id=conn_id, **_page_values(request, user)))
    response.delete_cookie(FLASH_COOKIE, path=_root_path(request))
    return response


async def act(request: Request, user: GetUserDep, connection_id: str, action: Action) -> Response:
    """Run the action of a button, and redirect to the page."""
    try:
        if action == "authorize":
            return await run_for_user(user.get_id(), _begin_authorization, request, connection_id, user.get_id())
        success, text = await run_for_user(user.get_id(), _run_action, action, connection_id)
        flash = FlashMessage(success, messages.about(connection_id, text), connection_id)
    except OAuthError as error:
        flash = FlashMessage(False, str(error), connection_id)
    return await run_in_threadpool(_redirect_to_page, request, flash, is_only="only" in request.state.form)


async def callback(request: Request, user: GetUserDep) -> Response:
    """Redirect from the callback URL, which contains the code, to a page that stores the tokens.

    The browser shows no page at the callback URL. This function changes nothing, because any web site can redirect a
    browser to the callback URL.
    """
    query = request.scope["oauth_callback"]
    request_id = pending.request_id(parse_qs(query).get("state", [""])[0])
    if pending.cookie_name(request_id) not in request.cookies:
        return _redirect_not_started(request)
    signed = str(signer("callback").dumps(query))
    if len(signed) > MAX_COOKIE_SIZE:  # the code can be too long for a cookie, because its length is not limited
        return await _finish_authorization(request, user, request_id, query)
    response = RedirectResponse(f"{_root_path(request)}/finish/{request_id}", 303)
    _set_cookie(request, response, _callback_cookie(request_id), signed, REQUEST_LIFETIME)
    return response


async def show_progress(request: Request, user: GetUserDep, request_id: str) -> Response:
    """Show the page that says that the tokens are being stored. Its script submits a form to ``finish``."""
    if _callback_cookie(request_id) not in request.cookies:
        return RedirectResponse(f"{_root_path(request)}/", 303)  # the tokens were stored already
    return HTMLResponse(render_waiting(**_page_values(request, user)))


async def finish(request: Request, user: GetUserDep, request_id: str) -> Response:
    """Exchange the code for tokens, store them, and redirect to the page."""
    try:
        signed = request.cookies.get(_callback_cookie(request_id), "")
        query = signer("callback").loads(signed, max_age=REQUEST_LIFETIME)
    except BadData:
        return _redirect_not_started(request)
    return await _finish_authorization(request, user, request_id, query)


async def _finish_authorization(request: Request, user: BaseUser, request_id: str, query: str) -> Response:
    cookie = request.cookies.get(pending.cookie_name(request_id), "")
    conn_id = ""
    try:
        conn_id = pending.conn_id_of(cookie)
        if not await run_in_threadpool(can, user, conn_id, "PUT"):
            raise ConsentDenied(
                f"Connection {conn_id!r}: you are no longer allowed to edit it, so no tokens were stored. Ask an "
                f"administrator. The server may keep your consent until you revoke it there."
            )
        flash = await run_for_user(user.get_id(), _store_tokens, conn_id, cookie, query, user)
    except OAuthError as error:
        flash = FlashMessage(False, str(error), conn_id)
    response = await run_in_threadpool(_redirect_to_page, request, flash)
    for name in (pending.cookie_name(request_id), _callback_cookie(request_id)):
        response.delete_cookie(name, path=_root_path(request))
    return response


def _rows(user: BaseUser, conn_id: str, flash: FlashMessage | None) -> list[dict[str, Any]]:
    if conn_id:
        if not can(user, conn_id, "GET"):
            raise ConfigurationError(f"You are not allowed to see connection {conn_id!r}. Ask an administrator.")
        connections.check_exists(conn_id)
        status, editable = connections.get_status(conn_id), can(user, conn_id, "PUT")
        in_database = not connections.is_outside_database(conn_id)
        return [format_status(status, can_edit=editable, in_database=in_database, flash=flash)]
    readable, writable = permitted_connections(user, "GET"), permitted_connections(user, "PUT")
    with create_session() as session:
        shown = [each for each in connections.list_conn_ids(session) if each in readable]
    return [format_status(connections.get_status(each), can_edit=each in writable, flash=flash) for each in shown]


def _run_action(action: Action, conn_id: str) -> tuple[bool | None, str]:
    """Run an action. Return whether it succeeded, and a text about the result.

    The first value is None if there was nothing to do, or if the result is uncertain.
    """
    config = connections.get_config(conn_id)
    if action == "test":
        works, text, needs_authorization = grants.test(config)
        return works, f"{text} Now click Authorize." if needs_authorization else text
    if action == "renew":
        return True, messages.renewed(grants.renew(config))
    if grants.is_empty(config):
        return None, messages.nothing_stored(action)
    if action == "revoke":
        return True, messages.revoked(grants.revoke(config))
    grants.forget(config)
    return True, messages.FORGOTTEN


def _begin_authorization(request: Request, conn_id: str, user: str) -> Response:
    redirect_uri = callback_url()
    if not redirect_uri:
        raise ConfigurationError(
            "Airflow's own URL is not configured. Set [api] base_url to the URL at which users open Airflow."
        )
    authorization = AuthorizationRequest(conn_id=conn_id, redirect_uri=redirect_uri)
    url = grants.begin_authorization(connections.get_config(conn_id), authorization)
    cookie = pending.store(authorization, user, datetime.now(UTC))
    response = RedirectResponse(url, 303)
    _set_cookie(request, response, cookie.name, cookie.value, REQUEST_LIFETIME)
    return response


def _store_tokens(conn_id: str, cookie: str, query: str, user: BaseUser) -> FlashMessage:
    state = parse_qs(query).get("state", [""])[0]
    authorization = pending.consume(conn_id, state, cookie, user.get_id(), datetime.now(UTC))
    # Write to the audit log, as action_logging does for the buttons. action_logging cannot be used here, because the
    # URL does not contain the connection ID.
    with create_session() as session:
        extra = json.dumps({"connection_id": conn_id, "action": "consent"})
        name = user.get_name()
        session.add(Log(event="oauth_connection", owner=name, owner_display_name=name, extra=extra))
    config = connections.get_config(conn_id)
    # The question mark shows where the query begins, because the query may contain another one.
    token = grants.finish_authorization(config, authorization, f"?{query}")
    renewable, text = grants.authorization_result(config, token)
    return FlashMessage(renewable, messages.about(conn_id, text), conn_id)


# --- URLs and cookies


def _root_path(request: Request) -> str:
    """Return the path of the page, without a slash at the end."""
    return str(request.scope["root_path"])


def _urls(request: Request) -> dict[str, str]:
    return {
        "root": _root_path(request),
        "airflow": _root_path(request).removesuffix(PAGES),
        "redirect_uri": callback_url(),
    }


def _page_values(request: Request, user: BaseUser) -> dict[str, str]:
    """Return the values that all templates use."""
    return {**_urls(request), "user": user.get_name(), "csrf_token": csrf_token(user)}


def _callback_cookie(request_id: str) -> str:
    """Return the name of the cookie that holds a callback's query while its tokens are being stored."""
    return f"oauth_callback_{request_id}"


def _set_cookie(request: Request, response: Response, name: str, value: str, seconds: int) -> None:
    secure = urlsplit(callback_url()).scheme == "https"
    response.set_cookie(name, value, seconds, path=_root_path(request), secure=secure, httponly=True, samesite="lax")


def _redirect_to_page(request: Request, flash: FlashMessage, *, is_only: bool = False) -> Response:
    """Redirect to the row of the message's connection, and show the message there.

    :param request: the request
    :param flash: the message
    :param is_only: whether to show only this connection
    """
    conn_id = flash.conn_id if len(flash.conn_id) <= pending.MAX_CONN_ID else ""
    is_only = bool(conn_id) and (is_only or connections.is_outside_database(conn_id))
    query = f"?{urlencode({'conn_id': conn_id})}" if is_only else ""
    fragment = f"#row-{quote(conn_id, safe='')}" if conn_id else ""
    response = RedirectResponse(f"{_root_path(request)}/{query}{fragment}", 303)
    text = flash.text[:MAX_FLASH_SIZE]
    while len(cookie := str(signer("flash").dumps([flash.success, text, conn_id]))) > MAX_COOKIE_SIZE:
        text = text[: len(text) // 2] + " …"
    _set_cookie(request, response, FLASH_COOKIE, cookie, FLASH_LIFETIME)
    return response


def _flash_message(request: Request) -> FlashMessage | None:
    try:
        success, text, conn_id = signer("flash").loads(request.cookies.get(FLASH_COOKIE, ""), max_age=FLASH_LIFETIME)
        return FlashMessage(None if success is None else bool(success), str(text), str(conn_id))
    except (BadData, ValueError, TypeError):
        return None


# --- errors


async def _handle_http_error(request: Request, error: Exception) -> Response:
    """Show the error on a page, or redirect to the login. Show nothing at the callback URL, which contains the code."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    detail = str(error.detail) if isinstance(error, HTTPException) else "This page does not exist."
    logged_out = status == 401 or detail == "Invalid JWT token"  # Airflow's pages treat both as logged out
    if _is_callback(request) and request.method == "GET":
        problem = "You were not logged in to Airflow when the server redirected your browser." if logged_out else detail
        return _redirect_to_page(request, FlashMessage(False, f"{problem} {_start_again()}"))
    if logged_out and request.method == "GET":
        page = f"{airflow_url()}{PAGES}/" if airflow_url() else f"{_root_path(request)}/"
        if conn_id := request.query_params.get("conn_id"):
            page += f"?{urlencode({'conn_id': conn_id})}"
        login = f"{_urls(request)['airflow']}/api/v2/auth/login"
        return RedirectResponse(f"{login}?{urlencode({'next': page})}")
    return _message_page(request, FlashMessage(False, detail), status)


async def _handle_unexpected_error(request: Request, error: Exception) -> Response:
    """Report an unexpected error on a page. Show nothing at the callback URL, which contains the code."""
    text = f"An unexpected error occurred ({type(error).__name__}). See the log of Airflow's API server."
    flash = FlashMessage(False, text)
    response = _redirect_to_page(request, flash) if _is_callback(request) else _message_page(request, flash, 500)
    response.headers.update(HEADERS)  # this response does not pass through the middleware
    return response


def _redirect_not_started(request: Request) -> Response:
    return _redirect_to_page(request, FlashMessage(False, f"{pending.NOT_STARTED} {_start_again()}"))


def _start_again() -> str:
    address = airflow_url()
    return f"Open Airflow at {address}, because your browser sends the cookies only there, and click Authorize again."


def _is_callback(request: Request) -> bool:
    return str(request.scope["path"]).rstrip("/").endswith("/callback")


def _message_page(request: Request, flash: FlashMessage, status: int) -> Response:
    """Return a page that shows only a message."""
    return HTMLResponse(render(None, flash=flash, conn_id="", user="", csrf_token="", **_urls(request)), status)
