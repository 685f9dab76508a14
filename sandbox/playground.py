"""Runs an Airflow with the example DAGs and their connections until Ctrl-C: ``python -m sandbox.playground``.

Airflow and the local authorization server listen on loopback only. The connections are in Airflow's database, so that
you can look at them in the form and on the page *OAuth connections*.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tabulate import tabulate

from sandbox.airflow import USER, AirflowError
from sandbox.examples import DOCS, EXAMPLES, create_pool, end_unfinished_runs, running_examples
from sandbox.private_file import write_private
from sandbox.processes import interrupted_by_signals

if TYPE_CHECKING:
    from sandbox.airflow import Airflow
    from sandbox.server import SandboxProcess

HEADINGS = ("connection", "type", "grant", "DAG")
#: Printed after the URL, the user and the password.
READY = "Press Ctrl-C to stop"


def main(arguments: list[str] | None = None) -> int:
    """Run the playground until Ctrl-C or SIGTERM.

    :param arguments: the command line arguments, without the program name
    :return: the exit code: 0 after Ctrl-C or SIGTERM, 1 after an error
    """
    parser = argparse.ArgumentParser("python -m sandbox.playground", description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".try"), help="the folder for all files")
    home = parser.parse_args(arguments).home.resolve()
    try:
        with interrupted_by_signals(), running_examples(home, _print, own_dags=home / "dags") as (sandbox, airflow):
            write_environment(airflow, home / "env")
            _prepare(airflow)
            sys.stdout.write(instructions(airflow, sandbox, home))
            sys.stdout.flush()
            _wait_until_stopped(sandbox, airflow)
    except KeyboardInterrupt:
        _print(f"Stopped. The data is still in {home}; the next start uses it.")
        return 0
    except (AirflowError, LookupError, RuntimeError) as error:
        _print(str(error))
        return 1
    return 0


def write_environment(airflow: Airflow, path: Path) -> None:
    """Write a shell script that sets the environment for ``airflow`` commands. Only its owner can read it.

    :param airflow: the Airflow that the commands use
    :param path: the path of the script
    """
    names = sorted(name for name in airflow.env if name.startswith("AIRFLOW_") or name == "PYTHONPATH")
    lines = [f"export {name}={shlex.quote(airflow.env[name])}" for name in names]
    folder = shlex.quote(str(Path(sys.executable).parent))
    write_private(path, "\n".join([*lines, f'export PATH={folder}:"$PATH"', ""]))


def instructions(airflow: Airflow, sandbox: SandboxProcess, home: Path) -> str:
    """Return the URLs, the user, the password, the connections, and what to try first."""
    rows = [[example.conn_id, example.conn_type, example.grant, dag_id] for dag_id, example in EXAMPLES.items()]
    rows += [[example.conn_id, example.conn_type, example.grant, "those in README and docs"] for example in DOCS]
    consent = next(dag_id for dag_id, example in EXAMPLES.items() if example.grant == "authorization_code")
    conn_id = EXAMPLES[consent].conn_id
    return f"""
Airflow:  {airflow.url}
User:     {USER}
Password: {airflow.password}
Server:   {sandbox.url}

{tabulate(rows, HEADINGS)}

Try this:

1. Run a DAG. Open {airflow.url}/dags/example_oauth_operator and press Trigger.
   Its task gets a token and calls the API.
2. Authorize a connection. Open {airflow.url}/oauth/ and press Authorize in the row
   of {conn_id}. The page of the local authorization server opens; press Allow.
   Then run the DAG {consent}.
3. Test a connection. Open {airflow.url}/oauth/ and press Test in the row of
   example_operator.
4. Write a DAG. Save it in {home / "dags"}. Airflow finds it within 20 s.
   The DAGs in README and docs run here with the connection my_api: replace /data/ in
   their paths with a folder that you can write to.
5. Use the command line. Open another terminal and run:
   source {shlex.quote(str(home / "env"))}
   airflow oauth list

All files are in {home}; client IDs and secrets are in clients.json. {READY}.
"""


def _prepare(airflow: Airflow) -> None:
    airflow.wait_until_parsed(EXAMPLES)
    end_unfinished_runs(airflow)
    for example in EXAMPLES.values():
        if example.pool:
            create_pool(airflow, *example.pool)


def _wait_until_stopped(sandbox: SandboxProcess, airflow: Airflow) -> None:
    """Wait for KeyboardInterrupt.

    :raises RuntimeError: when a process has exited
    """
    while True:
        airflow.check_running()
        sandbox.check_running()
        time.sleep(1)


def _print(text: str) -> None:
    sys.stdout.write(f"[try] {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
