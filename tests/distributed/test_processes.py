"""Operating-system processes share a token in PostgreSQL. The server counts their token requests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.server import SandboxProcess
from tests.connections import connection_values

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "not-a-real-secret"  # noqa: S105
PROCESSES = 64
PROGRAM = Path(__file__).parent / "callers.py"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("callers_sandbox")) as sandbox:
        yield sandbox


class Callers:
    """Many processes that use the token of one connection.

    :param env: the environment of the processes, which share one database
    :param sandbox: the server
    :param folder: the folder of the results
    """

    def __init__(self, env: dict[str, str], sandbox: SandboxProcess, folder: Path) -> None:
        self.env = env
        self.sandbox = sandbox
        self.folder = folder

    def connect(self, conn_id: str, grant_type: str, lifetime: int | None = None) -> None:
        """Register a client, and define its connection."""
        client = {"server": "jsonbody", "client_id": conn_id}
        self.sandbox.control("clients", {**client, "client_secret": SECRET, "access_lifetime": lifetime})
        fields = {"grant_type": grant_type, "client_auth": "client_secret_post", "body_format": "json"}
        if grant_type == "refresh_token":
            fields |= self.sandbox.control("grants", client)
        url = f"{self.sandbox.url}/jsonbody"
        values = connection_values(
            host=f"{url}/api", login=conn_id, password=SECRET, grant_url=f"{url}/token", **fields
        )
        self.env = self.env | {f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(values)}

    def run(self, conn_id: str, hosts: int, seconds: float = 0.0, killed: int = 0) -> list[list[str]]:
        """Let all processes use the token, and return the tokens of each process that was not killed.

        :param seconds: for how long
        :param killed: the number of processes that are killed meanwhile
        """
        options = {"conn_id": conn_id, "hosts": hosts, "seconds": seconds, "killed": killed, "processes": PROCESSES,
                   "folder": str(self.folder)}  # fmt: skip
        self.sandbox.control("faults", {"server": "jsonbody", "endpoint": "token", "times": 10_000, "delay": 0.2})
        result = subprocess.run(
            [sys.executable, str(PROGRAM), json.dumps(options)],
            env=self.env, cwd=PROGRAM.parents[2], capture_output=True, text=True, timeout=300, check=True,
        )  # fmt: skip
        codes = json.loads(result.stdout.splitlines()[-1])
        assert codes.count(0) == PROCESSES - killed, result.stderr[-5000:]
        return [json.loads(path.read_text()) for path in self.folder.glob("*.json")]

    def counts(self, conn_id: str) -> dict[str, Any]:
        """Return the server's counters of the client."""
        return dict(self.sandbox.control("counts")[conn_id])


@pytest.fixture
def callers(airflow_env: dict[str, str], sandbox: SandboxProcess, tmp_path: Path) -> Callers:
    return Callers(airflow_env, sandbox, tmp_path)


def test_64_processes_of_one_host_send_one_token_request(callers: Callers) -> None:
    callers.connect("one_host", "client_credentials")
    tokens = callers.run("one_host", hosts=1)
    assert len(set(map(tuple, tokens))) == 1
    assert callers.counts("one_host")["token_requests"] == 1


def test_64_processes_of_two_hosts_send_at_most_two_token_requests_with_a_repeatable_grant(callers: Callers) -> None:
    callers.connect("two_hosts", "client_credentials")
    callers.run("two_hosts", hosts=2)
    assert callers.counts("two_hosts")["token_requests"] in (1, 2)


def test_64_processes_of_two_hosts_use_one_refresh_token(callers: Callers) -> None:
    callers.connect("rotating", "refresh_token")
    tokens = callers.run("rotating", hosts=2)
    assert len(set(map(tuple, tokens))) == 1
    counts = callers.counts("rotating")
    assert (counts["token_requests"], counts["refresh_reused"]) == (1, 0)


def test_64_processes_of_eight_hosts_use_one_refresh_token_per_lifetime(callers: Callers) -> None:
    lifetime, seconds = 20, 45.0
    callers.connect("lifetimes", "refresh_token", lifetime)
    tokens = callers.run("lifetimes", hosts=8, seconds=seconds, killed=3)
    counts = callers.counts("lifetimes")
    assert counts["refresh_reused"] == 0
    assert len({token for each in tokens for token in each}) <= counts["token_requests"]
    # If a process is killed while it renews, the others wait up to 90 s. Then there may be no second renewal.
    assert 1 <= counts["token_requests"] <= 1 + (seconds + 30) / (0.7 * lifetime)
