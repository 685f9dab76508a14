"""The triggers: they fire events, never raise, and keep their intervals."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import types
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from airflow.sdk.serde import deserialize, serialize
from airflow.triggers.base import BaseEventTrigger

from airflow_provider_oauth import exceptions
from airflow_provider_oauth.hooks.oauth import OAuthAsyncHook
from airflow_provider_oauth.triggers.oauth import OAuthHttpEventTrigger, OAuthHttpSensorTrigger, OAuthHttpTrigger

FATAL = [
    exceptions.ConfigurationError("configuration"),
    exceptions.InvalidClient("client", error="invalid_client", status_code=401),
    exceptions.WrongPassword("password", error="invalid_grant"),
    exceptions.ConsentRequired("consent"),
]
#: Raised before a request is sent.
OTHER_ORIGIN = exceptions.ApiError("https://other.example.com/x is not part of the API")
TEMPORARY = [
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
#: Other exceptions of the hook or of user code, which polling cannot fix.
UNEXPECTED = [ValueError("a bug"), TypeError("an option that aiohttp does not know"), KeyError("data")]


class NoMoreResponses(BaseException):
    """The trigger polled more often than the test has responses. No trigger catches it."""


class FakeResponse:
    """The part of aiohttp's response that the triggers use."""

    def __init__(self, text: str = "content") -> None:
        self.text = text


class Responses(list[FakeResponse | BaseException]):
    """The responses and errors of the hook's ``run``, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        #: The hook and the arguments of each call.
        self.hooks: list[OAuthAsyncHook] = []
        self.calls: list[dict[str, Any]] = []


@pytest.fixture
def responses(monkeypatch: pytest.MonkeyPatch) -> Responses:
    given = Responses()

    async def run(self: OAuthAsyncHook, session: object = None, **kwargs: Any) -> FakeResponse:
        given.hooks.append(self)
        given.calls.append(kwargs)
        response = given.pop(0) if given else NoMoreResponses()
        if isinstance(response, BaseException):
            raise response
        return response

    async def convert(fake: FakeResponse) -> requests.Response:
        response = requests.Response()
        response.status_code, response._content, response.url = 200, fake.text.encode(), "https://api.example.com/x"
        return response

    monkeypatch.setattr(OAuthAsyncHook, "run", run)
    monkeypatch.setattr(OAuthHttpTrigger, "_convert_response", staticmethod(convert))
    return given


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of each sleep; the tests do not really sleep."""
    recorded = []

    async def sleep(seconds: float) -> None:
        recorded.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return recorded


def events(trigger: OAuthHttpTrigger, count: int = 10) -> list[dict[str, Any]]:
    async def collect() -> list[dict[str, Any]]:
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


# --- all triggers

REQUEST: dict[str, Any] = {
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
def test_a_trigger_can_be_created_from_its_serialized_arguments(trigger: OAuthHttpTrigger) -> None:
    path, arguments = trigger.serialize()
    module, _, name = path.rpartition(".")
    assert getattr(sys.modules[module], name) is type(trigger)
    again = type(trigger)(**deserialize(json.loads(json.dumps(serialize(arguments)))))
    assert again.serialize() == (path, arguments)
    for name, value in arguments.items():
        assert getattr(again, name) == value


@pytest.mark.parametrize("cls", [OAuthHttpTrigger, OAuthHttpSensorTrigger])
def test_the_trigger_passes_its_arguments_to_the_hook(
    responses: Responses, sleeps: list[float], cls: type[OAuthHttpTrigger]
) -> None:
    responses.append(FakeResponse())
    trigger = cls(oauth_conn_id="my_api", method="POST", endpoint="x", headers={"X": "1"}, data={"a": 1}, scope="read")
    events(trigger)
    hook = responses.hooks[0]
    assert (hook.oauth_conn_id, hook.method, hook.scope) == ("my_api", "POST", "read")
    (call,) = responses.calls
    assert {name: value for name, value in call.items() if value is not None} == {
        "endpoint": "x",
        "headers": {"X": "1"},
        "data": {"a": 1},
    }


# --- OAuthHttpTrigger


def test_the_trigger_fires_once_with_the_response(responses: Responses) -> None:
    responses.append(FakeResponse("content"))
    (event,) = events(OAuthHttpTrigger("my_api"))
    assert event["status"] == "success"
    assert event["response"]["status_code"] == 200


@pytest.mark.parametrize("error", FATAL + TEMPORARY + UNEXPECTED, ids=lambda error: f"{type(error).__name__} {error}")
def test_the_trigger_fires_with_an_error_instead_of_raising(responses: Responses, error: Exception) -> None:
    responses.append(error)
    (event,) = events(OAuthHttpTrigger("my_api"))
    assert event["status"] == "error"
    raised = exceptions.from_event(event["error"])
    assert isinstance(raised, type(error) if isinstance(error, exceptions.OAuthError) else exceptions.OAuthError)
    assert str(error) in str(raised)


# --- OAuthHttpSensorTrigger


@pytest.mark.parametrize("error", TEMPORARY, ids=lambda error: f"{type(error).__name__} {error}")
def test_after_a_temporary_error_the_trigger_polls_again_after_poke_interval(
    responses: Responses, sleeps: list[float], error: Exception
) -> None:
    last = FakeResponse()
    responses.extend([error, error, error, last])
    assert events(OAuthHttpSensorTrigger("my_api", poke_interval=7)) == [{"status": "success"}]
    assert sleeps == [7, 7, 7]


@pytest.mark.parametrize("error", [*FATAL, *UNEXPECTED, OTHER_ORIGIN], ids=lambda error: type(error).__name__)
def test_any_other_error_ends_the_trigger(responses: Responses, sleeps: list[float], error: Exception) -> None:
    responses.extend([TEMPORARY[0], error])
    (event,) = events(OAuthHttpSensorTrigger("my_api", poke_interval=7))
    assert event["status"] == "error"
    raised = exceptions.from_event(event["error"])
    assert type(raised) is (type(error) if isinstance(error, exceptions.OAuthError) else exceptions.OAuthError)
    assert str(error) in str(raised)
    assert sleeps == [7]


def test_errors_are_logged_as_warnings_and_404_as_info(
    responses: Responses, sleeps: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    logged = []
    monkeypatch.setattr(OAuthHttpSensorTrigger, "log", SimpleNamespace(log=lambda level, *rest: logged.append(level)))
    responses.extend([TEMPORARY[0], *TEMPORARY[1:], FakeResponse()])
    events(OAuthHttpSensorTrigger("my_api"))
    assert logged == [logging.INFO] + [logging.WARNING] * (len(TEMPORARY) - 1)


def test_the_sensor_trigger_polls_until_its_condition_is_true(responses: Responses, sleeps: list[float]) -> None:
    responses.extend([FakeResponse('{"status": "busy"}'), TEMPORARY[2], FakeResponse(" "), FakeResponse("<html>")])
    responses.append(FakeResponse('{"status": "done"}'))
    trigger = OAuthHttpSensorTrigger("my_api", poke_interval=7, until="status == 'done'")
    assert events(trigger) == [{"status": "success"}]
    assert sleeps == [7, 7, 7, 7]


def test_a_condition_that_cannot_be_applied_ends_the_sensor_trigger(responses: Responses, sleeps: list[float]) -> None:
    responses.append(FakeResponse('{"count": 1}'))
    (event,) = events(OAuthHttpSensorTrigger("my_api", until="length(count) == `1`"))
    assert event["error"]["type"] == "ConfigurationError"
    assert "until 'length(count) == `1`' has a function that cannot be applied" in event["error"]["message"]


def test_the_trigger_can_be_cancelled_while_it_waits(responses: Responses) -> None:
    responses.append(TEMPORARY[0])

    async def scenario() -> None:
        task = asyncio.create_task(anext(OAuthHttpSensorTrigger("my_api", poke_interval=3600).run()))
        while responses:  # noqa: ASYNC110 - until the trigger has taken the response
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())


# --- OAuthHttpEventTrigger


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("fake_checks")

    async def is_news(response: requests.Response) -> bool:
        return response.content != b"old"

    async def broken(response: requests.Response) -> bool:
        raise KeyError("data")

    module.is_news, module.broken, module.plain = is_news, broken, lambda response: True
    monkeypatch.setitem(sys.modules, "fake_checks", module)


def watcher(check: str = "is_news", poll_interval: float = 60) -> OAuthHttpEventTrigger:
    return OAuthHttpEventTrigger(f"fake_checks.{check}", "my_api", poll_interval=poll_interval)


def test_the_hash_of_the_event_trigger_depends_on_its_arguments() -> None:
    trigger = watcher()
    assert isinstance(trigger, BaseEventTrigger)
    hashes = {BaseEventTrigger.hash(*each.serialize()) for each in (trigger, watcher(), watcher(poll_interval=61))}
    assert len(hashes) == 2


@pytest.mark.usefixtures("checks")
def test_two_events_are_poll_interval_apart(responses: Responses, sleeps: list[float]) -> None:
    responses.extend([FakeResponse("1"), FakeResponse("old"), FakeResponse("2")])
    assert [event["status"] for event in events(watcher(), count=2)] == ["success", "success"]
    assert sleeps == [60, 60]


@pytest.mark.usefixtures("checks")
def test_after_a_temporary_error_the_watcher_polls_again_after_poll_interval(
    responses: Responses, sleeps: list[float]
) -> None:
    responses.extend([*TEMPORARY, FakeResponse("1")])
    events(watcher(), count=1)
    assert sleeps == [60] * len(TEMPORARY)


@pytest.mark.parametrize("error", FATAL, ids=lambda error: type(error).__name__)
@pytest.mark.usefixtures("checks")
def test_while_credentials_are_refused_the_watcher_polls_less_and_less_often(
    responses: Responses, sleeps: list[float], error: Exception
) -> None:
    responses.extend([error] * 8 + [FakeResponse("1"), error, FakeResponse("2")])
    events(watcher(), count=2)
    assert sleeps == [120, 240, 480, 960, 1920, 3600, 3600, 3600, 60, 120], "the original interval after a success"


@pytest.mark.usefixtures("checks")
def test_a_poll_interval_above_the_longest_pause_is_kept(responses: Responses, sleeps: list[float]) -> None:
    responses.extend([FATAL[1], FATAL[1], FakeResponse("1")])
    events(watcher(poll_interval=86400), count=1)
    assert sleeps == [86400, 86400]


def test_with_a_condition_the_watcher_fires_each_time_that_it_becomes_true(
    responses: Responses, sleeps: list[float]
) -> None:
    texts = ["1", "1", "0", "0", "1", "<html>", "1", "", "1"]
    responses.extend(FakeResponse(f'{{"ready": {text}}}' if text in "01" and text else text) for text in texts)
    trigger = OAuthHttpEventTrigger(oauth_conn_id="my_api", until="ready")
    polls = []

    async def collect() -> None:
        async for event in trigger.run():
            assert event.payload == {"status": "success"}, "the response is not stored"
            polls.append(len(texts) - len(responses))

    with pytest.raises(NoMoreResponses):
        asyncio.run(collect())
    assert polls == [1, 5, 9], "an error between two true responses is not an end of the condition"


@pytest.mark.parametrize("parameters", [{}, {"response_check_path": "fake_checks.is_news", "until": "ready"}])
def test_a_watcher_has_either_a_check_or_a_condition(parameters: dict[str, str]) -> None:
    with pytest.raises(exceptions.ConfigurationError, match="needs either response_check_path or until"):
        OAuthHttpEventTrigger(oauth_conn_id="my_api", **parameters)


def test_the_condition_of_a_watcher_is_checked_when_it_is_created() -> None:
    with pytest.raises(exceptions.ConfigurationError, match="OAuthHttpEventTrigger: until 'a-b' is not a valid JMESP"):
        OAuthHttpEventTrigger(oauth_conn_id="my_api", until="a-b")


@pytest.mark.parametrize("check", ["plain", "broken", "missing"])
@pytest.mark.usefixtures("checks")
def test_an_invalid_check_fires_no_event_and_does_not_end_the_watcher(
    responses: Responses, sleeps: list[float], check: str
) -> None:
    responses.extend([FakeResponse("1"), FakeResponse("2")])
    with pytest.raises(NoMoreResponses):
        events(watcher(check))
    assert sleeps == [60, 60]
