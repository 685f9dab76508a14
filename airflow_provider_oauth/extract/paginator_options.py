"""The protocol of paginators, and the parameters that all paginators of this package have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, get_args

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.extract.content_range import total_of_range
from airflow_provider_oauth.extract.jmes import is_template
from airflow_provider_oauth.extract.sources import ABSENT, check_source, read

if TYPE_CHECKING:
    from airflow_provider_oauth.extract.page import Page

#: How to request the next page: changed parameters, or a URL; None after the last page.
NextPage = Mapping[str, Any] | str | None
#: Where a paginator puts its parameters.
ParamIn = Literal["query", "header", "body"]


class Paginator(Protocol):
    """How an API splits a list into pages. ``OAuthHook.paginate`` accepts any object with these two members."""

    @property
    def first_params(self) -> Mapping[str, Any]:
        """The parameters of the first page."""

    def next_page(self, page: Page, params: Mapping[str, Any]) -> NextPage:
        """Return changed parameters for the next page, or its URL; None if ``page`` is the last one.

        :param page: the page that was read
        :param params: the parameters of its request
        """


@dataclass(frozen=True, kw_only=True)
class PaginatorOptions:
    """The parameters that all paginators of this package have. All parameters of a paginator are templated.

    :param more: where a page says whether there are more pages: JMESPath, or ``header:`` and a name. If a page has this
        value, only this value decides whether the next page is requested
    :param total: where the response has the total number of rows: JMESPath, or ``header:`` and a name. After the last
        page, it is compared with the number of rows that were read
    :param stop_on: error statuses that the API returns for a page after the last one, such as ``(404,)``. They end the
        list
    :param empty_page_ends: whether a page without rows is the last one, even if it names a next page
    :param repeats_last_page: whether the API returns the last page again for pages after the last one, or the last page
        contains a link to itself. If true, a repeated page ends the list. If false, it is an error
    :param optional: whether the API may omit what the paginator looks for. If true, the list is not checked for missing
        rows when the API omits it
    """

    more: str | None = None
    total: str | None = None
    stop_on: tuple[int, ...] = ()
    empty_page_ends: bool = False
    repeats_last_page: bool = False
    optional: bool = False

    def __post_init__(self) -> None:
        """Check the fields when the paginator is created, and convert text that is a number or a boolean.

        :raises ConfigurationError: if one of them is invalid
        """
        for each in fields(self):
            value = getattr(self, each.name)
            if not (isinstance(value, str) and is_template(value)):
                object.__setattr__(self, each.name, self._converted(each.name, str(each.type), value))
        for name in ("more", "total", *self.sources):
            check_source(getattr(self, name), f"{type(self).__name__}: {name}")

    def _converted(self, name: str, kind: str, value: Any) -> Any:
        """Return the value of a field, converted to its type.

        A rendered template is text, and the text ``False`` would count as true.

        :param kind: the type of the field
        """
        if kind == "tuple[int, ...]":
            values = (value,) if isinstance(value, (int, str)) else value
            return tuple(self._converted(name, "int", each) for each in values)
        expected = ""
        if kind == "bool":
            value = {"true": True, "false": False}.get(str(value).strip().lower())
            expected = "True or False" if value is None else ""
        elif kind.startswith("int") and not (value is None and kind == "int | None"):
            if isinstance(value, bool) or not str(value).strip().isdecimal() or (name == "size" and not int(value)):
                expected = f"an integer of at least {1 if name == 'size' else 0}"
            else:
                value = int(value)
        elif kind == "str" and not (isinstance(value, str) and value):
            expected = "text"
        elif kind == "ParamIn" and value not in get_args(ParamIn):
            expected = f"one of {', '.join(get_args(ParamIn))}"
        if expected:
            raise ConfigurationError(
                f"{type(self).__name__}: {name} is {getattr(self, name)!r}, which is invalid. Set it to {expected}."
            )
        return value

    @property
    def template_fields(self) -> tuple[str, ...]:
        """The names of the fields that operators render, which are all fields."""
        return tuple(each.name for each in fields(self))

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the fields that are JMESPaths or headers, besides ``more`` and ``total``."""
        return ()

    def has_more(self, page: Page) -> bool | None:
        """Return whether ``page`` says that there are more pages; None if it does not say."""
        if self.empty_page_ends and not page.count:
            return False
        value = read(page, self.more) if self.more else ABSENT
        return None if value is ABSENT else is_true(value)

    #: Whether each page needs the total to find the next page. Otherwise, that of the first page is enough.
    counts_rows: ClassVar[bool] = False
    #: Whether APIs omit the sign of a next page if the list has only one page.
    may_be_absent: ClassVar[bool] = False

    def is_absent(self, page: Page) -> bool:
        """Return whether ``page`` contains nothing about a next page."""
        return False

    def sent_query(self, query: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the query parameters to send for a page.

        :param query: the parameters of the list, and those of the paginator
        :raises ConfigurationError: if they cannot be sent
        """
        return query

    def values_ahead(self, page: Page, params: Mapping[str, Any]) -> Iterable[int]:
        """Return the values of ``param`` for the pages after the next one, to request them ahead.

        :param page: the page that was read
        :param params: the parameters of the request for the next page
        :return: a ``range`` if the end of the list is known; empty if the values cannot be computed
        """
        return ()

    def total_of(self, page: Page) -> int | None:
        """Return the total number of rows according to ``page``; None if it is unknown.

        :raises ApiError: if the page does not have ``total``
        """
        return self.count_of(page, "total")

    def count_of(self, page: Page, name: str) -> int | None:
        """Return a number of rows or pages; None if it is unknown. Some APIs send null, 0 or -1 for an unknown number.

        :param page: the page
        :param name: the name of the field with the source of the number
        :raises ApiError: if a page with rows does not have the number, unless ``optional`` is true
        """
        source = getattr(self, name)
        value = ABSENT if source is None else read(page, source)
        if value is ABSENT and source is not None and not self.optional and self._is_expected(page, name):
            raise page.error(
                f"has no {source!r}, where the paginator looks for {name}. Correct {name}, or set optional=True if the "
                "API does not always send it"
            )
        if isinstance(value, str):
            value = int(value) if value.strip().isdecimal() else total_of_range(value)
        return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None

    def _is_expected(self, page: Page, name: str) -> bool:
        """Return whether ``page`` must have a number of rows or pages."""
        if page.number == 1:
            return not page.is_blank
        return page.count > 0 and (name != "total" or self.counts_rows)


def is_true(value: Any) -> bool:
    """Return whether ``value`` means that there are more pages. Headers, and some APIs, send text."""
    return bool(value) and str(value).strip().lower() not in ("false", "0", "no", "")
