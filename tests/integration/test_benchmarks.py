"""The programs that ``make bench`` compares, as far as they run in the environment of the tests."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pytest
from pyarrow import parquet

from benchmarks.__main__ import environment
from benchmarks.pages import ROWS, Urls, page_server, row
from benchmarks.pulling import ids
from benchmarks.workers import FOLDER, Peer, workers
from tests.certificates import certificates

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGES = 3


@pytest.fixture
def urls(tmp_path: Path) -> Iterator[Urls]:
    with page_server(certificates(tmp_path).server) as running:
        yield running


@pytest.mark.parametrize("module", ["loop", "stock", "ours"])
def test_each_program_writes_all_rows_in_order(module: str, urls: Urls, tmp_path: Path) -> None:
    env = {**environment(tmp_path), "REQUESTS_CA_BUNDLE": str(tmp_path / "ca.pem")}
    with workers({module: Peer(module, module)}, tmp_path, env) as running:
        for base in urls:
            running[module].pull(Urls.of_list(base, PAGES))
            lines = running[module].path.read_text().splitlines()
            assert [json.loads(line) for line in lines] == [row(number) for number in range(PAGES * ROWS)]


def test_the_extract_writes_all_rows_in_each_format_and_in_parallel(urls: Urls, tmp_path: Path) -> None:
    url, numbers = Urls.of_list(urls.plain, PAGES), list(range(PAGES * ROWS))
    with workers({"ours": Peer("ours", "ours")}, tmp_path, environment(tmp_path)) as running:
        ours = running["ours"]
        ours.pull(url, concurrency=2)
        assert [json.loads(line)["id"] for line in ours.path.read_text().splitlines()] == numbers
        ours.pull(url, suffix=".jsonl", incremental=True)
        assert list(ids(ours.path)) == numbers
        ours.pull(url, suffix=FOLDER)
        assert list(ids(ours.path)) == numbers
        ours.pull(url, suffix=".csv")
        with ours.path.open() as file:
            assert [int(each["id"]) for each in csv.DictReader(file)] == numbers
        ours.pull(url, suffix=".parquet")
        assert parquet.read_table(ours.path).to_pylist() == [row(number) for number in numbers]
