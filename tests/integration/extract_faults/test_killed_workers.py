"""Killed workers and full disks: the earlier file stays."""

from __future__ import annotations

import gzip
import os
import signal
import threading
import warnings

import pytest
from backports import zstd

from airflow_provider_oauth.exceptions import OAuthError
from tests.full_disk import full_disk
from tests.integration import list_server as faulty
from tests.integration.extract_faults.extracts import OLD, Extract
from tests.integration.list_server import PAGES, ROWS, Reply


@pytest.mark.parametrize("moment", ["before the response", "in the response", "after the response"])
@pytest.mark.parametrize("number", [1, 2, 20, PAGES])
@pytest.mark.parametrize(("style", "suffix"), [("number", ""), ("search", ".zst"), ("lines", ".gz")])
def test_a_killed_worker_leaves_the_earlier_file_and_the_next_run_succeeds(
    extract: Extract, suffix: str, style: str, number: int, moment: str
) -> None:
    extract.path = extract.path.with_name(f"rows.jsonl{suffix}")
    extract.path.write_bytes(OLD)
    worker, has_pid = 0, threading.Event()

    def kill(handler: faulty.Handler, reply: Reply) -> None:
        has_pid.wait(60)
        if moment == "in the response":
            handler.wfile.write(reply.head(Content_Length=len(reply.body)) + reply.body[:20])
        elif moment == "after the response" and number < PAGES:
            faulty.whole(handler, reply)
        os.kill(worker, signal.SIGKILL)

    extract.server.faults = {number: iter([kill])}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns if a process with threads is forked
        worker = os.fork()
    if not worker:
        try:
            extract.run(style)
        finally:
            os._exit(0)
    has_pid.set()
    assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == -signal.SIGKILL
    assert extract.path.read_bytes() == OLD
    extract.server.faults = {}
    assert extract.run(style)["rows"] == len(ROWS)
    unpack = {"": bytes, ".gz": gzip.decompress, ".zst": zstd.decompress}[suffix]
    assert unpack(extract.path.read_bytes()) == b"".join(row + b"\n" for row in ROWS)


# --- storage


@pytest.mark.parametrize("style", ["cursor", "lines"])
@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_a_full_disk_is_an_error(extract: Extract, style: str, suffix: str) -> None:
    extract.path = extract.path.with_name(f"rows.jsonl{suffix}")
    with full_disk(4000):
        extract.fails(style, "cannot be stored", OAuthError)


def test_a_full_temporary_folder_is_an_error(extract: Extract, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.TemporaryFile", lambda: open("/dev/full", "w+b"))  # noqa: SIM115
    extract.fails("lines", "cannot be stored in the temporary folder.*No space left")
