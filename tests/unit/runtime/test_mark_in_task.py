"""The mark in the process of a task, which reads and writes Variables through its supervisor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import comms, task_runner

from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.runtime import mark_codec
from airflow_provider_oauth.runtime.mark_record import MarkRecord
from airflow_provider_oauth.runtime.mark_store import MarkStore
from tests.unit.runtime.marks import NAME, at, begun, finished, settings

if TYPE_CHECKING:
    from airflow_provider_oauth.runtime.mark_record import Run

#: Whether tasks can list Variables in the installed version of Airflow.
HAS_KEYS = hasattr(Variable, "keys")
lists_variables = pytest.mark.skipif(not HAS_KEYS, reason="needs Airflow 3.3")


class Supervisor:
    """Answers the requests of a task; kinds of requests can fail as if the API server or its database did."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.failing: set[str] = set()

    def send(self, message: Any) -> Any:
        kind = type(message).__name__
        if kind == "GetVariable":
            if kind in self.failing or message.key not in self.values:
                return comms.ErrorResponse(error=ErrorType.VARIABLE_NOT_FOUND)
            return comms.VariableResult(key=message.key, value=self.values[message.key])
        if kind in self.failing:
            raise AirflowRuntimeError(comms.ErrorResponse(error=ErrorType.API_SERVER_ERROR))
        if kind == "PutVariable":
            self.values[message.key] = message.value
            return None
        assert kind == "GetVariableKeys"
        keys = [key for key in self.values if key.startswith(message.prefix)]
        return comms.VariableKeysResult(keys=keys, total_entries=len(keys))


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    supervisor = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    return supervisor


def begin(number: int) -> Run:
    return MarkStore(NAME).begin(f"run{number}", at(number), settings(), at(number))


def stored(supervisor: Supervisor) -> MarkRecord:
    return mark_codec.decode(supervisor.values[NAME.variable])


@lists_variables
def test_the_first_run_of_a_task_creates_the_mark(supervisor: Supervisor) -> None:
    run = begin(1)
    MarkStore(NAME).confirm("run1", run, settings())
    MarkStore(NAME).finish("run1", run, "150", settings())

    assert stored(supervisor) == finished(None, 1, "150")


@lists_variables
@pytest.mark.parametrize("failing", ["GetVariableKeys", "PutVariable"])
def test_the_first_run_fails_if_airflow_fails(failing: str, supervisor: Supervisor) -> None:
    supervisor.failing = {failing}

    with pytest.raises(OAuthError, match=r"\(AirflowRuntimeError\)"):
        begin(1)
    assert supervisor.values == {}


@pytest.mark.parametrize("setting", ["3.2", "multi_team"])
def test_the_first_run_needs_a_mark_that_a_user_has_set_if_the_task_cannot_list_variables(
    setting: str, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    if setting == "multi_team":
        monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")
    else:
        monkeypatch.delattr(Variable, "keys", raising=False)
    with pytest.raises(OAuthError, match=r"^Airflow did not return .* airflow oauth mark crm contacts --set VALUE$"):
        begin(1)

    supervisor.values[NAME.variable] = mark_codec.encode(MarkRecord(name=NAME, mark="130"))
    run = begin(1)
    MarkStore(NAME).confirm("run1", run, settings())
    MarkStore(NAME).finish("run1", run, "150", settings())

    assert run.since == "125"
    assert (stored(supervisor).mark, stored(supervisor).runs["run1"].until) == ("150", "150")


@pytest.mark.parametrize("can_list", [pytest.param(True, marks=lists_variables), False])
def test_a_read_that_fails_is_never_the_first_run(
    can_list: bool, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not can_list:
        monkeypatch.delattr(Variable, "keys", raising=False)
    begun_once = mark_codec.encode(begun(finished(None, 1, "150"), 2))
    supervisor.values[NAME.variable] = begun_once
    run = stored(supervisor).runs["run2"]
    supervisor.failing = {"GetVariable"}

    for use in (
        lambda: begin(3),
        lambda: MarkStore(NAME).confirm("run2", run, settings()),
        lambda: MarkStore(NAME).finish("run2", run, "170", settings()),
    ):
        with pytest.raises(OAuthError, match="listed, but was not returned" if can_list else "Airflow did not return"):
            use()
    assert supervisor.values == {NAME.variable: begun_once}


def test_a_mark_that_cannot_be_stored_stays_and_the_retry_reads_the_same_again(supervisor: Supervisor) -> None:
    supervisor.values[NAME.variable] = mark_codec.encode(finished(None, 1, "150"))
    run = begin(2)
    supervisor.failing = {"PutVariable"}
    with pytest.raises(OAuthError, match="^Cannot store the mark "):
        MarkStore(NAME).finish("run2", run, "170", settings())
    supervisor.failing = set()

    assert stored(supervisor).mark == "150"
    assert begin(2) == run


def test_a_mark_that_an_environment_variable_hides_is_an_error(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"AIRFLOW_VAR_{NAME.variable.upper()}", mark_codec.encode(finished(None, 1, "150")))

    with pytest.raises(OAuthError, match="does not contain what was written. .* whether an environment variable"):
        begin(2)
