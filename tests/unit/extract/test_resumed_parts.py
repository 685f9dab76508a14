"""Which parts an attempt takes over from an earlier attempt, and which files it deletes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.extract.parts import Resumed
from airflow_provider_oauth.extract.progress import MANIFEST, PROGRESS, RunName
from airflow_provider_oauth.extract.storage import StorageError
from tests.fake_clock import FakeClock
from tests.unit.extract.part_folders import (
    PAGES,
    SUMMARY,
    begun,
    change,
    check,
    contents,
    line,
    part_folder,
    pull,
    read_pages,
    stored,
    unlisted,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def target(tmp_path: Path) -> ObjectStoragePath:
    return ObjectStoragePath(f"{tmp_path}/out/")


def test_an_attempt_continues_after_the_last_complete_part(
    target: ObjectStoragePath, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    begun(target, pages=3)
    folder = part_folder(target, "2-bbbbbb")
    assert folder.begin() == Resumed(list=0, position={"page": 2}, state={"rows": 4}, rows=4, parts=1, bytes=40)
    assert caplog.messages == ["Continuing after 4 rows in 1 parts of attempt 1-aaaaaa."]
    assert stored(target, PROGRESS)["attempt"] == "2-bbbbbb"
    read_pages(folder, 2)
    folder.publish(SUMMARY)
    assert check(contents(target))
    assert unlisted(contents(target)) == []
    assert [part["name"] for part in stored(target, MANIFEST)["parts"]] == [
        "part-1-aaaaaa-00000.jsonl",
        "part-2-bbbbbb-00001.jsonl",
        "part-2-bbbbbb-00002.jsonl",
    ]
    assert (folder.parts, folder.rows, folder.size) == (3, 10, 100)


def test_many_attempts_continue_each_other(target: ObjectStoragePath) -> None:
    for attempt in range(PAGES):
        folder = part_folder(target, f"{attempt}-aaaaaa", part_rows=1)
        resumed = folder.begin()
        assert (resumed.rows if resumed else 0) == attempt * 2
        read_pages(folder, attempt, attempt + 1)
        folder.abandon()
    folder.publish(SUMMARY)
    assert check(contents(target))
    assert len(contents(target)) == PAGES + 1


def test_the_next_list_is_stored(target: ObjectStoragePath) -> None:
    folder = part_folder(target, part_rows=1)
    folder.begin()
    folder.write([line(0)])
    folder.end_page(1, None, {})
    resumed = part_folder(target, "2-bbbbbb").begin()
    assert resumed is not None
    assert (resumed.list, resumed.position) == (1, None)


def test_an_attempt_without_a_complete_part_is_not_continued(
    target: ObjectStoragePath, caplog: pytest.LogCaptureFixture
) -> None:
    begun(target, pages=1)
    assert part_folder(target, "2-bbbbbb").begin() is None
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("options", "changes", "reason"),
    [
        ({"run": RunName("my_dag", "other", "my_task")}, {}, "it belongs to another run"),
        ({"run": RunName("my_dag", "manual__2026", "my_task", 0)}, {}, "it belongs to another run"),
        ({"run": RunName("my_dag", "manual__2026", "other")}, {}, "it belongs to another run"),
        ({"run": RunName("other", "manual__2026", "my_task")}, {}, "it belongs to another run"),
        ({"fingerprint": "other"}, {}, "the request has changed"),
        ({"suffix": ".jsonl.gz"}, {}, "part_suffix has changed"),
        ({}, {"updated": "2025-12-30T23:59:59Z"}, "it is older than resume_within"),
        ({}, {"replaces": "1-ffffff"}, "the folder has a newer manifest"),
    ],
)
def test_other_progress_is_not_used_and_its_parts_are_deleted_at_the_end(
    target: ObjectStoragePath,
    options: dict[str, Any],
    changes: dict[str, Any],
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun(target, pages=3)
    change(target, PROGRESS, **changes)
    folder = part_folder(target, "2-bbbbbb", **options)
    assert folder.begin() is None
    assert caplog.messages == [f"Starting from zero: _progress.json in {target} is not used, because {reason}."]
    read_pages(folder)
    assert "part-1-aaaaaa-00000.jsonl" in contents(target)
    folder.publish(SUMMARY)
    assert check(contents(target))
    assert unlisted(contents(target)) == []


@pytest.mark.parametrize(("age", "is_used"), [(86_400, True), (86_401, False), (-3600, True), (-86_401, False)])
def test_progress_is_used_for_a_day_also_if_the_clock_of_the_other_host_is_ahead(
    target: ObjectStoragePath, age: int, is_used: bool
) -> None:
    begun(target, pages=3)
    clock = FakeClock()
    clock.start += timedelta(seconds=age)
    assert (part_folder(target, "2-bbbbbb", clock=clock).begin() is not None) == is_used


@pytest.mark.parametrize("age", [0, 1, -1])
def test_progress_is_never_used_if_resume_within_is_zero(target: ObjectStoragePath, age: int) -> None:
    begun(target, pages=3)
    clock = FakeClock()
    clock.start += timedelta(seconds=age)
    assert part_folder(target, "2-bbbbbb", clock=clock, resume_within=timedelta(0)).begin() is None


@pytest.mark.parametrize(
    ("run", "is_warned"),
    [
        (RunName("my_dag", "manual__2026", "my_task", 3), True),
        (RunName("my_dag", "manual__2026", "other"), True),
        (RunName("my_dag", "manual__2026", "my_task"), False),
        (RunName("my_dag", "manual__2027", "other"), False),
    ],
)
def test_a_folder_that_several_tasks_of_a_run_share_is_a_warning(
    target: ObjectStoragePath, run: RunName, is_warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    folder = part_folder(target, "1-aaaaaa")
    folder.begin()
    folder.publish(SUMMARY)
    part_folder(target, "2-bbbbbb", run=run).begin()
    warning = (
        f"{target} contains the result of task 'my_task' (map index -1) of the same run. This task will replace it."
    )
    assert (warning in caplog.text) == is_warned


@pytest.mark.parametrize("content", [None, b"", b"1234"])
def test_progress_whose_part_is_missing_or_incomplete_is_not_used(
    target: ObjectStoragePath, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    begun(target, pages=5)
    part = target / "part-1-aaaaaa-00001.jsonl"
    part.unlink()
    if content is not None:
        part.write_bytes(content)
    assert pull(part_folder(target, "2-bbbbbb")) is None
    assert "because part-1-aaaaaa-00001.jsonl is missing or incomplete." in caplog.text
    assert check(contents(target))
    assert unlisted(contents(target)) == []


def test_a_cleared_run_starts_from_zero_and_replaces_the_manifest_at_its_end(target: ObjectStoragePath) -> None:
    pull(part_folder(target))
    before = contents(target)
    folder = part_folder(target, "2-bbbbbb")
    assert folder.begin() is None
    read_pages(folder)
    folder.finish()
    assert before.items() <= contents(target).items()
    folder.publish(SUMMARY)
    assert check(contents(target))
    assert unlisted(contents(target)) == []
    assert not set(before) & set(contents(target)) - {MANIFEST}


def test_a_cleared_run_starts_from_zero_if_a_lost_attempt_began_after_its_retry_had_finished(
    target: ObjectStoragePath, caplog: pytest.LogCaptureFixture
) -> None:
    pull(part_folder(target, "10-bbbbbb"))
    begun(target, "9-aaaaaa", pages=3)
    assert pull(part_folder(target, "11-cccccc")) is None
    assert "because a later attempt of this run had finished before." in caplog.text
    assert check(contents(target))
    assert unlisted(contents(target)) == []


def test_a_retry_continues_if_another_run_with_more_attempts_has_written_the_manifest(
    target: ObjectStoragePath,
) -> None:
    pull(part_folder(target, "5-bbbbbb", run=RunName("my_dag", "other", "my_task")))
    begun(target, "1-aaaaaa", pages=3)
    assert pull(part_folder(target, "2-cccccc")) is not None
    assert check(contents(target))
    assert unlisted(contents(target)) == []


def test_a_retry_of_a_cleared_run_continues_it(target: ObjectStoragePath) -> None:
    pull(part_folder(target))
    begun(target, "2-bbbbbb", pages=3)
    resumed = pull(part_folder(target, "3-cccccc"))
    assert resumed is not None
    assert resumed.rows == 4
    assert check(contents(target))
    assert unlisted(contents(target)) == []


def test_an_attempt_that_was_killed_after_its_manifest_is_not_continued(target: ObjectStoragePath) -> None:
    folder = begun(target, pages=5)
    progress = (target / PROGRESS).read_bytes()
    folder.publish(SUMMARY)
    (target / PROGRESS).write_bytes(progress)
    assert pull(part_folder(target, "2-bbbbbb")) is None
    assert check(contents(target))
    assert unlisted(contents(target)) == []


def test_another_run_replaces_the_manifest_and_its_parts(target: ObjectStoragePath) -> None:
    pull(part_folder(target))
    pull(part_folder(target, "1-bbbbbb", run=RunName("my_dag", "scheduled__2026", "my_task")))
    assert check(contents(target))
    assert unlisted(contents(target)) == []


def test_a_pull_can_start_from_zero_again(target: ObjectStoragePath) -> None:
    begun(target, pages=3)
    folder = part_folder(target, "2-bbbbbb")
    assert folder.begin() is not None
    read_pages(folder, 2)
    folder.write([line(99)])
    folder.restart()
    assert (folder.parts, folder.rows, folder.size) == (0, 0, 0)
    read_pages(folder)
    folder.publish(SUMMARY)
    assert check(contents(target))
    assert unlisted(contents(target)) == []
    assert stored(target, MANIFEST)["parts"][0]["name"] == "part-2-bbbbbb-00003.jsonl"


def test_an_attempt_that_was_killed_after_a_restart_is_not_continued(target: ObjectStoragePath) -> None:
    folder = begun(target, pages=3)
    folder.restart()
    assert pull(part_folder(target, "2-bbbbbb")) is None
    assert check(contents(target))
    assert unlisted(contents(target)) == []


# --- files that others wrote


@pytest.mark.parametrize("name", [PROGRESS, MANIFEST])
@pytest.mark.parametrize("content", [b"", b"{", b"{}"])
def test_a_file_that_is_not_valid_is_an_error_and_stays(target: ObjectStoragePath, name: str, content: bytes) -> None:
    target.mkdir()
    (target / name).write_bytes(content)
    with pytest.raises(OAuthError) as caught:
        part_folder(target).begin()
    text = str(caught.value)
    assert text.startswith(
        f"Connection 'my_api': the file '{name}' in the folder '{target}' cannot be used, because it"
    )
    assert text.endswith("Delete the file and retry the task. It will start from zero.")
    assert contents(target) == {name: content}


def test_a_manipulated_file_deletes_nothing(target: ObjectStoragePath) -> None:
    begun(target, pages=3)
    other = target.parent / "part-1-aaaaaa-00000.jsonl"
    other.write_bytes(b"other")
    change(target, PROGRESS, obsolete=["../part-1-aaaaaa-00000.jsonl"])
    with pytest.raises(OAuthError, match="cannot be used, because it was changed"):
        pull(part_folder(target, "2-bbbbbb"))
    assert other.read_bytes() == b"other"


def test_other_files_of_the_folder_stay(target: ObjectStoragePath) -> None:
    target.mkdir()
    others = {"customers.csv": b"1", "part-00000.jsonl": b"2", "part-1-dddddd-00000.jsonl": b"3"}
    for name, content in others.items():
        (target / name).write_bytes(content)
    (target / "folder").mkdir()
    pull(part_folder(target))
    pull(part_folder(target, "2-bbbbbb"))
    (target / "folder").rmdir()
    assert others.items() <= contents(target).items()
    assert len(contents(target)) == len(others) + 4


def test_a_part_with_the_name_of_another_file_is_an_error_and_the_file_stays(target: ObjectStoragePath) -> None:
    target.mkdir()
    (target / "part-1-aaaaaa-00000.jsonl").write_bytes(b"other")
    folder = part_folder(target)
    with pytest.raises(StorageError, match="FileExistsError"):
        pull(folder)
    assert (target / "part-1-aaaaaa-00000.jsonl").read_bytes() == b"other"


@pytest.mark.parametrize("content", [None, b"1"])
def test_a_part_that_another_program_deletes_or_changes_is_an_error(
    target: ObjectStoragePath, content: bytes | None
) -> None:
    folder = begun(target, pages=5)
    (target / "part-1-aaaaaa-00001.jsonl").unlink()
    if content:
        (target / "part-1-aaaaaa-00001.jsonl").write_bytes(content)
    with pytest.raises(OAuthError) as caught:
        folder.publish(SUMMARY)
    assert str(caught.value) == (
        f"Connection 'my_api': the part 'part-1-aaaaaa-00001.jsonl' in the folder '{target}' was deleted or changed "
        "while the task was running. Make sure that nothing else writes to this folder, and retry the task. It will "
        "start from zero."
    )
    assert MANIFEST not in contents(target)
