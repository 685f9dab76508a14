"""CSRF tokens, permissions, and the headers of every response."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fastapi import HTTPException, Request
from itsdangerous import TimestampSigner

from airflow_provider_oauth.ui import protection
from airflow_provider_oauth.ui.protection import (
    HEADERS,
    SecurityHeadersMiddleware,
    can,
    can_edit,
    csrf_token,
    permitted_connections,
    verify_csrf,
)

FORM = "application/x-www-form-urlencoded"


class User:
    """A user who is logged in to Airflow."""

    def __init__(self, user_id: str = "ann") -> None:
        self.user_id = user_id

    def get_id(self) -> str:
        return self.user_id


ANN: Any = User()


class AuthManager:
    """An auth manager that allows the given methods and connections."""

    def __init__(self, *allowed: tuple[str, str | None]) -> None:
        self.allowed = allowed
        self.teams: list[str | None] = []

    def is_authorized_connection(self, *, method: str, details: Any, user: Any) -> bool:
        self.teams.append(details.team_name)
        return (method, details.conn_id) in self.allowed

    def get_authorized_connections(self, *, method: str, user: Any) -> set[str]:
        return {str(conn_id) for allowed, conn_id in self.allowed if allowed == method}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__SECRET_KEY", "fake-key")


def request(*chunks: bytes, content_type: str | None = FORM) -> Request:
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    headers = [(b"content-type", content_type.encode())] if content_type else []
    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)


def check(*chunks: bytes, user: Any = None, content_type: str | None = FORM) -> None:
    asyncio.run(verify_csrf(request(*chunks, content_type=content_type), user or User()))


def refused(*chunks: bytes, user: Any = None, content_type: str | None = FORM) -> int:
    with pytest.raises(HTTPException) as caught:
        check(*chunks, user=user, content_type=content_type)
    return caught.value.status_code


def sent(user: Any = None) -> bytes:
    return b"csrf_token=" + csrf_token(user or User()).encode()


def test_forms_with_the_users_csrf_token_are_accepted() -> None:
    check(sent())
    check(b"other=1&" + sent() + b"&more=2")


def test_forms_that_arrive_in_several_chunks_are_accepted() -> None:
    check(*(bytes([each]) for each in sent()), content_type=f"{FORM}; charset=UTF-8")


@pytest.mark.parametrize(
    "body", [b"", b"csrf_token=", b"csrf_token=x.y.z", b"other=1", b"\xff\xfe", b"csrf_token=%ff", b"=", b"&&"]
)
def test_forms_without_a_token_are_refused(body: bytes) -> None:
    assert refused(body) == 403


def test_forms_of_another_user_are_refused() -> None:
    assert refused(sent(User("bob"))) == 403


def test_forms_signed_for_another_purpose_are_refused() -> None:
    signed = protection.signer("flash").dumps("ann")

    assert refused(b"csrf_token=" + str(signed).encode()) == 403


def test_forms_signed_with_another_key_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    body = sent()
    monkeypatch.setenv("AIRFLOW__API__SECRET_KEY", "fake-other")

    assert refused(body) == 403


@pytest.mark.parametrize(("seconds", "accepted"), [(12 * 3600, True), (12 * 3600 + 1, False)])
def test_forms_are_accepted_for_12_hours(monkeypatch: pytest.MonkeyPatch, seconds: int, accepted: bool) -> None:
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda self: 1_800_000_000)
    body = sent()
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda self: 1_800_000_000 + seconds)

    if accepted:
        check(body)
    else:
        assert refused(body) == 403


def test_forms_that_are_too_long_are_refused_before_their_end() -> None:
    assert refused(sent(), b"&x=", b"x" * 10_000, *[b"never read"] * 1000) == 413


@pytest.mark.parametrize("content_type", [None, "", "application/json", "text/plain", "multipart/form-data"])
def test_forms_with_another_content_type_are_refused(content_type: str | None) -> None:
    assert refused(sent(), content_type=content_type) == 415


@pytest.fixture
def auth_manager(monkeypatch: pytest.MonkeyPatch) -> AuthManager:
    manager = AuthManager(("GET", "shop"), ("PUT", "shop"), ("GET", "other"), ("GET", "a/b#c"))
    monkeypatch.setattr(protection, "get_auth_manager", lambda: manager)
    return manager


@pytest.mark.usefixtures("auth_manager")
@pytest.mark.parametrize(
    ("conn_id", "method", "allowed"),
    [
        ("shop", "GET", True),
        ("shop", "PUT", True),
        ("other", "GET", True),
        ("other", "PUT", False),
        ("nope", "GET", False),
        ("a/b#c", "GET", True),
    ],
)
def test_the_permission_is_checked_by_airflow_for_this_connection(conn_id: str, method: Any, allowed: bool) -> None:
    assert can(ANN, conn_id, method) is allowed


@pytest.mark.usefixtures("auth_manager")
def test_the_permission_to_edit_is_required_for_actions() -> None:
    can_edit("shop", ANN)
    with pytest.raises(HTTPException) as caught:
        can_edit("other", ANN)

    assert caught.value.status_code == 403


def test_the_permission_is_checked_for_the_connections_team_if_there_are_teams(
    auth_manager: AuthManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protection.Connection, "get_team_name", lambda conn_id: f"team of {conn_id}")
    can(ANN, "shop", "PUT")
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")
    can(ANN, "shop", "PUT")

    assert auth_manager.teams == [None, "team of shop"]


@pytest.mark.usefixtures("auth_manager")
def test_the_permission_is_available_for_all_connections_in_the_database() -> None:
    assert permitted_connections(ANN, "GET") == {"shop", "other", "a/b#c"}
    assert permitted_connections(ANN, "PUT") == {"shop"}


def pass_through(path: str, query: bytes = b"code=fake&state=fake", **headers: str) -> tuple[dict[str, Any], Any]:
    """Return the scope that the application and the access log see, and the headers of the response."""
    messages: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        own = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": own})
        await send({"type": "http.response.body", "body": b"x"})

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {"type": "http", "path": path, "query_string": query}
    asyncio.run(SecurityHeadersMiddleware(app, hidden="/callback")(scope, None, send))  # type: ignore[arg-type]
    assert messages[1] == {"type": "http.response.body", "body": b"x"}
    return scope, messages[0]["headers"]


def test_the_middleware_sets_the_headers_and_keeps_others() -> None:
    _, headers = pass_through("/oauth/", etag="x")

    assert headers == [(b"etag", b"x"), *((name.encode(), value.encode()) for name, value in HEADERS.items())]


def test_the_middleware_replaces_a_header_in_any_case() -> None:
    _, headers = pass_through("/oauth/static/oauth.css", **{"CACHE-control": "public"})

    assert [value for name, value in headers if name.lower() == b"cache-control"] == [b"no-store"]


@pytest.mark.parametrize("path", ["/oauth/callback", "/air/oauth/callback", "/oauth/callback/"])
def test_the_middleware_hides_the_query_of_the_callback(path: str) -> None:
    scope, _ = pass_through(path)

    assert scope["query_string"] == b""
    assert scope["oauth_callback"] == "code=fake&state=fake"


def test_the_middleware_hides_no_other_query() -> None:
    scope, _ = pass_through("/oauth/", b"conn_id=shop")

    assert scope["query_string"] == b"conn_id=shop"


def test_the_middleware_accepts_bytes_that_are_not_ascii() -> None:
    scope, _ = pass_through("/oauth/callback", b"state=\xff")

    assert scope["oauth_callback"] == "state=\ufffd"
