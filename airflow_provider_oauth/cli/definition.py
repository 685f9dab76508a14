"""The commands of ``airflow oauth``. Light: Airflow imports it on every ``airflow`` command."""

from __future__ import annotations

from airflow.cli.cli_config import (
    ARG_OUTPUT,
    ARG_VERBOSE,
    ARG_YES,
    ActionCommand,
    Arg,
    CLICommand,
    GroupCommand,
    lazy_load_command,
)

CONN_ID = Arg(("conn_id",), help="The connection's ID")
CONN_IDS = Arg(("conn_ids",), nargs="*", help="IDs of connections. Default: all that are in the database")
LISTEN = Arg(
    ("--listen",),
    help="Wait up to ten minutes for a browser on this machine (RFC 8252), instead of asking for the URL that the "
    "browser was redirected to",
    action="store_true",
)
REDIRECT_URI = Arg(
    ("--redirect-uri",),
    help="Where the browser is sent back to, as the server knows it. Default: http://127.0.0.1:8765/, or with --listen "
    "a free port of 127.0.0.1",
)


def get_oauth_cli_commands() -> list[CLICommand]:
    """Return the group ``oauth`` and its commands."""
    return [
        GroupCommand(
            name="oauth",
            help="See and renew the tokens of OAuth 2.0 connections",
            subcommands=[
                _command(
                    "list", "List the connections of OAuth 2.0 types, and what becomes of their tokens", ARG_OUTPUT
                ),
                _command("show", "Show a connection; exit with 1 if it is invalid or was refused", CONN_ID, ARG_OUTPUT),
                _command("test", "Test a connection; stores nothing and uses no refresh token", CONN_ID),
                _command("check", "List connections that need attention; exit with 1 if any do", CONN_IDS, ARG_OUTPUT),
                _command("authorize", "Have a user consent, in a browser anywhere", CONN_ID, REDIRECT_URI, LISTEN),
                _command("renew", "Renew the token now", CONN_ID, ARG_OUTPUT),
                _command("revoke", "Revoke the tokens at the server (RFC 7009) and forget them", CONN_ID, ARG_YES),
                _command("forget", "Forget the tokens, without telling the server", CONN_ID, ARG_YES),
            ],
        )
    ]


def _command(name: str, description: str, *args: Arg) -> ActionCommand:
    return ActionCommand(
        name=name,
        help=description,
        func=lazy_load_command(f"airflow_provider_oauth.cli.commands.oauth_{name}"),
        args=(*args, ARG_VERBOSE),
    )
