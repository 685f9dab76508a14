"""Four processes of two hosts share a grant in PostgreSQL. The servers detect a refresh token that is used twice."""

from __future__ import annotations

import itertools
import json
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, Self

import pytest

from sandbox.processes import Component, stop
from tests.connections import connection_values
from tests.servers.servers import FOLDER, REDIRECT_URI, SECRET, AuthorizationServer, DjangoToolkit, OidcProvider
from tests.servers.steps import post, tokens_of
from tests.servers.user import User

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PROCESSES, HOSTS = 4, 2
#: Seconds to wait for the processes.
TIMEOUT = 180.0
AIRFLOW = (sys.executable, "-m", "airflow")


@pytest.fixture(params=[OidcProvider, DjangoToolkit])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[int], AuthorizationServer]]:
    """Return a function that starts one of the two servers, with a lifetime of access tokens in seconds."""
    with ExitStack() as running:
        yield lambda lifetime: running.enter_context(request.param(tmp_path / "server", lifetime))


def define(env: dict[str, str], server: AuthorizationServer, **extra: Any) -> dict[str, str]:
    """Return the environment with the connection ``callers`` for the client ``app``."""
    fields = {"issuer": server.url, "grant_url": None, "resource": server.resource, **server.authorization_fields}
    values = connection_values(host=server.resource, password=SECRET, **fields | extra)
    return env | {"AIRFLOW_CONN_CALLERS": json.dumps(values)}


def authorize(env: dict[str, str]) -> None:
    """Authorize on the command line: open the URL that it prints, and paste the callback URL."""
    command = [*AIRFLOW, "oauth", "authorize", "callers", "--redirect-uri", REDIRECT_URI]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True) as process:
        try:
            url = next(line.strip() for line in process.stdout if line.startswith("http://"))
            output, _ = process.communicate(User().consent(url, REDIRECT_URI) + "\n", timeout=120)
        finally:
            process.kill()
    assert process.returncode == 0, output


def renew(env: dict[str, str]) -> None:
    """Renew the valid token on the command line."""
    command = [*AIRFLOW, "oauth", "renew", "callers"]
    result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


class Callers:
    """Four processes that call the API, in a ``with`` block.

    :param env: the environment with the connection ``callers``
    :param folder: the folder of their results and their log
    """

    def __init__(self, env: dict[str, str], folder: Path) -> None:
        self._folder = folder
        options = {"conn_id": "callers", "processes": PROCESSES, "hosts": HOSTS, "folder": str(folder)}
        command = [sys.executable, str(FOLDER / "callers.py"), json.dumps(options)]
        self._component = Component("callers", command, env, FOLDER.parents[1], folder / "callers.log")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        stop([self._component], grace=5)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition, while the processes call the API."""
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            assert self._component.exit_code is None, self._component.tail()
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def finish(self) -> list[list[int]]:
        """Stop the processes, and return the statuses of the calls of each process."""
        (self._folder / "stop").touch()
        deadline = time.monotonic() + TIMEOUT
        while self._component.exit_code is None and time.monotonic() < deadline:
            time.sleep(0.1)
        assert self._component.exit_code == 0, self._component.tail()
        return [json.loads((self._folder / f"{number}.json").read_text()) for number in range(PROCESSES)]


def renewal_count(server: AuthorizationServer) -> int:
    """Return the number of successful refresh requests."""
    successful = [event for event in server.events("token") if event.get("error") is None]
    return sum(event["grant_type"] == "refresh_token" for event in successful)


def reuse_count(server: AuthorizationServer) -> int:
    """Return the number of grants that the server revoked because a refresh token was used twice."""
    if isinstance(server, OidcProvider):
        return len(server.events("grant revoked"))
    # REFRESH_TOKEN_REUSE_PROTECTION revokes all tokens of the authorization.
    with closing(sqlite3.connect(f"file:{server.folder}/django.sqlite3?mode=ro", uri=True)) as database:
        query = "SELECT COUNT(revoked) = COUNT(*) FROM oauth2_provider_refreshtoken GROUP BY token_family"
        return sum(revoked for (revoked,) in database.execute(query))


def test_the_servers_detect_a_refresh_token_that_is_used_twice(start: Callable[[int], AuthorizationServer]) -> None:
    """Without this, the other tests here could not fail."""
    server = start(3600)
    refresh_token = tokens_of(server)["refresh_token"]
    assert reuse_count(server) == 0
    statuses = [post(server, "grant_url", grant_type="refresh_token", refresh_token=refresh_token) for _ in range(2)]
    assert [each.status_code for each in statuses] == [200, 400]
    assert reuse_count(server) == 1


def test_four_processes_use_each_refresh_token_once(
    start: Callable[[int], AuthorizationServer], airflow_env: dict[str, str], tmp_path: Path
) -> None:
    server = start(20)
    env = define(airflow_env, server, grant_type="authorization_code")
    authorize(env)
    with Callers(env, tmp_path) as callers:
        callers.wait_until(lambda: renewal_count(server) >= 2)
        statuses = callers.finish()
    assert set(server.token_errors()) == {None}
    assert reuse_count(server) == 0
    assert_calls_succeeded(statuses, server)


def test_a_renewal_by_a_user_does_not_disturb_running_tasks(
    start: Callable[[int], AuthorizationServer], airflow_env: dict[str, str], tmp_path: Path
) -> None:
    server = start(3600)
    env = define(airflow_env, server, grant_type="authorization_code")
    authorize(env)
    with Callers(env, tmp_path) as callers:
        for _ in range(2):
            calls = len(server.events("api"))
            callers.wait_until(lambda calls=calls: len(server.events("api")) >= calls + 10 * PROCESSES)
            renew(env)
        calls = len(server.events("api"))
        callers.wait_until(lambda: len(server.events("api")) >= calls + 10 * PROCESSES)
        statuses = callers.finish()
    assert (renewal_count(server), set(server.token_errors()), reuse_count(server)) == (2, {None}, 0)
    assert_calls_succeeded(statuses, server)


def test_four_processes_without_a_token_use_the_connections_refresh_token_once(
    start: Callable[[int], AuthorizationServer], airflow_env: dict[str, str], tmp_path: Path
) -> None:
    server = start(3600)
    env = define(airflow_env, server, grant_type="refresh_token", refresh_token=tokens_of(server)["refresh_token"])
    with Callers(env, tmp_path) as callers:
        callers.wait_until(lambda: len(server.events("api")) >= 20 * PROCESSES)
        statuses = callers.finish()
    assert (renewal_count(server), set(server.token_errors()), reuse_count(server)) == (1, {None}, 0)
    assert {status for each in statuses for status in each} == {200}


def test_four_processes_renew_an_expired_token_once(airflow_env: dict[str, str], tmp_path: Path) -> None:
    with DjangoToolkit(tmp_path / "server") as server:
        refresh_token = tokens_of(server)["refresh_token"]
        env = define(airflow_env, server, grant_type="refresh_token", refresh_token=refresh_token, renew_on="403")
        with Callers(env, tmp_path) as callers:
            callers.wait_until(lambda: len(server.events("api")) >= 10 * PROCESSES)
            with closing(sqlite3.connect(server.folder / "django.sqlite3", timeout=20)) as database, database:
                database.execute("UPDATE oauth2_provider_accesstoken SET expires = '2000-01-01 00:00:00'")
            callers.wait_until(lambda: renewal_count(server) == 2)
            calls = len(server.events("api"))
            callers.wait_until(lambda: len(server.events("api")) >= calls + 10 * PROCESSES)
            statuses = callers.finish()
        assert (renewal_count(server), set(server.token_errors()), reuse_count(server)) == (2, {None}, 0)
        assert 403 in [event["status"] for event in server.events("api")]
        assert {status for each in statuses for status in each} == {200}


def assert_calls_succeeded(statuses: list[list[int]], server: AuthorizationServer) -> None:
    """Check that the calls of each process succeeded.

    With Django OAuth Toolkit, a call can fail between the rotation and the storage of the new token, but the next call
    succeeds.
    """
    for each in statuses:
        assert each.count(200) >= 10
        if isinstance(server, OidcProvider):
            assert set(each) == {200}
        else:
            assert (403, 403) not in itertools.pairwise(each)
            assert set(each) <= {200, 403}
