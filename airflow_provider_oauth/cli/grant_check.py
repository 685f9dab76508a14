"""Tests a connection and prints the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_oauth.cli.output import print_line
from airflow_provider_oauth.management import grants, messages

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig


def check_and_print(config: OAuthConfig) -> None:
    """Test a connection's grant at the token endpoint, and print the result; exit with 1 if it does not work.

    :param config: the settings of the connection
    """
    works, text, needs_authorization = grants.test(config)
    text = messages.about(config.conn_id, text)
    if works is False:
        raise SystemExit(text)
    print_line(text)
    if needs_authorization:
        print_line(f"Next step: airflow oauth authorize {config.conn_id}")
