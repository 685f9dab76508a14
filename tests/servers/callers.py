"""Starts processes of several hosts that call one API until a file appears: ``python callers.py OPTIONS``.

OPTIONS is a JSON object:

- ``conn_id``: the connection that all processes use
- ``processes``, ``hosts``: the number of processes and hosts; each host has its own lock folder
- ``folder``: each process writes the statuses of its calls to ``<number>.json`` in this folder; the file ``stop`` ends
  all processes
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from airflow import settings
from airflow.models import import_all_models
from sqlalchemy.orm import configure_mappers

from airflow_provider_oauth.hooks.oauth import OAuthHook

#: Seconds between the calls of a process.
PAUSE = 0.1


def work(number: int, options: dict[str, Any]) -> None:
    """Call the API as one process of a host."""
    folder = Path(options["folder"])
    os.environ["AIRFLOW__OAUTH__LOCK_FOLDER"] = str(folder / f"host-{number % options['hosts']}")
    settings.dispose_orm()
    settings.configure_orm()
    hook = OAuthHook(options["conn_id"], method="GET")
    statuses = []
    while not (folder / "stop").exists():
        statuses.append(hook.run("me", extra_options={"check_response": False}).status_code)
        time.sleep(PAUSE)
    (folder / f"{number}.json").write_text(json.dumps(statuses))


def main(options: dict[str, Any]) -> None:
    """Fork the processes, and exit with the number of processes that failed."""
    import_all_models()  # once, before the fork
    configure_mappers()
    children = []
    for number in range(options["processes"]):
        if (pid := os.fork()) == 0:
            try:
                work(number, options)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        children.append(pid)
    sys.exit(sum(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0 for pid in children))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
