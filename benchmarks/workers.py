"""Runs the programs in ``benchmarks/peers``, each in the virtual environment of its libraries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import environments
from benchmarks.peers.worker import Job, Result

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[1]
#: The suffix of a folder of parts.
FOLDER = "/"


@dataclass(frozen=True)
class Peer:
    """A program that pulls a list.

    :param label: its name in the table, without versions
    :param module: its module in ``benchmarks.peers``
    :param environment: its virtual environment in ``peers.toml``; None for the one of this package
    :param suffix: the suffix of its file; empty if it writes to a folder
    :param is_slow: whether it is measured only in some of the rounds
    """

    label: str
    module: str
    environment: str | None = None
    suffix: str = ".jsonl"
    is_slow: bool = False

    @property
    def python(self) -> str:
        """The path of its interpreter."""
        return environments.python(self.environment) if self.environment else sys.executable


class Worker:
    """The process of a peer.

    :param peer: the program
    :param folder: for its file and its log
    :param env: the variables to add to its environment
    """

    def __init__(self, peer: Peer, folder: Path, env: Mapping[str, str]) -> None:
        self.peer = peer
        #: What it writes.
        self.path = folder / f"{peer.module}{peer.suffix}"
        self._log = folder / f"{peer.module}.log"
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [peer.python, "-m", f"benchmarks.peers.{peer.module}"],
                env={**os.environ, **env},
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def pull(self, url: str, concurrency: int = 1, suffix: str | None = None, *, incremental: bool = False) -> Result:
        """Pull a list.

        :param url: the base URL of the list
        :param concurrency: the number of pages to fetch at the same time
        :param suffix: the suffix of the file, or a slash for a folder of parts; None for the usual one
        :param incremental: whether to read the mark of each row
        :raises RuntimeError: if the process ends
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if suffix:
            self.path = self.path.with_suffix("" if suffix == FOLDER else suffix)
        path = f"{self.path}/" if suffix == FOLDER else str(self.path)
        job = Job(url, path, concurrency, incremental)
        print(json.dumps(asdict(job)), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.peer.label} failed:\n{self._log.read_text()[-3000:]}")
        return Result(**json.loads(line))

    def stop(self) -> None:
        """End the process."""
        self._process.communicate()


@contextmanager
def workers(peers: Mapping[str, Peer], folder: Path, env: Mapping[str, str]) -> Iterator[dict[str, Worker]]:
    """Start the processes of peers, and end them afterwards."""
    started = {name: Worker(peer, folder, env) for name, peer in peers.items()}
    try:
        yield started
    finally:
        for worker in started.values():
            worker.stop()
