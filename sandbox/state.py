"""What the sandbox remembers: clients, tokens, counts and the misbehaviour it was asked for.

Everything is in one SQLite file and every change is committed at once, so that a sandbox that was killed goes on where
it was. One connection behind one lock serves all threads; the clock is an argument, so that tests make tokens expire
without waiting.
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

from sandbox.records import Client, IssuedToken, Misbehaviour

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sandbox.records import EndpointInfo, TokenKind

#: The key under which requests are counted that name no client this sandbox knows.
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
CREATE TABLE IF NOT EXISTS misbehaviours (
    id INTEGER PRIMARY KEY, server TEXT NOT NULL, place TEXT NOT NULL, times_left INTEGER NOT NULL, what TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS asked (
    server TEXT, key TEXT, n INTEGER NOT NULL, PRIMARY KEY (server, key));
CREATE TABLE IF NOT EXISTS redirects (
    code TEXT PRIMARY KEY, redirect_uri TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS challenges (
    code TEXT PRIMARY KEY, challenge TEXT NOT NULL);
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
)
_COUNTS_BY_DETAIL = ("token_requests_by_grant", "token_errors")

# Characters a client must encode: "+/=" are legal in a bearer token (RFC 6750 §2.1); codes that end in "%3D" and
# refresh tokens that end in "%3d" are what one vendor's documents show. They are part of the value, never decoded.
_ENDINGS: dict[TokenKind, str] = {"access": "+/=", "refresh": "%3d", "code": "%3D"}


class State:
    """The sandbox's memory, safe to use from any thread.

    :param directory: Folder for the SQLite file; made when missing.
    :param clock: Gives the time in seconds since the epoch.
    """

    def __init__(self, directory: str | Path, clock: Callable[[], float] = time.time) -> None:
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.clock = clock
        self._lock = threading.RLock()
        self._db = sqlite3.connect(self.directory / "sandbox.sqlite", check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        # A killed process loses nothing committed in WAL mode; only a power cut could, and that is no test of ours.
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
    ) -> Client:
        """Register a client, or replace it; tokens it already has stay valid. See :class:`Client`."""
        client = Client(
            *(server, client_id, client_secret, list(scopes), dict(users or {})),
            *(access_lifetime, code_lifetime, credits, credit_window),
        )
        self._run("REPLACE INTO clients VALUES (?, ?, ?)", server, client_id, json.dumps(asdict(client)))
        return client

    def client(self, server: str, client_id: str | None) -> Client | None:
        """Return the client registered under this identifier at this server."""
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
        """Issue and remember a new random token.

        :param family: Identifies the grant; reuse of its code or one of its refresh tokens revokes all of it.
        :param lifetime: Seconds, or ``None`` for a token that does not expire.
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
        """Return a first refresh token, as if it had been obtained elsewhere (by a consent page, say).

        :param scope: Space-separated; all the client may have by default.
        :param lifetime: Seconds, or ``None`` for a token that does not expire.
        :raises KeyError: No such client.
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
        lifetime: int = 600,
    ) -> str:
        """Return an authorization code, as if this user had consented.

        :param scope: Space-separated; all the client may have by default.
        :param redirect_uri: Where the code was sent: the token request must then name it too (RFC 6749 §4.1.3).
        :param challenge: What the token request's code verifier must fit, by S256 (RFC 7636).
        :param lifetime: Seconds, unless the client has a lifetime of its own.
        :raises KeyError: No such client.
        """
        client = self._registered(server, client_id)
        scope = " ".join(client.scopes) if scope is None else scope
        lifetime = lifetime if client.code_lifetime is None else client.code_lifetime
        code = self.issue("code", client, scope=scope, username=username, family=new_family(), lifetime=lifetime)
        if redirect_uri is not None:
            self._run("INSERT INTO redirects VALUES (?, ?)", code, redirect_uri)
        if challenge is not None:
            self._run("INSERT INTO challenges VALUES (?, ?)", code, challenge)
        return code

    def redirect_uri(self, code: IssuedToken) -> str | None:
        """Return the redirect URI that was registered with this code, if one was."""
        rows = self._run("SELECT redirect_uri FROM redirects WHERE code = ?", code.value)
        return rows[0]["redirect_uri"] if rows else None

    def challenge(self, code: IssuedToken) -> str | None:
        """Return the code challenge that came with this code, if one did."""
        rows = self._run("SELECT challenge FROM challenges WHERE code = ?", code.value)
        return rows[0]["challenge"] if rows else None

    def _registered(self, server: str, client_id: str) -> Client:
        client = self.client(server, client_id)
        if client is None:
            raise KeyError(f"no client {client_id!r} at server {server!r}")
        return client

    def token(self, kind: TokenKind, server: str, value: str) -> IssuedToken | None:
        """Return what is known of a token, valid or not."""
        rows = self._run("SELECT * FROM tokens WHERE kind = ? AND server = ? AND value = ?", kind, server, value)
        if not rows:
            return None
        row = dict(rows[0])
        return IssuedToken(**{**row, "spent": bool(row["spent"]), "revoked": bool(row["revoked"])})

    def is_live(self, token: IssuedToken) -> bool:
        """Whether the token has neither expired nor been revoked."""
        return not token.revoked and (token.expires_at is None or self.clock() < token.expires_at)

    def spend(self, token: IssuedToken) -> bool:
        """Use up a code, or a single-use refresh token.

        :return: Whether this was its first use. If not, its whole family is revoked now (RFC 6749 §4.1.2, RFC 9700
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

        :param client_id: Only this client's.
        :param what: Which kind.
        :return: How many were revoked.
        """
        sql = "UPDATE tokens SET revoked = 1 WHERE revoked = 0 AND server = ?1"
        sql += " AND (?2 IS NULL OR client_id = ?2) AND (?3 = 'all' OR kind = ?3) RETURNING 1"
        return len(self._run(sql, server, client_id, what))

    def revoke_token(self, token: IssuedToken) -> None:
        """Revoke a token: an access token just by itself, a refresh token with its family (RFC 7009 §2.1)."""
        if token.kind == "access":
            self._run("UPDATE tokens SET revoked = 1 WHERE value = ?", token.value)
        else:
            self._run("UPDATE tokens SET revoked = 1 WHERE family = ?", token.family)

    def issued(self) -> list[str]:
        """Return every access and refresh token ever issued, oldest first."""
        return [row["value"] for row in self._run("SELECT value FROM tokens WHERE kind <> 'code' ORDER BY rowid")]

    # --- counts

    def count(self, client_id: str, what: str, detail: str = "", n: int = 1) -> None:
        """Add to a count."""
        self._run(
            "INSERT INTO counts VALUES (?, ?, ?, ?)"
            " ON CONFLICT (client_id, what, detail) DO UPDATE SET n = n + excluded.n",
            *(client_id, what, detail, n),
        )

    def counts(self) -> dict[str, dict[str, Any]]:
        """Return what was counted by client ID, with zeros for clients that have not called."""
        with self._lock:
            clients = [row["client_id"] for row in self._run("SELECT DISTINCT client_id FROM clients")]
            rows = self._run("SELECT * FROM counts")
        result: dict[str, dict[str, Any]] = {}
        for client_id in [*clients, *(row["client_id"] for row in rows)]:
            zeros: dict[str, Any] = {
                **dict.fromkeys(_PLAIN_COUNTS, 0),
                **{what: {} for what in _COUNTS_BY_DETAIL},
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
        """Start counting from zero."""
        self._run("DELETE FROM counts")

    def ask(self, server: str, key: str) -> int:
        """Return how often this key has been asked for at this server, this time included."""
        rows = self._run(
            "INSERT INTO asked VALUES (?, ?, 1) ON CONFLICT (server, key) DO UPDATE SET n = n + 1 RETURNING n",
            *(server, key),
        )
        return int(rows[0]["n"])

    # --- what an API keeps

    def charge(self, server: str, account: str, price: int, *, limit: int, window: float) -> bool:
        """Take the price of a call from an account's budget, which is full again when its window has passed.

        :param limit: The budget of one window.
        :param window: Seconds; a window begins with the first call after the last one.
        :return: Whether the budget was enough. If not, nothing is taken.
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
        """Keep a row of an API's data under its ``id``."""
        self._run("REPLACE INTO written VALUES (?, ?, ?)", collection, row["id"], json.dumps(row))

    def written(self, collection: str) -> dict[int, dict[str, Any]]:
        """Return the rows that were written, by their id."""
        rows = self._run("SELECT * FROM written WHERE collection = ? ORDER BY number", collection)
        return {row["number"]: json.loads(row["written"]) for row in rows}

    # --- misbehaviour

    def misbehave(self, server: str, where: EndpointInfo, times: int = 1, **answer: Any) -> None:
        """Answer the next requests otherwise than they deserve, after what was asked for earlier is used up.

        :param answer: The other fields of :class:`Misbehaviour`.
        """
        what = Misbehaviour(server, where, times, **answer)
        self._run(
            "INSERT INTO misbehaviours (server, place, times_left, what) VALUES (?, ?, ?, ?)",
            *(server, where, times, json.dumps(asdict(what))),
        )

    def next_misbehaviour(self, server: str, where: EndpointInfo) -> Misbehaviour | None:
        """Take the misbehaviour that the next request there is to get, if any."""
        with self._lock:
            rows = self._run(
                "SELECT id, what FROM misbehaviours WHERE server = ? AND place = ? AND times_left > 0"
                " ORDER BY id LIMIT 1",
                *(server, where),
            )
            what = Misbehaviour(**json.loads(rows[0]["what"])) if rows else None
            if what is None or random.random() >= what.share:  # noqa: S311 - chance, no secret
                return None
            self._run("UPDATE misbehaviours SET times_left = times_left - 1 WHERE id = ?", rows[0]["id"])
            return what

    def behave(self) -> None:
        """Drop all misbehaviour that is still to come."""
        self._run("DELETE FROM misbehaviours")


def new_family() -> str:
    """Return an identifier for a new grant: all tokens that descend from one authorization."""
    return secrets.token_hex(16)
