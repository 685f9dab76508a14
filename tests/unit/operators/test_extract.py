"""``ExtractOperator``, its subclasses, and ``OAuthExtractOperator``."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, BaseHook
from airflow.sdk import DAG
from airflow.sdk.io import store
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_oauth.exceptions import ApiError, ConfigurationError
from airflow_provider_oauth.extract.paginators import CursorPaginator, OffsetPaginator, PageNumberPaginator
from airflow_provider_oauth.operators import extract, joor, justimmo, justlogin
from airflow_provider_oauth.operators.extract import ExtractOperator, OAuthExtractOperator
from airflow_provider_oauth.operators.ids import joined
from airflow_provider_oauth.runtime import airflow_variables
from tests.connections import TOKEN_URL
from tests.fake_clock import FakeClock
from tests.unit.operators.results import counts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from requests_mock import Mocker
    from requests_mock.adapter import _Matcher
    from requests_mock.request import Request

API = "https://api.example.com/v1"
LIST = f"{API}/items"

#: The class of an operator that is not an HttpOperator.
Operator = type[ExtractOperator | joor.JoorBulkOperator]
#: The operators of this package that are not an HttpOperator, with their required parameters.
OPERATORS: dict[Operator, dict[str, Any]] = {
    OAuthExtractOperator: {"endpoint": "items", "xcom_fields": "id"},
    justlogin.JustLoginListUsersOperator: {},
    justlogin.JustLoginGetUserOperator: {"user_guid": "u"},
    justlogin.JustLoginListLeaveTypesOperator: {"user_guid": "u", "company_guid": "c", "year": 2026},
    justlogin.JustLoginGetLeaveSummaryOperator: {
        "user_guid": "u",
        "company_guid": "c",
        "leave_type_id": 1,
        "date": "2026-01-01",
    },
    justlogin.JustLoginExtractPayrollOperator: {"user_guids": ["u"], "include": "payinfo", "path": "x.jsonl"},
    justimmo.JustimmoCurrentUserOperator: {},
    justimmo.JustimmoListRealtiesOperator: {},
    joor.JoorListOrdersOperator: {},
    joor.JoorListOrderLinesOperator: {"order_ids": "1"},
    joor.JoorListOperator: {"resource": "skus"},
    joor.JoorBulkOperator: {"resource": "orders", "items": [], "action": "create"},
}
EVERY_OPERATOR = pytest.mark.parametrize("cls", OPERATORS, ids=lambda cls: cls.__name__)


@pytest.fixture(autouse=True)
def connection(define_connection: Callable[..., None], variables: dict[str, str], requests_mock: Mocker) -> _Matcher:
    define_connection("my_api", host=API, api_headers={"X-Tenant": "t"})
    return requests_mock.post(TOKEN_URL, json={"access_token": "fake-token", "expires_in": 3600})


def operator(**changes: Any) -> OAuthExtractOperator:
    parameters = {"task_id": "read", "oauth_conn_id": "my_api", "endpoint": "items"}
    output = {} if "path" in changes else {"xcom_fields": "@"}
    return OAuthExtractOperator(**(parameters | output | changes))


def sent(requests_mock: Mocker) -> list[Request]:
    return [request for request in requests_mock.request_history if request.hostname == "api.example.com"]


# --- every operator


def test_the_table_of_operators_is_complete() -> None:
    modules = (extract, justlogin, justimmo, joor)
    found = {
        each
        for module in modules
        for name, each in vars(module).items()
        if name.endswith("Operator") and name[0] != "_" and each.__module__ == module.__name__
    }
    assert found - {ExtractOperator} == set(OPERATORS)


@EVERY_OPERATOR
def test_creating_the_operator_reads_no_connection_or_variable_and_sends_no_request(
    monkeypatch: pytest.MonkeyPatch, requests_mock: Mocker, cls: Operator
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("unexpected call")

    monkeypatch.setattr(BaseHook, "get_connection", refuse)
    for name in ("get_variable", "set_variable", "is_listed"):
        monkeypatch.setattr(airflow_variables, name, refuse)
    cls(task_id="build", **OPERATORS[cls])
    assert requests_mock.call_count == 0


@EVERY_OPERATOR
def test_the_default_connection_is_that_of_the_vendor(cls: Operator) -> None:
    vendor = "oauth" if cls is OAuthExtractOperator else cls.__module__.rpartition(".")[2]
    assert cls(task_id="build", **OPERATORS[cls]).oauth_conn_id == f"{vendor}_default"
    assert cls(task_id="build", oauth_conn_id="mine", **OPERATORS[cls]).oauth_conn_id == "mine"


@EVERY_OPERATOR
def test_the_connection_can_come_from_default_args(cls: Operator) -> None:
    with DAG("dag", schedule=None, default_args={"oauth_conn_id": "mine"}):
        assert cls(task_id="build", **OPERATORS[cls]).oauth_conn_id == "mine"
        name = cls.template_fields[0]
        fixed = {each: value for each, value in OPERATORS[cls].items() if each != name}
        mapped = cls.partial(task_id="map", **fixed).expand(**{name: ["a"]})
    assert mapped.unmap({name: "a"}).oauth_conn_id == "mine"


@EVERY_OPERATOR
def test_the_documented_template_fields_are_the_real_ones(cls: Operator) -> None:
    docs = re.findall(r":param (\w+):(.*?)(?=:param|:return|:raises|\Z)", cls.__doc__ or "", re.DOTALL)
    documented = {name for name, text in docs if "(templated)" in " ".join(text.split())}
    undocumented = set(cls.template_fields) - documented
    assert documented <= set(cls.template_fields)
    assert undocumented <= {"scope", "path"}


@EVERY_OPERATOR
def test_all_template_fields_are_rendered(cls: Operator) -> None:
    fields = [name for name in cls.template_fields if name != "incremental"]  # not text
    task = cls(task_id="render", **(OPERATORS[cls] | {name: "{{ value }}-" + name for name in fields}))
    task.render_template_fields({"value": 7})
    assert {name: getattr(task, name) for name in fields} == {name: f"7-{name}" for name in fields}


@EVERY_OPERATOR
def test_the_operator_can_be_mapped_over_every_template_field(
    cls: Operator,
) -> None:
    for name in cls.template_fields:
        fixed = {each: value for each, value in OPERATORS[cls].items() if each != name}
        with DAG("dag", schedule=None):
            mapped = cls.partial(task_id="map", **fixed).expand(**{name: ["a", "b"]})
        assert mapped.expand_input.value == {name: ["a", "b"]}


@EVERY_OPERATOR
def test_an_unknown_parameter_is_refused(cls: Operator) -> None:
    with pytest.raises(TypeError):
        cls(task_id="build", pth="x", **OPERATORS[cls])


# --- requests


def test_a_list_is_fetched_page_by_page_with_one_token(requests_mock: Mocker, connection: _Matcher) -> None:
    requests_mock.get(LIST, [{"json": {"data": [{"id": 1}, {"id": 2}]}}, {"json": {"data": [{"id": 3}]}}])
    task = operator(paginator=OffsetPaginator(size=2), data={"q": "x"}, headers={"X-Mine": "1"}, records_path="data")
    assert task.execute({}) == [{"id": 1}, {"id": 2}, {"id": 3}]
    assert [request.url for request in sent(requests_mock)] == [
        f"{LIST}?offset=0&limit=2&q=x",
        f"{LIST}?offset=2&limit=2&q=x",
    ]
    for request in sent(requests_mock):
        assert request.method == "GET"
        assert request.headers["Authorization"] == "Bearer fake-token"
        assert (request.headers["X-Mine"], request.headers["X-Tenant"]) == ("1", "t")
    assert connection.call_count == 1


def test_progress_is_logged_every_ten_seconds(
    requests_mock: Mocker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    monkeypatch.setattr(ExtractOperator, "clock", clock)
    caplog.set_level("INFO", logger="airflow_provider_oauth.extract.progress_log")
    paginator = OffsetPaginator(size=2, total="total")
    requests_mock.get(LIST, [{"json": _page(clock, number)} for number in range(3)])
    operator(paginator=paginator, records_path="data").execute({})
    lines = [text for text in caplog.messages if "rows/s" in text]
    assert lines == ["Connection 'my_api': 2 pages, 4 rows, 0.0 MB, 0.3 rows/s, 2 of 6 rows remain, about 6 s."]


def _page(clock: FakeClock, number: int) -> Callable[[Request, Any], Any]:
    def answer(request: Request, context: Any) -> Any:
        clock.advance(6)
        return {"data": [{"id": 2 * number}, {"id": 2 * number + 1}], "total": 6}

    return answer


def test_parameters_and_headers_that_are_none_are_not_sent(requests_mock: Mocker) -> None:
    requests_mock.get(LIST, json=[])
    operator(data={"a": None, "b": 0, "c": ""}, headers={"X-Mine": None}).execute({})
    assert sent(requests_mock)[0].url == f"{LIST}?b=0&c="
    assert "X-Mine" not in sent(requests_mock)[0].headers


def test_the_scope_of_the_task_is_requested(requests_mock: Mocker, connection: _Matcher) -> None:
    requests_mock.get(LIST, json=[])
    operator(scope="write").execute({})
    assert "scope=write" in connection.last_request.text


def test_the_default_rate_limit_timeout_is_300_seconds() -> None:
    assert operator().make_hook().recovery_policy(in_list=True).rate_limit_timeout == 300
    assert operator(rate_limit_timeout=0).make_hook().recovery_policy(in_list=True).rate_limit_timeout == 0


def test_a_connection_of_type_http_is_refused_before_its_password_is_sent(
    define_connection: Callable[..., None], requests_mock: Mocker
) -> None:
    define_connection("my_api", conn_type="http", host=API)
    with pytest.raises(ConfigurationError, match="'http'"):
        operator().execute({})
    assert requests_mock.call_count == 0


# --- the file

ROWS = [{"id": 1, "name": "Zoë\n\u2028"}, {"id": 2, "nested": {"a": [1.5, None, True]}}, "text", None]
LINES = (
    '{"id":1,"name":"Zoë\\n\u2028"}\n{"id":2,"nested":{"a":[1.5,null,true]}}\n"text"\nnull\n'.encode()  # as JSON lines
)


@pytest.mark.parametrize("scheme", ["", "file://", "local://"])
def test_each_row_is_a_line_of_json_and_the_folder_is_created(
    requests_mock: Mocker, tmp_path: Path, scheme: str
) -> None:
    requests_mock.get(LIST, content=b"[" + b", ".join(LINES.splitlines()) + b"]")
    path = tmp_path / "new" / "folder" / "items.jsonl"
    assert counts(operator(path=f"{scheme}{path}").execute({})) == {"rows": 4, "pages": 1, "path": f"{scheme}{path}"}
    assert path.read_bytes() == LINES


def test_an_existing_file_is_replaced(requests_mock: Mocker, tmp_path: Path) -> None:
    requests_mock.get(LIST, json=[1])
    path = tmp_path / "items.jsonl"
    path.write_text("older and longer")
    operator(path=str(path)).execute({})
    assert path.read_bytes() == b"1\n"


@pytest.mark.parametrize("scheme", ["", "file://", "local://"])
def test_a_private_file_is_private_with_every_local_scheme(
    requests_mock: Mocker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scheme: str
) -> None:
    requests_mock.get(LIST, json=[1])
    monkeypatch.setattr(extract.ExtractOperator, "private", True)
    path = tmp_path / "items.jsonl"
    path.write_text("older")
    path.chmod(0o644)
    operator(path=f"{scheme}{path}").execute({})
    assert path.read_bytes() == b"1\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_list_without_rows_is_an_empty_file(requests_mock: Mocker, tmp_path: Path) -> None:
    requests_mock.get(LIST, json=[])
    operator(path=str(tmp_path / "items.jsonl")).execute({})
    assert (tmp_path / "items.jsonl").read_bytes() == b""


def test_an_unpaired_surrogate_is_written_as_an_escape(requests_mock: Mocker, tmp_path: Path) -> None:
    requests_mock.get(LIST, content=b'[{"name": "cut \\ud83d"}]')
    operator(path=str(tmp_path / "items.jsonl")).execute({})
    assert (tmp_path / "items.jsonl").read_bytes() == b'{"name": "cut \\ud83d"}\n'
    assert json.loads((tmp_path / "items.jsonl").read_bytes()) == {"name": "cut \ud83d"}


@pytest.mark.parametrize(
    "later", [{"status_code": 500}, {"text": "<html>"}, {"json": {"a": 1}}, {"json": [1, 2]}], ids=str
)
def test_if_a_later_page_fails_no_file_is_left_and_an_existing_one_is_unchanged(
    requests_mock: Mocker, tmp_path: Path, later: dict[str, Any]
) -> None:
    requests_mock.get(LIST, [{"json": [1, 2]}, later])
    path = tmp_path / "folder" / "items.jsonl"
    task = operator(path=str(path), paginator=PageNumberPaginator())
    with pytest.raises(ApiError):
        task.execute({})
    assert list(tmp_path.rglob("*.jsonl")) == []
    path.parent.mkdir(exist_ok=True)
    path.write_text("older")
    requests_mock.get(LIST, [{"json": [1, 2]}, later])
    with pytest.raises(ApiError):
        task.execute({})
    assert path.read_text() == "older"


def test_a_file_or_link_that_another_user_created_is_neither_written_nor_used(
    monkeypatch: pytest.MonkeyPatch, requests_mock: Mocker, tmp_path: Path
) -> None:
    """A predictable name, for example with a process ID, would let another user create the temporary file."""
    requests_mock.get(LIST, json=[1])
    path = tmp_path / "items.jsonl"
    made: list[tuple[str, int, int]] = []
    monkeypatch.setattr(os, "getpid", lambda: 7)
    planted, target = tmp_path / ".items.jsonl.7.part", tmp_path / "target"
    planted.symlink_to(target)
    os_open = os.open

    def opened(name: str, flags: int, *args: Any, **kwargs: Any) -> int:
        if flags & os.O_CREAT:
            made.append((os.path.basename(name), flags & os.O_EXCL, flags & os.O_NOFOLLOW))
        return os_open(name, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", opened)
    operator(path=str(path)).execute({})
    operator(path=str(path)).execute({})
    assert not target.exists()
    assert path.read_bytes() == b"1\n"
    assert not path.is_symlink()
    assert planted.is_symlink()
    own = [each for each in made if each[0].endswith(".part")]
    assert len({name for name, _, _ in own}) == len(own) == 2
    assert all(exclusive and not_followed for _, exclusive, not_followed in own)


def test_a_file_name_can_have_the_maximum_length(requests_mock: Mocker, tmp_path: Path) -> None:
    requests_mock.get(LIST, json=[1])
    path = tmp_path / ("n" * 249 + ".jsonl")
    operator(path=str(path)).execute({})
    assert path.read_bytes() == b"1\n"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("nosuch://bucket/key.jsonl", "Unsupported filesystem: 'nosuch'"),
        (
            "hdfs://bucket/key.jsonl",
            "No filesystem registered for scheme hdfs",
        ),  # Airflow knows it, but its provider is not installed
    ],
)
def test_an_unsupported_storage_is_refused_before_a_request_is_sent(
    requests_mock: Mocker, path: str, reason: str
) -> None:
    with pytest.raises(
        ConfigurationError, match=f"'my_api': Airflow cannot use the storage of path '{path}': {reason}. Install"
    ):
        operator(path=path).execute({})
    assert requests_mock.call_count == 0


# --- XCom


@pytest.mark.parametrize(
    ("xcom_fields", "selected"),
    [
        ("id", [1, 2, 3]),
        ("{id: id, first: tags[0]}", [{"id": 1, "first": "a"}, {"id": 2, "first": None}, {"id": 3, "first": None}]),
        ("@", [{"id": 1, "tags": ["a"]}, {"id": 2}, {"id": 3}]),
    ],
)
def test_only_xcom_fields_are_returned(requests_mock: Mocker, xcom_fields: str, selected: list[Any]) -> None:
    pages = [{"json": {"rows": [{"id": 1, "tags": ["a"]}, {"id": 2}], "next": "m"}}, {"json": {"rows": [{"id": 3}]}}]
    requests_mock.get(LIST, pages)
    assert operator(xcom_fields=xcom_fields, paginator=CursorPaginator(), records_path="rows").execute({}) == selected


def test_only_the_return_value_is_pushed_to_xcom(requests_mock: Mocker) -> None:
    requests_mock.get(LIST, json=[{"id": 1}])
    # A push would fail, because the context is empty.
    assert operator().execute({}) == [{"id": 1}]


@pytest.mark.parametrize("xcom_fields", ["id[", "nonsense(id", "{id}"])
def test_an_invalid_xcom_fields_is_refused_before_a_request_is_sent(requests_mock: Mocker, xcom_fields: str) -> None:
    with pytest.raises(ConfigurationError, match="'my_api': xcom_fields is not a valid JMESPath") as caught:
        operator(xcom_fields=xcom_fields).execute({})
    assert isinstance(caught.value, AirflowFailException)
    assert sent(requests_mock) == []


def test_a_function_in_xcom_fields_that_does_not_fit_is_an_error_that_does_not_quote_the_row(
    requests_mock: Mocker,
) -> None:
    requests_mock.get(LIST, json=[{"name": "fake-name"}])
    with pytest.raises(ConfigurationError, match="a function that is unknown or cannot be applied") as caught:
        operator(xcom_fields="abs(name)").execute({})
    assert "fake" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("values", "text"),
    [(None, None), ("", None), ([], None), ("a,b", "a,b"), (["a", 2], "a,2"), ((1,), "1"), (7, "7"), (0, "0")],
)
def test_values_are_joined_with_commas(values: str | int | Sequence[str | int] | None, text: str | None) -> None:
    assert joined(values) == text


def test_the_file_can_be_in_any_storage_that_airflow_supports(
    requests_mock: Mocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_STORE_CACHE", {})
    storage = MemoryFileSystem()
    store.attach("memory", fs=storage)
    requests_mock.get(LIST, json=[1, 2])
    operator(path="memory://bucket/new/items.jsonl").execute({})
    assert storage.cat("/bucket/new/items.jsonl") == b"1\n2\n"


def test_the_base_class_has_no_list_requests() -> None:
    with pytest.raises(NotImplementedError):
        ExtractOperator(task_id="read", oauth_conn_id="my_api").execute({})


def test_an_empty_path_is_refused_before_a_request_is_sent(requests_mock: Mocker) -> None:
    with pytest.raises(ConfigurationError, match="path is empty"):
        operator(path=" ").execute({})
    assert sent(requests_mock) == []


def test_an_error_status_is_an_error_even_if_check_response_is_off(
    define_connection: Callable[..., None], requests_mock: Mocker
) -> None:
    define_connection("my_api", host=API, check_response=False)
    requests_mock.get(LIST, status_code=500, json={"errors": ["boom"]})
    with pytest.raises(ApiError, match="^500:"):
        operator().execute({})


@pytest.mark.parametrize(("xcom_fields", "problem"), [("nosuch(@)", "is unknown"), ("length(@, @)", "is unknown")])
def test_an_unknown_function_in_xcom_fields_is_an_error(requests_mock: Mocker, xcom_fields: str, problem: str) -> None:
    requests_mock.get(LIST, json=[{"id": 1}])
    with pytest.raises(ConfigurationError, match=problem):
        operator(xcom_fields=xcom_fields).execute({})
