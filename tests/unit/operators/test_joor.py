"""The operators for JOOR: account, errors with status 200, credits, and no item created twice."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING, Any

import pytest
import requests
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout

from airflow_provider_oauth.api.rate_limit import Budget
from airflow_provider_oauth.exceptions import ApiError, ConfigurationError, OAuthError, PartialWriteError
from airflow_provider_oauth.hooks import settings
from airflow_provider_oauth.operators.joor import (
    READABLE,
    WRITABLE,
    JoorBulkOperator,
    JoorListOperator,
    JoorListOrderLinesOperator,
    JoorListOrdersOperator,
)
from tests.fake_clock import FakeClock
from tests.unit.operators.results import counts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from requests_mock import Mocker
    from requests_mock.request import Request

    from airflow_provider_oauth.operators.extract import ExtractOperator

API = "https://api.jooraccess.com/v4"
ORDERS = f"{API}/orders"
CREATE = f"{API}/skus/bulk_create"


@pytest.fixture(autouse=True)
def connect(
    define_connection: Callable[..., None], variables: dict[str, str], requests_mock: Mocker
) -> Callable[..., None]:
    """Define the connection; its default account is 7."""

    def define(account: str | None = "7", conn_type: str = "joor") -> None:
        user = {"username": "fake-user", "user_password": "fake-password"}
        define_connection("joor_default", conn_type=conn_type, account=account, **user)

    define()
    token = {"access_token": "fake-token", "expires_in": 36000, "refresh_token": "fake-refresh"}
    requests_mock.post("https://atlas.jooraccess.com/auth/", json=token)
    return define


def execute(cls: type[ExtractOperator | JoorBulkOperator], **parameters: Any) -> Any:
    return cls(task_id="call", **parameters).execute({})


def sent(requests_mock: Mocker, method: str = "GET") -> list[Request]:
    requests = [request for request in requests_mock.request_history if request.hostname == "api.jooraccess.com"]
    assert {(request.method, request.headers["Authorization"]) for request in requests} <= {
        (method, "Bearer fake-token")
    }
    return requests


def urls(requests_mock: Mocker, method: str = "GET") -> list[str]:
    return [request.url for request in sent(requests_mock, method)]


def envelope(rows: list[Any] | None, *errors: object) -> dict[str, Any]:
    return {"json": {"data": rows, "errors": list(errors)}}


# --- lists


def test_orders_end_with_a_short_page(requests_mock: Mocker, tmp_path: Path) -> None:
    requests_mock.get(ORDERS, [envelope([{"id": n} for n in range(100)]), envelope([{"id": 100}])])
    path = tmp_path / "orders.jsonl"
    returned = execute(JoorListOrdersOperator, path=str(path))
    assert counts(returned) == {"rows": 101, "pages": 2, "path": str(path)}
    assert urls(requests_mock) == [f"{ORDERS}?page={number}&page_size=100&account=7" for number in (1, 2)]
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == list(range(101))


@pytest.mark.parametrize(
    ("parameters", "query"),
    [
        ({"order_ids": [1, "2"]}, "&order_ids=1%2C2"),
        ({"order_ids": "1,2"}, "&order_ids=1%2C2"),
        ({"order_ids": 5}, "&order_ids=5"),
        ({"status": "APPROVED", "sort_by": ""}, "&status=APPROVED"),
        ({"date_approved_start": "2026-01-01", "date_approved_end": "2026-01-31"},
         "&date_approved_start=2026-01-01&date_approved_end=2026-01-31"),
        ({"export_status": "a b", "last_modified": "x", "sort_by": "id", "sort_order": "asc"},
         "&export_status=a+b&last_modified=x&sort_by=id&sort_order=asc"),
    ],
)  # fmt: skip
def test_orders_are_filtered(requests_mock: Mocker, parameters: dict[str, Any], query: str) -> None:
    requests_mock.get(ORDERS, **envelope([]))
    execute(JoorListOrdersOperator, **parameters)
    assert urls(requests_mock) == [f"{ORDERS}?page=1&page_size=100&account=7{query}"]


@pytest.mark.parametrize("account", ["8", 8])
def test_the_account_of_the_task_takes_precedence_over_the_connections(
    requests_mock: Mocker, account: int | str
) -> None:
    requests_mock.get(ORDERS, **envelope([]))
    execute(JoorListOrdersOperator, account=account)
    assert urls(requests_mock) == [f"{ORDERS}?page=1&page_size=100&account=8"]


@pytest.mark.parametrize(
    ("cls", "parameters"),
    [
        (JoorListOrdersOperator, {}),
        (JoorListOrderLinesOperator, {"order_ids": [1]}),
        (JoorListOperator, {"resource": "skus"}),
        (JoorBulkOperator, {"resource": "skus", "action": "create", "items": [{}]}),
    ],
)
@pytest.mark.parametrize("account", [None, ""])
def test_without_an_account_no_request_is_sent(
    connect: Callable[..., None],
    requests_mock: Mocker,
    cls: type[ExtractOperator | JoorBulkOperator],
    parameters: dict[str, Any],
    account: str | None,
) -> None:
    connect(account=None)
    with pytest.raises(ConfigurationError, match=r"'joor_default': Account \(account\) is missing"):
        execute(cls, account=account, **parameters)
    assert sent(requests_mock) == []


def test_lines_are_fetched_for_50_orders_per_request(requests_mock: Mocker) -> None:
    lines = f"{ORDERS}/sku_line_items"
    full = [{"id": n} for n in range(100)]
    requests_mock.get(lines, [envelope(full), envelope([{"id": 100}]), envelope([{"id": 2}]), envelope([])])
    returned = execute(JoorListOrderLinesOperator, order_ids=list(range(101)), xcom_fields="id")
    assert returned == [*range(101), 2]
    pages = [(1, range(50)), (2, range(50)), (1, range(50, 100)), (1, range(100, 101))]
    assert urls(requests_mock) == [
        f"{lines}?page={page}&page_size=100&account=7&order_ids={'%2C'.join(map(str, ids))}" for page, ids in pages
    ]


def test_a_list_without_pages_is_fetched_once(requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/seasons", **envelope([{"id": n} for n in range(120)]))
    assert execute(JoorListOperator, resource="seasons")["rows"] == 120


@pytest.mark.parametrize(
    ("order_ids", "query"),
    [
        (5, "5"),
        ("5", "5"),
        ("5,6", "5%2C6"),
        (" 5, 6,", "5%2C6"),
        ([5, " ", "6 "], "5%2C6"),
        ([[5], [], ["6"]], "5%2C6"),
    ],
)
def test_order_ids_can_be_given_in_several_ways(
    requests_mock: Mocker, order_ids: int | str | list[Any], query: str
) -> None:
    requests_mock.get(f"{ORDERS}/sku_line_items", **envelope([]))
    execute(JoorListOrderLinesOperator, order_ids=order_ids)
    assert urls(requests_mock) == [f"{ORDERS}/sku_line_items?page=1&page_size=100&account=7&order_ids={query}"]


@pytest.mark.parametrize("order_ids", ["", [], ","])
def test_without_orders_no_lines_are_fetched(requests_mock: Mocker, order_ids: str | list[str]) -> None:
    assert execute(JoorListOrderLinesOperator, order_ids=order_ids)["rows"] == 0
    assert sent(requests_mock) == []


@pytest.mark.parametrize("resource", READABLE)
def test_a_resource_is_fetched(requests_mock: Mocker, resource: str) -> None:
    requests_mock.get(f"{API}/{resource}", **envelope([{"id": 1}]))
    assert execute(JoorListOperator, resource=resource, xcom_fields="id") == [1]
    assert urls(requests_mock) == [f"{API}/{resource}?page=1&page_size=100&account=7"]


@pytest.mark.parametrize(
    ("parameters", "query"),
    [
        ({"product_ids": [1, 2]}, "page=1&page_size=100&account=7&product_ids=1%2C2"),
        ({"data": {"season": "x", "hook": 1}}, "page=1&page_size=100&account=7&season=x&hook=1"),
        ({"data": {"page_size": 5, "product_ids": "9"}}, "page=1&page_size=5&account=7&product_ids=9"),
        ({"data": {"account": "9"}}, "page=1&page_size=100&account=9"),
    ],
)
def test_data_can_contain_any_query_parameter(requests_mock: Mocker, parameters: dict[str, Any], query: str) -> None:
    requests_mock.get(f"{API}/skus", **envelope([]))
    execute(JoorListOperator, resource="skus", **parameters)
    assert urls(requests_mock) == [f"{API}/skus?{query}"]


def test_an_unknown_resource_is_refused_before_a_request_is_sent(requests_mock: Mocker) -> None:
    with pytest.raises(
        ConfigurationError, match="resource is '../auth', which is not supported. Set it to one of products"
    ):
        execute(JoorListOperator, resource="../auth")
    assert sent(requests_mock) == []


# --- errors with status 200


def test_errors_with_status_200_fail_the_task_and_leave_no_file(requests_mock: Mocker, tmp_path: Path) -> None:
    error = {"status": 422, "message": "Bad account", "details": {"fake": "body"}}
    requests_mock.get(ORDERS, [envelope([{"id": n} for n in range(100)]), envelope([{"id": 100}], error)])
    with pytest.raises(ApiError) as caught:
        execute(JoorListOrdersOperator, path=str(tmp_path / "orders.jsonl"))
    assert str(caught.value) == (
        f"Connection 'joor_default': the response of {ORDERS} reports 1 error (422 Bad account). "
        "Check the parameters of the task."
    )
    assert list(tmp_path.glob("*.jsonl")) == []


@pytest.mark.parametrize("errors", [[], None])
def test_an_empty_or_null_list_of_errors_is_success(requests_mock: Mocker, errors: list[Any] | None) -> None:
    requests_mock.get(ORDERS, json={"data": [{"id": 1}], "errors": errors})
    assert execute(JoorListOrdersOperator, xcom_fields="id") == [1]


@pytest.mark.parametrize(
    ("errors", "quoted"),
    [
        (["Boom"], "1 error (Boom)"),
        ("Boom", "1 error (Boom)"),
        ("Boom, fake-token", "1 error (Boom, ***)"),
        ({"message": "Boom"}, "1 error (Boom)"),
        ([{"message": str(n)} for n in range(5)], "5 errors (0; 1; 2; …)"),
        ([{"status": 1}], "1 error (1)"),
    ],
)
def test_errors_of_any_shape_are_quoted(
    requests_mock: Mocker, errors: str | dict[str, Any] | list[Any], quoted: str
) -> None:
    requests_mock.get(ORDERS, json={"data": [], "errors": errors})
    with pytest.raises(ApiError) as caught:
        execute(JoorListOrdersOperator)
    assert str(caught.value).endswith(f"reports {quoted}. Check the parameters of the task.")


def test_long_errors_are_shortened_to_one_line(requests_mock: Mocker) -> None:
    requests_mock.get(ORDERS, **envelope([], {"message": "a\n" * 10_000}))
    with pytest.raises(ApiError) as caught:
        execute(JoorListOrdersOperator)
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


# --- credits


@pytest.mark.parametrize(
    ("cls", "parameters"),
    [
        (JoorListOrdersOperator, {}),
        (JoorListOperator, {"resource": "skus"}),
    ],
)
@pytest.mark.parametrize(("credits", "expected"), [({}, 300), ({"credits": 50}, 50)])
def test_the_budget_of_a_task_is_its_credits(
    cls: type[ExtractOperator], parameters: dict[str, Any], credits: dict[str, Any], expected: int
) -> None:
    hook = cls(task_id="call", **parameters, **credits).make_hook()
    assert hook.budget == Budget(credits=expected, seconds=300, read=1, write=5)
    assert hook.rate_limit_timeout == 1800


def test_a_task_waits_when_its_credits_are_spent(requests_mock: Mocker, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, real = FakeClock(), settings.RateLimiter
    monkeypatch.setattr(settings, "RateLimiter", lambda budget: real(budget, clock))
    times: list[float] = []
    requests_mock.post(CREATE, json=lambda *_: times.append(clock.seconds) or {"data": [{}], "errors": []})
    execute(JoorBulkOperator, resource="skus", action="create", items=[{}] * 5, batch_size=1, credits=10)
    assert times == [0, 0, 300, 300, 600]


# --- writing


def bulk(**parameters: Any) -> Any:
    return execute(JoorBulkOperator, **({"resource": "skus", "action": "create", "batch_size": 2} | parameters))


def bodies(requests_mock: Mocker) -> list[Any]:
    return [request.json() for request in sent(requests_mock, "POST")]


def items(number: int) -> list[dict[str, Any]]:
    return [{"code": n, "name": "é"} for n in range(number)]


REJECTED = {"status": 422, "message": "No such season", "details": {"index": 1}}


def test_items_are_written_in_batches(requests_mock: Mocker) -> None:
    requests_mock.post(CREATE, json=lambda request, context: {"data": request.json(), "errors": []})
    assert bulk(items=items(5)) == {"items": 5, "batches": 3, "written": 5, "rejected": 0}
    assert urls(requests_mock, "POST") == [f"{CREATE}?account=7"] * 3
    assert bodies(requests_mock) == [items(5)[:2], items(5)[2:4], items(5)[4:]]
    assert {request.headers["Content-Type"] for request in sent(requests_mock, "POST")} == {"application/json"}


@pytest.mark.parametrize(
    ("resource", "action"), [(name, action) for name, (_, all_) in WRITABLE.items() for action in all_]
)
def test_every_documented_action_uses_its_endpoint(requests_mock: Mocker, resource: str, action: str) -> None:
    path = "orders/sku_line_items" if resource == "order_lines" else resource
    requests_mock.post(f"{API}/{path}/bulk_{action}", **envelope([{}]))
    bulk(resource=resource, action=action, items=[{"id": 1}])
    assert urls(requests_mock, "POST") == [f"{API}/{path}/bulk_{action}?account=7"]


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"resource": "order_lines", "action": "create"}, "action 'create' for 'order_lines'"),
        ({"resource": "traits"}, "action 'create' for 'traits'"),
        ({"action": "delete"}, "action 'delete' for 'skus'"),
        ({"on_error": "ignore"}, "on_error is 'ignore', which is not supported. Set it to one of fail, collect, skip"),
        ({"batch_size": 0}, "at least 1"),
    ],
)
def test_invalid_parameters_are_refused_when_the_operator_is_created(wrong: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        JoorBulkOperator(task_id="write", **({"resource": "skus", "items": [], "action": "create"} | wrong))


def test_without_items_no_request_is_sent(requests_mock: Mocker) -> None:
    assert bulk(items=[]) == {"items": 0, "batches": 0, "written": 0, "rejected": 0}
    assert requests_mock.call_count == 0


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_items_can_come_from_a_file(requests_mock: Mocker, tmp_path: Path, scheme: str) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text("".join(json.dumps(item) + "\n\n" for item in items(3)))
    requests_mock.post(CREATE, json=lambda request, context: {"data": request.json(), "errors": []})
    assert bulk(items=f"{scheme}{path}")["written"] == 3
    assert bodies(requests_mock) == [items(3)[:2], items(3)[2:]]


def test_the_account_is_url_encoded(requests_mock: Mocker) -> None:
    requests_mock.post(CREATE, **envelope([{}]))
    bulk(items=items(1), account="8&x=1")
    assert urls(requests_mock, "POST") == [f"{CREATE}?account=8%26x%3D1"]


def test_with_on_error_collect_the_task_continues_and_returns_the_errors(requests_mock: Mocker) -> None:
    responses = [envelope([{}], REJECTED), envelope([{}, {}]), envelope(None, REJECTED | {"batch": 99}, "Boom")]
    requests_mock.post(CREATE, responses)
    assert bulk(items=items(6), on_error="collect") == {
        "items": 6,
        "batches": 3,
        "written": 3,
        "rejected": 3,
        "errors": [REJECTED | {"batch": 1}, REJECTED | {"batch": 3}, {"message": "Boom", "batch": 3}],
    }


def test_with_on_error_skip_the_task_continues_and_logs_the_errors(
    requests_mock: Mocker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(JoorBulkOperator, "log", logging.getLogger("airflow.task.operators"))
    requests_mock.post(CREATE, [envelope([{}], REJECTED), envelope([{}])])
    assert bulk(items=items(3), on_error="skip") == {"items": 3, "batches": 2, "written": 2, "rejected": 1}
    assert "JOOR rejected items of batch 1: 1 error (422 No such season)." in caplog.text


def failure(**parameters: Any) -> OAuthError:
    with pytest.raises(OAuthError) as caught:
        bulk(**parameters)
    assert "fake" not in str(caught.value)
    return caught.value


def test_with_on_error_fail_the_task_stops_after_the_batch_with_errors(requests_mock: Mocker) -> None:
    requests_mock.post(CREATE, **envelope([], REJECTED, REJECTED))
    error = failure(items=items(6))
    assert type(error) is ApiError  # nothing was written, so Airflow may retry
    source = f"Connection 'joor_default': the response of {CREATE}"
    assert str(error) == (
        f"{source} reports 2 errors (422 No such season; 422 No such season). Correct the rejected items, or set "
        "on_error to collect or skip."
    )
    assert len(sent(requests_mock, "POST")) == 1


@pytest.mark.parametrize(
    "responses",
    [
        [envelope([{}], REJECTED)],
        [envelope([{}, {}]), envelope([], REJECTED)],
        [envelope([{}, {}]), envelope(None, REJECTED)],
        [envelope([{}, {}]), {"status_code": 500}],
        [envelope([{}, {}]), {"status_code": 400, "json": {"errors": [REJECTED]}}],
        [envelope([{}, {}]), {"exc": requests.ConnectionError("gone")}],
        [envelope([{}, {}]), {"exc": requests.ReadTimeout("gone")}],
        [envelope([{}, {}]), {"text": "<html>"}],
        [envelope([{}, {}]), {"json": {"done": True}}],
    ],
)
def test_after_items_were_created_an_error_is_not_retried(
    requests_mock: Mocker, responses: list[dict[str, Any]]
) -> None:
    requests_mock.post(CREATE, responses)
    error = failure(items=items(4))
    assert type(error) is PartialWriteError
    assert isinstance(error, AirflowFailException)
    written = len(responses[0]["json"]["data"])
    assert re.search(rf"failed after {written}( or more)? items were written in batches of 2\.", str(error))
    assert "a retry would write the same items again" in str(error)
    assert isinstance(error.__cause__, Exception)


@pytest.mark.parametrize("response", [{"text": ""}, {"text": "<html>"}, {"json": {"done": True}}, {"status_code": 204}])
def test_a_success_status_without_the_created_items_is_not_retried(
    requests_mock: Mocker, response: dict[str, Any]
) -> None:
    requests_mock.post(CREATE, **response)
    error = failure(items=items(1))
    assert type(error) is PartialWriteError
    assert "failed after 0 or more items were written" in str(error)


@pytest.mark.parametrize("policy", ["collect", "skip"])
def test_a_batch_that_fails_as_a_whole_is_an_error_with_every_policy(requests_mock: Mocker, policy: str) -> None:
    requests_mock.post(CREATE, [envelope([{}, {}]), {"status_code": 500}])
    assert type(failure(items=items(4), on_error=policy)) is PartialWriteError


def test_before_items_were_created_an_error_can_be_retried(requests_mock: Mocker) -> None:
    requests_mock.post(CREATE, status_code=503)
    assert type(failure(items=items(4))) is ApiError


@pytest.mark.parametrize(
    "responses",
    [[envelope([{}], REJECTED)], [envelope([{}, {}]), {"status_code": 500}], [envelope([{}, {}]), {"text": "x"}]],
)
def test_an_error_of_an_update_can_be_retried(requests_mock: Mocker, responses: list[dict[str, Any]]) -> None:
    requests_mock.post(f"{API}/skus/bulk_update", responses)
    assert type(failure(items=items(4), action="update")) is ApiError


@pytest.mark.parametrize("line", ["{", '{"name": "fake-item'])
def test_an_invalid_line_after_items_were_created_is_not_retried(
    requests_mock: Mocker, tmp_path: Path, line: str
) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text('{"a": 1}\n{"a": 2}\n' + line)
    requests_mock.post(CREATE, **envelope([{}, {}]))
    assert type(failure(items=str(path))) is PartialWriteError


def test_a_connection_of_another_type_is_refused(define_connection: Callable[..., None], requests_mock: Mocker) -> None:
    define_connection("joor_default", conn_type="http")
    assert isinstance(failure(items=items(1)), ConfigurationError)
    assert requests_mock.call_count == 0


def test_a_connection_of_type_oauth_works_without_a_budget(
    define_connection: Callable[..., None], requests_mock: Mocker
) -> None:
    fields = {"grant_url": "https://atlas.jooraccess.com/auth/", "api_params": {"account": 7}}
    define_connection("joor_default", host=API, **fields)
    requests_mock.get(ORDERS, **envelope([{"id": 1}]))
    assert execute(JoorListOrdersOperator, xcom_fields="id", credits=5) == [1]
    assert urls(requests_mock) == [f"{ORDERS}?page=1&page_size=100&account=7"]


def test_a_timeout_of_the_task_after_items_were_created_is_not_retried(requests_mock: Mocker) -> None:
    requests_mock.post(CREATE, [envelope([{"id": 1}]), {"exc": AirflowTaskTimeout("too long")}])
    with pytest.raises(PartialWriteError, match=r"failed after 1 items were written .* Reason: too long"):
        bulk(items=items(2), batch_size=1)


def test_items_that_a_template_rendered_to_a_string_are_refused(requests_mock: Mocker) -> None:
    with pytest.raises(ValueError, match="items=task.output"):
        bulk(items="[{'id': 1}]")


# --- IDs and items from other tasks


@pytest.mark.parametrize(
    ("cls", "parameters"),
    [
        (JoorListOrdersOperator, {"order_ids": ""}),
        (JoorListOrdersOperator, {"order_ids": []}),
        (JoorListOrderLinesOperator, {"order_ids": []}),
        (JoorListOperator, {"resource": "skus", "product_ids": ()}),
    ],
)
def test_an_empty_list_of_ids_fetches_nothing(
    requests_mock: Mocker, cls: type[ExtractOperator], parameters: dict[str, Any]
) -> None:
    assert counts(execute(cls, **parameters)) == {"rows": 0, "pages": 0, "path": None}
    assert urls(requests_mock) == []


@pytest.mark.parametrize("found", [None, "", [], [[]]])
def test_empty_ids_from_another_task_fetch_nothing(requests_mock: Mocker, found: str | list[Any] | None) -> None:
    operator = JoorListOrdersOperator(task_id="call", order_ids="{{ of another task }}")
    operator.order_ids = found  # as rendered
    assert counts(operator.execute({})) == {"rows": 0, "pages": 0, "path": None}


@pytest.mark.parametrize(
    "wrong", [[{"id": 1}], {"rows": 1, "pages": 1, "path": "x"}, "[1, 2]", "{'id': 1}", [[[1]]], [1.5], [None, ["[1]"]]]
)
@pytest.mark.parametrize("cls", [JoorListOrdersOperator, JoorListOrderLinesOperator])
def test_values_that_are_not_ids_are_refused_before_a_request_is_sent(
    requests_mock: Mocker, cls: type[ExtractOperator], wrong: str | dict[str, Any] | list[Any]
) -> None:
    with pytest.raises(
        ConfigurationError, match="Connection 'joor_default': order_ids contains a .* that is not an ID"
    ):
        execute(cls, order_ids=wrong)
    assert urls(requests_mock) == []


def test_orders_are_fetched_for_50_ids_per_request(requests_mock: Mocker) -> None:
    requests_mock.get(ORDERS, **envelope([{"id": 1}]))
    assert execute(JoorListOrdersOperator, order_ids=range(101))["pages"] == 3


@pytest.mark.parametrize(
    ("given", "sent_items"),
    [({"id": 1}, [{"id": 1}]), ([[{"id": 1}], [], [{"id": 2}]], [{"id": 1}, {"id": 2}])],
)
def test_items_of_mapped_tasks_are_sent_as_objects(
    requests_mock: Mocker, given: dict[str, Any] | list[Any], sent_items: list[dict[str, Any]]
) -> None:
    requests_mock.post(CREATE, **envelope(sent_items))
    assert bulk(items=given)["written"] == len(sent_items)
    assert sent(requests_mock, "POST")[0].json() == sent_items


@pytest.mark.parametrize("wrong", [[{"id": 1}, "id"], [1], [[{"id": 1}, None]]])
def test_items_that_are_not_objects_are_refused_before_any_is_written(requests_mock: Mocker, wrong: list[Any]) -> None:
    with pytest.raises(ValueError, match="Nothing was written"):
        bulk(items=wrong, batch_size=1)
    assert sent(requests_mock, "POST") == []


@pytest.mark.parametrize("line", ["[{}]", "1", "{"])
def test_a_line_that_is_not_an_object_is_an_error_with_its_number(
    requests_mock: Mocker, tmp_path: Path, line: str
) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text('{"id": 1}\n' + line + "\n")
    with pytest.raises(ValueError, match=f"Line 2 of {path} is not a JSON object"):
        bulk(items=str(path))


@pytest.mark.parametrize("credits", [0, -5, "0"])
def test_credits_below_one_are_refused(credits: int | str) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        JoorListOrdersOperator(task_id="call", credits=credits)
