"""The task of the simulation: the production operator, with the simulated API, storage and Variables."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG
from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.io import store

from airflow_provider_oauth.extract import storage as production_storage
from airflow_provider_oauth.extract.incremental import Incremental
from airflow_provider_oauth.extract.paginators import CursorPaginator, JsonLinkPaginator, PageNumberPaginator
from airflow_provider_oauth.hooks import lookup
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.operators.extract import OAuthExtractOperator
from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.runtime import airflow_variables
from airflow_provider_oauth.tokens.source import TokenSource
from tests.connections import airflow_connection
from tests.simulation.extracts import local_storage
from tests.simulation.extracts.api import INITIAL, START, URL, Adapter
from tests.simulation.extracts.attempt import current
from tests.simulation.extracts.storage import UPLOAD, FileSystem

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from tests.simulation.extracts.attempt import Attempt
    from tests.simulation.extracts.schedule import Schedule

DAG_ID, TASK_ID = "shop", "orders"
TOKEN = Token(access_token="fake-token", issued_at=START, expires_at=START + timedelta(days=3650), refresh_token=None)


def operator(schedule: Schedule) -> OAuthExtractOperator:
    """Return the task of a schedule."""
    paginators = {
        "pages": PageNumberPaginator(size_param="size", size=schedule.size),
        "descending": PageNumberPaginator(size_param="size", size=schedule.size),
        "cursor": CursorPaginator(),
        "links": JsonLinkPaginator(),
    }
    incremental = Incremental(
        field="updated",
        param=None if schedule.client_side or schedule.order == "descending" else "updated_since",
        initial=INITIAL,
        end_param="updated_until" if schedule.sends_end and schedule.order in ("cursor", "links") else None,
        lookback=schedule.lookback,
        client_side=schedule.client_side,
        descending=schedule.order == "descending",
    )
    with DAG(DAG_ID, schedule=None):
        return OAuthExtractOperator(
            task_id=TASK_ID,
            oauth_conn_id="shop",
            endpoint="items",
            records_path="items",
            paginator=paginators[schedule.order],
            path="{{ run_id }}",
            incremental=incremental,
            part_rows=schedule.part_rows,
            part_suffix=".jsonl",
        )


def execute(attempt: Attempt) -> Any:
    """Execute the task as one attempt."""
    run, schedule = attempt.run, attempt.world.schedule
    task = operator(schedule)
    task.path = attempt.world.storage.target(run.run_id)
    ti = SimpleNamespace(
        dag_id=DAG_ID, task_id=TASK_ID, run_id=run.run_id, map_index=-1, try_number=attempt.try_number, task=task
    )
    dag_run = SimpleNamespace(run_id=run.run_id, dag_id=DAG_ID, run_after=run.run_after, logical_date=run.run_after)
    context: Any = {"run_id": run.run_id, "ti": ti, "task_instance": ti, "dag_run": dag_run, "task": task}
    return task.execute(context)


@contextmanager
def simulated(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Replace what connects the production code to the outside world."""
    connection = airflow_connection("shop", host=URL)

    def hook_of(oauth_conn_id: str, scope: str | None = None, **parameters: Any) -> OAuthHook:
        hook = OAuthHook(oauth_conn_id, adapter=Adapter(), **parameters)
        vars(hook)["_connection"] = connection
        return hook

    def sleep(self: Clock, seconds: float, stop: object = None) -> None:
        current().world.now += seconds

    with monkeypatch.context() as patch:
        patch.setattr(ExecutorSafeguard, "test_mode", True)
        patch.setattr(OAuthExtractOperator, "log", logging.getLogger("silent"))
        patch.setattr(lookup, "hook_of", hook_of)
        patch.setattr(TokenSource, "token", lambda self, *args, **options: TOKEN)
        patch.setattr(Clock, "now", lambda self: current().now())
        patch.setattr(Clock, "monotonic", lambda self: current().world.now)
        patch.setattr(Clock, "sleep", sleep)
        for name in ("get", "set"):
            patch.setattr(airflow_variables, f"{name}_variable", _variables(name))
        patch.setattr(airflow_variables, "is_listed", _variables("is_listed"))
        patch.setattr(production_storage, "STREAMING_FILES", (UPLOAD,))
        for protocol in ("s3", "abfs", "memory"):
            fs = FileSystem(protocol)
            patch.setitem(store._STORE_CACHE, protocol, store.ObjectStore(protocol, None, fs=fs))
        local_storage.install(patch)
        yield


def _variables(name: str) -> Any:
    return lambda *args: getattr(current().world.variables, name)(*args)
