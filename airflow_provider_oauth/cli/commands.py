"""What ``airflow oauth …`` does. No command shows a token."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.cli.simple_table import AirflowConsole
from airflow.models import Connection
from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.utils.cli import suppress_logs_and_warning
from airflow.utils.providers_configuration_loader import providers_configuration_loaded
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_provider_oauth.cli.loopback import Loopback
from airflow_provider_oauth.connection import read_connection
from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.hooks import grants
from airflow_provider_oauth.hooks.oauth import OAuthHook, preset_of
from airflow_provider_oauth.oauth.consent import Consent, authorization_url
from airflow_provider_oauth.presets import OAUTH, PRESETS

if TYPE_CHECKING:
    from argparse import Namespace
    from datetime import datetime

    from airflow_provider_oauth.oauth.config import OAuthConfig

Command = Callable[["Namespace"], None]


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

    return run


@_command
def oauth_list(args: Namespace) -> None:
    """List the connections of our types that are in the database."""
    with create_session() as session:
        connections = list(session.scalars(select(Connection).order_by(Connection.conn_id)))
        session.expunge_all()
    rows = [_row(connection) for connection in connections if _is_ours(connection)]
    AirflowConsole().print_as(rows, args.output)


@_command
def oauth_show(args: Namespace) -> None:
    """Show a connection, wherever it is defined."""
    AirflowConsole().print_as([_row(_connection(args.conn_id))], args.output)


@_command
def oauth_renew(args: Namespace) -> None:
    """Renew a token, though it may be good still."""
    connection = _connection(args.conn_id)
    grants.renew(_config(connection))
    AirflowConsole().print_as([_row(connection)], args.output)


@_command
def oauth_revoke(args: Namespace) -> None:
    """Have the tokens revoked, and forget them."""
    config = _config(_connection(args.conn_id))
    _confirm(args, f"Revoke the tokens of {args.conn_id!r} at {urlsplit(config.token_url).netloc}?")
    grants.revoke(config)
    print(f"Revoked and forgotten: {args.conn_id}")


@_command
def oauth_forget(args: Namespace) -> None:
    """Delete the stored tokens."""
    config = _config(_connection(args.conn_id))
    lost = " Its refresh token is lost with them; somebody has to consent again." if config.lives_by_refresh else ""
    _confirm(args, f"Delete the stored tokens of {args.conn_id!r}?{lost}")
    grants.forget(config)
    print(f"Forgotten: {args.conn_id}")


@_command
def oauth_authorize(args: Namespace) -> None:
    """Send a person to the server, and keep what comes of it."""
    config = _config(_connection(args.conn_id))
    if args.listen:
        with Loopback(args.redirect_uri) as loopback:
            consent = Consent(conn_id=config.conn_id, redirect_uri=loopback.redirect_uri)
            print(f"Open in a browser on this machine:\n\n{authorization_url(config, consent)}\n")
            answer = loopback.answer()
    else:
        consent = Consent(conn_id=config.conn_id, redirect_uri=args.redirect_uri or grants.redirect_uri())
        print(f"Open in a browser:\n\n{authorization_url(config, consent)}\n")
        answer = input("Paste the URL that the browser was sent to (it begins with the redirect URI): ")
    token = grants.finish(config, consent, answer)
    print(
        f"Authorized: {args.conn_id}. The token is good until {token.expires_at:%Y-%m-%d %H:%M:%S} UTC; tasks renew it."
    )


def _connection(conn_id: str) -> Connection:
    try:
        return Connection.get_connection_from_secrets(conn_id)
    except AirflowNotFoundException:
        raise SystemExit(f"There is no connection {conn_id!r}.") from None


def _is_ours(connection: Connection) -> bool:
    if connection.conn_type in PRESETS:
        return True
    try:
        return isinstance(connection.get_hook(), OAuthHook)
    except Exception:  # a hook that cannot be made is none of ours
        return False


def _config(connection: Connection) -> OAuthConfig:
    if not _is_ours(connection):
        raise SystemExit(
            f"Connection {connection.conn_id!r} is of type {connection.conn_type!r}, not of an OAuth 2.0 type."
        )
    return read_connection(connection, preset_of(connection, OAUTH))


def _row(connection: Connection) -> dict[str, Any]:
    """Return what is shown of a connection; an error in place of what it keeps from being known."""
    row = {"conn_id": connection.conn_id, "conn_type": connection.conn_type}
    row |= dict.fromkeys(("grant_type", "token", "expires_at", "renewed_at", "consent", "error"), "")
    try:
        config = _config(connection)
        row["grant_type"] = config.grant_type
        status = grants.status(config)
    except OAuthError as error:
        return {**row, "error": str(error)}
    row["error"] = status.error
    row["token"] = "changed" if status.changed else "none"
    if status.token:
        row["token"] = "usable" if status.usable else "ended"
        row["expires_at"], row["renewed_at"] = _time(status.token.expires_at), _time(status.token.issued_at)
    if config.lives_by_refresh:
        row["consent"] = "needed" if status.needs_consent else "given"
    return row


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def _confirm(args: Namespace, question: str) -> None:
    if not args.yes and input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
        raise SystemExit("Nothing was done.")
