"""Real Airflow of several hosts: CeleryExecutor, PostgreSQL, Redis, and a Celery worker for each host.

    with CeleryAirflow(home=Path("airflow"), dags=Path("dags")) as airflow:
        airflow.kill("worker-one")
        airflow.start("worker-one")
        airflow.postgresql.restart()

The hosts share what hosts of an installation share: database, broker, API server and the folder of logs. Each worker
has a host name and an ``[oauth] lock_folder`` of its own.
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
    """Airflow with a Celery worker a host, as a context manager.

    :param home: AIRFLOW_HOME, which must not exist yet: the database is a new one with every start
    :param dags: as for :class:`Airflow`
    :param env: as for :class:`Airflow`
    :param hosts: names of the hosts; their workers are the components ``worker-<name>``
    :param concurrency: tasks that one worker runs at a time
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
        """Return a component that runs.

        :raises LookupError: it does not
        """
        for component in self.components:
            if component.name == name:
                return component
        raise LookupError(f"{name} does not run, only {', '.join(each.name for each in self.components)}")

    def start(self, name: str) -> None:
        """Start a component that was killed, without waiting until it is healthy."""
        self._start_component(name)

    def kill(self, name: str) -> None:
        """Kill a component and all its processes at once, as when its host loses power."""
        component = self.component(name)
        component.pause()  # none of them sees another one die
        kill([component])
        self.components.remove(component)

    def restart(self, name: str) -> None:
        """End a component politely, start it again and wait until it is healthy."""
        component = self.component(name)
        stop([component], self._grace)
        self.components.remove(component)
        self.start(name)
        self._wait_until_healthy()

    @contextmanager
    def supervised(self, unavailable_timeout: float = 60) -> Iterator[None]:
        """Within the block, start again what ends by itself, as an init system does, and wait until all is healthy.

        Airflow counts on that: its scheduler ends when it cannot reach the database.

        :param unavailable_timeout: seconds for which an API server that answers with an error is asked again
        """
        self._supervising, self.unavailable_timeout = True, unavailable_timeout
        try:
            yield
            self._wait_until_healthy()
        finally:
            self._supervising, self.unavailable_timeout = False, 0.0

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """Let all processes of a component stand still within the block."""
        component = self.component(name)
        component.pause()
        try:
            yield
        finally:
            component.resume()

    def _worker(self, name: str) -> list[str]:
        host = self.hosts[name]
        own = ["--celery-hostname", host, "--pid", str(self.home / f"{name}.pid")]
        return ["celery", "worker", *own, "--concurrency", str(self.concurrency), "--skip-serve-logs"]

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
        at_once = str(self.concurrency * len(self.hosts))
        own = {
            "AIRFLOW__CELERY__BROKER_URL": self.redis.url,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{self.postgresql.url}",
            "AIRFLOW__CELERY__SYNC_PARALLELISM": "1",
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": f"{host_name.__name__}.{host_name.name.__name__}",
            "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": at_once,
            "AIRFLOW__CORE__PARALLELISM": at_once,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.postgresql.url,
            # What happens to the tasks of a worker that is gone: minutes by default.
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "30",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
        }
        env = super()._environment(port) | own | self._more_env
        root = str(Path(__file__).parent.parent)  # for the host's name
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
            kill([component])  # what it leaves behind
            self.components.remove(component)
            self.start(component.name)

    def _unhealthy(self) -> list[str]:
        workers = [each for each in self.components if each.name in self.hosts]
        starting = [each.name for each in workers if not each.has_printed(f"{self.hosts[each.name]} ready.")]
        return super()._unhealthy() + starting
