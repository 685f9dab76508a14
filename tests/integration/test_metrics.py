"""Metrics as Airflow sends them to a StatsD server, over a real UDP socket."""

from __future__ import annotations

import asyncio
import inspect
import logging
import socket
from typing import TYPE_CHECKING, Any

import pytest
import statsd
from airflow.providers.common.compat.sdk import Stats
from airflow.sdk.observability.metrics import stats_utils

from airflow_provider_oauth.exceptions import InvalidClient
from airflow_provider_oauth.hooks.oauth import OAuthAsyncHook, OAuthHook
from airflow_provider_oauth.operators.extract import OAuthExtractOperator
from airflow_provider_oauth.runtime import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sandbox.server import Sandbox

SECRET = "fake-secret"

pytestmark = pytest.mark.usefixtures("variables")


class StatsdServer:
    """A UDP socket that receives metrics."""

    def __init__(self, receiver: socket.socket) -> None:
        self._receiver = receiver

    def lines(self) -> list[str]:
        """Return the metrics of this package that have arrived."""
        received = []
        while True:
            try:
                received.append(self._receiver.recv(65535).decode())
            except BlockingIOError:  # on loopback, a datagram has arrived when it was sent
                return [line for line in received if line.startswith("airflow.oauth.")]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., StatsdServer]]:
    """Configure Airflow's metrics, and initialize them as a task process does."""
    clients: list[statsd.StatsClient] = []

    class Client(statsd.StatsClient):
        """A client that is closed after the test."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            clients.append(self)

    monkeypatch.setattr(statsd, "StatsClient", Client)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)

        def configure(**options: str) -> StatsdServer:
            settings = {
                "statsd_on": "True",
                "statsd_host": "127.0.0.1",
                "statsd_port": str(receiver.getsockname()[1]),
                **options,
            }
            for name, value in settings.items():
                monkeypatch.setenv(f"AIRFLOW__METRICS__{name.upper()}", value)
            initialize()
            return StatsdServer(receiver)

        yield configure
    for client in clients:
        client.close()
    monkeypatch.undo()
    initialize()


def initialize() -> None:
    """Initialize Airflow's metrics. Its functions have other parameters before Airflow 3.3."""
    create: Callable[..., Any] = stats_utils.get_stats_factory
    if inspect.signature(create).parameters:
        Stats.initialize(factory=create(Stats))
    else:
        Stats.initialize(factory=create(), export_legacy_names=True)


@pytest.fixture
def connect(define_connection: Callable[..., None], sandbox: Sandbox) -> Callable[..., None]:
    def define(conn_id: str = "shop", **fields: Any) -> None:
        sandbox.state.add_client("standard", "shop", SECRET, scopes=["read"])
        urls = {"host": f"{sandbox.url}/standard/api", "grant_url": f"{sandbox.url}/standard/token"}
        define_connection(conn_id, **({"login": "shop", "password": SECRET} | urls | fields))

    return define


@pytest.mark.parametrize(
    ("influxdb", "tags"),
    [("True", ",conn_id=shop,outcome=success"), ("False", "")],
    ids=["with tags for InfluxDB", "plain StatsD"],
)
def test_a_task_sends_its_metrics(
    start: Callable[..., StatsdServer], connect: Callable[..., None], tmp_path: Path, influxdb: str, tags: str
) -> None:
    server = start(statsd_influxdb_enabled=influxdb)
    connect()
    path = str(tmp_path / "items.jsonl")
    result = OAuthExtractOperator(task_id="extract", oauth_conn_id="shop", endpoint="items", path=path).execute({})
    assert server.lines() == [
        f"airflow.oauth.token_requests{tags}:1|c",
        f"airflow.oauth.renewals{tags}:1|c",
        f"airflow.oauth.api.requests{tags}:1|c",
        f"airflow.oauth.extract.rows{tags}:{result['rows']}|c",
    ]


def test_a_request_of_the_triggerer_sends_metrics(
    start: Callable[..., StatsdServer], connect: Callable[..., None]
) -> None:
    server = start(statsd_influxdb_enabled="True")
    connect()
    asyncio.run(OAuthAsyncHook("shop").run(endpoint="items"))
    assert server.lines() == [
        "airflow.oauth.token_requests,conn_id=shop,outcome=success:1|c",
        "airflow.oauth.renewals,conn_id=shop,outcome=success:1|c",
        "airflow.oauth.api.requests,conn_id=shop,outcome=success:1|c",
    ]


def test_a_token_that_the_api_refuses_is_reported_by_the_triggerer(
    start: Callable[..., StatsdServer], connect: Callable[..., None], sandbox: Sandbox
) -> None:
    server = start(statsd_influxdb_enabled="True")
    connect()
    asyncio.run(OAuthAsyncHook("shop").run(endpoint="items"))
    server.lines()
    sandbox.state.revoke("standard", "shop", "access")
    asyncio.run(OAuthAsyncHook("shop").run(endpoint="items"))
    assert server.lines() == [
        "airflow.oauth.token_requests,conn_id=shop,outcome=success:1|c",
        "airflow.oauth.renewals,conn_id=shop,outcome=success:1|c",
        "airflow.oauth.refusals,conn_id=shop,outcome=repeated:1|c",
        "airflow.oauth.api.requests,conn_id=shop,outcome=unauthorized:1|c",
        "airflow.oauth.api.requests,conn_id=shop,outcome=success:1|c",
    ]


def test_a_refused_client_is_reported(start: Callable[..., StatsdServer], connect: Callable[..., None]) -> None:
    server = start(statsd_influxdb_enabled="True")
    connect(password="wrong")
    with pytest.raises(InvalidClient):
        OAuthHook("shop").get_token()
    assert server.lines() == [
        "airflow.oauth.token_requests,conn_id=shop,outcome=refused:1|c",
        "airflow.oauth.renewals,conn_id=shop,outcome=refused:1|c",
    ]


def test_a_test_of_the_connection_sends_no_metrics(
    start: Callable[..., StatsdServer], connect: Callable[..., None]
) -> None:
    server = start(statsd_influxdb_enabled="True")
    connect()
    assert OAuthHook("shop").test_connection()[0]
    assert server.lines() == []


def test_a_connection_id_that_influxdb_does_not_allow_is_changed(
    start: Callable[..., StatsdServer], connect: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    server = start(statsd_influxdb_enabled="True")
    connect("eu/shop:1")
    OAuthHook("eu/shop:1").get_token()
    assert server.lines()[0] == "airflow.oauth.token_requests,conn_id=eu_shop_1,outcome=success:1|c"
    assert "Invalid stat name" not in caplog.text


@pytest.mark.parametrize("options", [{"metrics_block_list": "oauth"}, {"metrics_allow_list": "ti,dag"}])
def test_airflows_lists_of_metrics_apply(
    start: Callable[..., StatsdServer], connect: Callable[..., None], options: dict[str, str]
) -> None:
    server = start(**options)
    connect()
    OAuthHook("shop").get_token()
    assert server.lines() == []


def test_a_token_is_requested_although_the_metrics_client_cannot_be_created(
    start: Callable[..., StatsdServer],
    connect: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(metrics, "_has_warned", False)
    start(statsd_port="not a number")
    connect()
    with caplog.at_level(logging.WARNING):
        assert OAuthHook("shop").get_token()
    assert "Airflow could not send a metric" in caplog.text
