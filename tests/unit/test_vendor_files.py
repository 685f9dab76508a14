"""The vendor files: what they contain, and the errors about invalid ones."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.api.rate_limit import Budget
from airflow_provider_oauth.connection import read_connection
from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.extract.error_rules import ErrorRule
from airflow_provider_oauth.extract.paginators import CursorPaginator, OffsetPaginator, PageNumberPaginator
from airflow_provider_oauth.extract.request import ListRequest
from airflow_provider_oauth.presets import JOOR, JUSTIMMO, JUSTLOGIN, PRESETS
from airflow_provider_oauth.presets.vendor_choices import CATALOGUE
from airflow_provider_oauth.presets.vendor_file import parse_vendor
from airflow_provider_oauth.presets.vendors import vendor, vendor_names
from tests.connections import airflow_connection

if TYPE_CHECKING:
    from airflow_provider_oauth.presets.vendor import Vendor

HEAD = 'label = "Shop"\ndocumentation = ["https://docs.example.com"]\n'


def parsed(text: str) -> Vendor:
    return parse_vendor("shop", HEAD + text)


def error_of(text: str) -> str:
    with pytest.raises(ConfigurationError) as raised:
        parse_vendor("shop", text)
    assert str(raised.value).startswith("Vendor file shop.toml: ")
    return str(raised.value).removeprefix("Vendor file shop.toml: ")


# --- the catalogue


@pytest.mark.parametrize("name", vendor_names())
def test_every_file_of_the_catalogue_is_valid_and_names_its_sources(name: str) -> None:
    found = vendor(name)

    assert found.name == name
    assert all(url.startswith("https://") for url in found.documentation)
    assert found.documentation
    assert found.read is None or date(2026, 1, 1) < found.read < date(2100, 1, 1)


def test_the_catalogue_contains_only_vendor_files() -> None:
    assert {path.name for path in CATALOGUE.iterdir() if path.suffix != ".toml"} == {"vendor.schema.json"}
    assert set(vendor_names()) >= {"github", "hubspot", "joor", "justimmo", "justlogin", "marketo"}


def test_a_file_is_read_once() -> None:
    assert vendor("github") is vendor("github")


def test_a_name_that_is_not_in_the_catalogue_is_refused() -> None:
    for name in ("nobody", "../preset", "", "GitHub"):
        with pytest.raises(ConfigurationError, match=r"is not in the catalogue\. .*To see all vendors, run: "):
            vendor(name)


def test_the_vendors_connection_types_have_vendor_files() -> None:
    assert {name: preset.vendor for name, preset in PRESETS.items()} == {
        "oauth": None,
        "justlogin": "justlogin",
        "justimmo": "justimmo",
        "joor": "joor",
    }
    assert JOOR.api.budget == Budget(credits=300, seconds=300, read=1, write=5)
    assert JOOR.api.paginators["lists"].paginator == PageNumberPaginator(
        size_param="page_size", size=100, repeats_last_page=True
    )
    assert JUSTIMMO.api.paginators["realties"].paginator == OffsetPaginator(
        size=100, total="pagination.total", optional=True
    )
    assert JUSTLOGIN.api.paginators["users"].params == {"limit": 100}


# --- which lists have which paginator


@pytest.mark.parametrize(
    ("name", "method", "path", "found"),
    [
        ("github", "GET", "/repos/octocat/Spoon-Knife/issues", "default"),
        ("github", "POST", "/graphql", None),
        ("hubspot", "GET", "/crm/v3/objects/contacts", "objects"),
        ("hubspot", "GET", "/crm/objects/2026-03/contacts", "objects"),
        ("hubspot", "GET", "/crm/v3/owners", "default"),
        ("hubspot", "POST", "/crm/v3/objects/contacts/search", "search"),
        ("hubspot", "POST", "/crm/v3/objects/contacts", None),
        ("hubspot", "GET", "/crm/v3/properties/contacts", "unpaged"),
        ("hubspot", "GET", "/crm/v3/pipelines/deals", "unpaged"),
        ("marketo", "GET", "/rest/v1/leads.json", "default"),
        ("marketo", "GET", "/rest/asset/v1/emails.json", "assets"),
        ("justlogin", "GET", "/membership/v3/users", "users"),
        ("justlogin", "GET", "/membership/v3/users/1-2-3", None),
        ("justimmo", "GET", "/v1/realties", "realties"),
        ("justimmo", "GET", "/oauth/user/current", None),
        ("joor", "GET", "/v4/orders", "lists"),
        ("joor", "POST", "/v4/orders/bulk_create", None),
    ],
)
def test_the_paginator_of_a_list_depends_on_its_method_and_path(
    name: str, method: str, path: str, found: str | None
) -> None:
    expected = None if found is None else vendor(name).paginators[found]
    assert vendor(name).list_at(method, path) is expected


def test_the_parameters_of_a_request_take_precedence() -> None:
    request = ListRequest(endpoint="x", request_params={"limit": 5, "properties": "email"})
    assert vendor("hubspot").with_defaults(request, "/x").request_params == {"limit": 5, "properties": "email"}
    request = ListRequest(endpoint="x", data={"properties": "email"})
    assert vendor("hubspot").with_defaults(request, "/x").data == {"properties": "email", "limit": 100}


def test_a_page_size_in_the_endpoint_is_not_sent_twice() -> None:
    request = ListRequest(endpoint="x?limit=5")
    assert vendor("hubspot").with_defaults(request, "/x").request_params is None


def test_a_page_size_is_added_to_the_json_of_a_search() -> None:
    request = ListRequest(endpoint="x/search", method="POST", json={"query": "a.b"})
    changed = vendor("hubspot").with_defaults(request, "/x/search")

    assert changed.json == {"query": "a.b", "limit": 200}
    assert changed.paginator == CursorPaginator(path="paging.next.after", param="after", param_in="body", optional=True)
    assert changed.records_path == "results"


@pytest.mark.parametrize("body", [{"json": [1]}, {"data": "a=1"}])
def test_a_body_that_is_not_an_object_stays_as_it_is(body: dict[str, Any]) -> None:
    request = ListRequest(endpoint="x/search", method="POST", **body)
    changed = vendor("hubspot").with_defaults(request, "/x/search")
    assert (changed.json, changed.data) == (request.json, request.data)


def test_a_request_keeps_its_own_paginator_and_records_path() -> None:
    own = OffsetPaginator()
    request = ListRequest(endpoint="x", paginator=own, records_path="items")
    assert vendor("hubspot").with_defaults(request, "/x") == request


def test_parameters_can_be_headers() -> None:
    text = '[paginators.default]\ntype = "CursorPaginator"\nparam_in = "header"\nparams = { X-Limit = 5 }\n'
    request = ListRequest(endpoint="x", headers={"X-Mine": "1"})
    assert parsed(text).with_defaults(request, "/x").headers == {"X-Limit": "5", "X-Mine": "1"}


# --- invalid files


def test_a_file_without_toml_is_refused() -> None:
    assert error_of("label = ").startswith("it is not valid TOML: Invalid value")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('label = "x"\n', "Object missing required field `documentation`"),
        (f'{HEAD}labels = "x"\n', "Object contains unknown field `labels`"),
        (f"{HEAD}rate_limit_timeout = '5'\n", "Expected `float`, got `str` - at `$.rate_limit_timeout`"),
        (f"{HEAD}read = '2026-01-01x'\n", "Invalid RFC3339 encoded date - at `$.read`"),
        (f"{HEAD}records_path = 'a..b'\n", "records_path 'a..b' is not valid at"),
        (f"{HEAD}error_path = 'a['\n", "error_path"),
        (f"{HEAD}[advice]\nx = 'y'\n", "Expected `int`, got `str`"),
        (f"{HEAD}[budget]\ncredits = 'x'\nseconds = 1\n", "budget: the values are invalid: Expected `int`"),
        (f"{HEAD}[budget]\ncredits = 1\n", "budget: the values are invalid: Object missing required field `seconds`"),
        (f"{HEAD}[budget]\ncredit = 1\n", "budget: unknown keys: credit. Use credits, read, seconds, write."),
    ],
)
def test_an_invalid_value_is_refused_with_its_place(text: str, problem: str) -> None:
    assert problem in error_of(text)


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("path = 'x'", "type is None, which is not a paginator. Use one of CursorPaginator, HeaderJsonPaginator, "),
        (
            "type = 'Cursor'",
            "type is 'Cursor', which is not a paginator. Use one of CursorPaginator, HeaderJsonPaginator, ",
        ),
        (
            "type = 'CursorPaginator'\npth = 'x'",
            "unknown keys: pth. Use empty_page_ends, method, more, optional, ",
        ),
        ("type = 'CursorPaginator'\npath = 5", "the values are invalid: Expected `str`, got `int` - at `$.path`."),
        ("type = 'CursorPaginator'\npath = 'a['", "the values are invalid: CursorPaginator: path"),
        ("type = 'CursorPaginator'\nparam_in = 'cookie'", "the values are invalid: Invalid enum value 'cookie'"),
        ("type = 'OffsetPaginator'\nsize = true", "the values are invalid: Expected `int`, got `bool`"),
        ("type = 'CursorPaginator'\npaths = '*/x'", "the values are invalid: Expected `array`, got `str`"),
        ("type = 'CursorPaginator'\nrecords_path = ''", "the values are invalid: records_path '' is not valid"),
    ],
)
def test_an_invalid_paginator_is_refused_with_its_name(table: str, problem: str) -> None:
    assert error_of(f"{HEAD}[paginators.orders]\n{table}\n").startswith(f"paginators.orders: {problem}")


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("status = 429", "the values are invalid: Object missing required field `action`"),
        ("action = 'wait'\nstatus = 'x'", "the values are invalid: "),
        ("action = 'sleep'\nstatus = 429", "the values are invalid: "),
        ("action = 'wait'", "the values are invalid: ErrorRule('wait') is not a valid error rule: it matches every"),
        ("action = 'ignore'\nstatus = 401", "the values are invalid: ErrorRule('ignore', status=401) is not a valid"),
        ("action = 'wait'\nwhen = 'a['", "the values are invalid: ErrorRule: when"),
        ("action = 'wait'\nstatus = 429\nwaitfor = 5", "unknown keys: waitfor. Use action, first_page, header, "),
    ],
)
def test_an_invalid_error_rule_is_refused_with_its_position(table: str, problem: str) -> None:
    rule = "[[error_rules]]\naction = 'wait'\nstatus = 429\n"
    assert error_of(f"{HEAD}{rule}[[error_rules]]\n{table}\n").startswith(f"error_rules[1]: {problem}")


def test_the_rules_of_a_file_keep_their_order() -> None:
    rules = (
        "[[error_rules]]\naction = 'wait'\nstatus = [429, 403]\n[[error_rules]]\naction = 'fail'\nheader = 'X-A: 1'\n"
    )
    assert parsed(rules).error_rules == (ErrorRule("wait", status=(403, 429)), ErrorRule("fail", header="X-A: 1"))


def test_a_fact_that_is_marked_as_seen_elsewhere_is_in_the_file() -> None:
    text = "[paginators.default]\ntype = 'CursorPaginator'\npath = 'x'\n[seen_in]\n"
    assert parsed(f'{text}"paginators.default.path" = "a client"').seen_in == {"paginators.default.path": "a client"}
    assert error_of(f'{HEAD}{text}"paginators.default.pth" = "a client"') == (
        "seen_in has 'paginators.default.pth', but the file has no such key. Correct seen_in."
    )


# --- the field of the connection


def test_a_connection_with_an_unknown_vendor_is_refused() -> None:
    with pytest.raises(ConfigurationError) as raised:
        read_connection(airflow_connection(vendor="git"))
    assert str(raised.value) == (
        "Connection 'shop': Vendor (vendor) is 'git', which is not in the catalogue. Correct or remove it. Did you "
        "mean github (GitHub)? To see all vendors, run: airflow oauth vendors"
    )


@pytest.mark.parametrize(("given", "warnings"), [("github", 1), ("joor", 0), (None, 0)])
def test_a_vendors_own_connection_type_ignores_another_vendor(given: str | None, warnings: int) -> None:
    extra: dict[str, Any] = {"username": "u", "user_password": "fake-password", "vendor": given}
    config = read_connection(airflow_connection(conn_type="joor", **extra), JOOR)

    assert config.vendor is None
    assert config.error_path == "errors[].message"
    assert [("'vendor' was ignored" in warning) for warning in config.warnings] == [True] * warnings


def test_the_error_path_of_the_connection_takes_precedence_over_that_of_its_vendor() -> None:
    assert read_connection(airflow_connection(vendor="marketo")).error_path == "errors[0].message"
    assert read_connection(airflow_connection(vendor="marketo", error_path="e")).error_path == "e"
