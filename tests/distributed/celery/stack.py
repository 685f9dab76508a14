"""An authorization server and an Airflow of two hosts, for the tests in this folder and for the soak test."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.celery_airflow import CeleryAirflow
from sandbox.server import SandboxProcess
from tests.connections import connection_values
from tests.distributed.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DAGS = Path(__file__).parent / "dags"
SECRET = "not-a-real-secret"  # noqa: S105
HOSTS = ("one", "two")


@dataclass(frozen=True)
class Workload:
    """Many mapped tasks that call the API with one connection.

    :param conn_id: the connection, and the client ID at the server
    :param tasks: the number of tasks
    :param rotating: whether the grant type is refresh_token with single-use refresh tokens; otherwise it is
        client_credentials
    :param lifetime: lifetime of access tokens in seconds
    """

    conn_id: str
    tasks: int
    rotating: bool
    lifetime: int = 3600

    @property
    def dag_id(self) -> str:
        """The DAG with the tasks."""
        return f"calls__{self.conn_id}__{self.tasks}"

    def register(self, sandbox: SandboxProcess) -> str:
        """Register the client at the server, and return the connection as JSON."""
        server = "jsonbody" if self.rotating else "standard"
        client = {"server": server, "client_id": self.conn_id, "access_lifetime": self.lifetime}
        sandbox.control("clients", {**client, "client_secret": SECRET, "scopes": ["read"]})
        fields: dict[str, Any] = {"grant_type": "client_credentials", "scope": "read"}
        if self.rotating:
            fields = {"grant_type": "refresh_token", "client_auth": "client_secret_post", "body_format": "json"}
            fields |= sandbox.control("grants", {"server": server, "client_id": self.conn_id})
        url = f"{sandbox.url}/{server}"
        fields |= {"host": f"{url}/api", "grant_url": f"{url}/token", "login": self.conn_id, "password": SECRET}
        return json.dumps(connection_values(**fields))


@dataclass(frozen=True)
class Stack:
    """An authorization server and an Airflow."""

    sandbox: SandboxProcess
    airflow: CeleryAirflow

    def counts(self, workload: Workload) -> dict[str, Any]:
        """Return the server's counters of the connection's client."""
        return dict(self.sandbox.control("counts")[workload.conn_id])

    def start(self, workload: Workload, calls: int = 1, pause: float = 0) -> str:
        """Start a run of the workload, and return the run ID.

        :param calls: API calls per task
        :param pause: seconds of other work before each call
        """
        return self.airflow.trigger(workload.dag_id, {"calls": calls, "pause": pause})

    def tasks(self, workload: Workload, run_id: str) -> list[dict[str, Any]]:
        """Return the tasks of a run as the API describes them."""
        return self.airflow.task_instances(workload.dag_id, run_id)

    def wait_until_running(self, workload: Workload, run_id: str) -> None:
        """Wait until tasks of a run are running on both hosts."""
        wait_until(lambda: self._running_on(workload, run_id) >= set(HOSTS), "tasks do not run on both hosts")

    def wait_until_renewed(self, workload: Workload) -> None:
        """Wait until a renewed token was stored. Then no renewal is in progress, and the next one is not due soon."""
        before = self._stored(workload)
        wait_until(lambda: self._stored(workload) != before, "no token was renewed", timeout=120)

    def _running_on(self, workload: Workload, run_id: str) -> set[str]:
        return {each["hostname"] for each in self.tasks(workload, run_id) if each["state"] == "running"}

    def _stored(self, workload: Workload) -> str | None:
        # Each write encrypts the value again, so the digest changes.
        digests = dict(self.airflow.postgresql.query("SELECT key, md5(val) FROM variable"))
        return digests.get(f"oauth_token__{workload.conn_id}")


@contextmanager
def running(folder: Path, workloads: Sequence[Workload], env: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """Run an authorization server and an Airflow with the connections of these workloads.

    :param folder: the folder of all files
    :param env: additional environment variables of Airflow
    """
    with SandboxProcess(folder / "sandbox") as sandbox:
        clients = {each.conn_id: each for each in workloads}  # several workloads can use one connection
        variables = {f"AIRFLOW_CONN_{conn_id.upper()}": each.register(sandbox) for conn_id, each in clients.items()}
        variables["CALLS"] = json.dumps([[each.dag_id, each.conn_id, each.tasks] for each in workloads])
        with CeleryAirflow(folder / "airflow", DAGS, variables | dict(env or {}), HOSTS) as airflow:
            airflow.wait_until_parsed([each.dag_id for each in workloads])
            yield Stack(sandbox, airflow)
