"""The description of a list that an operator fetches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_oauth.extract.paginators import Paginator


@dataclass(frozen=True, kw_only=True)
class ListRequest:
    """How to request a list from the API.

    Its ``repr`` contains no parameters, headers and bodies, because Airflow stores it with the DAG.

    :param endpoint: path relative to the API base URL (templated)
    :param method: HTTP method
    :param request_params: query parameters; parameters that are None are not sent (templated)
    :param json: JSON body (templated)
    :param data: query parameters of a GET request, body of other requests (templated)
    :param headers: headers of all requests; headers that are None are not sent (templated)
    :param paginator: how the API splits the list into pages; None if it does not
    :param records_path: path of the rows in a response, or several, of which the first one that the response has is
        used; None if the response is the array of rows, or has exactly one array
    :param allow_nan: whether to replace NaN and Infinity, which JSON does not have, by null
    """

    endpoint: str
    method: str = "GET"
    request_params: Mapping[str, Any] | None = field(default=None, repr=False)
    json: Any = field(default=None, repr=False)
    data: Any = field(default=None, repr=False)
    headers: Mapping[str, str | None] | None = field(default=None, repr=False)
    paginator: Paginator | None = None
    records_path: str | Sequence[str] | None = None
    allow_nan: bool = False
