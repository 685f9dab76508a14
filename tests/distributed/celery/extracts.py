"""An Airflow of two hosts that pulls lists of changes into folders of parts in S3."""

from __future__ import annotations

import gzip
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.airflow_client import FINISHED
from sandbox.celery_airflow import CeleryAirflow
from tests.connections import connection_values
from tests.distributed.celery.change_server import ChangeServer
from tests.distributed.celery.stack import HOSTS
from tests.distributed.waiting import wait_until
from tests.integration.s3_server import S3Server
from tests.servers_in_threads import running as running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psutil

DAGS = Path(__file__).parent / "change_dags"
#: The names of the lists, and whether a DAG requests several pages of the list at a time. Each list has its own DAG.
LISTS = {"killed": False, "lost": True, "finished": False, "overtaken": False, "last_page": False, "windows": False}
BUCKET = "changes"
#: Rows per part.
PART_ROWS = 4
#: The mark before the first run.
INITIAL = "2024-01-01T00:00:00Z"


@dataclass(frozen=True)
class Extracts:
    """The servers, and an Airflow with a DAG for each list.

    :param outcomes: the folder in which each attempt records how it ended
    """

    server: ChangeServer
    s3: S3Server
    airflow: CeleryAirflow
    outcomes: Path

    def start(self, name: str) -> Run:
        """Start a run of the DAG of a list."""
        return Run(self, name, self.airflow.trigger(f"changes__{name}"))

    def mark(self, name: str) -> dict[str, Any]:
        """Return the record with the mark of the task."""
        variables = self.airflow.api("GET", "variables", params={"limit": 100})["variables"]
        records = [json.loads(each["value"]) for each in variables if each["key"].startswith("oauth_mark__")]
        (record,) = [each for each in records if each["dag_id"] == f"changes__{name}"]
        return dict(record)


@dataclass(frozen=True)
class Run:
    """A run with one task, which pulls a list into a folder."""

    extracts: Extracts
    name: str
    run_id: str

    @property
    def dag_id(self) -> str:
        """The DAG."""
        return f"changes__{self.name}"

    def task(self) -> dict[str, Any]:
        """Return the task as Airflow's API describes it."""
        (task,) = self.extracts.airflow.task_instances(self.dag_id, self.run_id)
        return task

    def wait_until_parts_are_stored(self, count: int) -> dict[str, Any]:
        """Wait until the progress lists this many parts, and return it."""
        wait_until(lambda: len((self.json("_progress.json") or {"parts": ()})["parts"]) == count, "no progress")
        return self.json("_progress.json") or {}

    def wait_for_success(self) -> dict[str, Any]:
        """Wait for the end of the run, check that the task succeeded, and return its result."""
        state = self.extracts.airflow.wait(self.dag_id, self.run_id, timeout=240)
        assert state == "success", self.log(self.task()["try_number"])
        return dict(self.extracts.airflow.xcom(self.dag_id, self.run_id, "pull"))

    def clear(self) -> None:
        """Clear the task, so that it runs again."""
        body = {"dry_run": False, "dag_run_id": self.run_id, "only_failed": False}
        self.extracts.airflow.api("POST", f"dags/{self.dag_id}/clearTaskInstances", json=body)
        wait_until(lambda: self.extracts.airflow.run_state(self.dag_id, self.run_id) not in FINISHED, "not cleared")

    def log(self, try_number: int) -> str:
        """Return the log of an attempt."""
        return self.extracts.airflow.task_log(self.dag_id, self.run_id, "pull", try_number)

    def process(self) -> psutil.Process:
        """Return the process of the running task. Its parent is its supervisor."""
        task = self.task()
        assert task["state"] == "running", task
        workers = [self.extracts.airflow.component(name) for name in self.extracts.airflow.hosts]
        members = {process.pid: process for worker in workers for process in worker.members()}
        return members[task["pid"]]

    def outcome(self, try_number: int) -> str:
        """Return how an attempt ended: ``success``, or the error. Empty if it has not ended."""
        file = self.extracts.outcomes / f"{self.dag_id} {self.run_id} {try_number}"
        return file.read_text() if file.exists() else ""

    def json(self, file: str) -> dict[str, Any] | None:
        """Return a file of the folder; None if there is none."""
        content = self.extracts.s3.content(BUCKET, f"{self.name}/{self.run_id}/{file}")
        return None if content is None else dict(json.loads(content))

    def files(self) -> set[str]:
        """Return the names of all files of the folder."""
        folder = f"{self.name}/{self.run_id}/"
        return {key.removeprefix(folder) for key in self.extracts.s3.keys(BUCKET) if key.startswith(folder)}

    def manifest(self) -> dict[str, Any]:
        """Return the manifest."""
        manifest = self.json("_manifest.json")
        assert manifest is not None, self.files()
        return manifest

    def unlisted(self) -> set[str]:
        """Return the names of the files that are neither the manifest nor listed in it."""
        return self.files() - {"_manifest.json", *(part["name"] for part in self.manifest()["parts"])}

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of the parts that the manifest lists, in its order."""
        rows: list[dict[str, Any]] = []
        for part in self.manifest()["parts"]:
            content = self.extracts.s3.content(BUCKET, f"{self.name}/{self.run_id}/{part['name']}")
            assert content is not None
            lines = gzip.decompress(content).splitlines()
            assert len(lines) == part["rows"]
            rows += map(json.loads, lines)
        return rows


@contextmanager
def running(folder: Path) -> Iterator[Extracts]:
    """Run the servers, and an Airflow of two hosts.

    :param folder: the folder of all files
    """
    outcomes = folder / "outcomes"
    outcomes.mkdir()
    with running_server(ChangeServer()) as server, S3Server() as s3:
        s3.create_bucket(BUCKET)
        changes = connection_values(host=f"{server.url}/api", grant_url=f"{server.url}/token")
        extra = {"endpoint_url": f"http://127.0.0.1:{s3.port}", "region_name": "us-east-1"}
        extra |= {"config_kwargs": {"proxies": {}, "s3": {"addressing_style": "path"}}}
        lake = {"conn_type": "aws", "login": "fake-key", "password": "fake-secret", "extra": extra}
        env = {
            "AIRFLOW_CONN_CHANGES": json.dumps(changes),
            "AIRFLOW_CONN_LAKE": json.dumps(lake),
            "LISTS": json.dumps(LISTS),
            "OUTCOMES": os.fspath(outcomes),
        }
        with CeleryAirflow(folder / "airflow", DAGS, env, HOSTS, concurrency=4) as airflow:
            airflow.wait_until_parsed([f"changes__{name}" for name in LISTS])
            yield Extracts(server, s3, airflow, outcomes)
