"""Checks that the ``path`` of an incremental extract differs between the runs of a DAG, and fills in ``{mark}``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.exceptions import ConfigurationError

if TYPE_CHECKING:
    from jinja2 import Undefined
    from jinja2.nodes import Node, Template

#: Stands for the value that a run sends.
MARK = "{mark}"
#: The names in a template that have another value in each run.
RUN_NAMES = ("run_id", "ts", "ts_nodash", "logical_date")
#: Objects in a template that have an attribute ``run_id``.
RUN_OWNERS = ("dag_run", "ti", "task_instance")


def check_incremental(conn_id: str, incremental: Any, path: Any) -> None:
    """Check ``incremental`` and the template of ``path`` of a task.

    An incremental run has only the rows since the run before. If two runs wrote to the same path, the later run would
    overwrite rows that are not read again.

    :param conn_id: ID of the connection of the task, for errors
    :param incremental: the parameter, as it is in the DAG file
    :param path: the template
    :raises ConfigurationError: if one of them is invalid, if the path of an incremental task is the same for several
        runs, or if another task uses ``{mark}``
    """
    if incremental is not None:
        from airflow_provider_oauth.extract.incremental import Incremental

        if not isinstance(incremental, Incremental):
            raise ConfigurationError(
                f"Connection {conn_id!r}: incremental is {incremental!r}. Set it to Incremental(...) of "
                "airflow_provider_oauth.extract.incremental."
            )
        incremental.check(conn_id, is_rendered=False)
    _check_run_path(conn_id, path, is_incremental=incremental is not None)


def _check_run_path(conn_id: str, path: Any, *, is_incremental: bool) -> None:
    if is_incremental and path is None:
        raise ConfigurationError(
            f"Connection {conn_id!r}: incremental is set, but path is not. The mark may only move after the rows are "
            "stored in a file. Set path."
        )
    has_mark, differs = _uses(path) if isinstance(path, str) else (False, False)
    if has_mark and not is_incremental:
        raise ConfigurationError(
            f"Connection {conn_id!r}: path {path!r} contains {MARK}, but incremental is not set. Set incremental, or "
            f"remove {MARK}."
        )
    if is_incremental and not (has_mark or differs):
        raise ConfigurationError(
            f"Connection {conn_id!r}: path {path!r} can be the same for several runs, so a run would overwrite the "
            "rows of another one. Add {{ run_id }}, {{ ts_nodash }} or {mark} to it. {{ ds }} alone is not enough, "
            "because several runs can have the same date."
        )


def fill_mark(path: str, since: str) -> str:
    """Return the rendered ``path`` with the value that the run sends instead of ``{mark}``.

    Characters that have a meaning in paths, or that some storages do not permit, become hyphens.
    """
    return path.replace(MARK, re.sub(r"[^A-Za-z0-9._+-]", "-", since))


def _uses(path: str) -> tuple[bool, bool]:
    """Return whether a template contains ``{mark}``, and whether it contains a name that differs between runs."""
    from jinja2 import Environment, TemplateSyntaxError
    from jinja2.nodes import TemplateData

    try:
        template = Environment().parse(path)  # noqa: S701 - the template is only parsed
    except TemplateSyntaxError:  # Airflow reports it
        return False, True
    return any(MARK in node.data for node in template.find_all(TemplateData)), _differs(path, template)


def _differs(path: str, template: Template) -> bool:
    """Return whether two runs of the same day render a template differently.

    :param path: the template
    :param template: its syntax tree
    """
    if not _names_run(template):
        return False
    try:
        return _rendered(path, 0) != _rendered(path, 1)
    except Exception:  # a macro or filter of the DAG, for example, which is not known here
        return True


def _names_run(node: Node) -> bool:
    from jinja2.nodes import Getattr, Name

    if isinstance(node, Name):
        return node.name in RUN_NAMES
    if isinstance(node, Getattr) and isinstance(node.node, Name) and node.node.name in RUN_OWNERS:
        return node.attr == "run_id"  # not logical_date, which is None in runs without one
    return any(_names_run(child) for child in node.iter_child_nodes())


def _rendered(path: str, second: int) -> str:
    """Return the path of a run.

    :param second: when the run starts: the second of a certain day
    """
    from jinja2.sandbox import SandboxedEnvironment
    from pendulum import datetime

    environment = SandboxedEnvironment(undefined=_undefined())
    environment.filters |= {
        "ds": lambda date: date.strftime("%Y-%m-%d"),
        "ds_nodash": lambda date: date.strftime("%Y%m%d"),
        "ts": lambda date: date.isoformat(),
        "ts_nodash": lambda date: date.strftime("%Y%m%dT%H%M%S"),
        "ts_nodash_with_tz": lambda date: date.isoformat().replace("-", "").replace(":", ""),
    }
    date = datetime(2026, 1, 1, second=second)
    run_id = f"scheduled__{date.isoformat()}"
    values = {"run_id": run_id, "logical_date": date, "ts": date.isoformat(), "ts_nodash": f"20260101T00000{second}"}
    return environment.from_string(path).render(values | dict.fromkeys(RUN_OWNERS, {"run_id": run_id}))


def _undefined() -> type[Undefined]:
    """Return a class for the variables that do not matter here. Their attributes and calls return nothing."""
    from jinja2 import ChainableUndefined

    class Other(ChainableUndefined):
        def __call__(self, *_: object, **__: object) -> Other:  # type: ignore[override]
            return self

    return Other
