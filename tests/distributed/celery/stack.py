"""An authorization server and an Airflow of two hosts, wired up: what the tests here and the soak test share."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.celery_airflow import CeleryAirflow
from sandbox.server import SandboxProcess
from tests.distributed.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DAGS = Path(__file__).parent / "dags"
SECRET = "not-a-real-secret"  # noqa: S105
HOSTS = ("one", "two")


@dataclass(frozen=True)
class Many:
    """Many mapped tasks that call the API by one connection.

    :param conn_id: the connection, and the client ID at the server
    :param tasks: how many
    :param rotating: it lives by refresh tokens that are good for one use; else it is client_credentials
    :param lifetime: seconds that its tokens live
    """

    conn_id: str
    tasks: int
    rotating: bool
    lifetime: int = 3600

    @property
    def dag_id(self) -> str:
        """The DAG of its tasks."""
        return f"calls__{self.conn_id}__{self.tasks}"

    def register(self, sandbox: SandboxProcess) -> str:
        """Register the client at the server, and return the connection as JSON."""
        server = "jsonbody" if self.rotating else "standard"
        client = {"server": server, "client_id": self.conn_id, "access_lifetime": self.lifetime}
        sandbox.control("clients", {**client, "client_secret": SECRET, "scopes": ["read"]})
        extra: dict[str, Any] = {"grant_url": f"{sandbox.url}/{server}/token", "leeway": 60}
        if self.rotating:
            grant = sandbox.control("grants", {"server": server, "client_id": self.conn_id})
            extra |= {"grant_type": "refresh_token", "refresh_token": grant["refresh_token"]}
            extra |= {"client_auth": "client_secret_post", "body_format": "json"}
        else:
            extra |= {"grant_type": "client_credentials", "scope": "read"}
        fields = {"conn_type": "oauth", "host": f"{sandbox.url}/{server}/api", "login": self.conn_id}
        return json.dumps({**fields, "password": SECRET, "extra": extra})


@dataclass(frozen=True)
class Stack:
    """An authorization server, and the Airflow whose tasks call it."""

    sandbox: SandboxProcess
    airflow: CeleryAirflow

    def counts(self, many: Many) -> dict[str, Any]:
        """Return what the server has counted of a connection's client."""
        return dict(self.sandbox.control("counts")[many.conn_id])

    def start(self, many: Many, calls: int = 1, pause: float = 0) -> str:
        """Start a run of a connection's tasks, and return its id.

        :param calls: API calls of each task
        :param pause: seconds of other work before each call
        """
        return self.airflow.trigger(many.dag_id, {"calls": calls, "pause": pause})

    def tasks(self, many: Many, run_id: str) -> list[dict[str, Any]]:
        """Return the tasks of a run as the API describes them."""
        return self.airflow.task_instances(many.dag_id, run_id)

    def wait_until_running(self, many: Many, run_id: str) -> None:
        """Wait until tasks of a run are running on both hosts."""
        wait_until(lambda: self._running_on(many, run_id) >= set(HOSTS), "tasks do not run on both hosts")

    def wait_until_renewed(self, many: Many) -> None:
        """Wait until a new token has been stored: now no renewal is under way, and the next one is some time off."""
        before = self._stored(many)
        wait_until(lambda: self._stored(many) != before, "no token has been renewed", timeout=120)

    def _running_on(self, many: Many, run_id: str) -> set[str]:
        return {each["hostname"] for each in self.tasks(many, run_id) if each["state"] == "running"}

    def _stored(self, many: Many) -> str | None:
        # Airflow encrypts a value anew with each write.
        digests = dict(self.airflow.postgresql.query("SELECT key, md5(val) FROM variable"))
        return digests.get(f"oauth_token__{many.conn_id}")


@contextmanager
def running(folder: Path, connections: Sequence[Many], env: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """Run an authorization server and an Airflow with these connections.

    :param folder: for everything that is written
    :param env: more environment variables of Airflow
    """
    with SandboxProcess(folder / "sandbox") as sandbox:
        clients = {each.conn_id: each for each in connections}  # some differ in the number of tasks only
        own = {f"AIRFLOW_CONN_{conn_id.upper()}": each.register(sandbox) for conn_id, each in clients.items()}
        own["CALLS"] = json.dumps([[each.dag_id, each.conn_id, each.tasks] for each in connections])
        with CeleryAirflow(folder / "airflow", DAGS, own | dict(env or {}), HOSTS) as airflow:
            airflow.wait_until_parsed([each.dag_id for each in connections])
            yield Stack(sandbox, airflow)
