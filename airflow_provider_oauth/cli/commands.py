"""What ``airflow oauth …`` does. No command shows a token."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache, wraps
from typing import TYPE_CHECKING

from airflow.cli.simple_table import AirflowConsole
from airflow.models import Connection
from airflow.providers.common.compat.module_loading import import_string
from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.providers_manager import ProvidersManager
from airflow.utils.cli import suppress_logs_and_warning
from airflow.utils.providers_configuration_loader import providers_configuration_loaded
from airflow.utils.session import create_session
from rich.markup import escape
from sqlalchemy import select

from airflow_provider_oauth.cli.loopback import Loopback
from airflow_provider_oauth.connection import read_connection
from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.hooks import grants
from airflow_provider_oauth.hooks.oauth import OAuthHook, preset_of
from airflow_provider_oauth.oauth.consent import Consent
from airflow_provider_oauth.presets import OAUTH, PRESETS

if TYPE_CHECKING:
    from argparse import Namespace
    from datetime import datetime

    from airflow_provider_oauth.oauth.config import OAuthConfig

Command = Callable[["Namespace"], None]

#: Where a browser is sent whose user pastes the URL: nobody is there, so no log has the code.
REDIRECT_URI = "http://127.0.0.1:8765/"


def _command(function: Command) -> Command:
    """Run as Airflow's own commands do, and end with the error's text instead of a traceback."""

    @suppress_logs_and_warning
    @providers_configuration_loaded
    @wraps(function)
    def run(args: Namespace) -> None:
        # As `airflow connections test` does: else connections of the database are not seen.
        os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
        try:
            function(args)
        except OAuthError as error:
            raise SystemExit(str(error)) from None
        except (EOFError, KeyboardInterrupt):
            raise SystemExit("Nothing was done.") from None

    return run


@_command
def oauth_list(args: Namespace) -> None:
    """List the connections of our types that are in the database."""
    with create_session() as session:
        found = session.execute(select(Connection.conn_id, Connection.conn_type).order_by(Connection.conn_id)).all()
    _print([_row(conn_id) for conn_id, conn_type in found if _is_our_type(conn_type)], args)


@_command
def oauth_show(args: Namespace) -> None:
    """Show a connection, wherever it is defined."""
    _check_type(_connection(args.conn_id))
    _print([_row(args.conn_id)], args)


@_command
def oauth_renew(args: Namespace) -> None:
    """Renew a token, though it may be good still."""
    grants.renew(_config(_connection(args.conn_id)))
    _print([_row(args.conn_id)], args)


@_command
def oauth_authorize(args: Namespace) -> None:
    """Send a person to the server, and keep what comes of it."""
    config = _config(_connection(args.conn_id))
    if args.listen:
        with Loopback(args.redirect_uri) as loopback:
            consent = Consent(conn_id=config.conn_id, redirect_uri=loopback.redirect_uri)
            _say(f"Open in a browser on this machine:\n\n{grants.begin(config, consent)}\n")
            answer = loopback.answer(consent.state)
    else:
        consent = Consent(conn_id=config.conn_id, redirect_uri=args.redirect_uri or REDIRECT_URI)
        _say(f"Open in a browser:\n\n{grants.begin(config, consent)}\n")
        _say("Then paste the URL that it was sent to, though there may be no page (it begins with the redirect URI):")
        answer = input()
    _say("Storing the tokens, which can take half a minute …")
    token = grants.finish(config, consent, answer)
    _say(f"Authorized: {args.conn_id}. The token is good until {_time(token.expires_at)}.")
    if grants.status(config).needs_consent:
        _say("The server gave no refresh token, so nobody can renew it. Ask for offline access, often by a scope.")


def _say(text: str) -> None:
    print(text, flush=True)  # a pipe would keep it until the end


def _connection(conn_id: str) -> Connection:
    try:
        return Connection.get_connection_from_secrets(conn_id)
    except AirflowNotFoundException:
        raise SystemExit(f"There is no connection {conn_id!r}.") from None


@cache
def _is_our_type(conn_type: str | None) -> bool:
    """Tell by the class of the type's hook, without making one: another's may connect, or end the process."""
    if conn_type in PRESETS:
        return True
    info = ProvidersManager().hooks.get(conn_type or "")
    try:
        return info is not None and issubclass(import_string(info.hook_class_name), OAuthHook)
    except Exception:  # a hook that cannot be imported is none of ours
        return False


def _config(connection: Connection) -> OAuthConfig:
    _check_type(connection)
    return read_connection(connection, preset_of(connection, OAUTH))


def _check_type(connection: Connection) -> None:
    if not _is_our_type(connection.conn_type):
        raise SystemExit(
            f"Connection {connection.conn_id!r} is of type {connection.conn_type!r}, not of an OAuth 2.0 type."
        )


def _row(conn_id: str) -> dict[str, str]:
    """Return what is shown of a connection; an error in place of what it keeps from being known."""
    row = {"conn_id": conn_id}
    row |= dict.fromkeys(("conn_type", "grant_type", "token", "expires_at", "renewed_at", "consent", "error"), "")
    try:
        connection = _connection(conn_id)  # as a task finds it: the environment wins over the database
        row["conn_type"] = connection.conn_type or ""
        config = _config(connection)
        row["grant_type"] = config.grant_type
        status = grants.status(config)
    except OAuthError as error:
        return {**row, "error": str(error)}
    except Exception as error:  # extra that is no JSON, another Fernet key: one row, not the end of the list
        return {**row, "error": f"The connection cannot be read ({type(error).__name__})."}
    row["error"] = status.error
    row["token"] = "changed" if status.changed else "none"
    if status.token:
        row["token"] = "usable" if status.usable else "ended"
        row["expires_at"], row["renewed_at"] = _time(status.token.expires_at), _time(status.token.issued_at)
    if config.lives_by_refresh:
        row["consent"] = "needed" if status.needs_consent else "given"
    return row


def _print(rows: list[dict[str, str]], args: Namespace) -> None:
    if args.output == "table":  # it would take [words] for markup
        rows = [{name: escape(value) for name, value in row.items()} for row in rows]
    AirflowConsole().print_as(rows, args.output)


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
