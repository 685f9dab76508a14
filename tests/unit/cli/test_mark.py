"""The command ``airflow oauth mark``: its output, what it stores, and its errors."""

from __future__ import annotations

import inspect
import json
import re
from argparse import Namespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.cli import commands, mark
from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.runtime import airflow_variables, mark_codec
from airflow_provider_oauth.runtime.mark_record import MarkName, MarkRecord, Run
from airflow_provider_oauth.runtime.mark_store import MarkStore
from tests.fake_clock import START, FakeClock
from tests.unit.runtime.marks import NAME, at, begun, finished

if TYPE_CHECKING:
    from datetime import datetime

#: A mark that two runs have used; the second one has not finished.
RECORD = begun(finished(None, 1, "150"), 2)
LABEL = "The mark of the task 'contacts' in the DAG 'crm'"


class Task:
    def __init__(self, *, is_mapped: bool) -> None:
        self.get_needs_expansion = lambda: is_mapped


class Dag:
    """A DAG with a task and a mapped task."""

    tasks = {"contacts": Task(is_mapped=False), "regions": Task(is_mapped=True)}

    def has_task(self, task_id: str) -> bool:
        return task_id in self.tasks

    def get_task(self, task_id: str) -> Task:
        return self.tasks[task_id]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock()
    clock.install(monkeypatch)
    return clock


@pytest.fixture(autouse=True)
def stored(variables: dict[str, str], clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The Variables of an Airflow whose database has the DAG ``crm`` and its run ``run7``."""

    def read_run_after(dag_id: str, run_id: str) -> datetime | None:
        return at(7) if (dag_id, run_id) == ("crm", "run7") else None

    monkeypatch.setattr(mark, "read_dag", lambda dag_id: Dag() if dag_id == "crm" else None)
    monkeypatch.setattr(mark, "read_run_after", read_run_after)
    return variables


def store(record: MarkRecord) -> None:
    airflow_variables.set_variable(record.name.variable, mark_codec.encode(record), "")


def run(**args: Any) -> None:
    """Run the command without Airflow's decorators."""
    values = {
        "dag_id": "crm", "task_id": "contacts", "key": None, "set": None, "run_id": None, "since": None,
        "output": "table", **args,
    }  # fmt: skip
    inspect.unwrap(commands.oauth_mark)(Namespace(**values))


def regions(key: str, **changes: Any) -> MarkRecord:
    """Return the mark of the mapped task."""
    return MarkRecord(name=MarkName(dag_id="crm", task_id="regions", key=key), mark="5", **changes)


# Showing


def test_the_mark_of_a_task_and_its_runs_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    store(RECORD)
    run()

    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        f"{LABEL} is 150.",
        f"To delete the mark: airflow variables delete {NAME.variable}",
        "",
        "run_id | from | to  | started              | set_by_user",
        "=======+======+=====+======================+============",
        "run2   | 145  |     | 2026-03-01T14:00:00Z |",
        "run1   | 100  | 150 | 2026-03-01T13:00:00Z |",
        "",
    ]


def test_the_mark_and_all_values_of_its_runs_are_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    store(RECORD.set_run("run0", "7", at(0), at(9)))
    run(output="json")

    run1 = {
        "run_id": "run1", "from": "100", "to": "150", "end": None, "started": "2026-03-01T13:00:00Z",
        "run_after": "2026-03-01T13:00:00Z", "set_by_user": False,
    }  # fmt: skip
    run2 = {
        "run_id": "run2", "from": "145", "to": None, "end": None, "started": "2026-03-01T14:00:00Z",
        "run_after": "2026-03-01T14:00:00Z", "set_by_user": False,
    }  # fmt: skip
    run0 = {
        "run_id": "run0", "from": "7", "to": None, "end": None, "started": "2026-03-01T21:00:00Z",
        "run_after": "2026-03-01T12:00:00Z", "set_by_user": True,
    }  # fmt: skip
    assert json.loads(capsys.readouterr().out) == [
        {
            "key": None, "mark": "150", "is_initial": False, "format": "int", "timezone": None,
            "variable": NAME.variable, "runs": [run2, run1, run0],
        }
    ]  # fmt: skip


def test_yaml_has_the_same_values(capsys: pytest.CaptureFixture[str]) -> None:
    store(RECORD)
    run(output="yaml")

    printed = capsys.readouterr().out
    assert "  is_initial: false\n" in printed
    assert "    from: '145'\n" in printed


@pytest.mark.parametrize(
    ("record", "state"),
    [
        (begun(None, 1), "is 100. No run has found rows yet."),
        (MarkRecord(name=NAME, mark="5"), "is 5. A user has set it, and no run has begun since."),
    ],
)
def test_the_state_of_a_mark_that_no_run_has_reached_is_printed(
    record: MarkRecord, state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store(record)
    run()

    assert capsys.readouterr().out.startswith(f"{LABEL} {state}\n")


@pytest.mark.parametrize(("output", "printed"), [("table", f"{LABEL} is not stored. The first run"), ("json", "[]")])
def test_a_mark_that_is_not_stored_is_no_error(output: str, printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(output=output)

    assert capsys.readouterr().out.startswith(printed)


def test_the_marks_of_all_keys_are_printed_without_their_runs(capsys: pytest.CaptureFixture[str]) -> None:
    store(RECORD)
    store(regions("eu", runs=RECORD.runs))
    store(regions("[red]"))
    run(task_id="regions")

    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert [re.split(" *[|] *", line) for line in lines[2:4]] == [
        ["eu", "5", "2", "run2", regions("eu").name.variable],
        ["[red]", "5", "0", "", regions("[red]").name.variable],
    ]
    assert lines[-1] == "To see the runs of a mark, add --key KEY."


def test_the_mark_of_one_key_is_printed_with_its_runs(capsys: pytest.CaptureFixture[str]) -> None:
    store(regions("eu", runs=RECORD.runs))
    store(regions("us"))
    run(task_id="regions", key="eu")

    printed = capsys.readouterr().out
    assert printed.startswith("The mark of the task 'regions' in the DAG 'crm' with the key 'eu' is 5. ")
    assert "run2" in printed


def test_marks_of_all_keys_are_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    store(regions("eu"))
    store(regions("us"))
    run(task_id="regions", output="json")

    assert [each["key"] for each in json.loads(capsys.readouterr().out)] == ["eu", "us"]


def test_a_mark_whose_dag_was_deleted_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    name = MarkName(dag_id="deleted", task_id="contacts")
    store(MarkRecord(name=name, mark="5"))
    run(dag_id="deleted")

    assert f"To delete the mark: airflow variables delete {name.variable}\n" in capsys.readouterr().out


def test_variables_that_are_not_marks_are_ignored_in_the_list(
    stored: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    stored["oauth_mark__other"] = "***"
    store(regions("eu"))
    run(task_id="regions", output="json")

    assert len(json.loads(capsys.readouterr().out)) == 1


def test_a_mark_that_is_damaged_is_an_error(stored: dict[str, str]) -> None:
    stored[NAME.variable] = "***"

    with pytest.raises(OAuthError, match=f"{NAME.variable} does not contain the mark"):
        run()


# Setting the mark


def test_the_mark_is_set(clock: FakeClock, capsys: pytest.CaptureFixture[str]) -> None:
    store(RECORD)
    run(set="120")

    assert MarkStore(NAME).read() == RECORD.set("120")
    assert capsys.readouterr().out == (
        f"{LABEL} is now 120 (before: 150).\n"
        "New runs send this value minus lookback. Runs that are already listed send their own values again.\n"
    )
    assert clock.slept == [1.0]


def test_a_mark_is_created(capsys: pytest.CaptureFixture[str]) -> None:
    run(set="120")

    assert MarkStore(NAME).read() == MarkRecord(name=NAME, mark="120")
    assert capsys.readouterr().out.startswith(f"{LABEL} is now 120.\n")


def test_the_mark_of_a_key_is_created_although_other_keys_have_marks() -> None:
    store(regions("eu"))
    run(task_id="regions", key="us", set="120")

    assert MarkStore(regions("us").name).read() == regions("us").set("120")


def test_a_mark_that_a_run_overwrites_at_the_same_moment_is_set_again(clock: FakeClock) -> None:
    store(RECORD)
    clock.on_sleep = lambda: store(begun(RECORD, 3))
    run(set="120")

    assert MarkStore(NAME).read() == begun(RECORD, 3).set("120")


@pytest.mark.parametrize("fingerprint", [{"endpoint": "a"}, {"endpoint": "b"}])
def test_a_mark_that_a_run_has_used_at_the_same_moment_is_not_set_again(
    fingerprint: dict[str, str], clock: FakeClock
) -> None:
    store(RECORD)
    used = finished(RECORD.set("120"), 3, "160", fingerprint=fingerprint)
    clock.on_sleep = lambda: store(used)
    run(set="120")

    assert MarkStore(NAME).read() == used


def test_a_mark_that_the_first_run_overwrites_at_the_same_moment_is_set_again(clock: FakeClock) -> None:
    clock.on_sleep = lambda: store(begun(None, 1))
    run(set="120")

    assert MarkStore(NAME).read() == begun(None, 1).set("120")


def test_setting_the_mark_to_its_value_lets_the_next_run_send_another_request() -> None:
    store(RECORD)
    run(set="150")

    assert MarkStore(NAME).read() == RECORD.set("150")


@pytest.mark.parametrize("option", [{"set": "March"}, {"run_id": "run7", "since": "March"}])
def test_a_value_that_does_not_match_the_format_is_refused(option: dict[str, str]) -> None:
    store(RECORD)
    expected = (
        "The value is not valid for the format 'int': 'March' is not a number. Nothing was stored. If the task has "
        f"another format now, delete the mark first: airflow variables delete {NAME.variable}"
    )
    with pytest.raises(SystemExit, match=f"^{re.escape(expected)}$"):
        run(**option)

    assert MarkStore(NAME).read() == RECORD


# Setting the value of a run


def test_the_value_of_a_run_is_set(clock: FakeClock, capsys: pytest.CaptureFixture[str]) -> None:
    store(RECORD)
    run(run_id="run7", since="50")

    record = MarkStore(NAME).read()
    assert record == RECORD.set_run("run7", "50", at(7), START)
    assert record.runs["run7"] == Run(since="50", started=START, run_after=at(7), set_by_user=True)
    assert capsys.readouterr().out == (
        "The run run7 will send 50. If the task has already run in it, clear the task.\n"
    )
    assert clock.slept == [1.0]


def test_the_value_of_a_run_that_another_run_overwrites_at_the_same_moment_is_set_again(clock: FakeClock) -> None:
    store(RECORD)
    clock.on_sleep = lambda: store(begun(RECORD, 3))
    run(run_id="run7", since="50")

    record = MarkStore(NAME).read()
    assert record is not None
    assert list(record.runs) == ["run1", "run2", "run3", "run7"]


def test_the_value_of_a_run_that_has_used_it_at_the_same_moment_is_not_set_again(clock: FakeClock) -> None:
    store(RECORD)
    used = finished(RECORD.set_run("run7", "50", at(7), START), 7, "160")
    clock.on_sleep = lambda: store(used)
    run(run_id="run7", since="50")

    assert MarkStore(NAME).read() == used


# Errors


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ({"set": "5", "run_id": "run7"}, "--set sets the mark, --run and --from set the value of one run. Use only"),
        ({"set": "5", "since": "5"}, "--set sets the mark"),
        ({"run_id": "run7"}, "--run and --from must be used together: --run RUN_ID --from VALUE"),
        ({"since": "5"}, "--run and --from must be used together"),
        ({"set": ""}, "The value is empty. Nothing was stored."),
        ({"run_id": "run7", "since": ""}, "The value is empty. Nothing was stored."),
        ({"dag_id": "cmr"}, "Airflow's database has no DAG 'cmr'. Check the spelling. To list the DAGs: airflow dags"),
        ({"dag_id": "cmr", "set": "5"}, "Airflow's database has no DAG 'cmr'."),
        ({"task_id": "contact"}, "The DAG 'crm' has no task 'contact'. A task in a task group is GROUP_ID.TASK_ID. To"),
        ({"task_id": "contact", "set": "5"}, "The DAG 'crm' has no task 'contact'."),
        ({"run_id": "run8", "since": "5"}, "The DAG 'crm' has no run 'run8'. To list its runs: airflow dags list-runs"),
        ({"task_id": "regions", "set": "5"}, "The task 'regions' is mapped, so each of its marks has a key. Add --key"),
        (
            {"run_id": "run7", "since": "5"},
            f"{LABEL} is not stored. Set it first: airflow oauth mark crm contacts --set VALUE",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(args: dict[str, str], text: str, stored: dict[str, str]) -> None:
    with pytest.raises(SystemExit, match=f"^{re.escape(text)}"):
        run(**args)

    assert stored == {}


@pytest.mark.parametrize("option", [{"set": "5"}, {"run_id": "run7", "since": "5"}])
def test_a_mark_without_a_key_is_not_created_if_the_marks_of_the_task_have_keys(option: dict[str, str]) -> None:
    store(MarkRecord(name=MarkName(dag_id="crm", task_id="contacts", key="eu"), mark="5"))

    with pytest.raises(SystemExit, match=r"^The marks of the task 'contacts' have the keys eu. Add --key KEY.$"):
        run(**option)


@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("read_dag", "Cannot read the DAG 'crm' (RuntimeError). Check that Airflow's database is available."),
        (
            "read_run_after",
            "Cannot read the DAG run 'run7' (RuntimeError). Check that Airflow's database is available.",
        ),
    ],
)
def test_a_database_that_fails_is_an_error(function: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store(RECORD)

    def failing(*args: str) -> None:
        raise RuntimeError("SELECT secret")

    monkeypatch.setattr(mark, function, failing)
    with pytest.raises(OAuthError, match=f"^{re.escape(text)}$"):
        run(run_id="run7", since="5")


def test_variables_that_cannot_be_listed_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(prefix: str) -> None:
        raise RuntimeError("SELECT secret")

    monkeypatch.setattr(airflow_variables, "list_variables", failing)
    expected = "Cannot read the Airflow Variables oauth_mark__… (RuntimeError). Check that Airflow's database is"
    with pytest.raises(OAuthError, match=f"^{re.escape(expected)}"):
        run()
