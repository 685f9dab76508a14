"""From which value a run of an incremental task reads."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.runtime.mark_record import MAX_RUNS, MarkName, MarkRecord, Run
from tests.unit.runtime.marks import NAME, at, begun, finished, settings


def full() -> MarkRecord:
    """A record with the greatest number of runs."""
    record = None
    for number in range(MAX_RUNS):
        record = finished(record, number, str(200 + number))
    assert record is not None
    return record


# The first run


def test_the_first_run_reads_from_initial() -> None:
    record = begun(None, 1)

    assert record.runs == {"run1": Run(since="100", started=at(1), run_after=at(1))}
    assert (record.mark, record.is_initial) == ("100", True)


def test_the_next_run_reads_from_the_mark_minus_the_lookback() -> None:
    record = begun(finished(None, 1, "150"), 2)

    assert record.mark == "150"
    assert record.runs["run2"].since == "145"


def test_the_first_run_reads_from_initial_again_if_it_has_found_no_rows() -> None:
    record = begun(finished(None, 1, None), 2)

    assert (record.mark, record.is_initial) == ("100", True)
    assert record.runs["run2"].since == "100"


@pytest.mark.parametrize("initial", ["90", "110"])
def test_the_mark_is_the_earliest_initial_until_a_run_has_found_rows(initial: str) -> None:
    record = begun(begun(None, 1), 2, initial=initial)

    assert record.runs["run2"].since == min("100", initial, key=int)


def test_a_retry_of_the_first_run_reads_from_an_earlier_initial() -> None:
    record = begun(begun(None, 1), 1, initial="90")

    assert record.runs["run1"].since == record.mark == "90"


def test_a_retry_of_the_first_run_does_not_read_from_a_later_initial() -> None:
    assert begun(begun(None, 1), 1, initial="110").runs["run1"].since == "100"


def test_initial_has_no_effect_after_a_run_has_found_rows() -> None:
    record = begun(finished(None, 1, "100"), 2, initial="90")

    assert (record.mark, record.is_initial, record.runs["run2"].since) == ("100", False, "95")


@pytest.mark.parametrize(
    "changes", [{"fingerprint": {"endpoint": "b"}}, {"fingerprint": {}}, {"format": "epoch"}, {"timezone": "UTC"}]
)
def test_the_record_starts_again_for_another_request_until_a_run_has_found_rows(changes: dict[str, Any]) -> None:
    record = begun(begun(None, 1), 2, initial="110", **changes)

    assert (record.mark, record.is_initial, list(record.runs)) == ("110", True, ["run2"])
    assert record.fingerprint == settings(**changes).fingerprint
    assert (record.format, record.timezone) == (settings(**changes).format, settings(**changes).timezone)


# Runs that were retried or cleared


def test_a_run_that_was_retried_reads_the_same_again() -> None:
    record = begun(finished(None, 1, "150"), 2)
    record = finished(record, 3, "160")
    again, run = record.begin("run2", at(2), settings(), at(9))

    assert (run.since, run.started) == ("145", at(2))
    assert again == record


def test_a_run_that_was_cleared_reads_the_same_again_and_does_not_move_the_mark_back() -> None:
    record = finished(finished(None, 1, "150"), 2, "170")
    record = finished(record, 1, "140")

    assert record.mark == "170"
    assert (record.runs["run1"].since, record.runs["run1"].until) == ("100", "140")


def test_a_run_that_was_cleared_and_finds_later_rows_moves_the_mark() -> None:
    assert finished(finished(finished(None, 1, "150"), 2, "170"), 1, "180").mark == "180"


def test_a_run_sends_the_same_end_again() -> None:
    def end_of(started: datetime) -> str:
        return f"{started:%H}"

    record = begun(None, 1, end_of=end_of)
    _, run = record.begin("run1", at(1), settings(end_of=end_of), at(5))

    assert record.runs["run1"].end == run.end == "13"


def test_the_end_is_the_start_of_the_first_attempt_even_if_the_task_had_no_end_param_then() -> None:
    _, run = begun(None, 1).begin("run1", at(1), settings(end_of=lambda started: f"{started:%H}"), at(5))

    assert run.end == "13"


# Old runs


def test_a_run_that_is_older_than_a_full_record_is_refused() -> None:
    record = full()
    expected = (
        "Connection 'shop': the mark of the task 'contacts' in the DAG 'crm' lists the last 100 runs, and the "
        "run 'backfill 1' is older, so the value that it sent is not known. Set this value: airflow oauth "
        "mark crm contacts --run 'backfill 1' --from VALUE"
    )
    with pytest.raises(ConfigurationError, match=f"^{re.escape(expected)}$"):
        record.begin("backfill 1", at(0) - timedelta(seconds=1), settings(), at(200))


def test_an_older_run_is_new_if_the_record_is_not_full() -> None:
    record = full()
    record = replace(record, runs={run_id: run for run_id, run in record.runs.items() if run_id != "run50"})

    assert record.begin("backfill", at(-1), settings(), at(200))[1].since == str(int(record.mark) - 5)


def test_an_older_run_that_a_user_has_set_reads_from_the_value_of_the_user() -> None:
    record = full().set_run("run-5", "7", at(-5), at(200))
    again, run = record.begin("run-5", at(-5), settings(), at(201))

    assert run.since == "7"
    assert again == record
    assert len(again.runs) == MAX_RUNS + 1


def test_entries_of_users_do_not_count_as_runs_of_a_full_record() -> None:
    record = begun(None, 50)
    for number in range(MAX_RUNS):
        record = record.set_run(f"user{number}", "7", at(60 + number), at(200))

    assert begun(record, 40).runs["run40"].since == "100"


def test_an_entry_of_a_user_is_not_the_oldest_run() -> None:
    record = full().set_run("run-5", "7", at(-5), at(200))

    with pytest.raises(ConfigurationError, match="run-1"):
        begun(record, -1)


def test_the_oldest_run_is_removed_from_a_full_record() -> None:
    record = begun(full(), 1000)

    assert len(record.runs) == MAX_RUNS
    assert "run0" not in record.runs
    assert {"run1", "run99", "run1000"} <= record.runs.keys()


def test_a_new_run_is_not_removed_if_it_is_as_old_as_the_oldest() -> None:
    record, _ = full().begin("same", at(0), settings(), at(200))

    assert "same" in record.runs
    assert "run0" not in record.runs


def test_of_the_entries_of_users_the_one_that_was_set_first_is_removed() -> None:
    record = begun(None, 1)
    for number in range(MAX_RUNS + 1):
        record = record.set_run(f"user{number}", "7", at(-number), at(number))

    assert len(record.runs) == MAX_RUNS + 1
    assert "user0" not in record.runs
    assert "run1" in record.runs


# Another request


def test_another_request_is_refused_and_the_error_names_what_has_changed() -> None:
    record = finished(None, 1, "150", fingerprint={"endpoint": "a", "request_params.q": "x", "method": "m"})
    expected = (
        "Connection 'shop': the mark of the task 'contacts' in the DAG 'crm' is '150', and was stored for another "
        "request. These parts have changed: endpoint, json, request_params.q. Change them back, or set the mark for "
        "the new request: airflow oauth mark crm contacts --set VALUE. These parts must be the same in all runs, "
        "so do not use templates such as {{ ds }} in them."
    )
    with pytest.raises(ConfigurationError, match=f"^{re.escape(expected)}$"):
        begun(record, 2, fingerprint={"endpoint": "b", "method": "m", "json": "j"})


def test_another_request_is_refused_for_a_run_that_was_retried() -> None:
    with pytest.raises(ConfigurationError, match="endpoint"):
        begun(finished(None, 1, "150"), 1, fingerprint={"endpoint": "b"})


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"format": "iso"}, "format"),
        ({"timezone": "UTC"}, "timezone"),
        ({"format": "iso", "timezone": "UTC"}, "format and timezone"),
    ],
)
@pytest.mark.parametrize("is_set", [False, True])
def test_another_format_or_timezone_is_refused(changes: dict[str, Any], names: str, is_set: bool) -> None:
    record = finished(None, 1, "150")
    record = record.set("150") if is_set else record
    expected = (
        f"is '150', and was stored with another {names}. Change it back, or delete the mark and set a new one: airflow "
        f"variables delete {NAME.variable}, then airflow oauth mark crm contacts --set VALUE"
    )
    with pytest.raises(ConfigurationError, match=f"{re.escape(expected)}$"):
        begun(record, 2, **changes)


def test_after_a_user_has_set_the_mark_the_next_run_may_send_another_request_but_not_the_run_after_it() -> None:
    record = finished(None, 1, "150").set("120")
    record = begun(record, 2, fingerprint={"endpoint": "b"})

    assert (record.mark, record.runs["run2"].since, record.fingerprint) == ("120", "115", {"endpoint": "b"})
    assert record.runs["run1"].until == "150"
    with pytest.raises(ConfigurationError, match="endpoint"):
        begun(record, 3)


def test_a_mark_that_a_user_has_set_before_the_first_run_is_used_instead_of_initial() -> None:
    record = begun(MarkRecord(name=NAME, mark="130"), 1)

    assert (record.runs["run1"].since, record.format, record.fingerprint) == ("125", "int", {"endpoint": "a"})


def test_a_run_does_not_move_a_mark_that_was_set_for_another_request_while_it_was_reading() -> None:
    record = finished(None, 1, "150")
    record = begun(record, 2)
    run = record.runs["run2"]
    other = begun(record.set("120"), 3, fingerprint={"endpoint": "b"})

    assert other.finish("run2", run, "180", settings()) == other


def test_an_entry_of_a_user_is_not_removed_by_another_request() -> None:
    record = begun(None, 1).set_run("run0", "50", at(0), at(2))

    with pytest.raises(ConfigurationError, match="endpoint"):
        begun(record, 2, fingerprint={"endpoint": "b"})


def test_a_mark_that_does_not_match_the_format_is_an_error() -> None:
    record = begun(finished(None, 1, "150"), 2)
    run = record.runs["run2"]
    record = replace(record, mark="March")
    expected = (
        "the mark of the task 'contacts' in the DAG 'crm' is not a value of the format 'int': invalid literal for "
        "int() with base 10: 'March'. Set it again: airflow oauth mark crm contacts --set VALUE"
    )
    with pytest.raises(ConfigurationError, match=re.escape(expected)):
        record.finish("run2", run, "180", settings())
    with pytest.raises(ConfigurationError, match=re.escape(expected)):
        begun(record, 3)


# Values that a user sets


def test_setting_the_mark_keeps_the_runs_and_forgets_the_request() -> None:
    record = finished(None, 1, "150")

    assert record.set("120") == replace(record, mark="120", fingerprint=None)


def test_setting_the_value_of_a_run_that_is_in_the_record_keeps_its_start_and_its_end() -> None:
    record = begun(None, 1, end_of=lambda started: "end")
    record = record.finish("run1", record.runs["run1"], "150", settings())

    assert record.set_run("run1", "50", at(1), at(9)).runs["run1"] == Run(
        since="50", started=at(1), run_after=at(1), end="end", set_by_user=True
    )


def test_the_value_of_a_run_that_is_not_in_the_record_starts_when_it_is_set() -> None:
    record = begun(None, 1).set_run("run0", "50", at(0), at(9))

    assert record.runs["run0"] == Run(since="50", started=at(9), run_after=at(0), set_by_user=True)


def test_a_run_with_a_value_of_a_user_does_not_move_the_mark_over_rows_that_no_run_has_read() -> None:
    record = finished(None, 1, "150").set_run("run2", "200", at(2), at(3))

    assert finished(record, 2, "250").mark == "150"


# Names


def test_the_variable_depends_on_the_dag_the_task_and_the_key() -> None:
    names = [
        MarkName(dag_id="a", task_id="b"),
        MarkName(dag_id="a", task_id="b", key="c"),
        MarkName(dag_id="a", task_id="b", key="d"),
        MarkName(dag_id="a", task_id="c"),
        MarkName(dag_id="b", task_id="b"),
        MarkName(dag_id="ab", task_id=""),
    ]

    assert len({name.variable for name in names}) == len(names)
    assert all(re.fullmatch("oauth_mark__[0-9a-f]{32}", name.variable) for name in names)


def test_the_variable_of_a_task_has_the_same_name_in_every_version() -> None:
    assert NAME.variable == "oauth_mark__6774a52f9b57658a2374ebfc6ea90bff"
    assert (
        MarkName(dag_id="crm", task_id="contacts", key="é 1").variable == "oauth_mark__1934a61a9e88d27aa9a178d11bb22016"
    )


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (None, "airflow oauth mark crm group.contacts --set VALUE"),
        ("eu", "airflow oauth mark crm group.contacts --key eu --set VALUE"),
        ("it's 5", """airflow oauth mark crm group.contacts --key 'it'"'"'s 5' --set VALUE"""),
        ("-5", "airflow oauth mark crm group.contacts --key=-5 --set VALUE"),
    ],
)
def test_the_command_in_an_error_can_be_pasted_into_a_shell(key: str | None, expected: str) -> None:
    assert MarkName(dag_id="crm", task_id="group.contacts", key=key).command("--set VALUE") == expected


def test_errors_name_the_key() -> None:
    name = MarkName(dag_id="crm", task_id="contacts", key="eu")

    assert name.label == "the mark of the task 'contacts' in the DAG 'crm' with the key 'eu'"
