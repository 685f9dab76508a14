"""Error rules of deferred requests over real sockets: the same waits, retries and errors as in ``OAuthHook``."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.api import rate_limit
from airflow_provider_oauth.api.rate_limit import Budget
from airflow_provider_oauth.exceptions import ApiConnectionError, ApiError
from airflow_provider_oauth.extract.error_rules import ErrorRule
from airflow_provider_oauth.hooks import async_session
from airflow_provider_oauth.hooks.oauth import OAuthAsyncHook, OAuthHook
from airflow_provider_oauth.presets.vendor import Vendor
from airflow_provider_oauth.runtime import token_sources
from airflow_provider_oauth.triggers.oauth import OAuthHttpSensorTrigger, OAuthHttpTrigger
from tests.fake_clock import FakeClock
from tests.servers_in_threads import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sandbox.server import Sandbox

pytestmark = pytest.mark.usefixtures("variables")

SECRET = "fake-secret"
ROWS = b'{"rows": [1]}'
JSON = {"Content-Type": "application/json"}


class Api(ThreadingHTTPServer):
    """Sends one response after the other, and ``ROWS`` when none is left. Records method, token and body.

    :ivar responses: status, headers and body; None to close the connection; a body longer than its Content-Length
        header is cut off there
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.responses: list[tuple[int, Mapping[str, str], bytes] | None] = []
        self.requests: list[tuple[str, str, bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that closed the connection."""


class Handler(BaseHTTPRequestHandler):
    server: Api
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests.append((self.command, self.headers.get("Authorization", ""), body))
        planned = self.server.responses.pop(0) if self.server.responses else (200, JSON, ROWS)
        if planned is None:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        status, headers, content = planned
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | dict(headers)).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = int(headers.get("Content-Length", len(content))) != len(content)

    do_GET = do_POST = do_PUT = respond

    def log_message(self, *args: object) -> None:
        """Print nothing."""


@pytest.fixture
def api() -> Iterator[Api]:
    with running(Api()) as server:
        yield server


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The clock of the package. Waiting in the event loop advances it."""
    clock = FakeClock()
    clock.install(monkeypatch)

    async def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        await asyncio.sleep(0)

    monkeypatch.setattr(async_session, "sleep", sleep)
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    rate_limit._limiters.clear()
    return clock


@pytest.fixture
def connect(define_connection: Callable[..., None], sandbox: Sandbox, api: Api) -> Callable[..., None]:
    def define(**fields: Any) -> None:
        sandbox.state.add_client("standard", "my_api", SECRET, scopes=["read", "write"])
        urls = {"host": api.url, "grant_url": f"{sandbox.url}/standard/token"}
        define_connection("my_api", **({"login": "my_api", "password": SECRET} | urls | fields))

    return define


def hook(method: str = "GET", **settings: Any) -> OAuthAsyncHook:
    hook = OAuthAsyncHook("my_api", method=method, retry_limit=settings.pop("retry_limit", 1))
    for name, value in settings.items():
        setattr(hook, name, value)
    return hook


def body_of(hook: OAuthAsyncHook, **request: Any) -> bytes:
    async def scenario() -> bytes:
        response = await hook.run(endpoint="items", **request)
        return await response.read()

    return asyncio.run(scenario())


# The clock shows 2026-01-01 00:00:00 UTC, 1767225600 seconds after the epoch.
@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"Retry-After": "7"}, 7),
        (429, {"Retry-After": "30.5"}, 30.5),
        (429, {"Retry-After": "Thu, 01 Jan 2026 00:00:12 GMT"}, 12),
        (429, {"Retry-After": "1767225605"}, 5),
        (429, {"RateLimit-Reset": "9", "RateLimit-Remaining": "0"}, 9),
        (429, {"RateLimit": '"burst";r=0;t=4, "daily";r=80;t=3600'}, 4),
        (429, {"X-RateLimit-Reset": "1767225690", "X-RateLimit-Remaining": "0"}, 90),
        (403, {"X-RateLimit-Reset": "1767225690", "X-RateLimit-Remaining": "0"}, 90),
        (429, {"X-Rate-Limit-Time-Reset-Ms": "1500"}, 1.5),
        (429, {}, 1),
    ],
)
def test_a_deferred_request_waits_as_long_as_the_response_requires(
    connect: Callable[..., None], api: Api, clock: FakeClock, status: int, headers: dict[str, str], seconds: float
) -> None:
    connect()
    api.responses = [(status, headers, b"")]
    assert body_of(hook(rate_limit_timeout=300)) == ROWS
    assert len(api.requests) == 2
    assert clock.slept == [seconds]


def test_a_wait_that_is_too_long_is_the_same_error_in_both_hooks(connect: Callable[..., None], api: Api) -> None:
    connect()
    api.responses = [(429, {"Retry-After": "301"}, b"")] * 2
    with pytest.raises(ApiError, match=r"requires a wait of 301 s, but rate_limit_timeout permits 300 s") as deferred:
        body_of(hook(rate_limit_timeout=300))
    token_sources._sources.clear()
    synchronous = OAuthHook("my_api", method="GET")
    synchronous.rate_limit_timeout = 300
    with pytest.raises(ApiError) as caught:
        synchronous.run("items")
    assert str(deferred.value) == str(caught.value)


def test_one_wait_for_a_limit_delays_the_other_requests_of_the_connection(
    connect: Callable[..., None], api: Api, clock: FakeClock
) -> None:
    connect()
    api.responses = [(429, {"Retry-After": "20"}, b"")]
    sent_at: list[float] = []

    async def scenario() -> None:
        async with hook(rate_limit_timeout=300).session() as first, hook().session() as second:
            await first.run("items", read=True)
            sent_at.append(clock.seconds)
            rate_limit.shared_limiter("my_api", None).hold(30)
            await second.run("items", read=True)
            sent_at.append(clock.seconds)

    asyncio.run(scenario())
    assert sent_at == [20, 50]


def test_a_503_is_retried_until_the_retry_timeout_ends(
    connect: Callable[..., None], api: Api, clock: FakeClock
) -> None:
    connect()
    api.responses = [(503, {}, b"")] * 9
    with pytest.raises(ApiError, match=r"^503.*next attempt would be in 8 s, but retry_timeout permits 10 s"):
        body_of(hook(retry_timeout=10, retry_limit=9))
    assert clock.slept == [1, 2, 4]
    assert len(api.requests) == 4


def test_a_retry_does_not_delay_other_requests(connect: Callable[..., None], api: Api, clock: FakeClock) -> None:
    connect()
    api.responses = [(503, {"Retry-After": "100"}, b"")]
    assert body_of(hook(retry_timeout=120)) == ROWS
    assert clock.slept == [100]
    assert rate_limit.shared_limiter("my_api", None)._held_until == 0


@pytest.mark.parametrize(
    "broken",
    [
        [None, None],  # aiohttp itself repeats a GET once
        [(200, {"Content-Length": "99"}, b'{"rows": [1, 2')],
        [(200, {"Content-Length": "99"}, b"")],
    ],
)
def test_a_connection_that_breaks_is_retried(
    connect: Callable[..., None], api: Api, clock: FakeClock, broken: list[Any]
) -> None:
    connect()
    api.responses = list(broken)
    assert body_of(hook(retry_timeout=60)) == ROWS
    assert clock.slept == [1]
    api.responses = list(broken)
    with pytest.raises(ApiConnectionError):
        body_of(hook())
    api.responses = broken[:1]
    with pytest.raises(ApiConnectionError, match="The POST request was not repeated"):
        body_of(hook("POST", retry_timeout=60))
    api.responses = broken[:1]
    assert body_of(hook("POST", retry_timeout=60, repeatable=True)) == ROWS


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_post_is_sent_once(connect: Callable[..., None], api: Api, status: int) -> None:
    connect()
    api.responses = [(status, {}, b"")]
    with pytest.raises(ApiError, match=f"^{status}"):
        body_of(hook("POST", retry_limit=5), json={"a": 1})
    assert [(method, body) for method, _, body in api.requests] == [("POST", b'{"a": 1}')]


def test_a_post_is_sent_again_with_its_body_after_a_limit(connect: Callable[..., None], api: Api) -> None:
    connect()
    api.responses = [(429, {"Retry-After": "3"}, b"")]
    body_of(hook("POST", rate_limit_timeout=60), data={"a": "1", "b": None})
    assert [body for _, _, body in api.requests] == [b"a=1", b"a=1"]


def test_a_file_in_a_list_of_pairs_is_not_sent_again(connect: Callable[..., None], api: Api, tmp_path: Any) -> None:
    connect()
    api.responses = [(429, {"Retry-After": "3"}, b"")]
    (tmp_path / "file").write_text("fake")
    with (
        (tmp_path / "file").open("rb") as file,
        pytest.raises(ApiError, match="its body cannot be read again"),
    ):
        body_of(hook("POST", rate_limit_timeout=60), data=[("file", file)])
    assert len(api.requests) == 1


@pytest.mark.parametrize("action", ["fail", "renew"])
def test_the_retry_limit_does_not_apply_to_a_response_with_a_rule(
    connect: Callable[..., None], api: Api, action: Any
) -> None:
    connect()
    api.responses = [(500, {}, b"")] * 5
    with pytest.raises(ApiError, match="^500"):
        body_of(hook(retry_limit=5, error_rules=[ErrorRule(action, status=500)]))
    assert len(api.requests) == (2 if action == "renew" else 1)


def test_a_rule_renews_the_token_once(connect: Callable[..., None], api: Api) -> None:
    connect()
    body_of(hook())
    rule = ErrorRule("renew", status=200, when="code == 'expired'")
    expired = (200, JSON, b'{"code": "expired"}')
    token_sources._sources.clear()
    api.responses = [expired]
    assert body_of(hook(error_rules=[rule])) == ROWS
    tokens = [token for _, token, _ in api.requests]
    assert tokens[0] == tokens[1] != tokens[2]
    api.responses = [expired]
    with pytest.raises(ApiError, match="was not renewed, because this process renewed it less than a minute ago"):
        body_of(hook(error_rules=[rule]))


def test_a_success_status_can_be_an_error_in_both_hooks(connect: Callable[..., None], api: Api) -> None:
    connect(vendor="marketo", body_format="form")
    failed = (200, JSON, b'{"success": false, "errors": [{"code": "1003", "message": "Invalid type"}]}')
    api.responses = [failed, failed]
    with pytest.raises(ApiError, match="Invalid type") as deferred:
        body_of(hook())
    with pytest.raises(ApiError) as caught:
        OAuthHook("my_api", method="GET").run("items")
    assert str(deferred.value) == str(caught.value)


def test_the_rules_of_a_vendor_apply_and_the_body_is_still_there(
    connect: Callable[..., None], api: Api, clock: FakeClock
) -> None:
    connect(vendor="marketo", body_format="form")
    too_fast = b'{"success": false, "errors": [{"code": "606", "message": "Max rate limit exceeded"}]}'
    api.responses = [(200, JSON, too_fast)]
    assert body_of(hook()) == ROWS
    assert clock.slept == [20]


def test_a_large_error_body_is_not_read_to_its_end(connect: Callable[..., None], api: Api) -> None:
    connect()
    rule = ErrorRule("wait", status=400, when="code == 'limit'", wait_for=5)
    body = b'{"code": "limit", "message": "fake", "filler": "' + b"x" * 65536 + b'"}'
    chosen = hook(rate_limit_timeout=60, error_rules=[rule])
    api.responses = [(400, JSON, body)] * 2
    with pytest.raises(ApiError, match="^400") as deferred:
        body_of(chosen)
    synchronous = OAuthHook("my_api", method="GET")
    synchronous.error_rules, synchronous.rate_limit_timeout = [rule], 60
    with pytest.raises(ApiError) as caught:
        synchronous.run("items")
    assert str(deferred.value) == str(caught.value)
    api.responses = [(400, JSON, body)]
    assert body_of(chosen, extra_options={"check_response": False}) == body
    api.responses = [(400, JSON, body[:100] + b'"}')]
    assert body_of(chosen) == ROWS


def test_the_budget_is_shared_by_all_hooks_of_a_connection(
    connect: Callable[..., None], api: Api, clock: FakeClock, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    connect()
    body_of(hook())  # obtain the token before the clock jumps
    budget = Vendor(budget=Budget(credits=2, seconds=60))
    monkeypatch.setattr(OAuthAsyncHook, "_vendors", (budget,))

    async def scenario() -> None:
        await asyncio.gather(*(hook().run(endpoint="items") for _ in range(5)))

    with caplog.at_level(logging.INFO):
        asyncio.run(scenario())
    assert len(api.requests) == 6
    assert clock.seconds == 120
    assert sum("The budget has 2 credits" in each.getMessage() for each in caplog.records) == 2


def test_what_a_rule_does_is_logged_once_for_all_polls(
    connect: Callable[..., None], api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    connect()
    limit = (429, {"Retry-After": "3"}, b"")
    api.responses = [limit, (404, {}, b""), limit, (404, {}, b""), limit, limit]
    monkeypatch.setattr(OAuthAsyncHook, "_vendors", (Vendor(rate_limit_timeout=60),))
    trigger = OAuthHttpSensorTrigger("my_api", endpoint="items", poke_interval=0)

    async def scenario() -> Any:
        return await anext(trigger.run())

    with caplog.at_level(logging.INFO):
        event = asyncio.run(scenario())
    assert event.payload == {"status": "success"}
    messages = [each.getMessage() for each in caplog.records if "Rule:" in each.getMessage()]
    assert messages == [
        "Connection 'my_api': the API responded with status 429. Repeating the request in 3 s. Rule: "
        "ErrorRule('wait', status=429). Later repetitions are logged at level DEBUG."
    ]


def test_the_event_of_a_trigger_has_the_text_of_the_synchronous_error(connect: Callable[..., None], api: Api) -> None:
    connect()
    api.responses = [(429, {"Retry-After": "7"}, b"")] * 2

    async def scenario() -> Any:
        return await anext(OAuthHttpTrigger("my_api", endpoint="items").run())

    event = asyncio.run(scenario())
    token_sources._sources.clear()
    with pytest.raises(ApiError) as caught:
        OAuthHook("my_api", method="GET").run("items")
    assert "rate_limit_timeout permits 0 s" in str(caught.value)
    assert str(caught.value) in str(event.payload)
