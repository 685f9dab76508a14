"""When a mark moves, and when a run may store its rows."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_oauth.exceptions import ConfigurationError, OAuthError
from airflow_provider_oauth.runtime.mark_record import MarkRecord, Run
from tests.unit.runtime.marks import at, begun, finished, settings

# The mark


def test_the_mark_does_not_move_if_the_run_has_found_no_rows() -> None:
    record = finished(finished(None, 1, "150"), 2, None)

    assert record.mark == "150"
    assert record.runs["run2"].until is None


def test_the_mark_does_not_move_back_if_a_run_finds_only_older_rows() -> None:
    record = finished(finished(None, 1, "150"), 2, "147")

    assert record.mark == "150"
    assert record.runs["run2"].until == "147"


def test_values_are_compared_by_their_position_not_as_text() -> None:
    assert finished(finished(None, 1, "999"), 2, "1000").mark == "1000"
    assert finished(finished(None, 1, "1000"), 2, "999").mark == "1000"


def test_the_mark_stays_where_a_user_has_set_it_back_while_the_run_was_reading() -> None:
    record = begun(finished(None, 1, "150"), 2)
    run = record.runs["run2"]
    record = record.set("120").finish("run2", run, "180", settings())

    assert record.mark == "120"
    assert record.runs["run2"].until == "180"


def test_the_mark_moves_if_the_run_has_read_all_rows_after_the_mark_that_a_user_has_set() -> None:
    record = begun(None, 1)

    assert record.set("120").finish("run1", record.runs["run1"], "180", settings()).mark == "180"


def test_the_mark_stays_where_a_user_has_set_it_forward_while_the_run_was_reading() -> None:
    record = begun(None, 1)

    assert record.set("300").finish("run1", record.runs["run1"], "180", settings()).mark == "300"


def test_runs_that_read_at_the_same_time_do_not_move_the_mark_over_rows_that_no_run_has_read() -> None:
    record = begun(begun(None, 1), 2)
    first, second = record.runs["run1"], record.runs["run2"]
    record = record.finish("run2", second, "180", settings())
    record = record.finish("run1", first, "170", settings())

    assert record.mark == "180"
    assert [run.until for run in record.runs.values()] == ["170", "180"]


def test_finishing_twice_changes_nothing() -> None:
    record = finished(None, 1, "150")

    assert record.finish("run1", replace(record.runs["run1"], until=None), "150", settings()) == record


def test_a_run_whose_entry_was_overwritten_is_in_the_record_again_when_it_has_finished() -> None:
    record = begun(None, 1)
    run = record.runs["run1"]
    record = replace(record, runs={}).finish("run1", run, "150", settings())

    assert record.mark == "150"
    assert record.runs == {"run1": replace(run, until="150")}


def test_an_entry_that_a_user_has_set_while_the_run_was_reading_stays() -> None:
    record = begun(None, 1)
    run = record.runs["run1"]
    record = record.set_run("run1", "50", at(1), at(2)).finish("run1", run, "150", settings())

    assert record.mark == "150"
    assert record.runs["run1"] == replace(run, since="50", set_by_user=True)


# Attempts that replace rows of another attempt


def other_has_finished(mark: str | None) -> tuple[MarkRecord, Run]:
    """A record in which another attempt of run 2 has finished, and what this attempt was to read."""
    record = begun(finished(None, 1, "150"), 2)
    run = record.runs["run2"]
    return record.finish("run2", run, mark, settings()), run


def test_the_mark_goes_back_if_an_attempt_has_replaced_later_rows_of_another_attempt() -> None:
    record, run = other_has_finished("180")
    record = record.finish("run2", run, "170", settings())

    assert (record.mark, record.runs["run2"].until) == ("170", "170")
    assert record.finish("run2", run, "170", settings()) == record


def test_the_mark_goes_back_if_an_attempt_without_rows_has_replaced_rows_of_another_attempt() -> None:
    record, run = other_has_finished("180")
    record = record.finish("run2", run, None, settings())

    assert record.mark == record.runs["run2"].until == run.since
    assert record.finish("run2", run, None, settings()) == record


def test_the_mark_does_not_move_if_an_attempt_that_has_read_less_may_have_replaced_the_rows() -> None:
    record, run = other_has_finished("180")
    record = record.finish("run2", run, "190", settings())

    assert record.mark == record.runs["run2"].until == "180"
    assert record.finish("run2", run, "190", settings()) == record


def test_the_mark_does_not_go_back_if_an_attempt_has_read_as_much_as_the_other() -> None:
    record, run = other_has_finished("180")

    assert record.finish("run2", run, "180", settings()) == record


def test_the_mark_does_not_go_back_if_the_other_attempt_has_found_no_rows() -> None:
    record, run = other_has_finished(None)

    assert record.finish("run2", run, "148", settings()).mark == "150"


def test_the_mark_stays_if_a_run_has_not_read_all_rows() -> None:
    record = finished(finished(None, 1, "150"), 2, "180")
    for number in (2, 3):
        record = begun(record, number)
        record = record.finish(f"run{number}", record.runs[f"run{number}"], None, settings())

        assert record.mark == "180"


def test_the_mark_stays_if_a_run_that_was_cleared_finds_that_its_rows_were_deleted() -> None:
    record = finished(finished(None, 1, "150"), 2, "180")

    assert finished(record, 2, None).mark == "180"


# Confirming


def test_a_run_whose_entry_is_in_the_record_is_confirmed() -> None:
    record = begun(None, 1)

    assert record.confirm("run1", record.runs["run1"], settings()) == record


def test_a_run_whose_entry_was_overwritten_is_confirmed_and_in_the_record_again() -> None:
    record = begun(None, 1)

    assert replace(record, runs={}).confirm("run1", record.runs["run1"], settings()) == record


@pytest.mark.parametrize(
    "change",
    [
        {"runs": {"run1": Run(since="100", started=at(1), run_after=at(1), until="150")}},
        {"runs": {"run1": Run(since="100", started=at(2), run_after=at(1))}},
        {"runs": {"run1": Run(since="90", started=at(1), run_after=at(1), set_by_user=True)}},
        {"fingerprint": {"endpoint": "b"}},
    ],
)
def test_a_run_is_not_confirmed_if_another_attempt_or_a_user_has_changed_its_entry(change: dict[str, Any]) -> None:
    record = begun(None, 1)
    expected = (
        "Connection 'shop': the mark of the task 'contacts' in the DAG 'crm' was changed while the run 'run1' was "
        "reading: by another attempt of this run, by a task with the same key, or by a user. Nothing was stored. Run "
        "the task again."
    )
    with pytest.raises(OAuthError, match=f"^{re.escape(expected)}$") as caught:
        replace(record, **change).confirm("run1", record.runs["run1"], settings())

    assert not isinstance(caught.value, ConfigurationError)
