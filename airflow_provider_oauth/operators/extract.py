"""The base class of operators that fetch lists into a file.

DAG files import this module, so it imports hooks only when a task runs.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.extract.request import ListRequest, check_concurrency, check_list
from airflow_provider_oauth.extract.writers.file_format import check_columns
from airflow_provider_oauth.hooks.task import ReportsFailure
from airflow_provider_oauth.hooks.templates import HiddenField, RendersValues, set_upstream
from airflow_provider_oauth.operators.ids import TakesIds
from airflow_provider_oauth.operators.parts import check_parts
from airflow_provider_oauth.operators.run_path import check_incremental
from airflow_provider_oauth.protocol.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from airflow.sdk import Context

    from airflow_provider_oauth.extract.error_rules import ErrorRule
    from airflow_provider_oauth.extract.formats import ResponseFormat
    from airflow_provider_oauth.extract.incremental import Incremental
    from airflow_provider_oauth.extract.page import Page
    from airflow_provider_oauth.extract.paginators import Paginator
    from airflow_provider_oauth.hooks.oauth import OAuthHook
    from airflow_provider_oauth.operators.incremental_run import IncrementalRun

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
    :param scope: scopes to request, separated by spaces; None for the connection's scopes. Not for the grant types
        authorization_code and refresh_token (templated)
    :param path: the file to write: an absolute local path, or a URL of any storage that Airflow supports, such as
        ``s3://conn_id@bucket/key``. Its suffix sets the format: ``.jsonl`` or ``.ndjson`` (one row per line as JSON),
        ``.csv`` or ``.parquet``. All but ``.parquet`` can be followed by ``.gz`` or ``.zst`` for a compressed file. A
        path that ends with a slash is a folder of parts. None to write no file (templated)
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
    :param part_rows: number of rows after which a part of a folder is closed, at the end of a page
    :param part_bytes: number of bytes after which a part of a folder is closed, at the end of a page: the size of the
        rows as JSON, before compression
    :param part_suffix: suffix of the parts of a folder, which sets their format
    :param resume_within: maximum age of the progress of an interrupted attempt. If it is older, the next attempt starts
        from zero
    :return: with ``xcom_fields``, a list with these fields of each row; otherwise a dict with the ``path``, the numbers
        of ``rows`` and ``pages``, the size of the file in ``bytes``, the times ``started`` and ``ended`` (ISO 8601,
        UTC), and if they apply: ``total`` (the number of rows according to the API), ``paging`` (``"absent"``),
        ``limit``, ``replaced`` (how many times NaN or Infinity became null), ``waits``, ``waited`` (seconds),
        ``retries``, ``renewals``, ``ignored`` (responses that an error rule ignored), ``parts`` (their number), and
        ``resumed`` (rows that an earlier attempt has read)
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
        part_rows: int = 100_000,
        part_bytes: int = 100_000_000,
        part_suffix: str = ".jsonl.gz",
        resume_within: timedelta = timedelta(days=1),
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
        self.part_rows = part_rows
        self.part_bytes = part_bytes
        self.part_suffix = part_suffix
        self.resume_within = resume_within
        check_concurrency(concurrency, self.oauth_conn_id)
        check_columns(self.oauth_conn_id, columns, extra_columns)
        check_parts(self)
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
        from airflow_provider_oauth.operators.extract_run import ExtractRun

        with self.reporting_failure():
            return ExtractRun(self, context).execute()

    def begin_run(self, context: Context, now: datetime, hook: OAuthHook) -> IncrementalRun | None:
        """Return what an incremental task reads in this run; None if the task is not incremental.

        :param context: the context of the task
        :param now: the current time, in UTC
        :param hook: the hook that reads the list
        """
        return None

    @property
    def is_transformed(self) -> bool:
        """Whether rows are changed before they are written."""
        return type(self).transform_row is not ExtractOperator.transform_row


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
    :param incremental: reads only the rows that are new or changed since the run before; None to read all rows in each
        run (templated)
    :param oauth_conn_id: ID of a connection of type OAuth 2.0 API or of a vendor's type (templated)
    :param scope: scopes to request, separated by spaces; None for the connection's scopes. Not for the grant types
        authorization_code and refresh_token (templated)
    :param path: the file to write: an absolute local path, or a URL of any storage that Airflow supports, such as
        ``s3://conn_id@bucket/key``. Its suffix sets the format: ``.jsonl`` or ``.ndjson`` (one row per line as JSON),
        ``.csv`` or ``.parquet``. All but ``.parquet`` can be followed by ``.gz`` or ``.zst`` for a compressed file. A
        path that ends with a slash is a folder of parts. None to write no file (templated)
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
    :param part_rows: number of rows after which a part of a folder is closed, at the end of a page
    :param part_bytes: number of bytes after which a part of a folder is closed, at the end of a page: the size of the
        rows as JSON, before compression
    :param part_suffix: suffix of the parts of a folder, which sets their format
    :param resume_within: maximum age of the progress of an interrupted attempt. If it is older, the next attempt starts
        from zero
    :return: with ``xcom_fields``, a list with these fields of each row; otherwise a dict with the ``path``, the numbers
        of ``rows`` and ``pages``, the size of the file in ``bytes``, the times ``started`` and ``ended`` (ISO 8601,
        UTC), and if they apply: ``total`` (the number of rows according to the API), ``paging`` (``"absent"``),
        ``limit``, ``replaced`` (how many times NaN or Infinity became null), ``waits``, ``waited`` (seconds),
        ``retries``, ``renewals``, ``ignored`` (responses that an error rule ignored), ``parts`` (their number), and
        ``resumed`` (rows that an earlier attempt has read). With ``incremental`` also ``from`` (the value that was
        sent), ``to`` (the mark that was reached) and ``dropped`` (rows that ``client_side`` did not write)
    :raises ConfigurationError: if a field of the connection or a parameter is invalid, if neither ``path`` nor
        ``xcom_fields`` is set, or if two parameters exclude each other
    :raises ApiError: if the API responds with an error status, or a response does not contain the rows
    :raises OAuthError: if no valid token can be obtained, or the storage fails
    """

    template_fields: Sequence[str] = (*ListRequest.template_fields, "incremental", *ExtractOperator.template_fields)
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
        incremental: Incremental | None = None,
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
        self.incremental = incremental
        set_upstream(self, incremental)
        self._check_output()
        check_incremental(self.oauth_conn_id, incremental, self.path)
        check_list(self._request, self.oauth_conn_id, is_rendered=False)

    def list_requests(self, hook: OAuthHook) -> Iterator[ListRequest]:
        """Yield the request for the list."""
        self._check_output()
        yield self._request

    def begin_run(self, context: Context, now: datetime, hook: OAuthHook) -> IncrementalRun | None:
        """Return what an incremental task reads in this run; None if the task is not incremental."""
        if self.incremental is None:
            return None
        from airflow_provider_oauth.operators.incremental_run import begin_run

        return begin_run(self, self.incremental, self._request, context, now, hook.account_values())

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
