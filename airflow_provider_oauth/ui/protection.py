"""Protects the page: checks permissions and CSRF tokens, sets security headers, keeps secrets out of access logs."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import ConnectionDetails
from airflow.api_fastapi.core_api.security import GetUserDep  # noqa: TC002 - FastAPI reads the annotations
from airflow.models import Connection
from airflow.providers.common.compat.sdk import conf
from fastapi import HTTPException, Request
from itsdangerous import BadData, URLSafeTimedSerializer

from airflow_provider_oauth.runtime.compat import api_server_key

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.base_auth_manager import ResourceMethod
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: How long the forms of a loaded page are accepted, in seconds.
FORM_LIFETIME = 12 * 3600
#: Maximum size of a form, in bytes.
MAX_FORM_SIZE = 10_000

FORGED = (
    "This form has expired or was not sent from this page. Reload the page and try again. If this happens again, set "
    "[api] secret_key to the same value on all API servers."
)

HEADERS = {
    # There is no form-action directive: browsers also apply it to redirects, and Authorize redirects to the vendor.
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def signer(purpose: str) -> URLSafeTimedSerializer:
    """Return a signer for one purpose. It uses the key that all processes of the API server share."""
    return URLSafeTimedSerializer(api_server_key(), salt=f"airflow-provider-oauth {purpose}")


def csrf_token(user: BaseUser) -> str:
    """Return the CSRF token of a user's forms."""
    return str(signer("form").dumps(user.get_id()))


async def verify_csrf(request: Request, user: GetUserDep) -> None:
    """Refuse a form that was not sent from a page of this user. Store its fields in ``request.state.form``.

    :raises HTTPException: 403 if the CSRF token is missing, expired or for another user; 413 if the form is too large;
        415 if the request is not a form
    """
    # JSON is refused, because Airflow's audit log would read the body a second time, which is not possible.
    if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
        raise HTTPException(415, "The request must be sent as a form (application/x-www-form-urlencoded).")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_SIZE:
            raise HTTPException(
                413, f"The form is larger than {MAX_FORM_SIZE} bytes. Reload the page and use its buttons."
            )
    request.state.form = form = parse_qs(body.decode(errors="replace"))  # the body can be read only once
    try:
        is_own = signer("form").loads(form.get("csrf_token", [""])[0], max_age=FORM_LIFETIME) == user.get_id()
    except BadData:
        is_own = False
    if not is_own:
        raise HTTPException(403, FORGED)


def can(user: BaseUser, conn_id: str, method: ResourceMethod) -> bool:
    """Return whether a user may read (GET) or edit (PUT) a connection, with the check that Airflow's own routes use.

    Airflow's own route dependency cannot be used: if teams are enabled, it reads the connection's new team from a JSON
    body.

    :param user: the Airflow user
    :param conn_id: the connection, which need not exist
    :param method: GET or PUT
    """
    team = Connection.get_team_name(conn_id) if conf.getboolean("core", "multi_team", fallback=False) else None
    details = ConnectionDetails(conn_id=conn_id, team_name=team)
    return bool(get_auth_manager().is_authorized_connection(method=method, details=details, user=user))


def can_edit(connection_id: str, user: GetUserDep) -> None:
    """Refuse users who are not allowed to edit the connection.

    :raises HTTPException: 403 if the user is not allowed to edit it
    """
    if not can(user, connection_id, "PUT"):
        raise HTTPException(403, f"You are not allowed to edit connection {connection_id!r}. Ask an administrator.")


def permitted_connections(user: BaseUser, method: ResourceMethod) -> set[str]:
    """Return the IDs of the connections in the database that a user may read (GET) or edit (PUT)."""
    return set(get_auth_manager().get_authorized_connections(user=user, method=method))


class SecurityHeadersMiddleware:
    """Sets the security headers of every response, and hides the callback's query from access logs.

    Access logs contain the query string of the ASGI scope, so it is moved to ``scope["oauth_callback"]``.

    :param app: the ASGI application that handles the requests
    :param hidden: the end of the path whose query is secret
    """

    def __init__(self, app: ASGIApp, hidden: str) -> None:
        self._app = app
        self._hidden = hidden

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request as an ASGI application does."""
        if scope["type"] == "http" and scope["path"].rstrip("/").endswith(self._hidden):
            scope["oauth_callback"] = scope["query_string"].decode("ascii", errors="replace")
            scope["query_string"] = b""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name.lower().encode() for name in HEADERS}
                others = [(name, value) for name, value in message["headers"] if name.lower() not in names]
                message["headers"] = [*others, *((name.encode(), value.encode()) for name, value in HEADERS.items())]
            await send(message)

        await self._app(scope, receive, send_with_headers)
