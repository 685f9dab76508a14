"""Files in S3, over HTTP, with a connection that is reset at every request: complete, or absent with an error."""

from __future__ import annotations

import gc
import gzip
import io
import json
import os
import secrets
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from airflow.sdk import ObjectStoragePath
from backports import zstd
from pyarrow import parquet

from airflow_provider_oauth.extract.rows import InvalidPage
from airflow_provider_oauth.extract.storage import StorageError, new_file
from airflow_provider_oauth.extract.writers.file_format import file_format
from tests.integration.cutting_proxy import PART, Cut

if TYPE_CHECKING:
    from tests.integration.cutting_proxy import CuttingProxy, Moment, Operation
    from tests.integration.s3_server import S3Server

ROW = b'{"id": 1, "name": "Z\xc3\xbcrich"}\n' * 100
#: Three full parts and the beginning of a fourth one.
ROWS = 3 * PART // len(ROW) + 10
KEY = "rows.jsonl"
REQUESTS: list[tuple[Operation, int]] = [
    ("CreateMultipartUpload", 1),
    ("UploadPart", 1),
    ("UploadPart", 2),
    ("UploadPart", 3),
    ("UploadPart", 4),
    ("CompleteMultipartUpload", 1),
]
MOMENTS: list[Moment] = ["before", "inside", "after"]
CUTS = pytest.mark.parametrize(
    ("operation", "number", "moment"),
    [
        (operation, number, moment)
        for operation, number in REQUESTS
        for moment in MOMENTS
        if (operation, moment) != ("CreateMultipartUpload", "inside")  # it has no body
    ],
)


def write(bucket: str, key: str = KEY, rows: int = ROWS) -> None:
    with new_file(ObjectStoragePath(f"s3://lake@{bucket}/{key}")) as file:
        for _ in range(rows):
            file.write(ROW)


def test_a_file_is_uploaded_in_parts(server: S3Server, proxy: CuttingProxy, bucket: str) -> None:
    write(bucket)
    assert server.content(bucket, KEY) == ROW * ROWS
    assert proxy.requests["UploadPart"] == 4
    assert server.uploads(bucket) == []


def test_a_small_file_is_one_request(server: S3Server, proxy: CuttingProxy, bucket: str) -> None:
    write(bucket, rows=1)
    assert server.content(bucket, KEY) == ROW
    assert proxy.requests == {"PutObject": 1, "Other": 1}  # and its size is checked


@CUTS
def test_a_connection_that_is_reset_once_does_no_harm(
    server: S3Server, proxy: CuttingProxy, bucket: str, operation: Operation, number: int, moment: Moment
) -> None:
    proxy.cut = Cut(operation, number, moment, times=1)
    write(bucket)
    assert server.content(bucket, KEY) == ROW * ROWS
    # The client does not know the ID of an upload whose response was lost. A lifecycle rule removes it.
    is_unknown = (operation, moment) == ("CreateMultipartUpload", "after")
    assert len(server.uploads(bucket)) == is_unknown


@CUTS
@pytest.mark.parametrize("earlier", [None, b"earlier rows"])
def test_a_request_that_never_succeeds_leaves_what_was_there(
    server: S3Server,
    proxy: CuttingProxy,
    bucket: str,
    operation: Operation,
    number: int,
    moment: Moment,
    earlier: bytes | None,
) -> None:
    if earlier is not None:
        server.client.put_object(Bucket=bucket, Key=KEY, Body=earlier)
    proxy.cut = Cut(operation, number, moment)
    with pytest.raises(StorageError):
        write(bucket)
    gc.collect()  # a forgotten upload would send its rest when it is deleted
    # If only the last response is lost, the file is complete, in spite of the error.
    is_complete = (operation, moment) == ("CompleteMultipartUpload", "after")
    assert server.content(bucket, KEY) == (ROW * ROWS if is_complete else earlier)
    is_unknown = (operation, moment) == ("CreateMultipartUpload", "after")
    assert len(server.uploads(bucket)) == (proxy.requests["CreateMultipartUpload"] if is_unknown else 0)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_file_without_rows_is_one_request_which_is_repeated(
    server: S3Server, proxy: CuttingProxy, bucket: str, moment: Moment
) -> None:
    proxy.cut = Cut("PutObject", 1, moment, times=1)
    write(bucket, rows=0)
    assert (server.content(bucket, KEY), server.uploads(bucket)) == (b"", [])


@pytest.mark.parametrize(("moment", "content"), [("before", None), ("after", b"")])
def test_a_file_without_rows_that_cannot_be_stored_is_an_error(
    server: S3Server, proxy: CuttingProxy, bucket: str, moment: Moment, content: bytes | None
) -> None:
    proxy.cut = Cut("PutObject", 1, moment)
    with pytest.raises(StorageError):
        write(bucket, rows=0)
    assert (server.content(bucket, KEY), server.uploads(bucket)) == (content, [])


@pytest.mark.parametrize("fails_after", [0, 1, PART, PART + 1, 2 * PART + PART // 2, 3 * PART + 100])
def test_a_network_that_stays_down_publishes_nothing_and_a_warning_names_the_lifecycle_rule(
    server: S3Server, proxy: CuttingProxy, bucket: str, fails_after: int, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.fails_after = fails_after
    with pytest.raises(StorageError, match="onnect|closed"):
        write(bucket)
    assert server.content(bucket, KEY) is None
    uploads = server.uploads(bucket)
    assert len(uploads) <= 1
    assert ("AbortIncompleteMultipartUpload" in caplog.text) == bool(uploads)


@pytest.mark.parametrize("rows", [0, 1, ROWS])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_after_an_exception_of_the_task_nothing_is_stored(
    server: S3Server, bucket: str, rows: int, error: type[BaseException], suffix: str
) -> None:
    target = ObjectStoragePath(f"s3://lake@{bucket}/rows.jsonl{suffix}")
    with pytest.raises(error), new_file(target) as file:  # noqa: PT012
        for _ in range(rows):
            file.write(ROW)
        raise error
    gc.collect()
    assert not target.fs.transaction.files
    assert (server.keys(bucket), server.uploads(bucket)) == ([], [])


@pytest.mark.parametrize("rows", [0, 1, ROWS])
def test_files_are_compressed(server: S3Server, bucket: str, rows: int) -> None:
    write(bucket, "rows.jsonl.gz", rows)
    write(bucket, "rows.jsonl.zst", rows)
    assert gzip.decompress(server.content(bucket, "rows.jsonl.gz") or b"") == ROW * rows
    assert zstd.decompress(server.content(bucket, "rows.jsonl.zst") or b"") == ROW * rows


def write_columns(bucket: str, suffix: str, columns: dict[str, str] | None, *rows: bytes) -> None:
    """Write rows to a file with columns."""
    path = f"s3://lake@{bucket}/rows{suffix}"
    chosen = file_format("my_api", path, columns=columns, extra_columns="error", csv_escape=False)
    with new_file(ObjectStoragePath(path)) as file, chosen.open(file) as target:
        for row in rows:
            target.write([row])
        target.finish()


@pytest.mark.parametrize("columns", [None, {"id": "int64", "name": "string"}])
def test_files_in_csv_and_parquet_are_uploaded_in_parts(
    server: S3Server, proxy: CuttingProxy, bucket: str, columns: dict[str, str] | None
) -> None:
    # Parquet does not store the same text twice.
    names = [secrets.token_hex(PART // 4) for _ in range(5)]
    rows = [json.dumps({"id": number, "name": name}).encode() for number, name in enumerate(names)]
    write_columns(bucket, ".csv", columns, *rows)
    write_columns(bucket, ".parquet", columns, *rows)
    lines = [f"{number},{name}\n" for number, name in enumerate(names)]
    assert server.content(bucket, "rows.csv") == "".join(["id,name\n", *lines]).encode()
    table = parquet.read_table(io.BytesIO(server.content(bucket, "rows.parquet") or b""))
    assert table.to_pylist() == [{"id": number, "name": name} for number, name in enumerate(names)]
    assert proxy.requests["CompleteMultipartUpload"] == 2
    assert server.uploads(bucket) == []


@pytest.mark.parametrize("suffix", [".csv", ".csv.zst", ".parquet"])
@pytest.mark.parametrize("columns", [None, {"id": "int64"}])
def test_after_a_row_that_does_not_fit_no_file_with_columns_is_stored(
    server: S3Server, bucket: str, suffix: str, columns: dict[str, str] | None
) -> None:
    with pytest.raises(InvalidPage, match="row 2 is not an object"):
        write_columns(bucket, suffix, columns, b'{"id":1}', b"2")
    gc.collect()
    assert (server.keys(bucket), server.uploads(bucket)) == ([], [])


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_network_that_stays_down_publishes_no_file_with_columns(
    server: S3Server, proxy: CuttingProxy, bucket: str, suffix: str
) -> None:
    proxy.fails_after = 0
    with pytest.raises(StorageError, match="onnect|closed"):
        write_columns(bucket, suffix, {"id": "int64"}, b'{"id":1}')
    assert server.keys(bucket) == []


def test_a_bucket_that_does_not_exist_is_an_error(bucket: str) -> None:
    with pytest.raises(StorageError, match="FileNotFoundError"):
        write("nosuch-bucket")


def test_a_killed_task_leaves_parts_but_no_file(server: S3Server, bucket: str) -> None:
    program = f"""
import os
from airflow.sdk import ObjectStoragePath
from airflow_provider_oauth.extract import storage
storage.PART_SIZE = {PART}
with storage.new_file(ObjectStoragePath("s3://lake@{bucket}/{KEY}")) as file:
    for _ in range({ROWS}):
        file.write({ROW!r})
    os.kill(os.getpid(), 9)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=False, timeout=100)
    assert server.keys(bucket) == []
    assert [(each.key, each.parts) for each in server.uploads(bucket)] == [(KEY, 3)]
