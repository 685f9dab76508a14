"""Faults while several pages are requested at the same time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.api.rate_limit import RateLimiter
from airflow_provider_oauth.exceptions import ApiError, InvalidClient, TokenRequestError
from airflow_provider_oauth.hooks.oauth import OAuthHook
from tests.fake_clock import FakeClock
from tests.integration import list_server as faulty
from tests.integration.concurrency.pulls import CONN_ID, OLD, STYLES, Pull
from tests.integration.list_server import Reply, instead
from tests.integration.paged_server import SIZE, TOO_LONG, join_others, numbered_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.list_server import Fault
    from tests.integration.paged_server import PagedServer

PAGES = 30
ROWS = numbered_rows(PAGES * SIZE - 2)
#: The pages that are requested at the same time after page 1 with ``concurrency=8``.
GROUP = range(2, 10)
STYLES_OF_GROUPS = ["number", "last", "total", "header-json", "number in the body", "lines by number"]


@pytest.fixture(autouse=True)
def _list(server: PagedServer) -> None:
    server.set_rows(ROWS)
    server.members = lambda position: {"pages": len(server.pages), "total": len(server.rows)}


def wait_for_group(server: PagedServer) -> Callable[[int], None]:
    """Return a function that answers the pages of the group after all of them were requested."""
    return lambda position: server.wait_for_requests(*GROUP) if position in GROUP else None


class WaitingClock(FakeClock):
    """A fake clock whose sleeps last until a test ends them."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asleep, self.may_end = threading.Event(), threading.Event()

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> None:
        self.is_asleep.set()
        assert self.may_end.wait(TOO_LONG)
        super().sleep(seconds, stop)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> WaitingClock:
    clock = WaitingClock()
    clock.install(monkeypatch)
    return clock


@pytest.fixture
def spends(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list that gets longer with each attempt to send a request."""
    attempts: list[str] = []
    spend = RateLimiter.spend

    def recorded(self: RateLimiter, method: str, *args: Any) -> None:
        attempts.append(method)
        spend(self, method, *args)

    monkeypatch.setattr(RateLimiter, "spend", recorded)
    return attempts


# --- limits


@pytest.mark.parametrize("limit", [instead(429, Retry_After="30"), instead(403, Retry_After="30")])
@pytest.mark.parametrize("style", STYLES_OF_GROUPS)
def test_the_limit_of_one_page_holds_all_further_requests(
    server: PagedServer, clock: WaitingClock, spends: list[str], style: str, limit: Fault
) -> None:
    """Page 4 is limited. Pages 2 and 3 arrive while it waits, so pages 10 and 11 could be requested."""
    sent_at: dict[int, float] = {}

    def record(position: int) -> None:
        sent_at.setdefault(position, clock.seconds)
        wait_for_group(server)(position)
        if position in GROUP and position != 4:
            assert clock.is_asleep.wait(TOO_LONG)

    server.before_reply = record
    server.faults = {4: iter([limit])}
    pages = OAuthHook(CONN_ID).paginate(**{"endpoint": style, **STYLES[style]}, concurrency=8)
    rows = [line for _ in range(3) for line in next(pages).lines]
    thread = threading.Thread(target=lambda: end_wait(clock, spends))
    thread.start()
    rows += [line for page in pages for line in page.lines]
    thread.join()
    assert rows == ROWS
    assert all(sent_at[number] < 30 for number in GROUP)
    assert all(sent_at[number] >= 30 for number in range(10, PAGES + 1))
    assert clock.slept == [30]


def end_wait(clock: WaitingClock, spends: list[str]) -> None:
    """End the wait of page 4 after pages 10 and 11 were tried: they are the attempts 11 and 12 beside page 4 itself."""
    deadline = threading.Event()
    while len(spends) < 12 and not deadline.wait(0.005):
        pass
    clock.may_end.set()


def test_a_limit_that_all_pages_reach_at_the_same_time_is_waited_for_once(
    pull: Pull, clock: WaitingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[float] = []
    hold = RateLimiter.hold

    def recorded(self: RateLimiter, seconds: float) -> None:
        hold(self, seconds)
        held.append(seconds)
        if len(held) == len(GROUP):
            clock.may_end.set()

    monkeypatch.setattr(RateLimiter, "hold", recorded)
    pull.server.before_reply = wait_for_group(pull.server)
    pull.server.faults = {number: iter([instead(429, Retry_After="30")]) for number in GROUP}
    result = pull.run("number", 8)
    assert pull.path.read_bytes().splitlines() == ROWS
    assert (clock.seconds, clock.slept) == (30, [30])
    assert result["waits"] == len(GROUP)


@pytest.mark.parametrize("style", STYLES_OF_GROUPS)
def test_a_limit_that_takes_too_long_is_the_same_error(
    pull: Pull, caplog: pytest.LogCaptureFixture, style: str
) -> None:
    pull.server.faults = {number: iter([instead(429, Retry_After="900")] * 9) for number in GROUP}
    outcomes = [pull.outcome(caplog, style, concurrency) for concurrency in (1, 8)]
    assert outcomes[0] == outcomes[1]
    assert "requires a wait of 900 s" in outcomes[1].error


# --- tokens


@pytest.mark.parametrize("style", STYLES_OF_GROUPS)
def test_a_token_that_is_refused_for_all_pages_at_the_same_time_is_renewed_once(pull: Pull, style: str) -> None:
    revoked = threading.Lock()

    def revoke(position: int) -> None:
        wait_for_group(pull.server)(position)
        if position in GROUP and revoked.acquire(blocking=False):
            pull.server.tokens.clear()
            pull.server.is_revoked.set()
        if position in GROUP:
            assert pull.server.is_revoked.wait(TOO_LONG)

    pull.server.before_reply = revoke
    assert pull.rows(style, 8) == ROWS
    assert pull.server.token_requests == 2
    assert all(pull.server.requests.count(number) >= 2 for number in GROUP)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(400, body=b'{"error": "unauthorized_client"}'), TokenRequestError),
        (Reply(401, body=b'{"error": "invalid_client"}'), InvalidClient),
    ],
)
def test_a_token_that_cannot_be_renewed_is_one_error(pull: Pull, reply: Reply, error: type[Exception]) -> None:
    revoked = threading.Lock()

    def revoke(position: int) -> None:
        wait_for_group(pull.server)(position)
        if position in GROUP and revoked.acquire(blocking=False):
            pull.server.token_error = reply
            pull.server.tokens.clear()

    pull.server.before_reply = revoke
    pull.path.write_bytes(OLD)
    with pytest.raises(error):
        pull.run("number", 8)
    assert pull.path.read_bytes() == OLD


@pytest.mark.parametrize("refusal", [instead(401), instead(403)])
@pytest.mark.parametrize("style", ["number", "header-json", "lines by number"])
def test_a_refusal_of_a_page_beyond_the_end_renews_no_token(pull: Pull, style: str, refusal: Fault) -> None:
    """No code waits for such a page, so the process could end during a renewal, and the new token would be lost."""
    pull.server.set_rows(ROWS[: 3 * SIZE - 1])
    pull.server.beyond = refusal

    def wait_for_refusals(position: int) -> None:
        if position == 3:
            pull.server.wait_until(lambda: set(range(4, 10)) <= set(pull.server.answered))

    pull.server.before_reply = wait_for_refusals
    before = set(threading.enumerate())
    assert pull.rows(style, 8) == ROWS[: 3 * SIZE - 1]
    join_others(before)
    assert pull.server.token_requests == 1
    assert len(pull.server.requests) == len(set(pull.server.requests))


# --- errors of one page


@pytest.mark.parametrize(
    "fault", [faulty.reset_before_the_response, faulty.reset_in_the_body, faulty.closed_in_the_body]
)
@pytest.mark.parametrize("style", STYLES_OF_GROUPS)
def test_a_connection_that_breaks_for_one_page_is_repeated_for_this_page_only(
    pull: Pull, style: str, fault: Fault
) -> None:
    pull.server.before_reply = wait_for_group(pull.server)
    pull.server.faults = {5: iter([fault])}
    assert pull.run(style, 8)["retries"] == 1
    assert pull.path.read_bytes().splitlines() == ROWS
    assert pull.server.requests.count(5) == 2
    assert len(pull.server.requests) <= PAGES + 1 + 7


@pytest.mark.parametrize("fault", [instead(500), instead(404), instead(200, b"<html>"), instead(200, b'{"items": ')])
@pytest.mark.parametrize("style", STYLES_OF_GROUPS)
def test_the_error_of_page_5_is_the_same_and_nothing_is_written(
    pull: Pull, caplog: pytest.LogCaptureFixture, style: str, fault: Fault
) -> None:
    pull.server.faults = {5: iter([fault] * 2)}
    sequential = pull.outcome(caplog, style, 1)
    pull.server.before_reply = wait_for_group(pull.server)
    assert pull.outcome(caplog, style, 8) == sequential
    assert sequential.error
    assert sequential.file == OLD


@pytest.mark.parametrize("concurrency", [1, 8])
def test_the_pages_before_an_error_are_yielded_even_if_the_error_arrives_first(
    server: PagedServer, concurrency: int
) -> None:
    """Pages 6 and 5 fail before pages 2 to 4 are answered. The error is that of page 5."""

    def wait_for_error(position: int) -> None:
        if concurrency == 8 and position in (2, 3, 4):
            server.wait_until(lambda: {5, 6} <= set(server.answered))

    server.before_reply = wait_for_error
    server.faults = {5: iter([instead(404)]), 6: iter([instead(500)])}
    pages = OAuthHook(CONN_ID).paginate("last", STYLES["last"]["paginator"], concurrency=concurrency)
    assert [line for _ in range(4) for line in next(pages).lines] == ROWS[: 4 * SIZE]
    with pytest.raises(ApiError, match="404") as caught:
        next(pages)
    assert caught.value.status_code == 404


def test_pages_that_failed_but_were_discarded_are_requested_again(pull: Pull) -> None:
    """The offset 21 fails, but after the short page at offset 7 it is not the offset of a page any more."""
    pull.server.sizes = {7: 3}
    pull.server.faults = {21: iter([instead(500)] * 9), 14: iter([instead(404)] * 9)}
    assert pull.rows("offset-total", 8) == ROWS
