"""A file in memory, and rows in JSON."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow.parquet

from airflow_provider_oauth.extract.storage import NewFile
from airflow_provider_oauth.extract.writers.file_format import file_format


class Memory:
    """A destination that keeps the bytes."""

    def __init__(self) -> None:
        self.content = b""

    def write(self, data: Any, /) -> None:
        self.content += data

    def publish(self) -> None:
        pass

    def discard(self) -> None:
        self.content = b""


def lines(*rows: Any) -> list[bytes]:
    """Return rows as the engine passes them on; ``bytes`` are taken as they are."""
    return [row if isinstance(row, bytes) else json.dumps(row, separators=(",", ":")).encode() for row in rows]


def written(
    suffix: str,
    *batches: list[bytes],
    columns: Any = None,
    extra_columns: str = "error",
    csv_escape: bool = False,
) -> bytes:
    """Return the file with these rows."""
    memory = Memory()
    chosen = file_format(
        "my_api", f"/data/rows{suffix}", columns=columns, extra_columns=extra_columns, csv_escape=csv_escape
    )
    with chosen.open(NewFile(memory, "rows")) as file:
        for batch in batches:
            file.write(batch)
        file.finish()
    return memory.content


def table(content: bytes) -> pyarrow.Table:
    """Return the content of a Parquet file."""
    return pyarrow.parquet.read_table(io.BytesIO(content))
