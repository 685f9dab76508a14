"""The file is the same with every value of ``concurrency``, however the server splits the list."""

from __future__ import annotations

import random
from itertools import repeat
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.extract.paginators import OffsetPaginator, PageNumberPaginator
from tests.integration.concurrency.pulls import COUNTED, STYLES, Outcome, Pull
from tests.integration.list_server import instead
from tests.integration.paged_server import SIZE, numbered_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.list_server import Fault, Handler, Reply
    from tests.integration.paged_server import PagedServer

CONCURRENCY = (2, 8, 32)
#: 15 pages, the last one with fewer rows.
ROWS = numbered_rows(14 * SIZE + 3)
FULL_PAGES = ROWS[: 14 * SIZE]


def members(server: PagedServer) -> Callable[[int], dict[str, Any]]:
    """Return the members that the paginators of all styles need."""
    return lambda position: {
        "pages": len(server.pages),
        "total": len(server.rows),
        "more": position < len(server.pages),
    }


@pytest.fixture(autouse=True)
def _list(server: PagedServer) -> None:
    server.set_rows(ROWS)
    server.members = members(server)


def same_outcome(pull: Pull, caplog: pytest.LogCaptureFixture, style: str, **parameters: Any) -> Outcome:
    """Return the outcome with ``concurrency=1``, and check that all other values have the same outcome."""
    expected = pull.outcome(caplog, style, 1, **parameters)
    for concurrency in CONCURRENCY:
        assert pull.outcome(caplog, style, concurrency, **parameters) == expected
    return expected


def written(rows: list[bytes]) -> bytes:
    return b"".join(row + b"\n" for row in rows)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("count", [0, SIZE, 9 * SIZE + 1])
def test_the_file_is_the_same_for_lists_of_every_length(
    pull: Pull, caplog: pytest.LogCaptureFixture, style: str, count: int
) -> None:
    pull.server.set_rows(ROWS[:count])
    outcome = same_outcome(pull, caplog, style)
    assert (outcome.file, outcome.error) == (written(ROWS[:count]), "")


@pytest.mark.parametrize(
    "paginator",
    [
        PageNumberPaginator(size_param="limit", size=100),
        PageNumberPaginator(size_param="limit", size=100, total="total"),
        PageNumberPaginator(size_param="limit", size=100, last="pages"),
        OffsetPaginator(size=100),
        OffsetPaginator(size=100, total="total"),
    ],
)
@pytest.mark.parametrize("count", [10, 19, 200, 203])
def test_the_file_is_the_same_if_the_server_caps_the_page_size(
    pull: Pull, caplog: pytest.LogCaptureFixture, paginator: OffsetPaginator | PageNumberPaginator, count: int
) -> None:
    rows = numbered_rows(count)
    pull.server.set_rows(rows, lambda _: 10)
    pull.server.max_size = 10
    style = "offset" if isinstance(paginator, OffsetPaginator) else "number"
    assert same_outcome(pull, caplog, style, paginator=paginator).file == written(rows)


@pytest.mark.parametrize("short", [0, SIZE - 1])
@pytest.mark.parametrize("number", [2, 8])
@pytest.mark.parametrize("style", ["last", "more", "header-json", "cursor", "link", "header-link", "lines"])
def test_a_short_page_in_the_middle_loses_no_row_if_the_server_names_the_end(
    pull: Pull, caplog: pytest.LogCaptureFixture, style: str, number: int, short: int
) -> None:
    rows = ROWS[: 14 * SIZE + short]
    pull.server.set_rows(rows, lambda each: max(short, 1) if each == number else SIZE)
    if not short:
        pull.server.pages[number - 1] = []
        rows = [row for page in pull.server.pages for row in page]
        pull.server.rows = rows
    assert same_outcome(pull, caplog, style).file == written(rows)


@pytest.mark.parametrize("numbers", [{5: 3}, {2: 6, 3: 1}, {8: 1, 9: 1, 10: 1}, {4: 2, 12: 5}, {14: 1}])
def test_a_short_page_in_the_middle_loses_no_row_with_a_total(
    pull: Pull, caplog: pytest.LogCaptureFixture, numbers: dict[int, int]
) -> None:
    pull.server.set_rows(ROWS, lambda number: numbers.get(number, SIZE))
    assert same_outcome(pull, caplog, "total").file == written(ROWS)


@pytest.mark.parametrize("sizes", [{21: 3}, {7: 1, 8: 1}, {49: 6, 55: 2}, {14: 2, 72: 5}, {91: 1}])
def test_a_short_page_at_an_offset_repeats_and_loses_no_row(
    pull: Pull, caplog: pytest.LogCaptureFixture, sizes: dict[int, int]
) -> None:
    pull.server.sizes = sizes
    assert same_outcome(pull, caplog, "offset-total").file == written(ROWS)


@pytest.mark.parametrize("style", ["number", "number in the body", "number in a header", "offset", "lines by number"])
@pytest.mark.parametrize("number", [2, 5, 8])
def test_a_short_page_ends_a_list_without_a_total_with_every_concurrency(
    pull: Pull, caplog: pytest.LogCaptureFixture, style: str, number: int
) -> None:
    pull.server.set_rows(ROWS, lambda each: SIZE - 2 if each == number else SIZE)
    pull.server.sizes = {(number - 1) * SIZE: SIZE - 2}
    pull.server.members = lambda _: {}
    assert same_outcome(pull, caplog, style).file == written(ROWS[: number * SIZE - 2])


@pytest.mark.parametrize("sizes", [{21: 10}, {7: 14}, {7: 8, 15: 8}, {49: 20}, {0: 9, 9: 20}])
@pytest.mark.parametrize("style", ["offset", "offset-total", "offset in the body"])
def test_a_page_with_more_rows_than_requested_repeats_and_loses_no_row(
    pull: Pull, caplog: pytest.LogCaptureFixture, style: str, sizes: dict[int, int]
) -> None:
    rows = ROWS if style == "offset-total" else ROWS[:-1]
    pull.server.set_rows(rows)
    pull.server.sizes = sizes
    outcome = same_outcome(pull, caplog, style)
    assert (outcome.error, outcome.file[: len(written(rows[:49]))]) == ("", written(rows[:49]))
    if style == "offset-total":
        assert outcome.file == written(rows)


@pytest.mark.parametrize("style", COUNTED)
def test_a_numbered_page_with_more_rows_than_the_others_is_read(
    pull: Pull, caplog: pytest.LogCaptureFixture, style: str
) -> None:
    pull.server.set_rows(ROWS, lambda number: 2 * SIZE if number in (3, 8) else SIZE)
    pull.server.sizes = {2 * SIZE: 2 * SIZE, 8 * SIZE: 2 * SIZE}
    assert same_outcome(pull, caplog, style).file == written(ROWS)


def last_page(handler: Handler, _: Reply) -> None:
    server: PagedServer = handler.server  # type: ignore[assignment]
    body = b'{"items": [' + b",".join(server.pages[-1]) + b"]}"
    instead(200, body)(handler, _)


@pytest.mark.parametrize("beyond", [None, instead(400, b'{"error": "out of range"}'), instead(404)])
@pytest.mark.parametrize("count", [len(ROWS)])
@pytest.mark.parametrize("style", COUNTED)
def test_the_response_to_requests_beyond_the_end_does_not_matter_if_a_page_names_the_end(
    pull: Pull, caplog: pytest.LogCaptureFixture, style: str, count: int, beyond: Fault | None
) -> None:
    if style == "number until an empty page":
        return
    pull.server.set_rows(ROWS[:count])
    pull.server.beyond = beyond
    outcome = same_outcome(pull, caplog, style)
    assert (outcome.file, outcome.error) == (written(ROWS[:count]), "")


@pytest.mark.parametrize("beyond", [None, instead(400), instead(404), instead(204)])
@pytest.mark.parametrize("style", ["number", "number until an empty page", "offset", "number in a header"])
def test_a_list_that_ends_with_a_full_page_has_the_same_end(
    pull: Pull, caplog: pytest.LogCaptureFixture, style: str, beyond: Fault | None
) -> None:
    pull.server.set_rows(FULL_PAGES)
    pull.server.beyond = beyond
    outcome = same_outcome(pull, caplog, style)
    is_error = beyond is not None and "stop_on=" in outcome.error
    assert is_error or outcome.file == written(FULL_PAGES)


@pytest.mark.parametrize("count", [SIZE, 3 * SIZE, 9 * SIZE, len(FULL_PAGES)])
@pytest.mark.parametrize("style", ["number", "offset"])
def test_statuses_that_end_the_list_end_it_after_the_same_page(
    pull: Pull, caplog: pytest.LogCaptureFixture, style: str, count: int
) -> None:
    pull.server.set_rows(ROWS[:count])
    pull.server.members = lambda _: {}
    pull.server.beyond = instead(404)
    kind = {"number": PageNumberPaginator, "offset": OffsetPaginator}[style]
    paginator = kind(size_param="limit", size=SIZE, stop_on=(404,))
    assert same_outcome(pull, caplog, style, paginator=paginator).file == written(ROWS[:count])


@pytest.mark.parametrize("count", [SIZE, 3 * SIZE, 9 * SIZE])
def test_a_repeated_last_page_ends_the_list_after_the_same_page(
    pull: Pull, caplog: pytest.LogCaptureFixture, count: int
) -> None:
    pull.server.set_rows(ROWS[:count])
    pull.server.members = lambda _: {}
    pull.server.beyond = last_page
    paginator = PageNumberPaginator(repeats_last_page=True)
    assert same_outcome(pull, caplog, "number", paginator=paginator).file == written(ROWS[:count])
    assert "has the same rows as" in same_outcome(pull, caplog, "number", paginator=PageNumberPaginator()).error


@pytest.mark.parametrize("reported", [{1: 3, 3: 15}, {1: 15, 4: 30}, {1: 2, 2: 9, 9: 15}, {1: 30, 5: 15}, {1: 30}])
@pytest.mark.parametrize("style", ["last", "total", "offset-total"])
def test_an_end_that_changes_while_the_list_is_read_has_the_same_effect(
    pull: Pull, caplog: pytest.LogCaptureFixture, style: str, reported: dict[int, int]
) -> None:
    def pages(position: int) -> int:
        number = position // SIZE + 1 if style == "offset-total" else position
        return reported[max(each for each in reported if each <= number)]

    pull.server.members = lambda position: {"pages": pages(position), "total": pages(position) * SIZE - 4}
    same_outcome(pull, caplog, style)


@pytest.mark.parametrize("number", [2, 9])
@pytest.mark.parametrize("style", STYLES)
def test_an_error_on_one_page_is_the_same_error(
    pull: Pull, caplog: pytest.LogCaptureFixture, style: str, number: int
) -> None:
    position = (number - 1) * SIZE if style.startswith("offset") else number
    faults = [instead(500), instead(400), instead(200, b"<html>"), instead(200, b'{"items": ')]
    for fault in faults:
        pull.server.faults = {position: repeat(fault)}
        outcome = same_outcome(pull, caplog, style)
        assert outcome.error
        assert b"of an earlier run" in outcome.file


@pytest.mark.parametrize("seed", range(25))
def test_a_random_server_results_in_the_same_file_or_error(
    pull: Pull, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    chance = random.Random(seed)
    style = chance.choice(COUNTED)
    rows = numbered_rows(chance.randrange(200))
    odd = {chance.randrange(1, 25): chance.randrange(1, 2 * SIZE) for _ in range(chance.randrange(4))}
    pull.server.set_rows(rows, lambda number: odd.get(number, SIZE))
    pull.server.sizes = {(number - 1) * SIZE: size for number, size in odd.items()}
    pull.server.beyond = chance.choice([None, instead(400), instead(404), instead(500), last_page])
    statuses = [instead(chance.choice([400, 404, 500])), instead(200, b'{"items": []}'), instead(204)]
    faults = {chance.randrange(1, 25): chance.choice(statuses) for _ in range(chance.randrange(3))}
    places = {(number - 1) * SIZE if style.startswith("offset") else number: fault for number, fault in faults.items()}
    drift = chance.choice([0, 0, 0, 1, -1])
    pull.server.members = lambda position: {
        "pages": len(pull.server.pages) + (drift if position > 4 else 0),
        "total": len(rows) + (drift * SIZE if position > 4 else 0),
        "more": position < len(pull.server.pages),
    }
    pull.server.faults = {place: repeat(fault) for place, fault in places.items()}
    same_outcome(pull, caplog, style)
