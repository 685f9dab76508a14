"""Determines the requests for the pages of a list: the first one, the next ones, and those to send ahead."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.extract.members import requested_size
from airflow_provider_oauth.extract.page_request import PageRequest, absolute_url
from airflow_provider_oauth.extract.paginator_options import PaginatorOptions
from airflow_provider_oauth.extract.sequence import COUNTING
from airflow_provider_oauth.extract.start import Start, start_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_provider_oauth.extract.page import Page
    from airflow_provider_oauth.extract.paginators import ParamIn
    from airflow_provider_oauth.extract.request import ListRequest


class Once:
    """Computes the request for the next page when it is first needed, and at most once.

    :param compute: returns the request; None after the last page
    """

    def __init__(self, compute: Callable[[], PageRequest | None]) -> None:
        self._compute = compute
        self._error: Exception | None = None

    @cached_property
    def value(self) -> PageRequest | None:
        """The request; None if there is no next page, or if there was an error."""
        try:
            return self._compute()
        except Exception as error:
            self._error = error
            return None

    def get(self) -> PageRequest | None:
        """Return the request; None after the last page.

        :raises Exception: the error of the computation
        """
        value = self.value
        if self._error is not None:
            raise self._error
        return value


class PageSteps:
    """Determines the requests for the pages of a list.

    :param request: the list
    :param conn_id: the connection ID, for errors
    """

    def __init__(self, request: ListRequest, conn_id: str) -> None:
        self._request = request
        self._paginator = request.paginator
        self._conn_id = conn_id
        self._options = self._paginator if isinstance(self._paginator, PaginatorOptions) else PaginatorOptions()

    def first(self) -> PageRequest:
        """Return the request for the first page.

        :raises ConfigurationError: if a parameter that the paginator counts with is not a number, or the body has no
            place for a parameter
        """
        request = PageRequest.first(self._request)
        if self._paginator is None:
            return request
        first = self._paginator.first_params
        # The caller's parameters take precedence, for example another page size.
        given = request.params(self._param_in, first)
        if isinstance(self._paginator, COUNTING):
            self._check_numbers({name: given[name] for name in first if name in given})
        return self.changed(request, {**first, **given})

    def start(self, first: PageRequest) -> Start:
        """Return how many rows of the list are before the first page.

        :param first: the request for the first page
        """
        if self._paginator is None:
            return Start()
        params = first.params(self._param_in, {getattr(self._paginator, "param", ""): None})
        others = (first.query, first.data if first.json is None else first.json)
        return start_of(self._paginator, params, *others, endpoint=self._request.endpoint)

    def following(self, request: PageRequest, page: Page) -> PageRequest | None:
        """Return the request for the next page; None after the last page.

        :param request: the request for ``page``
        :param page: the last page that was read
        :raises ApiError: if it is unknown whether there is a next page, or its link is not a URL
        """
        if self._paginator is None:
            return None
        following = self._paginator.next_page(page, self.params(request))
        if isinstance(following, str):
            kept = {} if self._param_in == "query" else request.values  # the headers and the body stay the same
            try:
                return replace(request, url=absolute_url(page.response.url, following), query={}, values=kept)
            except ValueError:  # such as an invalid port
                raise page.error("has a link to the next page that is not a URL. Check the paginator") from None
        if following is None:
            return None
        return replace(self.changed(request, following), values={**request.values, **following})

    def further(self, following: PageRequest, page: Page) -> tuple[Iterator[PageRequest], bool]:
        """Return the requests that will probably follow the next one, and whether they end at the end of the list.

        :param following: the next request
        :param page: the last page that was read
        """
        values = self._options.values_ahead(page, self.params(following))
        param = getattr(self._paginator, "param", "")
        return (self.changed(following, {param: value}) for value in values), isinstance(values, range)

    def params(self, request: PageRequest) -> Mapping[str, Any]:
        """Return the parameters of a request that the paginator may change."""
        return request.params(self._param_in, self._paginator.first_params) if self._paginator else {}

    def changed(self, request: PageRequest, values: Mapping[str, Any]) -> PageRequest:
        """Return a request with other parameters.

        :raises ConfigurationError: if the body has no place for a parameter
        """
        try:
            return request.changed(self._param_in, values)
        except ValueError as error:
            raise ConfigurationError(
                f"Connection {self._conn_id!r}: the paginator cannot set its parameters in the body, because {error}. "
                "Correct the parameter's path, or add the missing object or array to json."
            ) from None

    @property
    def _param_in(self) -> ParamIn:
        return getattr(self._paginator, "param_in", "query")

    def _check_numbers(self, params: Mapping[str, Any]) -> None:
        """Check that the caller's page, offset and page size are numbers.

        :raises ConfigurationError: if one is not
        """
        for name, value in params.items():
            if not str(value).strip().isdecimal():
                raise ConfigurationError(
                    f"Connection {self._conn_id!r}: the parameter {name!r} is {value!r}, but "
                    f"{type(self._paginator).__name__} counts with it. Set it to an integer, or remove it."
                )


def requested_size_of(request: PageRequest, page: Page) -> int | None:
    """Return the number of rows that a request asks for; None if it does not name it.

    :param request: the request
    :param page: the response to it
    """
    body = request.data if request.json is None else request.json
    return requested_size(request.query, body, url=page.response.url or "")
