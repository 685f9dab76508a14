"""Prints the serialized DAG with every operator of this package, as Airflow stores it; run by ``test_serialization``.

Every header and every value in a body contains the word ``private``.
"""

from __future__ import annotations

import json
from typing import Any

from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from airflow_provider_oauth.extract import paginators
from airflow_provider_oauth.extract.error_rules import ErrorRule
from airflow_provider_oauth.extract.request import ListRequest
from airflow_provider_oauth.operators import justimmo, justlogin
from airflow_provider_oauth.operators.extract import OAuthExtractOperator
from airflow_provider_oauth.operators.joor import JoorBulkOperator, JoorListOperator, JoorListOrdersOperator
from airflow_provider_oauth.operators.oauth import OAuthHttpOperator
from airflow_provider_oauth.sensors.oauth import OAuthHttpSensor

HEADERS = {"X-Key": "private-header", "X-Template": "{{ 'private-header' }}"}
BODY = {"filter": {"name": "private-body"}, "ids": ["private-body"]}
PAGINATORS = [
    paginators.PageNumberPaginator(last="header:X-WP-TotalPages", stop_on=(404, 400)),
    paginators.OffsetPaginator(param="page.offset", param_in="body"),
    paginators.CursorPaginator(path="data[-1].id", more="has_more"),
    paginators.JsonLinkPaginator(path='"@odata.nextLink"'),
    paginators.HeaderLinkPaginator(),
    paginators.HeaderJsonPaginator(),
]


class OwnPaginator:
    """A paginator of a user, whose default ``repr`` has an address in memory."""

    first_params: dict[str, Any] = {}  # noqa: RUF012

    def next_page(self, page: Any, params: Any) -> None:
        return None


class ListsOperator(OAuthExtractOperator):
    """An operator of a user, with values of this package in a template field."""

    template_fields = (*OAuthExtractOperator.template_fields, "values")

    def __init__(self, *, values: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.values = values


def dag() -> DAG:
    extract: dict[str, Any] = {"endpoint": "x", "path": "/data/x.jsonl", "headers": HEADERS}
    with DAG("every_operator", schedule=None) as made:
        for number, paginator in enumerate([*PAGINATORS, OwnPaginator()]):
            OAuthExtractOperator(task_id=f"extract_{number}", paginator=paginator, **extract)
        OAuthExtractOperator(task_id="post", method="POST", json=BODY, request_params={"page": "visible"}, **extract)
        OAuthExtractOperator(task_id="form", method="POST", data=BODY, **extract)
        OAuthExtractOperator(task_id="text", method="POST", data="private-body", **extract)
        request = ListRequest(endpoint="x", json=BODY, headers=HEADERS, paginator=OwnPaginator())
        rules = [ErrorRule("stop", status={404, 400, 410}), ErrorRule("wait", header="X-Limit: 0")]
        ListsOperator(task_id="lists", values=[request, *PAGINATORS, *rules], **extract)
        OAuthExtractOperator.partial(task_id="mapped", xcom_fields="id", paginator=PAGINATORS[0]).expand(
            endpoint=["a", "b"]
        )
        call: dict[str, Any] = {"endpoint": "x", "headers": HEADERS, "request_kwargs": {"json": BODY}}
        OAuthHttpOperator(task_id="call", **call)
        OAuthHttpOperator(task_id="call_data", **{**call, "data": BODY, "request_kwargs": {}})
        OAuthHttpSensor(task_id="wait", until="status == 'done'", **call)
        OAuthHttpSensor(task_id="wait_params", method="POST", request_params=BODY, endpoint="x")
        users = justlogin.JustLoginListUsersOperator(task_id="users", xcom_fields="id", include=["manager", "profile"])
        JoorListOperator(task_id="joor", resource="skus", product_ids=["1", "2"], data={"b": 1, "a": 2})
        JoorListOrdersOperator(task_id="orders", order_ids=users.output, status="open")
        JoorBulkOperator(task_id="bulk", resource="skus", action="create", items=[BODY])
        justimmo.JustimmoListRealtiesOperator(task_id="realties", data={"page": 1})
    return made


if __name__ == "__main__":
    print(json.dumps(DagSerialization.to_dict(dag()), sort_keys=True))
