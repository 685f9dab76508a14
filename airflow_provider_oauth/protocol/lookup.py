"""A lookup after a consent: values that API requests need and that the API itself returns, such as Jira's cloud ID."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - msgspec reads the annotations
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """One GET request to the API after a consent. Its values are kept with the grant, like callback values.

    :param endpoint: the endpoint, relative to the API base URL, without the connection's ``endpoint_prefix``
    :param records_path: the path of the rows in the response
    :param values: JMESPath of each value in a row, by the name of the value
    :param describe: JMESPath of a text in a row that tells users the rows apart; None if the values do so
    """

    endpoint: str
    records_path: str = "@"
    values: Mapping[str, str]
    describe: str | None = None
