"""Runs the sandbox until SIGTERM or SIGINT: ``python -m sandbox --port 0 --state DIR``."""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from sandbox.server import READY, check_loopback, serve


def main(arguments: list[str] | None = None) -> int:
    """Run the sandbox.

    :param arguments: The command line arguments, without the program name.
    :return: The exit code.
    """
    parser = argparse.ArgumentParser("python -m sandbox", description="Local OAuth 2.0 servers and APIs.")
    parser.add_argument(
        "--port",
        type=int,
        default=0,
        help="TCP port; 0 for the port of the last run if it is free, otherwise any free port",
    )
    parser.add_argument("--state", required=True, metavar="DIR", help="folder of the state; created if missing")

    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    options = parser.parse_args(arguments)
    try:
        check_loopback(options.host)
    except ValueError as error:
        parser.error(str(error))  # exits with code 2
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with serve(options.state, options.port, host=options.host) as sandbox:
        sys.stdout.write(f"{READY}{sandbox.url}\n")
        sys.stdout.flush()
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
