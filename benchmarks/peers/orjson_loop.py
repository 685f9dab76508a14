"""The loop with ``requests``; orjson decodes pages and encodes rows."""

from __future__ import annotations

import orjson
import requests

from benchmarks.peers.worker import Job, serve


def pull(job: Job) -> None:
    with requests.Session() as session, open(job.path, "wb") as file:
        session.headers["Authorization"] = "Bearer fake-access-token"
        page, last = 1, 1
        while page <= last:
            response = session.get(f"{job.url}/items", params={"page": page}, timeout=60)
            response.raise_for_status()
            body = orjson.loads(response.content)
            last = body["pages"]
            for row in body["data"]:
                file.write(orjson.dumps(row) + b"\n")
            page += 1


if __name__ == "__main__":
    serve(pull)
