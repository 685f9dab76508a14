"""Symbols of Airflow that are private, or that differ between its versions. Each one has a test."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.module_loading import import_string
from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime


def hook_class(conn_type: str | None) -> Any:
    """Return the class of the hook that a provider registers for a connection type; None if it cannot be had.

    It works in a task, in the triggerer, in the API server and on the command line. No hook is created: that of another
    provider could connect to something.
    """
    info = ProvidersManagerTaskRuntime().hooks.get(conn_type or "")
    try:
        return None if info is None else import_string(info.hook_class_name)
    except Exception:  # whatever another provider's module raises when it is imported
        return None
