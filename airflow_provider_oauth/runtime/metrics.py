"""Sends this package's metrics to Airflow. Only this module uses Airflow's ``Stats``."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import Stats

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.metrics import Metric, Report

log = logging.getLogger(__name__)

#: Maximum length of the tag ``conn_id``. Airflow drops metrics whose name and tags together have more than 250
#: characters.
MAX_CONN_ID = 200
#: Characters that Airflow does not allow in tags for InfluxDB: it drops metrics with such tags, and logs an error.
INVALID_CHARACTER = re.compile(r"[^a-zA-Z0-9_.-]")

_has_warned = False


def reporter(conn_id: str) -> Report:
    """Return a function that sends metrics of a connection to Airflow.

    :param conn_id: the connection ID. In the tag ``conn_id``, characters other than ASCII letters, digits, ``_``, ``.``
        and ``-`` are replaced by ``_``
    """
    tag = INVALID_CHARACTER.sub("_", conn_id)[:MAX_CONN_ID]

    def report(metric: Metric, outcome: str, value: float = 1) -> None:
        tags = {"conn_id": tag, "outcome": outcome}
        try:
            if metric.is_duration:
                Stats.timing(metric.name, timedelta(seconds=value), tags=tags)
            else:
                Stats.incr(metric.name, int(value), tags=tags)
        except Exception as error:  # a metric must never fail a token request; a custom client can raise anything
            _warn(error)

    return report


def prepare() -> None:
    """Create Airflow's metrics client of this process, unless it exists.

    This can take time, because it can look up a host name. So it is done before a token is requested, not before the
    new token is stored.
    """
    try:
        Stats.timer()
    except Exception as error:
        _warn(error)


def _warn(error: Exception) -> None:
    """Log that metrics are lost: once at level WARNING, then at level DEBUG."""
    global _has_warned
    kind = type(error).__name__
    if _has_warned:
        log.debug("Another metric could not be sent (%s: %s).", kind, error)
        return
    _has_warned = True
    log.warning(
        "Airflow could not send a metric (%s: %s). Tasks continue, but metrics are missing. Check the section "
        "[metrics] of Airflow's configuration.",
        kind,
        error,
    )
