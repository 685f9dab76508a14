"""A loop with ``requests``, as people write it by hand."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from benchmarks.peers.worker import Job, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

FIELDS = ("id", "name", "email", "created_at", "amount", "quantity", "active", "city", "comment", "url")


def pages(url: str) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of each page."""
    with requests.Session() as session:
        session.headers["Authorization"] = "Bearer fake-access-token"
        page, last = 1, 1
        while page <= last:
            response = session.get(f"{url}/items", params={"page": page}, timeout=60)
            response.raise_for_status()
            body = response.json()
            last = body["pages"]
            yield body["data"]
            page += 1


def json_lines(job: Job) -> None:
    with open(job.path, "w") as file:
        for rows in pages(job.url):
            for row in rows:
                file.write(json.dumps(row) + "\n")


def csv_file(job: Job) -> None:
    with open(job.path, "w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        for rows in pages(job.url):
            writer.writerows(rows)


def pull(job: Job) -> None:
    {".jsonl": json_lines, ".csv": csv_file}[Path(job.path).suffix](job)


if __name__ == "__main__":
    serve(pull)
