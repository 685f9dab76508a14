"""DAGs with every operator of every vendor, for ``test_vendors.py``."""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import dag

from airflow_provider_oauth.extract.paginators import PageNumberPaginator
from airflow_provider_oauth.operators.extract import OAuthExtractOperator
from airflow_provider_oauth.operators.joor import (
    READABLE,
    WRITABLE,
    JoorBulkOperator,
    JoorListOperator,
    JoorListOrderLinesOperator,
    JoorListOrdersOperator,
)
from airflow_provider_oauth.operators.justimmo import JustimmoCurrentUserOperator, JustimmoListRealtiesOperator
from airflow_provider_oauth.operators.justlogin import (
    JustLoginExtractPayrollOperator,
    JustLoginGetLeaveSummaryOperator,
    JustLoginGetUserOperator,
    JustLoginListLeaveTypesOperator,
    JustLoginListUsersOperator,
)
from airflow_provider_oauth.operators.oauth import OAuthHttpOperator

FOLDER = os.environ.get("VENDOR_FILES", "")
USER = "{{ ti.xcom_pull(task_ids='list_users')[0]['user_guid'] }}"
COMPANY = "{{ ti.xcom_pull(task_ids='list_users')[0]['company_guid'] }}"


def conn(conn_id: str, **defaults: Any) -> dict[str, Any]:
    return {"schedule": None, "default_args": {"oauth_conn_id": conn_id, "retries": 0, **defaults}}


@dag(**conn("justlogin_refresh"))
def justlogin() -> None:
    users = JustLoginListUsersOperator(
        task_id="list_users",
        include="manager,profile",
        active_status="all",
        query="name[=]person",
        path=f"file://{FOLDER}/users.jsonl",
        xcom_fields="{user_guid: userGuid, company_guid: companyGuid, passport: passport}",
    )
    # With templates, and all fields of one user.
    get_user = JustLoginGetUserOperator(task_id="get_user", user_guid=USER, include=["company"], xcom_fields="@")
    types = JustLoginListLeaveTypesOperator(
        task_id="list_leave_types", user_guid=USER, company_guid=COMPANY, year=2026, xcom_fields="leaveType"
    )
    summaries = JustLoginGetLeaveSummaryOperator.partial(
        task_id="get_leave_summary", user_guid=USER, company_guid=COMPANY, date="2026-11-21"
    ).expand(leave_type_id=types.output)
    payroll = JustLoginExtractPayrollOperator(
        task_id="extract_payroll",
        user_guids=[USER],
        include=["payinfo", "bankinfo"],
        path=f"{FOLDER}/payroll.jsonl",
    )
    users >> [get_user, types, payroll]
    types >> summaries


@dag(**conn("justlogin_consent"))
def justlogin_consent() -> None:
    JustLoginListUsersOperator(task_id="list_users")


@dag(**conn("justlogin_employee"))
def justlogin_employee() -> None:
    JustLoginExtractPayrollOperator(
        task_id="extract_payroll",
        user_guids="{{ dag_run.conf['user_guid'] }}",
        include="bankinfo",
        path=f"{FOLDER}/not_allowed.jsonl",
    )


@dag(**conn("justimmo_user"))
def justimmo() -> None:
    user = JustimmoCurrentUserOperator(task_id="current_user")
    realties = JustimmoListRealtiesOperator.partial(
        task_id="list_realties", tenant_id="{{ ti.xcom_pull(task_ids='current_user')['tenant']['id'] }}", user_id=1234
    ).expand(data=[{"envelope": envelope} for envelope in ("bare", "items", "data")])
    user >> realties
    OAuthHttpOperator(
        task_id="deferred",
        method="GET",
        endpoint="oauth/user/current",
        response_filter=lambda response: response.json()["id"],
        deferrable=True,
        retries=2,  # Airflow 3.3.2 may treat a task that resumes within seconds as failed
    )


@dag(**conn("justimmo_client"))
def justimmo_client() -> None:
    # The connection has the tenant.
    JustimmoListRealtiesOperator(task_id="list_realties", path=f"{FOLDER}/realties.jsonl")


@dag(**conn("justimmo_client"))
def justimmo_client_only() -> None:
    JustimmoCurrentUserOperator(task_id="current_user")


@dag(**conn("joor_api", pool="joor"))
def joor() -> None:
    orders = JoorListOrdersOperator(task_id="list_orders", status="approved", sort_by="id", xcom_fields="id")
    JoorListOrderLinesOperator(task_id="list_lines", order_ids=orders.output, account=77)
    JoorListOperator.partial(task_id="list").expand(resource=list(READABLE))
    JoorListOperator(task_id="list_skus", resource="skus", product_ids=[1, 2])


NEW = {
    "orders": {"retailer_id": 1},
    "skus": {"product_id": 1},
    "prices": {"sku_id": 1},
    "products": {"name": "a made-up product"},
    "collections": {"name": "a made-up collection"},
}


@dag(**conn("joor_api", pool="joor"))
def joor_bulk() -> None:
    for resource, (path, actions) in WRITABLE.items():
        for action in actions:
            items = [NEW.get(resource)] * 3
            if action == "update":
                # An existing row: the first one.
                first = OAuthExtractOperator(
                    task_id=f"first_{resource}",
                    endpoint=path,
                    data={"order_ids": "1"} if resource == "order_lines" else None,
                    records_path="data",
                    limit=1,
                    xcom_fields="{id: id, quantity: `7`, name: 'changed'}",
                )
                items = first.output
            JoorBulkOperator(
                task_id=f"{action}_{resource}", resource=resource, action=action, items=items, batch_size=2
            )


@dag(**conn("joor_api", pool="joor"))
def joor_rejected() -> None:
    valid, invalid = NEW["products"], {"name": "rejected", "reject": True}
    for on_error in ("fail", "collect", "skip"):
        JoorBulkOperator(
            task_id=on_error,
            resource="products",
            action="create",
            items=[valid, valid, invalid, valid],
            batch_size=2,
            on_error=on_error,
            retries=2,
        )


@dag(**conn("joor_shared", pool="joor"))
def joor_shared() -> None:
    # 3 pages each: 40 tasks need 120 credits.
    JoorListOrdersOperator.partial(task_id="list_orders", credits=75).expand(
        status=["approved", "pending", "shipped", ""] * 10
    )


def json_token(grant: str) -> None:
    @dag(dag_id=f"json_{grant}", **conn(f"json_{grant}"))
    def extract_items() -> None:
        OAuthExtractOperator(
            task_id="extract",
            endpoint="items",
            paginator=PageNumberPaginator(size_param="limit", size=100, last="pages"),
            records_path="data",
            path=f"{FOLDER}/{grant}.jsonl",
        )

    extract_items()


for grant in ("client_credentials", "password", "authorization_code", "refresh_token", "implicit"):
    json_token(grant)
for each in (justlogin, justlogin_consent, justlogin_employee, justimmo, justimmo_client, justimmo_client_only):
    each()
for each in (joor, joor_bulk, joor_rejected, joor_shared):
    each()
