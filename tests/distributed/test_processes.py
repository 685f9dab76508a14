"""Operating-system processes that share a token by Variables in PostgreSQL; the server counts what they ask."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.server import SandboxProcess
from sandbox.services import PostgreSQL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "not-a-real-secret"  # noqa: S105
PROCESSES = 64

#: Imports once, then forks: every child waits for the start signal, wants tokens, and says what it got.
CROWD = """
import json, os, signal, sys, time

from airflow import settings
from airflow.models import import_all_models
from airflow_provider_oauth.hooks.oauth import OAuthHook
from sqlalchemy.orm import configure_mappers

import_all_models()  # what would be imported late is imported once, before the fork
configure_mappers()
todo = json.loads(sys.argv[1])
ready, start = os.pipe(), os.pipe()


def child(number):
    os.environ["AIRFLOW__OAUTH__LOCK_FOLDER"] = f"{todo['folder']}/host-{number % todo['hosts']}"
    settings.dispose_orm()
    settings.configure_orm()
    os.write(ready[1], b".")
    os.read(start[0], 1)
    begun = time.monotonic()
    tokens, worked = set(), 0
    while True:
        token = OAuthHook(todo["conn_id"]).get_token()
        tokens.add(token.access_token)
        first = time.monotonic() - begun if worked == 0 else first
        worked += 1
        if time.monotonic() - begun >= todo["seconds"]:
            break
        time.sleep(0.1)
    with open(f"{todo['folder']}/{number}.json", "w") as file:
        json.dump({"tokens": sorted(tokens), "first": first, "worked": worked}, file)


children = []
for number in range(todo["processes"]):
    pid = os.fork()
    if pid == 0:
        try:
            child(number)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    children.append(pid)
for _ in children:
    os.read(ready[0], 1)
os.write(start[1], b"." * len(children))
for number in range(todo["killed"]):
    time.sleep(todo["seconds"] / (todo["killed"] + 1))
    os.kill(children[-1 - number], signal.SIGKILL)
codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
print(json.dumps(codes))
"""


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("crowd_sandbox")) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of an Airflow whose database is PostgreSQL."""
    folder = tmp_path_factory.mktemp("crowd")
    with PostgreSQL(folder / "postgresql") as postgresql:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
        env = inherited | {
            "AIRFLOW_HOME": str(folder / "home"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgresql.url,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "1",
        }
        subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=env, capture_output=True, check=True)
        yield env


class Crowd:
    """Many processes that all want the token of one connection."""

    def __init__(self, env: dict[str, str], sandbox: SandboxProcess, folder: Path) -> None:
        self.env = env
        self.sandbox = sandbox
        self.folder = folder

    def connection(self, conn_id: str, grant: str, lifetime: int | None = None) -> None:
        """Register a client, and define the connection to it."""
        self.sandbox.control(
            "clients",
            {"server": "jsonbody", "client_id": conn_id, "client_secret": SECRET, "access_lifetime": lifetime},
        )
        extra = {
            "grant_type": grant,
            "grant_url": f"{self.sandbox.url}/jsonbody/token",
            "client_auth": "client_secret_post",
            "body_format": "json",
            "leeway": 60,
        }
        if grant == "refresh_token":
            grant_of = {"server": "jsonbody", "client_id": conn_id}
            extra["refresh_token"] = self.sandbox.control("grants", grant_of)["refresh_token"]
        values = {"conn_type": "oauth", "host": f"{self.sandbox.url}/jsonbody/api", "login": conn_id,
                  "password": SECRET, "extra": extra}  # fmt: skip
        self.env = self.env | {f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(values)}

    def want(self, conn_id: str, hosts: int, seconds: float = 0.0, killed: int = 0) -> list[dict[str, Any]]:
        """Let all of them want the token, for some seconds; return what each got that was not killed."""
        todo = {"conn_id": conn_id, "hosts": hosts, "seconds": seconds, "killed": killed, "folder": str(self.folder),
                "processes": PROCESSES}  # fmt: skip
        self.sandbox.control("faults", {"server": "jsonbody", "endpoint": "token", "times": 10_000, "delay": 0.2})
        result = subprocess.run(
            [sys.executable, "-c", CROWD, json.dumps(todo)],
            env=self.env, capture_output=True, text=True, timeout=300, check=True,
        )  # fmt: skip
        codes = json.loads(result.stdout.splitlines()[-1])
        assert codes.count(0) == PROCESSES - killed, result.stderr[-5000:]
        return [json.loads(path.read_text()) for path in self.folder.glob("*.json")]

    def counts(self, conn_id: str) -> dict[str, Any]:
        """Return what the server has counted of the client."""
        return dict(self.sandbox.control("counts")[conn_id])


@pytest.fixture
def crowd(env: dict[str, str], sandbox: SandboxProcess, tmp_path: Path) -> Crowd:
    return Crowd(env, sandbox, tmp_path)


def test_64_cold_processes_of_a_host_cost_one_token_request(crowd: Crowd) -> None:
    crowd.connection("one_host", "client_credentials")
    got = crowd.want("one_host", hosts=1)
    assert len({tuple(each["tokens"]) for each in got}) == 1
    assert crowd.counts("one_host")["token_requests"] == 1


def test_64_cold_processes_of_two_hosts_cost_two_where_that_is_harmless(crowd: Crowd) -> None:
    crowd.connection("two_hosts", "client_credentials")
    crowd.want("two_hosts", hosts=2)
    assert crowd.counts("two_hosts")["token_requests"] in (1, 2)


def test_64_cold_processes_of_two_hosts_spend_one_refresh_token(crowd: Crowd) -> None:
    crowd.connection("rotating", "refresh_token")
    got = crowd.want("rotating", hosts=2)
    assert len({tuple(each["tokens"]) for each in got}) == 1
    counts = crowd.counts("rotating")
    assert (counts["token_requests"], counts["refresh_reused"]) == (1, 0)


def test_64_processes_of_eight_hosts_spend_one_refresh_token_each_period(crowd: Crowd) -> None:
    lifetime, seconds = 20, 45.0
    crowd.connection("periods", "refresh_token", lifetime)
    got = crowd.want("periods", hosts=8, seconds=seconds, killed=3)
    counts = crowd.counts("periods")
    assert counts["refresh_reused"] == 0
    assert len({token for each in got for token in each["tokens"]}) <= counts["token_requests"]
    # Who is killed while it renews makes the others wait for 90 s: there may be no second period.
    assert 1 <= counts["token_requests"] <= 1 + (seconds + 30) / (0.7 * lifetime)
