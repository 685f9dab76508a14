"""Runs PostgreSQL and Redis from Debian's packages, each on a free loopback port, for an Airflow of several hosts.

    with PostgreSQL(Path("postgresql")) as postgresql, Redis(Path("redis")) as redis:
        print(postgresql.url, redis.url)
        postgresql.restart()

They are independent of a PostgreSQL or Redis that already runs on the machine.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from sandbox.private_file import write_private
from sandbox.processes import Component, free_ports, interrupted_by_signals, kill, not_interrupted

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Debian's folder for PostgreSQL, with one folder per version. The server programs are not in PATH.
_DEBIAN_POSTGRESQL = "/usr/lib/postgresql"
_START_TIMEOUT = 60.0
_STOP_TIMEOUT = 30.0

#: PostgreSQL's shutdown modes: wait for clients to disconnect, disconnect them, or abort as in a crash.
StopMode = Literal["smart", "fast", "immediate"]
_STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class ServiceError(RuntimeError):
    """A service is not installed, or a command of it failed."""


class Service(ABC):
    """A server process on a free loopback port. A restart uses the same port.

    :param folder: the folder of its log; it is created if it does not exist
    """

    name: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.port = 0
        self._component: Component | None = None
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        """Start the service and wait until it accepts connections."""
        with ExitStack() as on_failure:
            on_failure.enter_context(interrupted_by_signals())
            on_failure.callback(self.close)
            self.start()
            self._exit = on_failure.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stop the service."""
        self._exit.close()

    def close(self) -> None:
        """Stop the service for the last time."""
        with not_interrupted():
            self.stop()

    @property
    def pid(self) -> int:
        """The process ID of the running server."""
        assert self._component is not None  # noqa: S101 - for the type checker
        return self._component.pid

    @property
    def log(self) -> Path:
        """The file with its output."""
        return self.folder / f"{self.name}.log"

    def start(self) -> None:
        """Start the service and wait until it accepts connections.

        :raises ServiceError: when it is not installed, or does not accept connections in time
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_ports(1)[0]
        self._component = self._run()
        deadline = time.monotonic() + _START_TIMEOUT
        while not self._is_ready():
            if self._component.exit_code is not None or time.monotonic() > deadline:
                raise ServiceError(f"{self.name} did not start ({self.log}):\n{self._component.tail()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the service with SIGTERM, then with SIGKILL. This has no effect if it does not run."""
        self._stop(signal.SIGTERM)

    def restart(self) -> None:
        """Stop the service and start it again, on the same port and with the same data."""
        self.stop()
        self.start()

    def _stop(self, number: signal.Signals) -> None:
        component, self._component = self._component, None
        if component is None:
            return
        component.signal(number)
        deadline = time.monotonic() + _STOP_TIMEOUT
        while component.exit_code is None and time.monotonic() < deadline:
            time.sleep(0.02)
        kill([component])

    @abstractmethod
    def _run(self) -> Component:
        """Start the process."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Return whether it accepts connections."""


class Redis(Service):
    """A Redis server without persistence, with a random password.

    :param folder: the folder of its log and its configuration
    """

    name = "redis"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.password = secrets.token_urlsafe(16)

    @property
    def url(self) -> str:
        """The URL of its first database."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def _run(self) -> Component:
        settings = {"bind": "127.0.0.1", "port": self.port, "save": '""', "requirepass": self.password}
        configuration = self.folder / "redis.conf"
        write_private(configuration, "".join(f"{name} {value}\n" for name, value in settings.items()))
        command = [_find("redis-server", "redis-server"), str(configuration)]
        return Component(self.name, command, _environment(), self.folder, self.log)

    def _is_ready(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
            connection.sendall(f"AUTH {self.password}\r\n".encode())
            return connection.recv(16) == b"+OK\r\n"
        return False


class PostgreSQL(Service):
    """A PostgreSQL cluster with an empty database ``airflow`` and a user ``airflow`` with a random password.

    Its data is in a temporary folder, because PostgreSQL refuses to run as root, and another user cannot access folders
    of root. The data survives :meth:`restart` and is deleted at the end of the block.

    :param folder: the folder of its log
    """

    name = "postgresql"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.password = secrets.token_urlsafe(16)
        self._cluster: tempfile.TemporaryDirectory[str] | None = None
        self._identity: dict[str, Any] = _unprivileged()

    def close(self) -> None:
        """Stop the server for the last time, and delete its data."""
        with not_interrupted():
            self.stop("immediate")
            if self._cluster:
                self._cluster.cleanup()
                self._cluster = None

    @property
    def url(self) -> str:
        """The SQLAlchemy URL of the database, with the driver psycopg2."""
        return f"postgresql+psycopg2://airflow:{self.password}@127.0.0.1:{self.port}/airflow"

    def query(self, sql: str) -> list[list[str]]:
        """Return the rows of a query as text.

        :raises ServiceError: when the query fails
        """
        command = [_postgresql("psql"), "-X", "-A", "-t", "-F", "\t", "-c", sql]
        server = {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "airflow", "PGDATABASE": "airflow"}
        env = _environment() | server | {"PGPASSWORD": self.password}
        result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)
        if result.returncode:
            raise ServiceError(f"psql failed:\n{result.stderr}")
        return [line.split("\t") for line in result.stdout.splitlines()]

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop the server. This has no effect if it does not run."""
        # Its child processes have their own sessions. They exit when the main process exits.
        self._stop(_STOP_SIGNALS[mode])

    def restart(self, mode: StopMode = "fast") -> None:
        """Stop the server and start it again, on the same port and with the same data."""
        self.stop(mode)
        self.start()

    def _run(self) -> Component:
        data = self._data()
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 300,
            "fsync": "off",  # faster; the data need not survive a crash of this machine
            "full_page_writes": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [_postgresql("postgres"), "-D", str(data), *options]
        return Component(self.name, command, _environment(), data, self.log, **self._identity)

    def _is_ready(self) -> bool:
        # Queries fail until recovery has finished.
        with suppress(ServiceError):
            return self.query("SELECT 1") == [["1"]]
        return False

    def _data(self) -> Path:
        """Return the folder of the data. The first call creates the cluster."""
        if self._cluster is None:
            self._cluster = tempfile.TemporaryDirectory(prefix="postgresql-")
            home = Path(self._cluster.name)
            password = home / "password"
            write_private(password, self.password)
            if self._identity:
                for path in (home, password):
                    os.chown(path, self._identity["user"], self._identity["group"])
            self._initialize(home / "data", password)
        return Path(self._cluster.name) / "data"

    def _initialize(self, data: Path, password: Path) -> None:
        options = ["--no-sync", "--no-instructions", "--locale=C.UTF-8", "--encoding=UTF8", "--auth=scram-sha-256"]
        initdb = [_postgresql("initdb"), *options, "--username=airflow", f"--pwfile={password}", "-D", str(data)]
        server = [_postgresql("postgres"), "--single", "-D", str(data), "postgres"]
        for command, stdin in ((initdb, ""), (server, "CREATE DATABASE airflow\n")):
            result = subprocess.run(
                command, env=_environment(), cwd=data.parent, input=stdin, capture_output=True, text=True,
                timeout=_START_TIMEOUT, check=False, **self._identity,
            )  # fmt: skip
            if result.returncode:
                raise ServiceError(f"{command[0]} failed:\n{result.stdout}{result.stderr}")
        password.unlink()


def _unprivileged() -> dict[str, Any]:
    """Return the user and group to run PostgreSQL as if this process runs as root; otherwise an empty dict."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise ServiceError("PostgreSQL refuses to run as root. Create a user named postgres or nobody.")


def _postgresql(program: str) -> str:
    return _find(program, "postgresql", _DEBIAN_POSTGRESQL)


def _find(program: str, package: str, versions: str = "") -> str:
    """Return the path of a program, from PATH or from the folder of the newest version.

    :param package: the Debian package with the program, for the error message
    :param versions: a folder with one folder per version, each with a folder ``bin``
    """
    newest_first: Sequence[Path] = []
    if versions:
        newest_first = sorted(Path(versions).glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *map(str, newest_first)])
    found = shutil.which(program, path=path)
    if found is None:
        raise ServiceError(f"{program} is missing. Debian: apt-get install {package}")
    return found


def _environment() -> dict[str, str]:
    """Return the environment without settings of another PostgreSQL."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C.UTF-8"}
