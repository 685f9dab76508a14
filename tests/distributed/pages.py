"""An Airflow with the page *OAuth connections* and either auth manager, and authorization servers."""

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
#: Users, with the names of their role in the simple auth manager and in Flask AppBuilder's.
USERS = {"admin": ("admin", "Admin"), "otto": ("op", "Op"), "vic": ("viewer", "Viewer")}
#: ID of the connection that is defined only in the environment.
OF_ENV = "team/of_env #1"


def use_and_forget(airflow: Airflow, conn_id: str) -> None:
    """Write a free lease and the record of another client."""
    salt = base64.b64encode(bytes(16)).decode()
    record = {"format": 1, "key_id": "another", "salt": salt, "generation": 1, "nonce": "n", "origins": []}
    for name, value in ((f"oauth_lease__{conn_id}", "n"), (f"oauth_token__{conn_id}", json.dumps(record))):
        airflow.api("POST", "variables", json={"key": name, "value": value})


@dataclass
class Stack:
    """The running processes.

    :param airflow: an API server with two processes
    :param sandbox: the authorization servers and APIs
    :param secrets: values that no log may contain, by a name; the browsers add to them
    """

    airflow: Airflow
    sandbox: SandboxProcess
    secrets: dict[str, str] = field(default_factory=dict)

    def pages(self, user: str | None = "admin") -> AirflowPages:
        """Return the page in a new browser; None is a visitor who is not logged in."""
        pages = AirflowPages(self.airflow.url, self.airflow.token_of(user) if user else None)
        pages.agent.session.hooks["response"].append(self._note)
        return pages

    def connect(self, conn_id: str, server: str = "standard", code_lifetime: int | None = None, **extra: Any) -> None:
        """Create a connection, and a client at the server with the same ID.

        A lease and a record of another client are stored for it already.
        """
        self.register(conn_id, server, code_lifetime)
        values = {**connection(self.sandbox, conn_id, server, **extra), "connection_id": conn_id}
        self.airflow.api("POST", "connections", json={**values, "extra": json.dumps(values["extra"])})
        use_and_forget(self.airflow, conn_id)

    def register(self, conn_id: str, server: str, code_lifetime: int | None = None) -> None:
        """Create a client at the server."""
        scopes = ["openid"] if server == "justlogin" else ["read"]
        client = {"server": server, "client_id": conn_id, "client_secret": SECRET, "scopes": scopes}
        self.sandbox.control("clients", {**client, "code_lifetime": code_lifetime})

    def csrf_token(self, user: str, age: int = 0) -> str:
        """Return a CSRF token of a user's page.

        :param user: the Airflow user
        :param age: the age of the page, in seconds
        """
        payload = self.airflow.token_of(user).split(".")[1]
        user_id = json.loads(base64.urlsafe_b64decode(payload + "=="))["sub"]
        key = json.loads((self.airflow.home / "keys.json").read_text())["api_secret_key"]

        class Signer(TimestampSigner):
            def get_timestamp(self) -> int:
                return super().get_timestamp() - age

        return str(URLSafeTimedSerializer(key, salt="airflow-provider-oauth form", signer=Signer).dumps(user_id))

    def variable(self, name: str) -> str | None:
        """Return the value of a Variable; None if it does not exist."""
        found = self.airflow.api("GET", "variables", params={"limit": 1000})["variables"]
        return next((each["value"] for each in found if each["key"] == name), None)

    def exchanges(self, conn_id: str) -> int:
        """Return how many requests to exchange a code the server received."""
        counts = self.sandbox.control("counts")[conn_id]
        return int(counts["token_requests_by_grant"].get("authorization_code", 0))

    def accepted(self, conn_id: str, server: str = "standard") -> list[str]:
        """Return the access tokens of a connection that the server's API accepts."""
        with closing(sqlite3.connect(f"file:{database_of(self.sandbox)}?mode=ro", uri=True)) as database:
            rows = database.execute("SELECT value FROM tokens WHERE client_id = ? AND kind = 'access'", (conn_id,))
            tokens = [value for (value,) in rows]
        return [token for token in tokens if _is_accepted(f"{self.sandbox.url}/{server}/api/items", token)]

    @contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        """Open Airflow's database, for changes that its API refuses."""
        with closing(sqlite3.connect(self.airflow.home / "airflow.db", timeout=30)) as database, database:
            yield database

    def leaks(self) -> list[Leak]:
        """Search everything that Airflow has written for secrets."""
        issued = {f"token {number}": token for number, token in enumerate(self.sandbox.control("issued"))}
        assert any(name.startswith("code ") for name in self.secrets)
        assert any(name.startswith("state ") for name in self.secrets)
        assert any(name.startswith("verifier ") for name in self.secrets)
        return search(self.airflow.home, {"client secret": SECRET, **self.secrets, **issued})

    def _note(self, response: requests.Response, **_: Any) -> None:
        """Record the secrets of an authorization that a browser sees."""
        for name in ("code", "state"):
            query = parse_qs(urlsplit(response.headers.get("Location", "")).query)
            for value in query.get(name, []):
                self.secrets[f"{name} {value[:6]}"] = value
        for cookie in response.cookies:
            if cookie.name.startswith("oauth_consent_") and cookie.value:
                verifier = cookie.value.strip('"').partition(".")[0]
                self.secrets[f"verifier {verifier[:6]}"] = verifier


class AirflowBelowAPath(Airflow):
    """Airflow at a base URL with a path, as behind a proxy that serves other sites too."""

    def _environment(self, port: int) -> dict[str, str]:
        self.url += "/air"
        return super()._environment(port)


#: Kinds of Airflow, by name. The first two are named after their auth manager.
KINDS = {"simple": Airflow, "fab": FabAirflow, "below a path": AirflowBelowAPath}


@contextmanager
def running(folder: Path, kind: str) -> Iterator[Stack]:
    """Start Airflow and the sandbox.

    :param folder: for all their files
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
    """Return a connection with the authorization code grant.

    The server ``standard`` publishes metadata, which announces ``iss`` in callbacks.
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
    """Return the sandbox's database file."""
    return sandbox.state_dir / "sandbox.sqlite"


def _is_accepted(url: str, token: str) -> bool:
    return requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=10).ok


def give(pages: AirflowPages, cookies: dict[str, str]) -> None:
    """Put cookies into a browser, as if they had been stolen from another one."""
    for name, value in cookies.items():
        pages.agent.session.cookies.set(name, value, domain="127.0.0.1", path="/oauth")


def consent_cookies(pages: AirflowPages) -> dict[str, str]:
    """Return a browser's cookies of authorization requests."""
    found = {cookie.name: cookie.value or "" for cookie in pages.agent.session.cookies}
    return {name: value for name, value in found.items() if name.startswith("oauth_consent_")}
