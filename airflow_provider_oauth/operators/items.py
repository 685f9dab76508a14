"""Reads the items that an operator writes to an API: a list of objects, or a file with one object per line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.operators.ids import flattened

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def read_items(items: Any) -> Iterable[Any]:
    """Return the items as an iterable of objects. A file is read line by line.

    :param items: an object, a list of objects, a list of such lists, or the path or URL of a file with one JSON object
        per line
    :raises ValueError: if an item is not an object; for a list, this is raised before any item is returned
    """
    if isinstance(items, Mapping):  # a single item, as in a mapped task
        return [items]
    if not isinstance(items, str):
        flat = flattened(items)
        if wrong := [item for item in flat if not isinstance(item, Mapping)]:
            raise ValueError(
                f"items contains a value of type {type(wrong[0]).__name__}, but every item must be an object. Nothing "
                f"was written. Correct the items."
            )
        return flat
    if items.lstrip().startswith(("[", "{")):
        raise ValueError(
            "items is a string that looks like a list or an object. Pass the task's output directly, not in a "
            "template: items=task.output"
        )
    return _lines(items)


def batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Yield the items in lists of ``size``, like ``itertools.batched`` of Python 3.12.

    :param items: the items to split
    :param size: the length of each list; the last one may be shorter
    """
    batch: list[Any] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _lines(path: str) -> Iterator[Any]:
    from airflow.sdk import ObjectStoragePath

    with ObjectStoragePath(path).open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                item = json.loads(line) if line.strip() else None
            except ValueError:
                item = line
            if item is not None and not isinstance(item, dict):
                raise ValueError(f"Line {number} of {path} is not a JSON object. Correct or remove it.")
            if item is not None:
                yield item
