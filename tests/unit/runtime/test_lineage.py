"""Lineage with Airflow's own collector."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import get_hook_lineage_collector
from airflow.sdk import plugins_manager
from airflow.sdk.lineage import HookLineageCollector, HookLineageReader

from airflow_provider_oauth.extract.paginators import PageNumberPaginator
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.operators.extract import OAuthExtractOperator
from airflow_provider_oauth.operators.justlogin import JustLoginExtractPayrollOperator
from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.runtime import lineage
from airflow_provider_oauth.runtime.lineage import file_uri, report_lineage
from tests.connections import TOKEN_URL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from requests_mock import Mocker

API = "https://api.example.com/v1"
PAYROLL = "https://apis.justlogin.com/payroll/employee-management/v1/users"
HOOK = OAuthHook("shop")


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[HookLineageReader]:
    """A reader as OpenLineage's plugin registers it, with a new collector."""
    monkeypatch.setattr(plugins_manager, "get_hook_lineage_readers_plugins", lambda: [HookLineageReader])
    get_hook_lineage_collector.cache_clear()
    yield HookLineageReader()
    get_hook_lineage_collector.cache_clear()


@pytest.fixture
def no_reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(plugins_manager, "get_hook_lineage_readers_plugins", list)
    get_hook_lineage_collector.cache_clear()
    yield
    get_hook_lineage_collector.cache_clear()


def collected(reader: HookLineageReader) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Return the URIs and counts of inputs and outputs."""
    found = reader.retrieve_hook_lineage()
    return (
        [(each.asset.uri, each.count) for each in found.inputs],
        [(each.asset.uri, each.count) for each in found.outputs],
    )


@pytest.mark.parametrize(
    ("file", "uri"),
    [
        ("/data/items.jsonl", "file:///data/items.jsonl"),
        ("file:///data/items.jsonl", "file:///data/items.jsonl"),
        ("file:/data/items.jsonl", "file:///data/items.jsonl"),
        ("local:///data/items.jsonl", "file:///data/items.jsonl"),
        ("/data/a@b/what?#1.jsonl", "file:///data/a@b/what%3F%231.jsonl"),
        ("s3://my_aws@bucket/a/b.jsonl.gz", "s3://bucket/a/b.jsonl.gz"),
        ("s3://bucket/user@example.com/b.jsonl", "s3://bucket/user@example.com/b.jsonl"),
        ("gs://bucket/b.jsonl", "gs://bucket/b.jsonl"),
    ],
)
def test_the_asset_of_a_file_is_complete_and_has_no_connection_id(
    reader: HookLineageReader, file: str, uri: str
) -> None:
    assert file_uri(file) == uri
    report_lineage(HOOK, [f"{API}/items"], file)
    assert collected(reader) == ([(f"{API}/items", 1)], [(uri, 1)])


def test_a_list_is_reported_without_user_information_query_and_fragment(reader: HookLineageReader) -> None:
    report_lineage(HOOK, ["https://fake-user:fake-password@api.example.com/v1/items?api_key=fake-key#part"], None)
    assert collected(reader) == ([("https://api.example.com/v1/items", 1)], [])


@pytest.mark.usefixtures("no_reader")
def test_without_a_reader_no_collector_is_created(monkeypatch: pytest.MonkeyPatch) -> None:
    def create() -> None:
        raise AssertionError("creating a collector imports the modules of all providers")

    monkeypatch.setattr(lineage, "get_hook_lineage_collector", create)
    report_lineage(HOOK, [f"{API}/items"], "/data/items.jsonl")


def test_a_list_whose_url_airflow_refuses_is_logged_and_the_others_are_reported(
    reader: HookLineageReader, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger=lineage.__name__):
        report_lineage(HOOK, [f"{API}/{'x' * 1500}", f"{API}/items"], "/data/items.jsonl")
    assert "The lineage of this task is incomplete" in caplog.text
    assert collected(reader)[0] == [(f"{API}/items", 1)]
    assert collected(reader)[1] == [("file:///data/items.jsonl", 2)]


# --- operators


@pytest.fixture
def connections(define_connection: Callable[..., None], variables: dict[str, str], requests_mock: Mocker) -> None:
    define_connection("shop", host=API, api_params={"tenant": "t"}, secret_params={"api_key": "fake-key"})
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-token", "expires_in": 3600})


def extract(**changes: Any) -> None:
    values = {"task_id": "extract", "oauth_conn_id": "shop", "endpoint": "items?since=2026"} | changes
    OAuthExtractOperator(**values).execute({})


@pytest.mark.usefixtures("connections")
def test_an_extract_of_several_pages_is_one_input_and_one_output(
    reader: HookLineageReader, requests_mock: Mocker, tmp_path: Path
) -> None:
    requests_mock.get(f"{API}/items", [{"json": [{"id": 1}, {"id": 2}]}, {"json": [{"id": 3}]}])
    path = tmp_path / "items.jsonl"
    extract(path=str(path), paginator=PageNumberPaginator(size=2))
    assert len(path.read_bytes().splitlines()) == 3
    assert collected(reader) == ([(f"{API}/items", 1)], [(f"file://{path}", 1)])
    assert "fake-key" not in str(reader.retrieve_hook_lineage())


@pytest.mark.usefixtures("connections")
def test_an_extract_without_a_file_has_only_an_input(reader: HookLineageReader, requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/items", json=[{"id": 1}])
    extract(xcom_fields="id")
    assert collected(reader) == ([(f"{API}/items", 1)], [])


@pytest.mark.usefixtures("connections")
def test_an_extract_that_fails_has_no_lineage(reader: HookLineageReader, requests_mock: Mocker, tmp_path: Path) -> None:
    requests_mock.get(f"{API}/items", status_code=404)
    with pytest.raises(Exception, match="404"):
        extract(path=str(tmp_path / "items.jsonl"))
    assert collected(reader) == ([], [])


@pytest.mark.usefixtures("connections")
def test_a_url_is_reported_as_it_is_sent(reader: HookLineageReader, requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/gr%C3%B6%C3%9Fen/a%20b", json=[{"id": 1}])
    extract(endpoint="größen/a b", xcom_fields="id")
    assert collected(reader)[0] == [(f"{API}/gr%C3%B6%C3%9Fen/a%20b", 1)]


@pytest.mark.usefixtures("connections")
def test_an_operator_with_several_lists_has_one_input_for_each(
    reader: HookLineageReader,
    define_connection: Callable[..., None],
    requests_mock: Mocker,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(Clock, "sleep", lambda *args: None)  # there are no other processes to wait for
    define_connection("justlogin_default", conn_type="justlogin", grant_type="refresh_token", refresh_token="fake")
    token = {"access_token": "fake-token", "expires_in": 3600, "refresh_token": "fake-2"}
    requests_mock.post("https://apis.justlogin.com/v1/auth/connect/token", json=token)
    for user in ("u1", "u2"):
        requests_mock.get(f"{PAYROLL}/{user}/payinfo", json={"userGUID": user})
    path = tmp_path / "payroll.jsonl"
    operator = JustLoginExtractPayrollOperator(
        task_id="extract", user_guids=["u1", "u2"], include="payinfo", path=str(path)
    )
    operator.execute({})
    inputs = [(f"{PAYROLL}/{user}/payinfo", 1) for user in ("u1", "u2")]
    assert collected(reader) == (inputs, [(f"file://{path}", 2)])


@pytest.mark.usefixtures("connections")
def test_the_hook_itself_registers_nothing(reader: HookLineageReader, requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/items", json=[{"id": 1}])
    hook = OAuthHook("shop")
    hook.run("items")
    list(hook.paginate("items"))
    assert collected(reader) == ([], [])


def test_the_collector_is_that_of_airflow(reader: HookLineageReader) -> None:
    assert type(get_hook_lineage_collector()) is HookLineageCollector
