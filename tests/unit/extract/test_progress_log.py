"""The lines in the log about the progress of an extract."""

from __future__ import annotations

import logging

import pytest

from airflow_provider_oauth.extract.progress_log import ProgressLog
from tests.fake_clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(autouse=True)
def level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="airflow_provider_oauth.extract.progress_log")


def test_a_line_is_logged_at_most_every_ten_seconds(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    progress = ProgressLog("my_api", clock)
    for page in range(1, 101):
        clock.advance(0.7)
        progress.report(pages=page, rows=page * 100, size=page * 50_000)
    assert len(caplog.messages) == 6
    assert caplog.messages[0] == "Connection 'my_api': 15 pages, 1500 rows, 0.8 MB, 143 rows/s."


def test_a_short_extract_logs_no_progress(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    progress = ProgressLog("my_api", clock)
    clock.advance(9.9)
    progress.report(pages=1, rows=1, size=1)
    assert caplog.messages == []


def test_the_line_has_what_remains_and_the_time_spent_waiting(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    progress = ProgressLog("my_api", clock)
    clock.advance(20)
    progress.report(pages=2, rows=200, size=2_000_000, waited=12.4, total=1000)
    assert caplog.messages == [
        "Connection 'my_api': 2 pages, 200 rows, 2.0 MB, 10 rows/s, 800 of 1000 rows remain, about 80 s, "
        "waited 12 s for the API."
    ]


@pytest.mark.parametrize("total", [None, 200, 150])
def test_without_a_total_the_remaining_rows_are_not_logged(
    clock: FakeClock, caplog: pytest.LogCaptureFixture, total: int | None
) -> None:
    progress = ProgressLog("my_api", clock)
    clock.advance(20)
    progress.report(pages=2, rows=200, size=0, total=total)
    assert "remain" not in caplog.text


def test_pages_without_rows_have_no_estimate(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    progress = ProgressLog("my_api", clock)
    clock.advance(10)
    progress.report(pages=2, rows=0, size=0, total=5)
    assert caplog.messages == ["Connection 'my_api': 2 pages, 0 rows, 0.0 MB, 0.0 rows/s, 5 of 5 rows remain."]
