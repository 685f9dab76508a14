"""Calls inside the package that one request makes, and how often they move from one file to another.

The first request of a process and a later one are measured, each with a new hook. The token is already stored.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import airflow_provider_oauth
from airflow_provider_oauth.hooks.oauth import OAuthHook
from benchmarks.client import register
from benchmarks.measuring import Row
from sandbox.server import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from types import FrameType

PACKAGE = str(Path(airflow_provider_oauth.__file__).parent)
CONN_ID = "call_path"
#: What is measured.
REQUESTS: dict[str, Callable[[], object]] = {
    "get_token()": lambda: OAuthHook(CONN_ID).get_token(),
    "run()": lambda: OAuthHook(CONN_ID, method="GET").run("items"),
}
fork = multiprocessing.get_context("fork")


@dataclass
class CallPath:
    """What one request calls.

    :param calls: number of calls of the package's functions
    :param moves: number of these calls whose caller in the package is in another file
    :param connections: how often the connection is read from Airflow
    """

    calls: int = 0
    moves: int = 0
    connections: int = 0

    def record(self, frame: FrameType, event: str, argument: Any) -> None:
        """Count a call; to be used with ``sys.setprofile``."""
        code = frame.f_code
        if event != "call":
            return
        if code.co_name == "get_connection" and code.co_filename.endswith("bases/hook.py"):
            self.connections += 1
        if code.co_filename.startswith(PACKAGE) and not code.co_name.startswith("<"):
            self.calls += 1
            caller = frame.f_back
            while caller and not caller.f_code.co_filename.startswith(PACKAGE):
                caller = caller.f_back
            self.moves += caller is not None and caller.f_code.co_filename != code.co_filename


def call_path(request: Callable[[], object]) -> CallPath:
    """Return what a request calls."""
    path = CallPath()
    sys.setprofile(path.record)
    try:
        request()
    finally:
        sys.setprofile(None)
    return path


def in_new_process(name: str) -> tuple[CallPath, CallPath]:
    """Return the path of a process's first request and of its second one."""
    receiver, sender = fork.Pipe(duplex=False)
    process = fork.Process(target=_child, args=(name, sender))
    process.start()
    sender.close()  # so that recv ends if the child dies
    try:
        return receiver.recv()
    finally:
        process.join()


def _child(name: str, sender: Connection) -> None:
    sender.send((call_path(REQUESTS[name]), call_path(REQUESTS[name])))


def _row(what: str, path: CallPath) -> Row:
    text = f"{path.calls} calls, {path.moves} moves, connection read {path.connections} x"
    return Row(f"Call path, OAuthHook(…).{what}", "", text)


def rows() -> list[Row]:
    """Return what goes into the table."""
    with SandboxProcess(Path(os.environ["AIRFLOW_HOME"], CONN_ID)) as sandbox:
        register(sandbox, CONN_ID)
        OAuthHook(CONN_ID).get_token()  # now a token is stored
        found = []
        for name in REQUESTS:
            first, second = in_new_process(name)
            found += [_row(f"{name}, first of a process", first), _row(f"{name}, later", second)]
    return found
