"""The programs that ``make bench`` compares, as far as they run in the environment of the tests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from benchmarks.__main__ import environment
from benchmarks.pages import ROWS, Urls, page_server, row
from benchmarks.workers import Peer, workers
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
            result = running[module].pull(Urls.of_list(base, PAGES))
            lines = running[module].path.read_text().splitlines()
            assert [json.loads(line) for line in lines] == [row(number) for number in range(PAGES * ROWS)]
            assert min(result.seconds, result.processor, result.memory) > 0
