"""The time from the start of a task process to its first request to the API, with a stored token.

Each sample is a real task of Airflow: its supervisor forks the task process, which loads a DAG file, reads the
connection and, with this package, the Variable with the token, and executes the operator. This process is the worker.
It has imported what a worker of the LocalExecutor has imported, and neither the HTTP provider nor this package. Only
Airflow's API server is replaced: its responses are computed in this process, so they take no time.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import socket
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import airflow.executors.local_executor
import airflow.jobs.scheduler_job_runner  # noqa: F401 - the LocalExecutor forks its workers from the scheduler
import httpx
from airflow.executors.workloads import BundleInfo
from airflow.sdk.api.client import Client
from airflow.sdk.api.datamodels._generated import TaskInstance
from airflow.sdk.execution_time.supervisor import supervise_task

from benchmarks.client import SECRET
from benchmarks.measuring import Row, ratio

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

ROUNDS = 20
NOW = "2026-01-01T00:00:00Z"
BODY = b'{"access_token": "fake-access-token", "token_type": "Bearer", "expires_in": 86400, "items": [{"id": 1}]}'
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (
    len(BODY),
    BODY,
)
#: The operator of each DAG file.
OPERATORS = {
    "HttpOperator": """
from airflow.providers.http.operators.http import HttpOperator as Operator

arguments = {"http_conn_id": "stock", "endpoint": "items", "method": "GET"}
""",
    "OAuthHttpOperator": """
from airflow_provider_oauth.operators.oauth import OAuthHttpOperator as Operator

arguments = {"oauth_conn_id": "ours", "endpoint": "items", "method": "GET"}
""",
    "OAuthExtractOperator": """
import os

from airflow_provider_oauth.operators.extract import OAuthExtractOperator as Operator

arguments = {"oauth_conn_id": "ours", "endpoint": "items", "records_path": "items"}
arguments["path"] = os.environ["AIRFLOW_HOME"] + "/items.jsonl"
""",
}
DAG = """
from airflow.sdk import DAG
{operator}
with DAG("{name}", schedule=None):
    Operator(task_id="call", **arguments)
"""
#: The response of the API server to the supervisor, about the DAG run.
DAG_RUN = {
    "dag_id": "",
    "run_id": "run",
    "logical_date": NOW,
    "data_interval_start": NOW,
    "data_interval_end": NOW,
    "start_date": NOW,
    "end_date": None,
    "run_after": NOW,
    "run_type": "manual",
    "state": "running",
    "consumed_asset_events": [],
    "partition_key": None,
}
RUN = {"dag_run": DAG_RUN, "max_tries": 0, "should_retry": False}
fork = multiprocessing.get_context("fork")


def serve(listener: socket.socket, arrivals: Connection) -> None:
    """Respond to all requests, and report when each request to the API arrived."""
    while True:
        connection, _ = listener.accept()
        with connection:
            request = b""
            while b"\r\n\r\n" not in request and (received := connection.recv(65536)):
                request += received
            if request.startswith(b"GET /items"):
                arrivals.send(time.monotonic())  # the same clock in all processes of a host
            connection.sendall(RESPONSE)


class ApiServer:
    """Computes the responses of Airflow's API server to a supervisor.

    :param url: the URL of the API, for the connections
    """

    def __init__(self, url: str) -> None:
        fields = {"schema": None, "login": None, "password": None, "port": None, "extra": None, "host": url}
        self.state = ""
        self.variables: dict[str, str] = {}
        self.connections: dict[str, dict[str, str | None]] = {
            "stock": {**fields, "conn_id": "stock", "conn_type": "http"},
            "ours": {**fields, "conn_id": "ours", "conn_type": "oauth", "login": "ours", "password": SECRET},
        }

        self.connections["ours"]["extra"] = json.dumps({"grant_url": f"{url}/token", "leeway": 60})

    def respond(self, request: httpx.Request) -> httpx.Response:
        """Return the response to a request."""
        _, resource, *names = request.url.path.split("/")
        name = names[-1]
        if name == "state":
            self.state = json.loads(request.content)["state"]
        if resource == "connections":
            return httpx.Response(200, json=self.connections[name])
        if resource == "variables" and request.method == "PUT":
            self.variables[name] = json.loads(request.content)["val"]
        elif resource == "variables" and name == "keys":
            keys = [key for key in self.variables if key.startswith(request.url.params["prefix"])]
            return httpx.Response(200, json={"keys": keys, "total_entries": len(keys)})
        elif resource == "variables":
            if name not in self.variables:
                return httpx.Response(404, json={"detail": {"reason": "not_found"}})
            return httpx.Response(200, json={"key": name, "value": self.variables[name]})
        return httpx.Response(200, json=RUN if name == "run" else {})


def run_task(name: str, client: Client, api_server: ApiServer) -> None:
    """Run the task of a DAG.

    :raises RuntimeError: when it fails
    """
    task = TaskInstance(id=uuid4(), task_id="call", dag_id=name, run_id="run", try_number=1, dag_version_id=uuid4())
    log = Path(os.environ["AIRFLOW_HOME"], f"{name}.log")
    log.unlink(missing_ok=True)
    code = supervise_task(
        ti=task,
        bundle_info=BundleInfo(name="dags-folder"),
        dag_rel_path=f"{name}.py",
        token="",
        client=client,
        log_path=str(log),
    )
    if code or api_server.state != "success":
        raise RuntimeError(f"The task of {name} failed:\n{log.read_text()}")


def measure() -> dict[str, list[float]]:
    """Return the seconds from the fork of each task process to its first request, by operator, taken alternately."""
    dags = Path(os.environ["AIRFLOW_HOME"], "dags")
    dags.mkdir(exist_ok=True)
    for name, operator in OPERATORS.items():
        (dags / f"{name}.py").write_text(DAG.format(operator=operator, name=name))
    seconds: dict[str, list[float]] = {name: [] for name in OPERATORS}
    started = []
    sys.dont_write_bytecode = False  # an installed package is compiled
    os.register_at_fork(before=lambda: started.append(time.monotonic()))
    arrivals, sender = fork.Pipe(duplex=False)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fork.Process(target=serve, args=(listener, sender), daemon=True).start()
        api_server = ApiServer(f"http://127.0.0.1:{listener.getsockname()[1]}")
        transport = httpx.MockTransport(api_server.respond)
        gc.freeze()  # as the LocalExecutor does before it forks its workers
        with Client(base_url="http://localhost", token="", transport=transport) as client:
            for _ in range(ROUNDS + 1):  # the first round is not counted: it stores the token and compiles the modules
                for name in OPERATORS:
                    run_task(name, client, api_server)
                    seconds[name].append(arrivals.recv() - started[-1])
    return {name: taken[1:] for name, taken in seconds.items()}


def rows() -> list[Row]:
    """Return the rows of the table."""
    seconds = measure()
    stock = seconds.pop("HttpOperator")
    return [
        Row(
            f"Start of a task to its first request, {name}",
            f"HttpOperator {statistics.median(stock):.3f} s",
            f"{statistics.median(ours):.3f} s",
            f"{ratio(ours, stock):.3f}",
            "≤ 1.2",
        )
        for name, ours in seconds.items()
    ]
