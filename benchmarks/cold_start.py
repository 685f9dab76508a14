"""64 processes of one host that want a token at once, when none is stored: ours, and each asking for itself.

The processes are forked after all imports and wait for the same signal. Ours share the token by Airflow's database, a
SQLite file. The server needs 200 ms for a token, however many ask. With 64 processes on a few cores, what ours takes
is mostly processor time: every process derives the key of the stored record, by scrypt, which is slow on purpose.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import statistics
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import requests

from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.runtime import airflow_variables
from benchmarks.client import SECRET, register
from benchmarks.measuring import Row, ratio
from sandbox.server import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.queues import SimpleQueue

PROCESSES = 64
ROUNDS = 3
#: Seconds that the server takes for a token.
DELAY = 0.2
fork = multiprocessing.get_context("fork")


class Start(NamedTuple):
    """What one start took: requests counted at the server, seconds to the last token, processor seconds a process."""

    requests: int
    last: float
    processor: float


def at_once(ask: Callable[[], object]) -> tuple[float, float]:
    """Call ``ask`` in every process; return the seconds to the last token, and the processor time of one.

    :raises RuntimeError: if a process got none
    """
    results: SimpleQueue[tuple[float, float] | str | None] = fork.SimpleQueue()
    gate, opener = os.pipe()
    processes = [fork.Process(target=_child, args=(ask, gate, opener, results)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for _ in processes:
        results.get()  # it is ready
    begun = time.monotonic()  # the same clock in all processes of a host
    os.close(opener)  # which all of them see at once
    done = [results.get() for _ in processes]
    for process in processes:
        process.join()
    os.close(gate)
    if failed := [result for result in done if not isinstance(result, tuple)]:
        raise RuntimeError(f"{len(failed)} of {PROCESSES} processes got no token, one of them: {failed[0]}")
    ends, processor = zip(*done, strict=True)
    return max(ends) - begun, statistics.median(processor)


def _child(
    ask: Callable[[], object], gate: int, opener: int, results: SimpleQueue[tuple[float, float] | str | None]
) -> None:
    os.close(opener)
    results.put(None)
    os.read(gate, 1)
    begun = time.process_time()
    try:
        ask()
    except Exception as error:
        results.put(f"{type(error).__name__}: {error}")
    else:
        results.put((time.monotonic(), time.process_time() - begun))


def _ours(conn_id: str, token_url: str) -> None:
    OAuthHook(conn_id).get_token()


def _by_itself(conn_id: str, token_url: str) -> None:
    answer = requests.post(token_url, {"grant_type": "client_credentials"}, auth=(conn_id, SECRET), timeout=60)
    answer.raise_for_status()
    answer.json()["access_token"]


def measure(sandbox: SandboxProcess) -> tuple[list[Start], list[Start]]:
    """Return the starts of ours and of theirs, taken in turns; every start has a client of its own."""
    sandbox.control("faults", {"server": "standard", "endpoint": "token", "times": 10**6, "delay": DELAY})
    ours: list[Start] = []
    theirs: list[Start] = []
    for number in range(ROUNDS):
        for ask, starts in ((_ours, ours), (_by_itself, theirs)):
            conn_id = f"cold{ask.__name__}_{number}"
            token_url = register(sandbox, conn_id)
            last, processor = at_once(partial(ask, conn_id, token_url))
            starts.append(Start(sandbox.control("counts")[conn_id]["token_requests"], last, processor))
    return ours, theirs


def rows() -> list[Row]:
    """Return what goes into the table."""
    with SandboxProcess(Path(os.environ["AIRFLOW_HOME"], "cold_start")) as sandbox:
        register(sandbox, "warm")
        _ = (
            OAuthHook("warm").config,
            airflow_variables.get_variable("nothing"),
        )  # imports, SQLAlchemy
        gc.collect()
        gc.freeze()  # or each of the processes would look through all that it inherited
        ours, theirs = measure(sandbox)
    return [
        _row("token requests, most", ours, theirs, "requests", "{:.0f}", of=max, goal="1"),
        _row("last token after", ours, theirs, "last", "{:.2f} s"),
        _row("processor time of one process", ours, theirs, "processor", "{:.3f} s"),
    ]


def _row(
    what: str,
    ours: list[Start],
    theirs: list[Start],
    name: str,
    form: str,
    of: Callable[[list[float]], float] = statistics.median,
    goal: str = "",
) -> Row:
    mine, others = [getattr(start, name) for start in ours], [getattr(start, name) for start in theirs]
    times = f"each by itself {form.format(of(others))}", form.format(of(mine))
    return Row(f"Cold start, {PROCESSES} processes: {what}", *times, f"{ratio(mine, others):.3g}", goal)
