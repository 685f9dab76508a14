"""Parameters of incremental extracts: checks, the value that a run sends, and how Airflow stores and renders them."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from airflow.sdk import DAG, BaseOperator, task

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.extract.incremental import Incremental
from airflow_provider_oauth.extract.incremental_check import PLACES
from airflow_provider_oauth.extract.paginator_options import ParamIn
from airflow_provider_oauth.hooks.templates import RendersValues

STARTED = datetime(2026, 1, 31, 12, 30, 15, 987_654, tzinfo=UTC)


def incremental(**changes: Any) -> Incremental:
    """Return valid parameters with changes."""
    return Incremental(**{"field": "updatedAt", "param": "since", "initial": "2024-01-01T00:00:00Z", **changes})


@pytest.mark.parametrize(
    ("changes", "mark", "since"),
    [
        ({}, "2024-01-31T12:00:00Z", "2024-01-31T11:59:59Z"),
        ({}, "2024-01-31T12:00:00.000+02:00", "2024-01-31T11:59:59.999+02:00"),
        ({}, "2024-01-31 12:00Z", "2024-01-31 11:59Z"),
        ({"timezone": "UTC"}, "2024-01-31", "2024-01-30"),
        ({"lookback": 0}, "2024-01-31T12:00:00.000+02:00", "2024-01-31T12:00:00.000+02:00"),
        ({"lookback": timedelta(0)}, "2024-01-31T12:00:00Z", "2024-01-31T12:00:00Z"),
        ({"lookback": 3600}, "2024-01-31T12:00:00Z", "2024-01-31T11:00:00Z"),
        ({"lookback": 0.5}, "2024-01-31T12:00:00Z", "2024-01-31T11:59:59Z"),
        ({"lookback": 0.1}, "2024-01-31T12:00:00.00Z", "2024-01-31T11:59:59.90Z"),
        ({"lookback": timedelta(0, 60, 1)}, "2024-03-01T00:00:00.000000Z", "2024-02-29T23:58:59.999999Z"),
        ({"lookback": timedelta(days=31)}, "2024-01-02T00:00:00.00+02:00", "2024-01-01T02:00:00.00+02:00"),
        ({"lookback": 10**9, "initial": "0001-01-01T00:00:00Z"}, "0001-01-02T00:00:00Z", "0001-01-01T00:00:00Z"),
        ({"lookback": 0, "timezone": "Europe/Berlin"}, "2024-10-27T02:30:00", "2024-10-27T01:30:00"),
        ({"format": "int", "initial": 0}, "1000", "999"),
        ({"format": "int", "initial": 0, "lookback": 50}, "1000", "950"),
        ({"format": "int", "initial": 0, "lookback": 0}, "1000", "1000"),
        ({"format": "int", "initial": 990, "lookback": 50}, "1000", "990"),
        ({"format": "int", "initial": "0", "lookback": 1}, "1" + "0" * 40, "9" * 40),
        ({"format": "epoch", "initial": 0}, "1706702400", "1706702399"),
        ({"format": "epoch", "initial": 0, "lookback": timedelta(minutes=1)}, "1706702400.123", "1706702340.123"),
        ({"format": "epoch_ms", "initial": 0, "lookback": 60}, "1706702400123", "1706702340123"),
        ({"format": "epoch", "initial": 1706702400.5}, "1706702401", "1706702400"),
        ({"format": "epoch", "initial": 1706702400.5}, "1706702401.4", "1706702401.3"),
        ({"format": "%d.%m.%Y", "timezone": "UTC", "initial": "01.01.2024"}, "01.03.2024", "29.02.2024"),
    ],
)  # fmt: skip
def test_a_run_sends_the_mark_minus_the_lookback_in_the_notation_of_the_mark(
    changes: dict[str, Any], mark: str, since: str
) -> None:
    assert incremental(**changes).since(mark) == since


@pytest.mark.parametrize("mark", ["2024-01-01T00:00:00Z", "2023-12-31 22:00:00.000-02:00"])
@pytest.mark.parametrize("lookback", [None, 0, 86400])
def test_a_mark_that_is_the_initial_value_is_sent_as_it_is(mark: str, lookback: int | None) -> None:
    assert incremental(lookback=lookback).since(mark) == mark


def test_the_lookback_has_an_effect_if_the_initial_value_is_set_to_a_time_after_the_mark() -> None:
    start = incremental(initial="2025-01-01T00:00:00Z", lookback=3600)
    assert start.since("2024-12-31T23:59:59Z") == "2024-12-31T22:59:59Z"
    assert incremental(initial="0002-01-01T00:00:00Z", lookback=10**9).since("0001-01-02T00:00:00Z") == (
        "0001-01-02T00:00:00Z"
    )


@pytest.mark.parametrize("initial", ["2024-10-27T02:30:00", "2024-01-01"])
def test_the_first_run_sends_the_initial_value_as_it_is(initial: str) -> None:
    assert incremental(initial=initial, timezone="Europe/Berlin", lookback=0).since(initial) == initial


def test_the_initial_value_in_the_notation_of_the_mark_is_not_after_the_initial_value() -> None:
    start = incremental(initial="2024-01-01T00:00:00.999Z", lookback=86400)
    assert start.since("2024-01-01T12:00:00Z") == "2024-01-01T00:00:00Z"
    assert start.since("2024-01-01T12:00:00+01:00") == "2024-01-01T01:00:00+01:00"


def test_a_mark_in_another_format_is_an_error() -> None:
    with pytest.raises(ValueError, match="'1706702400' is not a date or time"):
        incremental().since("1706702400")


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        ({}, "2026-01-31T12:30:15Z"),
        ({"initial": "2024-01-01T00:00:00.000+01:00"}, "2026-01-31T13:30:15.987+01:00"),
        ({"initial": "2024-01-01", "timezone": "UTC"}, "2026-01-31"),
        ({"initial": "2024-01-01T00:00", "timezone": "Asia/Tokyo"}, "2026-01-31T21:30"),
        ({"initial": 0, "format": "epoch"}, "1769862615"),
        ({"initial": 0, "format": "epoch_ms"}, "1769862615987"),
        ({"initial": "0.0", "format": "epoch"}, "1769862615.9"),
        ({"initial": "01/01/24 1:00 PM", "format": "%d/%m/%y %I:%M %p", "timezone": "UTC"}, "31/01/26 12:30 PM"),
    ],
)
def test_the_end_of_the_period_is_the_start_of_the_run_in_the_notation_of_the_initial_value(
    changes: dict[str, Any], end: str
) -> None:
    assert incremental(end_param="until", **changes).end(STARTED) == end
    assert incremental(**changes).end(STARTED) is None


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"field": 'attributes."a.b"'},
        {"param": None, "client_side": True},
        {"param": None, "descending": True},
        {"param": "since", "client_side": True, "descending": True},
        {"value": "updatedAt ge {mark} and {other}"},
        {"param_in": "header"},
        {"param_in": "body", "param": "filter.0.from"},
        {"end_param": "until"},
        {"key": "account"},
        {"lookback": 0},
        {"lookback": 1.5},
        {"lookback": timedelta(hours=1)},
        {"initial": "2024-01-01", "timezone": "Europe/Berlin"},
        {"format": "epoch", "initial": 0},
        {"format": "epoch", "initial": 1.5},
        {"format": "epoch", "initial": "1706702400.123"},
        {"format": "epoch_ms", "initial": -1, "end_param": "until"},
        {"format": "int", "initial": "0", "lookback": 100},
        {"format": "%Y%m%d", "initial": 20240101, "timezone": "UTC"},
        {"format": "%Y-%m-%dT%H:%M:%S%z", "initial": "2024-01-01T00:00:00+0100"},
    ],
)
def test_valid_parameters_pass(changes: dict[str, Any]) -> None:
    incremental(**changes).check("shop", is_rendered=False)
    incremental(**changes).check("shop", is_rendered=True)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"field": ""}, "field of Incremental is ''. Set it to text that is not empty."),
        ({"field": None}, "field of Incremental is None. Set it to text that is not empty."),
        ({"param": ""}, "param of Incremental is ''. Set it to text that is not empty."),
        ({"end_param": 7}, "end_param of Incremental is 7. Set it to text that is not empty."),
        ({"key": ""}, "key of Incremental is ''. Set it to text that is not empty."),
        ({"key": 7}, "key of Incremental is 7. Set it to text that is not empty."),
        ({"value": None}, "value of Incremental is None. Set it to text that is not empty."),
        *(
            ({"field": field}, "of Incremental is not a path of keys. Write keys joined by dots")
            for field in ("items[].updated", "items.*", "@", "a..b", "a b", "updated?", '"open', "a.", " ")
        ),
        ({"value": "updatedAt ge mark"}, "value 'updatedAt ge mark' of Incremental does not contain {mark}"),
        ({"value": "{ mark }"}, "does not contain {mark}, so it would never change. Add {mark}."),
        ({"param_in": "path"}, "param_in of Incremental is 'path'. Set it to one of query, header, body."),
        ({"param": None}, "param of Incremental is not set, so each run would read all rows."),
        ({"end_param": "since"}, "param and end_param of Incremental are the same. Correct one of them."),
        ({"format": "rfc3339"}, "Incremental: format 'rfc3339' is not supported."),
        ({"format": None}, "format of Incremental is None. Set it to text."),
        ({"format": ["iso"]}, "format of Incremental is ['iso']. Set it to text."),
        ({"format": "%H:%M"}, "Incremental: '%H:%M' is not the pattern of a complete date or time."),
        ({"timezone": "Mars"}, "Incremental: timezone 'Mars' is not known."),
        ({"timezone": UTC}, "timezone of Incremental is datetime.timezone.utc. Set it to text."),
        ({"format": "epoch", "initial": 0, "timezone": "UTC"}, "timezone of Incremental has no effect with the"),
        ({"format": "int", "initial": 0, "end_param": "to"}, "end_param of Incremental is a time, and"),
        *(
            ({"lookback": lookback}, "Set it to a timedelta or a number of seconds that is not negative.")
            for lookback in (-1, True, float("nan"), float("inf"), "60", timedelta(seconds=-1))
        ),
        *(
            ({"format": "int", "initial": 0, "lookback": lookback}, "Set it to an integer that is not negative.")
            for lookback in (-1, True, 1.5, timedelta(1))
        ),
        *(
            ({"initial": initial}, f"initial of Incremental is {initial!r}. Set it to text or a number.")
            for initial in (None, True, STARTED, [])
        ),
        ({"initial": ""}, "initial of Incremental does not match its format 'iso': '' is not a date or time"),
        ({"initial": 1706702400}, "initial of Incremental does not match its format 'iso': '1706702400' is not a date"),
        ({"initial": "2024-01-01"}, "'2024-01-01' has no offset from UTC, and timezone is not set."),
        ({"format": "epoch", "initial": float("nan")}, "does not match its format 'epoch': 'nan' is not a number."),
        ({"format": "int", "initial": 1.5}, "does not match its format 'int': '1.5' is not an integer."),
    ],
)  # fmt: skip
def test_invalid_parameters_are_errors_that_say_what_to_do(changes: dict[str, Any], problem: str) -> None:
    for is_rendered in (False, True):
        with pytest.raises(ConfigurationError) as caught:
            incremental(**changes).check("shop", is_rendered=is_rendered)
        assert str(caught.value).startswith("Connection 'shop': ")
        assert problem in str(caught.value)


@pytest.mark.parametrize("name", ["field", "param", "initial", "value", "end_param", "key"])
def test_templates_and_results_of_other_tasks_are_checked_after_they_were_rendered(name: str) -> None:
    @task
    def result() -> str:
        return ""

    with DAG("results"):
        values = ["{{ nothing }}", "{% if nothing %}{% endif %}", result()]
    for value in values:
        unrendered = incremental(**{name: value})
        unrendered.check("shop", is_rendered=False)
        with pytest.raises(ConfigurationError):
            dataclasses.replace(unrendered, **{name: ""}).check("shop", is_rendered=True)


class Reader(RendersValues, BaseOperator):
    """An operator with an incremental extract in a template field."""

    template_fields = ("incremental",)

    def __init__(self, *, incremental: Incremental, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.incremental = incremental

    def execute(self, context: Any) -> None: ...


def test_templates_are_rendered_into_a_copy() -> None:
    template = incremental(
        field="{{ n }}", param="{{ n }}.from", initial="{{ n }}", value="{{ n }} ge {mark}", end_param="to{{ n }}",
        key="k{{ n }}",
        format="%d.%m.%Y", lookback=timedelta(1), client_side=True,
    )  # fmt: skip
    reader = Reader(task_id="read", incremental=template)
    reader.render_template_fields({"n": 7})
    assert reader.incremental == incremental(
        field="7", param="7.from", initial="7", value="7 ge {mark}", end_param="to7", key="k7",
        format="%d.%m.%Y", lookback=timedelta(1), client_side=True,
    )  # fmt: skip
    assert template.field == "{{ n }}"


def test_a_number_stays_a_number_when_templates_are_rendered() -> None:
    reader = Reader(task_id="read", incremental=incremental(initial=1706702400, format="epoch"))
    reader.render_template_fields({})
    assert reader.incremental.initial == 1706702400


def test_the_text_that_airflow_stores_has_the_parameters_that_are_set() -> None:
    assert repr(incremental()) == (
        "Incremental(field='updatedAt', param='since', initial='2024-01-01T00:00:00Z')"
    )  # fmt: skip
    assert repr(incremental(initial=0, format="int", lookback=timedelta(1), value="gt {mark}", descending=True)) == (
        "Incremental(field='updatedAt', param='since', initial=0, format='int', lookback=datetime.timedelta(days=1), "
        "value='gt {mark}', descending=True)"
    )


def test_the_places_are_those_of_paginators() -> None:
    assert get_args(ParamIn) == PLACES


def test_the_keys_of_the_field_can_be_quoted() -> None:
    assert incremental(field="a.b").keys == ("a", "b")
    assert incremental(field='a."b.c"."d\\"[]"').keys == ("a", "b.c", 'd"[]')
    assert incremental(field="@odata.etag").keys == ("@odata", "etag")
