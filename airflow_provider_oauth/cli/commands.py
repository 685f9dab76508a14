"""What ``airflow oauth …`` does. No command shows a token."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, cast

from airflow.cli.simple_table import AirflowConsole
from airflow.utils.cli import action_cli, suppress_logs_and_warning
from airflow.utils.providers_configuration_loader import providers_configuration_loaded
from airflow.utils.session import create_session
from rich.markup import escape

from airflow_provider_oauth.cli.loopback import Loopback
from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.hooks import grants
from airflow_provider_oauth.hooks.overview import check, config_of, conn_ids, overview
from airflow_provider_oauth.oauth.consent import Consent

if TYPE_CHECKING:
    from argparse import Namespace
    from datetime import datetime

    from airflow_provider_oauth.oauth.token import Token

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


def _audited(function: Command) -> Command:
    """Note in Airflow's audit log who has done it."""
    return cast("Command", action_cli(check_db=False)(function))


@_command
def oauth_list(args: Namespace) -> None:
    """List the connections of our types that are in the database."""
    with create_session() as session:
        found = conn_ids(session)
    _print([_row(conn_id) for conn_id in found], args)


@_command
def oauth_show(args: Namespace) -> None:
    """Show a connection, wherever it is defined."""
    check(args.conn_id)
    _print([_row(args.conn_id)], args)


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
    taken = grants.revoke(config_of(args.conn_id))
    _say(f"The server has taken back the tokens of {args.conn_id} ({taken}), and Airflow has forgotten them.")


@_command
@_audited
def oauth_forget(args: Namespace) -> None:
    """Forget the tokens; the server does not learn of it."""
    grants.forget(config_of(args.conn_id))
    _say(f"Forgot the tokens of {args.conn_id}. The server was not told; it still takes them.")


@_command
@_audited
def oauth_authorize(args: Namespace) -> None:
    """Send a person to the server, and keep what comes of it."""
    config = config_of(args.conn_id)
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
    _, text = grants.after_consent(config)
    _say(f"Authorized: {args.conn_id}. {_validity(token)}. {text}")


def _say(text: str) -> None:
    print(text, flush=True)  # a pipe would keep it until the end


def _row(conn_id: str) -> dict[str, str]:
    shown = overview(conn_id)
    row = {"conn_id": conn_id, "conn_type": shown.conn_type}
    row |= dict.fromkeys(("grant_type", "token", "expires_at", "renewed_at", "consent", "consent_by"), "")
    row["error"] = shown.error
    status = shown.status
    if shown.config:
        row["grant_type"] = shown.config.grant_type
    if status:
        row["token"], row["consent"] = shown.token, shown.consent
        row["consent_by"] = _time(status.consent_by) if status.consent_by else ""
    if status and status.token:
        expires_at = status.token.expires_at
        row["expires_at"] = _time(expires_at) if expires_at else "never"
        row["renewed_at"] = _time(status.token.issued_at)
    return row


def _validity(token: Token) -> str:
    return f"The token is good until {_time(token.expires_at)}" if token.expires_at else "The token never expires"


def _print(rows: list[dict[str, str]], args: Namespace) -> None:
    if args.output == "table":  # it would take [words] for markup
        rows = [{name: escape(value) for name, value in row.items()} for row in rows]
    AirflowConsole().print_as(rows, args.output)


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
