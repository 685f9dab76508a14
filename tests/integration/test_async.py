"""``OAuthAsyncHook`` and the triggers over real sockets: tokens, redirects, errors, and a loop that never blocks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import requests
from airflow.providers.http.triggers.http import HttpResponseSerializer
from airflow.sdk._shared.secrets_masker import _secrets_masker

from airflow_provider_oauth.api.aiohttp_auth import valid_token
from airflow_provider_oauth.exceptions import (
    ApiConnectionError,
    ApiError,
    ApiTimeout,
    ConfigurationError,
    InvalidClient,
)
from airflow_provider_oauth.fields import FIELDS
from airflow_provider_oauth.hooks.async_session import OAuthAsyncSession
from airflow_provider_oauth.hooks.oauth import OAuthAsyncHook, OAuthHook
from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.protocol.endpoint import TokenEndpoint
from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.runtime import airflow_variables, masking, token_sources
from airflow_provider_oauth.triggers.oauth import OAuthHttpEventTrigger, OAuthHttpSensorTrigger, OAuthHttpTrigger
from sandbox.vendors.shop import POLLS
from tests.fake_clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from sandbox.server import Sandbox
    from tests.integration.recorder import Recorder


SECRET = "fake+secret/1%="


pytestmark = pytest.mark.usefixtures("variables")


@pytest.fixture
def connect(define_connection: Callable[..., None], sandbox: Sandbox) -> Callable[..., None]:
    def define(conn_id: str = "my_api", **fields: Any) -> None:
        sandbox.state.add_client("standard", conn_id, SECRET, scopes=["read", "write"])
        urls = {"host": f"{sandbox.url}/standard/api", "grant_url": f"{sandbox.url}/standard/token"}
        define_connection(conn_id, **({"login": conn_id, "password": SECRET} | urls | fields))

    return define


@pytest.fixture
def raw_server() -> Iterator[Callable[..., str]]:
    """Start servers that send the same bytes to every client, one part after the other; see ``start``."""
    with contextlib.ExitStack() as stack:

        def start(*parts: bytes, pause: float = 0.0) -> str:
            """Return the URL of a new server."""
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def serve(connection: socket.socket) -> None:
                with connection, contextlib.suppress(OSError):  # the client went away
                    connection.recv(65536)
                    for part in parts:
                        connection.sendall(part)
                        time.sleep(pause)

            def accept() -> None:
                with contextlib.suppress(OSError):  # the test is over
                    while True:
                        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

            thread = threading.Thread(target=accept, daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(listener.shutdown, socket.SHUT_RDWR)
            return f"http://127.0.0.1:{listener.getsockname()[1]}"

        yield start


@pytest.fixture
def hosts_clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """A host whose clock is five days behind; tests advance it."""
    clock = FakeClock(datetime.now(UTC) - timedelta(days=5))
    monkeypatch.setattr(Clock, "now", lambda self: clock.now())
    return clock


def call(hook: OAuthAsyncHook | None = None, **request: Any) -> tuple[int, bytes]:
    """Send one request, and return the status and the body of the response."""

    async def scenario() -> Any:
        async with aiohttp.ClientSession() as session:
            response = await (hook or OAuthAsyncHook("my_api")).run(session=session, **request)
            return response.status, await response.read()

    return asyncio.run(scenario())


def test_the_asynchronous_hook_sends_the_same_token_as_the_synchronous_one(
    connect: Callable[..., None], sandbox: Sandbox
) -> None:
    connect()
    status, body = call(endpoint="whoami")
    assert (status, json.loads(body)["client_id"]) == (200, "my_api")
    assert OAuthHook("my_api").run("whoami").status_code == 200
    assert asyncio.run(OAuthAsyncHook("my_api").get_token()) == OAuthHook("my_api").get_token()
    assert sandbox.state.counts()["my_api"]["token_requests"] == 1


def test_after_a_401_the_token_is_renewed_once_and_the_body_sent_again(
    connect: Callable[..., None], sandbox: Sandbox
) -> None:
    connect()
    call(endpoint="whoami")
    sandbox.state.revoke("standard", "my_api", "access")
    status, body = call(OAuthAsyncHook("my_api", "POST"), endpoint="items", json={"a": 1})
    assert (status, json.loads(body)) == (201, {"a": 1})
    token_sources._sources.clear()  # as in a new process: each renews a refused token only once per minute
    sandbox.state.revoke("standard", "my_api", "access")
    status, body = call(OAuthAsyncHook("my_api", "POST"), endpoint="items", data={"b": "2"})
    assert (status, json.loads(body)) == (201, {"b": "2"})
    counts = sandbox.state.counts()["my_api"]
    assert (counts["token_requests"], counts["api_401"]) == (3, 2)


def test_a_second_401_is_an_error(connect: Callable[..., None], api: Recorder, sandbox: Sandbox) -> None:
    connect(host=api.url)
    api.responses["/items"] = [(401, {})] * 9
    with pytest.raises(ApiError, match="^401") as caught:
        call(endpoint="items")
    assert caught.value.status_code == 401
    assert len(api.requests) == 2
    assert sandbox.state.counts()["my_api"]["token_requests"] == 2


def test_a_403_does_not_renew_the_token(connect: Callable[..., None], sandbox: Sandbox) -> None:
    connect()
    with pytest.raises(ApiError, match="^403"):
        call(endpoint="admin")
    assert sandbox.state.counts()["my_api"]["token_requests"] == 1


def test_a_consumed_body_is_not_sent_again_empty_or_in_part(connect: Callable[..., None], api: Recorder) -> None:
    connect(host=api.url)
    api.responses["/items"] = [(401, {})]

    async def parts() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    with pytest.raises(ApiError, match="^401"):
        call(OAuthAsyncHook("my_api", "POST"), endpoint="items", data=parts())
    assert [body for *_, body in api.requests] == [b"ab"]


def test_a_file_is_sent_again_completely_or_not_at_all(
    connect: Callable[..., None], api: Recorder, tmp_path: Path
) -> None:
    connect(host=api.url)
    api.responses["/items"] = [(401, {})]
    path = tmp_path / "upload"
    path.write_bytes(b"content of the file")
    with path.open("rb") as file, contextlib.suppress(ApiError):
        call(OAuthAsyncHook("my_api", "POST"), endpoint="items", data=file)
    assert {body for *_, body in api.requests} == {b"content of the file"}


@pytest.mark.parametrize("status", [302, 307])
def test_nothing_from_the_connection_is_sent_after_a_redirect_to_another_origin(
    connect: Callable[..., None], api: Recorder, elsewhere: Recorder, status: int
) -> None:
    connect(
        host=api.url,
        header_name="X-Session",
        api_headers={"X-Tenant": "7"},
        secret_headers={"X-Key": "fake-key"},
        api_params={"account": "fake-account"},
        secret_params={"key": "fake-param"},
    )
    api.responses["/moved"] = [(status, {"Location": f"{elsewhere.url}/landing"})]
    call(endpoint="moved", headers={"X-Mine": "stays", "X-Api-Key": "fake-mine", "X-Auth": "fake-mine"})
    (_, path, sent, _), (_, landing, arrived, _) = api.requests[0], elsewhere.requests[0]
    assert path == "/moved?account=fake-account&key=fake-param"
    assert {"X-Session", "X-Tenant", "X-Key", "X-Api-Key", "X-Auth"} <= set(sent)
    assert landing == "/landing"
    assert arrived["X-Mine"] == "stays"
    assert not {"x-session", "authorization", "x-tenant", "x-key", "x-api-key", "x-auth"} & {
        name.lower() for name in arrived
    }


def test_the_token_is_sent_after_a_redirect_within_the_api(connect: Callable[..., None]) -> None:
    connect()
    assert json.loads(call(endpoint="redirect?to=whoami")[1])["client_id"] == "my_api"


def test_headers_and_parameters_of_the_caller_replace_those_of_the_connection(
    connect: Callable[..., None], api: Recorder
) -> None:
    connect(
        host=api.url, api_headers={"X-Tenant": "7", "Accept": "text/fake"}, api_params={"account": "1", "lang": "de"}
    )
    call(endpoint="items?account=2", headers={"x-tenant": "8"})
    (_, path, headers, _) = api.requests[0]
    assert path == "/items?account=2&lang=de"
    assert headers["x-tenant"] == "8"
    assert headers["Accept"] == "text/fake"


@pytest.mark.parametrize("value", ["a b&c", 7, True, ["x", "y"], None])
def test_both_hooks_send_the_same_parameters_of_the_connection(
    connect: Callable[..., None], api: Recorder, value: Any
) -> None:
    connect(host=api.url, api_params={"p": value, "q": "1"})
    OAuthHook("my_api").run("items", {"page": "1"})
    call(endpoint="items", data={"page": "1"})
    (_, one, *_), (_, two, *_) = api.requests
    assert two.replace("%20", "+") == one.replace("%20", "+")


def test_the_query_of_the_caller_is_not_encoded_again_when_parameters_are_added(
    connect: Callable[..., None], api: Recorder
) -> None:
    connect(host=api.url, api_params={"account": "1"})
    call(endpoint="items?q=x%2By%26z&q=2")
    assert api.requests[0][1] == "/items?q=x%2By%26z&q=2&account=1"


def test_both_hooks_accept_an_absolute_url_of_the_api(connect: Callable[..., None], api: Recorder) -> None:
    connect(host=f"{api.url}/v1")
    OAuthHook("my_api").run(f"{api.url}/v2/items?page=2")
    call(endpoint=f"{api.url}/v2/items?page=2")
    assert [path for _, path, *_ in api.requests] == ["/v2/items?page=2"] * 2


def test_an_absolute_url_of_another_origin_is_refused(
    connect: Callable[..., None], api: Recorder, elsewhere: Recorder
) -> None:
    connect(host=api.url)
    with pytest.raises(ApiError, match="not part of the API"):
        call(endpoint=f"{elsewhere.url}/items")
    assert (api.requests, elsewhere.requests) == ([], [])


def test_after_a_500_the_request_is_repeated_up_to_the_retry_limit(connect: Callable[..., None], api: Recorder) -> None:
    connect(host=api.url)
    api.responses["/items"] = [(500, {}), (503, {})]
    assert call(OAuthAsyncHook("my_api", retry_limit=3, retry_delay=0), endpoint="items") == (200, b'{"answer": true}')
    api.responses["/items"] = [(500, {})] * 9
    with pytest.raises(ApiError, match="^500"):
        call(OAuthAsyncHook("my_api", retry_limit=2, retry_delay=0), endpoint="items")
    assert len(api.requests) == 5


def test_an_error_names_the_connection_and_contains_no_parameter(connect: Callable[..., None], api: Recorder) -> None:
    connect(host=api.url, secret_params={"key": "fake-param"})
    api.responses["/items"] = [(404, {})]
    with pytest.raises(ApiError, match=r"^404:Not Found.*'my_api'") as caught:
        call(endpoint="items")
    assert "fake-param" not in str(caught.value)
    assert caught.value.status_code == 404


def test_the_timeout_of_the_connection_is_used(connect: Callable[..., None], sandbox: Sandbox) -> None:
    connect(timeout=1)
    sandbox.state.inject_fault("standard", "api", delay=5)
    with pytest.raises(ApiTimeout, match=r"'my_api'.*Timeout"):
        call(endpoint="whoami")


def test_a_proxy_for_another_scheme_is_not_used(
    connect: Callable[..., None], api: Recorder, elsewhere: Recorder
) -> None:
    connect(host=api.url, proxies={"https": elsewhere.url})
    call(endpoint="items")
    assert (len(api.requests), len(elsewhere.requests)) == (1, 0)


def test_a_proxy_for_the_scheme_is_used(
    connect: Callable[..., None], api: Recorder, elsewhere: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(host=api.url, proxies={"http": elsewhere.url})
    OAuthAsyncHook("my_api")
    hook = OAuthAsyncHook("my_api")
    monkeypatch.setattr(token_sources, "TokenSource", lambda dependencies: _NoNetworkSource(dependencies.config))
    call(hook, endpoint="items")
    assert (len(api.requests), [path for _, path, *_ in elsewhere.requests]) == (0, [f"{api.url}/items"])


class _NoNetworkSource:
    """A token source that sends no requests."""

    def __init__(self, config: OAuthConfig) -> None:
        self.config = config

    def fresh(self, scope: str | None = None) -> Token:
        now = datetime.now(UTC)
        return Token(access_token="fake-token", issued_at=now, expires_at=now + timedelta(hours=1))

    token = fresh


# --- triggers


def test_a_trigger_fires_with_the_response_and_without_the_token(
    connect: Callable[..., None], sandbox: Sandbox
) -> None:
    connect()
    event = asyncio.run(anext(OAuthHttpTrigger("my_api", endpoint="items").run())).payload
    assert event["status"] == "success"
    assert not any(token in json.dumps(event) for token in sandbox.state.issued())


def test_a_trigger_fires_with_the_error_if_the_client_is_refused(
    connect: Callable[..., None], sandbox: Sandbox
) -> None:
    connect()
    sandbox.state.add_client("standard", "my_api", "another-fake-secret")
    event = asyncio.run(anext(OAuthHttpTrigger("my_api", endpoint="items").run())).payload
    assert event["error"]["type"] == InvalidClient.__name__
    assert sandbox.state.counts()["my_api"]["token_requests"] == 1


def test_a_sensor_trigger_polls_until_the_api_is_ready(connect: Callable[..., None], sandbox: Sandbox) -> None:
    connect()
    trigger = OAuthHttpSensorTrigger("my_api", endpoint="ready/key", data={"after": "2"}, poke_interval=0)
    assert asyncio.run(anext(trigger.run())).payload == {"status": "success"}
    counts = sandbox.state.counts()["my_api"]
    assert (counts["api_calls"], counts["token_requests"]) == (3, 1)


def test_a_sensor_trigger_polls_until_its_condition_is_true(
    define_connection: Callable[..., None], sandbox: Sandbox
) -> None:
    sandbox.state.add_client("shop", "my_api", SECRET)
    urls = {"host": f"{sandbox.url}/shop/api", "grant_url": f"{sandbox.url}/shop/token"}
    define_connection("my_api", login="my_api", password=SECRET, **urls)
    trigger = OAuthHttpSensorTrigger("my_api", endpoint="exports/e1", until="status == 'done'", poke_interval=0)
    assert asyncio.run(anext(trigger.run())).payload == {"status": "success"}
    assert sandbox.state.counts()["my_api"]["api_calls"] == POLLS + 1


@pytest.fixture
def blocking(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The IDs of the threads that did blocking work: storage, token requests, masking."""
    threads = []

    def noted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            threads.append(threading.get_ident())
            return function(*args, **kwargs)

        return call

    for owner, name in [
        (airflow_variables, "get_variable"),
        (airflow_variables, "set_variable"),
        (masking, "mask_secret"),
        (TokenEndpoint, "grant"),
        (Clock, "sleep"),
    ]:
        monkeypatch.setattr(owner, name, noted(getattr(owner, name)))
    return threads


def test_five_hundred_triggers_cause_one_token_request_per_renewal_and_never_block_the_loop(
    connect: Callable[..., None], sandbox: Sandbox, hosts_clock: FakeClock, blocking: list[int]
) -> None:
    connect()

    async def scenario() -> Any:
        triggers = [OAuthHttpTrigger("my_api", endpoint=f"items/{number % 250 + 1}") for number in range(500)]
        return await asyncio.gather(*(anext(trigger.run()) for trigger in triggers))

    for period in (1, 2, 3):
        sandbox.state.inject_fault("standard", "token", delay=1.0)
        fired = asyncio.run(scenario())
        assert [event.payload["status"] for event in fired] == ["success"] * 500
        assert sandbox.state.counts()["my_api"]["token_requests"] == period
        assert sandbox.state.counts()["my_api"]["api_401"] == 0
        hosts_clock.advance(0.8 * 3600)
    assert blocking
    assert threading.get_ident() not in blocking  # the loop's thread


def test_masking_a_thousand_new_tokens_does_not_block_the_loop(
    connect: Callable[..., None], hosts_clock: FakeClock, monkeypatch: pytest.MonkeyPatch, blocking: list[int]
) -> None:
    connect()

    def grant(endpoint: TokenEndpoint, scope: str | None = None, *, retry: bool = True) -> Token:
        now = endpoint._clock.now()
        return Token(access_token=secrets.token_urlsafe(60), issued_at=now, expires_at=now + timedelta(seconds=100))

    monkeypatch.setattr(TokenEndpoint, "grant", grant)
    patterns = len(_secrets_masker().patterns)

    async def scenario() -> Any:
        access = await OAuthAsyncHook("my_api").access()
        seen = set()
        for _ in range(1000):
            seen.add((await valid_token(access)).access_token)
            hosts_clock.advance(101)
        return seen

    assert len(asyncio.run(scenario())) == 1000
    assert len(blocking) > 1000
    assert threading.get_ident() not in blocking  # the loop's thread
    assert len(_secrets_masker().patterns) < patterns + 10  # otherwise each call would take longer than the one before


def test_waiting_for_a_token_leaves_threads_for_other_work(connect: Callable[..., None], sandbox: Sandbox) -> None:
    """The default threads of the loop also look up host names, so they must not all wait for one token endpoint."""
    connect()
    sandbox.state.inject_fault("standard", "token", delay=3)

    async def scenario() -> Any:
        triggers = [OAuthHttpTrigger("my_api", endpoint="items/1") for _ in range(50)]
        running = [asyncio.create_task(anext(trigger.run())) for trigger in triggers]
        while not sandbox.state.counts()["my_api"]["token_requests"]:  # noqa: ASYNC110 - a count of the server's
            await asyncio.sleep(0.01)
        before = time.monotonic()
        await asyncio.to_thread(lambda: None)
        waited = time.monotonic() - before
        await asyncio.gather(*running)
        return waited

    assert asyncio.run(scenario()) < 2


def test_without_a_session_of_the_caller_the_response_is_read_before_the_session_is_closed(
    connect: Callable[..., None], sandbox: Sandbox
) -> None:
    connect()
    sandbox.state.inject_fault("standard", "api", body="x" * 2_000_000, status=200)

    async def scenario() -> Any:
        response = await OAuthAsyncHook("my_api").run(endpoint="items")
        return await response.read()

    assert len(asyncio.run(scenario())) == 2_000_000


def test_options_of_http_hook_are_accepted(connect: Callable[..., None], api: Recorder, elsewhere: Recorder) -> None:
    connect(host=f"http://127.0.0.1:{api.server_port}")
    proxy = f"http://127.0.0.1:{elsewhere.server_port}"
    call(endpoint="items", extra_options={"verify": False, "timeout": 5, "stream": True, "proxies": {"http": proxy}})
    assert api.requests == []
    assert len(elsewhere.requests) == 1


def test_an_event_trigger_uses_a_changed_connection_at_the_next_poll(
    connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    connect()
    valid = os.environ["AIRFLOW_CONN_MY_API"]
    monkeypatch.setenv("AIRFLOW_CONN_MY_API", valid.replace(SECRET, "fake-outdated-secret"))
    pauses = []

    async def correct_the_connection(pause: float) -> None:
        pauses.append(pause)
        monkeypatch.setenv("AIRFLOW_CONN_MY_API", valid)

    async def scenario() -> Any:
        trigger = OAuthHttpEventTrigger(f"{__name__}.always", "my_api", endpoint="items", poll_interval=5)
        # Only in the module of the trigger, because the sandbox sleeps too.
        stub = SimpleNamespace(sleep=correct_the_connection, to_thread=asyncio.to_thread)
        monkeypatch.setattr("airflow_provider_oauth.triggers.oauth.asyncio", stub)
        event = await anext(trigger.run())
        return event.payload["status"]

    assert asyncio.run(scenario()) == "success"
    assert pauses == [10]


async def always(response: Any) -> bool:
    return True


# --- deferred requests behave like others


def fired(**request: Any) -> dict[str, Any]:
    return json.loads(json.dumps(asyncio.run(anext(OAuthHttpTrigger("my_api", **request).run())).payload))


def test_a_deferred_request_follows_a_redirect_and_returns_the_response(connect: Callable[..., None]) -> None:
    connect()
    event = fired(endpoint="redirect?to=whoami")
    assert event["status"] == "success"
    response = HttpResponseSerializer.deserialize(event["response"])
    assert (response.status_code, response.json()["client_id"]) == (200, "my_api")
    (redirect,) = response.history
    assert (redirect.status_code, redirect.content, redirect.reason) == (302, b"", "Found")
    assert redirect.headers["Location"].endswith("whoami")


def test_a_redirected_deferred_post_succeeds_and_is_sent_once(connect: Callable[..., None], api: Recorder) -> None:
    connect(host=api.url)
    api.responses["/items"] = [(303, {"Location": f"{api.url}/created"})]
    assert fired(method="POST", endpoint="items", json={"a": 1})["status"] == "success"
    assert [(method, path) for method, path, *_ in api.requests] == [("POST", "/items"), ("GET", "/created")]


def test_a_sensor_trigger_follows_a_redirect(connect: Callable[..., None]) -> None:
    connect()
    trigger = OAuthHttpSensorTrigger("my_api", endpoint="redirect?to=whoami", poke_interval=0)
    assert asyncio.run(anext(trigger.run())).payload == {"status": "success"}


def test_the_urls_in_an_event_contain_no_secret_parameter(connect: Callable[..., None], api: Recorder) -> None:
    connect(host=api.url, secret_params={"key": "fake-param"})
    api.responses["/items"] = [(302, {"Location": "/there?page=1&key=fake-param&a=%20b#end"})]
    event = fired(endpoint="items?page=1")
    assert api.requests[1][1] == "/there?page=1&key=fake-param&a=%20b"
    assert "fake-param" not in json.dumps(event)
    (redirect,) = event["response"]["history"]
    assert redirect["headers"]["Location"] == "/there?page=1&a=%20b#end"
    assert event["response"]["url"].endswith("/there?page=1&a=%20b")


@pytest.mark.parametrize("data", [None, {}, ""])
def test_empty_data_with_json_counts_as_absent(
    connect: Callable[..., None], api: Recorder, data: dict[str, Any] | str | None
) -> None:
    connect(host=api.url)
    assert fired(method="POST", endpoint="items", data=data, json={"a": 1})["status"] == "success"
    assert api.requests[0][3] == b'{"a": 1}'


def test_data_with_json_is_an_error_for_both_hooks(connect: Callable[..., None], api: Recorder) -> None:
    connect(host=api.url)
    event = fired(method="POST", endpoint="items", data={"b": 2}, json={"a": 1})
    with pytest.raises(ConfigurationError, match="has both data and json") as caught:
        OAuthHook("my_api", method="POST").run("items", {"b": 2}, json={"a": 1})
    assert event["error"] == {"type": "ConfigurationError", "message": str(caught.value)}
    assert api.requests == []


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "QUERY"])
def test_both_hooks_send_data_in_the_same_way(connect: Callable[..., None], api: Recorder, method: str) -> None:
    connect(host=api.url)
    data = {"none": None, "active": True, "ids": [1, "b c"], "price": 1.5, "text": "é&="}
    assert fired(method=method, endpoint="items", data=data)["status"] == "success"
    OAuthHook("my_api", method=method).run("items", data)
    deferred, other = api.requests
    expected = "active=True&ids=1&ids=b+c&price=1.5&text=%C3%A9%26%3D"
    assert expected in (other[1].partition("?")[2], other[3].decode())
    assert (deferred[0], deferred[1], deferred[3]) == (other[0], other[1], other[3])


ANSWERS = {
    "advice": (403, {}, b""),
    "scope": (403, {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}, b""),
    "words": (400, {}, b'{"error": {"message": "No such day", "code": "other"}, "detail": "fake-secret"}'),
    "path": (409, {}, b'{"problems": [{"text": "Taken"}]}'),
    "form": (400, {"Content-Type": "application/x-www-form-urlencoded"}, b"error=bad&other=1"),
    "html": (404, {}, b"<html>secret words</html>"),
    "unauthorized": (401, {}, b""),
    "nonstandard": (599, {}, b""),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_both_hooks_raise_errors_with_the_same_text(
    connect: Callable[..., None], raw_server: Callable[..., str], kind: str
) -> None:
    status, headers, body = ANSWERS[kind]
    lines = [f"HTTP/1.1 {status} fake\x1b[31mreason", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    url = raw_server("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    connect(host=url, secret_headers={"X-Key": "fake-secret"}, error_path="problems[].text")
    hook = OAuthAsyncHook("my_api", retry_limit=1)
    with pytest.raises(ApiError) as deferred:
        call(hook, endpoint="items")
    token_sources._sources.clear()
    with pytest.raises(ApiError) as caught:
        OAuthHook("my_api").run("items")
    assert str(deferred.value) == str(caught.value)
    assert deferred.value.status_code == caught.value.status_code == status
    assert "fake" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_only_a_500_or_above_is_logged_as_an_attempt(
    connect: Callable[..., None], api: Recorder, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(host=api.url)
    monkeypatch.setattr(OAuthAsyncSession, "log", logging.getLogger("airflow.task.hooks"))
    api.responses["/items"] = [(403, {})]
    with pytest.raises(ApiError):
        call(endpoint="items")
    assert [record.getMessage() for record in caplog.records if "attempt" in record.getMessage()] == []
    api.responses["/items"] = [(500, {})]
    call(OAuthAsyncHook("my_api", retry_delay=0), endpoint="items")
    messages = [record.getMessage() for record in caplog.records if "attempt" in record.getMessage()]
    assert messages == [
        "Connection 'my_api': the API responded with status 500. Repeating the request in 0 s (attempt 2 of 3)."
    ]


def test_the_event_of_a_response_contains_the_standard_reason_phrase(
    connect: Callable[..., None], raw_server: Callable[..., str]
) -> None:
    url = raw_server(b"HTTP/1.1 200 fake\x1b[31mreason\r\nContent-Length: 2\r\n\r\nok")
    connect(host=url)
    assert fired(endpoint="items")["response"]["reason"] == "OK"


@pytest.mark.parametrize("line", [b"HTTP/1.1 fake-status", b"fake-not-http", b"HTTP/9.9 200 fake"])
def test_a_malformed_status_line_is_not_quoted(
    connect: Callable[..., None], raw_server: Callable[..., str], line: bytes
) -> None:
    url = raw_server(line + b"\r\n\r\n")
    connect(host=url)
    with pytest.raises(ApiConnectionError) as deferred:
        call(endpoint="items")
    with pytest.raises(ApiConnectionError) as caught:
        OAuthHook("my_api").run("items")
    for error in (deferred.value, caught.value):
        assert isinstance(error, requests.ConnectionError)
        assert str(error).startswith(f"Connection 'my_api': GET {url}/items failed: ")
        assert "fake" not in str(error)


def test_an_unreachable_host_is_an_api_connection_error_for_both_hooks(connect: Callable[..., None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    connect(host=f"http://127.0.0.1:{port}")
    for run in (lambda: call(endpoint="items"), lambda: OAuthHook("my_api").run("items")):
        with pytest.raises(ApiConnectionError, match=r"'my_api'.*GET .*/items failed: .*Check API base URL"):
            run()


@pytest.mark.parametrize("name", ["verify", "cert"])
def test_both_hooks_name_the_field_of_a_missing_file(connect: Callable[..., None], api: Recorder, name: str) -> None:
    connect(host=api.url.replace("http:", "https:"), **{name: "/no/such/file"})
    hook = OAuthHook("my_api")
    token_sources._sources["my_api"] = (hook.config.version, _NoNetworkSource(hook.config))
    texts = []
    for run in (lambda: call(endpoint="items"), lambda: hook.run("items")):
        with pytest.raises(
            ConfigurationError, match=f"'my_api': {name} is not a .* that this process can use"
        ) as caught:
            run()
        texts.append(str(caught.value))
    assert texts[0] == texts[1]
    assert api.connections == 0


def test_both_hooks_mention_verify_if_tls_fails(connect: Callable[..., None], api: Recorder, tmp_path: Path) -> None:
    connect(host=api.url.replace("http:", "https:"))  # the server speaks plain http, so the TLS handshake fails
    hook = OAuthHook("my_api")
    token_sources._sources["my_api"] = (hook.config.version, _NoNetworkSource(hook.config))
    for run in (lambda: call(endpoint="items"), lambda: hook.run("items")):
        with pytest.raises(ApiConnectionError, match="verify"):
            run()


def test_the_timeout_limits_each_part_of_a_response_and_if_deferred_the_whole_response(
    connect: Callable[..., None], raw_server: Callable[..., str]
) -> None:
    assert "each part of a response" in FIELDS["timeout"].description
    assert "execution_timeout" in FIELDS["timeout"].description
    url = raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n", *[b"x"] * 8, pause=0.25)
    connect(host=url, timeout=1)
    assert OAuthHook("my_api").run("items").text == "x" * 8
    with pytest.raises(ApiTimeout):
        asyncio.run(OAuthAsyncHook("my_api").run(endpoint="items"))


def test_a_session_of_the_hook_sends_the_token_and_raises_the_same_errors(
    connect: Callable[..., None], api: Recorder
) -> None:
    connect(host=api.url)
    api.responses["/items"] = [(200, {}), (404, {})]

    async def scenario() -> Any:
        async with OAuthAsyncHook("my_api").session(method="POST") as session:
            assert (await session.run("items", json={"a": 1})).status == 200
            await session.run("items")

    with pytest.raises(ApiError, match=r"^404:Not Found \(connection 'my_api', POST "):
        asyncio.run(scenario())
    assert api.requests[0][3] == b'{"a": 1}'


@pytest.mark.parametrize("status", [404, 500])
def test_after_an_error_response_the_next_request_can_use_the_connection(
    connect: Callable[..., None], sandbox: Sandbox, status: int
) -> None:
    connect()
    sandbox.state.inject_fault("standard", "api", body="x" * 2_000_000, status=status)
    hook = OAuthAsyncHook("my_api", retry_limit=2, retry_delay=0)

    async def scenario() -> Any:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
            try:
                await hook.run(session, "items")
            except ApiError as error:
                kept.append(error)  # the traceback keeps all objects in its frames alive
            response = await asyncio.wait_for(hook.run(session, "items"), 20)
            return response.status

    kept = []
    assert asyncio.run(scenario()) == 200
    assert len(kept) == (status == 404), "a 500 is sent again"


def test_without_check_response_an_error_status_is_returned_without_retries(
    connect: Callable[..., None], api: Recorder
) -> None:
    connect(host=api.url, check_response=False)
    api.responses["/items"] = [(500, {})]
    assert call(endpoint="items") == (500, b'{"answer": true}')
    assert len(api.requests) == 1
