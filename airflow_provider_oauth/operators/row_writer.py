"""Writes the rows of lists to a file, and collects what the task returns."""

from __future__ import annotations

import json
import logging
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.extract.exclude import FieldFilter
from airflow_provider_oauth.extract.rows import InvalidPage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from airflow_provider_oauth.extract.engine import PageReader
    from airflow_provider_oauth.extract.page import Page
    from airflow_provider_oauth.extract.progress_log import ProgressLog
    from airflow_provider_oauth.extract.row_marks import RowMarks
    from airflow_provider_oauth.extract.writers.row_file import RowFile
    from airflow_provider_oauth.operators.xcom import XComRows

log = logging.getLogger(__name__)

#: Number of rows that are written together.
BATCH_SIZE = 1000


class RowWriter:
    """Writes the rows of lists to a file.

    :param file: the file
    :param xcom: collects the fields for XCom; None if there are none
    :param exclude: the keys of the fields to remove from all rows
    :param limit: maximum number of rows; None for all
    :param transform_row: changes a row before it is written; None to write rows as the API wrote them
    :param redact_row: removes the values that must never be stored in XCom
    :param progress: logs the progress
    :param marks: reads the marks of the rows; None if the extract is not incremental
    """

    def __init__(
        self,
        file: RowFile,
        xcom: XComRows | None,
        *,
        exclude: Iterable[str],
        limit: int | None,
        transform_row: Callable[[Any], Any] | None,
        redact_row: Callable[[Any], Any],
        progress: ProgressLog,
        marks: RowMarks | None = None,
    ) -> None:
        self._file = file
        self._xcom = xcom
        self._filter = FieldFilter(exclude)
        self._excludes = bool(self._filter.missing)
        self._limit = limit
        self._transform_row = transform_row
        self._redact_row = redact_row
        self._progress = progress
        self._marks = marks
        self._size = 0
        self._totals: list[int] = []
        self._replaced = 0
        self._is_paging_absent = False
        self._ended_by_rule = False
        #: The numbers of pages and rows that were written.
        self.pages = self.rows = 0

    @property
    def is_full(self) -> bool:
        """Whether there are as many rows as ``limit`` permits."""
        return self._limit is not None and self.rows >= self._limit

    @property
    def incomplete_because(self) -> str | None:
        """Why some rows may not have been read; None if all were read."""
        if self._limit is not None:
            return "limit is set"
        return "an error rule ignored a response or ended the list" if self._ended_by_rule else None

    def write(self, reader: PageReader, check: Callable[[Page], None]) -> None:
        """Write the rows of a list.

        :param reader: the pages of the list
        :param check: raises an error if a page reports one
        """
        is_first_list = not self.pages

        def report() -> None:
            self._progress.report(
                pages=self.pages,
                rows=self.rows,
                size=self._size,
                waited=reader.counts.waited,
                total=self._total_of(reader) if is_first_list else None,
            )

        with closing(reader.__iter__()) as pages:
            for page in pages:
                check(page)
                self._write_page(page, report)
                report()
                if self.is_full or (self._marks and self._marks.end_page()):
                    return
        self._ended_by_rule |= reader.list_counts.ended_by_rule
        self._is_paging_absent |= reader.list_counts.is_paging_absent
        if reader.list_counts.total is not None:
            self._totals.append(reader.list_counts.total)

    def _total_of(self, reader: PageReader) -> int | None:
        """Return how many rows will be written; None if it is unknown."""
        expected = reader.list_counts.expected
        return expected if expected is None or self._limit is None else min(expected, self._limit)

    def _write_page(self, page: Page, report: Callable[[], None]) -> None:
        self.pages += 1
        remaining = iter(page.lines)
        try:
            while not self.is_full and (lines := self._kept(list(islice(remaining, BATCH_SIZE)))) is not None:
                self.rows += len(lines)
                self._size += sum(map(len, lines)) + len(lines)
                self._file.write(self._lines(lines))
                report()  # a page can be a large file
        except InvalidPage as error:
            raise page.error(str(error)) from None
        self._replaced += page.replaced

    def _kept(self, lines: Sequence[bytes]) -> Sequence[bytes] | None:
        """Return the rows to write; None after the last row of a page."""
        if not lines:
            return None
        if self._marks:
            lines = self._marks.read(lines)
        return lines if self._limit is None else lines[: self._limit - self.rows]

    def _lines(self, lines: Sequence[bytes]) -> Sequence[bytes]:
        """Return the rows to write, and add their fields to XCom."""
        if self._excludes:
            lines = [self._filter.without(line) for line in lines]
        if self._transform_row is not None:
            rows = [self._transform_row(_decoded(line)) for line in lines]
            lines = [_line(row) for row in rows]
        elif self._xcom is not None:
            rows = [_decoded(line) for line in lines]
        if self._xcom is not None:
            for row in rows:
                self._xcom.add(self._redact_row(row))
        return lines

    def state(self) -> dict[str, Any]:
        """Return what :meth:`restore` needs, as JSON values."""
        return {
            "pages": self.pages,
            "rows": self.rows,
            "size": self._size,
            "totals": self._totals,
            "replaced": self._replaced,
            "not_excluded": sorted(self._filter.missing),
            "paging_absent": self._is_paging_absent,
            "ended_by_rule": self._ended_by_rule,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue the counts of an attempt that was interrupted.

        :param state: what :meth:`state` returned
        :raises KeyError: if it has other members
        """
        self.pages, self.rows, self._size = state["pages"], state["rows"], state["size"]
        self._totals, self._replaced = list(state["totals"]), state["replaced"]
        self._filter.missing.intersection_update(state["not_excluded"])
        self._is_paging_absent, self._ended_by_rule = state["paging_absent"], state["ended_by_rule"]

    def finish(self) -> None:
        """Write what follows the last row, and log a warning about columns that no row has.

        :raises InvalidPage: if the rows cannot be written in the format of the file
        """
        self._file.finish()
        if self._file.missing:
            log.warning(
                "columns contains %s, but no row has these fields, so these columns contain only null. Check their "
                "names.",
                list(self._file.missing),
            )

    def summary(self) -> dict[str, Any]:
        """Return what the task returns about its rows, and log warnings about ``exclude`` and ``limit``."""
        if self._excludes and self._filter.missing and self.rows:
            log.warning(
                "exclude contains the fields %s, but no row has them at its top level. Check their names.",
                sorted(self._filter.missing),
            )
        if self.is_full:
            log.warning("Stopped after %d rows, because limit=%d. The list may have more rows.", self.rows, self._limit)
        return {
            "rows": self.rows,
            "pages": self.pages,
            **({"total": sum(self._totals)} if self._totals else {}),
            **({"paging": "absent"} if self._is_paging_absent else {}),
            **({"limit": self._limit} if self.is_full else {}),
            **({"replaced": self._replaced} if self._replaced else {}),
        }


def _decoded(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        raise InvalidPage(
            "has a row that Python cannot decode, because it has a number with more than 4,300 digits or is nested too "
            "deeply. Remove xcom_fields"
        ) from None


def _line(row: Any) -> bytes:
    try:
        line = json.dumps(row, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:  # Python decodes 1e400 as Infinity
        raise InvalidPage(
            "has a row with a number outside the range of float64, which Python decodes as Infinity, and JSON does not "
            "have Infinity. Ask the vendor of the API to correct the row"
        ) from None
    # An unpaired surrogate, for example from truncated text, cannot be encoded as UTF-8. It is written as \udXXX, which
    # is valid JSON.
    return line.encode(errors="backslashreplace")
