"""Reads values from a page: from a JMESPath, or from a header, which is written as ``header:`` and its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.extract.jmes import compiled, is_template

if TYPE_CHECKING:
    from airflow_provider_oauth.extract.page import Page

HEADER = "header:"


class _Absent:
    """The result of ``read`` if the page does not have the source. A member that is null is not absent."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()


def check_source(source: str | None, name: str) -> None:
    """Check a source before it is used.

    :param source: a JMESPath, or ``header:`` and a name; None if there is none. A template is checked after it was
        rendered
    :param name: the name of the parameter, for errors
    :raises ConfigurationError: if it is not a JMESPath
    """
    if source is not None and not source.startswith(HEADER) and not is_template(source):
        compiled(source, name)


def read(page: Page, source: str) -> Any:
    """Return the value of a source in a page; ``ABSENT`` if the page does not have it.

    :param page: the page
    :param source: a JMESPath, or ``header:`` and a name
    :raises ApiError: if the JMESPath has a function that cannot be applied to the response
    """
    if source.startswith(HEADER):
        return page.response.headers.get(source.removeprefix(HEADER).strip(), ABSENT)
    value = page.search(source)
    # An expression such as !isLast is a boolean even if the response does not have the member.
    return ABSENT if (value is None or isinstance(value, bool)) and not page.has(source) else value
