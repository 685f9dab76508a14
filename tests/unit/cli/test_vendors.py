"""``airflow oauth vendors``: the list, and what a connection of a vendor needs."""

from __future__ import annotations

import inspect
import json
from argparse import Namespace
from typing import TYPE_CHECKING

import pytest

from airflow_provider_oauth.cli import commands
from airflow_provider_oauth.cli.vendors import describe
from airflow_provider_oauth.connection import read_connection
from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.presets.vendors import vendor, vendor_names
from tests.connections import airflow_connection

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("vendors")

TEXT = """\
Acme CRM (acme)

Register Airflow at the vendor:
  1. Open Settings → Apps and add an app.
  2. Enter http://127.0.0.1:8765/ as Redirect URL. See the guide (https://docs.acme.test/guide).

Redirect URIs, depending on where you authorize the connection:
  airflow oauth: http://127.0.0.1:8765/
  page OAuth connections: https://airflow.acme.test/team/oauth/callback
  If Acme CRM accepts only https URLs, register https://localhost/ instead and add the option --redirect-uri \
https://localhost/. After the consent, paste the URL from the browser's address bar.

Grant types (the first one is the default):
  authorization_code: Authorization code (a user consents in the browser)
  client_credentials: Client credentials (no user)
  password: Password (user name and password)

What to enter:
  Subdomain (subdomain): The first part of the address of your account. Example: acme
  Region (region): Where your data is. One of europe, america. Default: europe
  Client ID (login): The ID of the client (app) that you registered.
  Client secret (password): The secret of this client.
  Scope (scope), only for authorization_code: The scopes to request, separated by spaces. Default: contacts.read
  Scope (scope), only for client_credentials and password: The scopes to request, separated by spaces.
  User name (username), only for password: The user on whose behalf Airflow calls the API. Example: reports@example.com
  User password (user_password), only for password: The password of that user.

Scopes:
  contacts.read: Contacts, read only
  contacts.write: Contacts

Notes:
  A code expires after one minute.

Create a connection:
  airflow oauth add acme my_acme
  or with this JSON:
{
  "conn_type": "oauth",
  "login": "CLIENT_ID",
  "password": "CLIENT_SECRET",
  "extra": {
    "vendor": "acme",
    "vendor_values": {
      "subdomain": "acme"
    },
    "leeway": 60
  }
}

A task that reads a list:

from airflow_provider_oauth.operators.extract import OAuthExtractOperator

OAuthExtractOperator(
    task_id="contacts",
    oauth_conn_id="my_acme",
    endpoint="v2/contacts.json",
    request_params={"sort": "id"},
    path="/data/contacts.jsonl",
)

Documentation, read on 2026-11-28:
  https://docs.acme.test/oauth
"""


def run(name: str | None = None, output: str = "table") -> None:
    """Run the command without Airflow's decorators."""
    inspect.unwrap(commands.oauth_vendors)(Namespace(vendor=name, output=output))


def test_the_text_about_a_vendor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.acme.test/team/")
    run("acme")

    assert capsys.readouterr().out == TEXT


def test_json_has_the_same_content(capsys: pytest.CaptureFixture[str]) -> None:
    run("acme", "json")

    assert json.loads(capsys.readouterr().out) == [describe(vendor("acme"))]


def test_the_list_has_the_vendors_of_the_package_and_of_the_folder(capsys: pytest.CaptureFixture[str]) -> None:
    run(output="json")

    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["acme"] == {
        "name": "acme",
        "label": "Acme CRM",
        "grants": ["authorization_code", "client_credentials", "password"],
    }
    assert "hubspot" in rows


def test_an_invalid_vendor_file_does_not_hide_the_others(vendors: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (vendors / "broken.toml").write_text("label = ")
    with pytest.raises(SystemExit) as caught:
        run(output="json")

    assert caught.value.code == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("Vendor file broken.toml: it is not valid TOML")
    assert "acme" in {row["name"] for row in json.loads(captured.out)}


def test_the_text_says_if_a_vendor_has_no_grants_or_its_own_connection_type(capsys: pytest.CaptureFixture[str]) -> None:
    run("own_type")
    run("lists_only")

    printed = capsys.readouterr().out
    assert "This vendor has its own connection type, joor. Choose it in Airflow's form.\n" in printed
    assert "The vendor file has no grants. It describes only the lists and the errors of the API.\n" in printed


def test_an_unknown_vendor_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean acme"):
        run("acmee")


def test_the_example_of_a_vendor_that_has_one_is_a_valid_connection() -> None:
    checked = []
    for name in vendor_names():
        guide = describe(vendor(name))
        if guide["connection"]:
            values = {**guide["connection"], "extra": json.dumps(guide["connection"]["extra"])}
            assert read_connection(airflow_connection(**values)).vendor_label == guide["label"]
            checked.append(name)
    assert "acme" in checked
