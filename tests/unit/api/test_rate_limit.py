"""Delays because of a budget, and repeated requests after 429, on a fake clock."""

from __future__ import annotations

import logging
import random
import threading
from typing import TYPE_CHECKING, Any

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_oauth.api import rate_limit
from airflow_provider_oauth.api.rate_limit import Budget, RateLimiter
from airflow_provider_oauth.api.recovery import MAX_PAUSE, RecoveryPolicy, RequestCounts
from airflow_provider_oauth.api.sender import ApiSender
from airflow_provider_oauth.extract.error_rules import DEFAULT_RULES
from airflow_provider_oauth.protocol.metrics import API_REQUESTS, API_WAITS
from tests.fake_clock import FakeClock
from tests.reports import Reports

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def sender(budget: Budget | None, rate_limit_timeout: float, clock: FakeClock) -> ApiSender:
    policy = RecoveryPolicy(rules=DEFAULT_RULES, rate_limit_timeout=rate_limit_timeout)
    return ApiSender(RateLimiter(budget, clock), policy, "shop")


def request(method: str = "GET", body: Any = None) -> requests.PreparedRequest:
    prepared = requests.PreparedRequest()
    prepared.method, prepared.body = method, body
    return prepared


def response(status: int = 200, wait: str | None = None) -> requests.Response:
    response = requests.Response()
    response.status_code, response._content, response._content_consumed = status, b"", True
    if wait is not None:
        response.headers["Retry-After"] = wait
    return response


def send(limiter: ApiSender, clock: FakeClock, method: str = "GET") -> float:
    """Send one request and return when it was sent."""
    sent: list[float] = []
    limiter.send(request(method), lambda: sent.append(clock.seconds) or response())
    return sent[0]


# --- what a request costs


@pytest.mark.parametrize(
    ("method", "cost"),
    [("GET", 1), ("HEAD", 1), ("OPTIONS", 1), ("POST", 5), ("PUT", 5), ("PATCH", 5), ("DELETE", 5), (None, 5)],
)
def test_a_request_that_only_reads_costs_less(method: str | None, cost: int) -> None:
    assert Budget(credits=300, seconds=300, read=1, write=5).cost(method) == cost


# --- the budget


def test_without_a_budget_no_request_waits(clock: FakeClock) -> None:
    limiter = sender(None, 0, clock)
    assert [send(limiter, clock) for _ in range(1000)] == [0.0] * 1000
    assert clock.slept == []


def test_requests_within_the_budget_are_sent_immediately_and_others_when_credits_are_free_again(
    clock: FakeClock,
) -> None:
    limiter = sender(Budget(credits=3, seconds=10), 0, clock)
    assert [send(limiter, clock) for _ in range(7)] == [0, 0, 0, 10, 10, 10, 20]


def test_credits_become_free_in_the_order_in_which_they_were_spent(clock: FakeClock) -> None:
    limiter = sender(Budget(credits=2, seconds=10), 0, clock)
    assert send(limiter, clock) == 0
    clock.seconds = 4
    assert [send(limiter, clock) for _ in range(3)] == [4, 10, 14]


def test_a_write_waits_for_as_many_credits_as_it_costs(clock: FakeClock) -> None:
    limiter = sender(Budget(credits=6, seconds=10, read=1, write=5), 0, clock)
    sent = [
        send(limiter, clock, "GET"),
        send(limiter, clock, "POST"),
        send(limiter, clock, "GET"),
        send(limiter, clock, "POST"),
    ]
    assert sent == [0, 0, 10, 10]


def test_a_request_that_costs_more_than_the_budget_is_sent_alone(clock: FakeClock) -> None:
    limiter = sender(Budget(credits=2, seconds=10, write=5), 0, clock)
    assert [send(limiter, clock, "POST") for _ in range(3)] == [0, 10, 20]
    assert send(limiter, clock, "GET") == 30


@pytest.mark.parametrize("credits", [0, -1])
def test_a_budget_without_credits_allows_one_request_per_period(clock: FakeClock, credits: int) -> None:
    limiter = sender(Budget(credits=credits, seconds=10), 0, clock)
    assert [send(limiter, clock) for _ in range(2)] == [0, 10]


def test_waiting_for_the_budget_is_logged(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, rate_limit.__name__)
    limiter = sender(Budget(credits=1, seconds=10), 0, clock)
    send(limiter, clock)
    send(limiter, clock)
    assert [record.getMessage() for record in caplog.records] == [
        "The budget has 1 credits for each 10 s, and too few are left for this request. Waiting 10 s."
    ]


def test_a_sleep_that_ends_early_does_not_spend_credits_early(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    limiter = sender(Budget(credits=1, seconds=10), 0, clock)
    send(limiter, clock)
    monkeypatch.setattr(FakeClock, "sleep", lambda self, seconds, stop: self.advance(min(seconds, 3)))
    assert send(limiter, clock) == 10


STEPS = st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["GET", "POST"])), max_size=60)


@given(
    steps=STEPS,
    credits=st.integers(1, 12),
    seconds=st.integers(1, 10),
    read=st.integers(0, 3),
    write=st.integers(0, 15),
)
@example(steps=[(0, "POST")] * 3, credits=2, seconds=5, read=1, write=5)
def test_no_period_exceeds_the_budget_and_no_request_waits_longer_than_necessary(
    steps: list[tuple[int, str]], credits: int, seconds: int, read: int, write: int
) -> None:
    clock = FakeClock()
    budget = Budget(credits=credits, seconds=seconds, read=read, write=write)
    limiter = sender(budget, 0, clock)
    sent: list[tuple[float, int]] = []  # time and cost of each request
    for idle, method in steps:
        clock.seconds += idle
        requested, cost = clock.seconds, budget.cost(method)

        def spent_before(moment: float) -> tuple[int, bool]:
            """Return the credits spent in the period that ends just before ``moment``, and whether any were spent."""
            recent = [each for when, each in sent if moment - seconds < when <= moment]
            return sum(recent), bool(recent)

        went = send(limiter, clock, method)
        total, any_ = spent_before(went)
        assert total + cost <= credits or not any_
        # A moment earlier, the request would have exceeded the budget. All times are whole seconds.
        for earlier in range(int(requested), int(went)):
            total, any_ = spent_before(earlier)
            assert any_
            assert total + cost > credits
        sent.append((went, cost))
    for when, _ in sent:
        window = [cost for moment, cost in sent if when <= moment < when + seconds]
        # A single request may cost more than the budget; requests that cost nothing can be in the same period.
        assert sum(window) <= credits or sum(window) == max(window)


def test_threads_that_share_a_rate_limiter_share_its_budget(clock: FakeClock) -> None:
    limiter = sender(Budget(credits=4, seconds=10), 0, clock)
    sent, lock = list[int](), threading.Lock()
    begin = threading.Barrier(8)

    def work() -> None:
        begin.wait(20)
        for _ in range(5):
            limiter.send(request(), response)
            with lock:
                sent.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(sent) == 40
    assert clock.seconds == 90  # 40 requests, four every ten seconds, the first four immediately
    assert clock.slept == [10] * 9


def test_a_slow_response_does_not_delay_requests_of_other_threads() -> None:
    limiter = sender(Budget(credits=2, seconds=10), 0, FakeClock())
    inside, other_done = threading.Event(), threading.Event()

    def slow() -> requests.Response:
        inside.set()
        assert other_done.wait(20)
        return response()

    thread = threading.Thread(target=lambda: limiter.send(request(), slow))
    thread.start()
    assert inside.wait(20)
    limiter.send(request(), response)
    other_done.set()
    thread.join(20)
    assert not thread.is_alive()


# --- 429


class StubApi:
    """An API that returns these responses, and then the last one again; it records the time of each request."""

    def __init__(self, clock: FakeClock, *responses: requests.Response) -> None:
        self.clock = clock
        self.responses = list(responses)
        self.sent_at: list[float] = []

    def __call__(self) -> requests.Response:
        self.sent_at.append(self.clock.seconds)
        return self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]


@pytest.fixture
def longest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace random pauses by the longest possible ones."""
    monkeypatch.setattr(random, "uniform", lambda low, high: high)


def test_after_a_429_the_request_is_repeated_after_the_seconds_in_retry_after(clock: FakeClock) -> None:
    api = StubApi(clock, response(429, "7"), response(429, "3"), response(200))
    assert sender(None, 60, clock).send(request(), api).status_code == 200
    assert api.sent_at == [0, 7, 10]


def test_after_a_429_the_request_is_repeated_at_the_date_in_retry_after(clock: FakeClock) -> None:
    api = StubApi(clock, response(429, "Thu, 01 Jan 2026 00:00:20 GMT"), response(200))
    assert sender(None, 60, clock).send(request(), api).status_code == 200
    assert api.sent_at == [0, 20]


@pytest.mark.parametrize("wait", [None, "", "soon", "-1", "1.5s", "1e3", "²", "9" * 400])
@pytest.mark.usefixtures("longest")
def test_after_a_429_without_a_valid_retry_after_each_pause_is_longer(clock: FakeClock, wait: str | None) -> None:
    api = StubApi(clock, response(429, wait))
    assert sender(None, 200, clock).send(request(), api).status_code == 429
    assert clock.slept == [1, 2, 4, 8, 16, 32, 60, 60]
    assert max(clock.slept) == MAX_PAUSE


@pytest.mark.parametrize("wait", ["0", "Thu, 01 Jan 2015 00:00:00 GMT"])
@pytest.mark.usefixtures("longest")
def test_a_retry_after_in_the_past_does_not_cause_requests_without_pauses(clock: FakeClock, wait: str) -> None:
    api = StubApi(clock, response(429, wait))
    sender(None, 60, clock).send(request(), api)
    assert clock.slept == [1, 2, 4, 8, 16]


def test_pauses_are_random_so_that_clients_do_not_all_retry_together(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested: list[tuple[float, float]] = []
    monkeypatch.setattr(random, "uniform", lambda low, high: requested.append((low, high)) or low)
    sender(None, 4, clock).send(request(), StubApi(clock, response(429)))
    assert requested == [(0.5, 1.0), (1.0, 2.0), (2.0, 4.0), (4.0, 8.0)]
    assert clock.slept == [0.5, 1, 2]


@pytest.mark.parametrize(("rate_limit_timeout", "sent_at"), [(0, [0]), (9.9, [0]), (10, [0, 10]), (29, [0, 10, 20])])
def test_a_wait_beyond_the_timeout_is_not_started(
    clock: FakeClock, rate_limit_timeout: float, sent_at: list[float]
) -> None:
    api = StubApi(clock, response(429, "10"))
    assert sender(None, rate_limit_timeout, clock).send(request(), api).status_code == 429
    assert api.sent_at == sent_at


def test_the_time_of_responses_counts_for_the_timeout(clock: FakeClock) -> None:
    api = StubApi(clock, response(429, "1"))

    def slow() -> requests.Response:
        clock.seconds += 20
        return api()

    sender(None, 60, clock).send(request(), slow)
    assert api.sent_at == [20, 41, 62]


@pytest.mark.parametrize("status", [200, 204, 301, 400, 401, 404, 500, 503])
def test_a_request_is_not_repeated_after_another_status(clock: FakeClock, status: int) -> None:
    api = StubApi(clock, response(status, "1"))
    assert sender(None, 60, clock).send(request(), api).status_code == status
    assert api.sent_at == [0]


@pytest.mark.parametrize("body", [None, b"bytes", "text"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_is_repeated_whatever_its_method_because_it_was_not_carried_out(
    clock: FakeClock, method: str, body: bytes | str | None
) -> None:
    api = StubApi(clock, response(429, "1"), response(200))
    assert sender(None, 60, clock).send(request(method, body), api).status_code == 200


@pytest.mark.parametrize("body", [iter([b"a"]), (part for part in [b"a"])])
def test_a_request_is_not_repeated_if_its_body_cannot_be_sent_again(clock: FakeClock, body: Iterator[bytes]) -> None:
    api = StubApi(clock, response(429, "1"))
    assert sender(None, 60, clock).send(request("POST", body), api).status_code == 429
    assert api.sent_at == [0]


def test_a_repeated_request_spends_credits_again(clock: FakeClock) -> None:
    limiter = sender(Budget(credits=2, seconds=100), 1000, clock)
    api = StubApi(clock, response(429, "1"), response(429, "1"), response(200))
    limiter.send(request(), api)
    assert api.sent_at == [0, 1, 100]


def test_a_refused_response_is_closed_before_the_request_is_repeated(clock: FakeClock) -> None:
    closed: list[float] = []
    refused = response(429, "1")
    refused.close = lambda: closed.append(clock.seconds)
    sender(None, 60, clock).send(request(), StubApi(clock, refused, response(200)))
    assert closed == [0]


def test_a_network_error_is_not_handled(clock: FakeClock) -> None:
    def fail() -> requests.Response:
        raise requests.ConnectionError("fake")

    with pytest.raises(requests.ConnectionError):
        sender(Budget(credits=1, seconds=1), 60, clock).send(request(), fail)


def test_waiting_for_the_budget_does_not_count_for_the_timeout(clock: FakeClock) -> None:
    limiter = sender(Budget(credits=1, seconds=300), 60, clock)
    assert limiter.send(request(), response).status_code == 200
    responses = [response(429, "9"), response()]
    assert limiter.send(request(), lambda: responses.pop(0)).status_code == 200


# --- metrics


def test_a_request_that_waits_because_the_budget_is_used_up_is_reported(clock: FakeClock) -> None:
    reports = Reports()
    limiter = RateLimiter(Budget(credits=1, seconds=10), clock)
    limited = ApiSender(limiter, RecoveryPolicy(), "shop", RequestCounts(report=reports))
    assert [send(limited, clock) for _ in range(3)] == [0, 10, 20]
    assert (reports.of(API_WAITS), reports.of(API_REQUESTS)) == (["budget"] * 2, ["success"] * 3)


def test_a_wait_that_the_api_requires_is_not_reported_as_one_for_the_budget(clock: FakeClock) -> None:
    reports = Reports()
    policy = RecoveryPolicy(rules=DEFAULT_RULES, rate_limit_timeout=60)
    sender = ApiSender(RateLimiter(None, clock), policy, "shop", RequestCounts(report=reports))
    responses = iter([response(429, "5"), response()])
    sender.send(request(), lambda: next(responses))
    assert (reports.of(API_WAITS), reports.of(API_REQUESTS)) == (["limit"], ["limited", "success"])
