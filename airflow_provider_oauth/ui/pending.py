"""Authorization requests between the click on *Authorize* and the callback.

Airflow stores only hashes of the ``state``, of the user and of the PKCE code verifier. The code verifier itself is in a
cookie of the user's browser. Therefore, a stolen callback cannot be used in another browser, and a callback that an
attacker makes a user open is refused (RFC 9700 sections 2.1.1 and 4.7.1).
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from airflow_provider_oauth.exceptions import ConsentDenied
from airflow_provider_oauth.protocol.authorization import AuthorizationRequest
from airflow_provider_oauth.runtime.airflow_variables import delete_pending, read_pending, write_pending
from airflow_provider_oauth.tokens.record import fingerprint

#: Maximum time between the click on *Authorize* and the callback.
LIFETIME = timedelta(minutes=10)
#: Maximum length of a connection's ID, as in Airflow's database. Anyone can send a cookie with a longer one.
MAX_CONN_ID = 250

NOT_STARTED = (
    "This browser has no open authorization: none was started in the last 10 minutes, or the last one was already "
    "completed. Nothing was changed."
)


@dataclass(frozen=True, kw_only=True)
class Cookie:
    """The browser's part of an authorization request.

    :param name: the name; it contains the request's ID, because several requests can be open
    :param value: the code verifier and the connection
    """

    name: str
    value: str


def request_id(state: str) -> str:
    """Return the ID of the authorization request with this state, for URLs and names of cookies."""
    return fingerprint("", state)[:16]


def cookie_name(request_id: str) -> str:
    """Return the name of an authorization request's cookie."""
    return f"oauth_consent_{request_id}"


def store(request: AuthorizationRequest, user: str, now: datetime) -> Cookie:
    """Store an authorization request. It replaces an earlier one for the same connection.

    :param request: the authorization request
    :param user: ID of the Airflow user
    :param now: the current time, with a time zone
    :return: the cookie to set in the user's browser
    """
    stored = {
        "state": fingerprint(request.conn_id, request.state),
        "verifier": fingerprint(request.conn_id, request.code_verifier),
        "user": fingerprint(request.conn_id, user),
        "redirect_uri": request.redirect_uri,
        "expires_at": (now + LIFETIME).isoformat(),
    }
    write_pending(request.conn_id, json.dumps(stored))
    conn_id = base64.urlsafe_b64encode(request.conn_id.encode()).decode().rstrip("=")
    return Cookie(name=cookie_name(request_id(request.state)), value=f"{request.code_verifier}.{conn_id}")


def conn_id_of(cookie: str) -> str:
    """Return the connection that a cookie names. Only ``consume`` verifies that the cookie is genuine.

    :raises ConsentDenied: if the cookie is missing or malformed
    """
    try:
        encoded = cookie.split(".")[1]
        conn_id = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except (IndexError, ValueError):
        conn_id = ""
    if not 0 < len(conn_id) <= MAX_CONN_ID:
        raise ConsentDenied(f"{NOT_STARTED} Click Authorize again.")
    return conn_id


def consume(conn_id: str, state: str, cookie: str, user: str, now: datetime) -> AuthorizationRequest:
    """Return the authorization request that a callback belongs to, and delete it, so that it is used only once.

    :param conn_id: the connection that the cookie names
    :param state: the callback's state
    :param cookie: the value of the browser's cookie
    :param user: ID of the Airflow user whose browser received the callback
    :param now: the current time, with a time zone
    :raises ConsentDenied: if this user did not start the request in this browser for this connection, or if the request
        has expired or was already completed
    """
    verifier = cookie.partition(".")[0]
    stored = _read(conn_id)
    given = {"state": state, "verifier": verifier, "user": user}
    if not stored or not all(
        secrets.compare_digest(stored[name].encode(errors="replace"), fingerprint(conn_id, value).encode())
        for name, value in given.items()
    ):
        raise ConsentDenied(f"Connection {conn_id!r}: {NOT_STARTED} Click Authorize again.")
    if not delete_pending(conn_id) or now >= datetime.fromisoformat(stored["expires_at"]).astimezone(UTC):
        raise ConsentDenied(
            f"Connection {conn_id!r}: the authorization took more than 10 minutes, or was completed already. Nothing "
            f"was changed. Click Authorize again."
        )
    return AuthorizationRequest(
        conn_id=conn_id, redirect_uri=stored["redirect_uri"], state=state, code_verifier=verifier
    )


def _read(conn_id: str) -> dict[str, str]:
    """Return what ``store`` has stored; an empty dict if the Variable is missing or invalid."""
    try:
        stored = json.loads(read_pending(conn_id) or "{}")
        datetime.fromisoformat(stored["expires_at"]).astimezone(UTC)
        return {name: str(stored[name]) for name in ("state", "verifier", "user", "redirect_uri", "expires_at")}
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return {}
