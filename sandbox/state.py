"""The state of the sandbox: clients, tokens, counters and injected faults, in one SQLite file.

Every change is committed immediately, so a sandbox that was killed continues from its last state. All threads share one
connection and one lock. The clock is a parameter, so that tests can make tokens expire without waiting.
"""

from __future__ import annotations

import json
import random
import secrets
import sqlite3
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sandbox.records import Client, Fault, IssuedToken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sandbox.records import EndpointName, TokenKind

#: The key of the counters for requests without a registered client.
UNKNOWN = "?"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS clients (
    server TEXT, client_id TEXT, client TEXT NOT NULL, PRIMARY KEY (server, client_id));
CREATE TABLE IF NOT EXISTS tokens (
    value TEXT PRIMARY KEY, kind TEXT NOT NULL, server TEXT NOT NULL, client_id TEXT NOT NULL, username TEXT,
    scope TEXT NOT NULL, family TEXT NOT NULL, expires_at REAL,
    spent INTEGER NOT NULL DEFAULT 0, revoked INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS tokens_by_family ON tokens (family);
CREATE TABLE IF NOT EXISTS counts (
    client_id TEXT, what TEXT, detail TEXT, n INTEGER NOT NULL, PRIMARY KEY (client_id, what, detail));
CREATE TABLE IF NOT EXISTS faults (
    id INTEGER PRIMARY KEY, server TEXT NOT NULL, endpoint TEXT NOT NULL, times_left INTEGER NOT NULL,
    fault TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS polls (
    server TEXT, key TEXT, n INTEGER NOT NULL, PRIMARY KEY (server, key));
CREATE TABLE IF NOT EXISTS redirects (
    code TEXT PRIMARY KEY, redirect_uri TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS challenges (
    code TEXT PRIMARY KEY, challenge TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS pending (
    key TEXT PRIMARY KEY, content TEXT NOT NULL, expires_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS budgets (
    server TEXT, account TEXT, started_at REAL NOT NULL, spent INTEGER NOT NULL, PRIMARY KEY (server, account));
CREATE TABLE IF NOT EXISTS written (
    collection TEXT, number INTEGER, written TEXT NOT NULL, PRIMARY KEY (collection, number));
"""

_PLAIN_COUNTS = (
    "token_requests",
    "refresh_reused",
    "code_reused",
    "refresh_with_bearer",
    "api_calls",
    "api_401",
    "rate_limited",
    "rows",
    "rows_written",
    "revocation_requests",
    "pushed_requests",
)
_COUNTS_BY_DETAIL = ("token_requests_by_grant", "token_errors")

# Characters that a client must encode: "+/=" are legal in a bearer token (RFC 6750 §2.1). One vendor's documentation
# shows codes that end in "%3D" and refresh tokens that end in "%3d"; a client must not decode them.
_ENDINGS: dict[TokenKind, str] = {"access": "+/=", "refresh": "%3d", "code": "%3D"}


class State:
    """The state of the sandbox. It is thread-safe.

    :param directory: The folder of the SQLite file. It is created if it is missing.
    :param clock: Returns the time in seconds since the epoch.
    """

    def __init__(self, directory: str | Path, clock: Callable[[], float] = time.time) -> None:
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.clock = clock
        self._lock = threading.RLock()
        self._db = sqlite3.connect(self.directory / "sandbox.sqlite", check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        # In WAL mode, a killed process loses no committed change. Only a power failure could lose one.
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    def _run(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    # --- clients

    def add_client(
        self,
        server: str,
        client_id: str,
        client_secret: str | None,
        scopes: Iterable[str] = ("read",),
        users: Mapping[str, str] | None = None,
        access_lifetime: int | None = None,
        code_lifetime: int | None = None,
        credits: int | None = None,
        credit_window: float | None = None,
        public_key: str | None = None,
    ) -> Client:
        """Register or replace a client. Its tokens stay valid. See :class:`Client`."""
        client = Client(
            *(server, client_id, client_secret, list(scopes), dict(users or {})),
            *(access_lifetime, code_lifetime, credits, credit_window, public_key),
        )
        self._run("REPLACE INTO clients VALUES (?, ?, ?)", server, client_id, json.dumps(asdict(client)))
        return client

    def client(self, server: str, client_id: str | None) -> Client | None:
        """Return the client of this server that has this client ID."""
        rows = self._run("SELECT client FROM clients WHERE server = ? AND client_id = ?", server, client_id)
        return Client(**json.loads(rows[0]["client"])) if rows else None

    # --- tokens

    def issue(
        self,
        kind: TokenKind,
        client: Client,
        *,
        scope: str,
        username: str | None,
        family: str,
        lifetime: int | None,
    ) -> str:
        """Issue and store a new random token.

        :param family: The ID of the grant. Reuse of its code or of one of its refresh tokens revokes all its tokens.
        :param lifetime: Lifetime in seconds; ``None`` for a token that does not expire.
        """
        value = secrets.token_urlsafe(32) + _ENDINGS[kind]
        expires_at = None if lifetime is None else self.clock() + lifetime
        self._run(
            "INSERT INTO tokens (value, kind, server, client_id, username, scope, family, expires_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            *(value, kind, client.server, client.client_id, username, scope, family, expires_at),
        )
        return value

    def issue_refresh_token(
        self,
        server: str,
        client_id: str,
        *,
        scope: str | None = None,
        username: str | None = None,
        lifetime: int | None = None,
    ) -> str:
        """Issue a first refresh token, as if a user had consented outside the tested client.

        :param scope: Scopes, separated by spaces; by default all scopes of the client.
        :param lifetime: Lifetime in seconds; ``None`` for a token that does not expire.
        :raises KeyError: when there is no such client
        """
        client = self._registered(server, client_id)
        scope = " ".join(client.scopes) if scope is None else scope
        return self.issue("refresh", client, scope=scope, username=username, family=new_family(), lifetime=lifetime)

    def issue_code(
        self,
        server: str,
        client_id: str,
        *,
        scope: str | None = None,
        username: str = "user",
        redirect_uri: str | None = None,
        challenge: str | None = None,
        nonce: str | None = None,
        lifetime: int = 600,
    ) -> str:
        """Issue an authorization code, as if this user had consented.

        :param scope: Scopes, separated by spaces; by default all scopes of the client.
        :param redirect_uri: The redirect URI of the request. The token request must then have it too (RFC 6749 §4.1.3).
        :param challenge: The code challenge of the request, method S256 (RFC 7636).
        :param nonce: The nonce of the request, for the ID token.
        :param lifetime: Lifetime in seconds, if the client has no ``code_lifetime``.
        :raises KeyError: when there is no such client
        """
        client = self._registered(server, client_id)
        scope = " ".join(client.scopes) if scope is None else scope
        lifetime = lifetime if client.code_lifetime is None else client.code_lifetime
        code = self.issue("code", client, scope=scope, username=username, family=new_family(), lifetime=lifetime)
        if redirect_uri is not None:
            self._run("INSERT INTO redirects VALUES (?, ?)", code, redirect_uri)
        if challenge is not None:
            self._run("INSERT INTO challenges VALUES (?, ?)", code, challenge)
        if nonce is not None:
            self.put(f"nonce {code}", {"nonce": nonce}, lifetime)
        return code

    def redirect_uri(self, code: IssuedToken) -> str | None:
        """Return the redirect URI of the authorization request, or ``None`` if it had none."""
        rows = self._run("SELECT redirect_uri FROM redirects WHERE code = ?", code.value)
        return rows[0]["redirect_uri"] if rows else None

    def challenge(self, code: IssuedToken) -> str | None:
        """Return the code challenge of the authorization request, or ``None`` if it had none."""
        rows = self._run("SELECT challenge FROM challenges WHERE code = ?", code.value)
        return rows[0]["challenge"] if rows else None

    def nonce(self, code: IssuedToken) -> str | None:
        """Return the nonce of the authorization request, or ``None`` if it had none."""
        return (self.get(f"nonce {code.value}") or {}).get("nonce")

    def _registered(self, server: str, client_id: str) -> Client:
        client = self.client(server, client_id)
        if client is None:
            raise KeyError(f"no client {client_id!r} at server {server!r}")
        return client

    def token(self, kind: TokenKind, server: str, value: str) -> IssuedToken | None:
        """Return an issued token, whether it is valid or not; ``None`` if it is unknown."""
        rows = self._run("SELECT * FROM tokens WHERE kind = ? AND server = ? AND value = ?", kind, server, value)
        if not rows:
            return None
        row = dict(rows[0])
        row["used"] = bool(row.pop("spent"))  # the column has this name in existing state files
        return IssuedToken(**{**row, "revoked": bool(row["revoked"])})

    def is_valid(self, token: IssuedToken) -> bool:
        """Return whether the token has neither expired nor been revoked."""
        return not token.revoked and (token.expires_at is None or self.clock() < token.expires_at)

    def use_once(self, token: IssuedToken) -> bool:
        """Mark a code or a single-use refresh token as used.

        :return: Whether this was the first use. If it was not, the whole family is revoked (RFC 6749 §4.1.2, RFC 9700
            §4.14.2).
        """
        with self._lock:
            if self._run("UPDATE tokens SET spent = 1 WHERE value = ? AND spent = 0 RETURNING 1", token.value):
                return True
            self._run("UPDATE tokens SET revoked = 1 WHERE family = ?", token.family)
            self.count(token.client_id, f"{token.kind}_reused")
            return False

    def revoke(
        self, server: str, client_id: str | None = None, what: Literal["access", "refresh", "all"] = "all"
    ) -> int:
        """Revoke tokens of one server.

        :param client_id: Revoke only tokens of this client.
        :param what: The kind of tokens to revoke.
        :return: The number of revoked tokens.
        """
        sql = "UPDATE tokens SET revoked = 1 WHERE revoked = 0 AND server = ?"
        sql += " AND (? IS NULL OR client_id = ?) AND (? = 'all' OR kind = ?) RETURNING 1"
        return len(self._run(sql, server, client_id, client_id, what, what))

    def revoke_token(self, token: IssuedToken) -> None:
        """Revoke one access token, or a refresh token with its whole family (RFC 7009 §2.1)."""
        if token.kind == "access":
            self._run("UPDATE tokens SET revoked = 1 WHERE value = ?", token.value)
        else:
            self._run("UPDATE tokens SET revoked = 1 WHERE family = ?", token.family)

    def issued(self) -> list[str]:
        """Return all access and refresh tokens that were issued, oldest first."""
        return [row["value"] for row in self._run("SELECT value FROM tokens WHERE kind <> 'code' ORDER BY rowid")]

    # --- requests that wait for a user

    def put(self, key: str, content: Mapping[str, Any], lifetime: float) -> None:
        """Store a JSON object under a key for ``lifetime`` seconds, or replace it."""
        self._run("REPLACE INTO pending VALUES (?, ?, ?)", key, json.dumps(content), self.clock() + lifetime)

    def get(self, key: str) -> dict[str, Any] | None:
        """Return the object under a key; ``None`` if there is none or its lifetime is over."""
        rows = self._run("SELECT content FROM pending WHERE key = ? AND expires_at > ?", key, self.clock())
        return json.loads(rows[0]["content"]) if rows else None

    def delete(self, key: str) -> None:
        """Delete the object under a key."""
        self._run("DELETE FROM pending WHERE key = ?", key)

    # --- counters

    def count(self, client_id: str, counter: str, detail: str = "", n: int = 1) -> None:
        """Increase a counter by ``n``."""
        self._run(
            "INSERT INTO counts VALUES (?, ?, ?, ?)"
            " ON CONFLICT (client_id, what, detail) DO UPDATE SET n = n + excluded.n",
            *(client_id, counter, detail, n),
        )

    def counts(self) -> dict[str, dict[str, Any]]:
        """Return the counters by client ID, including zeros."""
        with self._lock:
            clients = [row["client_id"] for row in self._run("SELECT DISTINCT client_id FROM clients")]
            rows = self._run("SELECT * FROM counts")
        result: dict[str, dict[str, Any]] = {}
        for client_id in [*clients, *(row["client_id"] for row in rows)]:
            zeros: dict[str, Any] = {
                **dict.fromkeys(_PLAIN_COUNTS, 0),
                **{counter: {} for counter in _COUNTS_BY_DETAIL},
            }
            result.setdefault(client_id, zeros)
        for row in rows:
            of_client = result[row["client_id"]]
            if row["what"] in _COUNTS_BY_DETAIL:
                of_client[row["what"]][row["detail"]] = row["n"]
            else:
                of_client[row["what"]] = row["n"]
        return result

    def reset_counts(self) -> None:
        """Delete all counters."""
        self._run("DELETE FROM counts")

    def count_poll(self, server: str, key: str) -> int:
        """Count a request for this key at this server, and return the number of such requests."""
        rows = self._run(
            "INSERT INTO polls VALUES (?, ?, 1) ON CONFLICT (server, key) DO UPDATE SET n = n + 1 RETURNING n",
            *(server, key),
        )
        return int(rows[0]["n"])

    # --- API data

    def charge(self, server: str, account: str, price: int, *, limit: int, window: float) -> bool:
        """Charge a call to an account, which has a budget per time window.

        :param limit: The budget per window.
        :param window: The length of a window in seconds. A window begins with the first call after the previous one.
        :return: Whether the budget was sufficient. If it was not, nothing is charged.
        """
        with self._lock:
            now = self.clock()
            rows = self._run("SELECT * FROM budgets WHERE server = ? AND account = ?", server, account)
            started_at, spent = (rows[0]["started_at"], rows[0]["spent"]) if rows else (now, 0)
            if now >= started_at + window:
                started_at, spent = now, 0
            if spent + price > limit:
                return False
            self._run("REPLACE INTO budgets VALUES (?, ?, ?, ?)", server, account, started_at, spent + price)
            return True

    def write(self, collection: str, row: dict[str, Any]) -> None:
        """Store a row of API data under its ``id``."""
        self._run("REPLACE INTO written VALUES (?, ?, ?)", collection, row["id"], json.dumps(row))

    def written(self, collection: str) -> dict[int, dict[str, Any]]:
        """Return the stored rows by ID."""
        rows = self._run("SELECT * FROM written WHERE collection = ? ORDER BY number", collection)
        return {row["number"]: json.loads(row["written"]) for row in rows}

    # --- faults

    def inject_fault(self, server: str, endpoint: EndpointName, times: int = 1, **options: Any) -> None:
        """Apply a fault to the next requests, after faults that were injected earlier.

        :param options: The other fields of :class:`Fault`.
        """
        fault = Fault(server, endpoint, times, **options)
        self._run(
            "INSERT INTO faults (server, endpoint, times_left, fault) VALUES (?, ?, ?, ?)",
            *(server, endpoint, times, json.dumps(asdict(fault))),
        )

    def next_fault(self, server: str, endpoint: EndpointName) -> Fault | None:
        """Return the fault for the current request, if any, and count it as applied."""
        with self._lock:
            rows = self._run(
                "SELECT id, fault FROM faults WHERE server = ? AND endpoint = ? AND times_left > 0 ORDER BY id LIMIT 1",
                *(server, endpoint),
            )
            fault = Fault(**json.loads(rows[0]["fault"])) if rows else None
            if fault is None or random.random() >= fault.share:  # noqa: S311 - not a secret
                return None
            self._run("UPDATE faults SET times_left = times_left - 1 WHERE id = ?", rows[0]["id"])
            return fault

    def clear_faults(self) -> None:
        """Delete all faults."""
        self._run("DELETE FROM faults")


def new_family() -> str:
    """Return the ID of a new grant. All tokens that descend from one authorization have this ID."""
    return secrets.token_hex(16)
