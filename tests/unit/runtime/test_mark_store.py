"""The mark of a task in its Variable: reading, writing, and Variables that fail."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_oauth.exceptions import ConfigurationError, OAuthError
from airflow_provider_oauth.runtime import airflow_variables, mark_codec
from airflow_provider_oauth.runtime.mark_record import MarkName, MarkRecord, Run
from airflow_provider_oauth.runtime.mark_store import MAX_WRITES, MarkStore
from tests.unit.runtime.marks import NAME, START, at, finished, settings

UNAVAILABLE = (
    f"the mark of the task 'contacts' in the DAG 'crm' in the Airflow Variable {NAME.variable} (RuntimeError). Check "
    "that Airflow's API server and database are available."
)


def begin(number: int, **changes: Any) -> Run:
    return MarkStore(NAME).begin(f"run{number}", at(number), settings(**changes), at(number))


def fail(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let one function of the module of Variables fail."""

    def failing(*args: Any) -> None:
        raise RuntimeError("no database")

    monkeypatch.setattr(airflow_variables, name, failing)


# Reading and writing


def test_the_next_run_reads_from_the_mark_that_a_run_has_reached(variables: dict[str, str]) -> None:
    store = MarkStore(NAME)
    run = begin(1)
    store.confirm("run1", run, settings())
    record = store.finish("run1", run, "150", settings())

    assert record == store.read() == finished(None, 1, "150")
    assert begin(2).since == "145"


def test_the_variable_contains_json_that_users_can_read(variables: dict[str, str]) -> None:
    name = MarkName(dag_id="crm", task_id="contacts", key="é")
    run = MarkStore(name).begin("run1", at(1), settings(end_of=lambda started: "end"), START)
    MarkStore(name).finish("run1", run, "150", settings())
    MarkStore(name).update(lambda record: record and record.set_run("run0", "7", at(0), at(1)))

    assert list(variables) == [name.variable]
    assert "é" in variables[name.variable]
    assert json.loads(variables[name.variable]) == {
        "dag_id": "crm",
        "task_id": "contacts",
        "key": "é",
        "mark": "150",
        "is_initial": False,
        "fingerprint": {"endpoint": "a"},
        "format": "int",
        "timezone": None,
        "runs": {
            "run1": {
                "from": "100",
                "end": "end",
                "to": "150",
                "started": "2026-03-01T12:00:00+00:00",
                "run_after": "2026-03-01T13:00:00+00:00",
            },
            "run0": {
                "from": "7",
                "started": "2026-03-01T13:00:00+00:00",
                "run_after": "2026-03-01T12:00:00+00:00",
                "set_by_user": True,
            },
        },
    }


def test_the_variable_has_a_description(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    descriptions: list[str] = []
    write = airflow_variables.set_variable
    monkeypatch.setattr(
        airflow_variables, "set_variable", lambda *args: (descriptions.append(args[2]), write(*args))[-1]
    )
    begin(1)

    assert descriptions == [
        "Contains the mark of the task 'contacts' in the DAG 'crm'. To change it, use airflow oauth mark."
    ]


def test_a_record_that_airflow_has_exported_and_imported_can_be_read(variables: dict[str, str]) -> None:
    begin(1)
    record = MarkStore(NAME).read()
    variables[NAME.variable] = json.dumps(json.loads(variables[NAME.variable]), indent=2)

    assert MarkStore(NAME).read() == record


def test_a_run_that_was_retried_writes_nothing(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    run = begin(1)
    fail(monkeypatch, "set_variable")

    assert begin(1) == run
    MarkStore(NAME).confirm("run1", run, settings())


def test_an_entry_is_stored_before_the_run_reads(variables: dict[str, str]) -> None:
    run = begin(1)
    record = MarkStore(NAME).read()

    assert record is not None
    assert record.runs == {"run1": run}


def test_a_mark_that_a_user_has_deleted_while_a_run_was_reading_stays_deleted(
    variables: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    run = begin(1)
    variables.clear()

    MarkStore(NAME).confirm("run1", run, settings())
    assert MarkStore(NAME).finish("run1", run, "150", settings()) is None
    assert variables == {}
    assert "was deleted while the run run1 was reading, so the run's mark was not stored" in caplog.text


# Warnings


def test_a_mark_that_a_user_has_set_back_while_a_run_was_reading_is_reported_once(
    variables: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    store = MarkStore(NAME)
    store.finish("run1", begin(1), "150", settings())
    run = begin(2)
    store.update(lambda record: record and record.set("120"))
    record = store.finish("run2", run, "180", settings())

    assert record is not None
    assert record.mark == "120"
    assert [each.getMessage() for each in caplog.records if each.levelname == "WARNING"] == [
        "Connection 'shop': the mark of the task 'contacts' in the DAG 'crm' stays 120, although the run run2 has read "
        "up to 180, because the mark was set while the run was reading. The next run reads from the mark."
    ]


def test_a_mark_that_goes_back_is_reported_once(variables: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    store = MarkStore(NAME)
    run = begin(1)
    store.finish("run1", run, "150", settings())
    store.finish("run1", run, "120", settings())  # another attempt, which has begun before the first one finished

    assert [each.getMessage() for each in caplog.records if each.levelname == "WARNING"] == [
        "Connection 'shop': the mark of the task 'contacts' in the DAG 'crm' goes back to 120, because rows of the run "
        "run1 may have been replaced by fewer rows of another attempt. The next run reads from the mark."
    ]


def test_nothing_is_reported_if_the_mark_moves(variables: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    store = MarkStore(NAME)
    store.finish("run1", begin(1), "150", settings())
    store.finish("run2", begin(2), "150", settings())
    store.finish("run3", begin(3), None, settings())

    assert not caplog.records


def test_a_request_that_is_corrected_before_a_run_has_found_rows_is_reported(
    variables: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    begin(1)
    begin(1, fingerprint={"endpoint": "b"})

    assert [each.getMessage() for each in caplog.records] == [
        "Connection 'shop': the request has changed, and no run has found rows yet, so the mark of the task 'contacts' "
        "in the DAG 'crm' is 100 again."
    ]


# Absent Variables


def test_a_task_whose_variable_may_be_absent_does_not_treat_it_as_the_first_run(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(airflow_variables, "is_listed", lambda name: None)
    expected = (
        "Airflow did not return the mark of the task 'contacts' in the DAG 'crm'. In Airflow 3.2, and with [core] "
        "multi_team, a task cannot find out whether a Variable is absent or could not be read. Check that Airflow's "
        "API server and database are available. If this is the first run of the task, set the mark to the "
        "value of initial: airflow oauth mark crm contacts --set VALUE"
    )
    with pytest.raises(OAuthError, match=f"^{re.escape(expected)}$") as caught:
        begin(1)

    assert not isinstance(caught.value, ConfigurationError)  # Airflow retries it
    assert variables == {}


def test_a_task_that_cannot_list_variables_works_after_a_user_has_set_the_mark(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(airflow_variables, "is_listed", lambda name: None)
    variables[NAME.variable] = mark_codec.encode(MarkRecord(name=NAME, mark="130"))
    run = begin(1)
    MarkStore(NAME).confirm("run1", run, settings())
    MarkStore(NAME).finish("run1", run, "150", settings())

    assert run.since == "125"
    assert begin(2).since == "145"


def test_a_variable_that_exists_but_is_not_returned_is_not_the_first_run(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(airflow_variables, "is_listed", lambda name: True)

    with pytest.raises(OAuthError, match=r"^Cannot read the mark .* \(it is listed, but was not returned\)\. Check "):
        begin(1)
    assert variables == {}


def test_a_variable_that_another_run_creates_at_the_same_moment_is_read(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def created(name: str) -> bool:
        variables[name] = mark_codec.encode(finished(None, 1, "150"))
        return True

    monkeypatch.setattr(airflow_variables, "is_listed", created)

    assert begin(2).since == "145"


# Failures


@pytest.mark.parametrize(
    ("function", "action"), [("get_variable", "read"), ("is_listed", "read"), ("set_variable", "store")]
)
def test_a_variable_that_cannot_be_used_is_an_error(
    function: str, action: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(monkeypatch, function)

    with pytest.raises(OAuthError, match=f"^Cannot {action} {re.escape(UNAVAILABLE)}$") as caught:
        begin(1)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert variables == {}


@pytest.mark.parametrize("function", ["get_variable", "set_variable"])
def test_a_mark_that_cannot_be_stored_is_an_error_and_the_run_reads_the_same_again(
    function: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(1)
    stored = dict(variables)
    with monkeypatch.context() as failing:
        fail(failing, function)
        with pytest.raises(OAuthError, match="^Cannot "):
            MarkStore(NAME).finish("run1", run, "150", settings())

    assert variables == stored
    assert begin(1) == run


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interruption_is_not_converted(
    error: type[BaseException], variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(name: str) -> None:
        raise error

    monkeypatch.setattr(airflow_variables, "get_variable", interrupted)

    with pytest.raises(error):
        begin(1)


@pytest.mark.parametrize("is_ahead", [False, True])
def test_a_variable_that_something_else_defines_is_an_error(
    is_ahead: bool, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    hiding = mark_codec.encode(finished(None, 1, "150" if is_ahead else None))
    monkeypatch.setattr(airflow_variables, "get_variable", lambda name: hiding)
    monkeypatch.setattr(airflow_variables, "set_variable", lambda name, value, description: written.append(value))
    expected = (
        f"Cannot store the mark of the task 'contacts' in the DAG 'crm': the Airflow Variable {NAME.variable} does not "
        f"contain what was written. Check that Airflow's API server and database are available, and whether an "
        f"environment variable or a secrets backend defines a Variable of the same name."
    )
    with pytest.raises(OAuthError, match=f"^{re.escape(expected)}$"):
        begin(2)

    assert len(written) == MAX_WRITES + 1


def test_a_change_that_another_run_overwrites_is_made_again(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = mark_codec.encode(finished(None, 1, "150"))
    writes: list[str] = []

    def write(name: str, text: str, description: str) -> None:
        writes.append(text)
        variables[name] = other if len(writes) == 1 else text

    monkeypatch.setattr(airflow_variables, "set_variable", write)
    run = begin(2)
    record = MarkStore(NAME).read()

    assert record is not None
    assert list(record.runs) == ["run1", "run2"]
    assert (record.mark, run.since) == ("150", "145")


# Variables that are not marks


def changed(**changes: Any) -> str:
    """Return the JSON of a mark; ``changes`` replace values, and None removes one."""
    values = json.loads(mark_codec.encode(finished(None, 1, "150"))) | changes
    return json.dumps({name: value for name, value in values.items() if value is not None or name not in changes})


RUN = {"from": "1", "started": "2026-03-01T12:00:00+00:00", "run_after": "2026-03-01T12:00:00+00:00"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ("***", "Expecting value"),
        ("150", "a value has another type"),
        ("null", "a value has another type"),
        ("[]", "a value has another type"),
        ('"text"', "a value has another type"),
        ("{}", "it does not contain the key 'dag_id'"),
        ("[" * 100_000, "a value has another type"),
        (changed(mark=None), "it does not contain the key 'mark'"),
        (changed(mark=150), "a value has another type"),
        (changed(is_initial="no"), "a value has another type"),
        (changed(fingerprint=[]), "a value has another type"),
        (changed(fingerprint={"endpoint": 5}), "a value has another type"),
        (changed(format=5), "a value has another type"),
        (changed(runs=[]), "a value has another type"),
        (changed(runs={"a": []}), "a value has another type"),
        (changed(runs={"a": {**RUN, "from": 5}}), "a value has another type"),
        (changed(runs={"a": {**RUN, "started": 5}}), "a value has another type"),
        (changed(runs={"a": {**RUN, "started": "March"}}), "Invalid isoformat string: 'March'"),
        (changed(runs={"a": {**RUN, "started": "2026-03-01T12:00:00"}}), "a time has no offset"),
        (changed(runs={"a": {**RUN, "started": "9999-12-31T23:59:59-23:00"}}), "a value has another type"),
        (changed(runs={"a": {"from": "1"}}), "it does not contain the key 'started'"),
        (changed(task_id="companies"), "it is the mark of another task or key"),
        (changed(key="eu"), "it is the mark of another task or key"),
    ],
)
def test_a_variable_that_is_not_a_mark_is_never_the_first_run(
    text: str, reason: str, variables: dict[str, str]
) -> None:
    variables[NAME.variable] = text
    expected = (
        f"The Airflow Variable {NAME.variable} does not contain the mark of the task 'contacts' in the DAG 'crm': "
        f"{reason}"
    )
    with pytest.raises(OAuthError, match=f"^{re.escape(expected)}.*airflow variables delete {NAME.variable}, then "):
        begin(1)

    assert variables == {NAME.variable: text}


def test_all_values_of_a_record_are_stored() -> None:
    run = Run(since="1", started=START, run_after=START + timedelta(1), end="e", until="2", set_by_user=True)
    record = MarkRecord(
        name=MarkName(dag_id="a", task_id="b", key="c"),
        mark="5",
        is_initial=True,
        fingerprint={"endpoint": "f"},
        format="iso",
        timezone="UTC",
        runs={"r": run, "s": replace(run, end=None, until=None, set_by_user=False)},
    )

    assert mark_codec.decode(mark_codec.encode(record)) == record
    minimal = MarkRecord(name=MarkName(dag_id="a", task_id="b"), mark="5")
    assert mark_codec.decode(mark_codec.encode(minimal)) == minimal
