"""The routes, in an Airflow that is only its mount point: below a path of its own, and when something breaks."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import FastAPI
from itsdangerous import TimestampSigner

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.management import connections, grants
from airflow_provider_oauth.management.grant_check import GrantCheck
from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.ui import app, pending, protection, threads
from airflow_provider_oauth.ui.page import FlashMessage
from airflow_provider_oauth.ui.plugin import OAuthPlugin
from airflow_provider_oauth.ui.protection import HEADERS
from sandbox.user_agent import read_page
from tests.connections import oauth_config

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig

BASE_URL = "https://airflow.example.com/air"
CONFIG = oauth_config(
    authorize_url="https://login.example.com/authorize",
    grant_type="authorization_code",
)
ANN = SimpleNamespace(get_id=lambda: "1", get_name=lambda: "ann")


class Broken(RuntimeError):
    """Nobody has thought of it."""


def broken(*args: Any, **kwargs: Any) -> Any:
    raise Broken("fake-secret")


def shown(conn_id: str) -> connections.Overview:
    return connections.Overview(conn_id=conn_id, config=CONFIG, status=grants.status(CONFIG))


@pytest.fixture(autouse=True)
def airflow(kept: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Ann do everything with the one connection."""
    from airflow.api_fastapi.core_api import security

    manager = SimpleNamespace(
        is_authorized_connection=lambda **values: True, get_authorized_connections=lambda **values: {"shop"}
    )
    for module in (security, protection):
        monkeypatch.setattr(module, "get_auth_manager", lambda: manager)
    monkeypatch.setattr(app, "action_logging", lambda event: lambda: None)
    monkeypatch.setattr(connections, "config_of", lambda conn_id: CONFIG)
    monkeypatch.setattr(connections, "check", lambda conn_id: None)
    monkeypatch.setattr(connections, "is_elsewhere", lambda conn_id: False)
    monkeypatch.setattr(connections, "overview", shown)
    monkeypatch.setattr(grants, "is_empty", lambda config: False)
    monkeypatch.setenv("AIRFLOW__API__SECRET_KEY", "fake-key")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", BASE_URL)


def browse(method: str, path: str, logged_in: bool = True, **options: Any) -> httpx.Response:
    """Send one request to an Airflow that is at /air."""
    from airflow.api_fastapi.core_api.security import get_user

    pages = app.create_app()
    if logged_in:
        pages.dependency_overrides[get_user] = lambda: ANN
    root = FastAPI()
    root.mount("/oauth", pages)

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=root, root_path="/air", raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="https://airflow.example.com") as client:
            return await client.request(method, path, **options)

    return asyncio.run(send())


def headers_of(answer: httpx.Response) -> dict[str, str | None]:
    return {name: answer.headers.get(name) for name in HEADERS}


def post(action: str) -> httpx.Response:
    path, data = f"/air/oauth/connections/shop/{action}", {"csrf_token": protection.csrf_token(ANN)}  # type: ignore[arg-type]
    return browse("POST", path, data=data)


def said_of(answer: httpx.Response) -> str:
    """Return what the page says after this answer."""
    assert (answer.status_code, answer.headers["Location"]) == (303, "/air/oauth/")
    cookie = answer.headers["Set-Cookie"].partition(";")[0].removeprefix("oauth_flash=")
    return read_page(browse("GET", "/air/oauth/?conn_id=shop", headers={"Cookie": f"oauth_flash={cookie}"}).text).flash


def come_back(query: str, cookie: str) -> httpx.Response:
    """Come back from the server with an answer, and send the form of the page that says that it takes a while."""
    back = browse("GET", f"/air/oauth/callback?{query}", headers={"Cookie": cookie})
    assert query not in back.headers["Location"]
    if back.headers["Location"] != "/air/oauth/":
        cookie = f"{cookie}; {back.headers['Set-Cookie'].partition(';')[0]}"
        data = {"csrf_token": protection.csrf_token(ANN)}  # type: ignore[arg-type]
        back = browse("POST", back.headers["Location"], data=data, headers={"Cookie": cookie})
    said = next(each for each in back.headers.get_list("Set-Cookie") if each.startswith("oauth_flash="))
    back.headers["Set-Cookie"] = said
    return back


class TestBelowAPath:
    def test_all_links_lead_below_it(self) -> None:
        html = browse("GET", "/air/oauth/?conn_id=shop").text

        assert 'href="/air/oauth/static/oauth.css"' in html
        assert 'src="/air/oauth/static/oauth.js"' in html
        assert 'action="/air/oauth/connections/shop/authorize"' in html
        assert '<a href="/air/connections">' in html
        assert f"<code>{BASE_URL}/oauth/callback</code>" in html
        assert browse("GET", "/air/oauth/static/oauth.css").status_code == 200

    def test_a_consent_comes_back_to_it(self) -> None:
        answer = post("authorize")

        asked = parse_qs(urlsplit(answer.headers["Location"]).query)
        assert asked["redirect_uri"] == [f"{BASE_URL}/oauth/callback"]
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith(f"{pending.cookie_name(pending.consent_id(asked['state'][0]))}=")
        assert cookie.endswith("; HttpOnly; Max-Age=600; Path=/air/oauth; SameSite=lax; Secure")

    def test_the_login_leads_back_to_it(self) -> None:
        answer = browse("GET", "/air/oauth/?conn_id=shop", logged_in=False)

        assert answer.headers["Location"].startswith("/air/api/v2/auth/login?next=")
        # As is asked for, so that a connection of the environment is shown.
        next_page = parse_qs(urlsplit(answer.headers["Location"]).query)["next"]
        assert next_page == ["https://airflow.example.com/air/oauth/?conn_id=shop"]

    def test_the_menu_leads_to_it(self) -> None:
        (entry,) = OAuthPlugin().external_views

        assert entry["href"] == "/air/oauth/"


class TestWithoutABaseUrl:
    @pytest.fixture(autouse=True)
    def no_base_url(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AIRFLOW__API__BASE_URL")

    def test_nobody_can_consent(self) -> None:
        assert said_of(post("authorize")) == "Airflow does not know its own URL: set [api] base_url."

    def test_the_login_leads_back_to_the_page(self) -> None:
        answer = browse("GET", "/air/oauth/", logged_in=False)

        assert answer.headers["Location"] == "/air/api/v2/auth/login?next=%2Fair%2Foauth%2F"


class TestWhatNobodyHasThoughtOf:
    def test_is_told_on_a_page_with_all_headers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connections, "check", broken)
        answer = browse("GET", "/air/oauth/?conn_id=shop")

        assert answer.status_code == 500
        assert headers_of(answer) == HEADERS
        assert read_page(answer.text).flash == (
            "Something went wrong (Broken). The log of Airflow's API server says more."
        )
        assert "fake-secret" not in answer.text

    def test_does_not_leave_the_code_in_the_browser(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pending, "consent_id", broken)
        answer = browse("GET", "/air/oauth/callback?code=fake&state=fake")

        assert headers_of(answer) == HEADERS
        assert "Something went wrong (Broken)" in said_of(answer)

    def test_does_not_leave_the_code_in_the_browser_of_who_is_not_logged_in(self) -> None:
        answer = browse("GET", "/air/oauth/callback?code=fake&state=fake", logged_in=False)

        assert headers_of(answer) == HEADERS
        assert "You were not logged in to Airflow" in said_of(answer)

    def test_is_told_after_a_click(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(grants, "renew", broken)
        answer = post("renew")

        assert (answer.status_code, headers_of(answer)) == (500, HEADERS)


def test_what_came_of_it_is_told_once_and_not_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grants, "forget", lambda config: None)
    answer = post("forget")

    assert "Max-Age=120; Path=/air/oauth" in answer.headers["Set-Cookie"]
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    shown = browse("GET", "/air/oauth/?conn_id=shop", headers={"Cookie": cookie})
    assert "Max-Age=0" in shown.headers["Set-Cookie"]


def test_news_of_yesterday_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grants, "forget", lambda config: None)
    cookie = post("forget").headers["Set-Cookie"].partition(";")[0]
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda self: int(time.time()) + app.FLASH_LIFETIME + 1)
    assert read_page(browse("GET", "/air/oauth/?conn_id=shop", headers={"Cookie": cookie}).text).flash == ""


def test_a_consent_without_a_refresh_token_recommends_how_to_request_one(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = post("authorize")
    state = parse_qs(urlsplit(answer.headers["Location"]).query)["state"][0]
    now = datetime.now(UTC)
    token = Token(access_token="fake-token", issued_at=now, expires_at=now + timedelta(hours=1))
    monkeypatch.setattr(app, "create_session", lambda: nullcontext(SimpleNamespace(add=lambda entry: None)))
    monkeypatch.setattr(grants, "finish_authorization", lambda config, consent, answer: token)
    status = replace(grants.status(CONFIG), needs_consent=True)
    monkeypatch.setattr(grants, "status", lambda config: status)

    said = said_of(come_back(f"state={state}&code=c", answer.headers["Set-Cookie"].partition(";")[0]))

    assert said.endswith(
        "UTC. The server issued no refresh token, so tasks cannot renew it. To request one, add offline_access to "
        "Scope, or set "
        'Authorization request parameters (authorize_params) to {"access_type": "offline", "prompt": "consent"}: see '
        "the vendor's documentation. Then authorize again."
    )


def test_who_may_not_edit_it_any_more_cannot_finish(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = post("authorize")
    state = parse_qs(urlsplit(answer.headers["Location"]).query)["state"][0]
    monkeypatch.setattr(app, "can", lambda user, conn_id, method: method == "GET")
    back = come_back(f"state={state}&code=c", answer.headers["Set-Cookie"].partition(";")[0])
    assert "you may not edit it any more" in said_of(back)


@pytest.mark.parametrize(
    ("works", "shown_as"), [(True, 'class="flash success"'), (False, 'class="flash failure"'), (None, 'class="flash "')]
)
def test_the_result_of_a_test_is_shown_as_it_is(
    works: bool | None, shown_as: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grants, "test", lambda config: GrantCheck(works, "It is so."))
    answer = post("test")

    assert said_of(answer) == "Connection 'shop': It is so."
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    html = browse("GET", "/air/oauth/?conn_id=shop", headers={"Cookie": cookie}).text
    assert f"<p {shown_as}" in html


@pytest.mark.parametrize("action", ["revoke", "forget"])
def test_where_nothing_is_stored_nothing_is_revoked_or_forgotten(action: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grants, "is_empty", lambda config: True)
    monkeypatch.setattr(grants, action, broken)

    assert said_of(post(action)) == f"Connection 'shop': nothing is stored, so there is nothing to {action}."


class TestServersThatMayNotBeAsked:
    """The API server sends no request to an address or host that ``[oauth] allowed_hosts`` excludes."""

    @pytest.mark.parametrize(
        ("action", "changes"),
        [
            ("test", {"token_url": "https://169.254.169.254/token"}),
            ("test", {"token_url": None, "issuer": "https://169.254.169.254"}),
            ("test", {"grant_type": "client_credentials", "token_url": "https://[::ffff:169.254.169.254]/token"}),
            ("authorize", {"authorize_url": None, "issuer": "https://169.254.169.254"}),
            ("renew", {"grant_type": "client_credentials", "token_url": "https://169.254.169.254/token"}),
        ],
    )
    def test_blocked_addresses_are_an_error_on_the_page(
        self, action: str, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connections, "config_of", lambda conn_id: replace(CONFIG, **changes))
        answer = post(action)

        assert "which is blocked (see [oauth] allowed_hosts)" in said_of(answer)

    def test_hosts_that_are_not_allowed_are_an_error_on_the_page(self, monkeypatch: pytest.MonkeyPatch) -> None:
        config = replace(CONFIG, allowed_hosts=("*.example.org",))
        monkeypatch.setattr(connections, "config_of", lambda conn_id: config)

        assert "host 'login.example.com' does not match [oauth] allowed_hosts" in said_of(post("test"))


class TestWhileTooManyRequestsOfAUserWait:
    @pytest.fixture(autouse=True)
    def requests_wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(threads._requests_of, ANN.get_id(), threads.THREADS_PER_USER)

    @pytest.mark.parametrize("action", ["test", "authorize", "renew", "revoke", "forget"])
    def test_a_button_answers_429_and_says_why(self, action: str) -> None:
        answer = post(action)

        assert answer.status_code == 429
        assert read_page(answer.text).flash == threads.TOO_MANY_REQUESTS
        assert "There is no connection" not in answer.text
        assert '<a href="/air/oauth/">Show all</a>' in answer.text

    def test_a_consent_is_not_lost(self, monkeypatch: pytest.MonkeyPatch, kept: dict[str, str]) -> None:
        monkeypatch.setattr(threads, "THREADS_PER_USER", threads.THREADS_PER_USER + 1)
        begun = post("authorize")
        state = parse_qs(urlsplit(begun.headers["Location"]).query)["state"][0]
        cookie = begun.headers["Set-Cookie"].partition(";")[0]
        back = browse("GET", f"/air/oauth/callback?state={state}&code=c", headers={"Cookie": cookie})
        cookie = f"{cookie}; {back.headers['Set-Cookie'].partition(';')[0]}"
        data = {"csrf_token": protection.csrf_token(ANN)}  # type: ignore[arg-type]

        monkeypatch.setattr(threads, "THREADS_PER_USER", threads.THREADS_PER_USER - 1)
        finish = browse("POST", back.headers["Location"], data=data, headers={"Cookie": cookie})
        assert finish.status_code == 429
        assert "Set-Cookie" not in finish.headers
        assert "oauth_consent__shop" in kept


@pytest.mark.parametrize("path", ["/air/oauth/nonsense", "/air/oauth/connections/shop/nonsense"])
def test_what_is_not_there_is_said_on_a_page(path: str) -> None:
    assert "<h1>OAuth connections</h1>" in browse("POST" if "shop" in path else "GET", path).text


@pytest.mark.parametrize("text", ["\u4e00" * 3000, "x" * 100_000])
def test_long_news_fit_into_a_cookie(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(config: OAuthConfig) -> None:
        raise ConfigurationError("".join(chr(0x4E00 + number * 37 % 20000) for number in range(3000)) + text)

    monkeypatch.setattr(grants, "forget", refuse)
    answer = post("forget")
    assert len(answer.headers["Set-Cookie"].partition(";")[0]) < 4096
    assert said_of(answer).startswith("\u4e00")


@pytest.mark.parametrize("cookie", ["oauth_flash=x", "oauth_flash=", "oauth_flash=W10.x.y"])
def test_what_was_not_said_by_this_page_is_not_shown(cookie: str) -> None:
    assert read_page(browse("GET", "/air/oauth/?conn_id=shop", headers={"Cookie": cookie}).text).flash == ""


def test_where_there_are_teams_rights_are_asked_for_the_connections_team(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")
    monkeypatch.setattr(protection.Connection, "get_team_name", lambda conn_id: "ours")
    monkeypatch.setattr(grants, "forget", lambda config: None)

    assert browse("GET", "/air/oauth/?conn_id=shop").status_code == 200
    assert "forgotten" in said_of(post("forget"))
    noted = []
    monkeypatch.setattr(app, "create_session", lambda: nullcontext(SimpleNamespace(add=noted.append)))
    answer = post("authorize")
    state = parse_qs(urlsplit(answer.headers["Location"]).query)["state"][0]
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    back = come_back(f"state={state}&error=access_denied", cookie)
    assert "The user declined" in said_of(back)
    (entry,) = noted
    assert (entry.event, entry.extra) == ("oauth_connection", '{"connection_id": "shop", "action": "consent"}')


@pytest.mark.parametrize("length", [10, 3800])
def test_an_answer_of_any_length_is_taken(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[str] = []
    monkeypatch.setattr(app, "_keep", lambda *values: answers.append(values[3]) or FlashMessage(True, "kept"))
    answer = post("authorize")
    state = parse_qs(urlsplit(answer.headers["Location"]).query)["state"][0]
    query = f"state={state}&code={secrets.token_urlsafe(length)}"  # what cannot be compressed

    back = come_back(query, answer.headers["Set-Cookie"].partition(";")[0])
    assert (said_of(back), answers) == ("kept", [query])


class TestThePageThatSaysThatItTakesAWhile:
    def test_sends_its_form_and_shows_no_code(self) -> None:
        shown = browse("GET", "/air/oauth/finish/abc", headers={"Cookie": "oauth_answer_abc=not-a-real-code"})
        (form,) = read_page(shown.text).forms

        assert form.action == ""
        assert list(form.fields) == ["csrf_token"]
        assert "not-a-real-code" not in shown.text

    def test_leads_back_if_there_is_nothing_to_wait_for(self) -> None:
        answer = browse("GET", "/air/oauth/finish/abc")

        assert (answer.status_code, answer.headers["Location"]) == (303, "/air/oauth/")

    @pytest.mark.parametrize("cookie", ["", "oauth_answer_abc=c3RhdGU9eCZjb2RlPXk.made.up"])
    def test_takes_no_answer_that_airflow_has_not_signed(self, cookie: str) -> None:
        data = {"csrf_token": protection.csrf_token(ANN)}  # type: ignore[arg-type]
        answer = browse("POST", "/air/oauth/finish/abc", data=data, headers={"Cookie": cookie})

        assert said_of(answer) == (
            f"{pending.TOO_LATE} Open Airflow as {BASE_URL}, which its cookies are for, and click Authorize again."
        )

    def test_cannot_be_forged(self) -> None:
        assert browse("POST", "/air/oauth/finish/abc", data={"csrf_token": "made-up"}).status_code == 403
