"""Child processes that are stopped together with all their descendants; their output goes to a file.

A component of Airflow starts other processes, some in new process groups (each task has one). :class:`Component` starts
a new session, in which all these processes stay. This is how they are found and stopped.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path


class Component:
    """One long-running child process.

    :param name: its name in messages
    :param command: its argument list
    :param env: its complete environment
    :param cwd: its working directory
    :param log: the file to which its output is appended
    :param identity: ``user``, ``group`` and ``extra_groups`` as in ``subprocess.Popen``, to run it as another user
    """

    def __init__(
        self, name: str, command: Sequence[str], env: Mapping[str, str], cwd: Path, log: Path, **identity: Any
    ) -> None:
        self.name = name
        self.log = log
        self._log_start = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603
                command, env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True, **identity,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """The process ID, which is also the ID of its process group and of its session."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.poll()

    def tail(self, lines: int = 30) -> str:
        """Return the last lines of its output since its start."""
        return tail(self.log, lines, since=self._log_start)

    def has_printed(self, text: str) -> bool:
        """Return whether its output since its start contains this text."""
        with self.log.open("rb") as output:
            output.seek(self._log_start)
            return text.encode() in output.read()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its process group."""
        if self.exit_code is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def members(self) -> list[psutil.Process]:
        """Return all running processes of its session."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess, ProcessLookupError, PermissionError):
                if os.getsid(process.pid) == self.pid and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def pause(self) -> None:
        """Pause all processes of its session until :meth:`resume`, like a host that hangs."""
        deadline = time.monotonic() + 10
        # Repeated, because pausing takes a moment in which a process may start another one.
        while not self._is_paused() and time.monotonic() < deadline:
            for process in self.members():
                with suppress(psutil.NoSuchProcess):
                    process.suspend()

    def _is_paused(self) -> bool:
        with suppress(psutil.NoSuchProcess):
            return all(process.status() == psutil.STATUS_STOPPED for process in self.members())
        return False

    def resume(self) -> None:
        """Resume all processes of its session."""
        for process in self.members():
            with suppress(psutil.NoSuchProcess):
                process.resume()


def stop(components: Iterable[Component], grace: float) -> None:
    """Stop components: SIGTERM to their process groups, then SIGKILL to all processes left in their sessions.

    :param grace: maximum seconds between the two signals
    """
    components = list(components)
    for component in components:
        component.signal(signal.SIGTERM)
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline and any(component.exit_code is None for component in components):
        time.sleep(0.05)
    kill(components)


def kill(components: Iterable[Component]) -> None:
    """Send SIGKILL to all processes in the components' sessions, and reap them."""
    for component in components:
        # Repeated, because a process may start another one before it is killed.
        for _ in range(5):
            members = component.members()
            for process in members:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(members, timeout=5)
            if not members:
                break
        _ = component.exit_code  # reaps it


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM and SIGHUP, so that ``with`` blocks and fixtures clean up.

    This has no effect outside the main thread, where Python allows no signal handlers.
    """
    with _handlers(_interrupt, signal.SIGTERM, signal.SIGHUP):
        yield


@contextmanager
def not_interrupted() -> Iterator[None]:
    """Ignore Ctrl-C, SIGTERM and SIGHUP within the block, for a cleanup that takes a limited time."""
    with _handlers(signal.SIG_IGN, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        yield


def free_ports(count: int) -> list[int]:
    """Return different loopback ports that are free now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def is_free(port: int) -> bool:
    """Return whether a server can listen on a loopback port now."""
    with socket.socket() as listener:
        # Connections of a server that has stopped can remain for a minute. They do not prevent a new server.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen()
        except OSError:
            return False
        return True


def tail(path: Path, lines: int = 30, since: int = 0) -> str:
    """Return the last lines of a text file.

    :param since: byte offset to start from
    """
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(since, path.stat().st_size - 65536))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt(f"stopped by {signal.Signals(number).name}")


@contextmanager
def _handlers(handler: object, *numbers: signal.Signals) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}  # type: ignore[arg-type]
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
