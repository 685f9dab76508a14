"""The functions behind the commands of ``airflow oauth``. No command prints a token."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import TYPE_CHECKING, cast

from airflow.utils.cli import action_cli, suppress_logs_and_warning
from airflow.utils.providers_configuration_loader import providers_configuration_loaded
from airflow.utils.session import create_session

from airflow_provider_oauth.cli.authorize import authorize, authorize_device
from airflow_provider_oauth.cli.grant_check import check_and_print
from airflow_provider_oauth.cli.output import Row, format_status, print_line, print_rows
from airflow_provider_oauth.cli.questions import CANCELED, ask
from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.management import grants, messages
from airflow_provider_oauth.management.connections import (
    check_exists,
    get_config,
    get_status,
    list_conn_ids,
    unlisted_sources,
)
from airflow_provider_oauth.runtime.compat import allow_database_connections

if TYPE_CHECKING:
    from argparse import Namespace

    from airflow_provider_oauth.protocol.config import OAuthConfig

Command = Callable[["Namespace"], None]

#: This text does not say that nothing was changed, because the server may already have issued or revoked tokens.
STOPPED = "Stopped. To see what is stored, run: airflow oauth show CONN_ID"


def _command(function: Command) -> Command:
    """Return a function that runs like Airflow's own commands. After an error, it prints a text, not a traceback."""

    @suppress_logs_and_warning
    @providers_configuration_loaded
    @wraps(function)
    def run(args: Namespace) -> None:
        allow_database_connections()
        try:
            function(args)
        except OAuthError as error:
            raise SystemExit(str(error)) from None
        except (EOFError, KeyboardInterrupt):
            raise SystemExit(STOPPED) from None

    return run


def _audited(function: Command) -> Command:
    """Return a function that also records the command and its user in Airflow's audit log."""
    return cast("Command", action_cli(check_db=False)(function))


@_command
def oauth_list(args: Namespace) -> None:
    """List the OAuth 2.0 connections in the database, and report where there may be others."""
    print_rows([format_status(get_status(conn_id)) for conn_id in _listed()], args.output)


@_command
def oauth_show(args: Namespace) -> None:
    """Show a connection, wherever it is defined; exit with 1 if it is invalid or its credentials were refused."""
    check_exists(args.conn_id)
    status = get_status(args.conn_id)
    print_rows([format_status(status)], args.output)
    if status.error:
        raise SystemExit(1)


@_command
def oauth_test(args: Namespace) -> None:
    """Test a connection's grant at the token endpoint; exit with 1 if it does not work."""
    check_and_print(get_config(args.conn_id))


@_command
def oauth_check(args: Namespace) -> None:
    """List the connections that need a user's attention; exit with 1 if there are any."""
    for conn_id in args.conn_ids:
        check_exists(conn_id)
    now = datetime.now(UTC)
    problems = {conn_id: get_status(conn_id).problem(now) for conn_id in args.conn_ids or _listed()}
    rows: list[Row] = [{"conn_id": conn_id, "problem": text} for conn_id, text in problems.items() if text]
    if rows or args.output in ("json", "yaml"):
        print_rows(rows, args.output)
    else:
        print_line("No connection needs attention.")
    if rows:
        raise SystemExit(1)


@_command
def oauth_vendors(args: Namespace) -> None:
    """List the vendors, or show what a connection of one vendor needs; exit with 1 if a vendor file is invalid."""
    from airflow_provider_oauth.cli.vendors import list_vendors, show_vendor  # vendor files take time to read

    if args.vendor is None:
        list_vendors(args.output)
    else:
        show_vendor(args.vendor, args.output)


@_command
@_audited
def oauth_add(args: Namespace) -> None:
    """Create a connection of a vendor, then let the user authorize or test it."""
    from airflow_provider_oauth.cli.add import add  # vendor files take time to read

    add(args)


@_command
def oauth_request(args: Namespace) -> None:
    """Send a request to the API and describe the response; exit with 1 after an error."""
    from airflow_provider_oauth.cli.request import request_and_print  # the hooks take time to import

    request_and_print(args, get_config(args.conn_id))


@_command
@_audited
def oauth_mark(args: Namespace) -> None:
    """Show or set the mark of an incremental task, or the value that one of its runs sends."""
    from airflow_provider_oauth.cli.mark import show_or_set  # the formats of values take time to import

    show_or_set(args)


@_command
@_audited
def oauth_renew(args: Namespace) -> None:
    """Renew the token, even if it is still valid."""
    grants.renew(get_config(args.conn_id))
    print_rows([format_status(get_status(args.conn_id))], args.output)


@_command
@_audited
def oauth_revoke(args: Namespace) -> None:
    """Revoke the tokens at the server, and delete the stored ones."""
    _delete_tokens("revoke", args, lambda config: messages.revoked(grants.revoke(config)))


@_command
@_audited
def oauth_forget(args: Namespace) -> None:
    """Delete the stored tokens without notifying the server."""

    def forget(config: OAuthConfig) -> str:
        grants.forget(config)
        return messages.FORGOTTEN

    _delete_tokens("forget", args, forget)


@_command
@_audited
def oauth_authorize(args: Namespace) -> None:
    """Let a user authorize the connection in a browser, and store the tokens."""
    config = get_config(args.conn_id)
    if not args.device:
        authorize(config, args.redirect_uri, listen=args.listen)
    elif args.listen or args.redirect_uri:
        raise SystemExit(
            "--device needs no redirect URI, so it cannot be used with --listen or --redirect-uri. Nothing was "
            "changed. Run the command again with --device only."
        )
    else:
        authorize_device(config)


def _delete_tokens(action: str, args: Namespace, delete: Callable[[OAuthConfig], str]) -> None:
    """Delete the tokens of a connection after a confirmation.

    :param action: revoke or forget
    :param args: the command's arguments
    :param delete: deletes the tokens and returns the result to print
    """
    config = get_config(args.conn_id)
    if grants.is_empty(config):
        print_line(messages.about(args.conn_id, messages.nothing_stored(action)))
        return
    question = f"{messages.consequences(action, config)} {action.capitalize()} the tokens of {args.conn_id}? [y/N] "
    if not args.yes and ask(question).strip().lower() not in ("y", "yes"):
        raise SystemExit(CANCELED)
    print_line(messages.about(args.conn_id, delete(config)))


def _listed() -> list[str]:
    """Return the IDs of the OAuth 2.0 connections in the database, and print to stderr where there may be others."""
    with create_session() as session:
        found = list_conn_ids(session)
    variables, backends = unlisted_sources(found)
    notes = [f"Connections in environment variables are not listed: {', '.join(variables)}."] if variables else []
    notes += [f"The secrets backend {name} may have more connections, but cannot list them." for name in backends]
    if notes:
        print(*notes, "To see one of these connections, run: airflow oauth show CONN_ID", file=sys.stderr)
    return found
