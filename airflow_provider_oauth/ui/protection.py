"""What keeps other sites, other users and logs out: who may do what, forms that cannot be forged, and headers."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import ConnectionDetails
from airflow.api_fastapi.auth.tokens import get_signing_key
from airflow.api_fastapi.core_api.security import GetUserDep  # noqa: TC002 - FastAPI reads the annotations
from airflow.models import Connection
from airflow.providers.common.compat.sdk import conf
from fastapi import HTTPException, Request
from itsdangerous import BadData, URLSafeTimedSerializer

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.base_auth_manager import ResourceMethod
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Seconds for which a page's forms can be sent.
FORM_LIFETIME = 12 * 3600
#: The most that a form of ours can have, in bytes.
MAX_FORM_SIZE = 10_000

FORGED = (
    "This form is too old, or was not sent by Airflow's own page. Reload the page. If that does not help, set "
    "[api] secret_key, to the same for all API servers."
)

HEADERS = {
    # No form-action: browsers apply it to where a form leads in the end too, and Authorize leads to the vendor.
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def signer(purpose: str) -> URLSafeTimedSerializer:
    """Return what signs texts for one purpose, by the key that all processes of the API server share."""
    return URLSafeTimedSerializer(get_signing_key("api", "secret_key"), salt=f"airflow-provider-oauth {purpose}")


def csrf_token(user: BaseUser) -> str:
    """Return what a form of this user has to bring back."""
    return str(signer("form").dumps(user.get_id()))


async def verify_csrf(request: Request, user: GetUserDep) -> None:
    """Refuse a form that this user's own page did not send.

    :raises HTTPException: 403, or why it is no form of ours
    """
    # As JSON, Airflow's audit log would want to read it once more.
    if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
        raise HTTPException(415, "This is not a form.")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_SIZE:
            raise HTTPException(413, "The form is too long.")
    brought = parse_qs(body.decode(errors="replace")).get("csrf_token", [""])[0]
    try:
        is_own = signer("form").loads(brought, max_age=FORM_LIFETIME) == user.get_id()
    except BadData:
        is_own = False
    if not is_own:
        raise HTTPException(403, FORGED)


def can(user: BaseUser, conn_id: str, method: ResourceMethod) -> bool:
    """Tell whether a user may read (GET) or edit (PUT) a connection, as Airflow decides it for its own routes.

    Their dependency is of no use here: with teams it reads which team an edited connection is to belong to from the
    request's JSON, and there is none.

    :param user: who wants to
    :param conn_id: the connection; it need not exist
    :param method: GET or PUT
    """
    team = Connection.get_team_name(conn_id) if conf.getboolean("core", "multi_team", fallback=False) else None
    details = ConnectionDetails(conn_id=conn_id, team_name=team)
    return bool(get_auth_manager().is_authorized_connection(method=method, details=details, user=user))


def can_edit(connection_id: str, user: GetUserDep) -> None:
    """Refuse who may not edit the connection.

    :raises HTTPException: 403
    """
    if not can(user, connection_id, "PUT"):
        raise HTTPException(403, f"You may not edit the connection {connection_id!r}.")


def permitted_connections(user: BaseUser, method: ResourceMethod) -> set[str]:
    """Return the IDs of the connections in the database that a user may read (GET) or edit (PUT)."""
    return set(get_auth_manager().get_authorized_connections(user=user, method=method))


class SecurityHeadersMiddleware:
    """Sets the headers of every answer, and hides the query of the callback: access logs are written from the scope.

    :param app: the application
    :param hidden: the end of the path whose query is a secret
    """

    def __init__(self, app: ASGIApp, hidden: str) -> None:
        self._app = app
        self._hidden = hidden

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and scope["path"].rstrip("/").endswith(self._hidden):
            scope["oauth_answer"] = scope["query_string"].decode("ascii", errors="replace")
            scope["query_string"] = b""

        async def send_shielded(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name.lower().encode() for name in HEADERS}
                own = [(name, value) for name, value in message["headers"] if name.lower() not in names]
                message["headers"] = [*own, *((name.encode(), value.encode()) for name, value in HEADERS.items())]
            await send(message)

        await self._app(scope, receive, send_shielded)
