"""The tasks of ``example_keep_alive``, with servers whose responses contain the lifetime of the refresh token."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_oauth.cli.output import format_status
from airflow_provider_oauth.exceptions import ConsentRequired
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.management import connections, grants
from airflow_provider_oauth.runtime.variable_store import VariableTokenStore
from sandbox.examples import EXAMPLES_FOLDER
from sandbox.server import SERVERS, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from sandbox.server import Sandbox


SECRET = "fake-secret+/%="
CONN_ID = "example_keep_alive"
DAYS = "refresh_token_expires_in"


@pytest.fixture(scope="module")
def tasks() -> dict[str, Callable[..., Any]]:
    """The functions of the tasks of the example, by name."""
    spec = importlib.util.spec_from_file_location(CONN_ID, EXAMPLES_FOLDER / f"{CONN_ID}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    dag = module.example_keep_alive()
    return {name: dag.get_task(f"keep_alive.{name}").python_callable for name in ("renew", "warn")}


@pytest.fixture
def extra_fields() -> dict[str, Any]:
    """Additional fields of every token response."""
    return {}


@pytest.fixture
def sandbox(tmp_path: Path, extra_fields: dict[str, Any]) -> Iterator[Sandbox]:
    servers = [replace(server, extra_response_fields=lambda family: extra_fields) for server in SERVERS]
    with serve(tmp_path / "sandbox", servers=servers) as running:
        yield running


@pytest.fixture
def connect(
    define_connection: Callable[..., None], variables: dict[str, str], sandbox: Sandbox
) -> Callable[..., OAuthConfig]:
    """Define the connection of the example for one of the servers of the sandbox."""

    def define(server: str = "justimmo") -> OAuthConfig:
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


def token_requests(sandbox: Sandbox) -> int:
    return sandbox.state.counts()[CONN_ID]["token_requests"]


def renewed_ago(config: OAuthConfig, days: float) -> None:
    """Change the stored record as if the last renewal had been some days ago."""
    store = VariableTokenStore(config)
    record = store.read()
    ago = timedelta(days=days)
    token = replace(record.tokens[""], issued_at=datetime.now(UTC) - ago)
    ends = record.refresh_expires_at and record.refresh_expires_at - ago
    store.write(replace(record, tokens={"": token}, refresh_expires_at=ends))


def test_a_token_that_never_expires_is_not_renewed(
    connect: Callable[..., OAuthConfig],
    sandbox: Sandbox,
    tasks: dict[str, Callable[..., Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = connect("justimmo")
    tasks["renew"](CONN_ID)
    store = VariableTokenStore(config)
    record = store.read()
    token = replace(record.tokens[""], issued_at=datetime.now(UTC) - timedelta(days=1000), expires_at=None)
    store.write(replace(record, tokens={"": token}, refresh_token=None, refresh_expires_at=None))
    tasks["renew"](CONN_ID)
    tasks["warn"](CONN_ID)
    assert token_requests(sandbox) == 1


def test_a_pasted_refresh_token_is_used_immediately_and_then_not_renewed(
    connect: Callable[..., OAuthConfig], sandbox: Sandbox, tasks: dict[str, Callable[..., Any]]
) -> None:
    config = connect()
    for _ in range(2):
        tasks["renew"](CONN_ID)
        tasks["warn"](CONN_ID)
    assert token_requests(sandbox) == 1
    # The responses of Justimmo do not contain the lifetime; its preset does.
    assert timedelta(days=29) < grants.status(config).consent_by - datetime.now(UTC) <= timedelta(days=30)


@pytest.mark.parametrize(("days", "renewals"), [(6, 0), (8, 1)])
@pytest.mark.parametrize("server", ["justimmo", "standard"])
def test_a_token_is_renewed_a_week_after_the_last_renewal(
    connect: Callable[..., OAuthConfig],
    sandbox: Sandbox,
    tasks: dict[str, Callable[..., Any]],
    server: str,
    days: int,
    renewals: int,
) -> None:
    config = connect(server)
    tasks["renew"](CONN_ID)
    renewed_ago(config, days)
    tasks["renew"](CONN_ID)
    assert token_requests(sandbox) == 1 + renewals
    tasks["warn"](CONN_ID)


@pytest.mark.parametrize(("days", "renewals"), [(11, 0), (9, 1)])
def test_a_refresh_token_that_expires_within_ten_days_is_renewed(
    connect: Callable[..., OAuthConfig],
    sandbox: Sandbox,
    extra_fields: dict[str, Any],
    tasks: dict[str, Callable[..., Any]],
    days: int,
    renewals: int,
) -> None:
    connect("standard")
    extra_fields[DAYS] = days * 86400
    for _ in range(2):
        tasks["renew"](CONN_ID)
    assert token_requests(sandbox) == 1 + renewals


@pytest.mark.parametrize("days", [6, None])
def test_there_is_no_warning_if_the_refresh_token_expires_later_or_its_expiry_is_unknown(
    connect: Callable[..., OAuthConfig],
    extra_fields: dict[str, Any],
    tasks: dict[str, Callable[..., Any]],
    days: int | None,
) -> None:
    connect("standard")
    extra_fields |= {DAYS: days * 86400} if days else {}
    tasks["renew"](CONN_ID)
    tasks["warn"](CONN_ID)


def test_the_warning_names_connection_and_date_if_renewals_do_not_extend_the_refresh_token(
    connect: Callable[..., OAuthConfig],
    sandbox: Sandbox,
    extra_fields: dict[str, Any],
    tasks: dict[str, Callable[..., Any]],
) -> None:
    config = connect("standard")
    extra_fields[DAYS] = "172800"
    tasks["renew"](CONN_ID)
    consent_by = grants.status(config).consent_by
    with pytest.raises(AirflowFailException) as failed:
        tasks["warn"](CONN_ID)
    assert str(failed.value) == (
        f"Connection 'example_keep_alive': the refresh token expires on {consent_by:%Y-%m-%d at %H:%M} UTC, and a "
        f"renewal does not extend it. A user must consent again before that: click Authorize on the page OAuth "
        f"connections."
    )
    assert timedelta(days=1.9) < consent_by - datetime.now(UTC) <= timedelta(days=2)
    assert format_status(connections.get_status(CONN_ID))["consent_by"] == f"{consent_by:%Y-%m-%dT%H:%M:%SZ}"


def test_the_renewal_fails_with_advice_if_a_new_refresh_token_is_required(
    connect: Callable[..., OAuthConfig], sandbox: Sandbox, tasks: dict[str, Callable[..., Any]]
) -> None:
    config = connect()
    tasks["renew"](CONN_ID)
    sandbox.state.revoke("justimmo", CONN_ID, "refresh")
    with pytest.raises(ConsentRequired):
        grants.renew(config)
    assert grants.status(config).consent_by is None
    with pytest.raises(ConsentRequired, match="Obtain a new refresh token"):
        tasks["renew"](CONN_ID)
