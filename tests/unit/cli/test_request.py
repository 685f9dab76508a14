"""The command ``airflow oauth request``: the request, what is printed, and the exit code."""

from __future__ import annotations

import inspect
import json
from argparse import Namespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.cli import commands
from airflow_provider_oauth.exceptions import ApiError, ConfigurationError
from tests.connections import BASE_URL, TOKEN_URL

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests_mock import Mocker

ITEMS = f"{BASE_URL}/items"


@pytest.fixture
def api(variables: dict[str, str], define_connection: Callable[..., None], requests_mock: Mocker) -> Mocker:
    define_connection("shop")
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-token", "expires_in": 3600})
    return requests_mock


def request(**args: Any) -> None:
    """Run the command without Airflow's decorators."""
    values = {
        "conn_id": "shop",
        "endpoint": "items",
        "rows": 5,
        "method": "GET",
        "params": None,
        "json": None,
        "records_path": None,
        **args,
    }
    inspect.unwrap(commands.oauth_request)(Namespace(**values))


def test_the_command_describes_the_response(api: Mocker, capsys: pytest.CaptureFixture[str]) -> None:
    page = {"meta": {"next": "abc", "tags": ["x"]}, "data": [{"id": n, "price": 1.10} for n in range(3)]}
    api.get(ITEMS, text=json.dumps(page), headers={"Content-Type": "application/json"})
    request(rows=2)
    assert capsys.readouterr().out.splitlines() == [
        f"Status: 200, application/json, {len(json.dumps(page))} bytes",
        "Keys: meta, meta.next, meta.tags, data",
        'Rows: 3 in records_path="data"',
        "Other arrays: meta.tags (1)",
        '{"id": 0, "price": 1.1}',
        '{"id": 1, "price": 1.1}',
        'Paginator: CursorPaginator(path="meta.next", param="…"), because the response has meta.next',
    ]


@pytest.mark.parametrize(
    ("method", "paginator"),
    [
        ("GET", "CursorPaginator, from HubSpot's vendor file. Tasks need none"),
        ("PUT", 'CursorPaginator(path="paging.next.after", param="after"), because the response has paging.next.after'),
    ],
)
def test_the_paginator_is_that_of_the_vendor(
    api: Mocker,
    define_connection: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    method: str,
    paginator: str,
) -> None:
    define_connection("shop", vendor="hubspot", grant_type="client_credentials")
    api.register_uri(method, ITEMS, json={"results": [{"id": 1}], "paging": {"next": {"after": "2"}}})
    request(method=method)
    assert capsys.readouterr().out.splitlines()[-1] == f"Paginator: {paginator}"


def test_rows_are_printed_as_the_api_wrote_them(api: Mocker, capsys: pytest.CaptureFixture[str]) -> None:
    api.get(ITEMS, text='[{"n": 1.10,\n "big": 123456789012345678901234567890}]')
    request()
    assert '{"n": 1.10, "big": 123456789012345678901234567890}' in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("document", "line"),
    [
        ([1, 2], 'Rows: 2 in records_path="@"'),
        ({"a": {"b": [{"id": 1}]}, "tags": [1, 2, 3]}, 'Rows: 1 in records_path="a.b"'),
        ({"a.b": [{"id": 1}]}, 'Rows: 1 in records_path="\\"a.b\\""'),
        ({"e": [{"node": {"id": 1}, "cursor": "x"}]}, 'Rows: 1 in records_path="e[].node"'),
        ({"id": 7}, 'Rows: no array. To use the response itself as the row, set records_path="@"'),
    ],
)
def test_the_rows_are_the_largest_array_of_objects(
    api: Mocker, capsys: pytest.CaptureFixture[str], document: Any, line: str
) -> None:
    api.get(ITEMS, json=document)
    request()
    assert line in capsys.readouterr().out.splitlines()


def test_the_path_of_the_rows_can_be_set(api: Mocker, capsys: pytest.CaptureFixture[str]) -> None:
    api.get(ITEMS, json={"users": [{"id": 1}, {"id": 2}], "groups": {"all": [{"id": 7}]}})
    request(records_path="groups.all")
    assert capsys.readouterr().out.splitlines()[2:5] == [
        'Rows: 1 in records_path="groups.all"',
        "Other arrays: users (2)",
        '{"id": 7}',
    ]
    with pytest.raises(ApiError, match="'shop'.*'groups.none'"):
        request(records_path="groups.none")


def test_an_invalid_path_of_the_rows_is_an_error_before_the_request(api: Mocker) -> None:
    with pytest.raises(SystemExit, match="^--records-path: .*'a..b'"):
        request(records_path="a..b")
    assert not api.called


@pytest.mark.parametrize(
    ("count", "headers", "line"),
    [
        (3, {}, "Paginator: none. The response has no sign of a next page"),
        (50, {}, "Paginator: unknown. The response has no sign of a next page, but 50 rows can be a full page. See the "
         "documentation of the API"),
        (3, {"Link": '<?page=2>; rel="next"'}, "Paginator: HeaderLinkPaginator(), because the response has a Link "
         "header with rel=next"),
    ],
)  # fmt: skip
def test_the_command_suggests_a_paginator(
    api: Mocker, capsys: pytest.CaptureFixture[str], count: int, headers: dict[str, str], line: str
) -> None:
    api.get(ITEMS, json=[{"id": n} for n in range(count)], headers=headers)
    request()
    assert capsys.readouterr().out.splitlines()[-1] == line


def test_parameters_are_the_query_of_a_get_request(api: Mocker) -> None:
    api.get(ITEMS, json=[])
    request(params='{"limit": 5, "q": "a b"}')
    assert api.last_request.url == f"{ITEMS}?limit=5&q=a+b"
    assert api.last_request.body is None


def test_a_post_request_has_parameters_and_a_json_body(api: Mocker) -> None:
    api.post(ITEMS, json=[])
    request(method="post", params='{"v": 2}', json='{"filter": ["x"]}')
    assert (api.last_request.method, api.last_request.url) == ("POST", f"{ITEMS}?v=2")
    assert api.last_request.json() == {"filter": ["x"]}


def test_the_paginator_of_a_post_request_changes_its_body(api: Mocker, capsys: pytest.CaptureFixture[str]) -> None:
    api.post(ITEMS, json={"results": [{"id": 1}], "paging": {"next": {"after": "1"}}})
    request(method="POST", json="{}")
    expected = 'CursorPaginator(path="paging.next.after", param="after", param_in="body")'
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"Paginator: {expected}, because")


def test_the_status_is_printed_if_the_response_is_not_json(api: Mocker, capsys: pytest.CaptureFixture[str]) -> None:
    api.get(ITEMS, text="<html>", headers={"Content-Type": "text/html"})
    with pytest.raises(ApiError, match="is not JSON"):
        request()
    assert capsys.readouterr().out == "Status: 200, text/html, 6 bytes\n"


def test_no_token_and_no_secret_is_printed(api: Mocker, capsys: pytest.CaptureFixture[str]) -> None:
    echo = {"token": "fake-token", "header": "Bearer fake-token", "secret": "fake-secret"}
    api.get(ITEMS, json=[echo], headers={"Content-Type": "fake-token"})
    request()
    out = capsys.readouterr().out
    assert "fake" not in out
    assert '{"token": "***", "header": "Bearer ***", "secret": "***"}' in out


def test_a_secret_that_is_escaped_in_a_link_is_not_printed(
    define_connection: Callable[..., None], api: Mocker, capsys: pytest.CaptureFixture[str]
) -> None:
    define_connection("shop", secret_params={"key": "fake+a/b ="})
    links = [f"{ITEMS}?key=fake%2Ba%2Fb%20%3D", f"{ITEMS}?key=fake%2Ba%2Fb+%3D"]
    api.get(ITEMS, json=[{"next": link} for link in links])
    request()
    out = capsys.readouterr().out
    assert "fake" not in out
    assert out.count("key=***") == 2


def test_a_long_row_is_shortened(api: Mocker, capsys: pytest.CaptureFixture[str]) -> None:
    api.get(ITEMS, json=[{"text": "x" * 5000}])
    request()
    assert max(map(len, capsys.readouterr().out.splitlines())) == 2001


def test_an_empty_response_is_described(api: Mocker, capsys: pytest.CaptureFixture[str]) -> None:
    api.get(ITEMS, status_code=204)
    request()
    assert capsys.readouterr().out.splitlines() == [
        "Status: 204, no Content-Type, 0 bytes",
        "Keys: none",
        "Rows: none. The response has no body.",
    ]


def test_a_successful_response_that_reports_an_error_is_printed_and_fails(
    api: Mocker, capsys: pytest.CaptureFixture[str]
) -> None:
    api.get(ITEMS, json={"success": False, "errors": [{"code": "606", "message": "Too many"}]})
    with pytest.raises(SystemExit, match="^The member 'errors' of the response reports an error.$"):
        request()
    assert '{"code": "606", "message": "Too many"}' in capsys.readouterr().out


def test_a_response_without_rows_is_printed(api: Mocker, capsys: pytest.CaptureFixture[str]) -> None:
    api.get(ITEMS, json={"items": [], "note": "The trial has endéd"})
    request()
    assert 'Response: {"items": [], "note": "The trial has endéd"}' in capsys.readouterr().out.splitlines()


def test_an_error_status_fails(api: Mocker) -> None:
    api.get(ITEMS, status_code=404, json={"message": "No such list"})
    with pytest.raises(ApiError, match="^404:Not Found .*No such list"):
        request()


def test_a_response_that_is_not_json_fails(api: Mocker) -> None:
    api.get(ITEMS, text="<html>")
    with pytest.raises(ApiError, match="is not JSON"):
        request()


@pytest.mark.parametrize("option", ["params", "json"])
def test_invalid_json_in_an_option_fails_before_a_request_is_sent(api: Mocker, option: str) -> None:
    with pytest.raises(SystemExit, match=f"^--{option} is not valid JSON. Write it like this: --{option} '"):
        request(**{option: "limit=5"})
    assert api.request_history == []


def test_parameters_must_be_an_object(api: Mocker) -> None:
    with pytest.raises(SystemExit, match="^--params is not a JSON object. "):
        request(params="[1]")
    assert api.request_history == []


def test_an_unknown_connection_fails(api: Mocker) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        request(conn_id="nobody")
    assert api.request_history == []


def test_after_an_error_the_command_exits_with_its_text(
    api: Mocker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands, "allow_database_connections", lambda: None)
    api.get(ITEMS, status_code=500)
    names = dict.fromkeys(["params", "json", "records_path"])
    arguments = Namespace(conn_id="shop", endpoint="items", rows=5, method="GET", verbose=False, **names)
    with pytest.raises(SystemExit, match="^500:Internal Server Error "):
        commands.oauth_request(arguments)
