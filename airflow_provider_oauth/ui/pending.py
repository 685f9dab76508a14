"""A consent between the click on *Authorize* and the answer that the browser brings back.

What is kept on the server says that a ``state`` was given out for this connection, to this user, a moment ago, and not
used yet. The code verifier of PKCE is kept in the user's browser only, in a cookie: so an answer can be used nowhere
else, neither by who has stolen it, nor by who is made to open somebody else's (RFC 9700 sections 2.1.1 and 4.7.1).
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

#: How long a person may take.
LIFETIME = timedelta(minutes=10)

TOO_LATE = (
    "This answer belongs to nothing that was begun in this browser in the last ten minutes. It came too late, was used "
    "already, or is somebody else's. Nothing was changed this time."
)


@dataclass(frozen=True, kw_only=True)
class Cookie:
    """What the browser keeps of a consent.

    :param name: made of the state, so that several can be under way
    :param value: the code verifier, and the connection
    """

    name: str
    value: str


def consent_id(state: str) -> str:
    """Return what the consent with this state is called in URLs and names of cookies."""
    return fingerprint("", state)[:16]


def cookie_name(consent_id: str) -> str:
    """Return the name of the cookie of a consent."""
    return f"oauth_consent_{consent_id}"


def begin(consent: AuthorizationRequest, user: str, now: datetime) -> Cookie:
    """Keep what is needed to believe the answer; an earlier one for this connection is not believed any more.

    :param consent: what is asked for
    :param user: ID of the Airflow user who asks
    :param now: aware time of day
    """
    kept = {
        "state": fingerprint(consent.conn_id, consent.state),
        "verifier": fingerprint(consent.conn_id, consent.code_verifier),
        "user": fingerprint(consent.conn_id, user),
        "redirect_uri": consent.redirect_uri,
        "expires_at": (now + LIFETIME).isoformat(),
    }
    write_pending(consent.conn_id, json.dumps(kept))
    conn_id = base64.urlsafe_b64encode(consent.conn_id.encode()).decode().rstrip("=")
    return Cookie(name=cookie_name(consent_id(consent.state)), value=f"{consent.code_verifier}.{conn_id}")


def conn_id_of(cookie: str | None) -> str:
    """Return the connection that a cookie names. It may be made up: only ``take`` makes sure.

    :raises ConsentDenied: if there is no such cookie
    """
    try:
        encoded = (cookie or "").split(".")[1]
        return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except (IndexError, ValueError):
        raise ConsentDenied(f"{TOO_LATE} Click Authorize again.") from None


def take(conn_id: str, state: str, cookie: str, user: str, now: datetime) -> AuthorizationRequest:
    """Return the consent that was asked for, once.

    :param conn_id: the connection that the cookie names
    :param state: of the answer
    :param cookie: the value of the browser's cookie
    :param user: ID of the Airflow user who brings the answer
    :param now: aware time of day
    :raises ConsentDenied: if it was not asked for by this user in this browser for this connection, is over, or was
        taken already
    """
    verifier = cookie.partition(".")[0]
    kept = _kept(conn_id)
    given = {"state": state, "verifier": verifier, "user": user}
    if not kept or not all(
        secrets.compare_digest(kept[name].encode(errors="replace"), fingerprint(conn_id, value).encode())
        for name, value in given.items()
    ):
        raise ConsentDenied(f"Connection {conn_id!r}: {TOO_LATE} Click Authorize again.")
    if not delete_pending(conn_id) or now >= datetime.fromisoformat(kept["expires_at"]).astimezone(UTC):
        raise ConsentDenied(
            f"Connection {conn_id!r}: it took over ten minutes, or was finished already. Click Authorize again."
        )
    return AuthorizationRequest(conn_id=conn_id, redirect_uri=kept["redirect_uri"], state=state, code_verifier=verifier)


def _kept(conn_id: str) -> dict[str, str]:
    """Return what was kept; nothing if it is none of what ``begin`` keeps: somebody may have edited the Variable."""
    try:
        kept = json.loads(read_pending(conn_id) or "{}")
        datetime.fromisoformat(kept["expires_at"]).astimezone(UTC)
        return {name: str(kept[name]) for name in ("state", "verifier", "user", "redirect_uri", "expires_at")}
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return {}
