"""dlt's ``RESTClient``, and a loop that writes its rows."""

from __future__ import annotations

import json

from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.auth import BearerTokenAuth
from dlt.sources.helpers.rest_client.paginators import PageNumberPaginator

from benchmarks.peers.worker import Job, serve


def pull(job: Job) -> None:
    client = RESTClient(
        base_url=job.url,
        auth=BearerTokenAuth("fake-access-token"),
        paginator=PageNumberPaginator(base_page=1, total_path="pages"),
        data_selector="data",
    )
    with open(job.path, "w") as file:
        for page in client.paginate("items"):
            for row in page:
                file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    serve(pull)
