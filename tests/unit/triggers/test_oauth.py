"""The triggers: they fire with events, never raise, and never ask faster than told."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import types
from types import SimpleNamespace

import pytest
import requests
from airflow.sdk.serde import deserialize, serialize
from airflow.triggers.base import BaseEventTrigger

from airflow_provider_oauth import exceptions
from airflow_provider_oauth.hooks.oauth import OAuthAsyncHook
from airflow_provider_oauth.triggers import oauth as triggers
from airflow_provider_oauth.triggers.oauth import OAuthHttpEventTrigger, OAuthHttpSensorTrigger, OAuthHttpTrigger

FATAL = [
    exceptions.ConfigurationError("configuration"),
    exceptions.InvalidClient("client", error="invalid_client", status_code=401),
    exceptions.WrongPassword("password", error="invalid_grant"),
    exceptions.ConsentRequired("consent"),
]
#: Raised before anything is sent.
OTHER_ORIGIN = exceptions.ApiError("https://other.example.com/x is not part of the API")
PASSING = [
    exceptions.ApiError("404:Not Found", status_code=404),
    exceptions.ApiError("401:Unauthorized", status_code=401),
    exceptions.ApiError("500:Broken", status_code=500),
    exceptions.TokenRequestError("busy", status_code=503, retryable=True),
    exceptions.TokenResponseError("garbage"),
    exceptions.RenewalTimeout("slow"),
    exceptions.ApiConnectionError("no route"),
    exceptions.ApiTimeout("slow"),
    TimeoutError(),
    OSError("no route"),
]
#: What the hook or a user's code can raise besides; polling cannot fix it.
UNEXPECTED = [ValueError("a bug"), TypeError("an option that aiohttp does not know"), KeyError("data")]


class NothingLeft(BaseException):
    """The trigger polled once more than the test has answers for; no trigger catches this one."""


class FakeResponse:
    """What the hook returns: as much of aiohttp's response as the triggers use."""

    def __init__(self, text="answer"):
        self.text = text


@pytest.fixture
def answers(monkeypatch):
    """What the hook's ``run`` gives or raises, one after the other; what it was called with goes to ``.calls``."""

    class Answers(list):
        calls = []
        hooks = []

    given = Answers()
    given.calls, given.hooks = [], []

    async def run(self, session=None, **kwargs):
        given.hooks.append(self)
        given.calls.append(kwargs)
        answer = given.pop(0) if given else NothingLeft()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def convert(answer):
        response = requests.Response()
        response.status_code, response._content, response.url = 200, answer.text.encode(), "https://api.example.com/x"
        return response

    monkeypatch.setattr(OAuthAsyncHook, "run", run)
    monkeypatch.setattr(OAuthHttpTrigger, "_convert_response", staticmethod(convert))
    return given


@pytest.fixture
def sleeps(monkeypatch):
    """How long was slept; nobody really does."""
    recorded = []

    async def sleep(seconds):
        recorded.append(seconds)

    monkeypatch.setattr(triggers.asyncio, "sleep", sleep)
    return recorded


def events(trigger, count=10):
    async def collect():
        found = []
        stream = trigger.run()
        try:
            async for event in stream:
                found.append(json.loads(json.dumps(event.payload)))
                if len(found) == count:
                    break
        finally:
            await stream.aclose()
        return found

    return asyncio.run(collect())


# --- all three

REQUEST = {
    "oauth_conn_id": "my_api",
    "method": "POST",
    "endpoint": "items",
    "headers": {"X": "1"},
    "data": {"a": 1},
    "extra_options": {"timeout": 5},
    "scope": "read",
}


@pytest.mark.parametrize(
    "trigger",
    [
        OAuthHttpTrigger(**REQUEST),
        OAuthHttpSensorTrigger(**REQUEST, poke_interval=7.5),
        OAuthHttpEventTrigger("a.b", **REQUEST, poll_interval=7.5),
    ],
    ids=lambda trigger: type(trigger).__name__,
)
def test_a_trigger_is_made_again_from_what_it_serializes(trigger):
    path, arguments = trigger.serialize()
    module, _, name = path.rpartition(".")
    assert getattr(sys.modules[module], name) is type(trigger)
    again = type(trigger)(**deserialize(json.loads(json.dumps(serialize(arguments)))))
    assert again.serialize() == (path, arguments)
    for name, value in arguments.items():
        assert getattr(again, name) == value


@pytest.mark.parametrize("cls", [OAuthHttpTrigger, OAuthHttpSensorTrigger])
def test_the_hook_and_its_request_are_what_the_trigger_was_given(answers, sleeps, cls):
    answers.append(FakeResponse())
    trigger = cls(oauth_conn_id="my_api", method="POST", endpoint="x", headers={"X": "1"}, data={"a": 1}, scope="read")
    events(trigger)
    hook = answers.hooks[0]
    assert (hook.oauth_conn_id, hook.method, hook.scope) == ("my_api", "POST", "read")
    (call,) = answers.calls
    assert {name: value for name, value in call.items() if value is not None} == {
        "endpoint": "x",
        "headers": {"X": "1"},
        "data": {"a": 1},
    }


# --- one request


def test_the_trigger_fires_once_with_the_response(answers):
    answers.append(FakeResponse("answer"))
    (event,) = events(OAuthHttpTrigger("my_api"))
    assert event["status"] == "success"
    assert event["response"]["status_code"] == 200


@pytest.mark.parametrize("error", FATAL + PASSING + UNEXPECTED, ids=lambda error: f"{type(error).__name__} {error}")
def test_the_trigger_never_raises_but_fires_with_the_error(answers, error):
    answers.append(error)
    (event,) = events(OAuthHttpTrigger("my_api"))
    assert event["status"] == "error"
    raised = exceptions.from_event(event["error"])
    assert isinstance(raised, type(error) if isinstance(error, exceptions.OAuthError) else exceptions.OAuthError)
    assert str(error) in str(raised)


# --- polling for a sensor


@pytest.mark.parametrize("error", PASSING, ids=lambda error: f"{type(error).__name__} {error}")
def test_the_sensor_trigger_waits_for_poke_interval_after_any_error(answers, sleeps, error):
    last = FakeResponse()
    answers.extend([error, error, error, last])
    assert events(OAuthHttpSensorTrigger("my_api", poke_interval=7)) == [{"status": "success"}]
    assert sleeps == [7, 7, 7]


@pytest.mark.parametrize("error", [*FATAL, *UNEXPECTED, OTHER_ORIGIN], ids=lambda error: type(error).__name__)
def test_the_sensor_trigger_ends_on_what_polling_cannot_fix(answers, sleeps, error):
    answers.extend([PASSING[0], error])
    (event,) = events(OAuthHttpSensorTrigger("my_api", poke_interval=7))
    assert event["status"] == "error"
    raised = exceptions.from_event(event["error"])
    assert type(raised) is (type(error) if isinstance(error, exceptions.OAuthError) else exceptions.OAuthError)
    assert str(error) in str(raised)
    assert sleeps == [7]


def test_the_sensor_trigger_warns_of_errors_and_not_of_404_which_means_not_yet(answers, sleeps, monkeypatch):
    logged = []
    monkeypatch.setattr(OAuthHttpSensorTrigger, "log", SimpleNamespace(log=lambda level, *rest: logged.append(level)))
    answers.extend([PASSING[0], *PASSING[1:], FakeResponse()])
    events(OAuthHttpSensorTrigger("my_api"))
    assert logged == [logging.INFO] + [logging.WARNING] * (len(PASSING) - 1)


def test_the_sensor_trigger_can_be_cancelled_while_it_waits(answers):
    answers.append(PASSING[0])

    async def scenario():
        task = asyncio.create_task(anext(OAuthHttpSensorTrigger("my_api", poke_interval=3600).run()))
        while answers:  # noqa: ASYNC110 - until the trigger has had its answer
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())


# --- watching for an asset


@pytest.fixture
def checks(monkeypatch):
    module = types.ModuleType("fake_checks")

    async def is_news(response):
        return response.content != b"old"

    async def broken(response):
        raise KeyError("data")

    module.is_news, module.broken, module.plain = is_news, broken, lambda response: True
    monkeypatch.setitem(sys.modules, "fake_checks", module)


def watcher(check="is_news", poll_interval=60):
    return OAuthHttpEventTrigger(f"fake_checks.{check}", "my_api", poll_interval=poll_interval)


def test_the_watcher_is_an_event_trigger_whose_hash_depends_on_what_it_watches():
    trigger = watcher()
    assert isinstance(trigger, BaseEventTrigger)
    hashes = {BaseEventTrigger.hash(*each.serialize()) for each in (trigger, watcher(), watcher(poll_interval=61))}
    assert len(hashes) == 2


@pytest.mark.usefixtures("checks")
def test_the_watcher_fires_again_only_after_poll_interval(answers, sleeps):
    answers.extend([FakeResponse("1"), FakeResponse("old"), FakeResponse("2")])
    assert [event["status"] for event in events(watcher(), count=2)] == ["success", "success"]
    assert sleeps == [60, 60]


@pytest.mark.usefixtures("checks")
def test_the_watcher_asks_at_poll_interval_after_a_passing_error(answers, sleeps):
    answers.extend([*PASSING, FakeResponse("1")])
    events(watcher(), count=1)
    assert sleeps == [60] * len(PASSING)


@pytest.mark.parametrize("error", FATAL, ids=lambda error: type(error).__name__)
@pytest.mark.usefixtures("checks")
def test_the_watcher_asks_ever_more_rarely_when_its_credentials_are_refused(answers, sleeps, error):
    answers.extend([error] * 8 + [FakeResponse("1"), error, FakeResponse("2")])
    events(watcher(), count=2)
    assert sleeps == [120, 240, 480, 960, 1920, 3600, 3600, 3600, 60, 120], "and as before once they are accepted"


@pytest.mark.usefixtures("checks")
def test_a_poll_interval_beyond_the_longest_pause_is_never_shortened(answers, sleeps):
    answers.extend([FATAL[1], FATAL[1], FakeResponse("1")])
    events(watcher(poll_interval=86400), count=1)
    assert sleeps == [86400, 86400]


@pytest.mark.parametrize("check", ["plain", "broken", "missing"])
@pytest.mark.usefixtures("checks")
def test_a_check_that_is_no_good_fires_nothing_and_does_not_end_the_watch(answers, sleeps, check):
    answers.extend([FakeResponse("1"), FakeResponse("2")])
    with pytest.raises(NothingLeft):
        events(watcher(check))
    assert sleeps == [60, 60]
