"""Checks the parameters of folders of parts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.extract.writers.file_format import FORMATS, JSON_LINES, SUFFIXES, file_format

if TYPE_CHECKING:
    from airflow_provider_oauth.extract.writers.file_format import FileFormat
    from airflow_provider_oauth.operators.extract import ExtractOperator


def is_folder(path: Any) -> bool:
    """Return whether ``path`` is a folder of parts."""
    return isinstance(path, str) and path.endswith("/")


def check_parts(task: ExtractOperator) -> None:
    """Check the parameters of a task about folders of parts.

    :raises ConfigurationError: if one of them is invalid
    """
    conn_id = task.oauth_conn_id
    for name in ("part_rows", "part_bytes"):
        value = getattr(task, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ConfigurationError(
                f"Connection {conn_id!r}: {name} is {value!r}. Set it to an integer of at least 1."
            )
    if task.part_suffix not in SUFFIXES:
        raise ConfigurationError(
            f"Connection {conn_id!r}: part_suffix is {task.part_suffix!r}, so the format of the parts is unknown. Use "
            f"one of these suffixes: {', '.join(SUFFIXES)}."
        )
    if not isinstance(task.resume_within, timedelta):
        raise ConfigurationError(
            f"Connection {conn_id!r}: resume_within is {task.resume_within!r}. Set it to a timedelta, such as "
            "timedelta(hours=6)."
        )
    if is_folder(task.path):
        _check_folder(task, task.path)


def rows_format(task: ExtractOperator, path: str | None) -> FileFormat:
    """Return the format of the file or the parts of a task.

    :param task: the task
    :param path: the rendered path, which was checked; None to store nothing
    :raises ConfigurationError: if a parameter does not fit the format
    """
    if is_folder(path):
        _check_folder(task, path)
    return file_format(
        task.oauth_conn_id,
        f"{path}part{task.part_suffix}" if is_folder(path) else path,
        columns=task.columns,
        extra_columns=task.extra_columns,
        csv_escape=task.csv_escape,
    )


def _check_folder(task: ExtractOperator, path: str | None) -> None:
    """Check the parameters that a folder of parts cannot have.

    :raises ConfigurationError: if there is one
    """
    if task.xcom_fields:
        raise ConfigurationError(
            f"Connection {task.oauth_conn_id!r}: xcom_fields is set, but path {path!r} is a folder of parts. An "
            "attempt that continues after the parts of another one does not have their rows. Remove xcom_fields, or "
            "write a single file."
        )
    if task.columns is None and FORMATS[task.part_suffix] != JSON_LINES:
        raise ConfigurationError(
            f"Connection {task.oauth_conn_id!r}: path {path!r} is a folder of parts with the suffix "
            f"{task.part_suffix!r}, but columns is not set, so the parts could have different columns. Set columns."
        )
