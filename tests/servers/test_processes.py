"""Four processes of two hosts share a grant by Variables in PostgreSQL; the servers count refresh tokens used twice."""

from __future__ import annotations

import itertools
import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, Self

import pytest

from sandbox.processes import Component, stop
from sandbox.services import PostgreSQL
from tests.servers.person import Person
from tests.servers.servers import FOLDER, REDIRECT_URI, SECRET, AuthorizationServer, DjangoToolkit, OidcProvider
from tests.servers.steps import post, tokens_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PROCESSES, HOSTS = 4, 2
#: Seconds to wait for what the processes do.
PATIENCE = 180.0
AIRFLOW = (sys.executable, "-m", "airflow")


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of an Airflow whose database is PostgreSQL."""
    folder = tmp_path_factory.mktemp("airflow")
    with PostgreSQL(folder / "postgresql") as postgresql:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
        env = inherited | {
            "AIRFLOW_HOME": str(folder / "home"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgresql.url,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "1",
        }
        subprocess.run([*AIRFLOW, "db", "migrate"], env=env, capture_output=True, check=True)
        yield env


@pytest.fixture(params=[OidcProvider, DjangoToolkit])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[int], AuthorizationServer]]:
    """Start each of the two servers, with access tokens that live for some seconds."""
    with ExitStack() as running:
        yield lambda lifetime: running.enter_context(request.param(tmp_path / "server", lifetime))


def define(env: dict[str, str], server: AuthorizationServer, **extra: Any) -> dict[str, str]:
    """Return the environment with a connection ``crowd`` of the client ``app``."""
    extra = {"issuer": server.url, "resource": server.resource, "leeway": 60, **server.consent, **extra}
    values = {"conn_type": "oauth", "host": server.resource, "login": "app", "password": SECRET, "extra": extra}
    return env | {"AIRFLOW_CONN_CROWD": json.dumps(values)}


def authorize(env: dict[str, str]) -> None:
    """Consent on the command line: open the URL that it prints, and paste the one that the browser is sent to."""
    command = [*AIRFLOW, "oauth", "authorize", "crowd", "--redirect-uri", REDIRECT_URI]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True) as process:
        try:
            url = next(line.strip() for line in process.stdout if line.startswith("http://"))
            output, _ = process.communicate(Person().consent(url, REDIRECT_URI) + "\n", timeout=120)
        finally:
            process.kill()
    assert process.returncode == 0, output


def renew(env: dict[str, str]) -> None:
    """Renew on the command line, though the token is still valid."""
    command = [*AIRFLOW, "oauth", "renew", "crowd"]
    result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


class Crowd:
    """Four processes that call the API, in a ``with`` block.

    :param env: with the connection ``crowd``
    :param folder: for their statuses and their log
    """

    def __init__(self, env: dict[str, str], folder: Path) -> None:
        self._folder = folder
        options = {"conn_id": "crowd", "processes": PROCESSES, "hosts": HOSTS, "folder": str(folder)}
        command = [sys.executable, str(FOLDER / "crowd.py"), json.dumps(options)]
        self._component = Component("crowd", command, env, FOLDER.parents[1], folder / "crowd.log")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        stop([self._component], grace=5)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait while the processes call the API."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert self._component.exit_code is None, self._component.tail()
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def finish(self) -> list[list[int]]:
        """Let the processes end, and return the statuses of each one's calls."""
        (self._folder / "stop").touch()
        deadline = time.monotonic() + PATIENCE
        while self._component.exit_code is None and time.monotonic() < deadline:
            time.sleep(0.1)
        assert self._component.exit_code == 0, self._component.tail()
        return [json.loads((self._folder / f"{number}.json").read_text()) for number in range(PROCESSES)]


def renewals(server: AuthorizationServer) -> int:
    """Return how many refresh tokens the server has accepted."""
    granted = [event for event in server.events("token") if event.get("error") is None]
    return sum(event["grant_type"] == "refresh_token" for event in granted)


def reused(server: AuthorizationServer) -> int:
    """Return how many grants the server has ended because a refresh token was used twice."""
    if isinstance(server, OidcProvider):
        return len(server.events("grant revoked"))
    # REFRESH_TOKEN_REUSE_PROTECTION ends all tokens that come from one consent.
    with closing(sqlite3.connect(f"file:{server.folder}/django.sqlite3?mode=ro", uri=True)) as database:
        query = "SELECT COUNT(revoked) = COUNT(*) FROM oauth2_provider_refreshtoken GROUP BY token_family"
        return sum(ended for (ended,) in database.execute(query))


def test_the_servers_notice_a_refresh_token_that_is_used_twice(start):
    """Otherwise the other tests here could not fail."""
    server = start(3600)
    refresh_token = tokens_of(server)["refresh_token"]
    assert reused(server) == 0
    statuses = [post(server, "grant_url", grant_type="refresh_token", refresh_token=refresh_token) for _ in range(2)]
    assert [each.status_code for each in statuses] == [200, 400]
    assert reused(server) == 1


def test_four_processes_use_each_refresh_token_once(start, env, tmp_path):
    server = start(20)
    env = define(env, server, grant_type="authorization_code")
    authorize(env)
    with Crowd(env, tmp_path) as crowd:
        crowd.wait_until(lambda: renewals(server) >= 2)
        statuses = crowd.finish()
    assert set(server.refusals()) == {None}
    assert reused(server) == 0
    assert_hardly_disturbed(statuses, server)


def test_a_renewal_by_a_person_does_not_disturb_running_tasks(start, env, tmp_path):
    server = start(3600)
    env = define(env, server, grant_type="authorization_code")
    authorize(env)
    with Crowd(env, tmp_path) as crowd:
        for _ in range(2):
            calls = len(server.events("api"))
            crowd.wait_until(lambda calls=calls: len(server.events("api")) >= calls + 10 * PROCESSES)
            renew(env)
        calls = len(server.events("api"))
        crowd.wait_until(lambda: len(server.events("api")) >= calls + 10 * PROCESSES)
        statuses = crowd.finish()
    assert (renewals(server), set(server.refusals()), reused(server)) == (2, {None}, 0)
    assert_hardly_disturbed(statuses, server)


def test_four_processes_without_a_token_use_the_refresh_token_of_the_connection_once(start, env, tmp_path):
    server = start(3600)
    env = define(env, server, grant_type="refresh_token", refresh_token=tokens_of(server)["refresh_token"])
    with Crowd(env, tmp_path) as crowd:
        crowd.wait_until(lambda: len(server.events("api")) >= 20 * PROCESSES)
        statuses = crowd.finish()
    assert (renewals(server), set(server.refusals()), reused(server)) == (1, {None}, 0)
    assert {status for each in statuses for status in each} == {200}


def test_four_processes_renew_a_token_that_the_server_has_ended_once(env, tmp_path):
    with DjangoToolkit(tmp_path / "server") as server:
        pasted = tokens_of(server)["refresh_token"]
        env = define(env, server, grant_type="refresh_token", refresh_token=pasted, renew_on="403")
        with Crowd(env, tmp_path) as crowd:
            crowd.wait_until(lambda: len(server.events("api")) >= 10 * PROCESSES)
            with closing(sqlite3.connect(server.folder / "django.sqlite3", timeout=20)) as database, database:
                database.execute("UPDATE oauth2_provider_accesstoken SET expires = '2000-01-01 00:00:00'")
            crowd.wait_until(lambda: renewals(server) == 2)
            calls = len(server.events("api"))
            crowd.wait_until(lambda: len(server.events("api")) >= calls + 10 * PROCESSES)
            statuses = crowd.finish()
        assert (renewals(server), set(server.refusals()), reused(server)) == (2, {None}, 0)
        assert 403 in [event["status"] for event in server.events("api")]
        assert {status for each in statuses for status in each} == {200}


def assert_hardly_disturbed(statuses: list[list[int]], server: AuthorizationServer) -> None:
    """Make sure that the calls of each process succeeded.

    At Django OAuth Toolkit a call may fail in the moment between rotation and the storing of the new token, but not the
    next one.
    """
    for each in statuses:
        assert each.count(200) >= 10
        if isinstance(server, OidcProvider):
            assert set(each) == {200}
        else:
            assert (403, 403) not in itertools.pairwise(each)
            assert set(each) <= {200, 403}
