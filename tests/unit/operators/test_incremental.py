"""Incremental extracts: what a run sends, writes and stores."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from airflow_provider_oauth.exceptions import ApiError, ConfigurationError, OAuthError
from airflow_provider_oauth.extract.error_rules import ErrorRule
from airflow_provider_oauth.extract.incremental import Incremental
from airflow_provider_oauth.extract.paginators import CursorPaginator, PageNumberPaginator
from airflow_provider_oauth.operators.extract import ExtractOperator, OAuthExtractOperator
from tests.connections import TOKEN_URL
from tests.fake_clock import FakeClock
from tests.unit.operators.task_runs import context

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from requests_mock import Mocker

API = "https://api.example.com/v1"
LIST = f"{API}/contacts"
UPDATED = Incremental(field="updated", param="since", initial="2024-01-01T00:00:00Z")
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def connection(define_connection: Callable[..., None], requests_mock: Mocker) -> None:
    define_connection("my_api", host=API)
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-token", "expires_in": 3600})


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock(NOW)
    monkeypatch.setattr(ExtractOperator, "clock", clock)
    return clock


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "contacts"
    path.mkdir()
    return path


def row(number: int, updated: str) -> dict[str, Any]:
    return {"id": number, "updated": updated}


class Task:
    """The task, and what its runs send."""

    def __init__(self, folder: Path, requests_mock: Mocker, **changes: Any) -> None:
        self._folder = folder
        self._requests_mock = requests_mock
        self._changes = changes

    def run(self, number: int = 1, rows: Any = (), **response: Any) -> dict[str, Any]:
        self._requests_mock.get(LIST, **(response or {"json": list(rows)}))
        return self.execute(number)

    def execute(self, number: int = 1) -> dict[str, Any]:
        values = {
            "task_id": "contacts",
            "oauth_conn_id": "my_api",
            "endpoint": "contacts",
            "incremental": UPDATED,
            "path": f"{self._folder}/{{{{ run_id }}}}.jsonl",
        }
        task = OAuthExtractOperator(**(values | self._changes))  # type: ignore[arg-type]
        run = context(number)
        task.render_template_fields(run)
        result: dict[str, Any] = task.execute(run)
        return result

    @property
    def sent(self) -> list[str]:
        return [
            request.qs["since"][0].upper() for request in self._requests_mock.request_history if "since" in request.qs
        ]


@pytest.fixture
def task(folder: Path, requests_mock: Mocker, variables: dict[str, str]) -> Task:
    return Task(folder, requests_mock)


def mark(variables: dict[str, str]) -> Any:
    (text,) = (value for name, value in variables.items() if name.startswith("oauth_mark__"))
    return json.loads(text)["mark"]


def test_each_run_reads_from_the_mark_of_the_run_before(task: Task, variables: dict[str, str], folder: Path) -> None:
    first = task.run(1, [row(1, "2026-05-01T10:00:00Z"), row(2, "2026-05-03T10:00:00Z")])
    assert (first["from"], first["to"]) == ("2024-01-01T00:00:00Z", "2026-05-03T10:00:00Z")
    assert mark(variables) == "2026-05-03T10:00:00Z"
    second = task.run(2, [row(2, "2026-05-03T10:00:00Z"), row(3, "2026-05-04T10:00:00Z")])
    assert task.sent == ["2024-01-01T00:00:00Z", "2026-05-03T09:59:59Z"]
    assert (second["from"], second["to"]) == ("2026-05-03T09:59:59Z", "2026-05-04T10:00:00Z")
    assert sorted(path.name for path in folder.iterdir()) == ["run_1.jsonl", "run_2.jsonl"]


def test_a_retried_or_cleared_run_reads_the_same_again_and_never_moves_the_mark_back(
    task: Task, variables: dict[str, str]
) -> None:
    task.run(1, [row(1, "2026-05-01T10:00:00Z")])
    task.run(2, [row(2, "2026-05-02T10:00:00Z")])
    task.run(1, [row(1, "2026-05-01T10:00:00Z")])
    assert task.sent[-1] == "2024-01-01T00:00:00Z"
    assert mark(variables) == "2026-05-02T10:00:00Z"


@pytest.mark.parametrize("failure", [{"status_code": 500}, {"text": "not json"}])
def test_a_run_that_fails_does_not_move_the_mark_and_reads_the_same_again(
    task: Task, variables: dict[str, str], failure: dict[str, Any]
) -> None:
    task.run(1, [row(1, "2026-05-01T10:00:00Z")])
    with pytest.raises(ApiError):
        task.run(2, **failure)
    assert mark(variables) == "2026-05-01T10:00:00Z"
    task.run(3, [row(3, "2026-05-03T10:00:00Z")])
    task.run(2, [row(2, "2026-05-02T10:00:00Z")])
    assert task.sent[-1] == task.sent[1] == "2026-05-01T09:59:59Z"


def test_the_run_is_stored_before_the_first_request(
    task: Task, variables: dict[str, str], requests_mock: Mocker
) -> None:
    stored: list[Any] = []

    def respond(request: Any, response: Any) -> list[Any]:
        (text,) = (value for name, value in variables.items() if name.startswith("oauth_mark__"))
        stored.append(json.loads(text)["runs"])
        return []

    requests_mock.get(LIST, json=respond)
    task.execute(1)
    assert list(stored[0]) == ["run_1"]


def test_the_mark_is_stored_after_the_file(task: Task, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_oauth.runtime.mark_store import MarkStore

    finish, found = MarkStore.finish, []

    def finish_and_look(store: MarkStore, *arguments: Any) -> Any:
        found.extend(path.name for path in folder.iterdir())
        return finish(store, *arguments)

    monkeypatch.setattr(MarkStore, "finish", finish_and_look)
    task.run(1, [row(1, "2026-05-01T10:00:00Z")])
    assert found == ["run_1.jsonl"]


def test_a_row_in_the_future_does_not_move_the_mark_beyond_the_start_of_the_run(
    task: Task, variables: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    result = task.run(1, [row(1, "2099-01-01T00:00:00Z"), row(2, "2026-05-01T10:00:00Z")])
    assert result["to"] == mark(variables) == "2026-06-01T12:00:00Z"
    assert "'2099-01-01T00:00:00Z'" in caplog.text


def test_the_clock_of_the_api_counts_if_it_is_behind(task: Task, variables: dict[str, str]) -> None:
    rows = [row(1, "2026-06-01T11:59:30Z")]
    task.run(1, json=rows, headers={"Date": "Mon, 01 Jun 2026 11:59:00 GMT"})
    assert mark(variables) == "2026-06-01T11:59:00Z"
    task.run(2, json=rows, headers={"Date": "Mon, 01 Jun 2026 12:59:00 GMT"})
    assert mark(variables) == "2026-06-01T11:59:30Z"


def test_the_limit_is_the_start_of_the_first_attempt(task: Task, variables: dict[str, str], clock: FakeClock) -> None:
    with pytest.raises(ApiError):
        task.run(1, status_code=500)
    clock.seconds += 3600
    task.run(1, [row(1, "2026-06-01T12:30:00Z")])
    assert mark(variables) == "2026-06-01T12:00:00Z"


@pytest.mark.parametrize(
    "headers", [{}, {"Date": "yesterday"}, {"Date": ""}, {"Date": "Mon, 01 Jun 99999999999 00:00:00 GMT"}]
)
def test_a_response_without_a_valid_date_leaves_our_clock(
    task: Task, variables: dict[str, str], headers: dict[str, str]
) -> None:
    task.run(1, json=[row(1, "2026-07-01T00:00:00Z")], headers=headers)
    assert mark(variables) == "2026-06-01T12:00:00Z"


def test_the_mark_does_not_move_with_limit(
    folder: Path, requests_mock: Mocker, variables: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    task = Task(folder, requests_mock, limit=10)
    result = task.run(1, [row(1, "2026-05-01T10:00:00Z")])
    assert mark(variables) == "2024-01-01T00:00:00Z"
    assert "to" not in result
    assert "the mark stays as it is, because limit is set" in caplog.text


@pytest.mark.parametrize("action", ["ignore", "stop"])
def test_the_mark_does_not_move_after_a_rule_that_ignored_or_stopped(
    folder: Path, requests_mock: Mocker, variables: dict[str, str], action: Any
) -> None:
    rule = ErrorRule(action, status=422, **({"first_page": True} if action == "stop" else {}))
    task = Task(folder, requests_mock, error_rules=[rule])
    task.run(1, status_code=422)
    assert mark(variables) == "2024-01-01T00:00:00Z"
    requests_mock.get(LIST, [{"json": [row(1, "2026-05-01T10:00:00Z")]}, {"status_code": 422}])
    paged = Task(folder, requests_mock, error_rules=[rule], paginator=PageNumberPaginator())
    if action == "stop":
        assert "to" not in paged.execute(2)
        assert mark(variables) == "2024-01-01T00:00:00Z"


def test_rows_before_the_mark_are_dropped_with_client_side(
    folder: Path, requests_mock: Mocker, variables: dict[str, str]
) -> None:
    incremental = Incremental(field="id", initial=2, format="int", client_side=True)
    task = Task(folder, requests_mock, incremental=incremental)
    result = task.run(1, [{"id": 1}, {"id": 2}, {"id": 3}])
    assert (result["rows"], result["dropped"], result["to"]) == (2, 1, "3")
    assert (folder / "run_1.jsonl").read_text() == '{"id": 2}\n{"id": 3}\n'


def test_reading_stops_after_the_first_older_page_with_descending(
    folder: Path, requests_mock: Mocker, variables: dict[str, str]
) -> None:
    pages = [[{"id": 9}, {"id": 8}], [{"id": 7}, {"id": 5}], [{"id": 4}, {"id": 3}], [{"id": 2}]]
    requests_mock.get(LIST, [{"json": page} for page in pages])
    incremental = Incremental(field="id", initial=6, format="int", descending=True)
    task = Task(folder, requests_mock, incremental=incremental, paginator=PageNumberPaginator(size=2, size_param="n"))
    result = task.execute(1)
    assert (result["pages"], result["rows"], result["to"]) == (3, 6, "9")
    assert mark(variables) == "9"


def test_without_descending_a_page_of_older_rows_does_not_end_the_list(
    folder: Path, requests_mock: Mocker, variables: dict[str, str]
) -> None:
    requests_mock.get(LIST, [{"json": page} for page in ([{"id": 1}], [{"id": 9}], [])])
    incremental = Incremental(field="id", param="min_id", initial=5, format="int")
    task = Task(folder, requests_mock, incremental=incremental, paginator=PageNumberPaginator())
    assert task.execute(1)["rows"] == 2


@pytest.mark.parametrize("value", [None, 5, "soon", "2026-05-01T10:00:00"])
def test_a_value_that_cannot_be_compared_is_an_error(task: Task, variables: dict[str, str], value: Any) -> None:
    with pytest.raises(ApiError, match="'updated'"):
        task.run(1, [row(1, value)])
    assert mark(variables) == "2024-01-01T00:00:00Z"


def test_a_list_without_rows_does_not_move_the_mark(task: Task, variables: dict[str, str]) -> None:
    assert "to" not in task.run(1, [])
    assert mark(variables) == "2024-01-01T00:00:00Z"


def test_a_skipped_task_does_not_move_the_mark(folder: Path, requests_mock: Mocker, variables: dict[str, str]) -> None:
    with pytest.raises(AirflowSkipException):
        Task(folder, requests_mock, on_empty="skip").run(1, [])
    assert mark(variables) == "2024-01-01T00:00:00Z"


def test_a_changed_request_is_an_error_that_names_the_parameter_and_the_command(
    folder: Path, requests_mock: Mocker, variables: dict[str, str]
) -> None:
    Task(folder, requests_mock, request_params={"status": "new"}).run(1, [row(1, "2026-05-01T10:00:00Z")])
    with pytest.raises(ConfigurationError, match="request_params.status") as caught:
        Task(folder, requests_mock, request_params={"status": "old"}).run(2)
    assert "airflow oauth mark crm contacts --set VALUE" in str(caught.value)


def test_the_parameter_is_in_each_page_and_the_mark_in_the_path(
    folder: Path, requests_mock: Mocker, variables: dict[str, str]
) -> None:
    requests_mock.get(LIST, [{"json": {"rows": [row(1, "2026-05-01T10:00:00Z")], "next": "b"}}, {"json": {"rows": []}}])
    task = Task(folder, requests_mock, paginator=CursorPaginator(optional=True), path=f"{folder}/{{mark}}.jsonl")
    result = task.execute(1)
    assert len(task.sent) == 2
    assert result["path"] == f"{folder}/2024-01-01T00-00-00Z.jsonl"
    assert (folder / "2024-01-01T00-00-00Z.jsonl").exists()


@pytest.mark.parametrize(
    "path",
    [
        "/data/{{ run_id }}.jsonl",
        "/data/{{ dag_run.run_id }}.jsonl",
        "/data/{{ ts }}.jsonl",
        "/data/{{ ts_nodash }}.jsonl",
        "/data/{{ ds }}/{{ logical_date.isoformat() }}.jsonl",
        "/data/{{ logical_date | ts_nodash }}.jsonl",
        "/data/{{ logical_date.strftime('%Y/%m/%d/%H%M%S') }}.jsonl",
        "/data/{{ logical_date.format('YYYYMMDDHHmmss') }}.jsonl",
        "/data/{{ task.data.region }}/{{ params.folder | default(var.value.get('folder')) }}/{{ ti.run_id }}.jsonl",
        "/data/{{ run_id | own_filter }}.jsonl",
        "/data/{{ macros.own(ts) }}/{{ ts[:10] }}-{{ task_instance.run_id }}.jsonl",
        "/data/{{ '%03d' | format(ti.map_index) }}/{{ run_id }}.jsonl",
        "/data/{mark}.jsonl",
        "/data/{mark}/",
    ],
)
def test_a_path_that_differs_between_runs_is_accepted(path: str) -> None:
    OAuthExtractOperator(task_id="contacts", endpoint="contacts", incremental=UPDATED, path=path)


@pytest.mark.parametrize(
    "path",
    [
        "/data/contacts.jsonl",
        "/data/{{ ds }}.jsonl",
        "/data/{{ ds_nodash }}/",
        "/data/{{ logical_date | ds }}.jsonl",
        "/data/{{ data_interval_start }}.jsonl",
        "/data/{{ params.tsv }}.jsonl",
        "/data/run_id/ts.jsonl",
        "/data/{{ var.value.mark }}.jsonl",
        "/data/{{ params.run_id }}.jsonl",
        "/data/{{ dag_run.logical_date }}.jsonl",
        "/data/{{ dag_run.logical_date | ts_nodash }}.jsonl",
        "/data/{{ ts[:10] }}.jsonl",
        "/data/{{ run_id[:8] }}.jsonl",
        "/data/{{ ts_nodash | length }}.jsonl",
        "/data/{{ logical_date.strftime('%Y/%m/%d') }}/contacts.jsonl",
        "/data/{{ logical_date.format('YYYY-MM-DD') }}.jsonl",
        "/data/{{ logical_date.date() }}.jsonl",
        "/data/{{ logical_date.in_timezone('Europe/Vienna').to_date_string() }}.jsonl",
        "/data/{{ task.data.region }}/{{ logical_date.year }}.jsonl",
        "/data/{% if run_id %}contacts{% endif %}.jsonl",
    ],
)
def test_a_path_that_can_be_the_same_for_several_runs_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match="can be the same for several runs"):
        OAuthExtractOperator(task_id="contacts", endpoint="contacts", incremental=UPDATED, path=path)


def test_a_task_whose_result_is_in_incremental_is_an_upstream_task() -> None:
    with DAG("crm", schedule=None):
        begin = EmptyOperator(task_id="begin")
        task = OAuthExtractOperator(
            task_id="contacts",
            endpoint="contacts",
            path="/data/{mark}.jsonl",
            incremental=Incremental(field="id", param="since", initial=begin.output),  # type: ignore[arg-type]
        )
    assert task.upstream_task_ids == {"begin"}


def test_an_incremental_task_needs_a_path() -> None:
    with pytest.raises(ConfigurationError, match="path is not"):
        OAuthExtractOperator(task_id="contacts", endpoint="contacts", incremental=UPDATED, xcom_fields="id")


def test_a_path_with_a_mark_needs_incremental() -> None:
    with pytest.raises(ConfigurationError, match="incremental is not set"):
        OAuthExtractOperator(task_id="contacts", endpoint="contacts", path="/data/{mark}.jsonl")


@pytest.mark.parametrize("value", [{"field": "updated"}, "updated"])
def test_another_type_than_incremental_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"Set it to Incremental\(...\)"):
        OAuthExtractOperator(task_id="contacts", endpoint="contacts", path="/data/{mark}.jsonl", incremental=value)


def test_a_task_without_a_run_is_an_error() -> None:
    task = OAuthExtractOperator(
        task_id="contacts", oauth_conn_id="my_api", endpoint="contacts", incremental=UPDATED, path="/data/{mark}.jsonl"
    )
    with pytest.raises(ConfigurationError, match="needs the context of a DAG run"):
        task.execute({})


def test_a_second_attempt_that_has_finished_first_is_not_overwritten(
    task: Task, folder: Path, requests_mock: Mocker, variables: dict[str, str]
) -> None:
    def other_attempt_first(request: Any, response: Any) -> list[Any]:
        requests_mock.get(LIST, json=[row(1, "2026-05-01T10:00:00Z"), row(2, "2026-05-02T10:00:00Z")])
        task.execute(1)
        return [row(1, "2026-05-01T10:00:00Z")]

    requests_mock.get(LIST, json=other_attempt_first)
    with pytest.raises(OAuthError, match="another attempt"):
        task.execute(1)
    assert (folder / "run_1.jsonl").read_text().count("\n") == 2
    assert mark(variables) == "2026-05-02T10:00:00Z"


def test_a_run_does_not_replace_the_file_of_a_later_run_that_read_from_the_same_mark(
    folder: Path, requests_mock: Mocker, variables: dict[str, str]
) -> None:
    task = Task(folder, requests_mock, path=f"{folder}/{{mark}}.jsonl")
    early, late = row(1, "2026-05-01T10:00:00Z"), row(2, "2026-05-02T10:00:00Z")

    def later_run_first(request: Any, response: Any) -> list[Any]:
        task.run(2, [early, late])
        return [early]

    requests_mock.get(LIST, json=later_run_first)
    with pytest.raises(OAuthError, match="the run 'run_2' has written to the same path"):
        task.execute(1)
    (file,) = folder.iterdir()
    assert file.read_text().count("\n") == 2
    assert mark(variables) == "2026-05-02T10:00:00Z"
    assert task.run(1, [early, late])["rows"] == 2


def test_a_run_whose_file_was_replaced_by_that_of_an_earlier_run_fails(
    folder: Path, requests_mock: Mocker, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_oauth.operators.incremental_run import IncrementalRun

    task = Task(folder, requests_mock, path=f"{folder}/{{mark}}.jsonl")
    early, late = row(1, "2026-05-01T10:00:00Z"), row(2, "2026-05-02T10:00:00Z")
    confirm = IncrementalRun.confirm

    def confirm_before_the_later_run(run: IncrementalRun) -> None:
        confirm(run)
        monkeypatch.setattr(IncrementalRun, "confirm", confirm)
        task.run(2, [early, late])

    monkeypatch.setattr(IncrementalRun, "confirm", confirm_before_the_later_run)
    with pytest.raises(OAuthError, match="the run 'run_2' has written to the same path"):
        task.run(1, [early])


def test_runs_at_the_same_time_with_different_paths_both_store_their_rows(
    folder: Path, requests_mock: Mocker, variables: dict[str, str]
) -> None:
    task = Task(folder, requests_mock, path=f"{folder}/{{mark}}-{{{{ run_id }}}}.jsonl")

    def later_run_first(request: Any, response: Any) -> list[Any]:
        task.run(2, [row(2, "2026-05-02T10:00:00Z")])
        return [row(1, "2026-05-01T10:00:00Z")]

    requests_mock.get(LIST, json=later_run_first)
    task.execute(1)
    assert len(list(folder.iterdir())) == 2
    assert mark(variables) == "2026-05-02T10:00:00Z"


def test_lookback_is_subtracted(folder: Path, requests_mock: Mocker, variables: dict[str, str]) -> None:
    incremental = Incremental(
        field="updated", param="since", initial="2024-01-01T00:00:00Z", lookback=timedelta(hours=1)
    )
    task = Task(folder, requests_mock, incremental=incremental)
    task.run(1, [row(1, "2026-05-01T10:00:00Z")])
    task.run(2, [])
    assert task.sent == ["2024-01-01T00:00:00Z", "2026-05-01T09:00:00Z"]


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("{mark}", "2026-05-01T10:00:00Z"),
        ("{mark:epoch_ms}", "1777629600000"),
        ("{mark:epoch}", "1777629600"),
        ('updated >= "{mark:%Y-%m-%d %H:%M}"', 'updated >= "2026-05-01 12:00"'),
        ("{mark:%d.%m.%Y}", "01.05.2026"),
        ("ge {mark:iso}", "ge 2026-05-01T10:00:00Z"),
    ],
)
def test_the_mark_is_sent_in_the_notation_of_value(
    folder: Path, requests_mock: Mocker, variables: dict[str, str], value: str, sent: str
) -> None:
    incremental = Incremental(
        field="updated", param="q", initial="2024-01-01T00:00:00Z", value=value, lookback=0, timezone="Europe/Berlin"
    )
    task = Task(folder, requests_mock, incremental=incremental)
    task.run(1, [row(1, "2026-05-01T12:00:00.000+0200")])
    task.run(2)
    assert requests_mock.last_request is not None
    (found,) = requests_mock.last_request.qs["q"]
    assert found == (sent if value != "{mark}" else "2026-05-01T12:00:00.000+0200").lower()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"value": "{mark:epoch_us}"}, "format 'epoch_us' is not supported"),
        ({"value": "{mark:%Y-%m-%d}"}, "offset"),
        ({"value": "{mark:int}"}, "only times can be written in another format"),
        ({"value": "{mark:iso}", "format": "int", "initial": 0}, "only times can be written in another format"),
        ({"value": "{marks}"}, "does not contain {mark}"),
    ],
)
def test_a_notation_that_cannot_be_written_is_refused(changes: dict[str, Any], problem: str) -> None:
    values: dict[str, Any] = {"field": "updated", "param": "q", "initial": "2024-01-01T00:00:00Z"} | changes
    with pytest.raises(ConfigurationError, match=problem):
        OAuthExtractOperator(
            task_id="contacts", endpoint="contacts", path="/data/{mark}.jsonl", incremental=Incremental(**values)
        )


def test_a_row_that_changes_during_the_pull_is_no_reason_for_a_warning(
    folder: Path, requests_mock: Mocker, variables: dict[str, str], clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    def respond(request: Any, response: Any) -> list[Any]:
        clock.seconds += 60
        return [row(1, "2026-06-01T12:00:30Z")]

    requests_mock.get(LIST, json=respond)
    result = Task(folder, requests_mock).execute(1)
    assert result["to"] == "2026-06-01T12:00:00Z"
    assert not [each for each in caplog.records if each.levelname == "WARNING"]
