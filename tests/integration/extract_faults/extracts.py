"""A task that reads a list of a server with faults, for each way to split the list."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import ApiError, OAuthError
from airflow_provider_oauth.extract.formats import CsvFormat, JsonLinesFormat
from airflow_provider_oauth.extract.paginators import (
    CursorPaginator,
    HeaderJsonPaginator,
    HeaderLinkPaginator,
    JsonLinkPaginator,
    OffsetPaginator,
    PageNumberPaginator,
)
from airflow_provider_oauth.operators.extract import OAuthExtractOperator
from tests.integration.list_server import PAGES, ROWS, SIZE, ListServer

if TYPE_CHECKING:
    from pathlib import Path


NUMBER = PageNumberPaginator(size_param="size", size=SIZE)
#: The parameters of the operator for each way to split the list.
STYLES: dict[str, dict[str, Any]] = {
    "number": {"paginator": NUMBER},
    "last": {"paginator": PageNumberPaginator(last="pages")},
    "total": {"paginator": PageNumberPaginator(size_param="size", size=SIZE, total="total")},
    "offset": {"paginator": OffsetPaginator(size=SIZE)},
    "cursor": {"paginator": CursorPaginator()},
    "search": {
        "paginator": CursorPaginator(param="paging.cursor", param_in="body"),
        "method": "POST",
        "json": {"query": "all"},
    },
    "link": {"paginator": JsonLinkPaginator()},
    "header-link": {"paginator": HeaderLinkPaginator()},
    "header-json": {"paginator": HeaderJsonPaginator()},
    "lines": {"paginator": HeaderLinkPaginator(), "response_format": JsonLinesFormat()},
    "csv": {"paginator": HeaderLinkPaginator(), "response_format": CsvFormat()},
}
JSON_STYLES = [style for style in STYLES if style not in ("lines", "csv")]
OLD = b'{"id": "of an earlier run"}\n'
CSV_ROWS = [b'%d,"Z\xc3\xbcrich, ""%d"""' % (n, n) for n in range(len(ROWS))]
CSV_LINES = [
    json.dumps({"id": str(n), "text": f'Zürich, "{n}"'}, ensure_ascii=False, separators=(",", ":"))
    for n in range(len(ROWS))
]


class Extract:
    """A task that reads the list of a server into a file.

    :param server: the server
    :param folder: the folder of the file
    :param concurrency: maximum number of requests at a time
    """

    def __init__(self, server: ListServer, folder: Path, concurrency: int = 1) -> None:
        self.server = server
        self.concurrency = concurrency
        self.path = folder / "rows.jsonl"
        folder.mkdir()

    def run(self, style: str, **parameters: Any) -> dict[str, Any]:
        """Run the task, and return its result."""
        self.server.rows = CSV_ROWS if style == "csv" else ROWS
        # A test sets the faults of pages as lists.
        self.server.faults = {page: iter(faults) for page, faults in self.server.faults.items()}
        values = {"endpoint": style, "path": str(self.path), "concurrency": self.concurrency, **STYLES[style]}
        operator = OAuthExtractOperator(task_id="read", oauth_conn_id="faulty", **values, **parameters)
        result: dict[str, Any] = operator.execute({})
        return result

    @property
    def requests(self) -> list[int]:
        """The pages that were requested with a valid token: in this order, or sorted if requests were sent ahead."""
        requests = self.server.requests
        return requests if self.concurrency == 1 else sorted(each for each in requests if each <= PAGES)

    def is_complete(self, style: str, **parameters: Any) -> dict[str, Any]:
        """Run the task, check that the file has exactly the rows that the server sent, and return the result."""
        self.path.write_bytes(OLD)
        result = self.run(style, **parameters)
        rows = [line.encode() for line in CSV_LINES] if style == "csv" else self.server.rows
        assert self.path.read_bytes() == b"".join(row + b"\n" for row in rows)
        assert [each.name for each in self.path.parent.iterdir()] == [self.path.name]
        assert (result["rows"], result["bytes"]) == (len(rows), self.path.stat().st_size)
        return result

    def fails(self, style: str, match: str | None, error: type[OAuthError] = ApiError, **parameters: Any) -> OAuthError:
        """Run the task, check that it fails and that the folder is as before, and return the error."""
        self.path.write_bytes(OLD)
        with pytest.raises(error, match=match) as caught:
            self.run(style, **parameters)
        assert self.path.read_bytes() == OLD
        assert [each.name for each in self.path.parent.iterdir()] == [self.path.name]
        assert "'faulty'" in str(caught.value)
        assert "fake-" not in str(caught.value)
        return caught.value
