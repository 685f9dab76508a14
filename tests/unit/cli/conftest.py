"""Invented vendors, and a terminal with a user who answers."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING

import pytest

from airflow_provider_oauth.cli import questions
from airflow_provider_oauth.presets.vendors import vendor
from tests.unit.cli.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACME = """
label = "Acme CRM"
documentation = ["https://docs.acme.test/oauth"]
read = 2026-11-28
register = [
    "Open **Settings → Apps** and add an app.",
    "Enter `{redirect_uri}` as **Redirect URL**. See [the guide](https://docs.acme.test/guide).",
]
notes = ["A code expires after **one minute**."]

[values.subdomain]
label = "Subdomain"
description = "The first part of the address of your account."
example = "acme"

[values.region]
label = "Region"
description = "Where your data is."
choices = { europe = "eu", america = "us" }
default = "europe"

[fields]
host = "https://{subdomain}.{region}.acme.test"
grant_url = "https://{subdomain}.{region}.acme.test/token"
client_auth = "client_secret_post"

[grants.authorization_code]
authorize_url = "https://{subdomain}.{region}.acme.test/authorize"
scope = "contacts.read"

[grants.client_credentials]

[grants.password]

[scopes]
"contacts.read" = "Contacts, read only"
"contacts.write" = "Contacts"

[example]
endpoint = "v2/contacts.json"
request_params = { sort = "id" }
"""

#: A vendor whose clients sign a JWT with a private key, at an issuer that the user enters.
KEYS = """
label = "Key Works"
documentation = ["https://docs.keys.test"]
ask = ["issuer", "host"]

[fields]
client_auth = "private_key_jwt"

[grants.client_credentials]
"""

#: A vendor file without grants, as before there were any.
LISTS = """
label = "Lists Only"
documentation = ["https://docs.lists.test"]
"""

#: A vendor with its own connection type.
OWN_TYPE = """
label = "Own Type"
documentation = ["https://docs.own.test"]
connection_type = "joor"
"""


@pytest.fixture
def vendors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A vendor folder with invented vendors."""
    for name, text in {"acme": ACME, "key_works": KEYS, "lists_only": LISTS, "own_type": OWN_TYPE}.items():
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("AIRFLOW__OAUTH__VENDOR_FOLDER", str(tmp_path))
    vendor.cache_clear()
    yield tmp_path
    vendor.cache_clear()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal, which has no answers yet."""
    terminal = Terminal()
    monkeypatch.setattr(questions, "has_terminal", lambda: True)
    monkeypatch.setattr("airflow_provider_oauth.cli.add.has_terminal", lambda: True)
    monkeypatch.setattr(builtins, "input", lambda question="": terminal.shown.append(question) or terminal.answer())
    monkeypatch.setattr(questions, "getpass", lambda question: terminal.hidden.append(question) or terminal.answer())
    return terminal
