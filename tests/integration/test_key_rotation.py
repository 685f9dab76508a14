"""The file with the private key is replaced while three hosts renew a grant with single-use refresh tokens.

The processes, the files and the server are real; Airflow's Variables are files, and the times of the lease are shorter.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.runtime.data_key import PrivateKeys
from airflow_provider_oauth.runtime.variable_store import VariableTokenStore
from airflow_provider_oauth.tokens.record import Record
from tests.integration import rotation_host
from tests.keys import pem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Seconds for which the tokens of the server are valid.
LIFETIME = 2
#: Seconds after which the test fails.
TIMEOUT = 60.0
KEYS = {name: ed25519.Ed25519PrivateKey.generate() for name in "ABC"}


@dataclass
class Server:
    """An authorization server that accepts each refresh token once, and revokes the grant if one is used twice."""

    url: str = ""
    valid: str = "refresh-0"
    #: The names of the keys that signed the requests.
    signed_with: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    #: Called once, during the next request.
    on_request: Callable[[], object] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def respond(self, body: dict[str, str]) -> tuple[int, dict[str, Any]]:
        with self.lock:
            if action := self.on_request:
                self.on_request = None
                action()
            self.signed_with.append(self.signer(body["client_assertion"]))
            if body["refresh_token"] != self.valid:
                self.errors.append(f"{body['refresh_token']} was used, but {self.valid} is valid")
                return 400, {"error": "invalid_grant"}
            number = len(self.signed_with)
            self.valid = f"refresh-{number}"
            return 200, {
                "access_token": f"access-{number}",
                "token_type": "Bearer",
                "expires_in": LIFETIME,
                "refresh_token": self.valid,
            }

    def signer(self, assertion: str) -> str:
        for name, key in KEYS.items():
            try:
                jwt.decode(assertion, key.public_key(), ["EdDSA"], audience=self.url)
            except jwt.InvalidSignatureError:
                continue
            return name
        raise AssertionError


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802 - the name that http.server calls
            fields = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            status, content = state.respond({name: values[0] for name, values in fields.items()})
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.url = f"http://127.0.0.1:{http.server_port}/token"
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield state
        http.shutdown()
        thread.join()


class Host:
    """A host with its own file and its own processes.

    :param folder: the folder that all hosts share
    :param name: its name
    :param in_volume: whether its file is in a volume of Kubernetes, where it is reached through two symbolic links
    :param long: whether all its tasks run in one process
    """

    def __init__(self, folder: Path, name: str, server: Server, *, in_volume: bool = False, long: bool = False) -> None:
        self.folder, self.name, self.in_volume, self.long = folder, name, in_volume, long
        self.files = folder / f"files-{name}"
        self.files.mkdir()
        self.path = self.files / "key.pem"
        self.versions = 0
        self.options = {
            "name": name,
            "folder": str(folder),
            "token_url": server.url,
            "key_file": str(self.path),
            "file_folder": str(self.files),
            "long": long,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def replace_file(self, keys: str) -> None:
        """Replace its file by one with these keys, so that every process sees the old or the new file."""
        content = "".join(pem(KEYS[name]) for name in keys.split())
        self.versions += 1
        if self.in_volume:
            # As Kubernetes does: key.pem → ..data/key.pem, ..data → ..version
            version = self.files / f"..{self.versions}"
            version.mkdir()
            (version / "key.pem").write_text(content)
            _replace_link(self.files / "..data", version.name)
            if not self.path.is_symlink():
                self.path.symlink_to("..data/key.pem")
            earlier = self.files / f"..{self.versions - 1}" / "key.pem"
            earlier.unlink(missing_ok=True)
        else:
            temporary = self.files / "new.pem"
            temporary.write_text(content)
            temporary.replace(self.path)

    def start(self) -> None:
        command = [sys.executable, rotation_host.__file__, json.dumps(self.options)]
        log = (self.folder / f"log-{self.name}").open("ab")
        self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=Path(__file__).parents[2])
        log.close()

    def results(self) -> list[tuple[float, float, str]]:
        """Return the start, the end and the result of each task."""
        path = self.folder / f"results-{self.name}"
        return [tuple(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def _replace_link(path: Path, target: str) -> None:
    temporary = path.with_name("..temporary")
    temporary.symlink_to(target)
    os.replace(temporary, path)


class Hosts:
    """Three hosts that run tasks.

    :param folder: the folder that they share
    """

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder, self.server = folder, server
        self.worker = Host(folder, "worker", server)
        self.pod = Host(folder, "pod", server, in_volume=True)
        self.triggerer = Host(folder, "triggerer", server, long=True)
        self.all = [self.worker, self.pod, self.triggerer]

    def store(self, keys: str) -> VariableTokenStore:
        """Return what a process with these keys in its file reads and writes."""
        reader = Host(self.folder, f"reader-{time.monotonic_ns()}", self.server)
        reader.replace_file(keys)
        config = rotation_host.settings(self.server.url, str(reader.path), str(reader.files))
        return VariableTokenStore(config, PrivateKeys(config, used={}))

    def refresh_token(self, keys: str) -> str | None:
        """Return the refresh token that a process with these keys reads; None if it cannot read the record."""
        record = self.store(keys).read()
        assert record is not None
        return record.refresh_token

    def wait_until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            for host in self.all:
                if host.process and host.process.poll() is not None:
                    assert host.long, (self.folder / f"log-{host.name}").read_text()
                    host.start()  # Airflow restarts a triggerer that was killed
            assert time.monotonic() < deadline, self.diagnosis()
            time.sleep(0.05)

    def wait_for_renewals(self, count: int) -> None:
        before = len(self.server.signed_with)
        self.wait_until(lambda: len(self.server.signed_with) >= before + count)

    def during_a_renewal(self, action: Callable[[], object]) -> None:
        """Do something while the server processes a token request."""
        self.server.on_request = action
        self.wait_until(lambda: self.server.on_request is None)

    def kill_the_next_renewal(self) -> None:
        """Kill the process of the next task that is about to send its refresh token."""
        (self.folder / "kill").touch()
        self.wait_until(lambda: not (self.folder / "kill").exists())

    def diagnosis(self) -> str:
        last = {host.name: host.results()[-3:] for host in self.all}
        return f"{last} {self.server.errors} {self.server.signed_with}"


@contextmanager
def running(hosts: Hosts) -> Iterator[None]:
    """Run tasks on all hosts in a ``with`` block."""
    try:
        for host in hosts.all:
            host.start()
        yield
        (hosts.folder / "stop").touch()
        for host in hosts.all:
            assert host.process
            assert host.process.wait(TIMEOUT) == 0, (hosts.folder / f"log-{host.name}").read_text()
    finally:
        for host in hosts.all:
            if host.process:
                host.process.kill()
                host.process.wait()


@pytest.fixture
def hosts(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Hosts:
    """Hosts with key A, and the record of a grant."""
    for name in ("get_variable", "set_variable", "is_listed"):
        monkeypatch.setattr(rotation_host.airflow_variables, name, getattr(rotation_host.airflow_variables, name))
    variables = tmp_path / "variables"
    variables.mkdir()
    rotation_host.use_files(variables)
    found = Hosts(tmp_path, server)
    for host in found.all:
        host.replace_file("A")
    now = found.store("A")._codec._keyring._private_keys.now()
    expired = Token(access_token="access-0", issued_at=now, expires_at=now)
    found.store("A").write(Record(generation=1, nonce="n", tokens={"": expired}, refresh_token="refresh-0"))
    (variables / "oauth_lease__shop").write_text("n")
    return found


def test_a_key_is_replaced_twice_while_three_hosts_renew_and_processes_are_killed(hosts: Hosts, server: Server) -> None:
    missing: list[tuple[float, float]] = []

    def take_file_away() -> None:
        started = time.time()
        hosts.triggerer.path.unlink()
        time.sleep(0.3)
        hosts.triggerer.replace_file(new)
        missing.append((started, time.time()))

    with running(hosts):
        hosts.wait_for_renewals(2)
        for old, new in ("AB", "BC"):
            hosts.during_a_renewal(lambda old=old, new=new: hosts.worker.replace_file(f"{new} {old}"))
            hosts.wait_until(lambda new=new: hosts.refresh_token(new))
            hosts.during_a_renewal(lambda new=new: hosts.pod.replace_file(new))
            hosts.during_a_renewal(take_file_away)
            hosts.kill_the_next_renewal()
            hosts.wait_for_renewals(1)
            hosts.worker.replace_file(new)
        hosts.wait_for_renewals(2)

    assert server.errors == []
    assert [hosts.refresh_token(key) for key in "ABC"] == [server.valid] * 3
    assert set(server.signed_with) == set("ABC")
    for host in hosts.all:
        unexpected = [
            result
            for started, ended, result in host.results()
            if result not in ("token", "killed")
            and not (host is hosts.triggerer and any(started <= until and ended >= since for since, until in missing))
        ]
        assert unexpected == []
        assert host.results()[-1][2] == "token"


def test_hosts_without_the_new_key_fail_and_write_nothing_until_the_previous_key_is_added(
    hosts: Hosts, server: Server
) -> None:
    for host in hosts.all:
        host.replace_file("B")
    variables = {path.name: path.read_text() for path in (hosts.folder / "variables").iterdir()}
    with running(hosts):
        hosts.wait_until(lambda: all(len(host.results()) >= 3 for host in hosts.all))
        assert {path.name: path.read_text() for path in (hosts.folder / "variables").iterdir()} == variables
        assert all(result.startswith("RecordLocked: ") for host in hosts.all for _, _, result in host.results()[:3])
        hosts.pod.replace_file("B A")
        hosts.wait_until(lambda: all(host.results()[-1][2] == "token" for host in hosts.all))
        hosts.wait_for_renewals(2)

    assert server.errors == []
    assert hosts.refresh_token("B") == hosts.refresh_token("A") == server.valid
