"""An Airflow with the page *OAuth connections*, and a server to consent at; with either auth manager."""

from __future__ import annotations

import base64
import json
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import requests
from itsdangerous import TimestampSigner, URLSafeTimedSerializer

from sandbox.airflow import Airflow
from sandbox.fab_airflow import FabAirflow
from sandbox.server import SandboxProcess
from sandbox.user_agent import AirflowPages
from tests.distributed.leak_search import search

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.distributed.leak_search import Leak

SECRET = "not-a-real-secret+/="
#: Each with its role's name for the simple auth manager and for Flask AppBuilder's.
USERS = {"admin": ("admin", "Admin"), "otto": ("op", "Op"), "vic": ("viewer", "Viewer")}
#: Defined in the environment only.
OF_ENV = "team/of_env #1"


def use_and_forget(airflow: Airflow, conn_id: str) -> None:
    """Leave a free lease, and the record of another client."""
    salt = base64.b64encode(bytes(16)).decode()
    record = {"format": 1, "key_id": "another", "salt": salt, "generation": 1, "nonce": "n", "origins": []}
    for name, value in ((f"oauth_lease__{conn_id}", "n"), (f"oauth_token__{conn_id}", json.dumps(record))):
        airflow.api("POST", "variables", json={"key": name, "value": value})


@dataclass
class Stack:
    """What runs.

    :param airflow: its API server, with two workers
    :param sandbox: the servers to consent at
    :param secrets: what no log may have, by a name: grows with what browsers get to see
    """

    airflow: Airflow
    sandbox: SandboxProcess
    secrets: dict[str, str] = field(default_factory=dict)

    def pages(self, user: str | None = "admin") -> AirflowPages:
        """Return the pages in a browser of its own; of nobody who is logged in for None."""
        pages = AirflowPages(self.airflow.url, self.airflow.token_of(user) if user else None)
        pages.agent.session.hooks["response"].append(self._note)
        return pages

    def connect(self, conn_id: str, server: str = "standard", code_lifetime: int | None = None, **extra: Any) -> None:
        """Make a connection, and its client at the server, whose ID is the connection's.

        It is as if it had been used and forgotten before.
        """
        self.register(conn_id, server, code_lifetime)
        values = {**connection(self.sandbox, conn_id, server, **extra), "connection_id": conn_id}
        self.airflow.api("POST", "connections", json={**values, "extra": json.dumps(values["extra"])})
        use_and_forget(self.airflow, conn_id)

    def register(self, conn_id: str, server: str, code_lifetime: int | None = None) -> None:
        """Make a client at the server."""
        scopes = ["openid"] if server == "justlogin" else ["read"]
        client = {"server": server, "client_id": conn_id, "client_secret": SECRET, "scopes": scopes}
        self.sandbox.control("clients", {**client, "code_lifetime": code_lifetime})

    def csrf_token(self, user: str, age: int = 0) -> str:
        """Return what the page would have given a user to send with a form.

        :param age: how long ago, in seconds
        """
        payload = self.airflow.token_of(user).split(".")[1]
        user_id = json.loads(base64.urlsafe_b64decode(payload + "=="))["sub"]
        key = json.loads((self.airflow.home / "keys.json").read_text())["api_secret_key"]

        class Signer(TimestampSigner):
            def get_timestamp(self) -> int:
                return super().get_timestamp() - age

        return str(URLSafeTimedSerializer(key, salt="airflow-provider-oauth form", signer=Signer).dumps(user_id))

    def variable(self, name: str) -> str | None:
        """Return the value of a Variable, if there is one."""
        found = self.airflow.api("GET", "variables", params={"limit": 1000})["variables"]
        return next((each["value"] for each in found if each["key"] == name), None)

    def exchanges(self, conn_id: str) -> int:
        """Return how many codes the server was asked to trade."""
        counts = self.sandbox.control("counts")[conn_id]
        return int(counts["token_requests_by_grant"].get("authorization_code", 0))

    def accepted(self, conn_id: str, server: str = "standard") -> list[str]:
        """Return the access tokens that the server's API accepts of all that it has issued to a connection."""
        with closing(sqlite3.connect(f"file:{database_of(self.sandbox)}?mode=ro", uri=True)) as database:
            rows = database.execute("SELECT value FROM tokens WHERE client_id = ? AND kind = 'access'", (conn_id,))
            tokens = [value for (value,) in rows]
        return [token for token in tokens if _is_accepted(f"{self.sandbox.url}/{server}/api/items", token)]

    @contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        """Change Airflow's database, for what its API refuses to do."""
        with closing(sqlite3.connect(self.airflow.home / "airflow.db", timeout=30)) as database, database:
            yield database

    def leaks(self) -> list[Leak]:
        """Search all that this Airflow has written for what is secret."""
        issued = {f"token {number}": token for number, token in enumerate(self.sandbox.control("issued"))}
        assert any(name.startswith("code ") for name in self.secrets)
        assert any(name.startswith("state ") for name in self.secrets)
        assert any(name.startswith("verifier ") for name in self.secrets)
        return search(self.airflow.home, {"client secret": SECRET, **self.secrets, **issued})

    def _note(self, response: requests.Response, **_: Any) -> None:
        """Note the secrets of a consent that a browser gets to see."""
        for name in ("code", "state"):
            query = parse_qs(urlsplit(response.headers.get("Location", "")).query)
            for value in query.get(name, []):
                self.secrets[f"{name} {value[:6]}"] = value
        for cookie in response.cookies:
            if cookie.name.startswith("oauth_consent_") and cookie.value:
                verifier = cookie.value.strip('"').partition(".")[0]
                self.secrets[f"verifier {verifier[:6]}"] = verifier


class AirflowBelowAPath(Airflow):
    """Airflow at a base URL that has a path of its own, as behind a proxy that serves more than Airflow."""

    def _environment(self, port: int) -> dict[str, str]:
        self.url += "/air"
        return super()._environment(port)


#: By a name for tests; the first two are the auth managers.
KINDS = {"simple": Airflow, "fab": FabAirflow, "below a path": AirflowBelowAPath}


@contextmanager
def running(folder: Path, kind: str) -> Iterator[Stack]:
    """Start it all.

    :param folder: for everything it keeps
    :param kind: one of ``KINDS``
    """
    (folder / "dags").mkdir()
    users = {user: roles[kind == "fab"] for user, roles in USERS.items()}
    with SandboxProcess(folder / "sandbox") as sandbox:
        of_env = connection(sandbox, "of_env", "jsonbody")
        env = {f"AIRFLOW_CONN_{OF_ENV.upper()}": json.dumps(of_env)}
        with KINDS[kind](
            folder / "airflow", folder / "dags", env, "DEBUG", users=users, only=["api-server"], api_server_workers=2
        ) as airflow:
            stack = Stack(airflow, sandbox)
            stack.register("of_env", "jsonbody")
            yield stack


def connection(sandbox: SandboxProcess, client_id: str, server: str, **extra: Any) -> dict[str, Any]:
    """Return a connection by consent.

    ``standard`` says all of itself in its metadata, and that its answers have ``iss``.
    """
    url = f"{sandbox.url}/{server}"
    known: dict[str, dict[str, Any]] = {
        "standard": {"grant_type": "authorization_code", "issuer": url, "scope": "read"},
        "jsonbody": {
            "grant_type": "authorization_code",
            "grant_url": f"{url}/token",
            "authorize_url": f"{url}/authorize",
            "body_format": "json",
            "client_auth": "client_secret_post",
        },
    }
    if server in known:
        own = {"conn_type": "oauth", "host": f"{url}/api", "extra": {**known[server], "leeway": 60, **extra}}
    else:
        preset = {"grant_type": "authorization_code", "environment": url}
        own = {"conn_type": server, "extra": {**preset, "leeway": 60, **extra}}
    return {**own, "login": client_id, "password": SECRET}


def database_of(sandbox: SandboxProcess) -> Path:
    """Return the file of the sandbox's memory."""
    return sandbox.state_dir / "sandbox.sqlite"


def _is_accepted(url: str, token: str) -> bool:
    return requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=10).ok


def give(pages: AirflowPages, cookies: dict[str, str]) -> None:
    """Put cookies into a browser, as if they had been stolen elsewhere."""
    for name, value in cookies.items():
        pages.agent.session.cookies.set(name, value, domain="127.0.0.1", path="/oauth")


def consent_cookies(pages: AirflowPages) -> dict[str, str]:
    found = {cookie.name: cookie.value or "" for cookie in pages.agent.session.cookies}
    return {name: value for name, value in found.items() if name.startswith("oauth_consent_")}
