"""The command ``airflow oauth mark`` with DAGs, runs and Variables in Airflow's database."""

from __future__ import annotations

import json
import warnings
from argparse import Namespace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from airflow_provider_oauth.cli import commands
from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.runtime import airflow_variables, mark_codec
from airflow_provider_oauth.runtime.mark_record import MarkName, MarkRecord
from airflow_provider_oauth.runtime.mark_store import MarkStore

if TYPE_CHECKING:
    from collections.abc import Iterator

DAG_FILE = """
from airflow.sdk import DAG, task, task_group

with DAG("mark_command", schedule=None):

    @task
    def contacts():
        pass

    @task
    def regions(region):
        pass

    @task_group
    def group(region):
        contacts()

    contacts()
    regions.expand(region=["eu", "us"])
    group.expand(region=["eu", "us"])
"""
RUN_AFTER = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAME = MarkName(dag_id="mark_command", task_id="contacts")


@pytest.fixture(scope="module", autouse=True)
def dag(airflow_db: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Store a DAG and a run of it in the database, as Airflow's DAG processor and scheduler do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Airflow's warnings
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
        from airflow.models.serialized_dag import SerializedDagModel
        from airflow.utils.state import DagRunState
        from airflow.utils.types import DagRunTriggeredByType, DagRunType

        file = tmp_path_factory.mktemp("dags") / "mark_command.py"
        file.write_text(DAG_FILE)
        DagBundlesManager().sync_bundles_to_db()
        sync_bag_to_db(DagBag(str(file), bundle_name="dags-folder"), "dags-folder", None)
        stored = SerializedDagModel.get_dag("mark_command")
        assert stored is not None
        stored.create_dagrun(
            run_id="manual_1",
            run_after=RUN_AFTER,
            run_type=DagRunType.MANUAL,
            triggered_by=DagRunTriggeredByType.TEST,
            state=DagRunState.SUCCESS,
        )


@pytest.fixture(autouse=True)
def _no_marks() -> Iterator[None]:
    """Delete the marks of each test."""
    yield
    from airflow.models.variable import Variable

    for name in airflow_variables.list_variables("oauth_mark__"):
        Variable.delete(name)


def mark(task_id: str = "contacts", *, dag_id: str = "mark_command", **args: Any) -> None:
    """Run the command with Airflow's decorators."""
    values = {"key": None, "set": None, "run_id": None, "since": None, "output": "json", "verbose": False, **args}
    commands.oauth_mark(Namespace(dag_id=dag_id, task_id=task_id, **values))


def read(name: MarkName = NAME) -> MarkRecord | None:
    return MarkStore(name).read()


def test_a_mark_is_created_changed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    mark(set="2026-01-01")
    mark(set="2026-02-01")
    capsys.readouterr()
    mark()

    assert read() == MarkRecord(name=NAME, mark="2026-02-01")
    (shown,) = json.loads(capsys.readouterr().out)
    assert (shown["mark"], shown["variable"], shown["runs"]) == ("2026-02-01", NAME.variable, [])


def test_the_value_of_a_run_is_set_with_the_time_of_the_run() -> None:
    mark(set="2026-02-01")
    mark(run_id="manual_1", since="2026-01-01")

    record = read()
    assert record is not None
    run = record.runs["manual_1"]
    assert (run.since, run.run_after, run.set_by_user) == ("2026-01-01", RUN_AFTER, True)


@pytest.mark.parametrize(("task_id", "key"), [("contacts", "eu"), ("regions", "eu"), ("group.contacts", "eu")])
def test_a_task_can_have_a_mark_with_a_key(task_id: str, key: str) -> None:
    mark(task_id, key=key, set="5")

    name = MarkName(dag_id="mark_command", task_id=task_id, key=key)
    assert read(name) == MarkRecord(name=name, mark="5")


@pytest.mark.parametrize("task_id", ["regions", "group.contacts"])
def test_a_mark_of_a_mapped_task_needs_a_key(task_id: str) -> None:
    with pytest.raises(SystemExit, match=f"^The task '{task_id}' is mapped"):
        mark(task_id, set="5")


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ({"dag_id": "no_dag"}, "no DAG 'no_dag'"),
        ({"task_id": "no_task"}, "no task 'no_task'"),
        ({"run_id": "no_run", "since": "5"}, "no run 'no_run'"),
    ],
)
def test_an_unknown_dag_task_or_run_is_an_error(args: dict[str, str], text: str) -> None:
    with pytest.raises(SystemExit, match=text):
        mark(**args)


def test_the_command_is_in_the_audit_log_with_dag_and_task() -> None:
    from airflow.models.log import Log
    from airflow.utils.session import create_session

    mark(set="5")

    with create_session() as session:
        entries = session.execute(select(Log.dag_id, Log.task_id).where(Log.event == "cli_oauth_mark")).all()
    assert ("mark_command", "contacts") in entries


def test_a_mark_that_an_environment_variable_hides_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    hiding = mark_codec.encode(MarkRecord(name=NAME, mark="4"))
    monkeypatch.setenv(f"AIRFLOW_VAR_{NAME.variable.upper()}", hiding)

    with pytest.raises(SystemExit, match="does not contain what was written. .* whether an environment variable"):
        mark(set="5")


def test_a_mark_that_was_encrypted_with_another_key_is_not_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    mark(set="5")
    from airflow.models.variable import Variable

    monkeypatch.setattr(Variable, "val", property(lambda self: None))  # its value if it cannot decrypt it
    with pytest.raises(OAuthError, match="it is listed, but was not returned"):
        read()


def test_a_mark_that_airflow_has_exported_and_imported_can_be_read(tmp_path: Any) -> None:
    from airflow.models.variable import Variable

    mark(set="5")
    record = read()
    value = Variable.get(NAME.variable, deserialize_json=True)
    Variable.set(NAME.variable, value, serialize_json=True)

    assert read() == record


def test_variables_are_listed_by_the_beginning_of_their_names() -> None:
    airflow_variables.set_variable("oauth_mark__b", "1", "")
    airflow_variables.set_variable("oauth_mark__a", "1", "")
    airflow_variables.set_variable("oauth_markXXc", "1", "")

    assert airflow_variables.list_variables("oauth_mark__") == ["oauth_mark__a", "oauth_mark__b"]
