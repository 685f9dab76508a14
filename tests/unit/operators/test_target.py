"""The checks of ``path`` before a request is sent."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.extract.writers.file_format import SUFFIXES
from airflow_provider_oauth.operators.extract import OAuthExtractOperator
from airflow_provider_oauth.operators.target import check_mapped_path, check_path, extract_file

if TYPE_CHECKING:
    from pathlib import Path

URLS = ("/data/", "file:///data/", "local:///data/", "s3://bucket/", "s3://my_aws@bucket/folder/")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("url", URLS)
def test_absolute_paths_and_urls_with_a_known_suffix_are_accepted(url: str, suffix: str) -> None:
    check_path("my_api", f"{url}items{suffix}")


@pytest.mark.parametrize("suffix", ["", ".tsv", ".parquet.gz", ".json", ".jsonl.bz2", ".jsonl.gz.tmp", ".gz", ".JSONL"])
@pytest.mark.parametrize("url", URLS)
def test_an_unknown_suffix_is_refused_with_a_list_of_the_known_ones(url: str, suffix: str) -> None:
    with pytest.raises(ConfigurationError, match="no known suffix") as caught:
        check_path("my_api", f"{url}items{suffix}")
    assert all(known in str(caught.value) for known in SUFFIXES)


@pytest.mark.parametrize(
    "path",
    [
        "items.jsonl",
        "data/items.jsonl",
        "./items.jsonl",
        "~/items.jsonl",
        "file://data/items.jsonl",
        "file:items.jsonl",
    ],
)
def test_a_relative_path_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match="'my_api': path '.*' is relative"):
        check_path("my_api", path)


def test_a_connection_of_the_storage_that_does_not_exist_is_refused() -> None:
    with (
        pytest.raises(ConfigurationError, match="'my_api': the connection 'typo' in path 'file://typo@/data/x.jsonl'"),
        extract_file("my_api", "file://typo@/data/x.jsonl", private=False),
    ):
        pass


def test_a_connection_of_the_storage_that_exists_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_DISK", "fs://")
    with extract_file("my_api", f"file://disk@{tmp_path}/items.jsonl", private=False) as file:
        file.write(b"1\n")
    assert (tmp_path / "items.jsonl").read_bytes() == b"1\n"


# --- mapped tasks


def mapped(path: str, expand: str = "endpoint") -> Any:
    """Return an operator as it runs in a mapped task."""
    values = {"endpoint": "items", "path": path}
    fixed = {name: value for name, value in values.items() if name != expand}
    with DAG("dag", schedule=None) as dag:
        OAuthExtractOperator.partial(task_id="read", oauth_conn_id="my_api", **fixed).expand(**{expand: ["a", "b"]})
    return dag.task_dict["read"].unmap({expand: "a"})


def context(map_index: int | None) -> Any:
    return {"ti": SimpleNamespace(map_index=map_index)}


@pytest.mark.parametrize(
    "path",
    [
        "/data/items.jsonl",
        "/data/{{ ds }}.jsonl",
        "/data/{{ ts_nodash }}-{{ params.region }}-{{ var.value.x }}.jsonl",
        "/data/{{ data_interval_start | ds }}.jsonl",
        "/data/{{ logical_date.strftime('%Y') }}/{{ dag.dag_id }}/{{ run_id }}/{{ dag_run.run_id }}.jsonl",
        "/data/{{ ti.run_id }}-{{ ti.try_number }}.jsonl",
        "/data/{{ ti.xcom_pull('other') }}.jsonl",
        "/data/{{ task_instance_key_str }}.jsonl",
    ],
)
def test_a_path_that_is_the_same_for_all_mapped_tasks_is_refused(path: str) -> None:
    task = mapped(path)
    with pytest.raises(ConfigurationError, match="is the same for all mapped tasks") as caught:
        check_mapped_path(task, "my_api", context(0))
    assert repr(path) in str(caught.value)  # the text that was not rendered
    check_mapped_path(task, "my_api", context(-1))
    check_mapped_path(task, "my_api", context(None))


@pytest.mark.parametrize(
    "path",
    [
        "/data/{{ ti.map_index }}.jsonl",
        "/data/{{ ds }}-{{ task_instance.map_index }}.jsonl",
        "/data/{{ ti.xcom_pull('ids')[ti.map_index] }}.jsonl",
        "/data/{{ task.endpoint }}.jsonl",
        "/data/{{ ti.task.endpoint }}.jsonl",
        "/data/{{ ti.id }}.jsonl",
        "/data/{{ macros.uuid.uuid4() }}.jsonl",
        "/data/{{ own_macro() }}.jsonl",
        "/data/{{ broken",
    ],
)
def test_a_path_that_can_differ_between_mapped_tasks_is_accepted(path: str) -> None:
    check_mapped_path(mapped(path), "my_api", context(0))


def test_a_mapped_path_is_accepted() -> None:
    check_mapped_path(mapped("/data/x.jsonl", expand="path"), "my_api", context(0))


def test_the_same_path_in_all_tasks_of_a_mapped_task_group_is_refused() -> None:
    task = OAuthExtractOperator(task_id="read", endpoint="items", path="/data/x.jsonl", dag=DAG("dag", schedule=None))
    with pytest.raises(ConfigurationError, match="is the same for all mapped tasks"):
        check_mapped_path(task, "my_api", context(1))
