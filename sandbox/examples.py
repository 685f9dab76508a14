"""Runs the example DAGs with a real Airflow against the sandbox, each with a connection and a registered client."""

from __future__ import annotations

import json
import os
import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sandbox.airflow import Airflow, AirflowError
from sandbox.airflow_client import FINISHED
from sandbox.private_file import write_private
from sandbox.server import SandboxProcess
from sandbox.user_agent import AirflowPages

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

EXAMPLES_FOLDER = Path(__file__).parent.parent / "example_dags"
USERNAME = "ada"


@dataclass(frozen=True)
class Example:
    """The connection and the client of one example DAG.

    :param conn_id: the connection ID, which is also the client ID
    :param server: the name of the sandbox's server
    :param grant: the grant type
    :param extra: additional fields of the connection's extra
    :param scopes: the scopes that the client may be granted
    :param conn_type: the connection type; for a vendor's type, the sandbox is the environment
    :param pool: the name and the slots of the pool that its tasks use
    :param watched: the DAG is started by its asset watcher
    """

    conn_id: str
    server: str
    grant: str
    extra: dict[str, Any] = field(default_factory=dict)
    scopes: tuple[str, ...] = ("read",)
    conn_type: str = "oauth"
    pool: tuple[str, int] | None = None
    watched: bool = False

    @property
    def has_private_key(self) -> bool:
        """Whether the client has a private key instead of a client secret."""
        return self.extra.get("client_auth") == "private_key_jwt"


#: The examples by DAG ID, which is also the name of the file.
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
    "example_incremental": Example("example_incremental", "standard", "client_credentials", {"scope": "read"}),
    "example_folder_of_parts": Example("example_parts", "standard", "client_credentials", {"scope": "read"}),
    "example_private_key": Example(
        "example_private_key", "standard", "client_credentials", {"scope": "read", "client_auth": "private_key_jwt"}
    ),
    "example_asset_watcher": Example(
        "example_watcher", "standard", "client_credentials", {"scope": "read"}, watched=True
    ),
}

#: The connections of the DAGs in README and docs.
DOCS = (
    Example("my_api", "shop", "client_credentials", {"scope": "read write"}, ("read", "write")),
    Example("my_consent", "shop", "refresh_token"),
)

#: The Variable in which the check of the asset watcher stores what it has seen.
WATCHER_SEEN = "example_watcher_seen"


class ExampleClients:
    """The clients of examples. Their credentials are stored in a file, and private keys also in a folder next to it.

    :param path: the path of the file, which only its owner can read
    :param examples: the examples
    """

    def __init__(self, path: Path, examples: Collection[Example] = tuple(EXAMPLES.values())) -> None:
        self._path = path
        self._examples = examples
        self._credentials: dict[str, dict[str, str]] = json.loads(path.read_text()) if path.exists() else {}

    def register(self, sandbox: SandboxProcess) -> None:
        """Register the clients. Issue the first refresh token of each client that needs one and has none yet."""
        for example in self._examples:
            credentials = self._credentials.setdefault(example.conn_id, {})
            # Made-up secrets with characters that must be encoded in requests.
            if example.has_private_key:
                credentials.setdefault("private_key", new_private_key())
                self._keys.mkdir(mode=0o700, exist_ok=True)
                write_private(self._key_file(example), credentials["private_key"])
            else:
                credentials.setdefault("client_secret", f"not-a-real-secret+/{secrets.token_urlsafe(18)}=")
            if example.grant == "password":
                credentials.setdefault("user_password", f"not a real password&{secrets.token_urlsafe(12)}%")
            client = {
                "server": example.server,
                "client_id": example.conn_id,
                "client_secret": credentials.get("client_secret"),
                "public_key": public_key_of(credentials["private_key"]) if example.has_private_key else None,
                "scopes": list(example.scopes),
                "users": {USERNAME: credentials["user_password"]} if "user_password" in credentials else {},
            }
            sandbox.control("clients", client)
            if example.grant == "refresh_token" and "refresh_token" not in credentials:
                grant = {"server": example.server, "client_id": example.conn_id, "username": USERNAME}
                credentials["refresh_token"] = sandbox.control("grants", grant)["refresh_token"]
        write_private(self._path, json.dumps(self._credentials, indent=1))

    def connections(self, sandbox: SandboxProcess) -> dict[str, dict[str, Any]]:
        """Return the fields of the connections by connection ID."""
        return {example.conn_id: self._connection(example, sandbox.url) for example in self._examples}

    def environment(self) -> dict[str, str]:
        """Return the settings that the connections need."""
        return {"AIRFLOW__OAUTH__FILE_FOLDER": str(self._keys)}

    @property
    def _keys(self) -> Path:
        return self._path.with_name("keys")

    def _key_file(self, example: Example) -> Path:
        return self._keys / f"{example.conn_id}.pem"

    def secrets(self) -> dict[str, str]:
        """Return all secrets, by a name for messages. Of a private key, one line is sufficient to find it."""
        return {
            f"{name} of {conn_id}": value.splitlines()[2] if name == "private_key" else value
            for conn_id, credentials in self._credentials.items()
            for name, value in credentials.items()
        }

    def basic_pairs(self) -> dict[str, str]:
        """Return the ``client_id:client_secret`` pairs that HTTP Basic encodes, by a name for messages."""
        return {
            f"Basic of {conn_id}": f"{conn_id}:{credentials['client_secret']}"
            for conn_id, credentials in self._credentials.items()
            if "client_secret" in credentials
        }

    def _connection(self, example: Example, url: str) -> dict[str, Any]:
        credentials = self._credentials[example.conn_id]
        extra: dict[str, Any] = {"grant_type": example.grant, "leeway": 60}
        if example.conn_type == "oauth":
            extra["grant_url"] = f"{url}/{example.server}/token"
        else:
            extra["environment"] = f"{url}/{example.server}"
        if "user_password" in credentials:
            extra |= {"username": USERNAME, "user_password": credentials["user_password"]}
        if "refresh_token" in credentials:
            extra["refresh_token"] = credentials["refresh_token"]
        if example.has_private_key:
            extra["private_key_file"] = str(self._key_file(example))
        return {
            "conn_type": example.conn_type,
            "host": f"{url}/{example.server}/api" if example.conn_type == "oauth" else None,
            "login": example.conn_id,
            "password": credentials.get("client_secret"),
            "extra": extra | example.extra,
        }


def new_private_key() -> str:
    """Return a new private key for ES256, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    pkcs8, no_encryption = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, pkcs8, no_encryption).decode()


def public_key_of(private_key: str) -> str:
    """Return the public key of a private key, both in PEM."""
    key = serialization.load_pem_private_key(private_key.encode(), None).public_key()
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, spki).decode()


def as_environment(connections: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return connections as environment variables, ``AIRFLOW_CONN_…``."""
    return {f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(fields) for conn_id, fields in connections.items()}


def check_examples_complete(folder: Path = EXAMPLES_FOLDER) -> None:
    """Check that the DAG files of the folder and :data:`EXAMPLES` match.

    :raises LookupError: when they do not match
    """
    found = {path.stem for path in folder.glob("example_*.py")}
    if mismatches := sorted(found ^ EXAMPLES.keys()):
        raise LookupError(
            f"The example DAGs and sandbox.examples.EXAMPLES do not match: {', '.join(mismatches)}. "
            "Each example_*.py needs an entry in EXAMPLES, and each entry needs a file."
        )


@contextmanager
def running_examples(
    home: Path, log: Callable[[str], None], *, own_dags: Path | None = None
) -> Iterator[tuple[SandboxProcess, Airflow]]:
    """Run the sandbox and an Airflow with the example DAGs and their connections.

    :param home: the folder for all files
    :param log: is called with progress messages
    :param own_dags: a folder for a user's DAGs, which Airflow reads too. There are then connections for the DAGs in
        README and docs, and all connections are in Airflow's database, where the user can see and edit them, instead of
        environment variables
    """
    check_examples_complete()
    home.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    log("Starting the local authorization server and API")
    with SandboxProcess(home / "sandbox") as sandbox:
        clients = ExampleClients(home / "clients.json", (*EXAMPLES.values(), *(DOCS if own_dags else ())))
        clients.register(sandbox)
        sandbox.control("counts/reset", {})
        connections = clients.connections(sandbox)
        log(f"They listen on {sandbox.url}. Starting Airflow, which takes up to a minute")
        env = _with_own_dags(own_dags) if own_dags else as_environment(connections)
        env |= clients.environment()
        with example_airflow(home / "airflow", env) as airflow:
            if own_dags:
                airflow.store_connections(connections)
            log(f"Airflow is ready on {airflow.url} ({time.monotonic() - start:.0f} s)")
            yield sandbox, airflow


def _with_own_dags(folder: Path) -> dict[str, str]:
    """Return the settings of an Airflow that also reads the DAGs of a folder, which is created if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    bundle = {"classpath": "airflow.dag_processing.bundles.local.LocalDagBundle"}
    bundles = [
        {"name": "dags-folder", **bundle, "kwargs": {}},
        {"name": "own", **bundle, "kwargs": {"path": str(folder)}},
    ]
    return {
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
    }


def example_airflow(home: Path, env: dict[str, str]) -> Airflow:
    """Return an Airflow that serves the example DAGs. It is not started yet."""
    # The triggerer imports the check of the asset watcher, but does not search the DAGs folder for modules.
    path = os.pathsep.join(filter(None, [str(EXAMPLES_FOLDER), os.environ.get("PYTHONPATH")]))
    return Airflow(home, EXAMPLES_FOLDER, env | {"PYTHONPATH": path})


def authorize_examples(airflow: Airflow) -> list[str]:
    """Authorize the connections that need a user's consent and have none yet, on the page *OAuth connections*.

    :return: the connections that were authorized
    :raises AirflowError: when the authorization fails
    :raises PageError: when a page is not as expected
    """
    pages = AirflowPages(airflow.url, airflow.token_of("admin"))
    conn_ids = [example.conn_id for example in EXAMPLES.values() if example.grant == "authorization_code"]
    missing = [conn_id for conn_id in conn_ids if not _has_consent(pages, conn_id)]
    for conn_id in missing:
        message = pages.authorize(conn_id, USERNAME)
        if not _has_consent(pages, conn_id):
            raise AirflowError(message)
    return missing


def _has_consent(pages: AirflowPages, conn_id: str) -> bool:
    return any(cell.startswith("Given") for cell in pages.show(conn_id).rows.get(conn_id, []))


def end_unfinished_runs(airflow: Airflow) -> None:
    """Fail the runs that an interrupted demo left behind. Airflow would continue them, and the server count them."""
    for dag_id in EXAMPLES:
        for run in airflow.runs(dag_id):
            if run["state"] not in FINISHED:
                path = f"dags/{dag_id}/dagRuns/{quote(run['dag_run_id'])}"
                airflow.api("PATCH", path, json={"state": "failed"})


def create_runs(airflow: Airflow) -> dict[str, str]:
    """Start a run of each example DAG that no asset watcher starts, and return the run IDs.

    All runs start together. If Airflow's API server gets a request for its audit log while a task starts, it can wait
    for itself for a minute with SQLite, because it writes the log in its event loop.
    """
    dag_ids = [dag_id for dag_id, example in EXAMPLES.items() if not example.watched]
    for dag_id in dag_ids:
        airflow.unpause(dag_id, paused=True)
    for example in EXAMPLES.values():
        if example.pool:
            create_pool(airflow, *example.pool)
    started = {dag_id: airflow.create_run(dag_id) for dag_id in dag_ids}
    airflow.unpause_all("example_")
    return started


def start_watched_example(airflow: Airflow, dag_id: str) -> str:
    """Let an asset watcher start a run of an example DAG, and return the run ID."""
    before = {run["dag_run_id"] for run in airflow.runs(dag_id)}
    # Make the watcher see all items as new, because the sandbox's API never adds items.
    if any(each["key"] == WATCHER_SEEN for each in airflow.api("GET", "variables")["variables"]):
        airflow.api("DELETE", f"variables/{WATCHER_SEEN}")
    airflow.unpause(dag_id)
    return _wait_for_new_run(airflow, dag_id, before)


def create_pool(airflow: Airflow, name: str, slots: int) -> None:
    """Create a pool if there is none with this name."""
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
        f"The asset watcher of {dag_id} started no run within {timeout:g} s. "
        f"See {airflow.console / 'triggerer.log'} and {airflow.home / 'logs' / 'triggerer'}."
    )
