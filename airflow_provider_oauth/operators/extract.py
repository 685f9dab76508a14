"""The base class of operators that fetch lists into a file.

DAG files import this module, so it imports hooks only when a task runs.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import jmespath
from airflow.providers.common.compat.sdk import BaseOperator
from jmespath.exceptions import JMESPathError

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.extract.request import ListRequest
from airflow_provider_oauth.hooks.task import ReportsFailure
from airflow_provider_oauth.operators.ids import TakesIds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow.sdk import Context, ObjectStoragePath

    from airflow_provider_oauth.extract.page import Page
    from airflow_provider_oauth.extract.paginators import Paginator
    from airflow_provider_oauth.hooks.oauth import OAuthHook

#: ``records_path`` for a response that is a single row.
WHOLE_RESPONSE = "@"
#: How long ``OAuthExtractOperator`` repeats a request that gets status 429 (Too Many Requests), in seconds, unless the
#: task or the vendor's preset sets another value.
RATE_LIMIT_TIMEOUT = 300.0


class ExtractOperator(TakesIds, ReportsFailure, BaseOperator):
    """Base class of operators that fetch lists into a file, page by page.

    A subclass defines the lists in :meth:`list_requests`. The file is written after all pages were read, so a task that
    fails leaves no partial file. A local file is replaced atomically. Each mapped task needs its own path: add
    ``{{ ti.map_index }}`` to it.

    :param oauth_conn_id: ID of the connection (templated)
    :param scope: scopes to request, separated by spaces; None for the connection's scopes. Only for the grant types
        client_credentials and password (templated)
    :param path: the file to write, with one row per line as JSON: a local path, or a URL of any storage that Airflow
        supports, such as ``s3://conn_id@bucket/key``; None to write no file (templated)
    :param xcom_fields: JMESPath that selects the fields of each row to return and to store in XCom, such as ``id``,
        ``{id: id, name: name}``, or ``@`` for the whole row; None to return only counts
    :return: with ``xcom_fields``, a list with these fields of each row; otherwise a dict with the numbers of ``rows``
        and ``pages``, and the ``path``
    :raises ConfigurationError: if a field of the connection, ``path`` or ``xcom_fields`` is invalid
    :raises ApiError: if the API responds with an error status, or a response does not contain the rows
    :raises OAuthError: if no valid token can be obtained
    """

    conn_id_field = "oauth_conn_id"
    default_conn_name = "oauth_default"
    template_fields: Sequence[str] = ("oauth_conn_id", "scope", "path")
    ui_color = "#e4f0ee"
    #: How long to repeat a request that gets status 429 (Too Many Requests), in seconds; None for the hook's value.
    rate_limit_timeout: float | None = None

    def __init__(
        self,
        *,
        oauth_conn_id: str | None = None,
        scope: str | None = None,
        path: str | None = None,
        xcom_fields: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.oauth_conn_id = oauth_conn_id or self.default_conn_name
        self.scope = scope
        self.path = path
        self.xcom_fields = xcom_fields

    def list_requests(self, hook: OAuthHook) -> Iterator[ListRequest]:
        """Yield the lists to fetch.

        :param hook: the hook of the connection
        """
        raise NotImplementedError

    def check(self, page: Page) -> None:
        """Raise an ``ApiError`` if a response with a success status reports an error.

        :param page: the page that was read
        """

    @property
    def private(self) -> bool:
        """Whether only the owner may read a local file."""
        return False

    def transform_row(self, row: Any) -> Any:
        """Return the row as it is written to the file.

        :param row: the row as the API sent it
        """
        return row

    def redact_row(self, row: Any) -> Any:
        """Return the row without the values that must never be stored in XCom.

        :param row: the row as it is written to the file
        """
        return row

    def make_hook(self) -> OAuthHook:
        """Return the hook for the connection's type."""
        from airflow_provider_oauth.hooks.oauth import hook_of

        hook = hook_of(self.oauth_conn_id, self.scope, method="GET")
        if self.rate_limit_timeout is not None:
            hook.rate_limit_timeout = self.rate_limit_timeout
        return hook

    def execute(self, context: Context) -> Any:
        """Fetch the lists and write the file."""
        with self.reporting_failure():
            return self._execute()

    def _execute(self) -> Any:
        if self.path is not None and not self.path.strip():
            raise ConfigurationError(
                f"Connection {self.oauth_conn_id!r}: path is empty. Set it to the path of a file, or remove it to "
                "write no file."
            )
        hook, select = self.make_hook(), self._compiled()
        selected: list[Any] = []
        row_count = page_count = 0
        with _new_file(self._target(), self.private) as file:
            for request in self.list_requests(hook):
                for page in hook.read_pages(request):
                    self.check(page)
                    page_count, row_count = page_count + 1, row_count + page.count
                    if not select and type(self).transform_row is ExtractOperator.transform_row:
                        file.writelines(line + b"\n" for line in page.sliced.lines)
                        continue
                    for row in map(self.transform_row, page.rows):
                        file.write(_line(row))
                        if select:
                            selected.append(self._selected(select, row))
        self.log.info(
            "Fetched %d rows in %d pages%s.", row_count, page_count, f" into {self.path}" if self.path else ""
        )
        return selected if select else {"rows": row_count, "pages": page_count, "path": self.path}

    def _target(self) -> ObjectStoragePath | None:
        """Return the file to write to.

        :raises ConfigurationError: if Airflow does not support the storage of ``path``
        """
        if self.path is None:
            return None
        from airflow.sdk import ObjectStoragePath

        try:
            target = ObjectStoragePath(self.path)
            _ = target.fs  # raises an error for an unsupported storage before the pages are fetched
        except ValueError as error:
            raise ConfigurationError(
                f"Connection {self.oauth_conn_id!r}: Airflow cannot use the storage of path {self.path!r}: {error}. "
                "Install the Airflow provider of this storage, or use another storage."
            ) from error
        return target

    def _selected(self, select: Any, row: Any) -> Any:
        try:
            return select.search(self.redact_row(row))
        except JMESPathError:  # the text of this error quotes the row
            raise ConfigurationError(
                f"Connection {self.oauth_conn_id!r}: xcom_fields contains a function that is unknown or cannot be "
                "applied to the values in a row. Correct the JMESPath."
            ) from None

    def _compiled(self) -> Any:
        try:
            return jmespath.compile(self.xcom_fields) if self.xcom_fields else None
        except JMESPathError as error:
            raise ConfigurationError(
                f"Connection {self.oauth_conn_id!r}: xcom_fields is not a valid JMESPath. Example: "
                f"{{id: id, name: name}}. ({error})"
            ) from None


class OAuthExtractOperator(ExtractOperator):
    """Fetches a list from an API into a file, page by page.

    All pages use one TCP connection, and at most two pages are in memory at a time. Each mapped task needs its own
    ``path``.

    :param endpoint: path relative to the API base URL (templated)
    :param paginator: how the API splits the list into pages, one of ``extract.paginators``; None if it does not
    :param data: query parameters; they take precedence over those of the paginator (templated)
    :param headers: headers of all requests (templated)
    :param records_path: JMESPath of the array of rows in a response; None if the response is that array, or has exactly
        one array
    :param rate_limit_timeout: how long to repeat a request that gets status 429 (Too Many Requests), in seconds; None
        for the value of the vendor's preset, or 300 if it has none
    :param oauth_conn_id: ID of a connection of type OAuth 2.0 API or of a vendor's type (templated)
    :param scope: scopes to request, separated by spaces; None for the connection's scopes. Only for the grant types
        client_credentials and password (templated)
    :param path: file to write, one row per line as JSON: a local path, or a URL of any storage that Airflow supports,
        such as ``s3://conn_id@bucket/key``; None to write no file (templated)
    :param xcom_fields: JMESPath that selects the fields of each row to return and to store in XCom, such as ``id``,
        ``{id: id, name: name}``, or ``@`` for the whole row; None to return only counts
    :return: with ``xcom_fields``, a list with these fields of each row; otherwise a dict with the numbers of ``rows``
        and ``pages``, and the ``path``
    :raises ConfigurationError: if a field of the connection or a parameter is invalid
    :raises ApiError: if the API responds with an error status, or a response does not contain the rows
    :raises OAuthError: if no valid token can be obtained
    """

    template_fields: Sequence[str] = ("endpoint", "data", "headers", *ExtractOperator.template_fields)

    def __init__(
        self,
        *,
        endpoint: str,
        paginator: Paginator | None = None,
        data: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        records_path: str | None = None,
        rate_limit_timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.endpoint = endpoint
        self.paginator = paginator
        self.data = data
        self.headers = headers
        self.records_path = records_path
        self.rate_limit_timeout = rate_limit_timeout

    def make_hook(self) -> OAuthHook:
        """Return the hook for the connection's type. By default, it repeats requests that get status 429 for 300 s."""
        hook = super().make_hook()
        if self.rate_limit_timeout is None:
            hook.rate_limit_timeout = hook.rate_limit_timeout or RATE_LIMIT_TIMEOUT
        return hook

    def list_requests(self, hook: OAuthHook) -> Iterator[ListRequest]:
        """Yield the request for the list."""
        yield ListRequest(
            endpoint=self.endpoint,
            data=self.data or {},
            headers=self.headers or {},
            paginator=self.paginator,
            records_path=self.records_path,
        )


def _line(row: Any) -> bytes:
    line = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
    # An unpaired surrogate, for example from truncated text, cannot be encoded as UTF-8. It is written as \udXXX, which
    # is valid JSON.
    return line.encode(errors="backslashreplace") + b"\n"


@contextmanager
def _new_file(target: ObjectStoragePath | None, private: bool) -> Iterator[IO[bytes]]:
    """Yield a temporary file, and copy it to ``target`` if no exception is raised."""
    with tempfile.TemporaryFile() as file:
        yield file
        file.seek(0)
        if target is not None and target.protocol in ("", "file", "local"):
            _replace(Path(target.path), file, private=private)
        elif target is not None:
            with target.open("wb") as stored:
                shutil.copyfileobj(file, stored)


def _replace(path: Path, content: IO[bytes], *, private: bool) -> None:
    """Write a file atomically. If this fails, an existing file stays unchanged."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{secrets.token_hex(16)}.part")
    # os.open lets the kernel apply the umask and the folder's access control list to the mode of the new file.
    # tempfile.mkstemp would always set mode 0600, and Python can read the umask only by changing it for all threads.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    descriptor = os.open(part, flags, 0o600 if private else 0o666)
    try:
        with os.fdopen(descriptor, "wb") as stored:
            shutil.copyfileobj(content, stored)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
