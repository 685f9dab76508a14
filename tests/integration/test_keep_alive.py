"""The tasks of ``example_keep_alive``, called as Airflow would, with servers that say when a refresh token ends."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_oauth.cli import commands
from airflow_provider_oauth.exceptions import ConsentRequired
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.management import grants
from airflow_provider_oauth.runtime.variable_store import VariableTokenStore
from sandbox.examples import EXAMPLES_FOLDER
from sandbox.server import SERVERS, serve

SECRET = "fake-secret+/%="
CONN_ID = "example_keep_alive"
DAYS = "refresh_token_expires_in"


@pytest.fixture(scope="module")
def tasks():
    """The functions of the example's tasks, by name."""
    spec = importlib.util.spec_from_file_location(CONN_ID, EXAMPLES_FOLDER / f"{CONN_ID}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    dag = module.example_keep_alive()
    return {name: dag.get_task(f"keep_alive.{name}").python_callable for name in ("renew", "warn")}


@pytest.fixture
def said():
    """What the server says of its refresh tokens, with every token."""
    return {}


@pytest.fixture
def sandbox(tmp_path, said):
    servers = [replace(server, extra_response_fields=lambda family: said) for server in SERVERS]
    with serve(tmp_path / "sandbox", servers=servers) as running:
        yield running


@pytest.fixture
def connect(define_connection, variables, sandbox):
    """Define the example's connection at one of the sandbox's servers."""

    def define(server="justimmo"):
        sandbox.state.add_client(server, CONN_ID, SECRET)
        fields = {"login": CONN_ID, "password": SECRET, "grant_type": "refresh_token"}
        fields["refresh_token"] = sandbox.state.issue_refresh_token(server, CONN_ID)
        if server == "justimmo":
            fields |= {"conn_type": server, "environment": f"{sandbox.url}/{server}"}
        else:
            fields |= {"host": f"{sandbox.url}/{server}/api", "grant_url": f"{sandbox.url}/{server}/token"}
        define_connection(CONN_ID, **fields)
        return OAuthHook(CONN_ID).config

    return define


def asked(sandbox):
    return sandbox.state.counts()[CONN_ID]["token_requests"]


def renewed_ago(config, days):
    """Change what is stored as if the last renewal had been some days ago."""
    store = VariableTokenStore(config)
    record = store.read()
    ago = timedelta(days=days)
    token = replace(record.tokens[""], issued_at=datetime.now(UTC) - ago)
    ends = record.refresh_expires_at and record.refresh_expires_at - ago
    store.write(replace(record, tokens={"": token}, refresh_expires_at=ends))


def test_a_token_that_never_expires_is_left_alone(connect, sandbox, tasks, monkeypatch):
    config = connect("justimmo")
    tasks["renew"](CONN_ID)
    store = VariableTokenStore(config)
    record = store.read()
    token = replace(record.tokens[""], issued_at=datetime.now(UTC) - timedelta(days=1000), expires_at=None)
    store.write(replace(record, tokens={"": token}, refresh_token=None, refresh_expires_at=None))
    tasks["renew"](CONN_ID)
    tasks["warn"](CONN_ID)
    assert asked(sandbox) == 1


def test_a_pasted_refresh_token_is_used_at_once_and_then_left_alone(connect, sandbox, tasks):
    config = connect()
    for _ in range(2):
        tasks["renew"](CONN_ID)
        tasks["warn"](CONN_ID)
    assert asked(sandbox) == 1
    # Justimmo's answer says nothing of it, but its documents do.
    assert timedelta(days=29) < grants.status(config).consent_by - datetime.now(UTC) <= timedelta(days=30)


@pytest.mark.parametrize(("days", "renewals"), [(6, 0), (8, 1)])
@pytest.mark.parametrize("server", ["justimmo", "standard"])
def test_what_was_renewed_a_week_ago_is_renewed(connect, sandbox, tasks, server, days, renewals):
    config = connect(server)
    tasks["renew"](CONN_ID)
    renewed_ago(config, days)
    tasks["renew"](CONN_ID)
    assert asked(sandbox) == 1 + renewals
    tasks["warn"](CONN_ID)


@pytest.mark.parametrize(("days", "renewals"), [(11, 0), (9, 1)])
def test_what_ends_within_ten_days_is_renewed(connect, sandbox, said, tasks, days, renewals):
    connect("standard")
    said[DAYS] = days * 86400
    for _ in range(2):
        tasks["renew"](CONN_ID)
    assert asked(sandbox) == 1 + renewals


@pytest.mark.parametrize("days", [6, None])
def test_there_is_no_warning_of_what_ends_later_or_nobody_knows_when(connect, said, tasks, days):
    connect("standard")
    said |= {DAYS: days * 86400} if days else {}
    tasks["renew"](CONN_ID)
    tasks["warn"](CONN_ID)


def test_what_renewing_does_not_keep_alive_fails_a_task_that_names_connection_and_date(connect, sandbox, said, tasks):
    config = connect("standard")
    said[DAYS] = "172800"
    tasks["renew"](CONN_ID)
    consent_by = grants.status(config).consent_by
    with pytest.raises(AirflowFailException) as failed:
        tasks["warn"](CONN_ID)
    assert str(failed.value) == (
        f"Connection 'example_keep_alive': its refresh token ends on {consent_by:%Y-%m-%d at %H:%M} UTC, and renewing "
        f"it does not help. Have a user consent again before that."
    )
    assert timedelta(days=1.9) < consent_by - datetime.now(UTC) <= timedelta(days=2)
    assert commands._row(CONN_ID)["consent_by"] == f"{consent_by:%Y-%m-%dT%H:%M:%SZ}"


def test_where_only_consent_helps_the_renewal_fails_with_the_way_to_it(connect, sandbox, tasks):
    config = connect()
    tasks["renew"](CONN_ID)
    sandbox.state.revoke("justimmo", CONN_ID, "refresh")
    with pytest.raises(ConsentRequired):
        grants.renew(config)
    assert grants.status(config).consent_by is None
    with pytest.raises(ConsentRequired, match="Obtain a new refresh token"):
        tasks["renew"](CONN_ID)
