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
from airflow_provider_oauth.operators.parts import is_folder

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
    with storage_failures(conn_id, path):
        target = None if path is None else target_of(conn_id, path)
        with new_file(target, private=private) as file:
            yield file


@contextmanager
def storage_failures(conn_id: str, path: str | None) -> Iterator[None]:
    """Convert the errors of files that cannot be written.

    :param conn_id: ID of the connection of the task, for errors
    :param path: the path or URL of the file or folder
    :raises ApiError: if the rows cannot be written in the format of the file
    :raises OAuthError: if the storage fails
    """
    kind = "folder" if is_folder(path) else "file"
    try:
        yield
    except StorageError as error:
        kept = "The parts that are complete stay" if kind == "folder" else "A file that was there before stays"
        raise OAuthError(
            f"Connection {conn_id!r}: the {kind} {path!r} cannot be stored. An incomplete file is never stored. "
            f"{kept}. Check the storage: its connection, permissions, free space and network. ({error})"
        ) from error
    except InvalidPage as error:
        raise ApiError(
            f"Connection {conn_id!r}: the {kind} {path!r} cannot be written in its format: the list {error}."
        ) from None


def target_of(conn_id: str, path: str) -> ObjectStoragePath:
    """Return the file or folder to write to.

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
    if not is_folder(path) and not path.endswith(SUFFIXES):
        raise ConfigurationError(
            f"Connection {conn_id!r}: path {path!r} has no known suffix, so the format of the file is unknown. Use "
            f"one of these suffixes: {', '.join(SUFFIXES)}. For a folder of parts, end path with a slash."
        )


def check_mapped_path(operator: BaseOperator, conn_id: str, context: Context) -> None:
    """Check that the mapped tasks of a run do not all write to the same file or folder.

    :raises ConfigurationError: if they do
    """
    if not _is_mapped(context):
        return
    path = _template_of(operator, "path")
    if isinstance(path, str) and not _may_differ(path, operator.get_template_env()):
        raise ConfigurationError(
            f"Connection {conn_id!r}: path {path!r} is the same for all mapped tasks, so they would overwrite each "
            "other's files. Add {{ ti.map_index }} to it, as in '/data/items-{{ ti.map_index }}.jsonl'."
        )


def check_mapped_key(operator: BaseOperator, conn_id: str, key: str | None, context: Context) -> None:
    """Check that each mapped task of a run has its own mark.

    :param operator: the operator
    :param conn_id: ID of the connection of the task, for errors
    :param key: ``key`` of ``Incremental``, rendered
    :param context: the context of the task
    :raises ConfigurationError: if several mapped tasks have the same mark
    """
    if not _is_mapped(context):
        return
    template = getattr(_template_of(operator, "incremental"), "key", None)
    if not key or (isinstance(template, str) and not _may_differ(template, operator.get_template_env())):
        raise ConfigurationError(
            f"Connection {conn_id!r}: the mapped tasks of {operator.task_id!r} would share a mark, so each would miss "
            "rows. Set key of Incremental to a value that identifies what the mapped task reads in all runs, such as "
            "key='{{ task.endpoint }}'."
        )


def _is_mapped(context: Context) -> bool:
    map_index = getattr(context.get("ti"), "map_index", None)
    return map_index is not None and map_index >= 0


def _template_of(operator: BaseOperator, name: str) -> Any:
    """Return a parameter of a task as it is in the DAG file; None if each mapped task has its own."""
    template = operator.dag.task_dict[operator.task_id]
    arguments = getattr(template, "partial_kwargs", None)
    return getattr(template, name, None) if arguments is None else arguments.get(name)


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
