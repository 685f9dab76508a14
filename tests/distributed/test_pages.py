"""The page *OAuth connections* as people use it, on a real API server of two processes, with both auth managers."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
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
    with running(tmp_path_factory.mktemp(f"pages_{request.param}"), request.param) as stack:
        for conn_id in ("life", "late", "told"):
            stack.connect(conn_id)
        yield stack


@pytest.fixture
def admin(stack: Stack) -> AirflowPages:
    return stack.pages()


def state_of(pages: AirflowPages, conn_id: str) -> tuple[str, str]:
    """Return what the page says of a connection's token and of the consent."""
    cells = pages.show(conn_id).rows[conn_id]
    return cells[2], cells[5].split(" ")[0]


def buttons(pages: AirflowPages, conn_id: str) -> list[str]:
    """Return what the page lets this user do with a connection."""
    ours = f"/oauth/connections/{quote(conn_id, safe='')}/"
    forms = pages.show(conn_id).forms
    return [form.action.rpartition("/")[2] for form in forms if ours in form.action]


def test_authorize_renew_revoke_forget_and_each_time_authorize_again(stack: Stack, admin: AirflowPages) -> None:
    assert state_of(admin, "life") == ("changed", "needed")
    assert admin.authorize("life").startswith("Connection 'life': authorized. The token is good until ")
    assert state_of(admin, "life") == ("usable", "given")
    assert buttons(admin, "life") == ["test", "authorize", "renew", "revoke", "forget"]
    assert len(stack.accepted("life")) == 1

    assert "accepted the client" in admin.act("life", "test")
    assert "'life': renewed. The token is good until " in admin.act("life", "renew")
    assert len(stack.accepted("life")) == 2

    assert (
        admin.act("life", "revoke")
        == "Connection 'life': the server has taken its tokens back (2), and Airflow has forgotten them."
    )
    assert stack.sandbox.control("counts")["life"]["revocation_requests"] == 2
    assert stack.accepted("life") == []
    assert state_of(admin, "life") == ("none", "needed")
    assert buttons(admin, "life") == ["test", "authorize", "forget"]

    assert "'life': authorized" in admin.authorize("life")
    assert "has forgotten its tokens" in admin.act("life", "forget")
    assert len(stack.accepted("life")) == 1  # the server was not told
    assert state_of(admin, "life") == ("none", "needed")
    renew = admin.form("life", "test")
    renew.action = renew.action.replace("/test", "/renew")
    admin.agent.post(admin.url, renew, {})
    assert f"open {stack.airflow.url}/oauth/?conn_id=life, or run" in admin.show().flash

    assert "'life': authorized" in admin.authorize("life")
    assert state_of(admin, "life") == ("usable", "given")


def test_what_the_person_declines_is_told(stack: Stack, admin: AirflowPages) -> None:
    said = admin.authorize("told", allow=False)
    assert "no consent was given (access_denied: The resource owner" in said
    assert "The user declined, or is not allowed to consent. Authorize again" in said
    assert stack.exchanges("told") == 0


def test_an_answer_that_is_not_escaped_more_than_it_has_to_be_is_read(admin: AirflowPages) -> None:
    url = admin.agent.consent(admin.start_authorization("told"), allow=False)
    assert "access_denied: The resource owner" in admin.follow_callback(
        f"{url}&help=https://example.com/?why=/:@!$'()*,;"
    )


def test_an_answer_after_more_than_ten_minutes_is_too_late(stack: Stack, admin: AirflowPages) -> None:
    url = admin.agent.consent(admin.start_authorization("late"))
    name = "oauth_consent__late"
    kept = json.loads(stack.variable(name) or "")
    kept["expires_at"] = "2026-01-01T00:00:00+00:00"
    stack.airflow.api("PATCH", f"variables/{name}", json={"key": name, "value": json.dumps(kept)})
    assert "it took over ten minutes" in admin.follow_callback(url)
    assert stack.exchanges("late") == 0
    assert stack.variable(name) is None


def test_a_code_that_has_ended_at_the_server_is_told(stack: Stack, admin: AirflowPages) -> None:
    stack.connect("slow", code_lifetime=0)
    assert "Connection 'slow'" in (flash := admin.authorize("slow"))
    assert "expired" in flash
    assert state_of(admin, "slow") == ("changed", "needed")
    assert stack.accepted("slow") == []


def test_servers_of_other_kinds(stack: Stack) -> None:
    kinds = ["jsonbody", "justlogin", "justimmo"]
    for server in kinds:
        stack.connect(f"of_{server}", server)
    with ThreadPoolExecutor() as threads:
        said = list(threads.map(lambda server: stack.pages().authorize(f"of_{server}"), kinds))
    assert all("authorized. The token is good until" in each for each in said), said
    # None of them says where to revoke.
    assert buttons(stack.pages(), "of_jsonbody") == ["test", "authorize", "renew", "forget"]


def test_a_connection_of_the_environment_with_an_odd_id_is_found_by_its_id(stack: Stack, admin: AirflowPages) -> None:
    assert OF_ENV not in admin.show().rows
    assert state_of(admin, OF_ENV) == ("none", "needed")
    assert "accepted the client" in admin.act(OF_ENV, "test")
    assert f"Connection '{OF_ENV}': no consent was given" in admin.authorize(OF_ENV, allow=False)


def test_a_connection_of_the_database_with_an_odd_id_is_used_as_any_other(stack: Stack, admin: AirflowPages) -> None:
    conn_id = r"a/b\c#d!(e):f"  # `airflow connections add` takes it, the form does not
    stack.connect("plain_id")
    with stack.database() as database:
        database.execute("UPDATE connection SET conn_id = ? WHERE conn_id = 'plain_id'", (conn_id,))
    assert conn_id in admin.show().rows
    assert "accepted the client" in admin.act(conn_id, "test")
    assert f"Connection {conn_id!r}: no consent was given" in admin.authorize(conn_id, allow=False)


def test_what_is_wrong_with_a_connection_is_one_row(stack: Stack, admin: AirflowPages) -> None:
    stack.connect("no_url", "jsonbody", grant_url=None)
    stack.connect("unreadable")
    stack.connect("markup", scope="<script>alert(1)</script>", grant_type="<b>bold</b>")
    with stack.database() as database:
        database.execute("UPDATE connection SET extra = 'gAAAAA', is_extra_encrypted = 1 WHERE conn_id = 'unreadable'")
    html = admin.agent.get(admin.url).text
    assert "Token URL" in html
    assert "There is no connection &#39;unreadable&#39; that Airflow can read." in html
    assert "&lt;b&gt;bold&lt;/b&gt;" in html
    assert "<b>bold" not in html
    assert "<script>alert" not in html
    for conn_id in ("no_url", "unreadable", "markup"):
        assert buttons(admin, conn_id) == []
    assert state_of(admin, "life")[1] == "given"


@pytest.mark.parametrize(
    ("conn_id", "said"),
    [("nope", "There is no connection 'nope' that Airflow can read."), ("plain", "not of an OAuth 2.0 type")],
)
def test_an_id_that_is_none_of_ours_is_told(stack: Stack, admin: AirflowPages, conn_id: str, said: str) -> None:
    if conn_id == "plain":
        body = {"connection_id": conn_id, "conn_type": "http", "host": "http://localhost"}
        stack.airflow.api("POST", "connections", json=body)
    page = admin.show(conn_id)
    assert said in page.flash
    assert page.rows == {}


def test_who_may_edit_connections_may_act(stack: Stack) -> None:
    otto = stack.pages("otto")
    assert "accepted the client" in otto.act("life", "test")


def test_who_may_not_read_connections_sees_and_does_nothing(stack: Stack, admin: AirflowPages) -> None:
    vic = stack.pages("vic")
    with pytest.raises(PageError, match="403"):
        vic.show()
    page = vic.agent.get(f"{vic.url}?conn_id=life")
    assert (page.status_code, read_page(page.text).rows) == (403, {})
    for action in ("test", "authorize", "renew", "revoke", "forget"):
        answer = vic.agent.session.post(
            f"{vic.url}connections/life/{action}", data={"csrf_token": stack.csrf_token("vic")}, timeout=30
        )
        assert answer.status_code == 403
    assert state_of(admin, "life") == ("usable", "given")


def test_who_lost_the_right_meanwhile_is_refused(stack: Stack) -> None:
    otto = stack.pages("otto")
    url = otto.agent.consent(otto.start_authorization("told"))
    vic = stack.pages("vic")
    give(vic, consent_cookies(otto))
    back = vic.open_callback(url)
    assert (back.status_code, target_of(back)) == (303, vic.url)
    with pytest.raises(PageError, match="403"):
        vic.show()
    otto.agent.session.cookies.update({"oauth_flash": vic.agent.session.cookies["oauth_flash"]})
    assert "'told': you may not edit it any more, so nothing was changed." in otto.show().flash


# The simple auth manager has no such role.
@pytest.mark.parametrize("stack", ["fab"], indirect=True)
def test_who_may_only_read_connections_sees_them_and_can_do_nothing(stack: Stack) -> None:
    rita = stack.pages(make_reader(stack))
    assert rita.show().rows["life"][2] == "usable"
    for conn_id in ("life", "told"):
        assert buttons(rita, conn_id) == []
    csrf_token = stack.csrf_token("rita")
    for action in ("test", "authorize", "renew", "revoke", "forget"):
        url = f"{rita.url}connections/life/{action}"
        answer = rita.agent.session.post(url, data={"csrf_token": csrf_token}, timeout=30, allow_redirects=False)
        assert answer.status_code == 403
        assert read_page(answer.text).flash == "You may not edit the connection 'life'."
    assert rita.show().rows["life"][2] == "usable"


def make_reader(stack: Stack) -> str:
    """Make a user who may read connections, but not edit them; return the name."""
    fab = f"{stack.airflow.url}/auth/fab/v1"
    can = [{"action": {"name": "can_read"}, "resource": {"name": name}} for name in ("Connections", "Website")]
    user = {
        "username": "rita", "email": "rita@example.com", "first_name": "r", "last_name": "r",
        "roles": [{"name": "Reader"}], "password": stack.airflow.password_of("rita"),
    }  # fmt: skip
    for path, body in (("roles", {"name": "Reader", "actions": can}), ("users", user)):
        answer = stack.airflow.session.post(f"{fab}/{path}", json=body, timeout=30)
        assert answer.ok, answer.text
    return "rita"


def test_nobody_is_sent_to_the_login_and_back(stack: Stack) -> None:
    nobody = stack.pages(None)
    answer = nobody.agent.get(nobody.url)
    login = nobody.agent.get(target_of(answer))
    assert login.is_redirect
    asked = urlsplit(target_of(login))
    assert asked.netloc == urlsplit(stack.airflow.url).netloc
    assert parse_qs(asked.query)["next"] == [nobody.url]


def test_nobody_can_do_nothing(stack: Stack, admin: AirflowPages) -> None:
    nobody = stack.pages(None)
    answer = nobody.agent.post(admin.url, admin.form("life", "forget"), {})
    assert answer.status_code == 401
    url = admin.agent.consent(admin.start_authorization("told"))
    back = nobody.agent.get(url)
    assert (back.status_code, target_of(back)) == (303, nobody.url)
    admin.agent.session.cookies.update({"oauth_flash": nobody.agent.session.cookies["oauth_flash"]})
    assert "You were not logged in to Airflow when you came back." in admin.show().flash
    assert stack.exchanges("told") == 0


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
def test_every_answer_has_the_headers(admin: AirflowPages, method: str, path: str, status: int) -> None:
    request = requests.Request(method, admin.url).prepare()
    request.url = admin.url + path  # as it is: requests would take .. away
    request.headers["Cookie"] = f"_token={admin.agent.session.cookies['_token']}"
    answer = admin.agent.session.send(request, allow_redirects=False, timeout=30)
    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS


def test_cookies_are_for_our_pages_and_no_script(admin: AirflowPages) -> None:
    answer = admin.press("told", "authorize")
    (cookie,) = (each for each in answer.cookies if each.name.startswith("oauth_consent_"))
    assert cookie.path == "/oauth"
    assert "Max-Age=600" in answer.headers["Set-Cookie"]
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    assert "samesite=lax" in answer.headers["Set-Cookie"].lower()


def test_the_audit_log_has_who_did_what(stack: Stack, admin: AirflowPages) -> None:
    found = stack.airflow.api("GET", "eventLogs", params={"event": "oauth_connection", "limit": 100})["event_logs"]
    # Flask AppBuilder's users are noted with both their names.
    done = {
        (each["owner"].split(" ")[0], *map(json.loads(each["extra"]).get, ("connection_id", "action")))
        for each in found
    }
    expected = {("admin", "life", action) for action in ("test", "authorize", "renew", "revoke", "forget")}
    assert expected <= done
    assert ("otto", "life", "test") in done


def test_nothing_secret_is_in_anything_that_was_written(stack: Stack) -> None:
    assert report(stack.leaks()) == "no leaks"
