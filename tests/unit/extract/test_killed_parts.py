"""A folder of parts after a fault at each operation: both files are correct, and the next attempt succeeds."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.extract import storage
from airflow_provider_oauth.extract.progress import PROGRESS
from airflow_provider_oauth.extract.storage import StorageError
from tests.unit.extract.bucket import Bucket, Killed
from tests.unit.extract.part_folders import check, part_folder, pull, read_pages, unlisted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.extract.bucket import Moment

    Prepare = Callable[[Bucket], object]

ERRORS = pytest.mark.parametrize("error", [OSError("500 Internal Server Error"), Killed()], ids=["fails", "killed"])
AT = pytest.mark.parametrize("moment", ["before", "after", "late"])


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bucket:
    """Return a bucket in which an upload is visible only when it is complete, as in S3."""
    monkeypatch.setattr(storage, "ATOMIC_UPLOAD", ("memory",))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return Bucket(monkeypatch)


def operations(monkeypatch: pytest.MonkeyPatch, prepare: Prepare) -> int:
    """Return the number of operations of an attempt without faults."""
    bucket = Bucket(monkeypatch)
    prepare(bucket)
    host, target = bucket.host("counted")
    pull(part_folder(target, "9-999999"))
    return len(host.operations)


def empty(bucket: Bucket) -> None:
    """Leave no file."""


def finished(bucket: Bucket) -> None:
    """Leave the result of an attempt that finished."""
    _, target = bucket.host("finished")
    pull(part_folder(target, "1-000001"))


def started(bucket: Bucket) -> None:
    """Leave the progress of a killed attempt with one part."""
    _, target = bucket.host("started")
    folder = part_folder(target, "1-000002")
    folder.begin()
    read_pages(folder, 0, 3)
    folder.close()


def check_each_fault(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, prepare: Prepare, moment: Moment, error: BaseException
) -> None:
    """Let each operation of an attempt fail, and check the files then and after the next attempt."""
    for number in range(1, operations(monkeypatch, prepare) + 1):
        bucket.clear()
        prepare(bucket)
        host, target = bucket.host("first")
        host.fail(number, moment, error)
        try:
            pull(part_folder(target, "2-aaaaaa"))
        except (StorageError, Killed):
            pass
        else:
            # Only these errors are not reported: a file was not deleted, a size could not be checked, or a storage that
            # cannot rename to an existing name was assumed.
            assert host.operations[number - 1] in ("rm", "info", "mv")
        check(bucket.files)
        bucket.land()
        check(bucket.files)

        _, target = bucket.host("second")
        pull(part_folder(target, "3-bbbbbb"))
        assert check(bucket.files)
        parts = [name for name in unlisted(bucket.files) if not name.startswith(".")]
        # A part whose attempt was killed before it could list it.
        assert len(parts) <= 1
        assert PROGRESS not in parts


@ERRORS
@AT
@pytest.mark.parametrize("prepare", [empty, finished, started])
def test_a_fault_at_each_operation_loses_no_row(
    monkeypatch: pytest.MonkeyPatch, bucket: Bucket, prepare: Prepare, moment: Moment, error: BaseException
) -> None:
    check_each_fault(bucket, monkeypatch, prepare, moment, error)


@ERRORS
@AT
def test_a_fault_at_each_operation_loses_no_row_if_the_storage_renames_files(
    monkeypatch: pytest.MonkeyPatch, bucket: Bucket, moment: Moment, error: BaseException
) -> None:
    monkeypatch.setattr(storage, "ATOMIC_UPLOAD", ())
    check_each_fault(bucket, monkeypatch, empty, moment, error)


def test_a_write_that_takes_effect_late_loses_no_row(monkeypatch: pytest.MonkeyPatch, bucket: Bucket) -> None:
    """A write times out and the attempt fails. The write takes effect before each operation of the next attempt."""
    first, target = bucket.host("first")
    pull(part_folder(target))
    writes = [number for number, name in enumerate(first.operations, 1) if name in ("put", "rm")]
    failed = 0
    for number in writes:
        for landing in range(1, operations(monkeypatch, empty) + 2):
            bucket.clear()
            host, target = bucket.host("first")
            host.fail(number, "late", OSError("timeout"))
            with suppress(StorageError):
                pull(part_folder(target, "2-aaaaaa"))
            other, target = bucket.host("second")
            other.before(landing, bucket.land)
            try:
                pull(part_folder(target, "3-bbbbbb"))
            except OAuthError:  # the owner was replaced
                failed += 1
            bucket.land()
            check(bucket.files)
            _, target = bucket.host("third")
            pull(part_folder(target, "4-cccccc"))
            assert check(bucket.files)
    assert failed


@ERRORS
@AT
def test_an_attempt_continues_after_the_parts_of_a_killed_one(
    bucket: Bucket, moment: Moment, error: BaseException
) -> None:
    """The operations that end the second part: a fault there loses at most this part."""
    host, target = bucket.host("first")
    folder = part_folder(target)
    folder.begin()
    read_pages(folder, 0, 3)
    before = len(host.operations)
    host.fail(before + 1, moment, error)
    with pytest.raises((StorageError, Killed)):
        read_pages(folder, 3)
    _, target = bucket.host("second")
    resumed = pull(part_folder(target, "2-bbbbbb"))
    assert resumed is not None
    assert (resumed.rows, resumed.parts, resumed.position, resumed.state) == (4, 1, {"page": 2}, {"rows": 4})
    assert check(bucket.files)
