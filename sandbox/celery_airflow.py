"""Runs a real Airflow of several hosts: CeleryExecutor, PostgreSQL, Redis, and one Celery worker per host.

    with CeleryAirflow(home=Path("airflow"), dags=Path("dags")) as airflow:
        airflow.kill("worker-one")
        airflow.start("worker-one")
        airflow.postgresql.restart()

The hosts share the database, the broker, the API server and the log folder, as in a real installation. Each worker has
its own host name and its own ``[oauth] lock_folder``.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox import host as host_name
from sandbox.airflow import Airflow
from sandbox.processes import kill, not_interrupted, stop
from sandbox.services import PostgreSQL, Redis

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sandbox.processes import Component


class CeleryAirflow(Airflow):
    """Airflow with one Celery worker per host, as a context manager.

    :param home: AIRFLOW_HOME. It must not exist yet, because each start creates a new database.
    :param dags: as for :class:`Airflow`
    :param env: as for :class:`Airflow`
    :param hosts: names of the hosts; their workers are the components ``worker-<name>``
    :param concurrency: the number of tasks that one worker runs at the same time
    :param options: the other parameters of :class:`Airflow`
    """

    def __init__(
        self,
        home: Path,
        dags: Path,
        env: Mapping[str, str] | None = None,
        hosts: Sequence[str] = ("one", "two"),
        concurrency: int = 6,
        **options: Any,
    ) -> None:
        super().__init__(home, dags, env, **options)
        self.hosts = {f"worker-{host}": host for host in hosts}
        self.concurrency = concurrency
        self.commands = {**self.commands, **{name: self._worker(name) for name in self.hosts}}
        self._supervising = False
        self.postgresql = PostgreSQL(self.console)
        self.redis = Redis(self.console)

    def component(self, name: str) -> Component:
        """Return a running component.

        :raises LookupError: when it does not run
        """
        for component in self.components:
            if component.name == name:
                return component
        running = ", ".join(component.name for component in self.components)
        raise LookupError(f"{name} is not running; these components are: {running}")

    def start(self, name: str) -> None:
        """Start a component that was killed. Do not wait until it is healthy."""
        self._start_component(name)

    def kill(self, name: str) -> None:
        """Kill a component and all its processes at the same moment, as when its host loses power."""
        component = self.component(name)
        component.pause()  # so that no process can react to the end of another one
        kill([component])
        self.components.remove(component)

    def restart(self, name: str) -> None:
        """Stop a component with SIGTERM, start it again and wait until it is healthy."""
        component = self.component(name)
        stop([component], self._grace)
        self.components.remove(component)
        self.start(name)
        self._wait_until_healthy()

    @contextmanager
    def supervised(self) -> Iterator[None]:
        """Within the block, restart components that exit, like an init system; at its end, wait until all are healthy.

        Airflow relies on this: its scheduler exits when it cannot reach the database.
        """
        self._supervising = True
        try:
            yield
            self._wait_until_healthy()
        finally:
            self._supervising = False

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """Pause all processes of a component within the block."""
        component = self.component(name)
        component.pause()
        try:
            yield
        finally:
            component.resume()

    def _worker(self, name: str) -> list[str]:
        identity = ["--celery-hostname", self.hosts[name], "--pid", str(self.home / f"{name}.pid")]
        return ["celery", "worker", *identity, "--concurrency", str(self.concurrency), "--skip-serve-logs"]

    def _start(self) -> None:
        for service in (self.postgresql, self.redis):
            service.start()
        super()._start()

    def _stop(self) -> None:
        with not_interrupted():
            super()._stop()
            for service in (self.redis, self.postgresql):
                service.close()

    def _environment(self, port: int) -> dict[str, str]:
        parallelism = str(self.concurrency * len(self.hosts))
        settings = {
            "AIRFLOW__CELERY__BROKER_URL": self.redis.url,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{self.postgresql.url}",
            "AIRFLOW__CELERY__SYNC_PARALLELISM": "1",
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": f"{host_name.__name__}.{host_name.name.__name__}",
            "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": parallelism,
            "AIRFLOW__CORE__PARALLELISM": parallelism,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.postgresql.url,
            # The time after which the tasks of a dead worker are retried; the defaults are minutes.
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "30",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
        }
        env = super()._environment(port) | settings | self._extra_env
        root = str(Path(__file__).parent.parent)  # for [core] hostname_callable
        return env | {"PYTHONPATH": os.pathsep.join(filter(None, [env.get("PYTHONPATH"), root]))}

    def _environment_of(self, name: str) -> dict[str, str]:
        env = super()._environment_of(name)
        if name not in self.hosts:
            return env
        host = self.hosts[name]
        return env | {
            "AIRFLOW__OAUTH__LOCK_FOLDER": str(self.home / "locks" / host),
            host_name.VARIABLE: host,
        }

    def _raise_exited(self) -> None:
        if not self._supervising:
            super()._raise_exited()
        for component in [each for each in self.components if each.exit_code is not None]:
            kill([component])  # the processes that it has left behind
            self.components.remove(component)
            self.start(component.name)

    def _unhealthy(self) -> list[str]:
        workers = [each for each in self.components if each.name in self.hosts]
        starting = [each.name for each in workers if not each.has_printed(f"{self.hosts[each.name]} ready.")]
        return super()._unhealthy() + starting
