"""Selects the fields of rows that a task returns, and limits their number and size."""

from __future__ import annotations

import json
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from airflow_provider_oauth.exceptions import ConfigurationError

#: Default maximum number of rows in XCom.
MAX_ROWS = 1000
#: Default maximum size in XCom, as JSON, in bytes.
MAX_SIZE = 48_000


class XComRows:
    """The selected fields of the rows.

    :param conn_id: the connection ID, for errors
    :param xcom_fields: JMESPath of the fields of a row
    :param limit: maximum size of the list as JSON, in bytes; None for ``MAX_SIZE`` and ``MAX_ROWS``
    :raises ConfigurationError: if ``xcom_fields`` is not a JMESPath
    """

    def __init__(self, conn_id: str, xcom_fields: str, limit: int | None = None) -> None:
        self._conn_id = conn_id
        self._limit = limit
        self._size = 2  # the brackets
        #: What the task returns.
        self.rows: list[Any] = []
        try:
            self._select = jmespath.compile(xcom_fields)
        except JMESPathError as error:
            raise ConfigurationError(
                f"Connection {conn_id!r}: xcom_fields is not a valid JMESPath. Example: {{id: id, name: name}}. "
                f"({error})"
            ) from None

    def add(self, row: Any) -> None:
        """Add the fields of a row.

        :param row: the row, without the values that must never be stored in XCom
        :raises ConfigurationError: if the JMESPath cannot be applied to it, or if the limit is exceeded
        """
        try:
            selected = self._select.search(row)
        except JMESPathError:  # the text of this error quotes the row
            raise ConfigurationError(
                f"Connection {self._conn_id!r}: xcom_fields contains a function that is unknown or cannot be applied "
                "to the values in a row. Correct the JMESPath."
            ) from None
        self.rows.append(selected)
        try:
            self._size += len(json.dumps(selected, separators=(",", ":"), allow_nan=False)) + 1
        except ValueError:
            raise ConfigurationError(
                f"Connection {self._conn_id!r}: xcom_fields selects a number that is too large for Python, such as "
                "1E400, so it cannot be stored in XCom as it is. Select other fields, or set path."
            ) from None
        if self._limit is None and len(self.rows) > MAX_ROWS:
            self._fail(f"{MAX_ROWS:,} rows")
        if self._size > (MAX_SIZE if self._limit is None else self._limit):
            self._fail(f"{MAX_SIZE if self._limit is None else self._limit:,} bytes, at row {len(self.rows):,}")

    def _fail(self, limit: str) -> None:
        raise ConfigurationError(
            f"Connection {self._conn_id!r}: xcom_fields selects more than {limit}, which is the limit, because Airflow "
            "stores XCom in its database. Set path to write the rows to a file, select fewer fields, or set xcom_limit "
            "to a larger number of bytes."
        )
