"""Reads the IDs in the parameters of operators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_oauth.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class TakesIds:
    """Lets an operator read IDs from its parameters."""

    oauth_conn_id: str

    def segment(self, name: str, value: Any = None) -> str:
        """Return an ID as a segment of a URL path.

        :param name: name of the parameter with the ID, for errors
        :param value: the ID; None to use the value of that parameter
        :raises ConfigurationError: if the value is not an ID, because the request would go to a different endpoint
        """
        value = getattr(self, name) if value is None else value
        if not isinstance(value, (str, int)) or str(value).strip() in ("", ".", ".."):
            raise ConfigurationError(
                f"Connection {self.oauth_conn_id!r}: {name} is {value!r}, which is not an ID. Set it to one ID."
            )
        return quote(str(value).strip(), safe="")

    def ids(self, name: str) -> list[str]:
        """Return the IDs in a parameter.

        The parameter can be one ID, IDs separated by commas, a list, or a list of lists, as mapped tasks return it.

        :param name: name of the parameter with the IDs
        :raises ConfigurationError: if it contains values that are not IDs
        """
        found = getattr(self, name)
        if not found and found != 0:
            return []
        ids: list[str] = []
        for each in flattened([found] if isinstance(found, (str, int, Mapping)) else found):
            text = "" if each is None else str(each).strip()
            if not isinstance(each, (str, int, type(None))) or text.startswith(("[", "{")):
                raise ConfigurationError(
                    f"Connection {self.oauth_conn_id!r}: {name} contains a value of type {type(each).__name__} that is "
                    f"not an ID. Pass one ID, a list of IDs, or a task's output directly, not in a template: "
                    f"{name}=task.output"
                )
            ids += [part.strip() for part in text.split(",") if part.strip()]
        return ids


def flattened(values: Iterable[Any]) -> list[Any]:
    """Return ``values`` with each list in it replaced by its elements. Mapped tasks return a list of lists."""
    return [each for value in values for each in (value if isinstance(value, (list, tuple)) else [value])]


def joined(values: str | int | Sequence[Any] | None) -> str | None:
    """Join values with commas, as many query parameters expect; None if there are none."""
    if values is None or isinstance(values, (str, int)):
        return str(values) if values not in (None, "") else None
    return ",".join(map(str, values)) or None
