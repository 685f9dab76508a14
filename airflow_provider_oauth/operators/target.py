"""Checks the ``path`` of an extract, and opens its storage."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook
from airflow.sdk import Asset
from airflow.sdk.definitions.asset import AssetRef

from airflow_provider_oauth.exceptions import ApiError, ConfigurationError, OAuthError
from airflow_provider_oauth.extract.rows import InvalidPage
from airflow_provider_oauth.extract.storage import LOCAL, StorageError, new_file, storage_errors
from airflow_provider_oauth.extract.writers.file_format import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow.sdk import BaseOperator, Context, ObjectStoragePath
    from jinja2 import Environment

    from airflow_provider_oauth.extract.storage import NewFile

#: Variables of Airflow's templates that can differ between the mapped tasks of a run.
VARYING = ("task", "macros")
#: Attributes of ``ti`` that differ between the mapped tasks of a run.
VARYING_TI_ATTRIBUTES = r"\b(?:ti|task_instance)\b[^}]*\b(?:map_index|rendered_map_index|task|id|key)\b"
#: Variables of Airflow's templates that are the same in all mapped tasks of a run.
CONSTANT = re.compile(
    r"(ds|ts|logical_date|data_interval|prev_|dag|run_id|params|var|conn|triggering_|inlet|outlet|test_mode|start_date|"
    r"task_instance_key_str|expanded_ti_count|task_reschedule_count|exception|reason|inlets|outlets)\w*"
)


@contextmanager
def extract_file(conn_id: str, path: str | None, *, private: bool) -> Iterator[NewFile]:
    """Yield a file that replaces the one at ``path`` if no exception is raised.

    :param conn_id: ID of the connection of the task, for errors
    :param path: the path or URL of the file, which was checked; None to store nothing
    :param private: whether only the owner may read a local file
    :raises ConfigurationError: if Airflow does not support the storage, or its connection does not exist
    :raises ApiError: if the rows cannot be written in the format of the file
    :raises OAuthError: if the storage fails
    """
    try:
        target = None if path is None else _target(conn_id, path)
        with new_file(target, private=private) as file:
            yield file
    except StorageError as error:
        raise OAuthError(
            f"Connection {conn_id!r}: the file {path!r} cannot be stored. An incomplete file is never stored; a file "
            "that was there before stays. Check the storage: its connection, permissions, free space and network. "
            f"({error})"
        ) from error
    except InvalidPage as error:
        raise ApiError(
            f"Connection {conn_id!r}: the file {path!r} cannot be written in its format: the list {error}."
        ) from None


def _target(conn_id: str, path: str) -> ObjectStoragePath:
    """Return the file to write to.

    It must not be created before the task runs: Airflow keeps file systems in a cache, and s3fs cannot be used after a
    fork.
    """
    from airflow.sdk import ObjectStoragePath

    storage_conn_id = urlsplit(path).netloc.rpartition("@")[0]
    if storage_conn_id:
        _check_connection(conn_id, path, storage_conn_id)
    try:
        with storage_errors():
            target = ObjectStoragePath(path)
            if target.protocol not in LOCAL:  # otherwise Airflow would import the storages of all providers
                _ = target.fs  # raises an error for an unsupported storage before the pages are fetched
    except StorageError as error:
        if not isinstance(error.__cause__, (ValueError, ImportError)):
            raise
        raise ConfigurationError(
            f"Connection {conn_id!r}: Airflow cannot use the storage of path {path!r}: {error.__cause__}. Install the "
            "Airflow provider of this storage, or use another storage."
        ) from error.__cause__
    return target


def _check_connection(conn_id: str, path: str, storage_conn_id: str) -> None:
    """Check that the connection of the storage exists. Otherwise s3fs would use the credentials of the worker."""
    try:
        BaseHook.get_connection(storage_conn_id)
    except AirflowNotFoundException:
        raise ConfigurationError(
            f"Connection {conn_id!r}: the connection {storage_conn_id!r} in path {path!r} cannot be found. Create it, "
            "or correct its ID in the path."
        ) from None


def check_path(conn_id: str, path: str | None) -> None:
    """Check the rendered ``path``.

    :raises ConfigurationError: if it is empty or relative, or if its suffix is unknown
    """
    if path is None:
        return
    if not path.strip():
        raise ConfigurationError(
            f"Connection {conn_id!r}: path is empty. Set it to the path of a file, or remove it to write no file."
        )
    url = urlsplit(path)
    if url.scheme in LOCAL and (url.netloc.rpartition("@")[2] or not url.path.startswith("/")):
        raise ConfigurationError(
            f"Connection {conn_id!r}: path {path!r} is relative, so the file would be in the worker's current folder. "
            "Set path to an absolute path such as '/data/items.jsonl', or to a URL."
        )
    if not path.endswith(SUFFIXES):
        raise ConfigurationError(
            f"Connection {conn_id!r}: path {path!r} has no known suffix, so the format of the file is unknown. Use "
            f"one of these suffixes: {', '.join(SUFFIXES)}."
        )


def check_mapped_path(operator: BaseOperator, conn_id: str, context: Context) -> None:
    """Check that the mapped tasks of a run do not all write to the same file.

    :raises ConfigurationError: if they do
    """
    map_index = getattr(context.get("ti"), "map_index", None)
    if map_index is None or map_index < 0:
        return
    template = operator.dag.task_dict[operator.task_id]
    arguments = getattr(template, "partial_kwargs", None)
    path = getattr(template, "path", None) if arguments is None else arguments.get("path")
    if isinstance(path, str) and not _may_differ(path, operator.get_template_env()):
        raise ConfigurationError(
            f"Connection {conn_id!r}: path {path!r} is the same for all mapped tasks, so they would overwrite each "
            "other's files. Add {{ ti.map_index }} to it, as in '/data/items-{{ ti.map_index }}.jsonl'."
        )


def _may_differ(path: str, environment: Environment) -> bool:
    """Return whether the mapped tasks of a run can render ``path`` differently.

    :param path: the template
    :param environment: has the filters of Airflow and of the DAG
    """
    from jinja2 import TemplateSyntaxError, meta

    try:
        names = meta.find_undeclared_variables(environment.parse(path))
    except TemplateSyntaxError:  # Airflow reports it
        return True
    if names & {"ti", "task_instance"} and re.search(VARYING_TI_ATTRIBUTES, path):
        return True
    others = names - {"ti", "task_instance"}
    return any(name in VARYING or not CONSTANT.fullmatch(name) for name in others)


def add_to_asset_events(outlets: Iterable[Any], context: Context, **extra: Any) -> None:
    """Add values to the events of the assets that a task updates.

    :param outlets: the assets of the task. An ``AssetAlias`` has no event before an asset is added to it
    :param context: the context of the task
    :param extra: the values
    """
    events = context.get("outlet_events")
    for outlet in outlets:
        if events is not None and isinstance(outlet, (Asset, AssetRef)):
            events[outlet].extra.update(extra)
