"""The routes of the page, mounted in an application with a path of its own instead of in Airflow."""

from __future__ import annotations

import asyncio
import base64
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
from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.ui import app, pending, protection, threads
from airflow_provider_oauth.ui.page import FlashMessage
from airflow_provider_oauth.ui.plugin import OAuthPlugin
from airflow_provider_oauth.ui.protection import HEADERS
from sandbox.user_agent import read_page
from tests.connections import TOKEN_URL, oauth_config

if TYPE_CHECKING:
    from requests_mock import Mocker

    from airflow_provider_oauth.protocol.config import OAuthConfig

BASE_URL = "https://airflow.example.com/air"
CONFIG = oauth_config(
    authorize_url="https://login.example.com/authorize",
    grant_type="authorization_code",
)
ANN = SimpleNamespace(get_id=lambda: "1", get_name=lambda: "ann")


class Broken(RuntimeError):
    """An unexpected error."""


def broken(*args: Any, **kwargs: Any) -> Any:
    raise Broken("fake-secret")


@pytest.fixture(autouse=True)
def airflow(stored: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One connection, which Ann is allowed to edit."""
    from airflow.api_fastapi.core_api import security

    manager = SimpleNamespace(
        is_authorized_connection=lambda **values: True, get_authorized_connections=lambda **values: {"shop"}
    )
    for module in (security, protection):
        monkeypatch.setattr(module, "get_auth_manager", lambda: manager)
    monkeypatch.setattr(app, "action_logging", lambda event: lambda: None)
    monkeypatch.setattr(connections, "get_config", lambda conn_id: CONFIG)
    monkeypatch.setattr(connections, "check_exists", lambda conn_id: None)
    monkeypatch.setattr(connections, "is_outside_database", lambda conn_id: False)
    monkeypatch.setattr(connections, "get_status", lambda conn_id: grants.status(CONFIG))
    monkeypatch.setattr(grants, "is_empty", lambda config: False)
    monkeypatch.setenv("AIRFLOW__API__SECRET_KEY", "fake-key")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", BASE_URL)


def browse(method: str, path: str, logged_in: bool = True, **options: Any) -> httpx.Response:
    """Send one request to an Airflow at the path /air."""
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


def headers_of(response: httpx.Response) -> dict[str, str | None]:
    return {name: response.headers.get(name) for name in HEADERS}


def post(action: str, conn_id: str = "shop") -> httpx.Response:
    path, data = f"/air/oauth/connections/{conn_id}/{action}", {"csrf_token": protection.csrf_token(ANN)}  # type: ignore[arg-type]
    return browse("POST", path, data=data)


def flash_of(response: httpx.Response) -> str:
    """Return the message that the page shows after a redirect to it."""
    assert response.status_code == 303
    assert response.headers["Location"] in ("/air/oauth/", "/air/oauth/#row-shop")
    cookie = response.headers["Set-Cookie"].partition(";")[0].removeprefix("oauth_flash=")
    return read_page(browse("GET", "/air/oauth/?conn_id=shop", headers={"Cookie": f"oauth_flash={cookie}"}).text).flash


def follow_callback(query: str, cookie: str) -> httpx.Response:
    """Open the callback URL, and submit the form of the page that is shown while tokens are being stored."""
    back = browse("GET", f"/air/oauth/callback?{query}", headers={"Cookie": cookie})
    assert query not in back.headers["Location"]
    if "/finish/" in back.headers["Location"]:
        cookie = f"{cookie}; {back.headers['Set-Cookie'].partition(';')[0]}"
        data = {"csrf_token": protection.csrf_token(ANN)}  # type: ignore[arg-type]
        back = browse("POST", back.headers["Location"], data=data, headers={"Cookie": cookie})
    flash = next(each for each in back.headers.get_list("Set-Cookie") if each.startswith("oauth_flash="))
    back.headers["Set-Cookie"] = flash
    return back


def test_all_links_are_below_the_path_of_airflow() -> None:
    html = browse("GET", "/air/oauth/?conn_id=shop").text

    assert 'href="/air/oauth/static/oauth.css"' in html
    assert 'src="/air/oauth/static/oauth.js"' in html
    assert 'action="/air/oauth/connections/shop/authorize"' in html
    assert '<a href="/air/connections">' in html
    assert f'<code id="redirect-uri">{BASE_URL}/oauth/callback</code>' in html
    assert browse("GET", "/air/oauth/static/oauth.css").status_code == 200


def test_the_redirect_uri_and_the_cookie_are_below_the_path_of_airflow() -> None:
    response = post("authorize")

    query = parse_qs(urlsplit(response.headers["Location"]).query)
    assert query["redirect_uri"] == [f"{BASE_URL}/oauth/callback"]
    cookie = response.headers["Set-Cookie"]
    assert cookie.startswith(f"{pending.cookie_name(pending.request_id(query['state'][0]))}=")
    assert cookie.endswith("; HttpOnly; Max-Age=600; Path=/air/oauth; SameSite=lax; Secure")


def test_the_login_redirects_back_below_the_path_of_airflow() -> None:
    response = browse("GET", "/air/oauth/?conn_id=shop", logged_in=False)

    assert response.headers["Location"].startswith("/air/api/v2/auth/login?next=")
    # With its query, so that a connection in the environment is shown.
    next_page = parse_qs(urlsplit(response.headers["Location"]).query)["next"]
    assert next_page == ["https://airflow.example.com/air/oauth/?conn_id=shop"]


def test_the_menu_entry_links_below_the_path_of_airflow() -> None:
    (entry,) = OAuthPlugin().external_views

    assert entry["href"] == "/air/oauth/"


@pytest.fixture
def no_base_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__API__BASE_URL")


@pytest.mark.usefixtures("no_base_url")
def test_without_a_base_url_authorize_is_an_error() -> None:
    text = "Airflow's own URL is not configured. Set [api] base_url to the URL at which users open Airflow."
    assert flash_of(post("authorize")) == f"Connection 'shop': {text}"


@pytest.mark.usefixtures("no_base_url")
def test_without_a_base_url_the_login_redirects_back_to_the_page() -> None:
    response = browse("GET", "/air/oauth/", logged_in=False)

    assert response.headers["Location"] == "/air/api/v2/auth/login?next=%2Fair%2Foauth%2F"


def test_unexpected_errors_are_shown_on_a_page_with_all_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "check_exists", broken)
    response = browse("GET", "/air/oauth/?conn_id=shop")

    assert response.status_code == 500
    assert headers_of(response) == HEADERS
    assert read_page(response.text).flash == (
        "An unexpected error occurred (Broken). See the log of Airflow's API server."
    )
    assert "fake-secret" not in response.text


def test_unexpected_errors_redirect_away_from_the_callback_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "request_id", broken)
    response = browse("GET", "/air/oauth/callback?code=fake&state=fake")

    assert headers_of(response) == HEADERS
    assert "An unexpected error occurred (Broken)" in flash_of(response)


def test_unexpected_errors_do_not_occur_if_the_user_is_not_logged_in_at_the_callback_url() -> None:
    response = browse("GET", "/air/oauth/callback?code=fake&state=fake", logged_in=False)

    assert headers_of(response) == HEADERS
    assert "You were not logged in to Airflow" in flash_of(response)


def test_unexpected_errors_are_shown_after_a_click(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grants, "renew", broken)
    response = post("renew")

    assert (response.status_code, headers_of(response)) == (500, HEADERS)


def test_a_result_is_shown_once_and_its_cookie_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grants, "forget", lambda config: None)
    response = post("forget")

    assert "Max-Age=120; Path=/air/oauth" in response.headers["Set-Cookie"]
    cookie = response.headers["Set-Cookie"].partition(";")[0]
    shown = browse("GET", "/air/oauth/?conn_id=shop", headers={"Cookie": cookie})
    assert "Max-Age=0" in shown.headers["Set-Cookie"]


def test_a_page_that_shows_one_connection_shows_only_this_one_after_an_action_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app, "create_session", nullcontext)
    monkeypatch.setattr(connections, "list_conn_ids", lambda session: ["shop"])
    monkeypatch.setattr(grants, "test", lambda config: GrantCheck(True, "it works.", False))

    def location_after_test(query: str) -> str:
        forms = read_page(browse("GET", f"/air/oauth/{query}").text).forms
        form = next(each for each in forms if each.action.endswith("/test"))
        return browse("POST", form.action, data=form.fields).headers["Location"]

    assert location_after_test("") == "/air/oauth/#row-shop"
    assert location_after_test("?conn_id=shop") == "/air/oauth/?conn_id=shop#row-shop"


def test_an_expired_result_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grants, "forget", lambda config: None)
    cookie = post("forget").headers["Set-Cookie"].partition(";")[0]
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda self: int(time.time()) + app.FLASH_LIFETIME + 1)
    assert read_page(browse("GET", "/air/oauth/?conn_id=shop", headers={"Cookie": cookie}).text).flash == ""


def test_the_result_of_an_authorization_without_a_refresh_token_explains_how_to_request_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    response = post("authorize")
    state = parse_qs(urlsplit(response.headers["Location"]).query)["state"][0]
    now = datetime.now(UTC)
    token = Token(access_token="fake-token", issued_at=now, expires_at=now + timedelta(hours=1))
    monkeypatch.setattr(app, "create_session", lambda: nullcontext(SimpleNamespace(add=lambda entry: None)))
    monkeypatch.setattr(grants, "finish_authorization", lambda config, request, callback: token)
    status = replace(grants.status(CONFIG), needs_consent=True)
    monkeypatch.setattr(grants, "status", lambda config: status)

    flash = flash_of(follow_callback(f"state={state}&code=c", response.headers["Set-Cookie"].partition(";")[0]))

    assert flash.endswith(
        "UTC. The server issued no refresh token, so tasks cannot renew the token. To request a refresh token, add "
        "offline_access to Scope, or set "
        'Authorization request parameters (authorize_params) to {"access_type": "offline", "prompt": "consent"}: see '
        "the vendor's documentation. Then authorize again."
    )


def test_the_page_shows_the_company_that_the_user_chose_and_refuses_another_one(
    monkeypatch: pytest.MonkeyPatch, requests_mock: Mocker
) -> None:
    config = replace(CONFIG, callback_map={"realm_id": "realmId"})
    monkeypatch.setattr(connections, "get_config", lambda conn_id: config)
    monkeypatch.setattr(connections, "get_status", lambda conn_id: grants.status(config))
    monkeypatch.setattr(app, "create_session", lambda: nullcontext(SimpleNamespace(add=lambda entry: None)))
    monkeypatch.setattr(Clock, "sleep", lambda self, seconds: None)
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-access", "refresh_token": "fake-refresh"})

    def authorize(realm_id: str) -> str:
        response = post("authorize")
        state = parse_qs(urlsplit(response.headers["Location"]).query)["state"][0]
        query = f"state={state}&code=c&realmId={realm_id}"
        return flash_of(follow_callback(query, response.headers["Set-Cookie"].partition(";")[0]))

    assert "The authorization succeeded" in authorize("%3Cb%3E1")
    html = browse("GET", "/air/oauth/?conn_id=shop").text
    assert read_page(html).rows["shop"][5] == "Given realm_id: <b>1"
    assert "<b>1" not in html
    assert "The callback has another realm_id (realmId) than before: '2' instead of '<b>1'." in authorize("2")


def test_a_user_who_lost_the_permission_to_edit_cannot_finish_an_authorization(monkeypatch: pytest.MonkeyPatch) -> None:
    response = post("authorize")
    state = parse_qs(urlsplit(response.headers["Location"]).query)["state"][0]
    monkeypatch.setattr(app, "can", lambda user, conn_id, method: method == "GET")
    back = follow_callback(f"state={state}&code=c", response.headers["Set-Cookie"].partition(";")[0])
    assert "You are no longer allowed to edit it" in flash_of(back)


@pytest.mark.parametrize(
    ("works", "shown_as"), [(True, 'class="flash success"'), (False, 'class="flash failure"'), (None, 'class="flash "')]
)
def test_the_result_of_a_test_is_shown_as_success_failure_or_neither(
    works: bool | None, shown_as: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grants, "test", lambda config: GrantCheck(works, "the result."))
    response = post("test")

    assert flash_of(response) == "Connection 'shop': The result."
    cookie = response.headers["Set-Cookie"].partition(";")[0]
    html = browse("GET", "/air/oauth/?conn_id=shop", headers={"Cookie": cookie}).text
    assert f"<p {shown_as}" in html


@pytest.mark.parametrize("action", ["revoke", "forget"])
def test_nothing_is_revoked_or_forgotten_if_no_tokens_are_stored(action: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grants, "is_empty", lambda config: True)
    monkeypatch.setattr(grants, action, broken)

    assert flash_of(post(action)) == f"Connection 'shop': No tokens are stored, so there is nothing to {action}."


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
def test_addresses_that_allowed_hosts_excludes_are_an_error_on_the_page(
    action: str, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "get_config", lambda conn_id: replace(CONFIG, **changes))
    response = post(action)

    assert "which is blocked (see [oauth] allowed_hosts)" in flash_of(response)


def test_hosts_that_are_not_allowed_are_an_error_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(CONFIG, allowed_hosts=("*.example.org",))
    monkeypatch.setattr(connections, "get_config", lambda conn_id: config)

    assert "host 'login.example.com' does not match [oauth] allowed_hosts" in flash_of(post("test"))


@pytest.fixture
def requests_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(threads._requests_of, ANN.get_id(), threads.THREADS_PER_USER)


@pytest.mark.usefixtures("requests_wait")
@pytest.mark.parametrize("action", ["test", "authorize", "renew", "revoke", "forget"])
def test_too_many_requests_of_a_user_are_refused_with_429_and_an_explanation(action: str) -> None:
    response = post(action)

    assert response.status_code == 429
    assert read_page(response.text).flash == threads.TOO_MANY_REQUESTS
    assert "There is no connection" not in response.text
    assert '<a href="/air/oauth/">Show all</a>' in response.text


@pytest.mark.usefixtures("requests_wait")
def test_too_many_requests_of_a_user_do_not_end_an_authorization_that_is_waiting_for_its_tokens(
    monkeypatch: pytest.MonkeyPatch, stored: dict[str, str]
) -> None:
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
    assert "oauth_consent__shop" in stored


@pytest.mark.parametrize("path", ["/air/oauth/nonsense", "/air/oauth/connections/shop/nonsense"])
def test_a_missing_page_is_reported_on_a_page(path: str) -> None:
    assert "<h1>OAuth connections</h1>" in browse("POST" if "shop" in path else "GET", path).text


@pytest.mark.parametrize("text", ["\u4e00" * 3000, "x" * 100_000])
def test_long_results_fit_into_a_cookie(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(config: OAuthConfig) -> None:
        raise ConfigurationError("".join(chr(0x4E00 + number * 37 % 20000) for number in range(3000)) + text)

    monkeypatch.setattr(grants, "forget", refuse)
    response = post("forget")
    assert len(response.headers["Set-Cookie"].partition(";")[0]) < 4096
    assert flash_of(response).startswith("Connection 'shop': \u4e00")


def test_a_cookie_with_a_long_connection_id_ends_the_authorization() -> None:
    conn_id = secrets.token_urlsafe(3600)  # cannot be compressed
    encoded = base64.urlsafe_b64encode(conn_id.encode()).decode().rstrip("=")
    cookie = f"{pending.cookie_name(pending.request_id('fake-state'))}=v.{encoded}"

    response = follow_callback(f"state=fake-state&code={secrets.token_urlsafe(4000)}", cookie)
    assert "This browser has no open authorization" in flash_of(response)


def test_the_result_for_a_long_connection_id_is_shown_without_it() -> None:
    response = post("test", conn_id=secrets.token_urlsafe(3600))
    assert len(response.headers["Set-Cookie"].partition(";")[0]) < 4096


@pytest.mark.parametrize("cookie", ["oauth_flash=x", "oauth_flash=", "oauth_flash=W10.x.y"])
def test_a_result_that_airflow_has_not_signed_is_not_shown(cookie: str) -> None:
    assert read_page(browse("GET", "/air/oauth/?conn_id=shop", headers={"Cookie": cookie}).text).flash == ""


def test_with_teams_the_connections_team_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")
    monkeypatch.setattr(protection.Connection, "get_team_name", lambda conn_id: "ours")
    monkeypatch.setattr(grants, "forget", lambda config: None)

    assert browse("GET", "/air/oauth/?conn_id=shop").status_code == 200
    assert "deleted the stored tokens" in flash_of(post("forget"))
    logged = []
    monkeypatch.setattr(app, "create_session", lambda: nullcontext(SimpleNamespace(add=logged.append)))
    response = post("authorize")
    state = parse_qs(urlsplit(response.headers["Location"]).query)["state"][0]
    cookie = response.headers["Set-Cookie"].partition(";")[0]
    back = follow_callback(f"state={state}&error=access_denied", cookie)
    assert "The user declined" in flash_of(back)
    (entry,) = logged
    assert (entry.event, entry.extra) == ("oauth_connection", '{"connection_id": "shop", "action": "consent"}')


@pytest.mark.parametrize("length", [10, 3800])
def test_a_callback_with_a_code_of_any_length_is_accepted(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    queries: list[str] = []
    monkeypatch.setattr(app, "_store_tokens", lambda *values: queries.append(values[2]) or FlashMessage(True, "stored"))
    response = post("authorize")
    state = parse_qs(urlsplit(response.headers["Location"]).query)["state"][0]
    query = f"state={state}&code={secrets.token_urlsafe(length)}"  # cannot be compressed

    back = follow_callback(query, response.headers["Set-Cookie"].partition(";")[0])
    assert (flash_of(back), queries) == ("stored", [query])


def test_the_progress_page_has_a_form_and_does_not_contain_the_code() -> None:
    shown = browse("GET", "/air/oauth/finish/abc", headers={"Cookie": "oauth_callback_abc=not-a-real-code"})
    (form,) = read_page(shown.text).forms

    assert form.action == ""
    assert list(form.fields) == ["csrf_token"]
    assert "not-a-real-code" not in shown.text


def test_the_progress_page_redirects_to_the_page_if_there_is_nothing_to_store() -> None:
    response = browse("GET", "/air/oauth/finish/abc")

    assert (response.status_code, response.headers["Location"]) == (303, "/air/oauth/")


@pytest.mark.parametrize("cookie", ["", "oauth_callback_abc=c3RhdGU9eCZjb2RlPXk.made.up"])
def test_the_progress_page_accepts_no_cookie_that_airflow_has_not_signed(cookie: str) -> None:
    data = {"csrf_token": protection.csrf_token(ANN)}  # type: ignore[arg-type]
    response = browse("POST", "/air/oauth/finish/abc", data=data, headers={"Cookie": cookie})

    assert flash_of(response) == (
        f"{pending.NOT_STARTED} Open Airflow at {BASE_URL}, because your browser sends the cookies only there, and "
        "click Authorize again."
    )


def test_the_progress_page_requires_a_csrf_token() -> None:
    assert browse("POST", "/air/oauth/finish/abc", data={"csrf_token": "made-up"}).status_code == 403
