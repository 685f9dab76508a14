"""Runs the sandbox in a thread of this process (:func:`serve`) or in a separate process (:class:`SandboxProcess`)."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox.api import api_router
from sandbox.authorization_endpoint import authorization_router
from sandbox.control import control_router
from sandbox.device_endpoint import device_router
from sandbox.metadata import metadata_router
from sandbox.pushed_authorization import pushed_authorization_router
from sandbox.revocation import revocation_router
from sandbox.state import State
from sandbox.token_endpoint import token_router
from sandbox.vendors import SERVERS

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator, Sequence

    from sandbox.server_config import ServerConfig

#: ``python -m sandbox`` prints this text and its URL when it accepts connections.
READY = "sandbox ready on "

_START_TIMEOUT = 60.0
_STOP_TIMEOUT = 10.0


def create_app(state: State, servers: Sequence[ServerConfig] = SERVERS) -> FastAPI:
    """Return the application: the endpoints and the API of every server, and the control routes."""
    # A real token endpoint does not redirect "/token/" to "/token", with the secrets in the request.
    app = FastAPI(title="sandbox", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.include_router(control_router(state, servers))
    for server in servers:
        app.include_router(token_router(server, state))
        app.include_router(authorization_router(server, state))
        app.include_router(pushed_authorization_router(server, state))
        app.include_router(device_router(server, state))
        app.include_router(revocation_router(server, state))
        app.include_router(metadata_router(server))
        app.include_router(api_router(server, state))
    return app


class Protocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol, extended so that a response can abort the connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Store the transport in ``scope["state"]["transport"]``, for :class:`sandbox.faults.DroppedConnection`."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


@dataclass(frozen=True)
class Sandbox:
    """A sandbox that runs in this process.

    :param url: Its base URL, e.g. ``http://127.0.0.1:4711``.
    :param state: Its state, to register clients and to read counters.
    """

    url: str
    state: State


class _Server(uvicorn.Server):
    """A uvicorn server that sets an event when it accepts connections."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@contextlib.contextmanager
def serve(
    state_dir: str | Path,
    port: int = 0,
    clock: Callable[[], float] = time.time,
    servers: Sequence[ServerConfig] = SERVERS,
    host: str = "127.0.0.1",
) -> Iterator[Sandbox]:
    """Run the sandbox in a background thread.

    :param state_dir: The folder of its state.
    :param port: The TCP port; 0 for the port of the last run if it is free, otherwise any free port.
    :param clock: Returns the time in seconds since the epoch.
    :param servers: The servers to run.
    :param host: A loopback address.
    :raises ValueError: when the host is not a loopback address
    """
    with (
        contextlib.closing(State(state_dir, clock)) as state,
        _listen(state.directory / "port", host, port) as listener,
    ):
        config = uvicorn.Config(
            create_app(state, servers),
            http=Protocol,
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=1,
            # When this process was paused, uvicorn would close all idle connections, also those with a new request.
            timeout_keep_alive=60,
        )
        server = _Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), name="sandbox", daemon=True)
        thread.start()
        try:
            if not server.ready.wait(_START_TIMEOUT):
                raise RuntimeError("the sandbox did not start")
            address = f"[{host}]" if ":" in host else host
            yield Sandbox(f"http://{address}:{listener.getsockname()[1]}", state)
        finally:
            server.should_exit = True
            thread.join(_STOP_TIMEOUT)


def check_loopback(host: str) -> None:
    """Check that a host is reachable from this machine only.

    :raises ValueError: when it is not a loopback address
    """
    with contextlib.suppress(ValueError):
        if host == "localhost" or ipaddress.ip_address(host).is_loopback:
            return
    raise ValueError(f"the sandbox listens on loopback only (127.0.0.1, ::1, localhost), not on {host!r}")


def _listen(port_file: Path, host: str, port: int) -> socket.socket:
    """Listen on the requested port or, for 0, on the port of the last run if it is free. Store the port."""
    check_loopback(host)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    last = int(port_file.read_text()) if port == 0 and port_file.exists() else port
    try:
        listener = socket.create_server((host, last), family=family)
    except OSError:
        if port:
            raise
        listener = socket.create_server((host, 0), family=family)
    port_file.write_text(str(listener.getsockname()[1]))
    return listener


class SandboxProcess:
    """Runs the sandbox in a separate process, as a context manager.

    :param state_dir: The folder of its state and of its log, ``sandbox.log``.
    :param port: As for :func:`serve`.
    """

    def __init__(self, state_dir: str | Path, port: int = 0) -> None:
        self.state_dir = Path(state_dir)
        self.port = port
        self.url = ""
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> SandboxProcess:
        """Start the process and wait until it accepts connections."""
        self.state_dir.mkdir(parents=True, exist_ok=True)
        root = Path(__file__).parent.parent
        path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
        command = [
            sys.executable,
            "-m",
            "sandbox",
            "--port",
            str(self.port),
            "--state",
            str(self.state_dir.resolve()),
        ]
        with (self.state_dir / "sandbox.log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                command, cwd=root, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, stderr=log
            )
        try:
            self.url = self._wait_until_ready(self.process)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stop the process."""
        self.stop()

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> str:
        assert process.stdout is not None  # noqa: S101 - for the type checker
        readable, _, _ = select.select([process.stdout], [], [], _START_TIMEOUT)
        line = process.stdout.readline().decode().strip() if readable else ""
        if not line.startswith(READY):
            raise RuntimeError(f"the sandbox did not start; see {self.state_dir / 'sandbox.log'}")
        return line.removeprefix(READY)

    def stop(self) -> None:
        """Stop the process with SIGTERM, then with SIGKILL if it does not end in time."""
        process, self.process = self.process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def check_running(self) -> None:
        """Check that the process runs.

        :raises RuntimeError: when it has exited
        """
        if self.process is None or self.process.poll() is not None:
            raise RuntimeError(f"The sandbox has exited. See {self.state_dir / 'sandbox.log'}.")

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Pause the process within the block. Requests are accepted, but wait."""
        assert self.process is not None  # noqa: S101 - for the type checker
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def control(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call a control route with GET, or with POST if there is a body (also an empty one, ``{}``).

        :param path: The path below ``/_control/``, e.g. ``counts``.
        :return: The parsed response; ``None`` if it is empty.
        """
        method = "GET" if body is None else "POST"
        response = requests.request(method, f"{self.url}/_control/{path}", json=body, timeout=10)
        response.raise_for_status()
        return response.json() if response.content else None
