"""The routes of the page *OAuth connections*, and where a browser comes back to after a consent."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qs, urlencode, urlsplit

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
from airflow_provider_oauth.management import connections, grants
from airflow_provider_oauth.protocol.authorization import AuthorizationRequest
from airflow_provider_oauth.runtime.ui_urls import PAGES, airflow_url
from airflow_provider_oauth.ui import pending
from airflow_provider_oauth.ui.page import FlashMessage, Row, render, render_waiting
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

    from airflow_provider_oauth.protocol.token import Token

Action = Literal["test", "authorize", "renew", "revoke", "forget"]
LABELS = {"test": "Test", "authorize": "Authorize", "renew": "Renew now"}
#: Seconds for which a browser keeps what belongs to a consent.
CONSENT_LIFETIME = round(pending.LIFETIME.total_seconds())
#: Cookie of what came of what the user did last.
FLASH_COOKIE = "oauth_flash"
#: Seconds for which that is cookie.
FLASH_LIFETIME = 120
#: Characters of a cookie's value that every browser takes, its name and attributes aside (RFC 6265 section 6.1).
MAX_COOKIE_SIZE = 3800


def create_app() -> FastAPI:
    """Return the application, to be mounted in Airflow's API server."""
    app = FastAPI(title="OAuth connections", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(SecurityHeadersMiddleware, hidden="/callback")
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))
    app.add_exception_handler(HTTPException, _refusal)  # FastAPI's is one of them
    app.add_exception_handler(RequestValidationError, _refusal)
    app.add_exception_handler(Exception, _failure)
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
    app.get("/finish/{consent_id}")(wait)
    app.post("/finish/{consent_id}", dependencies=[Depends(verify_csrf)])(finish)
    return app


async def show(request: Request, user: GetUserDep, conn_id: str = "") -> Response:
    """Show all connections that the user may see, or one, wherever it is defined."""
    flash = _flash_message(request)
    try:
        rows = await run_in_threadpool(_rows, user, conn_id)
    except ConfigurationError as error:
        rows, flash = [], flash or FlashMessage(False, str(error))
    response = HTMLResponse(render(rows, flash=flash, conn_id=conn_id, labels=LABELS, **_common(request, user)))
    response.delete_cookie(FLASH_COOKIE, path=_root(request))
    return response


async def act(request: Request, user: GetUserDep, connection_id: str, action: Action) -> Response:
    """Do what a button says, and go back to the page."""
    try:
        if action == "authorize":
            return await run_for_user(user.get_id(), _authorize, request, connection_id, user.get_id())
        flash = await run_for_user(user.get_id(), _do, action, connection_id)
    except OAuthError as error:
        flash = FlashMessage(False, str(error))
    return await run_in_threadpool(_back, request, flash, connection_id)


async def callback(request: Request, user: GetUserDep) -> Response:
    """Take what the browser brings back from the vendor, and lead to a page that has it kept.

    The URL has the code, so no page is ever shown at it. Nothing is changed here: any site can lead a browser here.
    """
    answer = request.scope["oauth_answer"]
    consent_id = pending.consent_id(parse_qs(answer).get("state", [""])[0])
    if pending.cookie_name(consent_id) not in request.cookies:
        return _too_late(request)
    kept = str(signer("answer").dumps(answer))
    if len(kept) > MAX_COOKIE_SIZE:  # codes have no longest length
        return await _finished(request, user, consent_id, answer)
    response = RedirectResponse(f"{_root(request)}/finish/{consent_id}", 303)
    _set_cookie(request, response, _answer_cookie(consent_id), kept, CONSENT_LIFETIME)
    return response


async def wait(request: Request, user: GetUserDep, consent_id: str) -> Response:
    """Show that it takes a while. The page sends its form by itself."""
    if _answer_cookie(consent_id) not in request.cookies:
        return RedirectResponse(f"{_root(request)}/", 303)  # it was finished already
    return HTMLResponse(render_waiting(**_common(request, user)))


async def finish(request: Request, user: GetUserDep, consent_id: str) -> Response:
    """Trade the code, keep the tokens, and go back to the page."""
    try:
        answer = signer("answer").loads(request.cookies.get(_answer_cookie(consent_id), ""), max_age=CONSENT_LIFETIME)
    except BadData:
        return _too_late(request)
    return await _finished(request, user, consent_id, answer)


async def _finished(request: Request, user: BaseUser, consent_id: str, answer: str) -> Response:
    cookie = request.cookies.get(pending.cookie_name(consent_id), "")
    state = parse_qs(answer).get("state", [""])[0]
    conn_id = ""
    try:
        conn_id = pending.conn_id_of(cookie)
        if not await run_in_threadpool(can, user, conn_id, "PUT"):
            raise ConsentDenied(f"Connection {conn_id!r}: you may not edit it any more, so nothing was changed.")
        flash = await run_for_user(user.get_id(), _keep, conn_id, state, cookie, answer, user)
    except OAuthError as error:
        flash = FlashMessage(False, str(error))
    response = await run_in_threadpool(_back, request, flash, conn_id)
    for name in (pending.cookie_name(consent_id), _answer_cookie(consent_id)):
        response.delete_cookie(name, path=_root(request))
    return response


def _rows(user: BaseUser, conn_id: str) -> list[Row]:
    if conn_id:
        if not can(user, conn_id, "GET"):
            raise ConfigurationError(f"You may not see the connection {conn_id!r}.")
        connections.check(conn_id)
        return [Row(overview=connections.overview(conn_id), can_edit=can(user, conn_id, "PUT"))]
    readable, editable = permitted_connections(user, "GET"), permitted_connections(user, "PUT")
    with create_session() as session:
        shown = [each for each in connections.conn_ids(session) if each in readable]
    return [Row(overview=connections.overview(each), can_edit=each in editable) for each in shown]


def _do(action: Action, conn_id: str) -> FlashMessage:
    config = connections.config_of(conn_id)
    about = f"Connection {conn_id!r}:"
    if action == "test":
        works, text = grants.test(config)
        return FlashMessage(works, f"{about} {text}")
    if action == "renew":
        token = grants.renew(config)
        return FlashMessage(True, f"{about} renewed. {_validity(token)}.")
    if grants.is_empty(config):
        return FlashMessage(None, f"{about} nothing is stored, so there is nothing to {action}.")
    if action == "revoke":
        taken = grants.revoke(config)
        return FlashMessage(
            True, f"{about} the server has taken its tokens back ({taken}), and Airflow has forgotten them."
        )
    grants.forget(config)
    return FlashMessage(True, f"{about} Airflow has forgotten its tokens. The server was not told.")


def _authorize(request: Request, conn_id: str, user: str) -> Response:
    redirect_uri = _redirect_uri()
    if not redirect_uri:
        raise ConfigurationError("Airflow does not know its own URL: set [api] base_url.")
    consent = AuthorizationRequest(conn_id=conn_id, redirect_uri=redirect_uri)
    url = grants.begin_authorization(connections.config_of(conn_id), consent)
    cookie = pending.begin(consent, user, datetime.now(UTC))
    response = RedirectResponse(url, 303)
    _set_cookie(request, response, cookie.name, cookie.value, CONSENT_LIFETIME)
    return response


def _keep(conn_id: str, state: str, cookie: str, answer: str, user: BaseUser) -> FlashMessage:
    consent = pending.take(conn_id, state, cookie, user.get_id(), datetime.now(UTC))
    # As action_logging does for the buttons, but the connection is known only now.
    with create_session() as session:
        extra = json.dumps({"connection_id": consent.conn_id, "action": "consent"})
        name = user.get_name()
        session.add(Log(event="oauth_connection", owner=name, owner_display_name=name, extra=extra))
    config = connections.config_of(consent.conn_id)
    token = grants.finish_authorization(config, consent, f"?{answer}")  # a query may have a ? of its own
    renewable, text = grants.authorization_result(config)
    return FlashMessage(renewable, f"Connection {consent.conn_id!r}: authorized. {_validity(token)}. {text}")


def _validity(token: Token) -> str:
    """Return a sentence about the lifetime of the token, without a full stop."""
    if token.expires_at is None:
        return "The token never expires"
    return f"The token is good until {token.expires_at:%Y-%m-%d %H:%M} UTC"


def _redirect_uri() -> str:
    return f"{airflow_url()}{PAGES}/callback" if airflow_url() else ""


# --- back and forth


def _root(request: Request) -> str:
    """Return the path of our pages, without a slash at the end."""
    return str(request.scope["root_path"])


def _places(request: Request) -> dict[str, str]:
    return {
        "root": _root(request),
        "airflow": _root(request).removesuffix(PAGES),
        "redirect_uri": _redirect_uri(),
    }


def _common(request: Request, user: BaseUser) -> dict[str, str]:
    """Return what all pages have."""
    return {**_places(request), "user": user.get_name(), "csrf_token": csrf_token(user)}


def _answer_cookie(consent_id: str) -> str:
    """Return the name of the cookie that keeps an answer while the page that says that it takes a while is shown."""
    return f"oauth_answer_{consent_id}"


def _back(request: Request, flash: FlashMessage, conn_id: str = "") -> Response:
    """Go back to the page, and have it say what came of it; to the connection's own if the list does not have it."""
    query = f"?{urlencode({'conn_id': conn_id})}" if conn_id and connections.is_elsewhere(conn_id) else ""
    response = RedirectResponse(f"{_root(request)}/{query}", 303)
    text = flash.text[:2000]
    while len(cookie := str(signer("flash").dumps([flash.success, text]))) > MAX_COOKIE_SIZE:
        text = text[: len(text) // 2] + " …"
    _set_cookie(request, response, FLASH_COOKIE, cookie, FLASH_LIFETIME)
    return response


def _flash_message(request: Request) -> FlashMessage | None:
    try:
        success, text = signer("flash").loads(request.cookies.get(FLASH_COOKIE, ""), max_age=FLASH_LIFETIME)
        return FlashMessage(None if success is None else bool(success), str(text))
    except (BadData, ValueError, TypeError):
        return None


def _set_cookie(request: Request, response: Response, name: str, value: str, seconds: int) -> None:
    secure = urlsplit(_redirect_uri()).scheme == "https"
    response.set_cookie(name, value, seconds, path=_root(request), secure=secure, httponly=True, samesite="lax")


async def _refusal(request: Request, error: Exception) -> Response:
    """Send who is not logged in to do so; tell others on a page what is wrong. Never at the callback's URL."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    detail = error.detail if isinstance(error, HTTPException) else "There is no such page."
    logged_out = status == 401 or detail == "Invalid JWT token"  # as Airflow's own pages have it
    if _is_callback(request) and request.method == "GET":
        problem = "You were not logged in to Airflow when you came back." if logged_out else detail
        return _back(request, FlashMessage(False, f"{problem} {_begin_again()}"))
    if logged_out and request.method == "GET":
        page = f"{airflow_url()}{PAGES}/" if airflow_url() else f"{_root(request)}/"
        if conn_id := request.query_params.get("conn_id"):
            page += f"?{urlencode({'conn_id': conn_id})}"
        login = f"{_places(request)['airflow']}/api/v2/auth/login"
        return RedirectResponse(f"{login}?{urlencode({'next': page})}")
    return _page_of(request, FlashMessage(False, str(detail)), status)


def _too_late(request: Request) -> Response:
    return _back(request, FlashMessage(False, f"{pending.TOO_LATE} {_begin_again()}"))


def _begin_again() -> str:
    return f"Open Airflow as {airflow_url()}, which its cookies are for, and click Authorize again."


async def _failure(request: Request, error: Exception) -> Response:
    """Tell that something went wrong that nobody has thought of. Never at the callback's URL."""
    flash = FlashMessage(
        False, f"Something went wrong ({type(error).__name__}). The log of Airflow's API server says more."
    )
    response = _back(request, flash) if _is_callback(request) else _page_of(request, flash, 500)
    response.headers.update(HEADERS)  # this is outside of the shield
    return response


def _is_callback(request: Request) -> bool:
    return str(request.scope["path"]).rstrip("/").endswith("/callback")


def _page_of(request: Request, flash: FlashMessage, status: int) -> Response:
    """Return a page that says no more than this."""
    values = {"flash": flash, "conn_id": "", "user": "", "csrf_token": "", "labels": LABELS}
    return HTMLResponse(render(None, **_places(request), **values), status)
