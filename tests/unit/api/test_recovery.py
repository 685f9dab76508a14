"""Decisions about each attempt to send a request, on a fake clock."""

from __future__ import annotations

import logging
import random
import ssl
from typing import Any

import pytest
import requests
from requests.structures import CaseInsensitiveDict

from airflow_provider_oauth.api.recovery import Recovery, RecoveryPolicy, Repeat, Reply, RequestCounts
from airflow_provider_oauth.extract.error_rules import DEFAULT_RULES, ErrorRule
from airflow_provider_oauth.protocol.metrics import API_REQUESTS, API_WAITS
from tests.fake_clock import FakeClock
from tests.reports import Reports


@pytest.fixture(autouse=True)
def longest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace random pauses by the longest possible ones."""
    monkeypatch.setattr(random, "uniform", lambda low, high: high)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def reply(status: int, body: bytes = b"", **headers: str) -> Reply:
    return Reply(
        status, CaseInsensitiveDict({name.replace("_", "-"): each for name, each in headers.items()}), lambda: body
    )


def recovery(clock: FakeClock, *rules: ErrorRule, method: str = "GET", **options: Any) -> Recovery:
    can_resend, counts = options.pop("can_resend", True), options.pop("counts", None)
    timeouts = {"rate_limit_timeout": 300, "retry_timeout": 120} | options
    policy = RecoveryPolicy(rules=(*rules, *DEFAULT_RULES), **timeouts)
    return Recovery(policy, "shop", method, can_resend=can_resend, counts=counts, clock=clock)


def test_the_wait_of_the_response_precedes_that_of_the_rule(clock: FakeClock) -> None:
    rule = ErrorRule("wait", status=429, wait_for=10)
    assert recovery(clock, rule).after_response(reply(429, Retry_After="30.5")) == Repeat(30.5, hold=True)
    assert recovery(clock, rule).after_response(reply(429)) == Repeat(10, hold=True)


def test_the_error_of_a_wait_that_is_too_long_has_both_numbers(clock: FakeClock) -> None:
    decision = recovery(clock)
    assert decision.after_response(reply(429, Retry_After="3600")) is None
    assert "requires a wait of 3600 s, but rate_limit_timeout permits 300 s" in decision.problem


def test_without_a_timeout_only_a_required_wait_is_mentioned(clock: FakeClock) -> None:
    decision = recovery(clock, rate_limit_timeout=0, retry_timeout=0)
    assert decision.after_response(reply(429)) is None
    assert decision.problem == ""
    assert decision.after_response(reply(429, Retry_After="7")) is None
    assert "requires a wait of 7 s, but rate_limit_timeout permits 0 s" in decision.problem


def test_a_request_is_retried_until_the_retry_timeout_ends(clock: FakeClock) -> None:
    decision, waits = recovery(clock, retry_timeout=10), []
    clock.advance(500)  # a slow response does not count
    while repeat := decision.after_response(reply(503)):
        waits.append(repeat.seconds)
        clock.advance(repeat.seconds)
    assert waits == [1, 2, 4]
    assert "next attempt would be in 8 s, but retry_timeout permits 10 s, of which 7 s have passed" in decision.problem


def test_a_503_with_retry_after_is_retried_after_that_time(clock: FakeClock) -> None:
    assert recovery(clock).after_response(reply(503, Retry_After="9")) == Repeat(9)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
def test_a_request_that_can_be_repeated_is_retried(clock: FakeClock, method: str) -> None:
    assert recovery(clock, method=method).after_response(reply(502)) == Repeat(1)
    assert recovery(clock, method=method).after_error(requests.ConnectionError()) == Repeat(1)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_post_is_retried_only_if_it_is_repeatable(clock: FakeClock, method: str) -> None:
    decision = recovery(clock, method=method)
    assert decision.after_response(reply(502)) is None
    assert f"The {method} request was not repeated" in decision.problem
    assert decision.after_error(requests.ConnectionError()) is None
    assert recovery(clock, method=method, repeatable=True).after_response(reply(502)) == Repeat(1)
    assert recovery(clock, method=method).after_response(reply(429)) == Repeat(1, hold=True)  # it was not carried out


@pytest.mark.parametrize("response", [reply(429), reply(503)])
def test_a_body_that_cannot_be_read_again_is_not_sent_again(clock: FakeClock, response: Reply) -> None:
    decision = recovery(clock, method="POST", repeatable=True, can_resend=False)
    assert decision.after_response(response) is None
    assert "body cannot be read again" in decision.problem
    assert decision.after_error(requests.ConnectionError()) is None


@pytest.mark.parametrize(
    ("error", "is_repeated"),
    [
        (requests.ConnectionError(), True),
        (requests.ReadTimeout(), True),
        (requests.exceptions.ChunkedEncodingError(), True),
        (requests.exceptions.SSLError(ssl.SSLEOFError(8, "EOF")), True),
        (requests.exceptions.SSLError(ssl.SSLCertVerificationError("self-signed")), False),
        (requests.exceptions.ProxyError(), False),
        (requests.exceptions.InvalidURL(), False),
        (requests.TooManyRedirects(), False),
        (ValueError(), False),
    ],
)
def test_only_a_broken_connection_is_retried(clock: FakeClock, error: Exception, is_repeated: bool) -> None:
    assert bool(recovery(clock).after_error(error)) is is_repeated


def test_the_token_is_renewed_once(clock: FakeClock) -> None:
    decision = recovery(clock, ErrorRule("renew", when="code == '601'"))
    response = reply(200, b'{"code": "601"}')
    assert decision.after_response(response) == Repeat(renew=True)
    assert decision.after_response(response) is None
    assert "which the API does not accept either" in decision.problem


@pytest.mark.parametrize("action", ["ignore", "stop", "fail"])
def test_a_rule_that_does_not_repeat_precedes_the_default_rules(clock: FakeClock, action: Any) -> None:
    assert recovery(clock, ErrorRule(action, status=503)).after_response(reply(503)) is None


def test_each_rule_is_logged_once_and_every_repetition_is_counted(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    counts = RequestCounts()
    for _ in range(3):
        decision = recovery(clock, counts=counts)
        decision.after_response(reply(429, Retry_After="7"))
        decision.after_response(reply(503))
        decision.after_error(requests.ConnectionError("secret"))
    assert [record.getMessage() for record in caplog.records] == [
        "Connection 'shop': the API responded with status 429. Repeating the request in 7 s. Rule: "
        "ErrorRule('wait', status=429). Later repetitions are logged at level DEBUG.",
        "Connection 'shop': the API responded with status 503. Repeating the request in 1 s. Rule: "
        "ErrorRule('retry', status=(502, 503, 504)). Later repetitions are logged at level DEBUG.",
        "Connection 'shop': the connection broke (ConnectionError). Repeating the request in 2 s. Rule: broken "
        "connection. Later repetitions are logged at level DEBUG.",
    ]
    assert counts.summary() == {"waits": 3, "waited": 30, "retries": 6}


# --- metrics


def test_each_attempt_and_each_wait_is_reported(clock: FakeClock) -> None:
    reports = Reports()
    decision = recovery(clock, counts=RequestCounts(report=reports))
    for status in (429, 503, 401, 200):
        decision.after_response(reply(status, Retry_After="1"))
    decision.after_error(requests.ConnectionError())
    decision.after_error(ValueError("not sent"))
    outcomes = ["limited", "server_error", "unauthorized", "success", "failed", "failed"]
    assert (reports.of(API_REQUESTS), reports.of(API_WAITS)) == (outcomes, ["limit", "retry", "retry"])


def test_a_wait_that_is_too_long_is_not_reported(clock: FakeClock) -> None:
    reports = Reports()
    recovery(clock, counts=RequestCounts(report=reports)).after_response(reply(429, Retry_After="3600"))
    assert reports.of(API_WAITS) == []


def test_a_response_whose_body_breaks_off_while_a_rule_reads_it_is_reported_once(clock: FakeClock) -> None:
    def broken() -> bytes:
        raise requests.ConnectionError

    reports = Reports()
    rule = ErrorRule("fail", status=200, when="error")
    decision = recovery(clock, rule, counts=RequestCounts(report=reports))
    with pytest.raises(requests.ConnectionError):
        decision.after_response(Reply(200, CaseInsensitiveDict(), broken))
    decision.after_error(requests.ConnectionError())
    assert reports.of(API_REQUESTS) == ["failed"]
