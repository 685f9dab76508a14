"""The loop with ``requests``; pyarrow writes a Parquet file in row groups of 10,000 rows."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.peers.loop import pages
from benchmarks.peers.worker import Job, serve

SCHEMA = pa.schema(
    {
        "id": pa.int64(),
        "name": pa.string(),
        "email": pa.string(),
        "created_at": pa.string(),
        "amount": pa.float64(),
        "quantity": pa.int64(),
        "active": pa.bool_(),
        "city": pa.string(),
        "comment": pa.string(),
        "url": pa.string(),
    }
)


def pull(job: Job) -> None:
    with pq.ParquetWriter(job.path, SCHEMA) as writer:
        group: list[dict[str, Any]] = []
        for rows in pages(job.url):
            group += rows
            if len(group) >= 10_000:
                writer.write_table(pa.Table.from_pylist(group, SCHEMA))
                group = []
        if group:
            writer.write_table(pa.Table.from_pylist(group, SCHEMA))


if __name__ == "__main__":
    serve(pull)
