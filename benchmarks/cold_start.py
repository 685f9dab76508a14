"""64 processes of one host need a token at the same moment, when none is stored.

With this package they share one token in Airflow's database, a SQLite file. As the reference, each process sends its
own token request. The processes are forked after all imports and wait for the same signal. The server takes 200 ms per
token, independent of the number of requests. With 64 processes on a few cores, most of the time is processor time:
every process derives the key of the stored record with scrypt, which is slow by design.
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
#: Seconds in which the server responds to a token request.
DELAY = 0.2
fork = multiprocessing.get_context("fork")


class Start(NamedTuple):
    """The result of one start.

    :param requests: token requests that the server counted
    :param last: seconds until the last process had a token
    :param processor: median processor seconds of a process
    """

    requests: int
    last: float
    processor: float


def start_all(get_token: Callable[[], object]) -> tuple[float, float]:
    """Call ``get_token`` in all processes at the same moment.

    :return: the seconds until the last token, and the median processor seconds of a process
    :raises RuntimeError: when a process gets no token
    """
    results: SimpleQueue[tuple[float, float] | str | None] = fork.SimpleQueue()
    gate, opener = os.pipe()
    processes = [fork.Process(target=_child, args=(get_token, gate, opener, results)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for _ in processes:
        results.get()  # the process is ready
    begun = time.monotonic()  # the same clock in all processes of a host
    os.close(opener)  # starts all processes
    done = [results.get() for _ in processes]
    for process in processes:
        process.join()
    os.close(gate)
    if failed := [result for result in done if not isinstance(result, tuple)]:
        raise RuntimeError(f"{len(failed)} of {PROCESSES} processes got no token. First error: {failed[0]}")
    ends, processor = zip(*done, strict=True)
    return max(ends) - begun, statistics.median(processor)


def _child(
    get_token: Callable[[], object], gate: int, opener: int, results: SimpleQueue[tuple[float, float] | str | None]
) -> None:
    os.close(opener)
    results.put(None)
    os.read(gate, 1)
    begun = time.process_time()
    try:
        get_token()
    except Exception as error:
        results.put(f"{type(error).__name__}: {error}")
    else:
        results.put((time.monotonic(), time.process_time() - begun))


def _ours(conn_id: str, token_url: str) -> None:
    OAuthHook(conn_id).get_token()


def _own_request(conn_id: str, token_url: str) -> None:
    response = requests.post(token_url, {"grant_type": "client_credentials"}, auth=(conn_id, SECRET), timeout=60)
    response.raise_for_status()
    response.json()["access_token"]


def measure(sandbox: SandboxProcess) -> tuple[list[Start], list[Start]]:
    """Return the starts with this package and those of the reference, taken in turns, each with its own client."""
    sandbox.control("faults", {"server": "standard", "endpoint": "token", "times": 10**6, "delay": DELAY})
    ours: list[Start] = []
    theirs: list[Start] = []
    for number in range(ROUNDS):
        for get_token, starts in ((_ours, ours), (_own_request, theirs)):
            conn_id = f"cold{get_token.__name__}_{number}"
            token_url = register(sandbox, conn_id)
            last, processor = start_all(partial(get_token, conn_id, token_url))
            starts.append(Start(sandbox.control("counts")[conn_id]["token_requests"], last, processor))
    return ours, theirs


def rows() -> list[Row]:
    """Return the rows of the table."""
    with SandboxProcess(Path(os.environ["AIRFLOW_HOME"], "cold_start")) as sandbox:
        register(sandbox, "warm")
        # Import everything, and initialize SQLAlchemy, before the fork.
        _ = (OAuthHook("warm").config, airflow_variables.get_variable("nothing"))
        gc.collect()
        gc.freeze()  # so that the garbage collector of each process does not examine inherited objects
        ours, theirs = measure(sandbox)
    return [
        _row("token requests, maximum", ours, theirs, "requests", "{:.0f}", of=max, goal="1"),
        _row("last token after", ours, theirs, "last", "{:.2f} s"),
        _row("processor time of one process", ours, theirs, "processor", "{:.3f} s"),
    ]


def _row(
    label: str,
    ours: list[Start],
    theirs: list[Start],
    name: str,
    form: str,
    of: Callable[[list[float]], float] = statistics.median,
    goal: str = "",
) -> Row:
    values, references = [getattr(start, name) for start in ours], [getattr(start, name) for start in theirs]
    times = f"own requests {form.format(of(references))}", form.format(of(values))
    return Row(f"Cold start, {PROCESSES} processes: {label}", *times, f"{ratio(values, references):.3g}", goal)
