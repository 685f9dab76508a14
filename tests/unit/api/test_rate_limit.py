"""How fast requests follow each other: within a budget, and after a 429 as the API says. Time is made up."""

from __future__ import annotations

import logging
import threading
from types import SimpleNamespace

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_oauth.api import rate_limit as pace_module
from airflow_provider_oauth.api.rate_limit import MAX_PAUSE, Budget, RateLimiter
from tests.fake_clock import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


def request(method="GET", body=None):
    return SimpleNamespace(method=method, body=body)


def answer(status=200, wait=None):
    response = requests.Response()
    response.status_code, response._content, response._content_consumed = status, b"", True
    if wait is not None:
        response.headers["Retry-After"] = wait
    return response


def send(pace, clock, method="GET"):
    """Send one request; return when it was sent."""
    sent = []
    pace.send(request(method), lambda: sent.append(clock.seconds) or answer())
    return sent[0]


# --- what a request costs


@pytest.mark.parametrize(
    ("method", "cost"),
    [("GET", 1), ("HEAD", 1), ("OPTIONS", 1), ("POST", 5), ("PUT", 5), ("PATCH", 5), ("DELETE", 5), (None, 5)],
)
def test_what_only_reads_costs_less(method, cost):
    assert Budget(credits=300, seconds=300, read=1, write=5).cost(method) == cost


# --- the budget


def test_without_a_budget_nothing_waits(clock):
    pace = RateLimiter(None, 0, clock)
    assert [send(pace, clock) for _ in range(1000)] == [0.0] * 1000
    assert clock.slept == []


def test_what_the_budget_has_is_sent_at_once_and_the_rest_when_it_is_free_again(clock):
    pace = RateLimiter(Budget(credits=3, seconds=10), 0, clock)
    assert [send(pace, clock) for _ in range(7)] == [0, 0, 0, 10, 10, 10, 20]


def test_credits_become_free_one_by_one_as_they_were_spent(clock):
    pace = RateLimiter(Budget(credits=2, seconds=10), 0, clock)
    assert send(pace, clock) == 0
    clock.seconds = 4
    assert [send(pace, clock) for _ in range(3)] == [4, 10, 14]


def test_a_write_waits_for_as_many_credits_as_it_costs(clock):
    pace = RateLimiter(Budget(credits=6, seconds=10, read=1, write=5), 0, clock)
    sent = [send(pace, clock, "GET"), send(pace, clock, "POST"), send(pace, clock, "GET"), send(pace, clock, "POST")]
    assert sent == [0, 0, 10, 10]


def test_a_cost_larger_than_the_budget_is_sent_alone_rather_than_never(clock):
    pace = RateLimiter(Budget(credits=2, seconds=10, write=5), 0, clock)
    assert [send(pace, clock, "POST") for _ in range(3)] == [0, 10, 20]
    assert send(pace, clock, "GET") == 30


@pytest.mark.parametrize("credits", [0, -1])
def test_a_budget_of_nothing_is_one_request_at_a_time_rather_than_none(clock, credits):
    pace = RateLimiter(Budget(credits=credits, seconds=10), 0, clock)
    assert [send(pace, clock) for _ in range(2)] == [0, 10]


def test_waiting_for_the_budget_is_logged(clock, caplog):
    caplog.set_level(logging.INFO, pace_module.__name__)
    pace = RateLimiter(Budget(credits=1, seconds=10), 0, clock)
    send(pace, clock)
    send(pace, clock)
    assert [record.getMessage() for record in caplog.records] == ["The budget of 1 credits is used up. Waiting 10 s."]


def test_a_sleep_that_ends_too_early_spends_nothing_too_early(clock, monkeypatch):
    pace = RateLimiter(Budget(credits=1, seconds=10), 0, clock)
    send(pace, clock)
    monkeypatch.setattr(FakeClock, "sleep", lambda self, seconds: self.advance(min(seconds, 3)))
    assert send(pace, clock) == 10


STEPS = st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["GET", "POST"])), max_size=60)


@given(
    steps=STEPS,
    credits=st.integers(1, 12),
    seconds=st.integers(1, 10),
    read=st.integers(0, 3),
    write=st.integers(0, 15),
)
@example(steps=[(0, "POST")] * 3, credits=2, seconds=5, read=1, write=5)
def test_no_window_has_more_than_the_budget_and_nothing_waits_for_longer_than_it_must(
    steps, credits, seconds, read, write
):
    clock = FakeClock()
    budget = Budget(credits=credits, seconds=seconds, read=read, write=write)
    pace = RateLimiter(budget, 0, clock)
    sent = []  # when, and for how much
    for idle, method in steps:
        clock.seconds += idle
        asked, cost = clock.seconds, budget.cost(method)

        def spent_before(moment):
            """Credits spent in the window that ends just before ``moment``, and whether there are any at all."""
            recent = [each for when, each in sent if moment - seconds < when <= moment]
            return sum(recent), bool(recent)

        went = send(pace, clock, method)
        total, any_ = spent_before(went)
        assert total + cost <= credits or not any_
        # One moment earlier it would have been too much. All times are whole numbers here.
        for earlier in range(int(asked), int(went)):
            total, any_ = spent_before(earlier)
            assert any_
            assert total + cost > credits
        sent.append((went, cost))
    for when, _ in sent:
        window = [cost for moment, cost in sent if when <= moment < when + seconds]
        # One alone may cost more; beside it is only what is free.
        assert sum(window) <= credits or sum(window) == max(window)


def test_threads_that_share_a_pace_spend_one_budget(clock):
    pace = RateLimiter(Budget(credits=4, seconds=10), 0, clock)
    sent, lock = [], threading.Lock()
    begin = threading.Barrier(8)

    def work():
        begin.wait(20)
        for _ in range(5):
            pace.send(request(), answer)
            with lock:
                sent.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(sent) == 40
    assert clock.seconds == 90  # 40 requests, four every ten seconds, the first four at once
    assert clock.slept == [10] * 9


def test_a_slow_answer_keeps_no_other_thread_from_sending():
    pace = RateLimiter(Budget(credits=2, seconds=10), 0, FakeClock())
    inside, other_done = threading.Event(), threading.Event()

    def slow():
        inside.set()
        assert other_done.wait(20)
        return answer()

    thread = threading.Thread(target=lambda: pace.send(request(), slow))
    thread.start()
    assert inside.wait(20)
    pace.send(request(), answer)
    other_done.set()
    thread.join(20)
    assert not thread.is_alive()


# --- 429


class Answers:
    """An API that gives these answers, the last one for ever; notes when it was asked."""

    def __init__(self, clock, *answers):
        self.clock = clock
        self.answers = list(answers)
        self.asked_at = []

    def __call__(self):
        self.asked_at.append(self.clock.seconds)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def longest(monkeypatch):
    """Chance takes the longest pause."""
    monkeypatch.setattr(pace_module.random, "uniform", lambda low, high: high)


def test_a_429_is_sent_again_after_the_seconds_that_it_names(clock):
    api = Answers(clock, answer(429, "7"), answer(429, "3"), answer(200))
    assert RateLimiter(None, 60, clock).send(request(), api).status_code == 200
    assert api.asked_at == [0, 7, 10]


def test_a_429_is_sent_again_at_the_date_that_it_names(clock):
    api = Answers(clock, answer(429, "Thu, 01 Jan 2026 00:00:20 GMT"), answer(200))
    assert RateLimiter(None, 60, clock).send(request(), api).status_code == 200
    assert api.asked_at == [0, 20]


@pytest.mark.parametrize("wait", [None, "", "soon", "-1", "1.5", "1e3", "²", "9" * 400])
def test_a_429_that_does_not_say_how_long_is_waited_out_ever_longer(clock, longest, wait):
    api = Answers(clock, answer(429, wait))
    assert RateLimiter(None, 200, clock).send(request(), api).status_code == 429
    assert clock.slept == [1, 2, 4, 8, 16, 32, 60, 60]
    assert max(clock.slept) == MAX_PAUSE


@pytest.mark.parametrize("wait", ["0", "Thu, 01 Jan 2015 00:00:00 GMT"])
def test_a_429_that_says_at_once_time_and_again_is_not_asked_as_fast_as_the_network_can(clock, longest, wait):
    api = Answers(clock, answer(429, wait))
    RateLimiter(None, 60, clock).send(request(), api)
    assert clock.slept == [1, 2, 4, 8, 16]


def test_pauses_differ_so_that_not_all_come_back_at_once(clock, monkeypatch):
    asked = []
    monkeypatch.setattr(pace_module.random, "uniform", lambda low, high: asked.append((low, high)) or low)
    RateLimiter(None, 4, clock).send(request(), Answers(clock, answer(429)))
    assert asked == [(0.5, 1.0), (1.0, 2.0), (2.0, 4.0), (4.0, 8.0)]
    assert clock.slept == [0.5, 1, 2]


@pytest.mark.parametrize(("rate_limit_timeout", "asked_at"), [(0, [0]), (9.9, [0]), (10, [0, 10]), (29, [0, 10, 20])])
def test_patience_ends_before_a_wait_that_is_too_long(clock, rate_limit_timeout, asked_at):
    api = Answers(clock, answer(429, "10"))
    assert RateLimiter(None, rate_limit_timeout, clock).send(request(), api).status_code == 429
    assert api.asked_at == asked_at


def test_the_time_that_answers_take_counts_for_patience(clock):
    api = Answers(clock, answer(429, "1"))

    def slow():
        clock.seconds += 20
        return api()

    RateLimiter(None, 60, clock).send(request(), slow)
    assert api.asked_at == [20, 41, 62]


@pytest.mark.parametrize("status", [200, 204, 301, 400, 401, 403, 500, 503])
def test_no_other_status_is_sent_again(clock, status):
    api = Answers(clock, answer(status, "1"))
    assert RateLimiter(None, 60, clock).send(request(), api).status_code == status
    assert api.asked_at == [0]


@pytest.mark.parametrize("body", [None, b"bytes", "text"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_whatever_the_method_a_request_is_sent_again_for_it_was_not_carried_out(clock, method, body):
    api = Answers(clock, answer(429, "1"), answer(200))
    assert RateLimiter(None, 60, clock).send(request(method, body), api).status_code == 200


@pytest.mark.parametrize("body", [iter([b"a"]), (part for part in [b"a"])])
def test_a_body_that_cannot_be_sent_again_is_not(clock, body):
    api = Answers(clock, answer(429, "1"))
    assert RateLimiter(None, 60, clock).send(request("POST", body), api).status_code == 429
    assert api.asked_at == [0]


def test_what_is_sent_again_is_paid_again(clock):
    pace = RateLimiter(Budget(credits=2, seconds=100), 1000, clock)
    api = Answers(clock, answer(429, "1"), answer(429, "1"), answer(200))
    pace.send(request(), api)
    assert api.asked_at == [0, 1, 100]


def test_a_refused_answer_is_closed_before_the_next_one(clock):
    closed = []
    refused = answer(429, "1")
    refused.close = lambda: closed.append(clock.seconds)
    RateLimiter(None, 60, clock).send(request(), Answers(clock, refused, answer(200)))
    assert closed == [0]


def test_an_error_of_the_network_is_the_callers(clock):
    def fail():
        raise requests.ConnectionError("fake")

    with pytest.raises(requests.ConnectionError):
        RateLimiter(Budget(credits=1, seconds=1), 60, clock).send(request(), fail)


def test_waiting_for_the_budget_costs_no_patience(clock):
    pace = RateLimiter(Budget(credits=1, seconds=300), 60, clock)
    assert pace.send(request(), answer).status_code == 200
    answers = [answer(429, "9"), answer()]
    assert pace.send(request(), lambda: answers.pop(0)).status_code == 200
