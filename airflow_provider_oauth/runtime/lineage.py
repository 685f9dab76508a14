"""Reports to Airflow's hook lineage collector which lists a task has fetched, and which file it has written."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import get_hook_lineage_collector

from airflow_provider_oauth.protocol.redaction import redact_url
from airflow_provider_oauth.runtime.compat import has_lineage_readers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow.sdk import BaseHook

log = logging.getLogger(__name__)

#: The scheme of a URL of a local file, or nothing before its path.
LOCAL_SCHEME = re.compile(r"^((file|local):(//)?)?(?=/)")
#: The user information of a URL. In the URL of a file, it is the ID of the connection of the storage.
USER_INFORMATION = re.compile(r"^([^/]*://)[^/@]*@")
#: Characters after which an asset's URI would be truncated, and how they are written.
ESCAPES = str.maketrans({"?": "%3F", "#": "%23"})


def report_lineage(hook: BaseHook, lists: Iterable[str], file: str | None) -> None:
    """Report one input and one output per list. Without a plugin that reads lineage, do nothing.

    Exceptions are only logged, because the file of the task is already written.

    :param hook: the hook that has fetched the lists
    :param lists: the URL of each list; only scheme, host and path are reported
    :param file: path or URL of the file; None if no file was written
    """
    with _errors_logged():
        if not has_lineage_readers():
            return
        collector = get_hook_lineage_collector()
        for url in lists:
            with _errors_logged():
                collector.add_input_asset(context=hook, uri=redact_url(url))
            if file is not None:
                with _errors_logged():
                    collector.add_output_asset(context=hook, uri=file_uri(file))


@contextmanager
def _errors_logged() -> Iterator[None]:
    """Log an exception. Plugins can raise any; Airflow raises one for URLs with more than 1,500 characters."""
    try:
        yield
    except Exception as error:
        log.warning("The lineage of this task is incomplete, because Airflow could not record it: %s", error)


def file_uri(file: str) -> str:
    """Return the URI of the asset for a file, without the ID of the connection of its storage.

    :param file: an absolute local path, or a URL
    """
    return USER_INFORMATION.sub(r"\1", LOCAL_SCHEME.sub("file://", file)).translate(ESCAPES)
