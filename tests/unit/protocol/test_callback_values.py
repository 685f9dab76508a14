from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.protocol.callback_values import (
    filled,
    filled_endpoint,
    is_valid,
    named_values,
    names_in,
    stored_values,
)
from airflow_provider_oauth.protocol.lookup import Lookup
from tests.connections import oauth_config

MAP = {"realm_id": "realmId", "code": "auth_code"}
VALUES = {"realm_id": "12/3 é?&#%{realm_id}", "shop": "x"}
ENCODED = "12%2F3%20%C3%A9%3F%26%23%25%7Brealm_id%7D"


def config(**changes: Any) -> Any:
    values = {"grant_type": "authorization_code", "callback_map": MAP}
    return oauth_config(**(values | changes))


def refusal(**changes: Any) -> str:
    with pytest.raises(ConfigurationError) as error:
        config(**changes)
    return str(error.value)


def test_callback_values_need_a_grant_with_a_callback() -> None:
    assert refusal(grant_type="client_credentials") == (
        "Connection 'shop': Callback values (callback_map) has no effect with the grant type client_credentials, which "
        "has no callback. Remove it."
    )


@pytest.mark.parametrize("name", ["state", "iss", "error"])
def test_a_reserved_name_is_refused(name: str) -> None:
    assert refusal(callback_map={name: "x"}) == (
        f"Connection 'shop': Callback values (callback_map) must not contain the name {name!r}. Choose another name."
    )


@pytest.mark.parametrize(
    ("callback_map", "parameter"),
    [
        ({"a": "state"}, "state"),
        ({"a": "iss"}, "iss"),
        ({"a": "error"}, "error"),
        ({"code": "state"}, "state"),
        ({"a": "code"}, "code"),
        ({"a": "code", "code": "auth_code"}, "code"),
        ({"a": "auth_code", "code": "auth_code"}, "auth_code"),
    ],
)
def test_a_parameter_that_is_not_a_value_of_the_account_is_refused(
    callback_map: dict[str, str], parameter: str
) -> None:
    assert f"must not use the parameter {parameter!r}" in refusal(callback_map=callback_map)


@pytest.mark.parametrize(
    ("field", "name"),
    [("base_url", "API base URL (host)"), ("token_url", "Token URL (grant_url)"), ("issuer", "Issuer (issuer)")],
)
def test_a_url_of_the_connection_must_not_contain_a_name(field: str, name: str) -> None:
    message = refusal(**{field: "https://api.example.com/{realm_id}/v3"})

    assert message.startswith(f"Connection 'shop': {name} contains {{realm_id}}, ")


def test_a_url_of_the_connection_may_contain_other_braces() -> None:
    url = "https://api.example.com/{tenant}/{code}"

    assert config(base_url=url).base_url == url


@pytest.mark.parametrize("value", ["1", "a b", "é", "a.b", "x" * 512, "https://x", "..a"])
def test_printable_values_are_valid(value: str) -> None:
    assert is_valid(value)


@pytest.mark.parametrize(
    "value", ["", " ", ".", "..", "...", ". .", "x" * 513, "a\n", "\0", "\x7f", "\ud800", "\u202e", "a\ufffd", None, 5]
)
def test_values_that_are_not_printable_or_change_a_path_are_not_valid(value: Any) -> None:
    assert not is_valid(value)


def test_values_get_the_names_of_the_map_and_the_code_is_none_of_them() -> None:
    stored = {"realmId": "123", "other": "x", "auth_code": "c"}

    assert named_values(config(), stored) == {"realm_id": "123"}
    assert named_values(config(), {}) == {}


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("v3/{realm_id}/query", {"realm_id"}),
        ("{code}/{x}/{ realm_id }/{realm_id:1}/{}", set()),
        ({"{realm_id}": 1, "a": [None, True, {"b": "x{realm_id}"}]}, {"realm_id"}),
        ({"{realm_id}": "x"}, set()),
    ],
)
def test_names_are_found_in_all_texts(value: Any, names: set[str]) -> None:
    assert names_in(value, config()) == names


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("v3/company/{realm_id}/query", f"v3/company/{ENCODED}/query"),
        ("{realm_id}", ENCODED),
        ("q?a={realm_id}&b={realm_id}", f"q?a={ENCODED}&b={ENCODED}"),
        ("{other}/{{realm_id}}/{code}/{}", f"{{other}}/{{{ENCODED}}}/{{code}}/{{}}"),
        ("q?next=http://{shop}.example.com", "q?next=http://x.example.com"),
        ("https://api.example.com/{shop}?{shop}", "https://api.example.com/x?x"),
        ("https://{shop}.example.com/{shop}", "https://{shop}.example.com/x"),
        ("https://api.example.com{shop}", "https://api.example.com{shop}"),
        ("https://api.example.com:{shop}?a={shop}", "https://api.example.com:{shop}?a=x"),
        (" https://{shop}@api.example.com/", " https://{shop}@api.example.com/"),
        ("{shop}://{shop}/", "{shop}://{shop}/"),
    ],
)
def test_endpoints_get_encoded_values_but_no_host_does(endpoint: str, expected: str) -> None:
    assert filled_endpoint(endpoint, VALUES) == expected


def test_json_values_get_the_values_as_they_are() -> None:
    value = {"{shop}": "{shop}{y}", "a": [1, None, "{shop}", {"b": "{shop}"}]}

    assert filled(value, VALUES) == {"{shop}": "x{y}", "a": [1, None, "x", {"b": "x"}]}


LOOKUP = Lookup(endpoint="sites", values={"cloud_id": "id"})


def test_lookup_values_are_stored_under_their_names_and_entered_values_are_used_instead() -> None:
    settings = config(lookup=LOOKUP, vendor_values={"region": "eu", "realm_id": "9"})
    stored = {"realmId": "123", "cloud_id": "c"}

    assert stored_values(settings, stored) == {"realm_id": "123", "cloud_id": "c"}
    assert named_values(settings, stored) == {"realm_id": "9", "cloud_id": "c", "region": "eu"}
    assert names_in("{realm_id}/{cloud_id}/{region}/{id}", settings) == {"realm_id", "cloud_id", "region"}


@pytest.mark.parametrize("callback_map", [{"cloud_id": "x"}, {"x": "cloud_id"}])
def test_a_callback_value_must_not_have_the_name_of_a_lookup_value(callback_map: dict[str, str]) -> None:
    assert refusal(lookup=LOOKUP, callback_map=callback_map) == (
        "Connection 'shop': Callback values (callback_map) has 'cloud_id', which is the name of a value that the "
        "vendor's API returns. Use another name."
    )


@pytest.mark.parametrize("value", ["", "..", "a\n", "x" * 513])
def test_an_entered_value_must_be_valid(value: str) -> None:
    assert refusal(vendor_values={"cloud_id": value}) == (
        "Connection 'shop': Vendor values (vendor_values) has a value of cloud_id that is blank, not printable, or "
        "longer than 512 "
        "characters. Correct it."
    )


@pytest.mark.parametrize("values", [{"lookup": LOOKUP}, {"vendor_values": {"cloud_id": "c"}}])
def test_a_url_of_the_connection_must_not_contain_the_name_of_a_lookup_value(values: dict[str, Any]) -> None:
    message = refusal(base_url="https://{cloud_id}.example.com", **values)

    assert message.startswith("Connection 'shop': API base URL (host) contains {cloud_id}, ")
