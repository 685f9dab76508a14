"""A dlt pipeline from its REST API source to its file system destination. As by default, the files are compressed."""

from __future__ import annotations

import os
from pathlib import Path

import dlt
from dlt.sources.rest_api import rest_api_source

from benchmarks.peers.worker import Job, serve


def pull(job: Job) -> None:
    """Write the rows to a file in the folder ``job.path``."""
    folder = Path(job.path)
    source = rest_api_source(
        {
            "client": {
                "base_url": job.url,
                "auth": {"type": "bearer", "token": "fake-access-token"},
                "paginator": {"type": "page_number", "base_page": 1, "total_path": "pages"},
            },
            "resources": [{"name": "items", "endpoint": {"path": "items", "data_selector": "data"}}],
        }
    )
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=str(folder / "working"),
        destination=dlt.destinations.filesystem(bucket_url=folder.as_uri()),
        dataset_name="lake",
    )
    pipeline.run(source, loader_file_format="jsonl", write_disposition="replace")


if __name__ == "__main__":
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    serve(pull)
