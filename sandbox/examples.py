"""The example DAGs, each with the connection it needs: registered at the sandbox, and run by a real Airflow.

For the demo, and for the tests that run all of them.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sandbox.airflow import Airflow, AirflowError
from sandbox.airflow_client import FINISHED
from sandbox.private_file import write_private
from sandbox.user_agent import AirflowPages

if TYPE_CHECKING:
    from sandbox.server import SandboxProcess

EXAMPLES_FOLDER = Path(__file__).parent.parent / "example_dags"
USERNAME = "ada"


@dataclass(frozen=True)
class Example:
    """How one example DAG is wired up.

    :param conn_id: its connection, and its client ID at the server
    :param server: name of the sandbox's server
    :param grant: the grant type
    :param extra: more of the connection's extra
    :param scopes: what its client may be granted
    :param conn_type: its connection type; a vendor's takes the sandbox as its environment
    :param pool: a pool that its tasks share, and how many slots that has
    :param watched: run by its asset watcher instead of by hand
    """

    conn_id: str
    server: str
    grant: str
    extra: dict[str, Any] = field(default_factory=dict)
    scopes: tuple[str, ...] = ("read",)
    conn_type: str = "oauth"
    pool: tuple[str, int] | None = None
    watched: bool = False


#: By DAG ID, which is the name of the file too.
EXAMPLES = {
    "example_stock_http_operator": Example("example_stock", "standard", "client_credentials", {"scope": "read"}),
    "example_oauth_operator": Example(
        "example_operator", "standard", "client_credentials", {"scope": "read write"}, ("read", "write")
    ),
    "example_oauth_sensor": Example(
        "example_sensor",
        "multipart",
        "password",
        {"client_auth": "client_secret_post", "body_format": "multipart"},
    ),
    "example_taskflow_hook": Example(
        "example_taskflow",
        "jsonbody",
        "refresh_token",
        {"client_auth": "client_secret_post", "body_format": "json"},
    ),
    "example_json_token": Example(
        "example_json",
        "jsonbody",
        "password",
        {"client_auth": "client_secret_post", "body_format": "json", "use_refresh": True},
    ),
    "example_justlogin": Example(
        "example_justlogin", "justlogin", "authorization_code", scopes=("openid",), conn_type="justlogin"
    ),
    "example_justimmo": Example("example_justimmo", "justimmo", "refresh_token", conn_type="justimmo"),
    "example_keep_alive": Example("example_keep_alive", "justimmo", "refresh_token", conn_type="justimmo"),
    "example_joor": Example(
        "example_joor",
        "joor",
        "password",
        {"account": "1234"},
        ("email", "profile"),
        conn_type="joor",
        pool=("joor", 4),
    ),
    "example_asset_watcher": Example(
        "example_watcher", "standard", "client_credentials", {"scope": "read"}, watched=True
    ),
}

#: The Variable in which the watcher's check remembers what it has seen.
WATCHER_SEEN = "example_watcher_seen"


class ExampleClients:
    """The clients of the example DAGs: made up once, kept in a file, registered at the sandbox.

    :param path: the file, readable by its owner only
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: dict[str, dict[str, str]] = json.loads(path.read_text()) if path.exists() else {}

    def register(self, sandbox: SandboxProcess) -> None:
        """Register the clients; get the first refresh token of those that need one, unless that was done before."""
        for example in EXAMPLES.values():
            kept = self._kept.setdefault(example.conn_id, {})
            # Not real secrets, but with characters that must be encoded on the wire.
            kept.setdefault("client_secret", f"not-a-real-secret+/{secrets.token_urlsafe(18)}=")
            if example.grant == "password":
                kept.setdefault("user_password", f"not a real password&{secrets.token_urlsafe(12)}%")
            client = {
                "server": example.server,
                "client_id": example.conn_id,
                "client_secret": kept["client_secret"],
                "scopes": list(example.scopes),
                "users": {USERNAME: kept["user_password"]} if "user_password" in kept else {},
            }
            sandbox.control("clients", client)
            if example.grant == "refresh_token" and "refresh_token" not in kept:
                grant = {"server": example.server, "client_id": example.conn_id, "username": USERNAME}
                kept["refresh_token"] = sandbox.control("grants", grant)["refresh_token"]
        self._save()

    def connections(self, sandbox: SandboxProcess) -> dict[str, str]:
        """Return the connections as environment variables, ``AIRFLOW_CONN_…``."""
        return {
            f"AIRFLOW_CONN_{example.conn_id.upper()}": json.dumps(self._connection(example, sandbox.url))
            for example in EXAMPLES.values()
        }

    def secrets(self) -> dict[str, str]:
        """Return everything that must not be seen anywhere, by a name for messages."""
        return {f"{name} of {conn_id}": value for conn_id, kept in self._kept.items() for name, value in kept.items()}

    def basic_pairs(self) -> dict[str, str]:
        """Return the ``client_id:client_secret`` pairs that HTTP Basic would encode, by a name for messages."""
        return {f"Basic of {conn_id}": f"{conn_id}:{kept['client_secret']}" for conn_id, kept in self._kept.items()}

    def _connection(self, example: Example, url: str) -> dict[str, Any]:
        kept = self._kept[example.conn_id]
        extra: dict[str, Any] = {"grant_type": example.grant, "leeway": 60}
        if example.conn_type == "oauth":
            extra["grant_url"] = f"{url}/{example.server}/token"
        else:
            extra["environment"] = f"{url}/{example.server}"
        if "user_password" in kept:
            extra |= {"username": USERNAME, "user_password": kept["user_password"]}
        if "refresh_token" in kept:
            extra["refresh_token"] = kept["refresh_token"]
        return {
            "conn_type": example.conn_type,
            "host": f"{url}/{example.server}/api" if example.conn_type == "oauth" else None,
            "login": example.conn_id,
            "password": kept["client_secret"],
            "extra": extra | example.extra,
        }

    def _save(self) -> None:
        write_private(self._path, json.dumps(self._kept, indent=1))


def check_examples_complete(folder: Path = EXAMPLES_FOLDER) -> None:
    """Refuse to go on when a DAG file of the folder is not in :data:`EXAMPLES`, or the other way round.

    :raises LookupError: naming them
    """
    found = {path.stem for path in folder.glob("example_*.py")}
    if unwired := sorted(found ^ EXAMPLES.keys()):
        raise LookupError(
            f"Example DAGs and sandbox.examples.EXAMPLES do not match, see {', '.join(unwired)}: "
            "each example_*.py needs an entry there, and each entry such a file"
        )


def example_airflow(home: Path, connections: dict[str, str], log_level: str = "INFO") -> Airflow:
    """Return an Airflow, not started yet, that serves the example DAGs."""
    # The watcher's check is imported by the triggerer, which does not look into the DAGs folder.
    path = os.pathsep.join(filter(None, [str(EXAMPLES_FOLDER), os.environ.get("PYTHONPATH")]))
    return Airflow(home, EXAMPLES_FOLDER, connections | {"PYTHONPATH": path}, log_level)


def authorize_examples(airflow: Airflow) -> list[str]:
    """Have a user consent in Airflow's pages to the connections that need it, unless that was done before.

    :return: the connections that were consented to now
    :raises AirflowError: it did not work, and the page says why
    :raises PageError: a page is not what was expected
    """
    pages = AirflowPages(airflow.url, airflow.token_of("admin"))
    needing = [example.conn_id for example in EXAMPLES.values() if example.grant == "authorization_code"]
    missing = [conn_id for conn_id in needing if not _has_consent(pages, conn_id)]
    for conn_id in missing:
        said = pages.authorize(conn_id, USERNAME)
        if not _has_consent(pages, conn_id):
            raise AirflowError(said)
    return missing


def _has_consent(pages: AirflowPages, conn_id: str) -> bool:
    return any(cell.startswith("given") for cell in pages.show(conn_id).rows.get(conn_id, []))


def end_unfinished_runs(airflow: Airflow) -> None:
    """Fail the runs that an interrupted start has left: Airflow would go on with them, and the server count them."""
    for dag_id in EXAMPLES:
        for run in airflow.runs(dag_id):
            if run["state"] not in FINISHED:
                path = f"dags/{dag_id}/dagRuns/{quote(run['dag_run_id'])}"
                airflow.api("PATCH", path, json={"state": "failed"})


def start_example(airflow: Airflow, dag_id: str) -> str:
    """Start a run of an example DAG, or have its watcher start one, and return the run's id."""
    if pool := EXAMPLES[dag_id].pool:
        make_pool(airflow, *pool)
    if not EXAMPLES[dag_id].watched:
        return airflow.trigger(dag_id)
    before = {run["dag_run_id"] for run in airflow.runs(dag_id)}
    # As if all items were new. The API has none that it could add.
    if any(each["key"] == WATCHER_SEEN for each in airflow.api("GET", "variables")["variables"]):
        airflow.api("DELETE", f"variables/{WATCHER_SEEN}")
    airflow.unpause(dag_id)
    return _wait_for_new_run(airflow, dag_id, before)


def make_pool(airflow: Airflow, name: str, slots: int) -> None:
    """Make a pool, unless there is one of that name."""
    if not any(pool["name"] == name for pool in airflow.api("GET", "pools")["pools"]):
        airflow.api("POST", "pools", json={"name": name, "slots": slots, "include_deferred": False})


def _wait_for_new_run(airflow: Airflow, dag_id: str, before: set[str], timeout: float = 90) -> str:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        for run in airflow.runs(dag_id):
            if run["dag_run_id"] not in before:
                return str(run["dag_run_id"])
        time.sleep(0.25)
    raise AirflowError(
        f"The watcher of {dag_id} has not started a run within {timeout:g} s; "
        f"see {airflow.console / 'triggerer.log'} and {airflow.home / 'logs' / 'triggerer'}"
    )
