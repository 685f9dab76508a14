"""Incremental extracts: each run reads only the rows that are new or changed since the run before.

DAG files import this module, so it imports nothing that only rows need.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_oauth.extract.incremental_check import check_incremental
from airflow_provider_oauth.extract.mark_request import MARK, fingerprint, with_parameters
from airflow_provider_oauth.extract.mark_values import values_of
from airflow_provider_oauth.extract.records_path import RecordsPath

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_provider_oauth.extract.mark_values import MarkValues, Position
    from airflow_provider_oauth.extract.paginator_options import ParamIn
    from airflow_provider_oauth.extract.request import ListRequest


@dataclass(frozen=True, kw_only=True, repr=False)
class Incremental:
    """Reads only the rows that are new or changed since the run before.

    The *mark* is the greatest value of ``field`` that was read. It is stored after the file is in place, and the next
    run sends it to the API.

    :param field: the field that grows with each change of a row, such as ``updatedAt`` or ``attributes.updated``: keys
        joined by dots. Write keys with special characters in double quotes (templated)
    :param param: name of the parameter by which the API filters. None only with ``client_side`` or ``descending``
        (templated)
    :param initial: the value that the first run sends, without changes: text or a number (templated)
    :param format: how the values are written: ``"iso"`` (ISO 8601), ``"epoch"`` (seconds since 1970), ``"epoch_ms"``
        (milliseconds since 1970), ``"int"`` (an integer that is not a time, such as an ID), or a pattern of
        ``strptime`` such as ``"%d.%m.%Y %H:%M"``
    :param lookback: how much to subtract from the mark before it is sent, because APIs can show changes late: a
        ``timedelta`` or seconds; with the format ``"int"``, an integer. None for one unit of the last digit of the
        mark, 0 to send the mark itself
    :param value: the text to send. It must contain ``{mark}``, as in ``"updatedAt ge {mark}"``. If the API
        expects another notation in its filter, add a format: ``{mark:epoch_ms}`` or ``{mark:%Y-%m-%d %H:%M}``. Times
        are rounded down, and ``end_param`` has the same format (templated)
    :param param_in: where the parameters are sent: in the ``query``, in a ``header``, or in the ``body``, where
        ``param`` is a path such as ``filter.updated.from``. In a JSON body, the mark is a number if ``initial`` is one
        and ``format`` is ``"epoch"``, ``"epoch_ms"`` or ``"int"``
    :param end_param: name of the parameter with the end of the period, for APIs that need one. Its value is the start
        of the first attempt of the run. Not with the format ``"int"`` (templated)
    :param timezone: the zone of values without an offset from UTC: an IANA name such as ``"Europe/Berlin"``, or
        ``"UTC"``. None if all values have an offset
    :param key: distinguishes the marks of mapped tasks, for example the ID of an account. Mapped tasks require it
        (templated)
    :param client_side: whether to drop rows before the value that was sent or would be sent, for APIs that do not
        filter
    :param descending: whether the API returns the newest rows first. Reading ends after the first page whose rows are
        all before that value
    """

    template_fields: ClassVar[tuple[str, ...]] = ("field", "param", "initial", "value", "end_param", "key")

    field: str
    param: str | None = None
    initial: str | int | float
    format: str = "iso"
    lookback: timedelta | float | None = None
    value: str = MARK
    param_in: ParamIn = "query"
    end_param: str | None = None
    timezone: str | None = None
    key: str | None = None
    client_side: bool = False
    descending: bool = False

    def __repr__(self) -> str:
        """Return the parameters that are set. Airflow stores this text with the DAG."""
        values = ((each.name, getattr(self, each.name), each.default) for each in fields(self))
        return f"Incremental({', '.join(f'{name}={value!r}' for name, value, default in values if value != default)})"

    @property
    def values(self) -> MarkValues:
        """How values of ``field`` compare, and how they are written.

        :raises ValueError: if ``format`` or ``timezone`` is not supported
        """
        return values_of(self.format, self.timezone)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that lead to ``field`` in a row.

        :raises ValueError: if ``field`` is not a path of keys
        """
        path = RecordsPath.parse(self.field)
        if path.is_optional or not path.keys or path.has_several_values:
            raise ValueError(self.field)
        return path.keys

    @property
    def initial_text(self) -> str:
        """``initial`` as text, which is the mark before the first run."""
        return self.initial if isinstance(self.initial, str) else repr(self.initial)

    def check(self, conn_id: str, *, is_rendered: bool) -> None:
        """Check the parameters.

        :param conn_id: the connection ID, for errors
        :param is_rendered: whether the templates were rendered. If false, templates and results of other tasks are not
            checked
        :raises ConfigurationError: if one of them is invalid
        """
        check_incremental(self, conn_id, is_rendered=is_rendered)

    def since(self, mark: str) -> str:
        """Return the value that a run sends: the mark minus ``lookback``, but not before ``initial``.

        If the mark is before ``initial``, because ``initial`` was changed or a user has set the mark, ``initial`` is
        not used as a limit: otherwise ``lookback`` would have no effect.

        :param mark: the mark
        :raises ValueError: if the mark is not a value in ``format``
        """
        values = self.values
        position, first = values.position(mark), values.position(self.initial_text)
        if position == first:
            return mark
        lowest = values.write(first, mark) if position > first else None
        try:
            earlier = values.earlier(mark, self._lookback(mark))
        except ValueError:  # the result is before the year 1
            return lowest or mark
        return earlier if lowest is None else max(earlier, lowest, key=values.position)

    def end(self, started: datetime) -> str | None:
        """Return the value of ``end_param``, rounded down; None without ``end_param``.

        :param started: the start of the first attempt of the run
        """
        return None if self.end_param is None else self.values.at(started, self.initial_text)

    def requested(self, request: ListRequest, since: str, end: str | None, conn_id: str) -> ListRequest:
        """Return a list with the parameters of a run.

        :param request: the list, whose templates were rendered
        :param since: the value that the run sends
        :param end: the value of ``end_param``; None if there is none
        :param conn_id: the connection ID, for errors
        :raises ConfigurationError: if the list is invalid or has one of the parameters, or its body has no such place
        """
        return with_parameters(self, request, since, end, conn_id)

    def fingerprint(
        self, request: ListRequest, conn_id: str, account_values: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """Return a hash of each parameter that determines which rows the API returns, by its name.

        :param request: the list, whose templates were rendered, without the parameters that :meth:`requested` adds
        :param conn_id: the connection ID, for errors and for the hash
        :param account_values: the callback, lookup and vendor values of the connection, by their names
        :raises ConfigurationError: if the list is invalid
        """
        return fingerprint(self, request, conn_id, account_values or {})

    def _lookback(self, mark: str) -> Position:
        if self.lookback is None:
            return self.values.unit(mark)
        if isinstance(self.lookback, timedelta):
            return Decimal(self.lookback // timedelta(microseconds=1)).scaleb(-6)
        return self.lookback if isinstance(self.lookback, int) else Decimal(repr(self.lookback))
