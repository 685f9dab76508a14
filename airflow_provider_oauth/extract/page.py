"""One page of a list: a response of the API and the rows in it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from jmespath.exceptions import JMESPathError

from airflow_provider_oauth.exceptions import ApiError
from airflow_provider_oauth.extract.jmes import Needs, compiled, is_present, needs
from airflow_provider_oauth.extract.records_path import records_paths
from airflow_provider_oauth.extract.rows import InvalidPage, Rows, slice_rows, without_rows
from airflow_provider_oauth.extract.text import has_length, utf8
from airflow_provider_oauth.protocol.redaction import redact_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import requests


@dataclass(frozen=True)
class Page:
    """One page of a list.

    :param response: the response of the API
    :param records_path: path of the rows, or several paths: the first one that exists in the response is used; None if
        the response is the array of rows, or has exactly one array
    :param conn_id: the connection ID, for errors
    :param allow_nan: whether NaN and Infinity, which JSON does not have, become null
    :param number: the number of the page; the first one is 1
    :param rows_before: the number of rows on the pages before
    :param first_page_count: the number of rows on the first page; None for the first page itself
    """

    response: requests.Response = field(repr=False)
    records_path: str | Sequence[str] | None = None
    conn_id: str = ""
    allow_nan: bool = False
    number: int = field(default=1, repr=False)
    rows_before: int = field(default=0, repr=False)
    first_page_count: int | None = field(default=None, repr=False)
    #: Whether the response consists of rows, without members around them.
    has_only_rows: ClassVar[bool] = False

    @cached_property
    def text(self) -> bytes:
        """The response in UTF-8, without a byte order mark.

        :raises ApiError: if it is not in the encoding that its ``Content-Type`` names
        """
        try:
            return utf8(self.response.content, self.response.headers.get("Content-Type", ""))
        except InvalidPage as error:
            raise self.error(str(error)) from None

    @cached_property
    def sliced(self) -> Rows:
        """The rows as the API wrote them, each in one line.

        :raises ApiError: if the response is not JSON, or has no rows at ``records_path``
        """
        if self.is_blank:
            return Rows([])
        try:
            return slice_rows(self.text, records_paths(self.records_path), allow_nan=self.allow_nan)
        except InvalidPage as error:
            raise self.error(str(error)) from None

    @cached_property
    def is_blank(self) -> bool:
        """Whether the response has no body, so that the page has no rows.

        :raises ApiError: if its status does not mean that there are no rows
        """
        if self.text.strip():
            return False
        self._check_blank()
        return True

    def _check_blank(self) -> None:
        """Check that a response without rows or other content means that there are no rows.

        :raises ApiError: if its status does not mean that
        """
        status = self.response.status_code
        # With 202, and with 204 and Retry-After, the rows are not ready yet.
        if status not in (200, 204) or "Retry-After" in self.response.headers:
            raise self.error(
                f"has no body and the status {status}, which does not mean that there are no rows. Check the endpoint, "
                "and whether the API needs time to prepare the list"
            )
        # urllib3 decompresses the start of a body in zstd, if the rest is missing, to nothing, without an error.
        if self.response.headers.get("Content-Encoding") and not has_length(self.response.headers):
            raise self.error(
                "has no content after decompression, and neither a length nor an end mark, so the connection may have "
                "ended early. Run the task again"
            )

    @property
    def lines(self) -> Iterable[bytes]:
        """The rows as the API wrote them, each in one line.

        :raises ApiError: if the response is not JSON, or has no rows at ``records_path``
        """
        return self.sliced.lines

    @property
    def count(self) -> int:
        """The number of rows."""
        return len(self.sliced.lines)

    @property
    def replaced(self) -> int:
        """How many times NaN or Infinity was replaced by null."""
        return self.sliced.replaced

    def has_same_rows(self, other: Page) -> bool:
        """Return whether this page has the same rows as another one."""
        return self.sliced.lines == other.sliced.lines

    @property
    def fingerprint(self) -> int:
        """A hash of the rows, which is the same for the same rows in the same process."""
        return hash(tuple(self.sliced.lines))

    @property
    def digest(self) -> str:
        """A hash of the rows, which is the same for the same rows in all processes."""
        return hashlib.blake2b(b"\n".join(self.sliced.lines), digest_size=16).hexdigest()

    @property
    def is_empty(self) -> bool:
        """Whether the page has no rows; False if the response has no array at ``records_path``."""
        try:
            return not self.count
        except ApiError:
            return False

    @property
    def first_count(self) -> int:
        """The number of rows on the first page."""
        return self.count if self.first_page_count is None else self.first_page_count

    @cached_property
    def rows(self) -> list[Any]:
        """The decoded rows.

        :raises ApiError: if the response is not JSON, or has no rows at ``records_path``
        """
        return list(map(self.decoded, self.sliced.lines))

    @cached_property
    def content(self) -> Any:
        """The decoded response; None if the response has no body.

        :raises ApiError: if it is not JSON
        """
        return None if self.is_blank else self.decoded(self.text)

    def decoded(self, value: bytes) -> Any:
        """Return a decoded value of this page.

        :param value: the value as the API wrote it
        :raises ApiError: if it is not JSON, or Python cannot decode it
        """
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            raise self.error("is not JSON. Check the endpoint") from None
        except RecursionError:
            raise self.error("is JSON that is nested too deeply for Python. Request fewer nested objects") from None
        except ValueError:  # the limit of sys.set_int_max_str_digits
            raise self.error(
                "contains an integer with more digits than Python can decode. To write it to a file unchanged, use "
                "OAuthExtractOperator without xcom_fields"
            ) from None

    def search(self, path: str) -> Any:
        """Return the value at a JMESPath. Rows are decoded only if the path needs them.

        :param path: a JMESPath, evaluated on the response
        :raises ConfigurationError: if the path is not a JMESPath
        :raises ApiError: if the path has a function that cannot be applied to the response
        """
        try:
            return compiled(path, "the path").search(self._document(path))
        except JMESPathError:  # its text quotes the response
            raise self.error(
                f"cannot be searched with the JMESPath {path!r}, because a function in it got a value of the wrong "
                "type. Correct the JMESPath"
            ) from None

    def has(self, path: str) -> bool:
        """Return whether the response has the last key of a JMESPath, even if its value is null."""
        return is_present(compiled(path, "the path"), self._document(path))

    @property
    def without_rows(self) -> Any:
        """The decoded response with an empty array instead of the rows; empty if the response is a single row."""
        return self._cut(Needs.NOTHING)

    def _document(self, path: str) -> Any:
        needed = needs(compiled(path, "the path"), self.sliced.at)
        return self.content if needed is Needs.ALL else self._cut(needed)

    def _cut(self, needed: Needs) -> Any:
        if needed not in self._documents:
            try:
                document = without_rows(self.sliced, keep_ends=needed is Needs.FIRST_AND_LAST)
            except (ValueError, RecursionError):
                document = None
            if self.sliced.document is None or document is None:  # msgspec rejects some valid JSON, see slice_rows
                document = self.content
            self._documents[needed] = document
        return self._documents[needed]

    @cached_property
    def _documents(self) -> dict[Needs, Any]:
        """The decoded response with only some of its rows."""
        return {}

    def close(self) -> None:
        """Delete the page's temporary file. A page of JSON has none."""

    def error(self, problem: str) -> ApiError:
        """Return an error about this page.

        :param problem: the rest of a sentence that begins with "The response", and what to do
        """
        url = redact_url(self.response.url or "")
        return ApiError(f"Connection {self.conn_id!r}: the response of {url} {problem}.", self.response.status_code)
