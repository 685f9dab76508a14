"""A page that reads its rows from a temporary file, one after the other. It is used for formats such as CSV."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, cast

from airflow_provider_oauth.exceptions import ApiError, ConfigurationError
from airflow_provider_oauth.extract.formats import check_format
from airflow_provider_oauth.extract.page import Page
from airflow_provider_oauth.extract.rows import InvalidPage
from airflow_provider_oauth.extract.sources import HEADER
from airflow_provider_oauth.protocol.redaction import redact_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from airflow_provider_oauth.extract.formats import RowFormat
    from airflow_provider_oauth.extract.request import ListRequest
    from airflow_provider_oauth.extract.spool import SpooledResponse

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StreamedPage(Page):
    """A page of JSON Lines or CSV. Only one row at a time is in memory.

    ``rows`` and ``lines`` are iterators. The page is readable until the next page is requested.

    :param row_format: the format of the response
    """

    row_format: RowFormat
    has_only_rows: ClassVar[bool] = True

    @property
    def spooled(self) -> SpooledResponse:
        """The response, whose body is in a temporary file."""
        return cast("SpooledResponse", self.response)

    @property
    def lines(self) -> Iterator[bytes]:
        """The rows as JSON, each in one line.

        :raises ApiError: if the response does not have the format
        """
        count = replaced = 0
        content_type = self.response.headers.get("Content-Type", "")
        try:
            with self.spooled.open() as body:
                for line, nulls in self.row_format.rows(body, content_type, allow_nan=self.allow_nan):
                    count, replaced = count + 1, replaced + nulls
                    yield line
        except InvalidPage as error:
            raise self.error(str(error)) from None
        if not count:
            self._check_blank()
        vars(self)["_counts"] = (count, replaced)

    @property
    def rows(self) -> Iterator[Any]:  # type: ignore[override]  # a list would need memory for all rows
        """The decoded rows.

        :raises ApiError: if the response does not have the format
        """
        return map(self.decoded, self.lines)

    @property
    def count(self) -> int:
        """The number of rows. If not all rows were read yet, they are read now."""
        return self._counts[0]

    @property
    def is_empty(self) -> bool:
        """Whether the page has no rows. At most one row is read."""
        if "_counts" in vars(self):
            return not self.count
        try:
            return next(self.lines, None) is None
        except ApiError:
            return False

    @cached_property
    def is_blank(self) -> bool:
        """Whether the response has no body."""
        with self.spooled.open() as body:
            return not body.read(1)

    @property
    def replaced(self) -> int:
        """How many times NaN or Infinity was replaced by null."""
        return self._counts[1]

    @cached_property
    def _counts(self) -> tuple[int, int]:
        for _ in self.lines:
            pass
        counts: tuple[int, int] = vars(self)["_counts"]
        return counts

    def has_same_rows(self, other: Page) -> bool:
        """Return whether the responses are equal."""
        return isinstance(other, StreamedPage) and self.spooled.digest == other.spooled.digest

    @property
    def fingerprint(self) -> int:
        """A hash of the response."""
        return hash(self.spooled.digest)

    @property
    def digest(self) -> str:
        """A hash of the response, which is the same in all processes."""
        return self.spooled.digest.hex()

    def close(self) -> None:
        """Delete the temporary file."""
        self.response.close()

    @property
    def without_rows(self) -> Any:
        """An empty object, because the response has only rows."""
        return {}

    @property
    def text(self) -> NoReturn:
        """Not available.

        :raises ApiError: always
        """
        self._refuse("text")

    @property
    def sliced(self) -> NoReturn:
        """Not available.

        :raises ApiError: always
        """
        self._refuse("sliced")

    @property
    def content(self) -> NoReturn:
        """Not available.

        :raises ApiError: always
        """
        self._refuse("content")

    def _document(self, path: str) -> NoReturn:
        self._refuse(f"the JMESPath {path!r}")

    def _refuse(self, what: str) -> NoReturn:
        raise self.error(
            f"is {self.row_format.name}, whose rows are read one by one, so a paginator cannot use {what}. Use rows or "
            "lines of the page, or a header"
        )


def row_format_of(request: ListRequest, conn_id: str) -> RowFormat | None:
    """Return the format of responses that are read row by row; None for JSON.

    :param request: the list
    :param conn_id: the connection ID, for errors
    :raises ConfigurationError: if another parameter of the list needs the whole response
    """
    row_format = check_format(request.response_format)
    if row_format is None:
        return None
    name = row_format.name
    if request.records_path is not None:
        raise ConfigurationError(
            f"Connection {conn_id!r}: records_path is set, but a response in {name} has only rows. Remove records_path."
        )
    paginator = request.paginator
    for field in ("more", "total", *getattr(paginator, "sources", ())):
        source = getattr(paginator, field, None)
        if isinstance(source, str) and not source.startswith(HEADER):
            raise ConfigurationError(
                f"Connection {conn_id!r}: {type(paginator).__name__} looks for {field}={source!r} in the response, but "
                f"a response in {name} has only rows. Use a header, such as {field}='header:X-Next-Page', or another "
                "paginator."
            )
    return row_format


def page_of(response: requests.Response, request: ListRequest, conn_id: str, **position: Any) -> Page:
    """Return the page in a response.

    :param response: the response
    :param request: the list
    :param conn_id: the connection ID, for errors
    :param position: the position of the page in the list, as in :class:`Page`
    """
    row_format = row_format_of(request, conn_id)
    if row_format is None:
        return Page(response, request.records_path, conn_id, request.allow_nan, **position)
    page = StreamedPage(response, None, conn_id, request.allow_nan, row_format=row_format, **position)
    if not page.spooled.has_end:
        log.warning(
            "Connection %r: the response of %s has neither Content-Length nor an end mark, so it is unknown whether it "
            "is complete. Compare the number of rows with the number that the API reports.",
            conn_id, redact_url(response.url or ""),
        )  # fmt: skip
    return page
