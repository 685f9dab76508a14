"""Extracts into a folder of parts: what an attempt that continues requests, writes and returns."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_oauth.exceptions import ApiError, ConfigurationError, OAuthError
from airflow_provider_oauth.extract.error_rules import ErrorRule
from airflow_provider_oauth.extract.incremental import Incremental
from airflow_provider_oauth.extract.paginators import CursorPaginator, PageNumberPaginator
from airflow_provider_oauth.extract.request import ListRequest
from airflow_provider_oauth.operators.extract import ExtractOperator, OAuthExtractOperator
from tests.connections import TOKEN_URL
from tests.fake_clock import FakeClock
from tests.unit.operators.task_runs import context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from requests_mock import Mocker

    from airflow_provider_oauth.extract.page import Page
    from airflow_provider_oauth.extract.paginators import NextPage

API = "https://api.example.com/v1"
LIST = f"{API}/contacts"
#: Pages of two rows.
PAGES = [[{"id": 1}, {"id": 2}], [{"id": 3}, {"id": 4}], [{"id": 5}, {"id": 6}], [{"id": 7}]]
ROWS = [row for page in PAGES for row in page]
PAGINATOR = PageNumberPaginator(size_param="size", size=2)


@pytest.fixture(autouse=True)
def connection(define_connection: Callable[..., None], variables: dict[str, str], requests_mock: Mocker) -> None:
    define_connection("my_api", host=API)
    define_connection("other_api", host=API)
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-token", "expires_in": 3600})


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock(datetime(2026, 6, 1, 12, tzinfo=UTC))
    monkeypatch.setattr(ExtractOperator, "clock", clock)
    return clock


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "contacts"


class Api:
    """A list in pages. The requests for some pages fail."""

    def __init__(self, requests_mock: Mocker) -> None:
        self.failing: dict[str, int] = {}
        self.refusals: list[int] = []
        self.requested: list[str] = []
        requests_mock.get(LIST, json=self.respond)

    def respond(self, request: Any, response: Any) -> Any:
        page = request.qs["page"][0]
        self.requested.append(page)
        response.status_code = self.refusals.pop() if self.refusals else self.failing.get(page, 200)
        return PAGES[int(page) - 1] if response.status_code == 200 else {}


@pytest.fixture
def api(requests_mock: Mocker) -> Api:
    return Api(requests_mock)


def task(folder: Path, cls: type[OAuthExtractOperator] = OAuthExtractOperator, **changes: Any) -> OAuthExtractOperator:
    values = {
        "task_id": "contacts",
        "oauth_conn_id": "my_api",
        "endpoint": "contacts",
        "paginator": PAGINATOR,
        "path": f"{folder}/",
        "part_rows": 4,
    }
    return cls(**(values | changes))


def manifest(folder: Path) -> Any:
    return json.loads((folder / "_manifest.json").read_text())


def stored(folder: Path) -> list[Any]:
    """Return the rows in the parts of the manifest."""
    text = b"".join(gzip.decompress((folder / part["name"]).read_bytes()) for part in manifest(folder)["parts"])
    return [json.loads(line) for line in text.splitlines()]


def interrupted(folder: Path, api: Api, page: str = "4", **changes: Any) -> None:
    """Run an attempt that fails at a page."""
    api.failing = {page: 500}
    with pytest.raises(ApiError):
        task(folder, **changes).execute(context())
    api.failing = {}
    api.requested.clear()


def test_parts_and_manifest_have_all_rows(folder: Path, api: Api) -> None:
    result = task(folder).execute(context())
    assert [part["rows"] for part in manifest(folder)["parts"]] == [4, 3]
    assert stored(folder) == ROWS
    assert sorted(path.suffix for path in folder.iterdir()) == [".gz", ".gz", ".json"]
    sizes = [path.stat().st_size for path in folder.glob("part-*")]
    assert result == {
        "path": f"{folder}/",
        "rows": 7,
        "pages": 4,
        "parts": 2,
        "bytes": sum(sizes),
        "started": "2026-06-01T12:00:00+00:00",
        "ended": "2026-06-01T12:00:00+00:00",
    }
    assert manifest(folder)["run"] == {"dag_id": "crm", "run_id": "run_1", "task_id": "contacts", "map_index": -1}
    assert (manifest(folder)["rows"], manifest(folder)["pages"]) == (7, 4)


def test_a_retry_continues_after_the_last_part(folder: Path, api: Api) -> None:
    interrupted(folder, api)
    assert not (folder / "_manifest.json").exists()
    result = task(folder).execute(context(try_number=2))
    assert api.requested == ["3", "4"]
    assert stored(folder) == ROWS
    assert (result["rows"], result["pages"], result["parts"], result["resumed"]) == (7, 4, 2, 4)
    attempts = [part["name"].split("-")[1] for part in manifest(folder)["parts"]]
    assert attempts == ["1", "2"]


def test_a_retry_without_a_complete_part_starts_from_zero(folder: Path, api: Api) -> None:
    interrupted(folder, api, "2")
    result = task(folder).execute(context(try_number=2))
    assert api.requested == ["1", "2", "3", "4"]
    assert "resumed" not in result
    assert stored(folder) == ROWS


def test_a_cleared_run_starts_from_zero_and_replaces_the_manifest(folder: Path, api: Api) -> None:
    task(folder).execute(context())
    before = manifest(folder)
    task(folder).execute(context(try_number=2))
    assert api.requested == ["1", "2", "3", "4"] * 2
    assert stored(folder) == ROWS
    assert manifest(folder)["attempt"] != before["attempt"]
    assert not [part for part in before["parts"] if (folder / part["name"]).exists()]


@pytest.mark.parametrize(
    "changes",
    [
        {"request_params": {"status": "new"}},
        {"headers": {"Accept-Language": "de"}},
        {"endpoint": "contacts?archived=true"},
        {"oauth_conn_id": "other_api"},
        {"exclude": "id2"},
        {"limit": 100},
        {"part_suffix": ".jsonl"},
    ],
)
def test_a_retry_with_another_request_or_other_options_starts_from_zero(
    folder: Path, api: Api, changes: dict[str, Any]
) -> None:
    interrupted(folder, api)
    task(folder, **changes).execute(context(try_number=2))
    assert api.requested == ["1", "2", "3", "4"]
    assert len(manifest(folder)["parts"]) == 2
    assert len(list(folder.glob("part-*"))) == 2


def test_another_run_and_a_late_retry_start_from_zero(folder: Path, api: Api, clock: FakeClock) -> None:
    interrupted(folder, api)
    task(folder).execute(context(2))
    assert api.requested == ["1", "2", "3", "4"]
    interrupted(folder, api)
    clock.seconds += 3600
    task(folder, resume_within=timedelta(minutes=59)).execute(context(try_number=2))
    assert api.requested == ["1", "2", "3", "4"]
    assert stored(folder) == ROWS
    assert len(list(folder.glob("part-*"))) == 2


@pytest.mark.parametrize("status", [400, 404, 410])
def test_the_list_is_read_from_its_start_if_the_api_refuses_the_position(
    folder: Path, api: Api, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    interrupted(folder, api)
    api.refusals = [status]
    result = task(folder).execute(context(try_number=2))
    assert api.requested == ["3", "1", "2", "3", "4"]
    assert stored(folder) == ROWS
    assert "resumed" not in result
    assert len(list(folder.glob("part-*"))) == 2
    assert "the task cannot continue the list, so it starts from zero" in caplog.text


class OwnPaginator:
    """Requests pages by number. Its ``repr`` contains its address, as that of most classes."""

    first_params: ClassVar = {"page": 1}

    def __init__(self, size: int) -> None:
        self.size = size

    def next_page(self, page: Page, params: Mapping[str, Any]) -> NextPage:
        return {"page": int(params["page"]) + 1} if page.count == self.size else None


@pytest.mark.parametrize(("size", "requested"), [(2, ["3", "4"]), (3, ["1"])])
def test_a_paginator_of_another_package_continues_if_it_has_the_same_values(
    folder: Path, api: Api, size: int, requested: list[str]
) -> None:
    interrupted(folder, api, paginator=OwnPaginator(2))
    task(folder, paginator=OwnPaginator(size)).execute(context(try_number=2))
    assert api.requested == requested


def test_any_parameters_that_can_be_sent_are_compared(folder: Path, api: Api) -> None:
    def params() -> dict[Any, Any]:
        return {1: {"c", "b", "a"}, b"d": b"e", "f": object}

    interrupted(folder, api, request_params=params())
    task(folder, request_params=params()).execute(context(try_number=2))
    assert api.requested == ["3", "4"]


def test_another_order_of_the_columns_starts_from_zero(folder: Path, api: Api) -> None:
    interrupted(folder, api, part_suffix=".csv", columns={"id": "int64", "name": "string"})
    task(folder, part_suffix=".csv", columns={"name": "string", "id": "int64"}).execute(context(try_number=2))
    assert {(folder / part["name"]).read_text().splitlines()[0] for part in manifest(folder)["parts"]} == {"name,id"}


@pytest.mark.parametrize("field", [{"api_params": {"tenant": "2"}}, {"api_headers": {"X-Tenant": "2"}}, {"login": "b"}])
def test_a_changed_connection_starts_from_zero(
    folder: Path, api: Api, define_connection: Callable[..., None], field: dict[str, Any]
) -> None:
    interrupted(folder, api)
    define_connection("my_api", host=API, **field)
    task(folder).execute(context(try_number=2))
    assert api.requested == ["1", "2", "3", "4"]


def test_parallel_requests_continue_too(folder: Path, api: Api) -> None:
    interrupted(folder, api, concurrency=4)
    task(folder, concurrency=4).execute(context(try_number=2))
    assert api.requested[0] == "3"
    assert stored(folder) == ROWS


def test_progress_has_no_parameters_headers_and_bodies(folder: Path, api: Api) -> None:
    changes = {"request_params": {"q": "fake-query"}, "headers": {"X-Key": "fake-key"}}
    interrupted(folder, api, **changes)
    text = (folder / "_progress.json").read_text()
    assert json.loads(text)["position"]["values"] == {"page": 3}
    assert "fake-" not in text


def test_the_mark_and_the_limit_continue(folder: Path, api: Api, variables: dict[str, str]) -> None:
    incremental = Incremental(field="id", param="min_id", initial=0, format="int")
    changes = {"incremental": incremental, "path": f"{folder}/{{mark}}/"}
    interrupted(folder / "0", api, **changes)
    result = task(folder, **changes).execute(context(try_number=2))
    assert (result["from"], result["to"], result["resumed"]) == ("0", "7", 4)
    assert (manifest(folder / "0")["from"], manifest(folder / "0")["to"]) == ("0", "7")
    (text,) = (value for name, value in variables.items() if name.startswith("oauth_mark__"))
    assert json.loads(text)["mark"] == "7"


def test_a_list_without_rows_has_a_part_without_rows(folder: Path, requests_mock: Mocker) -> None:
    requests_mock.get(LIST, json=[])
    assert task(folder).execute(context())["parts"] == 1
    assert stored(folder) == []


class TwoLists(OAuthExtractOperator):
    """Reads a list twice."""

    def list_requests(self, hook: Any) -> Iterator[ListRequest]:
        for status in ("open", "closed"):
            yield ListRequest(endpoint="contacts", request_params={"status": status}, paginator=PAGINATOR)


@pytest.mark.parametrize("failing", range(1, 8))
def test_the_second_list_is_continued_too(folder: Path, requests_mock: Mocker, failing: int) -> None:
    requested: list[tuple[str, str]] = []

    def respond(request: Any, response: Any) -> Any:
        page = request.qs["page"][0]
        requested.append((request.qs["status"][0], page))
        response.status_code = 500 if len(requested) == failing + 1 and not retrying else 200
        return PAGES[int(page) - 1]

    requests_mock.get(LIST, json=respond)
    retrying = False
    with pytest.raises(ApiError):
        task(folder, TwoLists, part_rows=2).execute(context())
    before, retrying = list(requested[:-1]), True
    requested.clear()
    task(folder, TwoLists, part_rows=2).execute(context(try_number=2))
    assert stored(folder) == ROWS * 2
    everything = [(status, str(page)) for status in ("open", "closed") for page in (1, 2, 3, 4)]
    assert before + requested in (everything, [*before, *everything[len(before) - 1 :]])


class IgnoredList(OAuthExtractOperator):
    """Reads a list that does not exist, a list with one page, and a list with several pages."""

    def list_requests(self, hook: Any) -> Iterator[ListRequest]:
        yield ListRequest(endpoint="missing", paginator=PAGINATOR)
        yield ListRequest(endpoint="single", paginator=CursorPaginator())
        yield ListRequest(endpoint="contacts", paginator=PAGINATOR)


def test_what_was_noted_about_a_list_of_an_earlier_attempt_is_in_the_result(
    folder: Path, api: Api, requests_mock: Mocker
) -> None:
    requests_mock.get(f"{API}/missing", status_code=404)
    requests_mock.get(f"{API}/single", json={"rows": [{"id": 0}]})
    rules: dict[str, Any] = {"error_rules": [ErrorRule("ignore", status=404)]}
    api.failing = {"4": 500}
    with pytest.raises(ApiError):
        task(folder, IgnoredList, **rules).execute(context())
    api.failing = {}
    result = task(folder, IgnoredList, **rules).execute(context(try_number=2))
    assert (result["resumed"], result["ignored"], result["paging"]) == (5, 1, "absent")
    assert stored(folder) == [{"id": 0}, *ROWS]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("list", 1),
        ("position", None),
        ("position.pages", "2"),
        ("position.values", "page"),
        ("position.url", 5),
        ("position.unknown", 5),
        ("state.requests", []),
        ("state.writer.rows", 5),
        ("state.writer.rows", "4"),
    ],
)
def test_progress_that_contradicts_itself_is_not_used(folder: Path, api: Api, path: str, value: Any) -> None:
    interrupted(folder, api)
    progress = json.loads((folder / "_progress.json").read_text())
    *keys, last = path.split(".")
    reduce(lambda values, key: values[key], keys, progress)[last] = value
    (folder / "_progress.json").write_text(json.dumps(progress))
    task(folder).execute(context(try_number=2))
    assert api.requested == ["1", "2", "3", "4"]
    assert stored(folder) == ROWS


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"xcom_fields": "id"}, "xcom_fields is set"),
        ({"part_suffix": ".csv"}, "columns is not set"),
        ({"part_suffix": ".parquet"}, "columns is not set"),
        ({"part_suffix": ".json"}, "part_suffix is '.json'"),
        ({"part_rows": 0}, "part_rows is 0"),
        ({"part_rows": True}, "part_rows is True"),
        ({"part_bytes": 1.5}, "part_bytes is 1.5"),
        ({"resume_within": 3600}, "resume_within is 3600"),
    ],
)
def test_invalid_parameters_are_refused(changes: dict[str, Any], problem: str) -> None:
    from pathlib import Path

    with pytest.raises(ConfigurationError, match=problem):
        task(Path("/data"), **changes)


def test_a_folder_needs_the_context_of_a_run(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="needs the context of a DAG run"):
        task(folder).execute({})


def test_columns_are_checked_over_all_parts(folder: Path, api: Api, caplog: pytest.LogCaptureFixture) -> None:
    task(folder, part_suffix=".csv", columns={"id": "int64", "name": "string"}).execute(context())
    assert "columns contains ['name'], but no row has these fields" in caplog.text
    assert len(list(folder.glob("*.csv"))) == 2


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path, api: Api) -> None:
    (tmp_path / "contacts").write_text("a file")
    with pytest.raises(OAuthError, match="the folder '.*' cannot be stored"):
        task(tmp_path / "contacts").execute(context())


@pytest.mark.parametrize("on_empty", ["skip", "fail"])
def test_a_list_without_rows_leaves_nothing_behind_if_it_must_not_be_written(
    folder: Path, requests_mock: Mocker, on_empty: str
) -> None:
    requests_mock.get(LIST, json=[])
    with pytest.raises((AirflowSkipException, ApiError)):
        task(folder, on_empty=on_empty).execute(context())
    assert not list(folder.iterdir())


@pytest.mark.parametrize("member", ["requests", "writer"])
def test_progress_of_another_version_is_not_used(
    folder: Path, api: Api, member: str, caplog: pytest.LogCaptureFixture
) -> None:
    interrupted(folder, api)
    progress = json.loads((folder / "_progress.json").read_text())
    del progress["state"][member]
    (folder / "_progress.json").write_text(json.dumps(progress))
    task(folder).execute(context(try_number=2))
    assert api.requested == ["1", "2", "3", "4"]
    assert stored(folder) == ROWS
    assert "stored by another version of this package" in caplog.text


def test_a_limit_that_was_reached_is_not_read_beyond(folder: Path, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_oauth.extract.parts import PartFolder

    publish = PartFolder.publish
    monkeypatch.setattr(PartFolder, "publish", lambda self, summary: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        task(folder, limit=4).execute(context())
    monkeypatch.setattr(PartFolder, "publish", publish)
    api.requested.clear()
    result = task(folder, limit=4).execute(context(try_number=2))
    assert api.requested == []
    assert (result["rows"], result["limit"]) == (4, 4)
    assert stored(folder) == ROWS[:4]


def test_rows_that_were_added_before_the_retry_do_not_fail_all_attempts(
    folder: Path, requests_mock: Mocker, variables: dict[str, str]
) -> None:
    rows = [{"id": number} for number in range(20, 10, -1)]
    failing = True

    def respond(request: Any, response: Any) -> Any:
        page = int(request.qs["page"][0])
        response.status_code = 500 if failing and page == 3 else 200
        return rows[page * 2 - 2 : page * 2]

    requests_mock.get(LIST, json=respond)
    incremental = Incremental(field="id", initial=15, format="int", descending=True)
    changes: Any = {"incremental": incremental, "path": f"{folder}/{{mark}}/", "part_rows": 2}
    with pytest.raises(ApiError):
        task(folder, **changes).execute(context())
    failing, rows = False, [*({"id": number} for number in range(30, 20, -1)), *rows]
    result = task(folder, **changes).execute(context(try_number=2))
    assert [row["id"] for row in stored(folder / "15")] == list(range(30, 12, -1))
    assert (result["to"], "resumed" in result) == ("30", False)


@pytest.mark.parametrize("page", ["2", "4"])
def test_an_invalid_page_starts_from_zero_only_directly_after_resuming(
    folder: Path, api: Api, requests_mock: Mocker, page: str
) -> None:
    interrupted(folder, api, "2", part_rows=2)
    invalid = [page]

    def respond(request: Any, response: Any) -> Any:
        content = api.respond(request, response)
        if request.qs["page"] == invalid:
            invalid.clear()
            return {"error": "fake"}
        return content

    requests_mock.get(LIST, json=respond)
    retry = task(folder, part_rows=2)
    if page == "4":
        with pytest.raises(ApiError):
            retry.execute(context(try_number=2))
        assert api.requested == ["2", "3", "4"]
        return
    retry.execute(context(try_number=2))
    assert api.requested == ["2", "1", "2", "3", "4"]
    assert stored(folder) == ROWS


def test_text_that_looks_like_the_address_of_an_object_distinguishes_requests(folder: Path, api: Api) -> None:
    interrupted(folder, api, request_params={"room": "at 0x1f", "q": "a at 0x1f"})
    task(folder, request_params={"room": "at 0x1f", "q": "a at 0x2e"}).execute(context(try_number=2))
    assert api.requested == ["1", "2", "3", "4"]
