"""The connection form in a browser: fields, the stored connection, and DAGs that use it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import Connection

from airflow_provider_oauth.connection import read_connection
from airflow_provider_oauth.fields import FIELDS
from airflow_provider_oauth.presets import PRESETS
from tests.browser.form import IMAGES, REDACTED
from tests.browser.runs import delete_connections, run_dag

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.airflow import Airflow
    from sandbox.server import SandboxProcess
    from tests.browser.form import ConnectionForm, ConnectionsPage

TYPE = "OAuth 2.0 API"
SECRET = "not-a-real-secret+/="  # noqa: S105
USER_PASSWORD = "not a real password&%"  # noqa: S105
#: Secret fields and their values.
SECRET_EXTRA: dict[str, Any] = {
    "user_password": USER_PASSWORD,
    "refresh_token": "not-a-real-refresh-token",
    "secret_headers": {"X-Key": "hidden header"},
    "secret_params": {"key": "hidden parameter"},
    "secret_grant_params": {"pin": "hidden pin"},
}
PLAIN_EXTRA: dict[str, Any] = {
    "grant_type": "password",
    "scope": "read write",
    "username": "ada",
    "client_auth": "client_secret_post",
    "use_refresh": True,
    "grant_params": {"tenant": "acme"},
    "api_headers": {"X-Tenant": "acme"},
    "api_params": {"account": "1"},
    "leeway": 30,
    "timeout": 20,
    "allow_http": False,
}

KEY_EXTRA: dict[str, Any] = {
    "grant_type": "token_exchange",
    "client_auth": "private_key_jwt",
    "private_key_file": "/etc/airflow-oauth/client.pem",
    "private_key_passphrase": "not a real passphrase",
    "key_id": "first key",
    "signing_algorithm": "ES256",
    "subject_token_file": "/etc/airflow-oauth/subject.jwt",
    "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
    "token_method": "GET",
    "assertion_claims": {"scope": ["a", "b"]},
    "secret_grant_headers": {"X-Key": "hidden header"},
}


@pytest.fixture(scope="session", autouse=True)
def _clients(sandbox: SandboxProcess) -> None:
    """Register the client of the connections at the sandbox."""
    client = {
        "server": "standard", "client_id": "form_client", "client_secret": SECRET, "scopes": ["read", "write"],
        "users": {"ada": USER_PASSWORD},
    }  # fmt: skip
    sandbox.control("clients", client)


def fill_everything(form: ConnectionForm, url: str) -> None:
    """Fill in fields of every kind."""
    form.text("host", f"{url}/standard/api")
    form.text("login", "form_client")
    form.text("password", SECRET)
    form.text("description", "The sandbox, for a user")
    form.show("Extra Fields")
    form.choice("grant_type", "Password (user name and password)")
    form.text("grant_url", f"{url}/standard/token")
    for name in ("scope", "username"):
        form.text(name, PLAIN_EXTRA[name])
    for name in ("user_password", "refresh_token"):
        form.text(name, SECRET_EXTRA[name])
    form.choice("client_auth", "In the request body")
    form.toggle("use_refresh")
    for name in ("grant_params", "api_headers", "api_params"):
        form.json(name, PLAIN_EXTRA[name])
    for name in ("secret_headers", "secret_params", "secret_grant_params"):
        form.json(name, SECRET_EXTRA[name])
    for name in ("leeway", "timeout"):
        form.text(name, str(PLAIN_EXTRA[name]))


def expect_everything(stored: dict[str, Any], url: str) -> None:
    """Compare the stored connection with the values that were filled in."""
    assert stored["conn_type"] == "oauth"
    assert (stored["host"], stored["login"]) == (f"{url}/standard/api", "form_client")
    assert (stored["password"], stored["description"]) == (SECRET, "The sandbox, for a user")
    filled = {name: value for name, value in stored["extra"].items() if value is not None}
    assert filled == {**PLAIN_EXTRA, **SECRET_EXTRA, "grant_url": f"{url}/standard/token"}
    assert REDACTED not in json.dumps(stored)


def test_the_form_stores_all_values_and_a_dag_can_use_the_connection(
    connections: ConnectionsPage, sandbox: SandboxProcess, airflow: Airflow, stored: Callable[[str], dict[str, Any]]
) -> None:
    form = connections.add("filled", TYPE)
    fill_everything(form, sandbox.url)
    form.save()
    expect_everything(stored("filled"), sandbox.url)
    seen = run_dag(airflow, "filled")
    assert (seen["client_id"], seen["username"], seen["scope"]) == ("form_client", "ada", "read write")
    assert (seen["headers"]["x-tenant"], seen["headers"]["x-key"]) == ("acme", "hidden header")
    assert seen["query"] == {"account": "1", "key": "hidden parameter"}


def test_the_form_shows_the_stored_values_with_redacted_secrets(
    connections: ConnectionsPage, sandbox: SandboxProcess
) -> None:
    form = connections.add("shown_again", TYPE)
    fill_everything(form, sandbox.url)
    form.save()
    form = connections.edit("shown_again")
    assert form.shown("host") == f"{sandbox.url}/standard/api"
    assert form.shown("login") == "form_client"
    form.show("Extra Fields")
    assert form.shown("grant_type") == "Password (user name and password)"
    assert form.shown("client_auth") == "In the request body"
    assert form.shown("grant_url") == f"{sandbox.url}/standard/token"
    assert (form.shown("scope"), form.shown("username")) == ("read write", "ada")
    assert (form.shown("leeway"), form.shown("timeout")) == ("30", "20")
    assert form.is_on("use_refresh")
    assert not form.is_on("allow_http")
    assert form.shown_json("api_headers") == {"X-Tenant": "acme"}
    assert form.shown("user_password") == form.shown("refresh_token") == REDACTED
    assert form.shown_json("secret_headers") == {"X-Key": REDACTED}


def test_saving_again_unchanged_keeps_every_value(
    connections: ConnectionsPage, sandbox: SandboxProcess, airflow: Airflow, stored: Callable[[str], dict[str, Any]]
) -> None:
    form = connections.add("saved_again", TYPE)
    fill_everything(form, sandbox.url)
    form.save()
    connections.edit("saved_again").save()
    form = connections.edit("saved_again")
    form.show("Extra Fields")
    form.save()
    expect_everything(stored("saved_again"), sandbox.url)
    assert run_dag(airflow, "saved_again")["username"] == "ada"


def test_the_form_keeps_values_that_airflow_masks_because_of_their_names(
    connections: ConnectionsPage, sandbox: SandboxProcess, stored: Callable[[str], dict[str, Any]]
) -> None:
    form = connections.add("signing", TYPE)
    form.text("host", f"{sandbox.url}/standard/api")
    form.show("Extra Fields")
    form.choice("grant_type", "Token exchange (a token from a file)")
    form.choice("client_auth", "JWT signed with a private key")
    form.choice("signing_algorithm", "ES256")
    form.choice("token_method", "GET")
    for name, value in KEY_EXTRA.items():
        if isinstance(value, dict):
            form.json(name, value)
        elif FIELDS[name].choices is None:
            form.text(name, value)
    form.save()
    assert {name: stored("signing")["extra"].get(name) for name in KEY_EXTRA} == KEY_EXTRA

    form = connections.edit("signing")
    form.show("Extra Fields")
    assert form.shown("key_id") == KEY_EXTRA["key_id"]
    form.text("key_id", "second key")
    form.save()
    assert {name: stored("signing")["extra"].get(name) for name in KEY_EXTRA} == KEY_EXTRA | {"key_id": "second key"}


def test_the_form_shows_secrets_as_dots(connections: ConnectionsPage) -> None:
    form = connections.add("dots", TYPE)
    assert form.is_masked("password")
    form.show("Extra Fields")
    assert form.is_masked("user_password")
    assert form.is_masked("refresh_token")
    assert not form.is_masked("grant_url")


def test_only_base_url_client_and_token_url_are_required(
    connections: ConnectionsPage, sandbox: SandboxProcess, airflow: Airflow, stored: Callable[[str], dict[str, Any]]
) -> None:
    form = connections.add("least", TYPE)
    form.text("host", f"{sandbox.url}/standard/api")
    form.text("login", "form_client")
    form.text("password", SECRET)
    form.show("Extra Fields")
    form.text("grant_url", f"{sandbox.url}/standard/token")
    form.save()
    extra = {name: value for name, value in stored("least")["extra"].items() if value not in (None, False)}
    assert extra == {"grant_url": f"{sandbox.url}/standard/token", "leeway": 60}
    assert run_dag(airflow, "least")["client_id"] == "form_client"


def test_a_connection_of_type_http_without_extra_gets_the_whole_form_after_its_type_is_changed(
    connections: ConnectionsPage, sandbox: SandboxProcess, airflow: Airflow, stored: Callable[[str], dict[str, Any]]
) -> None:
    # The command line and imports create such connections.
    http = {"conn_type": "http", "host": f"{sandbox.url}/standard/api", "login": "form_client", "password": SECRET}
    airflow.api("POST", "connections", json={"connection_id": "was_plain_http", **http})
    form = connections.edit("was_plain_http")
    form.choose_type(TYPE)
    form.show("Extra Fields")
    form.text("grant_url", f"{sandbox.url}/standard/token")
    form.save()
    changed = stored("was_plain_http")
    assert (changed["conn_type"], changed["password"]) == ("oauth", SECRET)
    # Because of this integer, stock code does not send the extra anywhere.
    assert changed["extra"]["leeway"] == 60
    assert run_dag(airflow, "was_plain_http")["client_id"] == "form_client"


def test_a_connection_of_type_http_from_the_form_can_be_changed_with_the_documented_json(
    connections: ConnectionsPage, sandbox: SandboxProcess, airflow: Airflow, stored: Callable[[str], dict[str, Any]]
) -> None:
    form = connections.add("was_http", "HTTP")
    form.text("host", f"{sandbox.url}/standard/api")
    form.text("login", "form_client")
    form.text("password", SECRET)
    form.save()
    assert stored("was_http")["conn_type"] == "http"
    form = connections.edit("was_http")
    form.choose_type(TYPE)
    # Airflow 3.3.2 shows only the fields whose keys are in extra, and the form of type HTTP stored one key.
    extra = {"grant_type": "client_credentials", "grant_url": f"{sandbox.url}/standard/token", "leeway": 60}
    form.extra_json(extra)
    form.save()
    changed = stored("was_http")
    assert (changed["conn_type"], changed["password"], changed["extra"]) == ("oauth", SECRET, extra)
    assert run_dag(airflow, "was_http")["client_id"] == "form_client"


VENDORS: dict[str, tuple[str, list[str], dict[str, str]]] = {
    "justlogin": ("JustLogin", ["environment", "grant_type", "refresh_token", "leeway"], {"environment": "Sandbox"}),
    "justimmo": ("Justimmo", ["grant_type", "refresh_token", "tenant_id", "user_id", "leeway"], {}),
    "joor": ("JOOR", ["environment", "username", "user_password", "account", "leeway"], {"environment": "Sandbox"}),
}


@pytest.mark.parametrize("conn_type", VENDORS)
def test_the_form_of_a_vendor_has_only_the_fields_that_its_customers_need(
    connections: ConnectionsPage, stored: Callable[[str], dict[str, Any]], conn_type: str
) -> None:
    label, fields, choices = VENDORS[conn_type]
    form = connections.add(f"form_{conn_type}", label)
    assert not form.has_field("host")
    form.text("login", "made_up_client")
    form.text("password", SECRET)
    form.show("Extra Fields")
    assert form.fields() == fields
    filled = {"refresh_token": "not-a-real-refresh-token", "tenant_id": "5678", "account": "1234", "username": "ada"}
    filled["user_password"] = USER_PASSWORD
    filled = {name: value for name, value in filled.items() if name in fields}
    for name, value in filled.items():
        form.text(name, value)
    for name, choice in choices.items():
        form.choice(name, choice)
    for name in {"refresh_token", "user_password"} & set(fields):
        assert form.is_masked(name)
    form.save()
    values = stored(f"form_{conn_type}")
    assert (values["conn_type"], values["login"], values["password"]) == (conn_type, "made_up_client", SECRET)
    given = {name: values[name] for name in ("conn_id", "conn_type", "host", "login", "password")}
    connection = Connection(**given, extra=json.dumps(values["extra"]))
    config = read_connection(connection, PRESETS[conn_type])
    assert config.warnings == ()
    assert config.client_auth == "client_secret_post"
    if choices:
        assert config.token_url in ("https://apis.justloginstaging.xyz/v1/auth/connect/token",
                                    "https://atlas-sandbox.jooraccess.com/auth/")  # fmt: skip


def test_the_pictures_for_the_documentation_are_taken(connections: ConnectionsPage, airflow: Airflow) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    delete_connections(airflow)
    form = connections.add("shop_api", TYPE)
    form.text("host", "https://api.example.com/v1")
    form.text("login", "airflow")
    form.text("password", SECRET)
    form.text("description", "Orders and stock of the shop")
    form.screenshot(IMAGES / "form-standard-fields.png")
    form.show("Extra Fields")
    form.text("grant_url", "https://login.example.com/oauth/token")
    form.text("scope", "orders.read stock.read")
    form.dialog.get_by_role("button", name="Extra Fields", exact=True).scroll_into_view_if_needed()
    form.screenshot(IMAGES / "form-filled.png")
    form.save()
    assert {path.name for path in IMAGES.glob("*.png")} >= {"form-standard-fields.png", "form-filled.png"}
