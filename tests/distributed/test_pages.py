"""The page *OAuth connections* on a real API server with two processes, with both auth managers."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests

from sandbox.user_agent import AirflowPages, PageError, read_page, target_of
from tests.distributed.leak_search import report
from tests.distributed.pages import OF_ENV, Stack, consent_cookies, give, running

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@pytest.fixture(scope="module", params=["simple", "fab"])
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with ExitStack() as exit_stack:
        if request.param == "simple":
            stack: Stack = request.getfixturevalue("simple_stack")
        else:
            stack = exit_stack.enter_context(running(tmp_path_factory.mktemp("pages_fab"), "fab"))
        for conn_id in ("life", "late", "declined"):
            stack.connect(conn_id)
        yield stack


@pytest.fixture
def admin(stack: Stack) -> AirflowPages:
    return stack.pages()


def state_of(pages: AirflowPages, conn_id: str) -> tuple[str, str]:
    """Return the states of a connection's token and consent on the page."""
    cells = pages.show(conn_id).rows[conn_id]
    return cells[2], cells[5].split(" ")[0]


def buttons(pages: AirflowPages, conn_id: str) -> list[str]:
    """Return the actions that the page offers to this user for a connection."""
    ours = f"/oauth/connections/{quote(conn_id, safe='')}/"
    forms = pages.show(conn_id).forms
    return [form.action.rpartition("/")[2] for form in forms if ours in form.action]


def test_a_connection_is_authorized_renewed_revoked_and_forgotten(stack: Stack, admin: AirflowPages) -> None:
    assert state_of(admin, "life") == ("Not usable", "Needed")
    assert admin.authorize("life").startswith(
        "Connection 'life': The authorization succeeded. The token is valid until "
    )
    assert state_of(admin, "life") == ("Valid", "Given")
    assert buttons(admin, "life") == ["test", "authorize", "renew", "revoke", "forget"]
    assert len(stack.accepted("life")) == 1

    assert "accepted the client" in admin.act("life", "test")
    assert "'life': The token was renewed. The token is valid until " in admin.act("life", "renew")
    assert len(stack.accepted("life")) == 2

    assert (
        admin.act("life", "revoke")
        == "Connection 'life': The server revoked 2 tokens, and Airflow deleted the stored tokens."
    )
    assert stack.sandbox.control("counts")["life"]["revocation_requests"] == 2
    assert stack.accepted("life") == []
    assert state_of(admin, "life") == ("Not stored", "Needed")
    assert buttons(admin, "life") == ["test", "authorize", "forget"]

    assert "'life': The authorization succeeded" in admin.authorize("life")
    assert "Airflow deleted the stored tokens. The server was not notified" in admin.act("life", "forget")
    assert len(stack.accepted("life")) == 1  # the server was not notified
    assert state_of(admin, "life") == ("Not stored", "Needed")
    renew = admin.form("life", "test")
    renew.action = renew.action.replace("/test", "/renew")
    admin.agent.post(admin.url, renew, {})
    assert f"open {stack.airflow.url}/oauth/?conn_id=life, or run" in admin.show().flash

    assert "'life': The authorization succeeded" in admin.authorize("life")
    assert state_of(admin, "life") == ("Valid", "Given")


def test_the_result_of_a_declined_request_names_the_reason(stack: Stack, admin: AirflowPages) -> None:
    flash = admin.authorize("declined", allow=False)
    assert "The server did not authorize Airflow (access_denied). The user declined" in flash
    assert "The server's message: 'The resource owner" in flash
    assert stack.exchanges("declined") == 0


def test_a_callback_with_reserved_characters_in_its_query_is_read(admin: AirflowPages) -> None:
    url = admin.agent.consent(admin.start_authorization("declined"), allow=False)
    flash = admin.follow_callback(f"{url}&help=https://example.com/?why=/:@!$'()*,;")
    assert "The server's message: 'The resource owner" in flash


def test_a_callback_after_more_than_10_minutes_is_refused(stack: Stack, admin: AirflowPages) -> None:
    url = admin.agent.consent(admin.start_authorization("late"))
    name = "oauth_consent__late"
    pending = json.loads(stack.variable(name) or "")
    pending["expires_at"] = "2026-01-01T00:00:00+00:00"
    stack.airflow.api("PATCH", f"variables/{name}", json={"key": name, "value": json.dumps(pending)})
    assert "The authorization took more than 10 minutes" in admin.follow_callback(url)
    assert stack.exchanges("late") == 0
    assert stack.variable(name) is None


def test_an_expired_code_is_an_error(stack: Stack, admin: AirflowPages) -> None:
    stack.connect("slow", code_lifetime=0)
    assert "Connection 'slow'" in (flash := admin.authorize("slow"))
    assert "expired" in flash
    assert state_of(admin, "slow") == ("Not usable", "Needed")
    assert stack.accepted("slow") == []


def test_servers_of_other_kinds(stack: Stack) -> None:
    kinds = ["jsonbody", "justlogin", "justimmo"]
    for server in kinds:
        stack.connect(f"of_{server}", server)
    with ThreadPoolExecutor() as threads:
        flash = list(threads.map(lambda server: stack.pages().authorize(f"of_{server}"), kinds))
    assert all("The authorization succeeded. The token is valid until" in each for each in flash), flash
    # None of these connections has a revocation URL.
    assert buttons(stack.pages(), "of_jsonbody") == ["test", "authorize", "renew", "forget"]


def test_a_connection_in_the_environment_with_an_unusual_id_is_shown_by_its_id(
    stack: Stack, admin: AirflowPages
) -> None:
    assert OF_ENV not in admin.show().rows
    assert state_of(admin, OF_ENV) == ("Not stored", "Needed")
    assert "accepted the client" in admin.act(OF_ENV, "test")
    assert f"Connection '{OF_ENV}': The server did not authorize Airflow" in admin.authorize(OF_ENV, allow=False)


def test_a_connection_in_the_database_with_an_unusual_id_works(stack: Stack, admin: AirflowPages) -> None:
    conn_id = r"a/b\c#d!(e):f"  # `airflow connections add` accepts it, the form does not
    stack.connect("plain_id")
    with stack.database() as database:
        database.execute("UPDATE connection SET conn_id = ? WHERE conn_id = 'plain_id'", (conn_id,))
    assert conn_id in admin.show().rows
    assert "accepted the client" in admin.act(conn_id, "test")
    assert f"Connection {conn_id!r}: The server did not authorize Airflow" in admin.authorize(conn_id, allow=False)


def test_an_invalid_connection_does_not_hide_the_others_and_can_be_tested(stack: Stack, admin: AirflowPages) -> None:
    stack.connect("no_url", "jsonbody", grant_url=None)
    stack.connect("unreadable")
    stack.connect("markup", scope="<script>alert(1)</script>", grant_type="<b>bold</b>")
    with stack.database() as database:
        database.execute("UPDATE connection SET extra = 'gAAAAA', is_extra_encrypted = 1 WHERE conn_id = 'unreadable'")
    html = admin.agent.get(admin.url).text
    assert "Token URL" in html
    assert "Connection &#39;unreadable&#39; does not exist, or Airflow cannot decrypt it." in html
    assert "&lt;b&gt;bold&lt;/b&gt;" in html
    assert "<b>bold" not in html
    assert "<script>alert" not in html
    for conn_id in ("no_url", "unreadable", "markup"):
        assert buttons(admin, conn_id) == (["test"] if conn_id != "unreadable" else [])
    assert "Token URL" in admin.act("no_url", "test")
    assert 'href="/connections?name_pattern=no_url"' in html
    assert state_of(admin, "life")[1] == "Given"


@pytest.mark.parametrize(
    ("conn_id", "flash"),
    [("nope", "Connection 'nope' does not exist"), ("plain", "which is not an OAuth 2.0 type")],
)
def test_the_id_of_no_oauth_connection_is_an_error(stack: Stack, admin: AirflowPages, conn_id: str, flash: str) -> None:
    if conn_id == "plain":
        body = {"connection_id": conn_id, "conn_type": "http", "host": "http://localhost"}
        stack.airflow.api("POST", "connections", json=body)
    page = admin.show(conn_id)
    assert flash in page.flash
    assert page.rows == {}


def test_users_who_can_edit_connections_can_use_the_buttons(stack: Stack) -> None:
    otto = stack.pages("otto")
    assert "accepted the client" in otto.act("life", "test")


def test_users_who_cannot_read_connections_see_nothing_and_can_do_nothing(stack: Stack, admin: AirflowPages) -> None:
    vic = stack.pages("vic")
    with pytest.raises(PageError, match="403"):
        vic.show()
    page = vic.agent.get(f"{vic.url}?conn_id=life")
    assert (page.status_code, read_page(page.text).rows) == (403, {})
    for action in ("test", "authorize", "renew", "revoke", "forget"):
        response = vic.agent.session.post(
            f"{vic.url}connections/life/{action}", data={"csrf_token": stack.csrf_token("vic")}, timeout=30
        )
        assert response.status_code == 403
    assert state_of(admin, "life") == ("Valid", "Given")


def test_a_user_who_lost_the_permission_to_edit_cannot_finish_an_authorization(stack: Stack) -> None:
    otto = stack.pages("otto")
    url = otto.agent.consent(otto.start_authorization("declined"))
    vic = stack.pages("vic")
    give(vic, consent_cookies(otto))
    back = vic.open_callback(url)
    assert (back.status_code, target_of(back)) == (303, vic.url)
    with pytest.raises(PageError, match="403"):
        vic.show()
    otto.agent.session.cookies.update({"oauth_flash": vic.agent.session.cookies["oauth_flash"]})
    assert "You are no longer allowed to edit it, so no tokens were stored." in otto.show().flash


# The simple auth manager has no such role.
@pytest.mark.parametrize("stack", ["fab"], indirect=True)
def test_users_who_can_only_read_connections_see_them_and_can_do_nothing(stack: Stack) -> None:
    rita = stack.pages(make_reader(stack))
    assert rita.show().rows["life"][2] == "Valid"
    for conn_id in ("life", "declined"):
        assert buttons(rita, conn_id) == []
    csrf_token = stack.csrf_token("rita")
    for action in ("test", "authorize", "renew", "revoke", "forget"):
        url = f"{rita.url}connections/life/{action}"
        response = rita.agent.session.post(url, data={"csrf_token": csrf_token}, timeout=30, allow_redirects=False)
        assert response.status_code == 403
        assert read_page(response.text).flash == "You are not allowed to edit connection 'life'. Ask an administrator."
    assert rita.show().rows["life"][2] == "Valid"


def make_reader(stack: Stack) -> str:
    """Create a user who can read connections but not edit them; return the name."""
    fab = f"{stack.airflow.url}/auth/fab/v1"
    can = [{"action": {"name": "can_read"}, "resource": {"name": name}} for name in ("Connections", "Website")]
    user = {
        "username": "rita", "email": "rita@example.com", "first_name": "r", "last_name": "r",
        "roles": [{"name": "Reader"}], "password": stack.airflow.password_of("rita"),
    }  # fmt: skip
    for path, body in (("roles", {"name": "Reader", "actions": can}), ("users", user)):
        response = stack.airflow.session.post(f"{fab}/{path}", json=body, timeout=30)
        assert response.ok, response.text
    return "rita"


def test_a_visitor_is_redirected_to_the_login_and_back(stack: Stack) -> None:
    visitor = stack.pages(None)
    response = visitor.agent.get(visitor.url)
    login = visitor.agent.get(target_of(response))
    assert login.is_redirect
    login_url = urlsplit(target_of(login))
    assert login_url.netloc == urlsplit(stack.airflow.url).netloc
    assert parse_qs(login_url.query)["next"] == [visitor.url]


def test_a_visitor_can_do_nothing(stack: Stack, admin: AirflowPages) -> None:
    visitor = stack.pages(None)
    response = visitor.agent.post(admin.url, admin.form("life", "forget"), {})
    assert response.status_code == 401
    url = admin.agent.consent(admin.start_authorization("declined"))
    back = visitor.agent.get(url)
    assert (back.status_code, target_of(back)) == (303, visitor.url)
    admin.agent.session.cookies.update({"oauth_flash": visitor.agent.session.cookies["oauth_flash"]})
    assert "You were not logged in to Airflow when the server redirected your browser." in admin.show().flash
    assert stack.exchanges("declined") == 0


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "", 200),
        ("GET", "nope", 404),
        ("GET", "static/oauth.css", 200),
        ("GET", "static/oauth.js", 200),
        ("GET", "static/nope.css", 404),
        ("GET", "static/../app.py", 404),
        ("GET", "static/%2e%2e/app.py", 404),
        ("GET", "callback", 303),
        ("POST", "callback", 405),
        ("POST", "connections/life/test", 415),
        ("GET", "connections/life/test", 405),
        ("PUT", "connections/life/forget", 405),
        ("DELETE", "connections/life/forget", 405),
        ("POST", "connections/life/steal", 415),
    ],
)
def test_every_response_has_the_security_headers(admin: AirflowPages, method: str, path: str, status: int) -> None:
    request = requests.Request(method, admin.url).prepare()
    request.url = admin.url + path  # unchanged: requests would remove ..
    request.headers["Cookie"] = f"_token={admin.agent.session.cookies['_token']}"
    response = admin.agent.session.send(request, allow_redirects=False, timeout=30)
    assert response.status_code == status
    assert {name: response.headers.get(name) for name in HEADERS} == HEADERS


def test_cookies_are_sent_only_to_the_page_and_hidden_from_scripts(admin: AirflowPages) -> None:
    response = admin.press("declined", "authorize")
    (cookie,) = (each for each in response.cookies if each.name.startswith("oauth_consent_"))
    assert cookie.path == "/oauth"
    assert "Max-Age=600" in response.headers["Set-Cookie"]
    assert "HttpOnly" in response.headers["Set-Cookie"]
    assert "samesite=lax" in response.headers["Set-Cookie"].lower()


def test_the_audit_log_has_users_connections_and_actions(stack: Stack, admin: AirflowPages) -> None:
    found = stack.airflow.api("GET", "eventLogs", params={"event": "oauth_connection", "limit": 100})["event_logs"]
    # Flask AppBuilder's users are logged with first and last name.
    done = {
        (each["owner"].split(" ")[0], *map(json.loads(each["extra"]).get, ("connection_id", "action")))
        for each in found
    }
    expected = {("admin", "life", action) for action in ("test", "authorize", "renew", "revoke", "forget")}
    assert expected <= done
    assert ("otto", "life", "test") in done


def test_no_file_that_was_written_contains_a_secret(stack: Stack) -> None:
    assert report(stack.leaks()) == "no leaks"
