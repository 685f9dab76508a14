"""Pending authorization requests: accepted once, in time, and only from the user and browser that started them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_oauth.exceptions import ConsentDenied
from airflow_provider_oauth.protocol.authorization import AuthorizationRequest
from airflow_provider_oauth.runtime import airflow_variables
from airflow_provider_oauth.ui import pending

pytestmark = pytest.mark.usefixtures("stored")

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
NAME = "oauth_consent__shop"
REQUEST = AuthorizationRequest(
    conn_id="shop",
    redirect_uri="https://airflow.example.com/oauth/callback",
    state="fake-state",
    code_verifier="fake-verifier",
)


def start(request: AuthorizationRequest = REQUEST, user: str = "ann") -> str:
    """Store an authorization request, and return the value of the browser's cookie."""
    return pending.store(request, user, NOW).value


def consume(
    cookie: str, conn_id: str = "shop", state: str = "fake-state", user: str = "ann", seconds: float = 5
) -> AuthorizationRequest:
    return pending.consume(conn_id, state, cookie, user, NOW + timedelta(seconds=seconds))


def test_consume_returns_the_stored_request() -> None:
    assert consume(start()) == REQUEST


def test_consume_works_once() -> None:
    cookie = start()
    consume(cookie)

    with pytest.raises(ConsentDenied, match="This browser has no open authorization"):
        consume(cookie)


def test_consume_works_for_10_minutes() -> None:
    assert consume(start(), seconds=599) == REQUEST


def test_consume_fails_after_10_minutes_and_deletes_the_request(stored: dict[str, str]) -> None:
    cookie = start()

    with pytest.raises(ConsentDenied, match="took more than 10 minutes"):
        consume(cookie, seconds=600)
    assert NAME not in stored
    with pytest.raises(ConsentDenied):
        consume(cookie)


def test_consume_fails_if_another_process_consumed_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    cookie = start()
    monkeypatch.setattr(pending, "delete_pending", lambda conn_id: False)

    with pytest.raises(ConsentDenied, match="was completed already"):
        consume(cookie)


@pytest.mark.parametrize(
    "changes", [{"state": "fake-other"}, {"state": ""}, {"state": "é"}, {"user": "bob"}, {"conn_id": "other"}]
)
def test_consume_fails_for_another_state_user_or_connection(stored: dict[str, str], changes: dict[str, str]) -> None:
    cookie = start()

    with pytest.raises(ConsentDenied, match="Nothing was changed"):
        consume(cookie, **changes)
    assert NAME in stored  # a wrong guess does not end the request


@pytest.mark.parametrize("cookie", ["", ".", "fake-other.c2hvcA", "fake-verifie.c2hvcA", "é.é"])
def test_consume_fails_with_another_cookie(cookie: str) -> None:
    start()

    with pytest.raises(ConsentDenied, match="This browser has no open authorization"):
        consume(cookie)


def test_consume_fails_if_no_request_was_stored() -> None:
    with pytest.raises(ConsentDenied, match="Connection 'shop': This browser has no open authorization"):
        consume("fake-verifier.c2hvcA")


@pytest.mark.parametrize(
    "edited",
    [
        "",
        "x",
        "5",
        "null",
        "[1]",
        "[[]]",
        '"text"',
        "{}",
        '{"state": 5}',
        '{"expires_at": 5}',
        '{"expires_at": "x"}',
    ],
)
def test_consume_fails_if_the_variable_was_edited(stored: dict[str, str], edited: str) -> None:
    cookie = start()
    stored[NAME] = edited

    with pytest.raises(ConsentDenied, match="This browser has no open authorization"):
        consume(cookie)


@pytest.mark.parametrize("name", ["state", "verifier", "user"])
@pytest.mark.parametrize("value", [None, 5, "", "é", "\ud800", ["x"]])
def test_consume_fails_if_a_fingerprint_was_edited(stored: dict[str, str], name: str, value: object) -> None:
    cookie = start()
    stored[NAME] = json.dumps({**json.loads(stored[NAME]), name: value})

    with pytest.raises(ConsentDenied, match="This browser has no open authorization"):
        consume(cookie)


def test_consume_fails_for_a_request_that_was_replaced() -> None:
    cookie = start()
    start(AuthorizationRequest(conn_id="shop", redirect_uri="https://airflow.example.com/oauth/callback"))

    with pytest.raises(ConsentDenied):
        consume(cookie)


def test_store_writes_no_secret(stored: dict[str, str]) -> None:
    start()

    assert json.loads(stored[NAME]).keys() == {"state", "verifier", "user", "redirect_uri", "expires_at"}
    assert json.loads(stored[NAME])["expires_at"] == "2026-01-01T12:10:00+00:00"
    for secret in ("fake-state", "fake-verifier", "ann"):
        assert secret not in stored[NAME]


def test_store_returns_another_cookie_for_each_request() -> None:
    other = AuthorizationRequest(conn_id="shop", redirect_uri=REQUEST.redirect_uri)
    first, second = pending.store(REQUEST, "ann", NOW), pending.store(other, "ann", NOW)

    assert first.name == pending.cookie_name(pending.request_id("fake-state")) != second.name
    assert "fake-state" not in first.name


@pytest.mark.parametrize("conn_id", ["shop", "a/b#c d", 'ünï;=,"cödé', "x" * 250])
def test_store_encodes_the_connection_in_the_cookie(conn_id: str) -> None:
    cookie = start(AuthorizationRequest(conn_id=conn_id, redirect_uri=REQUEST.redirect_uri))

    assert pending.conn_id_of(cookie) == conn_id
    assert cookie.isascii()
    assert not set(cookie) & set(' ",;\\=')


def test_store_uses_a_name_that_airflow_accepts_for_variables(stored: dict[str, str]) -> None:
    start(AuthorizationRequest(conn_id="a/b#c d", redirect_uri=REQUEST.redirect_uri))

    assert list(stored) == [airflow_variables.variable_name("oauth_consent__", "a/b#c d")]


@pytest.mark.parametrize("cookie", ["", "x", "x.é", "x._", "x./w", "x.gICA", f"x.{'eHh4' * 84}"])
def test_a_cookie_that_names_no_connection_is_refused(cookie: str) -> None:
    with pytest.raises(ConsentDenied, match="This browser has no open authorization"):
        pending.conn_id_of(cookie)
