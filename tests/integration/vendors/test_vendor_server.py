"""The server that plays vendors accepts documented requests, and reports all differences from them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_provider_oauth.exceptions import ApiError, ConsentRequired
from airflow_provider_oauth.extract.paginators import JsonLinkPaginator
from sandbox import vendor_example, vendor_server
from sandbox.vendor_example import Example, InvalidExample, read_example
from sandbox.vendor_server import VendorServer, connection_fields
from tests.documents import ROOT
from tests.integration.vendors.invented import INVENTED

if TYPE_CHECKING:
    from collections.abc import Callable

NEXT = JsonLinkPaginator(path="links.next")
ROWS = [{"id": 1}, {"id": 2}, {"id": 1}, {"id": 2}, {"id": 3}]
TOKEN = "https://login.example.com/token"
ITEMS = "https://api.example.com/v1/items"
CLIENT = {"Authorization": "Basic Q0xJRU5UX0lEOkNMSUVOVF9TRUNSRVQ="}
BEARER = {"Authorization": "Bearer ACCESS_1"}
CODE = {"grant_type": "authorization_code", "code": "CODE", "redirect_uri": "https://airflow.example.com"}


@pytest.fixture
def example(tmp_path: Path) -> Example:
    return parsed(tmp_path, INVENTED)


def parsed(folder: Path, text: str) -> Example:
    path = folder / "example.toml"
    path.write_text(text)
    return read_example(path)


@pytest.fixture
def send(vendor_server: VendorServer, example: Example) -> Callable[..., requests.Response]:
    """Send a request to the server that plays the invented vendor."""
    vendor_server.play(example)

    def request(method: str, url: str, **options: Any) -> requests.Response:
        proxied = connection_fields(vendor_server)
        return requests.request(method, url, allow_redirects=False, timeout=10, **proxied, **options)

    return request


def test_a_connection_is_authorized_renewed_and_used(example: Example, play: Callable[..., Any]) -> None:
    with play(example) as run:
        run.authorize()
        assert run.pull(paginator=NEXT)[1] == ROWS
        run.renew()
        assert run.pull(paginator=NEXT)[1] == ROWS
        pages = ["page 1", "page 2"]
        assert run.server.steps() == ["authorize", "token", *pages, "refresh", *pages]
        sent = [each.received.headers["authorization"] for each in run.server.exchanges if each.step == "page 1"]
        assert sent == ["Bearer ACCESS_1", "Bearer ACCESS_2"]


def test_after_a_limit_the_task_waits_and_goes_on(example: Example, play: Callable[..., Any]) -> None:
    with play(example) as run:
        run.authorize()
        run.server.refuse("page", example.limit)
        result, rows = run.pull(paginator=NEXT)
        assert (result["waits"], rows) == (1, ROWS)
        assert 30 <= result["waited"] <= 31


def test_an_error_of_the_api_is_quoted(example: Example, play: Callable[..., Any]) -> None:
    with play(example) as run:
        run.authorize()
        run.server.refuse("page", example.error)
        with pytest.raises(ApiError, match="There is no such field"):
            run.pull(paginator=NEXT)


def test_a_refused_refresh_requires_a_new_consent(example: Example, play: Callable[..., Any]) -> None:
    with play(example) as run:
        run.authorize()
        run.server.refuse("refresh", example.token_error)
        with pytest.raises(ConsentRequired):
            run.renew()


def test_a_difference_fails_the_test_with_what_is_documented_and_what_is_sent(
    tmp_path: Path, play: Callable[..., Any]
) -> None:
    other = parsed(
        tmp_path,
        INVENTED.replace(
            'headers = { Authorization = "Basic Q0', 'format = "json"\nheaders = { Authorization = "Basic Q0'
        ),
    )
    with pytest.raises(pytest.fail.Exception) as failed, play(other) as run:
        run.authorize()
    text = str(failed.value)
    assert "token: the content type is application/x-www-form-urlencoded; documented: application/json" in text
    assert "https://developers.example.com/docs" in text


def test_what_is_not_documented_fails_the_test_unless_it_is_allowed(tmp_path: Path, play: Callable[..., Any]) -> None:
    other = parsed(tmp_path, INVENTED.replace('optional = { code_verifier = "*" }', ""))
    with pytest.raises(pytest.fail.Exception, match="token: body code_verifier"), play(other) as run:
        run.authorize()
    with play(other, allowed={"token: body code_verifier": "RFC 7636: servers ignore it"}) as run:
        run.authorize()


@pytest.mark.parametrize(
    ("method", "url", "options", "difference"),
    [
        ("GET", "https://api.example.com/v2", {}, "GET https://api.example.com/v2 is not documented"),
        ("GET", ITEMS, {}, "page 1: header authorization is not sent; documented: 'Bearer ACCESS_1'"),
        ("GET", ITEMS, {"headers": {"Authorization": "Bearer X"}}, "page 1: header authorization is 'Bearer X'"),
        ("POST", ITEMS, {"headers": BEARER}, "page 1: the method is POST; documented: GET"),
        ("GET", f"{ITEMS}?page=3", {"headers": BEARER}, "page 1: query page is sent; documented: only for other pages"),
        ("GET", f"{ITEMS}?page=2&page=2", {"headers": BEARER}, "page is sent; documented: only for other pages"),
        (
            "POST",
            TOKEN,
            {"headers": CLIENT, "data": CODE | {"code": "X"}},
            "token: body code is 'X'; documented: 'CODE'",
        ),
        (
            "POST",
            TOKEN,
            {"headers": CLIENT, "data": CODE | {"client_secret": "X"}},
            "token: body client_secret is sent",
        ),
        ("POST", TOKEN, {"headers": CLIENT, "params": CODE}, "body grant_type is not sent"),
        (
            "POST",
            TOKEN,
            {"headers": CLIENT, "data": CODE | {"redirect_uri": ""}},
            "token: body redirect_uri is ''; documented: '*'",
        ),
        ("POST", TOKEN, {"headers": CLIENT, "json": CODE}, "token: the content type is application/json"),
        (
            "POST",
            TOKEN,
            {"headers": CLIENT, "data": "x"},
            "token: the body cannot be read: the content type (none) is not known",
        ),
    ],
)
def test_a_request_that_differs_is_refused(
    send: Callable[..., requests.Response],
    vendor_server: VendorServer,
    method: str,
    url: str,
    options: dict[str, Any],
    difference: str,
) -> None:
    response = send(method, url, **options)
    assert response.status_code == 400
    assert difference in response.json()["message"]
    assert any(difference in text for text in vendor_server.differences)


def test_a_documented_request_with_something_else_is_answered_and_recorded(
    send: Callable[..., requests.Response], vendor_server: VendorServer
) -> None:
    response = send("GET", f"{ITEMS}?size=5", headers=BEARER | {"X-Trace": "1"})
    assert response.json()["data"]["items"] == ROWS[:4]
    assert vendor_server.extras == {"page 1: query size", "page 1: header x-trace"}
    assert not vendor_server.differences


def test_members_of_a_json_body_are_compared(
    tmp_path: Path, vendor_server: VendorServer, send: Callable[..., Any]
) -> None:
    head = INVENTED.partition("[[list]]")[0]
    vendor_server.play(
        parsed(
            tmp_path,
            f"""{head}
[[list]]
url = "{ITEMS}"
json = '''{{"filter": {{"after": "*"}}, "sort": [{{"by": "id"}}], "fields": ["id"], "size": 1}}'''
response = {{ body = '{{"items": [{{"id": 1}}]}}' }}
""",
        )
    )
    body = {"filter": {"after": "x", "also": 1}, "sort": [{"by": "id"}], "fields": ["id"], "size": 1}
    assert send("POST", ITEMS, json=body).status_code == 200
    assert vendor_server.extras == {"page 1: body filter.also"}
    text = send("POST", ITEMS, json={"filter": {}, "sort": [{"by": "name"}], "fields": [], "size": True}).text
    for name in ("filter.after", "sort.0.by", "fields", "size"):
        assert f"body {name} is" in text


ALTERNATIVES = f"""
[[list]]
url = "{ITEMS}"
methods = ["POST", "PUT"]
formats = ["form", "json"]
params_contain = {{ query = "START 1" }}
optional = ["size"]
any_of = [{{ headers = BEARER }}, {{ params = {{ token = "ACCESS_1" }} }}]
response = {{ headers = {{ Link = ["<a>", "<b>"] }}, body = '{{"items": [{{"id": 1}}]}}' }}
""".replace("BEARER", '{ Authorization = "Bearer ACCESS_1" }')


@pytest.mark.parametrize(
    ("method", "options", "difference"),
    [
        ("POST", {"data": {"query": "x start 1 y", "size": "2", "token": "ACCESS_1"}}, None),
        ("PUT", {"json": {"query": "START 1"}, "headers": BEARER}, None),
        ("PUT", {"json": {"query": "START 2"}, "headers": BEARER}, "body query is 'START 2'; documented: it contains"),
        ("POST", {"data": {"query": "START 1"}}, "header authorization is not sent"),
        ("PATCH", {"json": {"query": "START 1"}, "headers": BEARER}, "the method is PATCH; documented: POST"),
    ],
)
def test_a_request_can_have_several_documented_forms(
    tmp_path: Path,
    vendor_server: VendorServer,
    send: Callable[..., Any],
    method: str,
    options: dict[str, Any],
    difference: str | None,
) -> None:
    vendor_server.play(parsed(tmp_path, INVENTED.partition("[[list]]")[0] + ALTERNATIVES))
    response = send(method, ITEMS, **options)
    assert (difference or "<a>, <b>") in (response.text if difference else response.headers["Link"])
    assert not vendor_server.extras


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ('callback = { code = "CODE" }', 'back = { code = "CODE" }', "unknown field `back`"),
        ('"https://login.example.com/token"\nheaders', '"http://x.example.com"\nheaders', "is not an https URL"),
        (
            'body = \'{"data": {"items": [{"id": 3}]}',
            'body = \'{"a": [{}], "data": {"items": [{"id": 3}]}',
            "has 2 arrays",
        ),
        ('endpoint = "v1/items"', "", "connection has no endpoint"),
        ('absent = ["client_secret"]', 'absent = ["scope"]', "scope is both in absent and in params or optional"),
        ("[limit]", "[limit", "Expected ']'"),
    ],
)
def test_a_mistake_in_an_example_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, error: str
) -> None:
    with pytest.raises(InvalidExample, match="example.toml") as raised:
        parsed(tmp_path, INVENTED.replace(old, new, 1))
    assert error in str(raised.value)
    assert vendor_example.main([str(tmp_path / "example.toml")]) == 1
    assert error in capsys.readouterr().out


def test_times_in_a_response_are_relative_to_now(
    tmp_path: Path, send: Callable[..., Any], play: Callable[..., Any]
) -> None:
    text = "{now+60} {now+60 ms} {now+60 iso} {now+60 http}"
    other = parsed(tmp_path, INVENTED.replace("There is no such field", text))
    with play(other) as run:
        run.server.refuse("page", other.error)
        message = send_to(run.server, ITEMS)
    assert message == "1767225660 1767225660000 2026-01-01T00:01:00Z Thu, 01 Jan 2026 00:01:00 GMT"


def send_to(server: VendorServer, url: str) -> str:
    response = requests.get(url, headers=BEARER, timeout=10, **connection_fields(server))
    message: str = response.json()["message"]
    return message


def test_the_server_explains_how_to_use_it_and_shows_requests_until_it_is_stopped() -> None:
    command = [sys.executable, "-m", "sandbox.vendor_server", "hubspot", "--refuse", "limit"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            text = "".join(iter(process.stdout.readline, f"Requests appear below. {vendor_server.READY}.\n"))
            found = re.search(r"export HTTPS_PROXY=(\S+) REQUESTS_CA_BUNDLE=(\S+)\n", text)
            assert found
            assert "airflow oauth add hubspot my_hubspot\n   login: CLIENT_ID\n" in text
            url = "https://api.hubapi.com/crm/v3/objects/contacts"
            proxied: dict[str, Any] = {"proxies": {"https": found[1]}, "verify": found[2], "headers": BEARER}
            assert [requests.get(url, timeout=10, **proxied).status_code for _ in range(2)] == [429, 200]
            assert process.stdout.readline() == f"page 1: GET {url}\n"
        finally:
            process.terminate()
        assert process.wait(10) == 0
    assert not Path(found[2]).exists()


@pytest.mark.parametrize(
    ("arguments", "error"), [(["nobody"], "nobody.toml"), (["keycloak", "--refuse", "limit"], "has no limit")]
)
def test_the_server_does_not_start_without_what_it_plays(
    capsys: pytest.CaptureFixture[str], arguments: list[str], error: str
) -> None:
    assert vendor_server.main(arguments) == 1
    assert error in capsys.readouterr().err
