"""The dropdown Vendor of the connection form in a browser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import Connection

from airflow_provider_oauth.connection import read_connection
from airflow_provider_oauth.fields import FIELDS
from airflow_provider_oauth.presets.vendor_index import VENDORS
from tests.browser.form import IMAGES
from tests.browser.runs import delete_connections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from sandbox.airflow import Airflow
    from tests.browser.form import ConnectionsPage

TYPE = "OAuth 2.0 API"
SECRET = "not-a-real-secret+/="  # noqa: S105
#: What the form of an old version stored, before a vendor could set these fields.
OLD_DEFAULTS = {
    "grant_type": "client_credentials",
    "client_auth": "client_secret_basic",
    "body_format": "form",
    "use_refresh": False,
    "skip_pkce": False,
}


@pytest.fixture(autouse=True)
def _no_errors_in_the_console(page: Page) -> Iterator[None]:
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield
    assert errors == []


def filled(stored: dict[str, Any]) -> dict[str, Any]:
    """Return the values in extra that are not null."""
    return {name: value for name, value in stored["extra"].items() if value is not None}


def read(stored: dict[str, Any]) -> OAuthConfig:
    """Read a stored connection as a task does."""
    given = {name: stored[name] for name in ("conn_id", "conn_type", "host", "login", "password")}
    return read_connection(Connection(**given, extra=json.dumps(stored["extra"])))


def test_the_vendors_are_the_first_field_of_the_form(connections: ConnectionsPage) -> None:
    form = connections.add("choices", TYPE)
    form.show("Extra Fields")
    assert form.fields() == [name for name, field in FIELDS.items() if field.shown]
    assert form.shown("vendor") == "None: enter the URLs of the server below"
    labels = sorted(["Ünal Acme", "zzz_invalid", *VENDORS.values()], key=str.casefold)
    assert form.choices("vendor") == ["None: enter the URLs of the server below", *labels]
    assert form.shown("grant_type") == "Vendor's value, otherwise Client credentials"
    assert form.shown("client_auth") == "Vendor's value, otherwise Basic header"


def test_with_only_a_vendor_the_form_stores_nothing_that_would_replace_its_values(
    connections: ConnectionsPage,
    stored: Callable[[str], dict[str, Any]],
    vendor_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    form = connections.add("only_vendor", TYPE)
    form.text("login", "form_client")
    form.text("password", SECRET)
    form.show("Extra Fields")
    form.choice("vendor", "Ünal Acme")
    form.json("vendor_values", {"subdomain": "my-company"})
    form.choice("grant_type", "Client credentials (no user)")
    form.choice("grant_type", "Vendor's value, otherwise Client credentials")
    form.save()
    connection = stored("only_vendor")
    assert connection["host"] in (None, "")
    assert filled(connection) == {
        "vendor": "acme",
        "vendor_values": {"subdomain": "my-company"},
        "leeway": 60,
        "allow_http": False,
    }

    monkeypatch.setenv("AIRFLOW__OAUTH__VENDOR_FOLDER", str(vendor_folder))
    config = read(connection)
    base_url = "https://my-company.acme.example"
    assert (config.base_url, config.token_url) == (base_url, f"{base_url}/token")
    assert (config.grant_type, config.scope, config.client_auth, config.body_format, config.use_refresh) == (
        "authorization_code", "read", "client_secret_post", "json", True,
    )  # fmt: skip
    assert config.default_lifetime == 600

    form = connections.edit("only_vendor")
    form.text("login", "other_client")
    form.show("Extra Fields")
    assert form.shown("vendor") == "Ünal Acme"
    assert form.shown_json("vendor_values") == {"subdomain": "my-company"}
    assert form.shown("grant_type") == "Vendor's value, otherwise Client credentials"
    form.choice("grant_type", "Client credentials (no user)")
    form.save()
    connection = stored("only_vendor")
    assert filled(connection)["grant_type"] == "client_credentials"
    assert filled(connection)["vendor"] == "acme"
    config = read(connection)
    assert (config.grant_type, config.scope, config.client_id) == ("client_credentials", None, "other_client")


def test_an_untouched_form_stores_no_value_that_a_vendor_can_set(
    connections: ConnectionsPage, stored: Callable[[str], dict[str, Any]]
) -> None:
    form = connections.add("untouched", TYPE)
    form.text("host", "https://api.example.com")
    form.text("login", "form_client")
    form.text("password", SECRET)
    form.show("Extra Fields")
    form.text("grant_url", "https://login.example.com/token")
    form.save()
    connection = stored("untouched")
    assert filled(connection) == {"grant_url": "https://login.example.com/token", "leeway": 60, "allow_http": False}
    config = read(connection)
    assert (config.grant_type, config.client_auth, config.body_format, config.use_refresh) == (
        "client_credentials", "client_secret_basic", "form", False,
    )  # fmt: skip


def test_a_switch_that_was_turned_on_and_off_again_is_stored(
    connections: ConnectionsPage, stored: Callable[[str], dict[str, Any]]
) -> None:
    form = connections.add("switched", TYPE)
    form.show("Extra Fields")
    form.choice("vendor", "HubSpot")
    form.toggle("use_refresh")
    form.toggle("use_refresh")
    form.save()
    assert stored("switched")["extra"]["use_refresh"] is False
    assert stored("switched")["extra"]["skip_pkce"] is None


def test_editing_keeps_explicit_values_until_the_first_choice_is_chosen(
    connections: ConnectionsPage, airflow: Airflow, stored: Callable[[str], dict[str, Any]]
) -> None:
    extra = {"vendor": "hubspot", **OLD_DEFAULTS, "token_method": None, "leeway": 60}
    body = {"connection_id": "explicit", "conn_type": "oauth", "extra": json.dumps(extra)}
    airflow.api("POST", "connections", json=body)
    form = connections.edit("explicit")
    form.text("login", "changed")
    form.show("Extra Fields")
    assert form.shown("client_auth") == "Basic header (standard)"
    assert form.shown("token_method") == "Vendor's value, otherwise POST"
    form.save()
    assert stored("explicit")["extra"] == extra
    form = connections.edit("explicit")
    form.show("Extra Fields")
    for name in ("grant_type", "client_auth", "body_format"):
        form.choice(name, FIELDS[name].unset or "")
    form.save()
    nulls = dict.fromkeys(("grant_type", "client_auth", "body_format"))
    assert stored("explicit")["extra"] == {**extra, **nulls}


@pytest.mark.parametrize("vendor", ["zzz_invalid", "not_in_the_dropdown"])
def test_editing_keeps_a_vendor_whose_file_is_invalid_or_missing(
    connections: ConnectionsPage, airflow: Airflow, stored: Callable[[str], dict[str, Any]], vendor: str
) -> None:
    extra = {"vendor": vendor, "scope": "read", "leeway": 60}
    body = {"connection_id": f"own_{vendor}", "conn_type": "oauth", "extra": json.dumps(extra)}
    airflow.api("POST", "connections", json=body)
    form = connections.edit(f"own_{vendor}")
    form.show("Extra Fields")
    form.text("scope", "write")
    form.save()
    assert stored(f"own_{vendor}")["extra"] == {**extra, "scope": "write"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pictures_of_the_dropdown_are_taken(connections: ConnectionsPage, airflow: Airflow, scheme: Any) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    delete_connections(airflow)
    connections.page.emulate_media(color_scheme=scheme)
    connections.page.evaluate("scheme => localStorage.setItem('theme', scheme)", scheme)
    form = connections.add("my_hubspot", TYPE)
    form.text("login", "CLIENT_ID")
    form.text("password", SECRET)
    form.show("Extra Fields")
    form.choice("vendor", "HubSpot")
    form.open_choices("vendor")
    path = IMAGES / f"form-vendor-{scheme}.png"
    connections.page.screenshot(path=path, animations="disabled", caret="hide")
    assert path.stat().st_size > 10_000
