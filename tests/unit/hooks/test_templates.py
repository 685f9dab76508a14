"""Templates in frozen values, and values that Airflow does not store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.extract.paginators import CursorPaginator, OffsetPaginator, PageNumberPaginator
from airflow_provider_oauth.extract.request import ListRequest
from airflow_provider_oauth.hooks.templates import HiddenField, HiddenValues, RendersValues
from airflow_provider_oauth.operators.extract import OAuthExtractOperator

if TYPE_CHECKING:
    from collections.abc import Sequence


class Lists(RendersValues, BaseOperator):
    """An operator of a user, with list requests in a template field."""

    template_fields: Sequence[str] = ("requests", "secret")
    secret: Any = HiddenField()

    def __init__(self, *, requests: Any = None, secret: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.requests = requests
        self.secret = secret

    def execute(self, context: Any) -> None: ...


@dataclass(frozen=True)
class MyPaginator:
    """A frozen paginator of a user."""

    first: str
    template_fields: ClassVar[tuple[str, ...]] = ("first",)

    @property
    def first_params(self) -> dict[str, Any]:
        return {"after": self.first}

    def next_page(self, page: Any, params: Any) -> None:
        return None


REQUEST = ListRequest(
    endpoint="orders/{{ n }}",
    method="{{ 'POST' }}",
    request_params={"day": ["{{ n }}"]},
    json={"filter": {"id": "{{ n }}"}},
    data="{{ n }}",
    headers={"X-Id": "{{ n }}", "X-None": None},
    paginator=CursorPaginator(path="rows[?id=='{{ n }}'].next | [0]", param="filter.{{ n }}", param_in="body"),
)


def test_templates_in_list_requests_and_paginators_are_rendered_into_copies() -> None:
    task = Lists(task_id="read", requests=[{"first": REQUEST}])
    task.render_template_fields({"n": 7})
    assert task.requests[0]["first"] == ListRequest(
        endpoint="orders/7",
        method="POST",
        request_params={"day": ["7"]},
        json={"filter": {"id": "7"}},
        data="7",
        headers={"X-Id": "7", "X-None": None},
        paginator=CursorPaginator(path="rows[?id=='7'].next | [0]", param="filter.7", param_in="body"),
    )
    assert REQUEST.endpoint == "orders/{{ n }}", "the value in the DAG file is not changed"


def test_a_jmespath_that_is_a_template_is_checked_after_it_was_rendered() -> None:
    task = Lists(task_id="read", requests=CursorPaginator(path="{{ path }}"))
    with pytest.raises(ConfigurationError, match="CursorPaginator: path 'a-b' is not a valid JMESPath"):
        task.render_template_fields({"path": "a-b"})


def test_a_frozen_value_of_a_user_is_rendered_too_and_values_without_template_fields_stay_as_they_are() -> None:
    @dataclass(frozen=True)
    class Other:
        name: str = "{{ n }}"

    task = Lists(task_id="read", requests=[MyPaginator("{{ n }}"), Other()])
    task.render_template_fields({"n": 7})
    assert task.requests == [MyPaginator("7"), Other("{{ n }}")]


def test_numbers_may_be_templates() -> None:
    task = Lists(task_id="read", requests=[PageNumberPaginator(size="{{ n }}", size_param="s"), OffsetPaginator()])
    task.render_template_fields({"n": 7})
    assert task.requests[0].first_params == {"page": 1, "s": 7}
    assert task.requests[1] == OffsetPaginator()


def test_a_result_of_another_task_is_not_rendered() -> None:
    with DAG("dag", schedule=None):
        mapped = OAuthExtractOperator.partial(task_id="read", endpoint="x", xcom_fields="id").expand(
            json=[{"text": "{{ 1 + 1 }}"}]
        )
    from_xcom = {"text": "{{ 1 + 1 }}"}
    task = mapped.unmap({"json": from_xcom})
    task._do_render_template_fields(task, mapped.template_fields, {}, task.get_template_env(), {id(from_xcom)})
    assert task.json == from_xcom
    assert task.hidden_values.values["json"] == from_xcom


def test_a_mapped_task_renders_the_fixed_parameters() -> None:
    with DAG("dag", schedule=None):
        mapped = OAuthExtractOperator.partial(
            task_id="read", xcom_fields="id", headers={"X": "{{ n }}"}, paginator=CursorPaginator(param="{{ n }}")
        ).expand(endpoint=["a"])
    task = mapped.unmap({"endpoint": "a"})
    task._do_render_template_fields(task, mapped.template_fields, {"n": 7}, task.get_template_env(), set())
    assert task.headers == {"X": "7"}
    assert task.paginator == CursorPaginator(param="7")


@pytest.mark.parametrize(
    "parameters",
    [
        {"json": {"ids": ["output"]}},
        {"headers": "output"},
        {"paginator": MyPaginator("output")},
        {"request_params": {"id": "output"}},
    ],
)
def test_a_result_in_a_hidden_or_nested_value_makes_its_task_an_upstream_task(parameters: dict[str, Any]) -> None:
    def with_output(value: Any, output: Any) -> Any:
        if value == "output":
            return output
        if isinstance(value, MyPaginator):
            return MyPaginator(output)
        if isinstance(value, dict):
            return {name: with_output(each, output) for name, each in value.items()}
        return [with_output(each, output) for each in value]

    common: dict[str, Any] = {"endpoint": "x", "xcom_fields": "id"}
    with DAG("dag", schedule=None):
        output = Lists(task_id="first").output
        given = {name: with_output(value, output) for name, value in parameters.items()}
        task = OAuthExtractOperator(task_id="second", **common, **given)
        mapped = OAuthExtractOperator.partial(task_id="third", xcom_fields="id", **given).expand(endpoint=["a"])
    assert task.upstream_task_ids == {"first"}
    if "paginator" not in parameters:  # Airflow itself looks for results in the parameters of mapped tasks
        assert mapped.upstream_task_ids == {"first"}


def test_a_hidden_field_is_an_attribute_like_all_others_and_the_class_lists_it() -> None:
    task = Lists(task_id="read", secret={"key": "{{ n }}"})
    assert task.template_fields == ("requests", "hidden_values")
    assert Lists.template_fields == ("requests", "secret")
    task.render_template_fields({"n": 7})
    assert task.secret == {"key": "7"}
    task.secret = "other"
    assert task.secret == "other"


def test_the_repr_of_hidden_values_has_names_and_values_of_this_package() -> None:
    values = {"json": {"a": 1}, "data": None, "headers": {}, "paginator": CursorPaginator(path="n")}
    assert repr(HiddenValues(values)).startswith("json=***, paginator=CursorPaginator(")
    assert "orders" in repr(REQUEST)
    assert "X-Id" not in repr(REQUEST)
