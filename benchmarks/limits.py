"""The cost of a malicious authorization server: memory for a compressed response, time for a long echoed secret."""

from __future__ import annotations

import secrets
import socket
import subprocess
import sys
import threading
import time
import zlib
from functools import partial

from airflow_provider_oauth.protocol.redaction import redact
from benchmarks.measuring import Row, in_turns, microseconds, ratio

ROUNDS = 3
MEGABYTE = 1024 * 1024
SMALL = b"HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n" + b'{"access_token": "fake"}'
#: Sends one token request, then prints the peak memory of its process in kB.
REQUEST = """
import resource, sys
from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.protocol.config import OAuthConfig
from airflow_provider_oauth.protocol.endpoint import TokenEndpoint

config = OAuthConfig(conn_id="bench", base_url="http://localhost", token_url=sys.argv[1], client_id="fake-id",
                     client_secret="fake-secret")
try:
    TokenEndpoint(config).grant(retry=False)
except OAuthError as error:
    assert "over" in str(error), error
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def bomb() -> bytes:
    """Return a redirect with 3 MB of gzip that decompress to 3 GB."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    piece = deflate.compress(bytes(MEGABYTE)) + deflate.flush(zlib.Z_FULL_FLUSH)  # independent of other pieces
    body = b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + piece * 3072
    head = f"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def peak(response: bytes) -> float:
    """Return the peak memory of a process in MB, whose token request gets this response."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, response))
        thread.start()
        run = subprocess.run(
            [sys.executable, "-c", REQUEST, f"http://127.0.0.1:{listener.getsockname()[1]}/token"],
            capture_output=True,
            text=True,
            check=True,
        )
        thread.join()
    return int(run.stdout) / 1024


def _serve(listener: socket.socket, response: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        try:
            connection.sendall(response)
        except OSError:
            return  # the client stopped reading


def memory() -> Row:
    """Measure the memory for the compressed response, compared with a small response."""
    large = bomb()
    pairs = [(peak(large), peak(SMALL)) for _ in range(ROUNDS)]
    ours, small = zip(*pairs, strict=True)
    return Row(
        "Token request: peak memory, 3 MB of gzip (3 GB) in a redirect",
        f"24 bytes {sorted(small)[1]:.1f} MB",
        f"{sorted(ours)[1]:.1f} MB",
        f"{ratio(ours, small):.3f}",
        "≤ 1.1",
    )


def redaction() -> Row:
    """Measure how the time to redact an echoed token grows with its length."""
    calls = {}
    for size in (1, 64):
        token = secrets.token_hex(size * 512)
        calls[f"{size} kB"] = partial(redact, f"The token {token} is unknown.", [token])
    seconds = in_turns(calls, times=1, rounds=20, clock=time.process_time)
    large = [each / 64 for each in seconds["64 kB"]]
    return Row(
        "Redaction: processor time per kB of an echoed refresh token",
        f"1 kB {microseconds(seconds['1 kB'])}",
        f"64 kB {microseconds(large)}",
        f"{ratio(large, seconds['1 kB']):.2f}",
        "≤ 1.5",
    )


def rows() -> list[Row]:
    """Return the rows of the table."""
    return [memory(), redaction()]
