"""What is sent to Airflow's metrics."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_oauth.protocol.metrics import API_REQUESTS, EXTRACT_ROWS, RENEWAL_WAIT
from airflow_provider_oauth.runtime import metrics


class FakeStats:
    """Keeps what it is called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def incr(self, stat: str, count: int, *, tags: dict[str, str]) -> None:
        self.calls.append(("incr", stat, count, tags))

    def timing(self, stat: str, dt: timedelta, *, tags: dict[str, str]) -> None:
        self.calls.append(("timing", stat, dt, tags))

    def timer(self) -> None:
        self.calls.append(("timer",))


class BrokenStats:
    """A metrics client that raises an exception."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("the metrics client is broken")


@pytest.fixture
def stats(monkeypatch: pytest.MonkeyPatch) -> FakeStats:
    fake = FakeStats()
    monkeypatch.setattr(metrics, "Stats", fake)
    return fake


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "Stats", BrokenStats())
    monkeypatch.setattr(metrics, "_has_warned", False)


def test_a_count_has_the_tags_conn_id_and_outcome(stats: FakeStats) -> None:
    metrics.reporter("shop")(API_REQUESTS, "success")
    metrics.reporter("shop")(EXTRACT_ROWS, "failed", 200)
    assert stats.calls == [
        ("incr", "oauth.api.requests", 1, {"conn_id": "shop", "outcome": "success"}),
        ("incr", "oauth.extract.rows", 200, {"conn_id": "shop", "outcome": "failed"}),
    ]


def test_a_duration_is_sent_as_a_time(stats: FakeStats) -> None:
    metrics.reporter("shop")(RENEWAL_WAIT, "timeout", 1.5)
    tags = {"conn_id": "shop", "outcome": "timeout"}
    assert stats.calls == [("timing", "oauth.renewal_wait", timedelta(seconds=1.5), tags)]


@pytest.mark.parametrize(
    ("conn_id", "tag"),
    [
        ("my-shop.eu_1", "my-shop.eu_1"),
        ("eu/shop:1", "eu_shop_1"),
        ("größe", "gr__e"),
        ("a,b=c|d#e\nf g", "a_b_c_d_e_f_g"),
        ("x" * 300, "x" * 200),
    ],
)
def test_characters_for_which_airflow_would_drop_the_metric_are_replaced(
    stats: FakeStats, conn_id: str, tag: str
) -> None:
    metrics.reporter(conn_id)(API_REQUESTS, "success")
    assert stats.calls[0][3]["conn_id"] == tag


def test_the_client_is_created_without_sending_a_metric(stats: FakeStats) -> None:
    metrics.prepare()
    assert stats.calls == [("timer",)]


@pytest.mark.usefixtures("broken")
def test_a_broken_metrics_client_is_logged_once_and_raises_nothing(caplog: pytest.LogCaptureFixture) -> None:
    report = metrics.reporter("shop")
    with caplog.at_level(logging.DEBUG):
        metrics.prepare()
        report(API_REQUESTS, "success")
        report(RENEWAL_WAIT, "success", 1)
    assert [record.levelname for record in caplog.records] == ["WARNING", "DEBUG", "DEBUG"]
    assert "Airflow could not send a metric (RuntimeError: the metrics client is broken)" in caplog.messages[0]


def test_a_task_that_is_stopped_while_it_sends_a_metric_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(metrics.Stats, "incr", stop, raising=False)
    with pytest.raises(KeyboardInterrupt):
        metrics.reporter("shop")(API_REQUESTS, "success")
