"""Determines how many rows of a list a parameter of the first request skips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.extract.members import position_parameter
from airflow_provider_oauth.extract.paginators import OffsetPaginator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_oauth.extract.paginators import Paginator

#: The numbers that APIs give to the first page or row.
FIRST = ("0", "1")
#: The values with which some APIs request the first page of a list with a cursor.
NO_CURSOR = ("", "*", "0")


@dataclass(frozen=True)
class Start:
    """Where the reading of a list starts.

    :param rows_before: the number of rows before the first page that is read; None if it is unknown
    :param param: the parameter that makes it unknown; "" if it is known
    """

    rows_before: int | None = 0
    param: str = ""

    def remaining(self, total: int | None) -> int | None:
        """Return how many rows there are to read; None if it is unknown.

        :param total: the number of rows of the whole list; None if it is unknown
        """
        return None if total is None or self.rows_before is None else max(total - self.rows_before, 0)


def start_of(paginator: Paginator, params: Mapping[str, Any], *others: Any, endpoint: str = "") -> Start:
    """Return where the reading of a list starts.

    :param paginator: the paginator
    :param params: the parameters of the first request that the paginator may change
    :param others: the other parameters of the first request
    :param endpoint: the endpoint, which may contain a query
    """
    param = getattr(paginator, "param", None)
    if param is None:  # the API names the next page by a link
        position = position_parameter(*others, url=endpoint)
        return Start(None, position) if position else Start()
    value, first = str(params.get(param, "")).strip(), paginator.first_params.get(param)
    if first is None:
        return Start() if value in NO_CURSOR else Start(None, param)
    if str(first) in FIRST and value == str(first):
        return Start()
    if str(first) in FIRST and isinstance(paginator, OffsetPaginator) and value.isdecimal() and int(value) > int(first):
        return Start(int(value) - int(first))
    return Start(None, param)
