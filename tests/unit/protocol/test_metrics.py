"""The table of metrics, and the outcomes of requests."""

from __future__ import annotations

import re

import pytest

from airflow_provider_oauth.exceptions import InvalidClient, TokenRequestError, TokenResponseError
from airflow_provider_oauth.protocol.metrics import API_REQUESTS, METRICS, failure_outcome, status_outcome
from airflow_provider_oauth.runtime.metrics import MAX_CONN_ID
from tests.documents import DOCS

#: Maximum length of a name with its tags, for InfluxDB. Airflow drops longer ones.
MAX_LENGTH = 250


def test_a_name_with_the_tags_for_influxdb_is_short_enough_for_the_longest_connection_id() -> None:
    names = [
        f"{metric.name},conn_id={'x' * MAX_CONN_ID},outcome={outcome}"
        for metric in METRICS
        for outcome in metric.outcomes
    ]
    assert max(map(len, names)) <= MAX_LENGTH


def test_the_page_about_metrics_lists_every_metric_with_its_outcomes() -> None:
    page = (DOCS / "metrics.md").read_text()
    rows = re.findall(r"^\| `(oauth\.[^`]+)` \|([^|]*)\|", page, re.MULTILINE)
    described = {metric.name: tuple(re.findall(r"^  - `(\w+)`:", text, re.MULTILINE)) for metric, text in _parts(page)}
    assert [name for name, _ in rows] == [metric.name for metric in METRICS]
    assert described == {metric.name: metric.outcomes for metric in METRICS}


def _parts(page: str) -> list[tuple[object, str]]:
    """Return each metric with the part of the page that lists its outcomes."""
    parts = re.split(r"^- `(oauth\.[^`]+)`:\n", page, flags=re.MULTILINE)
    by_name = dict(zip(parts[1::2], parts[2::2], strict=True))
    return [(metric, by_name[metric.name]) for metric in METRICS]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "success"),
        (304, "success"),
        (400, "client_error"),
        (401, "unauthorized"),
        (403, "client_error"),
        (429, "limited"),
        (500, "server_error"),
        (503, "server_error"),
    ],
)
def test_the_outcome_of_an_api_request_depends_on_the_status(status: int, outcome: str) -> None:
    assert status_outcome(status) == outcome
    assert outcome in API_REQUESTS.outcomes


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (InvalidClient("no", error="invalid_client", status_code=401), "refused"),
        (TokenRequestError("busy", status_code=503, retryable=True), "failed"),
        (TokenRequestError("no response", retryable=True), "failed"),
        (TokenRequestError("no certificate"), "failed"),
        (TokenResponseError("no token"), "failed"),
        (KeyboardInterrupt(), "failed"),
        (None, "failed"),
    ],
)
def test_a_token_request_is_refused_only_by_a_response_that_the_server_would_repeat(
    error: BaseException | None, outcome: str
) -> None:
    assert failure_outcome(error) == outcome
