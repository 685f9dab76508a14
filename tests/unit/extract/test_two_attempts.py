"""Two attempts at the same time, as after a lost worker: each order of their operations leaves one complete result."""

from __future__ import annotations

import itertools
import json
import random
import tempfile
import threading
from typing import TYPE_CHECKING

import pytest

from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.extract import storage
from airflow_provider_oauth.extract.progress import MANIFEST, PROGRESS
from tests.unit.extract.bucket import Bucket
from tests.unit.extract.part_folders import check, part_folder, pull, read_pages, unlisted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ATTEMPTS = ("1-aaaaaa", "2-bbbbbb")
#: Number of operations of an attempt, at least.
OPERATIONS = 26


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bucket:
    monkeypatch.setattr(storage, "ATOMIC_UPLOAD", ("memory",))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return Bucket(monkeypatch)


class TwoAttempts:
    """Runs two attempts in threads. One of them at a time carries out an operation.

    :param bucket: the bucket
    :param order: yields the index of the attempt that carries out the next operation
    """

    def __init__(self, bucket: Bucket, order: Iterator[int]) -> None:
        self._order = order
        self._turns = [threading.Semaphore(0) for _ in ATTEMPTS]
        self._has_stopped = threading.Semaphore(0)
        self._running = {0, 1}
        self.errors: list[BaseException | None] = [None, None]
        self._folders = []
        for index, attempt in enumerate(ATTEMPTS):
            host, target = bucket.host(attempt)
            host.on_operation = lambda index=index: self._stop(index)
            self._folders.append(part_folder(target, attempt))

    def run(self) -> None:
        threads = [threading.Thread(target=self._attempt, args=(index,), daemon=True) for index in self._running]
        for thread in threads:
            thread.start()
            self._wait()
        while self._running:
            chosen = next(self._order)
            self._turns[chosen if chosen in self._running else 1 - chosen].release()
            self._wait()
        for thread in threads:
            thread.join(60)

    def _attempt(self, index: int) -> None:
        try:
            pull(self._folders[index])
        except BaseException as error:
            self.errors[index] = error
        self._running.remove(index)
        self._has_stopped.release()

    def _stop(self, index: int) -> None:
        """Let the other attempt act."""
        self._has_stopped.release()
        assert self._turns[index].acquire(timeout=60)

    def _wait(self) -> None:
        assert self._has_stopped.acquire(timeout=60)


def check_result(bucket: Bucket, order: Iterator[int]) -> list[BaseException | None]:
    """Run two attempts, and check that one finishes and that the other one finishes or finds another owner."""
    bucket.clear()
    attempts = TwoAttempts(bucket, order)
    attempts.run()
    assert None in attempts.errors
    for error in attempts.errors:
        if error is not None:
            assert isinstance(error, OAuthError), error
            assert "another attempt of this task" in str(error)
    assert check(bucket.files)
    return attempts.errors


@pytest.mark.parametrize("first", range(0, OPERATIONS + 1, 2))
def test_one_attempt_pauses_while_the_other_one_acts(bucket: Bucket, first: int) -> None:
    outcomes = set()
    for second in range(1, OPERATIONS + 1, 2):
        order = itertools.chain([0] * first, [1] * second, itertools.repeat(0))
        outcomes.add(tuple(error is None for error in check_result(bucket, order)))
    assert outcomes


def test_random_orders(bucket: Bucket) -> None:
    outcomes = set()
    for seed in range(200):
        random_order = random.Random(seed)
        length = random_order.choice([1, 2, 5, 10])
        order = (random_order.choice([0, 1]) for _ in itertools.count())
        long_turns = itertools.chain.from_iterable([index] * random_order.randint(1, length) for index in order)
        outcomes.add(tuple(error is None for error in check_result(bucket, long_turns)))
    assert {(True, False), (False, True)} <= outcomes


def test_an_attempt_that_finds_another_owner_stops_and_leaves_what_the_other_one_has_taken_over(bucket: Bucket) -> None:
    _, target = bucket.host("first")
    first = part_folder(target, "1-aaaaaa")
    first.begin()
    read_pages(first, 0, 3)
    _, target = bucket.host("second")
    second = part_folder(target, "2-bbbbbb")
    assert second.begin() is not None
    with pytest.raises(OAuthError) as caught:
        read_pages(first, 3, 4)
    assert str(caught.value) == (
        "Connection 'my_api': another attempt of this task is writing to the folder 'memory://first@/bucket/out' or "
        "has finished it, so this attempt stops. If no other attempt is running, retry the task."
    )
    assert "part-1-aaaaaa-00001.jsonl" in bucket.files  # published before the check
    first.abandon()
    assert sorted(bucket.files) == [PROGRESS, "part-1-aaaaaa-00000.jsonl"]
    read_pages(second, 2)
    second.publish({"started": "", "ended": "", "pages": 5})
    assert check(bucket.files)
    assert unlisted(bucket.files) == []
    names = [part["name"] for part in json.loads(bucket.files[MANIFEST])["parts"]]
    assert names == ["part-1-aaaaaa-00000.jsonl", "part-2-bbbbbb-00001.jsonl", "part-2-bbbbbb-00002.jsonl"]


def test_parts_that_another_attempt_will_delete_stay_until_its_manifest_is_in_place(bucket: Bucket) -> None:
    _, target = bucket.host("first")
    first = part_folder(target, "1-aaaaaa")
    first.begin()
    read_pages(first, 0, 3)
    _, target = bucket.host("second")
    second = part_folder(target, "2-bbbbbb", fingerprint="other")
    assert second.begin() is None
    first.abandon()
    assert "part-1-aaaaaa-00000.jsonl" in bucket.files
    read_pages(second)
    second.publish({"started": "", "ended": "", "pages": 5})
    assert check(bucket.files)
    assert unlisted(bucket.files) == []


def test_an_attempt_does_not_start_from_zero_again_if_it_is_not_the_owner(bucket: Bucket) -> None:
    _, target = bucket.host("first")
    first = part_folder(target, "1-aaaaaa")
    first.begin()
    read_pages(first, 0, 3)
    _, target = bucket.host("second")
    part_folder(target, "2-bbbbbb").begin()
    before = dict(bucket.files)
    with pytest.raises(OAuthError, match="another attempt of this task"):
        first.restart()
    assert bucket.files == before


def test_an_attempt_stops_after_another_one_has_finished(bucket: Bucket) -> None:
    _, target = bucket.host("first")
    first = part_folder(target, "1-aaaaaa")
    first.begin()
    read_pages(first)
    _, target = bucket.host("second")
    pull(part_folder(target, "2-bbbbbb"))
    before = dict(bucket.files)
    with pytest.raises(OAuthError, match="another attempt of this task"):
        first.publish({"started": "", "ended": "", "pages": 5})
    first.abandon()
    assert bucket.files == before


def test_an_attempt_whose_parts_were_taken_over_before_its_manifest_reports_it(bucket: Bucket) -> None:
    host, target = bucket.host("first")
    first = part_folder(target, "1-aaaaaa")
    first.begin()
    read_pages(first)
    first.finish()
    _, other = bucket.host("second")
    second = part_folder(other, "2-bbbbbb")
    puts = host.operations.count("put")

    def take_over() -> None:
        if host.operations.count("put") == puts + 1:  # the manifest is there, but its owner is not checked yet
            host.on_operation = lambda: None
            assert second.begin() is None

    host.on_operation = take_over
    with pytest.raises(OAuthError, match="another attempt of this task"):
        first.publish({"started": "", "ended": "", "pages": 5})
    first.abandon()
    assert check(bucket.files)
    read_pages(second)
    second.publish({"started": "", "ended": "", "pages": 5})
    assert check(bucket.files)
    assert unlisted(bucket.files) == []
