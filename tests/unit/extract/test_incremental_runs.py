"""Incremental runs against a list that changes all the time: each change is read, whatever the API's filter does."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_oauth.extract.incremental import Incremental
from airflow_provider_oauth.extract.row_marks import RowMarks

#: Some hours later, clocks are turned back in Berlin.
START = datetime(2024, 10, 26, 22, tzinfo=UTC)
RUNS = 40


class Api:
    """An API whose rows have the time of their last change as text, cut off after the given decimals.

    :param seed: the seed of the random changes
    :param zone: the zone of the texts; None for UTC with an offset
    :param decimals: number of decimals of seconds
    :param is_exclusive: whether the filter returns only rows after the time, without those at the time
    """

    def __init__(self, seed: int, zone: str | None, decimals: int, *, is_exclusive: bool) -> None:
        self.random = random.Random(seed)
        self._zone = ZoneInfo(zone) if zone else None
        self._length = 19 + (decimals + 1 if decimals else 0)
        self._is_exclusive = is_exclusive
        self.now = START
        self.changes: dict[int, datetime] = {}

    def text(self, moment: datetime) -> str:
        wall = moment.astimezone(self._zone or UTC).replace(tzinfo=None)
        return wall.isoformat(timespec="milliseconds")[: self._length] + ("" if self._zone else "Z")

    def change_rows(self, longest_pause: timedelta) -> None:
        for _ in range(self.random.randint(0, 4)):
            self.now += longest_pause * self.random.random()
            self.changes[self.random.randint(1, 30)] = self.now

    def rows(self, since: str) -> list[tuple[int, datetime]]:
        """Return the rows that the filter finds. It compares text, as a database without zones does."""
        texts = {row: self.text(moment) for row, moment in self.changes.items()}
        return [
            (row, moment)
            for row, moment in self.changes.items()
            if texts[row] > since or (texts[row] == since and not self._is_exclusive)
        ]


@pytest.mark.parametrize("is_exclusive", [True, False])
@pytest.mark.parametrize("decimals", [0, 3])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin", "Australia/Lord_Howe"])
@pytest.mark.parametrize("seed", range(5))
def test_each_change_before_a_run_is_read_by_this_run_or_an_earlier_one(
    seed: int, zone: str | None, decimals: int, is_exclusive: bool
) -> None:
    api = Api(seed, zone, decimals, is_exclusive=is_exclusive)
    if zone == "Australia/Lord_Howe":
        api.now = datetime(2024, 4, 6, 11, tzinfo=UTC)
    incremental = Incremental(field="at", param="since", initial=api.text(api.now - timedelta(days=1)), timezone=zone)
    position, mark = incremental.values.position, incremental.initial_text
    read: dict[int, datetime] = {}
    for _ in range(RUNS):
        api.change_rows(timedelta(minutes=10))
        started, since = api.now, incremental.since(mark)
        marks = RowMarks(incremental, since, "shop")
        before = dict(api.changes)
        rows = api.rows(since)
        api.change_rows(timedelta(seconds=2))  # while the run reads
        rows += [row for row in api.rows(since) if row[1] > started and api.random.random() < 0.5]
        marks.read([json.dumps({"id": row, "at": api.text(moment)}).encode() for row, moment in rows])
        for row, moment in rows:
            read[row] = max(moment, read.get(row, moment))
        reached = marks.next_mark(started, api.now)
        if reached is not None and position(reached) > position(mark):
            mark = reached
        assert all(read[row] >= moment for row, moment in before.items() if moment < started)


def test_without_a_lookback_an_exclusive_filter_misses_rows() -> None:
    """The test above finds missed rows."""
    api = Api(0, None, 0, is_exclusive=True)
    incremental = Incremental(field="at", param="since", initial=api.text(START), lookback=0)
    first, second = START + timedelta(seconds=1.2), START + timedelta(seconds=1.8)
    api.changes = {1: first}
    marks = RowMarks(incremental, incremental.initial_text, "shop")
    marks.read(
        [json.dumps({"id": row, "at": api.text(moment)}).encode() for row, moment in api.rows(marks.greatest or "")]
    )
    mark = marks.next_mark(first, first)
    assert mark is not None
    api.changes[2] = second
    assert 2 not in dict(api.rows(incremental.since(mark)))
    assert 2 in dict(api.rows(Incremental(field="at", param="since", initial=api.text(START)).since(mark)))
