"""What ``airflow oauth …`` does. No command shows a token."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import TYPE_CHECKING, cast

from airflow.cli.simple_table import AirflowConsole
from airflow.utils.cli import action_cli, suppress_logs_and_warning
from airflow.utils.providers_configuration_loader import providers_configuration_loaded
from airflow.utils.session import create_session
from rich.markup import escape

from airflow_provider_oauth.cli.loopback import LISTEN_TIMEOUT, Loopback
from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.management import grants
from airflow_provider_oauth.management.connections import check, config_of, conn_ids, overview, unlisted
from airflow_provider_oauth.management.grant_check import AUTHORIZE
from airflow_provider_oauth.protocol.authorization import AuthorizationRequest
from airflow_provider_oauth.runtime.compat import allow_database_connections

if TYPE_CHECKING:
    from argparse import Namespace

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token import Token

Command = Callable[["Namespace"], None]
Row = dict[str, str | list[str] | None]

#: Where a browser is sent whose user pastes the URL: nobody is there, so no log has the code.
REDIRECT_URI = "http://127.0.0.1:8765/"


def _command(function: Command) -> Command:
    """Run as Airflow's own commands do, and end with the error's text instead of a traceback."""

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
            raise SystemExit("Nothing was done.") from None

    return run


def _audited(function: Command) -> Command:
    """Note in Airflow's audit log who has done it."""
    return cast("Command", action_cli(check_db=False)(function))


@_command
def oauth_list(args: Namespace) -> None:
    """List the connections of our types that are in the database, and say where others may be."""
    _print([_row(conn_id) for conn_id in _listed()], args)


@_command
def oauth_show(args: Namespace) -> None:
    """Show a connection, wherever it is defined; exit with 1 if it is invalid or was refused."""
    check(args.conn_id)
    row = _row(args.conn_id)
    _print([row], args)
    if row["error"]:
        raise SystemExit(1)


@_command
def oauth_test(args: Namespace) -> None:
    """Try a connection's grant at the token endpoint; exit with 1 if it does not work."""
    works, text = grants.test(config_of(args.conn_id))
    if works is False:
        raise SystemExit(f"Connection {args.conn_id!r}: {text}")
    _say(f"Connection {args.conn_id!r}: {text}")
    if text.endswith(AUTHORIZE):
        _say(f"Or run: airflow oauth authorize {args.conn_id}")


@_command
def oauth_check(args: Namespace) -> None:
    """List the connections that need attention from a person; exit with 1 if there are any."""
    for conn_id in args.conn_ids:
        check(conn_id)
    found = {conn_id: overview(conn_id) for conn_id in args.conn_ids or _listed()}
    problems = {conn_id: shown.problem(datetime.now(UTC)) for conn_id, shown in found.items()}
    rows: list[Row] = [{"conn_id": conn_id, "problem": text} for conn_id, text in problems.items() if text]
    if rows or args.output in ("json", "yaml"):
        _print(rows, args)
    else:
        _say("No connection needs attention.")
    if rows:
        raise SystemExit(1)


@_command
@_audited
def oauth_renew(args: Namespace) -> None:
    """Renew a token, though it may be good still."""
    grants.renew(config_of(args.conn_id))
    _print([_row(args.conn_id)], args)


@_command
@_audited
def oauth_revoke(args: Namespace) -> None:
    """Have the server take the tokens back, and forget them."""
    config = config_of(args.conn_id)
    if grants.is_empty(config):
        _say(f"Nothing is stored for {args.conn_id}, so there is nothing to revoke.")
        return
    _confirm(args, f"Revoke the tokens of {args.conn_id} at the server, and forget them?", config)
    taken = grants.revoke(config)
    _say(f"The server has revoked the tokens of {args.conn_id} ({taken}), and Airflow has forgotten them.")


@_command
@_audited
def oauth_forget(args: Namespace) -> None:
    """Forget the tokens; the server does not learn of it."""
    config = config_of(args.conn_id)
    if grants.is_empty(config):
        _say(f"Nothing is stored for {args.conn_id}, so there is nothing to forget.")
        return
    _confirm(args, f"Forget the tokens of {args.conn_id}? The server still accepts them.", config)
    grants.forget(config)
    _say(f"Forgot the tokens of {args.conn_id}. The server was not told; it still takes them.")


@_command
@_audited
def oauth_authorize(args: Namespace) -> None:
    """Send a person to the server, and keep what comes of it."""
    config = config_of(args.conn_id)
    if args.listen:
        with Loopback(args.redirect_uri) as loopback:
            consent = AuthorizationRequest(conn_id=config.conn_id, redirect_uri=loopback.redirect_uri)
            _say_url("Open in a browser on this machine", config, consent)
            _say(f"Waiting for the browser, for {LISTEN_TIMEOUT / 60:.0f} minutes at most …")
            answer = loopback.answer(consent.state)
    else:
        consent = AuthorizationRequest(conn_id=config.conn_id, redirect_uri=args.redirect_uri or REDIRECT_URI)
        _say_url("Open in a browser", config, consent)
        _say("Then paste the URL that it was sent to, though there may be no page (it begins with the redirect URI):")
        answer = input()
    _say("Storing the tokens, which can take half a minute …")
    token = grants.finish_authorization(config, consent, answer)
    _, text = grants.authorization_result(config)
    _say(f"Authorized: {args.conn_id}. {_validity(token)}. {text}")


def _say_url(instruction: str, config: OAuthConfig, consent: AuthorizationRequest) -> None:
    url = grants.begin_authorization(config, consent)
    _say(f"Redirect URI (must be registered at the server): {consent.redirect_uri}")
    _say(f"{instruction}:\n\n{url}\n")


def _confirm(args: Namespace, question: str, config: OAuthConfig) -> None:
    """Ask the user, unless ``--yes`` was given; end the command if the answer is no."""
    if args.yes:
        return
    if config.requires_refresh_token:
        question += " A user must then authorize the connection again."
    if input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
        raise SystemExit("Nothing was done.")


def _listed() -> list[str]:
    """Return the connections of the database, and write to stderr which ones cannot be listed."""
    with create_session() as session:
        found = conn_ids(session)
    variables, backends = unlisted(found)
    places = [f"in environment variables: {', '.join(variables)}"] if variables else []
    places += [f"in the secrets backend {name}, which finds connections only by their ID" for name in backends]
    if places:
        print(
            f"Not listed: connections {'; and '.join(places)}. To see one of them: airflow oauth show CONN_ID",
            file=sys.stderr,
        )
    return found


def _say(text: str) -> None:
    print(text, flush=True)  # a pipe would keep it until the end


def _row(conn_id: str) -> Row:
    """Return what the commands show of a connection. None means unknown or not applicable."""
    shown = overview(conn_id)
    status = shown.status
    token = status.token if status else None
    return {
        "conn_id": conn_id,
        "conn_type": shown.conn_type or None,
        "grant_type": shown.config.grant_type if shown.config else None,
        "token": shown.token if status else None,
        "expires_at": (_time(token.expires_at) if token.expires_at else "never") if token else None,
        "renewed_at": _time(token.issued_at) if token else None,
        "consent": shown.consent or None,
        "consent_by": _time(status.consent_by) if status and status.consent_by else None,
        "missing_scopes": list(status.missing_scopes) if status and token else None,
        "error": shown.error or None,
    }


def _validity(token: Token) -> str:
    return f"The token is good until {_time(token.expires_at)}" if token.expires_at else "The token never expires"


def _print(rows: list[Row], args: Namespace) -> None:
    if args.output in ("table", "plain"):
        rows = [{name: _cell(value, args.output) for name, value in row.items()} for row in rows]
    AirflowConsole().print_as(rows, args.output)


def _cell(value: str | list[str] | None, output: str) -> str:
    text = ", ".join(value) if isinstance(value, list) else value or ""
    return escape(text) if output == "table" else text  # in a table, [words] would be markup


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
