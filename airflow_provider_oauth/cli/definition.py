"""The definition of ``airflow oauth`` and its commands. Airflow imports it for every ``airflow`` command."""

from __future__ import annotations

from airflow.cli.cli_config import (
    ARG_DAG_ID,
    ARG_OUTPUT,
    ARG_TASK_ID,
    ARG_VERBOSE,
    ARG_YES,
    ActionCommand,
    Arg,
    CLICommand,
    GroupCommand,
    lazy_load_command,
)

from airflow_provider_oauth.cli.vendor_options import field_option, secret_option, value_option

CONN_ID = Arg(("conn_id",), help="ID of the connection")
CONN_IDS = Arg(("conn_ids",), nargs="*", help="IDs of the connections to check. Default: all in Airflow's database")
LISTEN = Arg(
    ("--listen",),
    help="Wait up to ten minutes for a browser on this machine (RFC 8252), instead of asking you to paste the URL that "
    "the browser was redirected to",
    action="store_true",
)
DEVICE = Arg(
    ("--device",),
    help="Authorize with a code that you enter in a browser on any machine (RFC 8628), without a redirect URI",
    action="store_true",
)
ENDPOINT = Arg(("endpoint",), help="Path relative to the API base URL, or a complete URL of the API")
ROWS = Arg(("--rows",), type=int, default=5, help="Number of rows to print. Default: 5")
METHOD = Arg(("--method",), default="GET", help="HTTP method. Default: GET")
PARAMS = Arg(("--params",), help="Query parameters, as a JSON object")
JSON = Arg(("--json",), help="Body of the request, as JSON")
RECORDS_PATH = Arg(
    ("--records-path",),
    help="Path of the rows in the response, as in records_path. Default: the array with most objects",
)
KEY = Arg(("--key",), help="Key of the mark (key of Incremental), if the task has several marks")
SET = Arg(("--set",), metavar="VALUE", help="Set the mark. New runs send this value minus lookback")
RUN = Arg(("--run",), dest="run_id", metavar="RUN_ID", help="ID of a DAG run; use it with --from")
FROM = Arg(("--from",), dest="since", metavar="VALUE", help="Set the value that the DAG run in --run sends")
REDIRECT_URI = Arg(
    ("--redirect-uri",),
    help="Redirect URI, as registered at the authorization server. Default: http://127.0.0.1:8765/, or with --listen "
    "a free port of 127.0.0.1. With --listen, set this option unless the server accepts every port of 127.0.0.1",
)
VENDOR_NAME = Arg(("vendor",), metavar="NAME", nargs="?", help="Name of a vendor. Default: list all vendors")
VENDOR = Arg(("vendor",), help="Name of the vendor, as in airflow oauth vendors")
GRANT_TYPE = Arg(("--grant-type",), help="Grant type. Default: the first grant type of the vendor")
VALUE = Arg(
    ("--value",),
    dest="values",
    metavar="NAME=VALUE",
    type=value_option,
    action="append",
    help="A vendor value, such as subdomain=acme. You can repeat this option",
)
FIELD = Arg(
    ("--field",),
    dest="fields",
    metavar="NAME=VALUE",
    type=field_option,
    action="append",
    help="A field of the connection that is not secret, such as issuer=https://login.example.com. You can repeat this "
    "option",
)
SECRET_ENV = Arg(
    ("--secret-env",),
    metavar="NAME=VARIABLE",
    type=secret_option,
    action="append",
    help="A secret field and the environment variable with its value: client_secret=MY_SECRET. You can repeat this "
    "option",
)
LOGIN = Arg(("--login",), metavar="CLIENT_ID", help="Client ID")
SCOPE = Arg(("--scope",), help="The scopes to request, separated by spaces. Default: those of the vendor")
ADD_REDIRECT_URI = Arg(
    ("--redirect-uri",),
    help="Redirect URI, as registered at the vendor. Default: http://127.0.0.1:8765/",
)
NO_AUTHORIZE = Arg(
    ("--no-authorize",),
    dest="authorize",
    action="store_false",
    help="Only create the connection, without authorizing or testing it",
)


def get_oauth_cli_commands() -> list[CLICommand]:
    """Return the command group ``oauth``."""
    return [
        GroupCommand(
            name="oauth",
            help="Manage the tokens of OAuth 2.0 connections",
            subcommands=[
                _command(
                    "list",
                    "List the OAuth 2.0 connections in Airflow's database and the state of their tokens",
                    ARG_OUTPUT,
                ),
                _command(
                    "show",
                    "Show a connection; exit with 1 if it is invalid or its credentials were refused",
                    CONN_ID,
                    ARG_OUTPUT,
                ),
                _command(
                    "vendors",
                    "List the vendors, or show what a connection of a vendor needs",
                    VENDOR_NAME,
                    ARG_OUTPUT,
                ),
                _command(
                    "add",
                    "Create a connection of a vendor. The command asks for what is missing",
                    VENDOR,
                    CONN_ID,
                    GRANT_TYPE,
                    VALUE,
                    LOGIN,
                    SECRET_ENV,
                    SCOPE,
                    FIELD,
                    ADD_REDIRECT_URI,
                    NO_AUTHORIZE,
                ),
                _command("test", "Test a connection without storing anything or using a refresh token", CONN_ID),
                _command(
                    "check",
                    "List connections that a user must correct or authorize; exit with 1 if there are any",
                    CONN_IDS,
                    ARG_OUTPUT,
                ),
                _command(
                    "request",
                    "Send a request to the API; print the keys of the response, some rows, and the paginator that fits",
                    CONN_ID,
                    ENDPOINT,
                    ROWS,
                    METHOD,
                    PARAMS,
                    JSON,
                    RECORDS_PATH,
                ),
                _command(
                    "mark",
                    "Show or set the mark of an incremental task, and the values that its runs send",
                    ARG_DAG_ID,
                    ARG_TASK_ID,
                    KEY,
                    SET,
                    RUN,
                    FROM,
                    ARG_OUTPUT,
                ),
                _command(
                    "authorize", "Let a user authorize a connection in a browser", CONN_ID, REDIRECT_URI, LISTEN, DEVICE
                ),
                _command("renew", "Renew the token now", CONN_ID, ARG_OUTPUT),
                _command(
                    "revoke", "Revoke the tokens at the server (RFC 7009) and delete the stored ones", CONN_ID, ARG_YES
                ),
                _command("forget", "Delete the stored tokens without notifying the server", CONN_ID, ARG_YES),
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
