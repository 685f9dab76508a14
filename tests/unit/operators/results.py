"""The result of an extract in the tests of operators."""

from __future__ import annotations

from typing import Any


def counts(result: dict[str, Any]) -> dict[str, Any]:
    """Return the members of a result that do not depend on the time and the size of the rows."""
    return {name: result[name] for name in ("rows", "pages", "path")}
