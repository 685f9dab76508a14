"""The request of an incremental extract: the parameters of a run, and the fingerprint of the list."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.extract.incremental import Incremental
from airflow_provider_oauth.extract.paginators import CursorPaginator, OffsetPaginator, PageNumberPaginator
from airflow_provider_oauth.extract.request import ListRequest

MARK = "2024-01-31T12:00:00+02:00"


def incremental(**changes: Any) -> Incremental:
    return Incremental(**{"field": "updatedAt", "param": "since", "initial": "2024-01-01T00:00:00Z", **changes})


def orders(**changes: Any) -> ListRequest:
    return ListRequest(**{"endpoint": "orders", **changes})


@pytest.mark.parametrize(
    ("changes", "request_changes", "expected"),
    [
        ({}, {}, {"request_params": {"since": MARK}}),
        ({}, {"request_params": {"a": 1}}, {"request_params": {"a": 1, "since": MARK}}),
        ({}, {"request_params": {"since": None}}, {"request_params": {"since": MARK}}),
        ({}, {"data": {"a": 1}}, {"data": {"a": 1, "since": MARK}}),
        ({}, {"method": "get", "data": {"a": 1}}, {"data": {"a": 1, "since": MARK}}),
        ({}, {"method": "POST", "data": {"a": 1}}, {"data": {"a": 1}, "request_params": {"since": MARK}}),
        ({}, {"method": "POST", "json": {"since": 1}}, {"json": {"since": 1}, "request_params": {"since": MARK}}),
        ({}, {"headers": {"since": "1"}}, {"headers": {"since": "1"}, "request_params": {"since": MARK}}),
        ({"value": "gt:{mark}"}, {}, {"request_params": {"since": f"gt:{MARK}"}}),
        ({"value": "{a} {mark}/{mark} {}"}, {}, {"request_params": {"since": f"{{a}} {MARK}/{MARK} {{}}"}}),
        ({"end_param": "until"}, {}, {"request_params": {"since": MARK, "until": "END"}}),
        ({"end_param": "until", "value": "gt:{mark}"}, {}, {"request_params": {"since": f"gt:{MARK}", "until": "END"}}),
        ({"param": None, "client_side": True}, {}, {}),
        ({"param": None, "descending": True, "end_param": "until"}, {}, {"request_params": {"until": "END"}}),
        ({"param_in": "header", "param": "X-Since"}, {}, {"headers": {"X-Since": MARK}}),
        (
            {"param_in": "header", "param": "X-Since"},
            {"headers": {"A": "1", "x-since": None}},
            {"headers": {"A": "1", "x-since": None, "X-Since": MARK}},
        ),
        ({"param_in": "body"}, {"method": "POST"}, {"json": {"since": MARK}}),
        (
            {"param_in": "body", "param": "filter.0.from", "end_param": "filter.0.to"},
            {"method": "POST", "json": {"filter": [{"a": 1, "from": None}], "b": 2}},
            {"json": {"filter": [{"a": 1, "from": MARK, "to": "END"}], "b": 2}},
        ),
        ({"param_in": "body"}, {"method": "POST", "data": {"a": 1}}, {"data": {"a": 1, "since": MARK}}),
        ({"param_in": "body"}, {"data": {"a": 1}}, {"data": {"a": 1}, "json": {"since": MARK}}),
    ],
)
def test_the_parameters_of_a_run_are_added(
    changes: dict[str, Any], request_changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    request = orders(**request_changes)
    assert incremental(**changes).requested(request, MARK, "END", "shop") == orders(**request_changes | expected)
    assert request == orders(**request_changes), "the list itself does not change"


@pytest.mark.parametrize(
    ("format", "initial", "mark", "sent"),
    [
        ("epoch", 0, "1706702400", 1706702400),
        ("epoch", 0.5, "1706702400.0", 1706702400),
        ("epoch", 0, "1706702400.123456", 1706702400.123456),
        ("epoch_ms", 0, "1706702400123", 1706702400123),
        ("epoch", 0, "1.7067024E9", 1706702400),
        ("int", 0, "9" * 40, int("9" * 40)),
        ("int", 0, "007", 7),
        ("epoch", "0", "1706702400", "1706702400"),
        ("int", "0", "7", "7"),
        ("%Y%m%d", 20240101, "20240131", "20240131"),
    ],
)
def test_a_json_body_has_a_number_if_the_initial_value_is_a_number(
    format: str, initial: Any, mark: str, sent: Any
) -> None:
    start = incremental(format=format, initial=initial, param_in="body", timezone="UTC" if "%" in format else None)
    start.check("shop", is_rendered=True)
    body = start.requested(orders(method="POST"), mark, None, "shop").json
    assert body == {"since": sent}
    assert type(body["since"]) is type(sent)


@pytest.mark.parametrize("changes", [{"param_in": "query"}, {"param_in": "header"}, {"value": "ge {mark}"}])
def test_elsewhere_the_value_is_text(changes: dict[str, Any]) -> None:
    start = incremental(**{"param_in": "body", "format": "int", "initial": 0, **changes})
    request = start.requested(orders(method="POST"), "7", None, "shop")
    values = request.json or request.headers or request.request_params
    assert values == {"since": "ge 7" if start.param_in == "body" else "7"}


def test_a_number_whose_digits_a_float_would_change_is_an_error() -> None:
    start = incremental(param_in="body", format="epoch", initial=0)
    with pytest.raises(ConfigurationError, match=r"cannot send 1706702400\.123456789 as a number in the body"):
        start.requested(orders(method="POST"), "1706702400.123456789", None, "shop")


@pytest.mark.parametrize(
    ("changes", "request_changes"),
    [
        ({}, {"request_params": {"since": "x"}}),
        ({}, {"request_params": {"since": ""}}),
        ({}, {"data": {"since": "x"}}),
        ({}, {"endpoint": "orders?since=1"}),
        ({}, {"endpoint": "orders?a=1&since="}),
        ({"param": "page"}, {"paginator": PageNumberPaginator()}),
        ({"param": "$skip"}, {"paginator": OffsetPaginator(param="$skip")}),
        ({"param": "since", "end_param": "limit"}, {"paginator": OffsetPaginator()}),
        ({"param_in": "header", "param": "x-since"}, {"headers": {"X-Since": "1"}}),
        ({"param_in": "header"}, {"paginator": PageNumberPaginator(param="since", param_in="header")}),
        ({"param_in": "body", "param": "f.from"}, {"method": "POST", "json": {"f": {"from": 0}}}),
        ({"param_in": "body", "param": "from"}, {"method": "POST", "data": {"from": "x"}}),
        ({"param_in": "body", "param": "page"}, {"paginator": PageNumberPaginator(param_in="body")}),
    ],
)  # fmt: skip
def test_a_parameter_that_is_set_twice_is_an_error(changes: dict[str, Any], request_changes: dict[str, Any]) -> None:
    with pytest.raises(
        ConfigurationError, match="Connection 'shop': Incremental sets the parameter '.*', but the list"
    ):
        incremental(**changes).requested(orders(**request_changes), MARK, "END", "shop")


def test_a_cursor_can_have_the_parameter_of_the_mark_because_the_first_page_has_no_cursor() -> None:
    request = orders(paginator=CursorPaginator(path="data[-1].updatedAt", param="since"))
    assert incremental().requested(request, MARK, None, "shop").request_params == {"since": MARK}


def test_a_paginator_in_another_place_is_no_conflict() -> None:
    request = orders(method="POST", paginator=PageNumberPaginator(param="since", param_in="body"))
    assert incremental().requested(request, MARK, None, "shop").request_params == {"since": MARK}


@pytest.mark.parametrize("body", ["text", ["a"], {"filter": "text"}, {"filter": []}])
def test_a_body_without_the_place_is_an_error(body: Any) -> None:
    start = incremental(param_in="body", param="filter.0.from")
    with pytest.raises(
        ConfigurationError, match=r"cannot set 'filter.0.from' in the body of the request: .* set data to"
    ):
        start.requested(orders(method="POST", data=body), MARK, None, "shop")


def test_an_invalid_list_is_an_error() -> None:
    for request in (orders(request_params="since=1"), orders(data="x"), orders(data={"a": 1}, json={"a": 1})):
        with pytest.raises(ConfigurationError, match="Connection 'shop': "):
            incremental().requested(request, MARK, None, "shop")
        with pytest.raises(ConfigurationError, match="Connection 'shop': "):
            incremental().fingerprint(request, "shop")


def test_the_fingerprint_has_a_hash_of_each_parameter_that_determines_the_rows() -> None:
    request = orders(
        method="post",
        request_params={"status": "open", "none": None},
        json={"b": 1, "a": [1]},
        headers={"X-Secret": "s"},
    )
    found = incremental().fingerprint(request, "shop")
    # The hashes are compared with those of earlier versions, so they must not change.
    assert found == {
        "connection": "8c14fcf3523e21a1",
        "method": "40f55a5124bb12f9",
        "endpoint": "872d79f9398aae97",
        "field": "bb4d82b0b3391380",
        "format": "b2c3afe6bbecf965",
        "param": "725b3d6c176137bd",
        "value": "05065143c284a67c",
        "param_in": "2681e916105c7a06",
        "request_params.status": "aa6b56a50e9acf7b",
        "json": "8c2b726694cc6cae",
    }


@pytest.mark.parametrize(
    ("changes", "request_changes", "names"),
    [
        ({}, {}, set()),
        ({"initial": "2020-01-01T00:00:00Z", "lookback": 7, "end_param": "until", "key": "a"}, {}, set()),
        ({"client_side": True, "descending": True}, {}, set()),
        ({}, {"headers": {"A": "2"}, "paginator": PageNumberPaginator(), "records_path": "items"}, set()),
        ({}, {"method": "get"}, set()),
        ({}, {"request_params": {"c": [1, 2], "a": "1", "d": None}}, set()),
        ({}, {"request_params": None, "data": {"a": "1", "c": (1, 2)}}, set()),
        ({"field": "id"}, {}, {"field"}),
        ({"format": "epoch", "initial": 0}, {}, {"format"}),
        ({"timezone": "UTC"}, {}, {"timezone"}),
        ({"param": "from"}, {}, {"param"}),
        ({"param": None, "client_side": True}, {}, {"param"}),
        ({"value": "gt {mark}"}, {}, {"value"}),
        ({"param_in": "header"}, {}, {"param_in"}),
        ({}, {"endpoint": "customers"}, {"endpoint"}),
        ({}, {"method": "POST"}, {"method"}),
        ({}, {"request_params": {"a": "2", "c": [1, 2]}}, {"request_params.a"}),
        ({}, {"request_params": {"a": 1, "c": [1, 2]}}, {"request_params.a"}),
        ({}, {"request_params": {"a": "1", "c": [2, 1]}}, {"request_params.c"}),
        ({}, {"request_params": {"a": "1"}}, {"request_params.c"}),
        ({}, {"request_params": {"a": "1", "c": [1, 2], "b": ""}}, {"request_params.b"}),
        ({}, {"json": {"a": 1}}, {"json"}),
        ({}, {"method": "POST", "data": "text"}, {"method", "data"}),
    ],
)
def test_the_fingerprint_names_what_changed(
    changes: dict[str, Any], request_changes: dict[str, Any], names: set[str]
) -> None:
    params = {"request_params": {"a": "1", "c": [1, 2]}}
    before = incremental().fingerprint(orders(**params), "shop")
    after = incremental(**changes).fingerprint(orders(**params | request_changes), "shop")
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == names
    assert incremental().fingerprint(orders(**params), "other")["connection"] != before["connection"]


def test_the_fingerprint_does_not_depend_on_the_order_of_keys_and_sets() -> None:
    first = orders(method="POST", json={"a": 1, "b": {"x", "y", "z"}, 3: None})
    second = orders(method="POST", json={3: None, "b": {"z", "y", "x"}, "a": 1})
    assert incremental().fingerprint(first, "shop") == incremental().fingerprint(second, "shop")


def test_equal_values_of_different_parameters_have_different_hashes() -> None:
    found = incremental(field="x", param="x").fingerprint(orders(endpoint="x"), "x")
    assert len({found[name] for name in ("field", "param", "endpoint", "connection")}) == 4


@pytest.mark.parametrize(
    ("changes", "mark", "sent"),
    [
        ({"value": "{mark:epoch_ms}"}, "2024-01-31T12:00:00.1239+02:00", "1706695200123"),
        ({"value": "{mark:epoch}"}, "1969-12-31T23:59:59.5Z", "-1"),
        ({"value": "at >= '{mark:%Y-%m-%d %H:%M}'", "timezone": "Europe/Berlin"}, MARK, "at >= '2024-01-31 11:00'"),
        ({"value": "{mark:%d/%b/%Y:%I%p} {mark}", "timezone": "UTC"}, MARK, f"31/Jan/2024:10AM {MARK}"),
        ({"value": "{mark:%Y-%m-%dT%H:%M:%S.%f%z}"}, MARK, "2024-01-31T10:00:00.000000+0000"),
        ({"value": "{mark:iso}", "format": "epoch", "initial": 0}, "1706695200.9", "2024-01-31T10:00:00Z"),
        ({"value": "{mark:epoch}", "format": "%Y%m%d", "initial": 20240101, "timezone": "UTC"}, "19700102", "86400"),
        # An hour that the zone repeats: the API could read the text as the second one, and miss rows of the first one.
        ({"value": "{mark:%Y-%m-%d %H:%M}", "timezone": "Europe/Berlin"}, "2024-10-27T00:30:00Z", "2024-10-27 01:30"),
        ({"value": "{mark:%Y-%m-%d %H:%M}", "timezone": "Europe/Berlin"}, "2024-10-27T01:30:00Z", "2024-10-27 01:30"),
        ({"value": "{mark:%Y-%m-%d %H:%M}", "timezone": "Europe/Berlin"}, "2024-10-27T02:00:00Z", "2024-10-27 03:00"),
    ],
)  # fmt: skip
def test_the_mark_is_written_in_the_notation_of_the_filter(changes: dict[str, Any], mark: str, sent: str) -> None:
    start = incremental(**changes)
    start.check("shop", is_rendered=True)
    assert start.requested(orders(), mark, None, "shop").request_params == {"since": sent}


def test_the_end_has_the_notation_of_the_filter_too() -> None:
    request = incremental(value="gt:{mark:epoch}", end_param="until").requested(orders(), MARK, MARK, "shop")
    assert request.request_params == {"since": "gt:1706695200", "until": "1706695200"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"value": "{mark:%H:%M}"},
            "cannot be sent in the format '%H:%M': '%H:%M' is not the pattern of a complete date",
        ),
        ({"value": "{mark:%Y-%m-%d %Q}"}, "cannot be sent in the format .*: '%Q' in .* is not supported"),
        ({"value": "{mark:rfc}"}, "cannot be sent in the format 'rfc': format 'rfc' is not supported"),
        ({"value": "{mark:int}"}, "cannot be sent in the format 'int': only times can be written in another format"),
        ({"value": "{mark:epoch}", "format": "int", "initial": 0}, "only times can be written in another format"),
        (
            {"value": "{mark:%Y-%m-%d}"},
            "cannot be sent in the format '%Y-%m-%d': .* has no offset from UTC, and timezone",
        ),
        ({"value": "{mark:}"}, "does not contain {mark}"),
    ],
)
def test_a_notation_that_cannot_be_written_is_an_error(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        incremental(**changes).check("shop", is_rendered=False)


def test_the_fingerprint_depends_on_the_account() -> None:
    request = ListRequest(endpoint="items")
    found = incremental().fingerprint(request, "shop", {"subdomain": "acme"})
    other = incremental().fingerprint(request, "shop", {"subdomain": "other"})

    assert {name for name in found if found[name] != other[name]} == {"account.subdomain"}
