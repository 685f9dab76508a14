"""Prints the output of ``airflow oauth``: lines, and rows as a table, plain text, JSON or YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.cli.simple_table import AirflowConsole
from rich.markup import escape

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_oauth.management.status import ConnectionStatus

Row = dict[str, str | list[str] | None]


def format_status(status: ConnectionStatus) -> Row:
    """Return a connection's row for the output. A value of None means unknown or not applicable."""
    token = status.token
    return {
        "conn_id": status.conn_id,
        "conn_type": status.conn_type or None,
        "vendor": (status.config.vendor_label or None) if status.config else None,
        "grant_type": status.config.grant_type if status.config else None,
        "token": status.token_state if status.is_known and not status.locked else None,
        "expires_at": (format_time(token.expires_at) if token.expires_at else "never") if token else None,
        "renewed_at": format_time(token.issued_at) if token else None,
        "consent": status.consent_state or None,
        "consent_by": format_time(status.consent_by) if status.consent_by else None,
        "callback": [f"{name}={value}" for name, value in status.callback.items()] or None,
        "missing_scopes": list(status.missing_scopes) if token else None,
        "error": status.error or None,
    }


def print_rows(rows: list[Row], output: str) -> None:
    """Print rows in one of Airflow's output formats.

    :param rows: the rows, all with the same keys
    :param output: table, plain, json or yaml
    """
    if output in ("table", "plain"):
        rows = [{name: _format_cell(value, output) for name, value in row.items()} for row in rows]
    AirflowConsole().print_as(rows, output)


def print_data(data: list[dict[str, Any]], output: str) -> None:
    """Print nested values with their types.

    :param data: the values
    :param output: json or yaml
    """
    console = AirflowConsole()
    (console.print_as_yaml if output == "yaml" else console.print_as_json)(data)  # type: ignore[arg-type]


def print_line(text: str) -> None:
    """Print a line without buffering it, even if the output is a pipe."""
    print(text, flush=True)


def _format_cell(value: str | list[str] | None, output: str) -> str:
    text = ", ".join(value) if isinstance(value, list) else value or ""
    return escape(text) if output == "table" else text  # rich would read [words] as markup


def format_time(time: datetime) -> str:
    """Return a time in UTC for the output."""
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
