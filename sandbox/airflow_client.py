"""A client of Airflow's public REST API (v2), with the calls that the demo and the tests need."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Seconds to wait for a response. On a busy machine, the API server waits up to 60 s for its database.
RESPONSE_TIMEOUT = 120
#: Methods of requests that can be repeated without harm.
REPEATABLE = ("GET", "PATCH")
#: The final states of a DAG run.
FINISHED = ("success", "failed")


class AirflowError(RuntimeError):
    """Airflow did not start, did not respond, or refused a request."""


class Unavailable(AirflowError):
    """The API server did not respond, or responded with a server error."""


class DatabaseLocked(Unavailable):
    """The API server could not write to its database, so it did nothing. SQLite can be locked on a busy machine."""


class AirflowClient:
    """Runs DAGs of one Airflow and reads their results."""

    #: Base URL of the API server, without a trailing slash.
    url: str
    #: A session that is logged in.
    session: requests.Session
    #: The start time of this Airflow. Parse results from before are ignored.
    started: datetime
    #: Seconds for which requests that can be repeated without harm are repeated while the API server is
    #: :class:`Unavailable`.
    unavailable_timeout = 180.0

    def wait_until_parsed(self, dag_ids: Iterable[str], timeout: float = 60) -> None:
        """Wait until the DAG processor has parsed these DAGs since the start.

        :param timeout: seconds
        :raises AirflowError: when a DAG file cannot be imported, or after the timeout
        """
        missing = set(dag_ids)
        deadline = time.monotonic() + timeout
        while missing:
            self._raise_import_errors()
            missing = {dag_id for dag_id in missing if not self._parsed(dag_id)}
            if missing:
                self._sleep(deadline, f"Airflow has not parsed {', '.join(sorted(missing))} within {timeout:g} s")

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Unpause a DAG, start a run, and return the run ID."""
        self.unpause(dag_id)
        return self.create_run(dag_id, conf)

    def create_run(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Create a run, which starts when its DAG is not paused, and return the run ID."""
        run = self.api("POST", f"dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": dict(conf or {})})
        return str(run["dag_run_id"])

    def unpause(self, dag_id: str, paused: bool = False) -> None:
        """Unpause a DAG, or pause it. The scheduler and the asset watchers ignore a paused DAG."""
        self.api("PATCH", f"dags/{dag_id}", json={"is_paused": paused})

    def unpause_all(self, text: str) -> None:
        """Unpause all DAGs whose IDs contain a text, with one request."""
        self.api("PATCH", "dags", params={"dag_id_pattern": text}, json={"is_paused": False})

    def wait(self, dag_id: str, run_id: str, timeout: float = 120) -> str:
        """Wait for a run to end, and return ``success`` or ``failed``.

        :param timeout: seconds
        :raises AirflowError: after the timeout
        """
        deadline = time.monotonic() + timeout
        while True:
            state = self.run_state(dag_id, run_id)
            if state in FINISHED:
                return state
            tasks = self.task_states(dag_id, run_id)
            self._sleep(deadline, f"Run {run_id} of {dag_id} is still {state} after {timeout:g} s; tasks: {tasks}")

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a run: queued, running, success or failed."""
        return str(self.api("GET", f"dags/{dag_id}/dagRuns/{quote(run_id)}")["state"])

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return the latest runs of a DAG, at most 100, as the API describes them, oldest first."""
        page = self.api("GET", f"dags/{dag_id}/dagRuns", params={"limit": 100, "order_by": "-run_after"})
        return list(reversed(page["dag_runs"]))

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a run as the API describes them."""
        found: list[dict[str, Any]] = []
        while True:
            params = {"limit": 100, "offset": len(found), "order_by": "map_index"}
            page = self.api("GET", f"dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances", params=params)
            found += page["task_instances"]
            if len(found) >= page["total_entries"] or not page["task_instances"]:
                return found

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """Return the state of each task. The name of a mapped task is ``task_id[map_index]``."""
        return {
            each["task_id"] if each["map_index"] < 0 else f"{each['task_id']}[{each['map_index']}]": each["state"]
            for each in self.task_instances(dag_id, run_id)
        }

    def task_log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1) -> str:
        """Return a task's log as text, one line per event, including the fields of each event."""
        path = f"dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}/logs/{try_number}"
        log = self.api("GET", path, params={"map_index": map_index, "full_content": True})
        return "\n".join(_log_line(each) for each in log["content"])

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """Return an XCom value of a task."""
        path = f"dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.api("GET", path, params={"map_index": map_index, "deserialize": True})["value"]

    def store_connections(self, connections: Mapping[str, Mapping[str, Any]]) -> None:
        """Store connections in the database, as the connection form does. Existing connections are overwritten.

        :param connections: the fields of each connection by connection ID; ``extra`` is a dict
        :raises AirflowError: when Airflow refuses a connection
        """
        entities = [
            {**fields, "connection_id": conn_id, "extra": json.dumps(fields["extra"])}
            for conn_id, fields in connections.items()
        ]
        action = {"action": "create", "entities": entities, "action_on_existence": "overwrite"}
        result = self.api("PATCH", "connections", json={"actions": [action]})
        if result["create"]["errors"]:
            raise AirflowError(f"Connections were not stored: {result['create']['errors']}")

    def api(self, method: str, path: str, **options: Any) -> Any:
        """Call the API, and return the JSON of the response.

        :param path: relative to ``/api/v2/``
        :param options: as in ``requests.request``
        :raises AirflowError: when the status is an error
        """
        deadline = time.monotonic() + self.unavailable_timeout
        while True:
            try:
                response = self._request(method, path, **options)
            except Unavailable as error:
                is_repeatable = method in REPEATABLE or isinstance(error, DatabaseLocked)
                if not is_repeatable or time.monotonic() >= deadline:
                    raise
                self._sleep(deadline, str(error))
            else:
                return response.json() if response.content else None

    def _request(self, method: str, path: str, **options: Any) -> requests.Response:
        try:
            response = self.session.request(method, f"{self.url}/api/v2/{path}", timeout=RESPONSE_TIMEOUT, **options)
        except requests.RequestException as error:
            raise Unavailable(self._with_log(f"{method} {path} got no response: {error}")) from error
        if not response.ok:
            kind = AirflowError
            if response.status_code >= 500:
                kind = DatabaseLocked if '"Database error"' in response.text else Unavailable
            raise kind(self._with_log(f"{method} {path} returned {response.status_code}: {response.text}"))
        return response

    def _parsed(self, dag_id: str) -> bool:
        response = self.session.get(f"{self.url}/api/v2/dags/{dag_id}", timeout=RESPONSE_TIMEOUT)
        if not response.ok:
            return False
        parsed = response.json().get("last_parsed_time")
        return bool(parsed) and datetime.fromisoformat(parsed) >= self.started

    def _raise_import_errors(self) -> None:
        errors = [
            f"{each['filename']}:\n{each['stack_trace']}"
            for each in self.api("GET", "importErrors")["import_errors"]
            if datetime.fromisoformat(each["timestamp"]) >= self.started
        ]
        if errors:
            raise AirflowError("DAG files that cannot be imported:\n" + "\n".join(errors))

    def _sleep(self, deadline: float, message: str) -> None:
        if time.monotonic() > deadline:
            raise AirflowError(self._with_log(message))
        time.sleep(0.25)

    def _with_log(self, message: str) -> str:
        return message


def _log_line(entry: dict[str, Any] | str) -> str:
    if isinstance(entry, str):
        return entry
    fields = {key: value for key, value in entry.items() if key not in {"timestamp", "event", "level"} and value}
    return f"{entry.get('level', '')} {entry['event']} {fields or ''}".strip()
