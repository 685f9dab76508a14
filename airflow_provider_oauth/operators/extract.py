"""The base class of operators that fetch lists into a file.

DAG files import this module, so it imports hooks only when a task runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import AirflowSkipException, BaseOperator

from airflow_provider_oauth.exceptions import ApiError, ConfigurationError
from airflow_provider_oauth.extract.progress_log import ProgressLog
from airflow_provider_oauth.extract.request import ListRequest, check_concurrency, check_list
from airflow_provider_oauth.extract.writers.file_format import FileFormat, check_columns, file_format
from airflow_provider_oauth.hooks.task import ReportsFailure
from airflow_provider_oauth.hooks.templates import HiddenField, RendersValues
from airflow_provider_oauth.operators.ids import TakesIds
from airflow_provider_oauth.operators.row_writer import RowWriter
from airflow_provider_oauth.operators.target import add_to_asset_events, check_mapped_path, check_path, extract_file
from airflow_provider_oauth.operators.xcom import XComRows
from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.protocol.metrics import EXTRACT_ROWS
from airflow_provider_oauth.runtime.lineage import report_lineage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow.sdk import Context

    from airflow_provider_oauth.extract.error_rules import ErrorRule
    from airflow_provider_oauth.extract.formats import ResponseFormat
    from airflow_provider_oauth.extract.page import Page
    from airflow_provider_oauth.extract.paginators import Paginator
    from airflow_provider_oauth.extract.writers.row_file import RowFile
    from airflow_provider_oauth.hooks.oauth import OAuthHook

#: ``records_path`` for a response that is a single row.
WHOLE_RESPONSE = "@"
#: What to do with a list without rows.
ON_EMPTY = ("write", "skip", "fail")


class ExtractOperator(TakesIds, RendersValues, ReportsFailure, BaseOperator):
    """Base class of operators that fetch lists into a file, page by page.

    A subclass defines the lists in :meth:`list_requests`. The file is written after all pages were read, so a task that
    fails leaves no partial file. A local file is replaced atomically. Each mapped task needs its own path: add
    ``{{ ti.map_index }}`` to it.

    :param oauth_conn_id: ID of the connection (templated)
    :param scope: scopes to request, separated by spaces; None for the connection's scopes. Only for the grant types
        client_credentials and password (templated)
    :param path: the file to write: an absolute local path, or a URL of any storage that Airflow supports, such as
        ``s3://conn_id@bucket/key``. Its suffix sets the format: ``.jsonl`` or ``.ndjson`` (one row per line as JSON),
        ``.csv`` or ``.parquet``. All but ``.parquet`` can be followed by ``.gz`` or ``.zst`` for a compressed file.
        None to write no file (templated)
    :param xcom_fields: JMESPath that selects the fields of each row to return and to store in XCom, such as ``id``,
        ``{id: id, name: name}``, or ``@`` for the whole row; None to return only counts
    :param xcom_limit: maximum size of what ``xcom_fields`` selects, as JSON, in bytes; None for 48,000 bytes and 1,000
        rows
    :param on_empty: what to do with a list without rows: ``"write"`` writes a file without rows, ``"skip"`` skips the
        task, and ``"fail"`` fails it. With ``"skip"`` and ``"fail"``, no file is written, and an existing file stays
    :param exclude: keys of fields to remove from all rows
    :param limit: maximum number of rows, for a trial; None for all rows
    :param columns: the columns of a CSV or Parquet file: a dict with the type of each column by name. A type is
        ``"int64"``, ``"float64"``, ``"decimal(18,2)"``, ``"string"``, ``"boolean"``, ``"date"``, ``"timestamp"``,
        ``"json"``, a dict for an object, or a list with one type for an array. For CSV, a list of names is enough.
        None to infer the columns from all rows, which needs a temporary file
    :param extra_columns: what to do with fields of a row that are not in ``columns``: ``"error"`` or ``"ignore"``
    :param csv_escape: whether text in a CSV file that begins with ``=``, ``+``, ``-``, ``@``, tab or carriage return
        gets an apostrophe, so that spreadsheet programs do not run it as a formula
    :param error_rules: what responses of the API mean; they are tried before the vendor's and the default rules
    :param rate_limit_timeout: how long a request waits for limits of the API, in seconds; None for the vendor's value,
        or 300
    :param retry_timeout: how long a request is retried after status 502, 503 or 504 or a broken connection, in seconds;
        None for the vendor's value, or 120
    :param repeatable: whether a POST or PATCH request can be retried without harm; None to retry all requests that read
        a list
    :param concurrency: maximum number of requests at a time. With page numbers and offsets, pages are requested in
        parallel and written in order. With other paginators, the next page is requested while a page is written. At
        most ``concurrency + 1`` pages are in memory
    :return: with ``xcom_fields``, a list with these fields of each row; otherwise a dict with the ``path``, the numbers
        of ``rows`` and ``pages``, the size of the file in ``bytes``, the times ``started`` and ``ended`` (ISO 8601,
        UTC), and if they apply: ``total`` (the number of rows according to the API), ``paging`` (``"absent"``),
        ``limit``, ``replaced`` (how many times NaN or Infinity became null), ``waits``, ``waited`` (seconds),
        ``retries``, ``renewals``, and ``ignored`` (responses that an error rule ignored)
    :raises ConfigurationError: if a field of the connection, ``path`` or ``xcom_fields`` is invalid
    :raises ApiError: if the API responds with an error status, or a response does not contain the rows
    :raises OAuthError: if no valid token can be obtained, or the storage fails
    """

    conn_id_field = "oauth_conn_id"
    default_conn_name = "oauth_default"
    template_fields: Sequence[str] = ("oauth_conn_id", "scope", "path")
    ui_color = "#e4f0ee"
    clock = Clock()

    def __init__(
        self,
        *,
        oauth_conn_id: str | None = None,
        scope: str | None = None,
        path: str | None = None,
        xcom_fields: str | None = None,
        xcom_limit: int | None = None,
        on_empty: Literal["write", "skip", "fail"] = "write",
        exclude: str | Sequence[str] = (),
        limit: int | None = None,
        columns: Mapping[str, Any] | Sequence[str] | None = None,
        extra_columns: Literal["error", "ignore"] = "error",
        csv_escape: bool = False,
        error_rules: Sequence[ErrorRule] = (),
        rate_limit_timeout: float | None = None,
        retry_timeout: float | None = None,
        repeatable: bool | None = None,
        concurrency: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.oauth_conn_id = oauth_conn_id or self.default_conn_name
        self.scope = scope
        self.path = path
        self.xcom_fields = xcom_fields
        self.xcom_limit = xcom_limit
        self.on_empty = on_empty
        self.exclude = exclude
        self.limit = limit
        self.columns = columns
        self.extra_columns = extra_columns
        self.csv_escape = csv_escape
        self.error_rules = tuple(error_rules)
        self.rate_limit_timeout = rate_limit_timeout
        self.retry_timeout = retry_timeout
        self.repeatable = repeatable
        self.concurrency = concurrency
        check_concurrency(concurrency, self.oauth_conn_id)
        check_columns(self.oauth_conn_id, columns, extra_columns)
        if on_empty not in ON_EMPTY:
            raise ConfigurationError(
                f"Connection {self.oauth_conn_id!r}: on_empty is {on_empty!r}, which is not supported. Set it to "
                f"one of {', '.join(ON_EMPTY)}."
            )
        if limit is not None and limit < 1:
            raise ConfigurationError(
                f"Connection {self.oauth_conn_id!r}: limit is {limit!r}, so no row would be read. Set it to 1 or "
                "more, or remove it to read all rows."
            )

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
        from airflow_provider_oauth.hooks.lookup import hook_of

        hook = hook_of(self.oauth_conn_id, self.scope, method="GET")
        hook.error_rules, hook.repeatable = self.error_rules, self.repeatable
        if self.rate_limit_timeout is not None:
            hook.rate_limit_timeout = self.rate_limit_timeout
        if self.retry_timeout is not None:
            hook.retry_timeout = self.retry_timeout
        return hook

    def execute(self, context: Context) -> Any:
        """Fetch the lists and write the file."""
        with self.reporting_failure():
            return self._execute(context)

    def _execute(self, context: Context) -> Any:
        started = self.clock.now()
        check_mapped_path(self, self.oauth_conn_id, context)
        check_path(self.oauth_conn_id, self.path)
        target = self._file_format()
        xcom = XComRows(self.oauth_conn_id, self.xcom_fields, self.xcom_limit) if self.xcom_fields else None
        hook = self.make_hook()
        lists: list[str] = []
        writer, outcome = None, "failed"
        try:
            with (
                extract_file(self.oauth_conn_id, self.path, private=self.private) as file,
                target.open(file) as rows,
            ):
                writer = self._row_writer(rows, xcom)
                for request in self.list_requests(hook):
                    left = None if self.limit is None else self.limit - writer.rows
                    writer.write(hook.read_pages(request, concurrency=self.concurrency, limit=left), self.check)
                    lists.append(hook.list_url(request))
                    if writer.is_full:
                        break
                if not writer.rows:
                    self._handle_empty_list()
                writer.finish()
            outcome = "success"
        finally:
            if writer is not None and writer.rows:
                hook.counts.report(EXTRACT_ROWS, outcome, writer.rows)
        report_lineage(hook, lists, self.path)
        summary, size = writer.summary(), file.size if self.path else None
        add_to_asset_events(self.outlets, context, rows=writer.rows, bytes=size)
        self.log.info(
            "Fetched %d rows in %d pages%s.", writer.rows, writer.pages, f" into {self.path}" if self.path else ""
        )
        times = {"started": started.isoformat(), "ended": self.clock.now().isoformat()}
        return xcom.rows if xcom else {"path": self.path, "bytes": size, **times, **summary, **hook.counts.summary()}

    def _file_format(self) -> FileFormat:
        return file_format(
            self.oauth_conn_id,
            self.path,
            columns=self.columns,
            extra_columns=self.extra_columns,
            csv_escape=self.csv_escape,
        )

    def _row_writer(self, file: RowFile, xcom: XComRows | None) -> RowWriter:
        is_transformed = type(self).transform_row is not ExtractOperator.transform_row
        return RowWriter(
            file,
            xcom,
            exclude=[self.exclude] if isinstance(self.exclude, str) else self.exclude,
            limit=self.limit,
            transform_row=self.transform_row if is_transformed else None,
            redact_row=self.redact_row,
            progress=ProgressLog(self.oauth_conn_id, self.clock),
        )

    def _handle_empty_list(self) -> None:
        """Raise an exception if a list without rows must not be written.

        :raises AirflowSkipException: if ``on_empty`` is ``"skip"``
        :raises ApiError: if ``on_empty`` is ``"fail"``
        """
        if self.on_empty == "skip":
            raise AirflowSkipException("The list has no rows, and on_empty is 'skip'. No file was written.")
        if self.on_empty == "fail":
            raise ApiError(
                f"Connection {self.oauth_conn_id!r}: the list has no rows, and on_empty is 'fail'. Check the "
                "parameters of the task, or set on_empty to 'write' or 'skip'."
            )


class OAuthExtractOperator(ExtractOperator):
    """Fetches a list from an API into a file, page by page.

    Without ``concurrency``, all pages use one TCP connection, and at most two pages are in memory at a time. Each
    mapped task needs its own ``path``.

    Airflow does not store the values of ``json``, ``data`` and ``headers``, unless they are passed with ``partial``,
    ``expand`` or ``default_args``. Templates in the paginator are rendered too.

    :param endpoint: path relative to the API base URL (templated)
    :param paginator: how the API splits the list into pages, one of ``extract.paginators``; None if it does not
        (templated)
    :param method: HTTP method; a POST that reads a list may be sent again after an error (templated)
    :param request_params: query parameters; they take precedence over those of the paginator (templated)
    :param json: JSON body (templated)
    :param data: query parameters of a GET request, instead of ``request_params``; body of other requests, instead of
        ``json`` (templated)
    :param headers: headers of all requests; headers that are None are not sent (templated)
    :param records_path: path of the rows in a response, such as ``data.items`` or ``edges[].node``, or a list of paths:
        the first one that exists in the response is used; None if the response is the array of rows, or has exactly one
        array
    :param allow_nan: whether to replace NaN and Infinity, which JSON does not have, by null
    :param response_format: format of the responses: ``"json"``, or ``JsonLinesFormat()`` or ``CsvFormat()`` of
        ``extract.formats``
    :param oauth_conn_id: ID of a connection of type OAuth 2.0 API or of a vendor's type (templated)
    :param scope: scopes to request, separated by spaces; None for the connection's scopes. Only for the grant types
        client_credentials and password (templated)
    :param path: the file to write: an absolute local path, or a URL of any storage that Airflow supports, such as
        ``s3://conn_id@bucket/key``. Its suffix sets the format: ``.jsonl`` or ``.ndjson`` (one row per line as JSON),
        ``.csv`` or ``.parquet``. All but ``.parquet`` can be followed by ``.gz`` or ``.zst`` for a compressed file.
        None to write no file (templated)
    :param xcom_fields: JMESPath that selects the fields of each row to return and to store in XCom, such as ``id``,
        ``{id: id, name: name}``, or ``@`` for the whole row; None to return only counts
    :param xcom_limit: maximum size of what ``xcom_fields`` selects, as JSON, in bytes; None for 48,000 bytes and 1,000
        rows
    :param on_empty: what to do with a list without rows: ``"write"`` writes a file without rows, ``"skip"`` skips the
        task, and ``"fail"`` fails it. With ``"skip"`` and ``"fail"``, no file is written, and an existing file stays
    :param exclude: keys of fields to remove from all rows
    :param limit: maximum number of rows, for a trial; None for all rows
    :param columns: the columns of a CSV or Parquet file: a dict with the type of each column by name. A type is
        ``"int64"``, ``"float64"``, ``"decimal(18,2)"``, ``"string"``, ``"boolean"``, ``"date"``, ``"timestamp"``,
        ``"json"``, a dict for an object, or a list with one type for an array. For CSV, a list of names is enough.
        None to infer the columns from all rows, which needs a temporary file
    :param extra_columns: what to do with fields of a row that are not in ``columns``: ``"error"`` or ``"ignore"``
    :param csv_escape: whether text in a CSV file that begins with ``=``, ``+``, ``-``, ``@``, tab or carriage return
        gets an apostrophe, so that spreadsheet programs do not run it as a formula
    :param error_rules: what responses of the API mean; they are tried before the vendor's and the default rules
    :param rate_limit_timeout: how long a request waits for limits of the API, in seconds; None for the vendor's value,
        or 300
    :param retry_timeout: how long a request is retried after status 502, 503 or 504 or a broken connection, in seconds;
        None for the vendor's value, or 120
    :param repeatable: whether a POST or PATCH request can be retried without harm; None to retry all requests that read
        a list
    :param concurrency: maximum number of requests at a time. With page numbers and offsets, pages are requested in
        parallel and written in order. With other paginators, the next page is requested while a page is written. At
        most ``concurrency + 1`` pages are in memory
    :return: with ``xcom_fields``, a list with these fields of each row; otherwise a dict with the ``path``, the numbers
        of ``rows`` and ``pages``, the size of the file in ``bytes``, the times ``started`` and ``ended`` (ISO 8601,
        UTC), and if they apply: ``total`` (the number of rows according to the API), ``paging`` (``"absent"``),
        ``limit``, ``replaced`` (how many times NaN or Infinity became null), ``waits``, ``waited`` (seconds),
        ``retries``, ``renewals``, and ``ignored`` (responses that an error rule ignored)
    :raises ConfigurationError: if a field of the connection or a parameter is invalid, if neither ``path`` nor
        ``xcom_fields`` is set, or if two parameters exclude each other
    :raises ApiError: if the API responds with an error status, or a response does not contain the rows
    :raises OAuthError: if no valid token can be obtained, or the storage fails
    """

    template_fields: Sequence[str] = (*ListRequest.template_fields, *ExtractOperator.template_fields)
    json: Any = HiddenField()
    data: Any = HiddenField()
    headers: Any = HiddenField()
    paginator: Any = HiddenField()

    def __init__(
        self,
        *,
        endpoint: str,
        paginator: Paginator | None = None,
        method: str = "GET",
        request_params: dict[str, Any] | None = None,
        json: Any = None,
        data: Any = None,
        headers: dict[str, str | None] | None = None,
        records_path: str | Sequence[str] | None = None,
        allow_nan: bool = False,
        response_format: ResponseFormat = "json",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.endpoint = endpoint
        self.paginator = paginator
        self.method = method
        self.request_params = request_params
        self.json = json
        self.data = data
        self.headers = headers
        self.records_path = records_path
        self.allow_nan = allow_nan
        self.response_format = response_format
        self._check_output()
        check_list(self._request, self.oauth_conn_id, is_rendered=False)

    def list_requests(self, hook: OAuthHook) -> Iterator[ListRequest]:
        """Yield the request for the list."""
        self._check_output()
        yield self._request

    def _check_output(self) -> None:
        if self.path is None and not self.xcom_fields:
            raise ConfigurationError(
                f"Connection {self.oauth_conn_id!r}: neither path nor xcom_fields is set, so the rows would be fetched "
                "and discarded. Set path to the file to write, or xcom_fields to the fields to return."
            )

    @property
    def _request(self) -> ListRequest:
        return ListRequest(
            endpoint=self.endpoint,
            method=self.method,
            request_params=self.request_params,
            json=self.json,
            data=self.data,
            headers=self.headers,
            paginator=self.paginator,
            records_path=self.records_path,
            allow_nan=self.allow_nan,
            response_format=self.response_format,
        )
