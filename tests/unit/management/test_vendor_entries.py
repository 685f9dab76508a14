"""What users are asked for: for the vendors of the catalogue, and for each grant type and client authentication."""

from __future__ import annotations

import json

import pytest

from airflow_provider_oauth.connection import read_connection
from airflow_provider_oauth.management.new_connection import NewConnection
from airflow_provider_oauth.management.vendor_entries import entries
from airflow_provider_oauth.management.vendor_guide import example_connection, example_request, example_task, plain_text
from airflow_provider_oauth.presets.vendor import Vendor, VendorExample
from airflow_provider_oauth.presets.vendors import vendor, vendor_names
from airflow_provider_oauth.protocol.lookup import Lookup
from tests.connections import airflow_connection

CATALOGUE = [(name, grant_type) for name in vendor_names() for grant_type in vendor(name).grants]


@pytest.mark.parametrize(("name", "grant_type"), CATALOGUE)
def test_what_users_enter_is_all_that_a_connection_needs(name: str, grant_type: str) -> None:
    new = NewConnection(conn_id="x", vendor=vendor(name), grant_type=grant_type)
    new.check()

    for entry in new.missing():
        new = new.with_text(entry, entry.sample)
    assert [each for each in read_connection(new.connection()).warnings if "was ignored" in each] == []


@pytest.mark.parametrize(("name", "grant_type"), CATALOGUE)
def test_the_example_connection_and_the_example_task_are_valid(name: str, grant_type: str) -> None:
    example = example_connection(vendor(name), grant_type)
    config = read_connection(airflow_connection(**{**example, "extra": json.dumps(example["extra"])}))

    assert (config.grant_type, config.vendor_label) == (grant_type, vendor(name).label)
    compile(example_task(vendor(name), "x"), name, "exec")


def names(grant_type: str, **changes: object) -> list[str]:
    """Return the names of what users enter for a vendor; those of optional entries have a question mark."""
    fields = {"host": "https://api.acme.test", "grant_url": "https://acme.test/token"}
    acme = Vendor(name="acme", label="Acme", **{"fields": fields, "grants": {grant_type: {}}, **changes})  # type: ignore[arg-type]
    return [each.name + ("" if each.is_required else "?") for each in entries(acme, grant_type)]


@pytest.mark.parametrize(
    ("grant_type", "client_auth", "expected"),
    [
        ("client_credentials", None, ["login", "password"]),
        ("client_credentials", "client_secret_post", ["login", "password"]),
        ("client_credentials", "client_secret_jwt", ["login", "password"]),
        ("client_credentials", "private_key_jwt", ["login", "private_key"]),
        ("client_credentials", "tls_client_auth", ["login", "cert"]),
        ("authorization_code", "none", ["authorize_url", "login"]),
        ("password", "none", ["login", "username", "user_password"]),
        ("refresh_token", None, ["login", "password", "refresh_token"]),
        ("jwt_bearer", "none", ["private_key"]),
        ("jwt_bearer", "private_key_jwt", ["login", "private_key"]),
        ("token_exchange", "none", ["subject_token_file"]),
    ],
)
def test_credentials_depend_on_the_grant_and_the_client_authentication(
    grant_type: str, client_auth: str | None, expected: list[str]
) -> None:
    grants = {grant_type: {"client_auth": client_auth} if client_auth else {}}
    assert names(grant_type, grants=grants) == expected


def test_fields_that_another_grant_needs_are_not_asked_for() -> None:
    ask = ("login", "assertion_subject", "audience")
    grants = {"jwt_bearer": {"client_auth": "none"}, "client_credentials": {}}

    assert names("jwt_bearer", ask=ask, grants=grants) == ["login", "assertion_subject", "audience", "private_key"]
    assert names("client_credentials", ask=ask, grants=grants) == ["login", "audience", "password"]


def test_the_scope_is_asked_for_if_the_file_has_one() -> None:
    assert names("client_credentials", scopes={"read": "All"}) == ["login", "password", "scope?"]
    assert names("client_credentials", ask=("scope",)) == ["login", "password", "scope"]
    assert names("client_credentials", ask=("scope",), grants={"client_credentials": {"scope": "read"}}) == [
        "login",
        "password",
        "scope?",
    ]


@pytest.mark.parametrize(
    ("grant_type", "expected"),
    [("authorization_code", []), ("client_credentials", ["cloud_id"]), ("refresh_token", ["cloud_id"])],
)
def test_a_value_of_the_lookup_is_asked_for_if_there_is_no_consent(grant_type: str, expected: list[str]) -> None:
    lookup = Lookup(endpoint="sites", records_path="@", values={"cloud_id": "id"}, describe="name")
    found = names(grant_type, lookup=lookup, endpoint_prefix="ex/{cloud_id}")

    assert [each for each in found if each == "cloud_id"] == expected


def test_the_text_of_a_field_does_not_say_when_it_is_needed() -> None:
    (*_, entry) = entries(Vendor(label="A", fields={"host": "https://a.test"}, grants={"password": {}}), "password")

    assert entry.description == "The password of that user."


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("Open **Apps → OAuth**, and `add` it.", "Open Apps → OAuth, and add it."),
        ("See [the guide](https://a.test/x).", "See the guide (https://a.test/x)."),
        ("choose *JWT signed*; `a/*/b` and `**`", "choose JWT signed; a/*/b and **"),
        ("2 * 3 * 4", "2 * 3 * 4"),
    ],
)
def test_markdown_is_removed(markdown: str, text: str) -> None:
    assert plain_text(markdown) == text


def test_the_code_of_a_task_has_all_options_of_the_example() -> None:
    example = VendorExample(
        endpoint="v1/{realm_id}/orders.json",
        method="POST",
        json={"query": 'name = "x"', "open": True, "limit": None},
        records_path=("data", "@"),
    )
    assert example_task(Vendor(name="acme", label="Acme", example=example), "my_acme") == (
        "from airflow_provider_oauth.operators.extract import OAuthExtractOperator\n\n"
        "OAuthExtractOperator(\n"
        '    task_id="orders",\n'
        '    oauth_conn_id="my_acme",\n'
        '    endpoint="v1/{realm_id}/orders.json",\n'
        '    method="POST",\n'
        '    json={"query": "name = \\"x\\"", "open": True, "limit": None},\n'
        '    records_path=["data", "@"],\n'
        '    path="/data/orders.jsonl",\n'
        ")"
    )


def test_the_command_that_shows_rows_has_all_options_of_the_example() -> None:
    example = VendorExample(endpoint="v1/orders", method="POST", json={"query": "it's"}, records_path="data")

    assert example_request(Vendor(name="acme", label="Acme", example=example), "my_acme") == (
        """airflow oauth request my_acme v1/orders --method POST --json '{"query": "it'"'"'s"}' --records-path data"""
    )
    assert example_request(Vendor(name="acme", label="Acme"), "my_acme") == ""


@pytest.mark.parametrize(
    ("grant_type", "changes", "expected"),
    [
        ("client_credentials", {"fields": {}}, ["host", "grant_url", "login", "password"]),
        ("authorization_code", {"fields": {}}, ["host", "grant_url", "authorize_url", "login", "password"]),
        ("authorization_code", {"fields": {"issuer": "https://acme.test"}}, ["host", "login", "password"]),
        ("authorization_code", {"fields": {}, "ask": ("issuer",)}, ["issuer", "host", "login", "password"]),
    ],
)
def test_users_enter_the_urls_that_the_file_lacks(
    grant_type: str, changes: dict[str, object], expected: list[str]
) -> None:
    assert names(grant_type, **changes) == expected


def test_an_issuer_replaces_the_urls_that_the_file_lacks() -> None:
    acme = Vendor(name="acme", label="Acme", grants={"authorization_code": {}})
    new = NewConnection(
        conn_id="x", vendor=acme, grant_type="authorization_code", fields={"issuer": "https://acme.test"}
    )

    assert [each.name for each in new.missing()] == ["host", "login", "password"]


def test_fields_have_the_labels_of_the_form() -> None:
    fields = {"host": "https://api.acme.test", "client_auth": "tls_client_auth"}
    acme = Vendor(name="acme", label="Acme", fields=fields, grants={"client_credentials": {}})

    assert [each.label for each in entries(acme, "client_credentials")] == [
        "Token URL",
        "Client ID",
        "Client certificate",
    ]
