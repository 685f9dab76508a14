"""A task that reads a list of the paged server, and what its runs with several values of ``concurrency`` result in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.extract.formats import JsonLinesFormat
from airflow_provider_oauth.extract.paginators import (
    CursorPaginator,
    HeaderJsonPaginator,
    HeaderLinkPaginator,
    JsonLinkPaginator,
    OffsetPaginator,
    PageNumberPaginator,
)
from airflow_provider_oauth.operators.extract import OAuthExtractOperator
from tests.integration.paged_server import SIZE

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.integration.paged_server import PagedServer

CONN_ID = "paged"
OLD = b'{"id": "of an earlier run"}\n'
#: The parameters of the operator for each way to split the list.
STYLES: dict[str, dict[str, Any]] = {
    "number": {"paginator": PageNumberPaginator(size_param="limit", size=SIZE)},
    "number until an empty page": {"endpoint": "number", "paginator": PageNumberPaginator()},
    "last": {"paginator": PageNumberPaginator(last="pages")},
    "more": {"paginator": PageNumberPaginator(more="more")},
    "total": {"paginator": PageNumberPaginator(size_param="limit", size=SIZE, total="total")},
    "number in the body": {
        "endpoint": "number",
        "paginator": PageNumberPaginator(param_in="body", size_param="limit", size=SIZE),
        "method": "POST",
        "json": {"query": "all"},
    },
    "number in a header": {
        "endpoint": "number",
        "paginator": PageNumberPaginator(param_in="header", param="X-Page", size=SIZE),
    },
    "offset": {"paginator": OffsetPaginator(size=SIZE)},
    "offset-total": {"paginator": OffsetPaginator(size=SIZE, total="total")},
    "offset in the body": {
        "endpoint": "offset",
        "paginator": OffsetPaginator(size=SIZE, param_in="body"),
        "method": "POST",
        "json": {"query": "all"},
    },
    "header-json": {"paginator": HeaderJsonPaginator()},
    "cursor": {"paginator": CursorPaginator()},
    "link": {"paginator": JsonLinkPaginator()},
    "header-link": {"paginator": HeaderLinkPaginator()},
    "lines": {"paginator": HeaderLinkPaginator(), "response_format": JsonLinesFormat()},
    "lines by number": {
        "endpoint": "lines-number",
        "paginator": PageNumberPaginator(size=SIZE),
        "response_format": JsonLinesFormat(),
    },
}
#: Those whose pages can be computed.
COUNTED = [style for style in STYLES if style not in ("cursor", "link", "header-link", "lines")]
#: Those whose pages can be computed, and whose end is known before it is read.
BOUNDED = ["last", "total", "offset-total"]


@dataclass(frozen=True)
class Outcome:
    """What a run of the task resulted in."""

    file: bytes
    error: str
    #: The numbers of the result.
    summary: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class Pull:
    """A task that reads the list of a server into a file.

    :param server: the server
    :param folder: the folder of the file
    """

    def __init__(self, server: PagedServer, folder: Path) -> None:
        self.server = server
        self.path = folder / "rows.jsonl"
        folder.mkdir()

    def operator(self, style: str, concurrency: int, **parameters: Any) -> OAuthExtractOperator:
        """Return the operator."""
        values = {"endpoint": style, "path": str(self.path), **STYLES[style], **parameters}
        return OAuthExtractOperator(task_id="read", oauth_conn_id=CONN_ID, concurrency=concurrency, **values)

    def run(self, style: str, concurrency: int, **parameters: Any) -> dict[str, Any]:
        """Run the task, and return its result. The server forgets the requests of earlier runs."""
        self.server.forget_requests()
        result: dict[str, Any] = self.operator(style, concurrency, **parameters).execute({})
        return result

    def rows(self, style: str, concurrency: int, **parameters: Any) -> list[bytes]:
        """Run the task, and return the rows of the file."""
        self.run(style, concurrency, **parameters)
        return self.path.read_bytes().splitlines()

    def outcome(self, caplog: pytest.LogCaptureFixture, style: str, concurrency: int, **parameters: Any) -> Outcome:
        """Run the task, and return what it resulted in."""
        self.path.write_bytes(OLD)
        caplog.clear()
        error, result = "", {}
        try:
            result = self.run(style, concurrency, **parameters)
        except OAuthError as raised:
            error = f"{type(raised).__name__}: {raised}"
        assert [each.name for each in self.path.parent.iterdir()] == [self.path.name]
        summary = {name: result[name] for name in ("rows", "pages", "bytes", "total", "paging") if name in result}
        warnings = tuple(record.getMessage() for record in caplog.records if record.levelname == "WARNING")
        return Outcome(self.path.read_bytes(), error, summary, warnings)
