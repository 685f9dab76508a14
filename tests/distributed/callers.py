"""Starts processes of several hosts that request the same token at the same moment: ``python callers.py OPTIONS``.

OPTIONS is a JSON object:

- ``conn_id``: the connection
- ``processes``, ``hosts``: the number of processes and hosts; each host has its own lock folder
- ``seconds``: for how long each process requests tokens
- ``killed``: the number of processes that are killed meanwhile
- ``folder``: each process writes its tokens to ``<number>.json`` in this folder

The exit codes of the processes are printed as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from airflow import settings
from airflow.models import import_all_models
from sqlalchemy.orm import configure_mappers

from airflow_provider_oauth.hooks.oauth import OAuthHook

#: Seconds between two requests of a process.
PAUSE = 0.1


def work(number: int, options: dict[str, Any], ready: int, start: int) -> None:
    """Request tokens as one process of a host.

    :param number: the number of the process
    :param options: the options of the program
    :param ready: the pipe that receives one byte when the process is ready
    :param start: the pipe that contains one byte for each process when it may start
    """
    folder = Path(options["folder"])
    os.environ["AIRFLOW__OAUTH__LOCK_FOLDER"] = str(folder / f"host-{number % options['hosts']}")
    settings.dispose_orm()
    settings.configure_orm()
    os.write(ready, b".")
    os.read(start, 1)
    begun = time.monotonic()
    tokens = set()
    while True:
        tokens.add(OAuthHook(options["conn_id"]).get_token().access_token)
        if time.monotonic() - begun >= options["seconds"]:
            break
        time.sleep(PAUSE)
    (folder / f"{number}.json").write_text(json.dumps(sorted(tokens)))


def main(options: dict[str, Any]) -> None:
    """Fork the processes, start all of them at the same moment, and print their exit codes."""
    import_all_models()  # once, before the fork
    configure_mappers()
    ready, start = os.pipe(), os.pipe()
    children = []
    for number in range(options["processes"]):
        if (pid := os.fork()) == 0:
            try:
                work(number, options, ready[1], start[0])
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        children.append(pid)
    for _ in children:
        os.read(ready[0], 1)
    os.write(start[1], b"." * len(children))
    for number in range(options["killed"]):
        time.sleep(options["seconds"] / (options["killed"] + 1))
        os.kill(children[-1 - number], signal.SIGKILL)
    print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
