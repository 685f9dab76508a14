"""How often a process reads and writes Variables to get a token. Each step is a new process without a token."""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.runtime import airflow_variables
from benchmarks.client import register
from benchmarks.measuring import Row
from sandbox.server import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

#: The steps of one connection: hours since its first use, and the situation. Tokens are valid for an hour.
STEPS = (
    (0.0, "first use"),
    (0.1, "token stored, 3 hooks"),
    (0.9, "token usable, but due for renewal"),
    (3.0, "token expired"),
)
GOALS = {"token stored, 3 hooks": "1 read, 0 writes"}
fork = multiprocessing.get_context("fork")


def counts(conn_id: str, hours: float) -> Counter[str]:
    """Return how often a new process reads and writes Variables, and how many seconds it waits.

    Three hooks get the token one after the other. The waits are skipped.

    :param conn_id: the connection
    :param hours: how far the clock is ahead
    """
    receiver, sender = fork.Pipe(duplex=False)
    process = fork.Process(target=_child, args=(conn_id, hours, sender))
    process.start()
    sender.close()  # so that recv raises EOFError if the child dies
    try:
        return receiver.recv()
    finally:
        process.join()


def _child(conn_id: str, hours: float, sender: Connection) -> None:
    counted: Counter[str] = Counter()
    for name, counter in (("get_variable", "reads"), ("set_variable", "writes"), ("is_listed", "listings")):
        setattr(airflow_variables, name, _counting(getattr(airflow_variables, name), counter, counted))
    now = Clock.now
    Clock.now = lambda self: now(self) + timedelta(hours=hours)  # type: ignore[method-assign]
    Clock.sleep = lambda self, seconds: counted.update(waits=seconds)  # type: ignore[method-assign]
    for _ in range(3):
        OAuthHook(conn_id).get_token()
    sender.send(counted)


def _counting(call: Callable[..., Any], counter: str, counted: Counter[str]) -> Callable[..., Any]:
    def counting(name: str, *args: Any) -> Any:
        counted[counter] += 1
        return call(name, *args)

    return counting


def _row(grant_type: str, step: str, counted: Counter[str]) -> Row:
    parts = [f"{counted['reads']} read", f"{counted['writes']} write", f"{counted['listings']} listing"]
    text = ", ".join(part if part.startswith("1 ") else f"{part}s" for part in parts if part != "0 listing")
    waits = f"; waits {counted['waits']:.0f} s" if counted["waits"] else ""
    return Row(f"Variables, {grant_type}: {step}", "", text + waits, "", GOALS.get(step, ""))


def rows() -> list[Row]:
    """Return the rows of the table."""
    table = []
    with SandboxProcess(Path(os.environ["AIRFLOW_HOME"], "variables")) as sandbox:
        for grant_type in ("client_credentials", "refresh_token"):
            register(sandbox, grant_type, grant_type)
            for hours, step in STEPS:
                table.append(_row(grant_type, step, counts(grant_type, hours)))
    return table
