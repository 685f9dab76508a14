"""The description of a list that an operator fetches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_oauth.extract.paginators import Paginator


@dataclass(frozen=True, kw_only=True)
class ListRequest:
    """How to request a list from the API.

    :param endpoint: path relative to the API base URL
    :param data: query parameters; parameters that are None are not sent
    :param headers: headers of all requests; headers that are None are not sent
    :param paginator: how the API splits the list into pages; None if it does not
    :param records_path: JMESPath of the array of rows in a response; None if the response is that array, or has exactly
        one array
    """

    endpoint: str
    data: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str | None] = field(default_factory=dict)
    paginator: Paginator | None = None
    records_path: str | None = None
