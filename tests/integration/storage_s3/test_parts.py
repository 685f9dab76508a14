"""A folder of parts in S3: files that must not exist, and attempts whose requests fail."""

from __future__ import annotations

import errno
import gc
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.extract.progress import PROGRESS
from airflow_provider_oauth.extract.storage import StorageError, new_file
from tests.integration.cutting_proxy import PART, Cut
from tests.unit.extract.part_folders import SUMMARY, check, part_folder, pull, read_pages, unlisted

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.cutting_proxy import CuttingProxy, Moment, Operation
    from tests.integration.s3_server import S3Server

KEY = "rows.jsonl"
#: A file without rows, a small one, and one in two parts of an upload.
CONTENTS = pytest.mark.parametrize("content", [b"", b"rows", b"x" * (PART + 1)], ids=["empty", "small", "large"])


def write(bucket: str, content: bytes, before_end: Callable[[], object] = lambda: None) -> None:
    with new_file(ObjectStoragePath(f"s3://lake@{bucket}/{KEY}"), exclusive=True) as file:
        file.write(content)
        before_end()


@CONTENTS
def test_a_new_file_is_stored(server: S3Server, bucket: str, content: bytes) -> None:
    write(bucket, content)
    assert server.content(bucket, KEY) == content
    assert server.uploads(bucket) == []


@CONTENTS
@pytest.mark.parametrize("when", ["before", "during"])
def test_a_file_with_the_name_stays(server: S3Server, bucket: str, content: bytes, when: str) -> None:
    def put() -> None:
        server.client.put_object(Bucket=bucket, Key=KEY, Body=b"other")

    if when == "before":
        put()
    with pytest.raises(StorageError, match="^FileExistsError: "):
        write(bucket, content, put if when == "during" else lambda: None)
    gc.collect()
    assert server.content(bucket, KEY) == b"other"
    assert server.uploads(bucket) == []


def hide_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a file appear between the check that there is none and the request that creates it."""
    from airflow_provider_oauth.extract import storage

    monkeypatch.setattr(storage, "_check_absent", lambda fs, path: None)


@pytest.mark.parametrize("content", [b"rows", b"x" * (PART + 1)])
def test_a_file_that_appears_last_stays(
    server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    hide_file(monkeypatch)
    server.client.put_object(Bucket=bucket, Key=KEY, Body=b"other")
    with pytest.raises(StorageError, match="^FileExistsError: At least one of the pre-conditions"):
        write(bucket, content)
    assert server.content(bucket, KEY) == b"other"
    assert server.uploads(bucket) == []


@pytest.mark.parametrize(
    ("operation", "content"),
    [("PutObject", b""), ("PutObject", b"rows"), ("CompleteMultipartUpload", b"x" * (PART + 1))],
    ids=["empty", "small", "large"],
)
@pytest.mark.parametrize("moment", ["before", "inside", "after"])
def test_a_request_that_is_repeated_because_its_response_was_lost_is_no_error(
    server: S3Server, proxy: CuttingProxy, bucket: str, moment: Moment, operation: Operation, content: bytes
) -> None:
    proxy.cut = Cut(operation, 1, moment, times=1)
    write(bucket, content)
    assert proxy.requests[operation] == 2
    assert server.content(bucket, KEY) == content
    assert server.uploads(bucket) == []


def test_a_storage_that_does_not_know_the_condition_gets_the_file(
    server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from s3fs.core import S3File

    commit = S3File.commit

    def respond(self: Any) -> None:
        if "x" in self.mode:
            raise OSError(errno.ENOSYS, "A header you provided implies functionality that is not implemented")
        commit(self)

    monkeypatch.setattr(S3File, "commit", respond)
    write(bucket, b"rows")
    assert server.content(bucket, KEY) == b"rows"
    with pytest.raises(StorageError, match="FileExistsError"):
        write(bucket, b"other")
    assert server.content(bucket, KEY) == b"rows"


# --- folders


def files(server: S3Server, bucket: str) -> dict[str, bytes]:
    return {key.removeprefix("out/"): server.content(bucket, key) or b"" for key in server.keys(bucket)}


def folder_of(bucket: str) -> ObjectStoragePath:
    return ObjectStoragePath(f"s3://lake@{bucket}/out/")


def test_attempts_continue_and_replace_each_other(server: S3Server, bucket: str) -> None:
    first = part_folder(folder_of(bucket))
    assert first.begin() is None
    read_pages(first, 0, 3)
    first.abandon()
    resumed = pull(part_folder(folder_of(bucket), "2-bbbbbb"))
    assert resumed is not None
    assert resumed.rows == 4
    assert check(files(server, bucket))
    assert unlisted(files(server, bucket)) == []
    folder = part_folder(folder_of(bucket), "3-cccccc", suffix=".jsonl.gz")
    assert pull(folder) is None
    found = files(server, bucket)
    assert check(found)
    assert unlisted(found) == []
    assert folder.size == sum(len(content) for name, content in found.items() if name.startswith("part-"))
    assert server.uploads(bucket) == []


def test_an_attempt_that_finds_another_owner_stops(server: S3Server, bucket: str) -> None:
    first, second = part_folder(folder_of(bucket)), part_folder(folder_of(bucket), "2-bbbbbb")
    first.begin()
    read_pages(first, 0, 3)
    second.begin()
    with pytest.raises(OAuthError, match="another attempt of this task"):
        read_pages(first, 3)
    first.abandon()
    read_pages(second, 2)
    second.publish(SUMMARY)
    assert check(files(server, bucket))
    assert unlisted(files(server, bucket)) == []


@pytest.mark.parametrize("status", [None, 503])
@pytest.mark.parametrize("number", range(1, 8))
@pytest.mark.parametrize("moment", ["before", "after"])
def test_after_a_request_that_never_succeeds_the_next_attempt_finishes(
    server: S3Server, proxy: CuttingProxy, bucket: str, number: int, moment: Moment, status: int | None
) -> None:
    """Each file is one request: progress, part, progress, part, progress, part, manifest."""
    proxy.cut = Cut("PutObject", number, moment, status=status)
    with pytest.raises(StorageError):
        pull(part_folder(folder_of(bucket)))
    gc.collect()
    check(files(server, bucket))
    proxy.reset()
    pull(part_folder(folder_of(bucket), "2-bbbbbb"))
    found = files(server, bucket)
    assert check(found)
    assert PROGRESS not in found
    assert len(unlisted(found)) <= 1  # a part of which the first attempt got no response


def test_requests_of_a_part(proxy: CuttingProxy, bucket: str) -> None:
    folder = part_folder(folder_of(bucket))
    folder.begin()
    proxy.reset()
    read_pages(folder, 0, 2)
    # The part; whether its name exists (2), its size; the owner (2); the progress, its size.
    assert proxy.requests["PutObject"] == 2
    assert proxy.requests.total() <= 8
