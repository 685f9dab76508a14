"""One host in the tests of key replacements: ``python rotation_host.py OPTIONS`` runs tasks until a file appears.

OPTIONS is a JSON object:

- ``name``: the name of the host
- ``folder``: the folder that all hosts share. It contains Airflow's Variables, one file each, and the results of each
  host; the file ``stop`` ends all hosts. The file ``kill`` kills the process of the next task that is about to send its
  refresh token
- ``token_url``, ``key_file``, ``file_folder``: fields of the connection
- ``long``: whether all tasks run in one process, like deferred tasks in the triggerer; otherwise each has its own
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.protocol.config import OAuthConfig
from airflow_provider_oauth.runtime import airflow_variables, token_sources
from airflow_provider_oauth.tokens import durable_write, lease, record_writer

#: The times of the lease, shorter than the real ones, so that a test need not wait 90 s for a killed process.
WAIT, TERM, MAX_EXCHANGE_TIME, MAX_STORING_TIME = 0.4, 6.0, 2.0, 2.0
#: Seconds between two tasks.
PAUSE = 0.05


def use_files(folder: Path) -> None:
    """Store Airflow's Variables in files."""

    def get(name: str) -> str | None:
        try:
            return (folder / name).read_text()
        except FileNotFoundError:
            return None

    def put(name: str, value: str, description: str) -> None:
        temporary = folder / f".{name}-{os.getpid()}"
        temporary.write_text(value)
        temporary.replace(folder / name)

    airflow_variables.get_variable = get
    airflow_variables.set_variable = put
    airflow_variables.is_listed = lambda name: (folder / name).exists()


def shorten_times() -> None:
    """Make the lease as short as in this test."""
    for module in (lease, record_writer, durable_write):
        module.WAIT = WAIT  # type: ignore[attr-defined]
    lease.TERM, lease.MAX_EXCHANGE_TIME, lease.MAX_STORING_TIME = TERM, MAX_EXCHANGE_TIME, MAX_STORING_TIME


def settings(token_url: str, key_file: str, file_folder: str) -> OAuthConfig:
    """Return the connection that all hosts share."""
    return OAuthConfig(
        conn_id="shop",
        base_url="https://api.example.com",
        token_url=token_url,
        grant_type="authorization_code",
        client_id="app",
        client_auth="private_key_jwt",
        private_key_file=key_file,
        file_folder=file_folder,
    )


def run_task(config: OAuthConfig) -> str:
    """Get a token, as a task does that has none in memory, and return what happened."""
    source = token_sources.token_source(config)
    source._cache.clear()
    try:
        source.token()
    except OAuthError as error:
        return f"{type(error).__name__}: {error}"
    return "token"


def main(options: dict[str, Any]) -> None:
    """Run tasks one after the other, and write the time of the start and the result of each to a file."""
    folder, name = Path(options["folder"]), options["name"]
    os.environ["AIRFLOW__OAUTH__LOCK_FOLDER"] = str(folder / f"locks-{name}")
    use_files(folder / "variables")
    shorten_times()
    refresh = token_sources.LazyEndpoint.refresh

    def refresh_or_die(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            (folder / "kill").unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        except FileNotFoundError:
            pass
        return refresh(self, *args, **kwargs)

    token_sources.LazyEndpoint.refresh = refresh_or_die  # type: ignore[method-assign]
    config = settings(options["token_url"], options["key_file"], options["file_folder"])
    task = partial(run_task, config)
    with (folder / f"results-{name}").open("a", buffering=1) as results:
        while not (folder / "stop").exists():
            started = time.time()
            result = task() if options["long"] else in_process(task)
            results.write(json.dumps([started, time.time(), result]) + "\n")
            time.sleep(PAUSE)


def in_process(task: partial[str]) -> str:
    """Run a task in a separate process, and return the result."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, task().encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as file:
        result = file.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return "killed" if code == -signal.SIGKILL else result


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
