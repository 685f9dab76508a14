"""The formats of responses besides JSON: JSON Lines and CSV. Such responses are read row by row."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.extract.rows import InvalidPage, check_value
from airflow_provider_oauth.extract.slicers import WHITE_SPACE
from airflow_provider_oauth.extract.text import encoding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader

#: Maximum number of characters of a cell. Python's default of 131,072 is too small for some texts in APIs.
MAX_CELL_SIZE = 2**27
#: The first line of a response that is HTML, XML or JSON instead of CSV.
NOT_CSV = re.compile(r'\s*(?:<(?:[!?]|html\b)|[\[{]\s*(?:["\[{\]}]|$))', re.IGNORECASE)


class RowFormat(Protocol):
    """A format that contains one row after the other."""

    @property
    def name(self) -> str:
        """The name of the format, for errors."""

    def rows(self, body: BufferedReader, content_type: str, *, allow_nan: bool) -> Iterator[tuple[bytes, int]]:
        """Yield each row as JSON in one line, and how many times NaN or Infinity was replaced in it by null.

        :param body: the body of a response
        :param content_type: the ``Content-Type`` header; "" if there is none
        :param allow_nan: whether to replace NaN and Infinity, which JSON does not have, by null
        :raises InvalidPage: if the body does not have this format
        """


@dataclass(frozen=True)
class JsonLinesFormat:
    """Responses in JSON Lines, also called NDJSON: each line is a row.

    The rows are kept as the API wrote them. Empty lines are ignored.
    """

    @property
    def name(self) -> str:
        """The name of the format, for errors."""
        return "JSON Lines"

    def rows(self, body: BufferedReader, content_type: str, *, allow_nan: bool) -> Iterator[tuple[bytes, int]]:
        """Yield the rows, as :class:`RowFormat` defines it."""
        first, count = "", 0
        for number, line in enumerate(_lines(body, content_type, newline="\n"), 1):
            text = line.strip(WHITE_SPACE)
            if not text:
                continue
            try:
                row = check_value(text, allow_nan=allow_nan)
            except InvalidPage as error:
                raise InvalidPage(f"is not valid JSON Lines: line {number} {error}") from None
            first, count = first or text[0], count + 1
            yield row
        if count == 1 and first == "[":
            raise InvalidPage("is one JSON array, not JSON Lines. Remove response_format")


@dataclass(frozen=True, kw_only=True)
class CsvFormat:
    """Responses in CSV (RFC 4180). The first line contains the names of the columns.

    Each row becomes a JSON object whose values are all strings, because CSV has no types.

    :param delimiter: the character between two cells
    :param quotechar: the character around cells that contain special characters; None if there is none
    :param escapechar: the character that removes the special meaning of the next character; None if there is none
    :param doublequote: whether a quote character in a quoted cell is written twice; false if it follows ``escapechar``
    :param skip_lines: number of lines before the line with the names, such as a title
    """

    delimiter: str = ","
    quotechar: str | None = '"'
    escapechar: str | None = None
    doublequote: bool = True
    skip_lines: int = 0

    def __post_init__(self) -> None:
        """Check the values.

        :raises ConfigurationError: if one of them is invalid
        """
        special = [each for each in (self.delimiter, self.quotechar, self.escapechar) if each is not None]
        if len(set(special)) < len(special) or any(
            not isinstance(each, str) or len(each) != 1 or each in "\r\n" for each in special
        ):
            raise ConfigurationError(
                f"CsvFormat: delimiter={self.delimiter!r}, quotechar={self.quotechar!r} and escapechar="
                f"{self.escapechar!r} must be different single characters, and not line breaks. Correct them."
            )
        if self.skip_lines < 0:
            raise ConfigurationError(f"CsvFormat: skip_lines={self.skip_lines!r} is negative. Set it to 0 or more.")

    @property
    def name(self) -> str:
        """The name of the format, for errors."""
        return "CSV"

    def rows(self, body: BufferedReader, content_type: str, *, allow_nan: bool) -> Iterator[tuple[bytes, int]]:
        """Yield the rows, as :class:`RowFormat` defines it."""
        lines = _lines(body, content_type, newline="")
        skipped = sum(1 for _ in islice(lines, self.skip_lines))
        first = next(lines, "")
        if NOT_CSV.match(first):
            raise InvalidPage("is HTML, XML or JSON, not CSV. Check the endpoint and response_format")
        names: list[str] | None = None
        for number, cells in self._records(chain((first,), lines) if first else lines, skipped):
            if names is None:
                names = _checked_names(cells, number)
            elif len(cells) != len(names):
                raise InvalidPage(
                    f"is not valid CSV: the row at line {number} has {len(cells)} cells, but there are {len(names)} "
                    "column names. Check delimiter, quotechar and skip_lines of CsvFormat"
                )
            else:
                yield msgspec.json.encode(dict(zip(names, cells, strict=True))), 0

    def _records(self, lines: Iterator[str], skipped: int) -> Iterator[tuple[int, list[str]]]:
        """Yield the cells of each record, and the number of its first line."""
        if csv.field_size_limit() < MAX_CELL_SIZE:
            csv.field_size_limit(MAX_CELL_SIZE)  # Python has only one limit for all readers of a process
        reader = csv.reader(
            lines,
            delimiter=self.delimiter,
            quotechar=self.quotechar,
            quoting=csv.QUOTE_MINIMAL if self.quotechar else csv.QUOTE_NONE,
            escapechar=self.escapechar,
            doublequote=self.doublequote,
            strict=True,
        )
        number, empty_line, width = skipped + 1, 0, 0
        try:
            for cells in reader:
                if not cells:
                    empty_line = empty_line or number
                elif width == 1 and empty_line:
                    raise InvalidPage(
                        f"is not valid CSV: line {empty_line} is empty, and there is only one column, so it is unknown "
                        'whether the line is a row. The API should write empty cells as ""'
                    )
                else:
                    width, empty_line = width or len(cells), 0
                    yield number, cells
                number = skipped + reader.line_num + 1
        except csv.Error as error:
            raise InvalidPage(
                f"is not valid CSV: the row at line {number} cannot be read ({error}). Check delimiter, quotechar and "
                "escapechar of CsvFormat"
            ) from None


#: The format of a response: JSON, or one with rows that are read one by one.
ResponseFormat = Literal["json"] | JsonLinesFormat | CsvFormat


def check_format(response_format: Any) -> RowFormat | None:
    """Return the format of responses that are read row by row; None for JSON.

    :param response_format: the value of the parameter
    :raises ConfigurationError: if it is not a format
    """
    if response_format == "json":
        return None
    if isinstance(response_format, (JsonLinesFormat, CsvFormat)):
        return response_format
    raise ConfigurationError(
        f'response_format is {response_format!r}. Set it to "json", JsonLinesFormat() or CsvFormat().'
    )


def _checked_names(names: list[str], number: int) -> list[str]:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if "" in map(str.strip, names):
        problem = f"column {[name.strip() for name in names].index('') + 1} has no name"
    elif repeated:
        problem = f"the column names {', '.join(map(repr, repeated))} occur more than once"
    else:
        return names
    raise InvalidPage(
        f"is not valid CSV: in line {number}, {problem}, so cells would be lost. Check delimiter and skip_lines of "
        "CsvFormat, or request other columns"
    )


def _lines(body: BufferedReader, content_type: str, *, newline: str) -> Iterator[str]:
    r"""Yield the lines of a response.

    :param newline: ``\n`` if only this ends a line; "" if also ``\r`` and ``\r\n`` do
    :raises InvalidPage: if the response is not in its encoding
    """
    name = encoding(body.peek(4)[:4], content_type)
    count = 0
    try:
        for line in io.TextIOWrapper(body, name, newline=newline):
            yield line
            count += 1
    except UnicodeError:
        raise InvalidPage(
            f"is not valid {name} soon after line {count}. Check the charset in its Content-Type"
        ) from None
