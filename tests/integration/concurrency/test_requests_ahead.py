"""Which requests are sent ahead, how many at a time, and in which order they may be answered."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from requests.adapters import HTTPAdapter

from airflow_provider_oauth.api.rate_limit import Budget
from airflow_provider_oauth.hooks.oauth import OAuthHook
from tests.integration.concurrency.pulls import BOUNDED, CONN_ID, COUNTED, STYLES, Pull
from tests.integration.list_server import instead
from tests.integration.paged_server import SIZE, numbered_rows

if TYPE_CHECKING:
    from tests.integration.list_server import Fault
    from tests.integration.paged_server import PagedServer

PAGES = 30
ROWS = numbered_rows(PAGES * SIZE - 2)
#: The endpoints whose positions are page numbers.
NUMBERED = [style for style in COUNTED if not style.startswith("offset")]
#: Those whose end is not known before it is read.
UNBOUNDED = ["number", "more", "number in the body", "number in a header", "header-json", "lines by number"]
LINKED = ["cursor", "link", "header-link", "lines"]


@pytest.fixture(autouse=True)
def _list(server: PagedServer) -> None:
    server.set_rows(ROWS)
    server.members = lambda position: {
        "pages": len(server.pages),
        "total": len(server.rows),
        "more": position < len(server.pages),
    }


# --- how many at a time


@pytest.mark.parametrize("concurrency", [2, 8, 32])
@pytest.mark.parametrize("style", NUMBERED)
def test_as_many_requests_as_permitted_are_sent_at_a_time_but_never_more(
    pull: Pull, style: str, concurrency: int
) -> None:
    at_a_time = min(concurrency, PAGES - 1)

    def wait_for_all(position: int) -> None:
        if position > 1:
            pull.server.wait_until(lambda: pull.server.max_in_flight >= at_a_time)

    pull.server.before_reply = wait_for_all
    assert pull.rows(style, concurrency) == ROWS
    assert at_a_time <= pull.server.max_in_flight <= concurrency


@pytest.mark.parametrize("concurrency", [2, 8])
@pytest.mark.parametrize("style", ["offset", "offset-total", "offset in the body"])
def test_as_many_offsets_as_permitted_are_requested_at_a_time(pull: Pull, style: str, concurrency: int) -> None:
    def wait_for_all(position: int) -> None:
        if position > 0:
            pull.server.wait_until(lambda: pull.server.max_in_flight >= concurrency)

    pull.server.before_reply = wait_for_all
    assert pull.rows(style, concurrency) == ROWS
    assert pull.server.max_in_flight == concurrency


@pytest.mark.parametrize("concurrency", [2, 32])
@pytest.mark.parametrize("style", STYLES)
def test_the_first_page_is_requested_alone(pull: Pull, style: str, concurrency: int) -> None:
    answered_alone = []

    def record(position: int) -> None:
        if position == pull.server.requests[0]:
            answered_alone.append(pull.server.requests == [position])

    pull.server.before_reply = record
    assert pull.rows(style, concurrency) == ROWS
    assert answered_alone == [True]


@pytest.mark.parametrize("style", STYLES)
def test_without_concurrency_all_requests_are_sent_by_the_task_itself(
    pull: Pull, monkeypatch: pytest.MonkeyPatch, style: str
) -> None:
    threads = set()
    send = HTTPAdapter.send

    def recorded(self: HTTPAdapter, *args: Any, **kwargs: Any) -> Any:
        threads.add(threading.current_thread())
        return send(self, *args, **kwargs)

    monkeypatch.setattr(HTTPAdapter, "send", recorded)
    assert pull.rows(style, 1) == ROWS
    assert threads == {threading.current_thread()}
    assert pull.server.max_in_flight == 1
    assert len(pull.server.requests) <= PAGES + 1


@pytest.mark.parametrize("concurrency", [2, 8, 32])
@pytest.mark.parametrize("style", LINKED)
def test_only_the_next_page_is_requested_ahead_with_a_cursor_or_link(pull: Pull, style: str, concurrency: int) -> None:
    assert pull.rows(style, concurrency) == ROWS
    assert pull.server.requests == list(range(1, PAGES + 1))
    assert pull.server.max_in_flight == 1


@pytest.mark.parametrize("style", [style for style in STYLES if style != "number until an empty page"])
def test_the_next_page_is_requested_while_the_task_still_has_the_page_before(server: PagedServer, style: str) -> None:
    server.set_rows(ROWS[: 4 * SIZE - 1])
    values = {"endpoint": style, **STYLES[style]}
    number = 0
    for number, page in enumerate(OAuthHook(CONN_ID).paginate(**values, concurrency=2), start=1):
        assert list(page.lines) == server.pages[number - 1]
        if number < 4:
            server.wait_until(lambda: len(set(server.requests)) > number)  # noqa: B023 - it is called immediately
        assert len(server.requests) <= number + 1
    assert number == 4


@pytest.mark.parametrize("concurrency", [8, 32])
@pytest.mark.parametrize("style", BOUNDED)
def test_all_requests_share_the_connections_of_one_pool(
    pull: Pull, caplog: pytest.LogCaptureFixture, style: str, concurrency: int
) -> None:
    """One more connection is that of the token request."""
    assert pull.rows(style, concurrency) == ROWS
    assert pull.rows(style, concurrency) == ROWS
    assert pull.server.connections <= concurrency + 1
    assert "pool is full" not in caplog.text


# --- the order of the responses


@pytest.mark.parametrize("style", NUMBERED)
def test_pages_that_are_answered_in_reverse_order_are_written_in_order(pull: Pull, style: str) -> None:
    """The first page of each group of 8 is answered after the other 7, which are answered in reverse order."""

    def wait_for_next(position: int) -> None:
        is_last_of_group = (position - 2) % 8 == 7 or position >= PAGES
        if position > 1 and not is_last_of_group:
            pull.server.wait_until(lambda: position + 1 in pull.server.answered)

    pull.server.before_reply = wait_for_next
    assert pull.rows(style, 8) == ROWS
    assert pull.server.answered[:9] == [1, 9, 8, 7, 6, 5, 4, 3, 2]
    assert set(range(1, PAGES + 1)) <= set(pull.server.answered)


@pytest.mark.parametrize("style", ["offset", "offset-total", "offset in the body"])
def test_offsets_that_are_answered_in_reverse_order_are_written_in_order(pull: Pull, style: str) -> None:
    def wait_for_next(position: int) -> None:
        number = position // SIZE + 1
        is_last_of_group = (number - 2) % 8 == 7 or number >= PAGES
        if number > 1 and not is_last_of_group:
            pull.server.wait_until(lambda: position + SIZE in pull.server.answered)

    pull.server.before_reply = wait_for_next
    assert pull.rows(style, 8) == ROWS
    answered = pull.server.answered
    assert any(later < earlier for earlier, later in pairwise(answered))


# --- beyond the end


@pytest.mark.parametrize("concurrency", [2, 8])
@pytest.mark.parametrize("style", BOUNDED)
@pytest.mark.parametrize("count", [SIZE, 9 * SIZE, len(ROWS)])
def test_no_page_beyond_the_end_is_requested_if_the_end_is_known(
    pull: Pull, style: str, concurrency: int, count: int
) -> None:
    pull.server.set_rows(ROWS[:count])
    pull.server.beyond = instead(400)
    assert pull.rows(style, concurrency) == ROWS[:count]
    step = SIZE if style.startswith("offset") else 1
    first = 0 if style.startswith("offset") else 1
    assert sorted(pull.server.requests) == [first + step * n for n in range(-(-count // SIZE))]


@pytest.mark.parametrize("beyond", [None, instead(400)])
@pytest.mark.parametrize("concurrency", [2, 8])
@pytest.mark.parametrize("style", UNBOUNDED)
@pytest.mark.parametrize("count", [1, 8 * SIZE + 1])
def test_at_most_concurrency_minus_one_pages_beyond_the_end_are_requested(
    pull: Pull, style: str, concurrency: int, count: int, beyond: Fault | None
) -> None:
    pull.server.set_rows(ROWS[:count])
    pull.server.beyond = beyond
    assert pull.rows(style, concurrency) == ROWS[:count]
    assert len(pull.server.beyond_end) <= concurrency - 1
    assert len(pull.server.requests) == len(set(pull.server.requests))


@pytest.mark.parametrize("concurrency", [2, 8])
@pytest.mark.parametrize("style", ["offset", "offset in the body"])
@pytest.mark.parametrize("count", [1, SIZE + 1, 3 * SIZE - 1, len(ROWS)])
def test_at_most_concurrency_minus_one_offsets_beyond_the_end_are_requested(
    pull: Pull, style: str, concurrency: int, count: int
) -> None:
    pull.server.set_rows(ROWS[:count])
    pull.server.members = lambda _: {}
    assert pull.rows(style, concurrency) == ROWS[:count]
    assert sum(each >= count for each in pull.server.requests) <= concurrency - 1


@pytest.mark.parametrize("style", UNBOUNDED)
@pytest.mark.parametrize("count", [1, 3 * SIZE - 1, len(ROWS)])
def test_at_most_one_page_beyond_the_end_is_requested_with_a_budget(
    server: PagedServer, style: str, count: int
) -> None:
    server.set_rows(ROWS[:count])
    hook = OAuthHook(CONN_ID)
    hook.budget = Budget(credits=100_000, seconds=60)
    values = {"endpoint": style, **STYLES[style]}
    assert [line for page in hook.paginate(**values, concurrency=8) for line in page.lines] == ROWS[:count]
    assert len(server.beyond_end) <= 1


def test_a_budget_does_not_prevent_parallel_requests_if_the_end_is_known(server: PagedServer) -> None:
    def wait_for_all(position: int) -> None:
        if position > 1:
            server.wait_until(lambda: server.max_in_flight >= 8)

    server.before_reply = wait_for_all
    hook = OAuthHook(CONN_ID)
    hook.budget = Budget(credits=100_000, seconds=60)
    pages = hook.paginate("last", STYLES["last"]["paginator"], concurrency=8)
    assert [line for page in pages for line in page.lines] == ROWS
    assert sorted(server.requests) == list(range(1, PAGES + 1))


@pytest.mark.parametrize("style", ["number", "header-json", "lines by number"])
def test_a_list_ends_while_requests_beyond_its_end_are_still_not_answered(pull: Pull, style: str) -> None:
    pull.server.set_rows(ROWS[: 3 * SIZE - 1])
    pull.server.before_reply = lambda position: pull.server.hang() if position > 3 else None
    assert pull.rows(style, 8) == ROWS[: 3 * SIZE - 1]
    assert sorted(pull.server.answered) == [1, 2, 3]


@pytest.mark.parametrize(
    "beyond", [instead(429, Retry_After="200"), instead(503, Retry_After="100"), instead(503), instead(401)]
)
def test_a_list_ends_while_requests_beyond_its_end_wait_to_be_repeated(pull: Pull, beyond: Fault) -> None:
    pull.server.set_rows(ROWS[: 3 * SIZE - 1])
    pull.server.beyond = beyond
    assert pull.rows("number", 8) == ROWS[: 3 * SIZE - 1]


# --- limits of the task


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("limit", [1, 12 * SIZE - 1])
def test_a_limit_of_rows_stops_the_requests(pull: Pull, style: str, limit: int) -> None:
    assert pull.rows(style, 8, limit=limit) == ROWS[:limit]
    needed = -(-limit // SIZE)
    assert len(pull.server.requests) <= needed + 7


@pytest.mark.parametrize("concurrency", [8, 32])
@pytest.mark.parametrize("sizes", [{14: 3}, {14: 12}])
def test_offsets_are_requested_one_after_the_other_after_a_page_of_another_size(
    pull: Pull, sizes: dict[int, int], concurrency: int
) -> None:
    pull.server.sizes = sizes
    assert pull.rows("offset-total", concurrency) == ROWS
    assert len(pull.server.requests) <= PAGES + 1 + concurrency


def test_several_lists_of_one_hook_are_read_at_the_same_time(server: PagedServer) -> None:
    """Each list has its own requests, so the pages of one never appear in another."""
    hook = OAuthHook(CONN_ID)
    first = hook.paginate("last", STYLES["last"]["paginator"], concurrency=8)
    second = hook.paginate("cursor", STYLES["cursor"]["paginator"], concurrency=8)
    rows: tuple[list[bytes], list[bytes]] = ([], [])
    for one, other in zip(first, second, strict=True):
        rows[0].extend(one.lines)
        rows[1].extend(other.lines)
    assert rows == (ROWS, ROWS)


@pytest.mark.parametrize("short", [SIZE, 2 * SIZE])
def test_pages_that_were_discarded_do_not_delay_others_if_the_server_does_not_answer_them(
    pull: Pull, short: int
) -> None:
    """After the short page, all further pages have other offsets than those that were requested ahead."""
    pull.server.sizes = {short: 3}
    pull.server.before_reply = lambda position: (
        pull.server.hang() if position > short and position % SIZE == 0 else None
    )
    assert pull.rows("offset-total", 8) == ROWS
