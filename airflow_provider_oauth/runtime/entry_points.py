"""Reads the entry points of all installed packages from Airflow's cache.

This module is not part of ``compat``, because Airflow loads it on every ``airflow`` command, so it must load quickly.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.metadata import EntryPoint

#: Private modules of Airflow and of its Task SDK. Their function ``entry_points_with_dist`` has a cache, which Airflow
#: has filled when it calls a provider.
AIRFLOW = ("airflow._shared.module_loading", "airflow.sdk._shared.module_loading")


def entry_points(group: str) -> list[EntryPoint]:
    """Return the entry points of a group. A new scan would take several milliseconds.

    :param group: the name of the group
    """
    for name in AIRFLOW:
        scan: Callable[[str], Any] | None = getattr(sys.modules.get(name), "entry_points_with_dist", None)
        if scan is not None:
            return [entry for entry, _ in scan(group)]
    from importlib.metadata import entry_points as new_scan  # only here: it is slow to import

    return list(new_scan(group=group))
