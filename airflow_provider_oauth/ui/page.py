"""Renders the page *OAuth connections*."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined

from airflow_provider_oauth.connection import preset_of_type
from airflow_provider_oauth.management.messages import about, consequences, not_granted, remarks
from airflow_provider_oauth.tokens.grant_state import OTHER_SETTINGS

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_oauth.management.status import ConnectionStatus


class State(NamedTuple):
    """A state of a connection, as the page shows it.

    :param label: the word in the row
    :param color: good, bad or neutral
    :param meaning: the explanation in the tooltip and in the legend
    """

    label: str
    color: str
    meaning: str


GRANT_LABELS = {
    "client_credentials": "Client credentials",
    "password": "Password",
    "authorization_code": "Authorization code",
    "refresh_token": "Refresh token",
    "jwt_bearer": "JWT bearer",
    "token_exchange": "Token exchange",
}
TOKEN_STATES = {
    "usable": State(
        "Valid", "good", "Tasks use this token. They renew it before it expires, unless consent is needed."
    ),
    "expired": State("Expired", "neutral", "The next task renews the token, unless consent is needed."),
    "none": State("Not stored", "neutral", "No token is stored. The next task requests one, unless consent is needed."),
    "changed": State(
        "Not usable",
        "bad",
        f"The tokens {OTHER_SETTINGS}. The next task requests a new token, unless consent is needed.",
    ),
    "unknown": State(
        "Unknown",
        "bad",
        "The connection is invalid, or the stored token cannot be read, for example because it is encrypted with "
        "another private key than the file has now.",
    ),
}
CONSENT_STATES = {
    "given": State("Given", "good", "Tasks can renew the token without a user."),
    "needed": State(
        "Needed",
        "bad",
        "The token cannot be renewed. When it has expired, tasks fail until a user authorizes the connection. With "
        "grant type Refresh token, enter a new refresh token.",
    ),
}
ACTION_LABELS = {
    "test": "Test",
    "authorize": "Authorize",
    "renew": "Renew now",
    "revoke": "Revoke",
    "forget": "Forget",
}

_templates = Environment(
    loader=PackageLoader("airflow_provider_oauth.ui"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.globals.update(
    about=about, token_states=TOKEN_STATES, consent_states=CONSENT_STATES, action_labels=ACTION_LABELS
)


class FlashMessage(NamedTuple):
    """The result of the user's last action, shown once.

    :param success: whether the action succeeded; None if there was nothing to do or the result is uncertain
    :param text: the result, without a secret
    :param conn_id: the connection in whose row it is shown; "" for the top of the page
    """

    success: bool | None
    text: str
    conn_id: str = ""


def actions_of(status: ConnectionStatus) -> list[str]:
    """Return the actions that are available to a user who can edit the connection, in the order of the buttons."""
    config = status.config
    if config is None:
        return ["test"]
    never_expires = status.token is not None and status.token.never_expires
    has_tokens = status.token is not None or status.consent_state == "given"
    return [
        "test",
        *(["authorize"] if config.grant_type == "authorization_code" else []),
        *(["renew"] if status.consent_state != "needed" and not never_expires else []),
        *(["revoke"] if has_tokens and (config.revoke_url or config.issuer) else []),
        *(["forget"] if status.is_known else []),
    ]


def format_status(
    status: ConnectionStatus, *, can_edit: bool, in_database: bool = True, flash: FlashMessage | None = None
) -> dict[str, Any]:
    """Return the values that the page shows for a connection.

    :param status: the status of the connection
    :param can_edit: whether the user is allowed to edit the connection, and therefore to use the buttons
    :param in_database: whether Airflow's form can edit the connection
    :param flash: the result of the user's last action, which can be about another connection; None if there is none
    """
    config, conn_id = status.config, status.conn_id
    preset = preset_of_type(status.conn_type)
    result = flash if flash and flash.conn_id == conn_id else None
    notes = [not_granted(status.missing_scopes), *(remarks(config) if config else [])]
    return {
        "conn_id": conn_id,
        "path": quote(conn_id, safe=""),  # quotes slashes as well, because a browser would resolve an ID such as a/../b
        "type": (config and config.vendor_label) or (preset.name if preset else status.conn_type),
        "grant": GRANT_LABELS.get(config.grant_type, config.grant_type) if config else "",
        "token": TOKEN_STATES[status.token_state],
        "renewed_at": _format_time(status.token.issued_at) if status.token else "",
        "expires_at": (_format_time(status.token.expires_at) or "never") if status.token else "",
        "consent": CONSENT_STATES.get(status.consent_state),
        "consent_by": _format_time(status.consent_by) if status.consent_state == "given" else "",
        "callback": dict(status.callback),
        "can_edit": can_edit,
        "edit_query": urlencode({"name_pattern": conn_id}) if can_edit and in_database and status.error else "",
        "actions": actions_of(status) if can_edit else [],
        "consequences": {each: consequences(each, config) for each in ("revoke", "forget")} if config else {},
        "result": result and result._replace(text=_without_prefix(result.text, conn_id)),
        "error": "" if result and result.text == status.error else _without_prefix(status.error, conn_id),
        "notes": [note for note in notes if note],
    }


def render(rows: list[dict[str, Any]] | None, **values: Any) -> str:
    """Return the HTML of the page.

    :param rows: the connections, as from ``format_status``; None for a page that shows only a message
    :param values: values for the other variables of the template
    """
    return _templates.get_template("page.html.j2").render(rows=rows, **values)


def render_waiting(**values: str) -> str:
    """Return the HTML of the page that is shown while tokens are being stored.

    :param values: values for the variables of the template
    """
    return _templates.get_template("waiting.html.j2").render(**values)


def _without_prefix(text: str, conn_id: str) -> str:
    """Return ``text`` without the prefix that names the connection, because the row shows the connection's ID."""
    prefix = about(conn_id, "")
    if not text.startswith(prefix):
        return text
    text = text.removeprefix(prefix)
    # Names of fields, such as grant_url, keep their case.
    return text[:1].upper() + text[1:] if re.match(r"[a-z]+\b", text) else text


def _format_time(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M}" if time else ""
