"""Runs a real Airflow with SQLite and LocalExecutor, for the demo and the tests.

    with Airflow(home=Path(".demo/airflow"), dags=Path("example_dags")) as airflow:
        airflow.wait_until_parsed(["my_dag"])
        run_id = airflow.trigger("my_dag")
        print(airflow.wait("my_dag", run_id))

Airflow listens on loopback only. It writes only below ``home``; the next start uses the same files.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Self

import requests
from cryptography.fernet import Fernet

from sandbox.airflow_client import AirflowClient, AirflowError
from sandbox.private_file import write_private
from sandbox.processes import Component, free_ports, interrupted_by_signals, is_free, not_interrupted, stop, tail

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

__all__ = ["Airflow", "AirflowError"]

USER = "admin"

COMPONENTS = {
    "api-server": ["api-server"],
    # Airflow's log servers listen on all interfaces and on fixed ports. Here, the API server reads the log files.
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}


class Airflow(AirflowClient):
    """Airflow's API server, scheduler, DAG processor and triggerer, as a context manager.

    :param home: AIRFLOW_HOME. It is created if it does not exist; otherwise its database is used, and its last port if
        that is free.
    :param dags: the DAGs folder
    :param env: additional environment variables, for example ``AIRFLOW_CONN_…``; they override the ones set here
    :param log_level: ``[logging] logging_level``
    :param start_timeout: seconds to wait until all components are healthy
    :param grace: seconds between SIGTERM and SIGKILL
    :param users: roles by user name; one user must be ``admin``. The roles of the simple auth manager are ``viewer``,
        ``user``, ``op`` and ``admin``.
    :param only: the components to start; the API server must be one of them
    :param api_server_workers: the number of processes of the API server
    """

    #: The auth manager's name of the role with all permissions.
    admin_role = "admin"

    def __init__(
        self,
        home: Path,
        dags: Path,
        env: Mapping[str, str] | None = None,
        log_level: str = "INFO",
        start_timeout: float = 120,
        grace: float = 10,
        users: Mapping[str, str] | None = None,
        only: Collection[str] = tuple(COMPONENTS),
        api_server_workers: int = 1,
    ) -> None:
        #: The arguments of ``airflow`` for each component, by name.
        self.commands: Mapping[str, Sequence[str]] = {name: COMPONENTS[name] for name in only}
        self.users = dict(users or {USER: self.admin_role})
        self.home = home.resolve()
        self.dags = dags.resolve()
        self.console = self.home / "console"
        self.components: list[Component] = []
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy for loopback
        self._extra_env = dict(env or {})
        self._log_level = log_level
        self._start_timeout = start_timeout
        self._grace = grace
        self._api_server_workers = api_server_workers
        self._component_started: dict[str, datetime] = {}
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        """Start all components and wait until they are healthy."""
        with ExitStack() as on_failure:
            on_failure.enter_context(interrupted_by_signals())
            on_failure.callback(self._stop)
            self._start()
            self._exit = on_failure.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop all components."""
        self._exit.close()

    @property
    def password(self) -> str:
        """The password of the user ``admin``."""
        return self.password_of(USER)

    def password_of(self, user: str) -> str:
        """Return the password of a user."""
        # Computed instead of stored, so that a new user of an existing home has one too.
        return hmac.new(self._keys()["password"].encode(), user.encode(), "sha256").hexdigest()

    def token_of(self, user: str) -> str:
        """Log a user in, and return the bearer token for the API.

        :raises AirflowError: when the login fails
        """
        credentials = {"username": user, "password": self.password_of(user)}
        # Without the token of the user who is logged in now.
        response = self.session.post(
            f"{self.url}/auth/token", json=credentials, timeout=30, headers={"Authorization": None}
        )
        if response.status_code != 201:
            raise AirflowError(self._with_log(f"The login of {user} failed with status {response.status_code}"))
        return str(response.json()["access_token"])

    def cli(self, *arguments: str, timeout: float = 120, stdin: str = "") -> str:
        """Run an ``airflow`` command in the environment of this Airflow, and return its output.

        :param timeout: seconds
        :param stdin: the input of the command
        :raises AirflowError: when the command fails
        """
        return self._python(f"airflow {' '.join(arguments)}", ["-m", "airflow", *arguments], timeout, stdin)

    def _python(self, label: str, arguments: Sequence[str], timeout: float, stdin: str) -> str:
        """Run Python in the environment of this Airflow, and return its output.

        :param label: the name of the command in the error message
        """
        result = subprocess.run(  # noqa: S603
            [sys.executable, *arguments],
            env=self.env,
            cwd=self.home,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if result.returncode:
            raise AirflowError(f"{label} failed:\n{result.stdout}{result.stderr}")
        return result.stdout

    def _start(self) -> None:
        self.console.mkdir(parents=True, exist_ok=True)
        port = self._port()
        self.url = f"http://127.0.0.1:{port}"
        self.env = self._environment(port)
        self._migrate()
        self._create_users()
        self.started = datetime.now(UTC)
        for name in self.commands:
            self._start_component(name)
        self._wait_until_healthy()
        self.session.headers["Authorization"] = f"Bearer {self.token_of(USER)}"

    def _port(self) -> int:
        """Return the port of the last start if it is free, otherwise any free port. Store it."""
        path = self.home / "port"
        port = int(path.read_text()) if path.exists() else 0
        if not port or not is_free(port):
            (port,) = free_ports(1)
        path.write_text(str(port))
        return port

    def _start_component(self, name: str) -> None:
        command = [sys.executable, "-m", "airflow", *self.commands[name]]
        log = self.console / f"{name}.log"
        self._component_started[name] = datetime.now(UTC)
        self.components.append(Component(name, command, self._environment_of(name), self.home, log))

    def _environment_of(self, name: str) -> dict[str, str]:
        """Return the environment of one component."""
        return self.env

    def _stop(self) -> None:
        with not_interrupted():
            stop(self.components, self._grace)
            self.components.clear()
            self.session.close()

    def _environment(self, port: int) -> dict[str, str]:
        keys = self._keys()
        settings = {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__API_AUTH__JWT_SECRET": keys["jwt_secret"],
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__SECRET_KEY": keys["api_secret_key"],
            "AIRFLOW__API__WORKERS": str(self._api_server_workers),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__FERNET_KEY": keys["fernet_key"],
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "6",  # worker processes, which are all forked at the start
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in self.users.items()),
            # With the default of 5 s, requests fail on a busy machine, because the database is locked.
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.home}/airflow.db?timeout=60",
            "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(self.home / "bundles"),
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "3",
            "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": self._log_level,
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
            # A worker notices the end of its task up to this many seconds late (default 5). If a deferred task resumes
            # before that, the scheduler of Airflow 3.3.2 treats it as failed and retries it, whatever it raised.
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            # If this happens nevertheless, retry after one second instead of five minutes.
            "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
            "NO_COLOR": "1",
            "NO_PROXY": "127.0.0.1,localhost",
            "PYTHONUNBUFFERED": "1",
        }
        # Ignore the settings of another Airflow in the caller's environment.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
        return inherited | settings | self._extra_env

    def _keys(self) -> dict[str, str]:
        """Return the internal secrets of this home. The first start creates them."""
        path = self.home / "keys.json"
        if not path.exists():
            keys = {name: secrets.token_urlsafe(48) for name in ("jwt_secret", "api_secret_key", "password")}
            write_private(path, json.dumps(keys | {"fernet_key": Fernet.generate_key().decode()}))
        return dict(json.loads(path.read_text()))

    def _create_users(self) -> None:
        # Without this file, Airflow creates passwords and prints them.
        passwords = {user: self.password_of(user) for user in self.users}
        write_private(self.home / "simple_auth_manager_passwords.json.generated", json.dumps(passwords))

    def _migrate(self) -> None:
        """Create the database, or migrate it to the installed version of Airflow."""
        done = self.home / "migrated"
        airflow_version = version("apache-airflow")
        if done.exists() and done.read_text() == airflow_version:
            return
        log = self.console / "migrate.log"
        command = [sys.executable, "-m", "airflow", "db", "migrate"]
        migration = Component("migrate", command, self.env, self.home, log)
        self.components.append(migration)
        deadline = time.monotonic() + self._start_timeout
        while migration.exit_code is None:
            super()._sleep(deadline, f"airflow db migrate takes more than {self._start_timeout:g} s")
        self.components.remove(migration)
        if migration.exit_code:
            raise AirflowError(f"airflow db migrate failed ({log}):\n{migration.tail()}")
        self._let_readers_and_a_writer_work_together()
        done.write_text(airflow_version)

    def _let_readers_and_a_writer_work_together(self) -> None:
        """Switch the database to a write-ahead log. By default, readers and writers of SQLite wait for each other."""
        database = self.home / "airflow.db"
        if database.exists():  # not if a test has set another database
            with closing(sqlite3.connect(database)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + self._start_timeout
        while unhealthy := self._unhealthy():
            log = self.console / f"{unhealthy[0]}.log"
            names = ", ".join(unhealthy)
            self._sleep(
                deadline, f"Airflow's {names} not healthy after {self._start_timeout:g} s ({log}):\n{tail(log)}"
            )

    def has_database(self) -> bool:
        """Return whether the API server runs and reaches its database."""
        return bool(self._health().get("metadatabase", {}).get("status") == "healthy")

    def _health(self) -> dict[str, Any]:
        """Return the API server's health report of all components; empty if there is no response."""
        try:
            return dict(self.session.get(f"{self.url}/api/v2/monitor/health", timeout=5).json())
        except requests.RequestException:
            return {}

    def _unhealthy(self) -> list[str]:
        """Return the names of the components that are not healthy yet."""
        health = self._health()
        unhealthy = [] if health else ["api-server"]
        for name in ("scheduler", "dag-processor", "triggerer"):
            if name not in self.commands:
                continue
            key = name.replace("-", "_")
            heartbeat = health.get(key, {}).get(f"latest_{key}_heartbeat")
            # Airflow reports a heartbeat of the previous run as healthy for half a minute.
            if not heartbeat or datetime.fromisoformat(heartbeat) < self._component_started[name]:
                unhealthy.append(name)
        return unhealthy

    def check_running(self) -> None:
        """Check that all components run.

        :raises AirflowError: when a component has exited
        """
        self._raise_exited()

    def _raise_exited(self) -> None:
        for component in self.components:
            if component.exit_code is not None:
                raise AirflowError(
                    f"Airflow's {component.name} ended with exit code {component.exit_code} "
                    f"({component.log}):\n{component.tail()}"
                )

    def _sleep(self, deadline: float, message: str) -> None:
        super()._sleep(deadline, message)
        self._raise_exited()

    def _with_log(self, message: str) -> str:
        return f"{message}\nLogs: {self.console}, {self.home / 'logs'}"
