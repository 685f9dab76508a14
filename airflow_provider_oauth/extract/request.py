"""The description of a list that an operator fetches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.extract.jmes import is_template
from airflow_provider_oauth.extract.paginators import OffsetPaginator, PageNumberPaginator
from airflow_provider_oauth.extract.records_path import records_paths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_oauth.extract.formats import ResponseFormat
    from airflow_provider_oauth.extract.paginators import Paginator


@dataclass(frozen=True, kw_only=True)
class ListRequest:
    """How to request a list from the API.

    Its ``repr`` contains no parameters, headers and bodies, because Airflow stores it with the DAG. If a template field
    of an operator of this package contains it, its templates are rendered.

    :param endpoint: path relative to the API base URL (templated)
    :param method: HTTP method (templated)
    :param request_params: query parameters; parameters that are None are not sent (templated)
    :param json: JSON body (templated)
    :param data: query parameters of a GET request, body of other requests (templated)
    :param headers: headers of all requests; headers that are None are not sent (templated)
    :param paginator: how the API splits the list into pages; None if it does not (templated)
    :param records_path: path of the rows in a response, or several paths: the first one that exists in the response is
        used; None if the response is the array of rows, or has exactly one array
    :param response_format: format of the responses: ``"json"``, or ``JsonLinesFormat()`` or ``CsvFormat()`` of
        ``extract.formats``
    :param allow_nan: whether to replace NaN and Infinity, which JSON does not have, by null
    """

    template_fields: ClassVar[tuple[str, ...]] = (
        "endpoint",
        "method",
        "request_params",
        "json",
        "data",
        "headers",
        "paginator",
    )

    endpoint: str
    method: str = "GET"
    request_params: Mapping[str, Any] | None = field(default=None, repr=False)
    json: Any = field(default=None, repr=False)
    data: Any = field(default=None, repr=False)
    headers: Mapping[str, str | None] | None = field(default=None, repr=False)
    paginator: Paginator | None = field(default=None, repr=False)
    records_path: str | Sequence[str] | None = None
    response_format: ResponseFormat = "json"
    allow_nan: bool = False


def check_list(request: ListRequest, conn_id: str, *, is_rendered: bool = True) -> None:
    """Check the parameters of a list before it is requested.

    :param request: the list; empty values count as absent
    :param conn_id: the connection ID, for errors
    :param is_rendered: whether the templates were rendered. If false, values that may become empty are not compared
    :raises ConfigurationError: if ``records_path`` is invalid, or two parameters exclude each other
    """
    try:
        paths = records_paths(request.records_path)
    except ValueError as error:
        raise ConfigurationError(f"Connection {conn_id!r}: {error}") from None
    if _counts_rows(request.paginator) and (nested := [path for path in paths if path.is_nested]):
        raise ConfigurationError(
            f"Connection {conn_id!r}: {type(request.paginator).__name__} finds the next page by the number of rows. "
            f"With records_path {nested[0].text!r}, this number differs from the number of elements that the API "
            "counts, so pages would be missing. Set records_path to the outer array, or use a paginator that does not "
            "count rows, such as PageNumberPaginator with last or more."
        )
    if request.method.upper() == "HEAD":
        raise ConfigurationError(
            f"Connection {conn_id!r}: the response to a HEAD request has no body, so it has no rows. Use another "
            "method."
        )
    query = ("request_params", "data") if request.method.upper() == "GET" else ("request_params",)
    for name in (*query, "headers"):
        value = getattr(request, name)
        if value and not isinstance(value, Mapping) and (is_rendered or _is_final(value)):
            raise ConfigurationError(
                f"Connection {conn_id!r}: {name} of a {request.method} request is not a dict. Set it to a dict of "
                "names and values. A value can be a list."
            )
    pairs = [("data", "json")]
    if request.method.upper() == "GET":  # with GET, data is the query too
        pairs.append(("request_params", "data"))
    for pair in pairs:
        values = [getattr(request, name) for name in pair]
        if all(values) and (is_rendered or all(map(_is_final, values))):
            raise ConfigurationError(
                f"Connection {conn_id!r}: a {request.method} request cannot have both {pair[0]} and {pair[1]}. Remove "
                "one of them."
            )


def check_concurrency(concurrency: Any, conn_id: str) -> None:
    """Check the maximum number of requests at a time.

    :raises ConfigurationError: if it is not an integer of at least 1
    """
    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
        raise ConfigurationError(
            f"Connection {conn_id!r}: concurrency is {concurrency!r}. Set it to an integer of at least 1, the maximum "
            "number of requests at a time."
        )


def _counts_rows(paginator: Paginator | None) -> bool:
    """Return whether a paginator finds the next page, or the end of the list, by the number of rows."""
    if isinstance(paginator, PageNumberPaginator):
        return paginator.last is None and paginator.more is None
    return isinstance(paginator, OffsetPaginator)


def _is_final(value: Any) -> bool:
    """Return whether a value stays as it is: not a template, and not the result of another task."""
    return not is_template(value) if isinstance(value, str) else isinstance(value, (dict, list))
