"""Attacks through the page *OAuth connections* that try to obtain or replace a connection's tokens. Each is refused."""

from __future__ import annotations

import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit, urlunsplit

import pytest
import requests

from sandbox.user_agent import AirflowPages, Form, read_page, target_of
from tests.distributed.leak_search import report
from tests.distributed.pages import Stack, consent_cookies, give

if TYPE_CHECKING:
    from collections.abc import Iterator

NOT_STARTED = "This browser has no open authorization"
ACTIONS = ("test", "authorize", "renew", "revoke", "forget")


@pytest.fixture(scope="module")
def stack(simple_stack: Stack) -> Stack:
    """Four connections, of which one is authorized."""
    for conn_id in ("shop", "once", "other", "mine"):
        simple_stack.connect(conn_id)
    assert "The authorization succeeded" in simple_stack.pages().authorize("shop")
    return simple_stack


@pytest.fixture
def admin(stack: Stack) -> AirflowPages:
    return stack.pages()


@pytest.fixture
def unchanged(stack: Stack) -> Iterator[None]:
    """Check that what is stored for the connection ``shop`` does not change."""
    names = ("oauth_token__shop", "oauth_lease__shop")
    before = [stack.variable(name) for name in names]
    exchanges = stack.exchanges("shop")
    yield
    assert [stack.variable(name) for name in names] == before
    assert stack.exchanges("shop") == exchanges


def changed(url: str, /, **values: str | None) -> str:
    """Return a URL with changed parameters; None removes a parameter."""
    parts = urlsplit(url)
    query = {name: value for name, (value,) in parse_qs(parts.query).items()} | values
    return urlunsplit(parts._replace(query=urlencode({k: v for k, v in query.items() if v is not None})))


def post(pages: AirflowPages, conn_id: str, action: str, **fields: str) -> requests.Response:
    return pages.agent.post(pages.url, Form(f"/oauth/connections/{conn_id}/{action}", fields), {})


# --- callbacks


@pytest.mark.usefixtures("unchanged")
def test_a_callback_that_was_used_is_refused_and_the_tokens_stay(stack: Stack, admin: AirflowPages) -> None:
    url = admin.agent.consent(admin.start_authorization("once"))
    cookies = consent_cookies(admin)
    assert "Connection 'once': The authorization succeeded" in admin.follow_callback(url)
    assert consent_cookies(admin) == {}
    stored, exchanges = stack.variable("oauth_token__once"), stack.exchanges("once")
    assert NOT_STARTED in admin.follow_callback(url)
    give(admin, cookies)
    assert NOT_STARTED in admin.follow_callback(url)
    assert (stack.variable("oauth_token__once"), stack.exchanges("once")) == (stored, exchanges)
    assert admin.show().rows["once"][2] == "Valid"


def test_of_several_simultaneous_callbacks_one_is_accepted(stack: Stack, admin: AirflowPages) -> None:
    before = stack.exchanges("once")
    url = admin.agent.consent(admin.start_authorization("once"))
    browsers = [stack.pages() for _ in range(4)]
    for browser in browsers:
        give(browser, consent_cookies(admin))
    with ThreadPoolExecutor() as threads:
        flash = list(threads.map(lambda browser: browser.follow_callback(url), browsers))
    assert sorted("The authorization succeeded. The token is valid until" in each for each in flash) == [
        False,
        False,
        False,
        True,
    ]
    assert stack.exchanges("once") == before + 1
    assert admin.show().rows["once"][2] == "Valid"


def test_forty_slow_requests_of_one_user_do_not_delay_another_user(stack: Stack, admin: AirflowPages) -> None:
    otto = stack.pages("otto")
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent, ThreadPoolExecutor(40) as threads:
        stack.connect("silent", "jsonbody", grant_url=f"http://127.0.0.1:{silent.getsockname()[1]}/token")
        form = admin.form("silent", "test")
        cookies = {"_token": admin.agent.session.cookies["_token"]}

        def press_test(_: int) -> int:
            url = urljoin(admin.url, form.action)
            return requests.post(url, form.fields, cookies=cookies, timeout=300, allow_redirects=False).status_code

        slow = [threads.submit(press_test, number) for number in range(40)]
        assert next(as_completed(slow)).result() == 429
        assert "accepted the client" in otto.act("shop", "test")
        assert not all(each.done() for each in slow)
    found = Counter(each.result() for each in slow)
    # Two processes accept four requests of a user each.
    assert found.keys() == {303, 429}
    assert found[429] >= 24


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("state", ["made-up", "", "é", None])
def test_a_callback_with_another_state_is_refused(admin: AirflowPages, state: str | None) -> None:
    url = admin.agent.consent(admin.start_authorization("shop"))
    assert NOT_STARTED in admin.follow_callback(changed(url, state=state))


@pytest.mark.usefixtures("unchanged")
def test_a_callback_of_an_attacker_is_refused_in_another_users_browser(stack: Stack, admin: AirflowPages) -> None:
    otto = stack.pages("otto")
    url = otto.agent.consent(otto.start_authorization("shop"), username="mallory")
    assert NOT_STARTED in admin.follow_callback(url)
    admin.start_authorization("shop")  # also while that user is authorizing
    assert NOT_STARTED in admin.follow_callback(url)


@pytest.mark.usefixtures("unchanged")
def test_a_stolen_cookie_is_refused_from_another_user(stack: Stack, admin: AirflowPages) -> None:
    otto = stack.pages("otto")
    url = otto.agent.consent(otto.start_authorization("shop"))
    give(admin, consent_cookies(otto))
    assert NOT_STARTED in admin.follow_callback(url)


@pytest.mark.usefixtures("unchanged")
def test_a_new_authorization_request_replaces_an_earlier_one(admin: AirflowPages) -> None:
    url = admin.agent.consent(admin.start_authorization("shop"))
    admin.start_authorization("shop")
    assert NOT_STARTED in admin.follow_callback(url)


@pytest.mark.usefixtures("unchanged")
def test_a_callback_for_another_connection_is_refused(stack: Stack, admin: AirflowPages) -> None:
    url = admin.agent.consent(admin.start_authorization("shop"))
    of_shop = consent_cookies(admin)
    admin.start_authorization("other")
    of_other = {name: value for name, value in consent_cookies(admin).items() if name not in of_shop}
    for name, value in zip(of_shop, of_other.values(), strict=True):
        give(admin, {name: value})
    assert f"Connection 'other': {NOT_STARTED}" in admin.follow_callback(url)
    assert stack.exchanges("other") == 0


def test_a_code_for_another_connection_is_refused(stack: Stack, admin: AirflowPages) -> None:
    url = admin.agent.consent(admin.start_authorization("other"))
    code = parse_qs(urlsplit(url).query)["code"][0]
    url = admin.agent.consent(admin.start_authorization("mine"))
    flash = admin.follow_callback(changed(url, code=code))
    assert "Connection 'mine'" in flash
    assert "The authorization succeeded" not in flash
    assert admin.show().rows["mine"][2] == "Not usable"
    assert stack.accepted("mine") == stack.accepted("other") == []


def test_a_code_of_an_attacker_is_refused_in_a_users_own_callback(stack: Stack, admin: AirflowPages) -> None:
    otto = stack.pages("otto")
    code = parse_qs(urlsplit(otto.agent.consent(otto.start_authorization("mine"), username="mallory")).query)["code"][0]
    url = admin.agent.consent(admin.start_authorization("mine"))
    flash = admin.follow_callback(changed(url, code=code))  # PKCE: the code is bound to another code verifier
    assert "The authorization succeeded" not in flash
    assert stack.accepted("mine") == []


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("edited", ["x", "[1]", "5", "null", '{"state": 1}', '{"expires_at": "soon"}', "***"])
def test_an_authorization_request_that_was_edited_is_refused(stack: Stack, admin: AirflowPages, edited: str) -> None:
    url = admin.agent.consent(admin.start_authorization("shop"))
    name = "oauth_consent__shop"
    stack.airflow.api("PATCH", f"variables/{name}", json={"key": name, "value": edited})
    assert NOT_STARTED in admin.follow_callback(url)


@pytest.mark.usefixtures("unchanged")
def test_an_unexpected_error_leaves_no_code_in_the_browser(stack: Stack, admin: AirflowPages) -> None:
    url = admin.agent.consent(admin.start_authorization("shop"))
    with stack.database() as database:
        database.execute("CREATE TRIGGER no_end BEFORE DELETE ON variable BEGIN SELECT RAISE(ABORT, 'not today'); END")
    try:
        response = admin.open_callback(url)
    finally:
        with stack.database() as database:
            database.execute("DROP TRIGGER no_end")
    assert response.status_code == 500
    assert "code" not in response.url
    assert response.headers["Cache-Control"] == "no-store"
    assert "An unexpected error occurred (IntegrityError)." in read_page(response.text).flash
    admin.agent.session.close()  # the server closes the connection


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("iss", "flash"),
    [
        ("https://evil.example", "its iss parameter names another server"),
        (None, "does not name the server that sent it"),
    ],
)
def test_a_callback_of_another_server_is_refused(admin: AirflowPages, iss: str | None, flash: str) -> None:
    url = admin.agent.consent(admin.start_authorization("shop"))
    assert flash in admin.follow_callback(changed(url, iss=iss))
    assert NOT_STARTED in admin.follow_callback(url)  # there is no second attempt


@pytest.mark.usefixtures("unchanged")
def test_a_callback_with_a_repeated_parameter_is_refused(admin: AirflowPages) -> None:
    url = admin.agent.consent(admin.start_authorization("shop"))
    assert "has a parameter twice" in admin.follow_callback(f"{url}&code=another")


@pytest.mark.usefixtures("unchanged")
def test_markup_in_an_error_is_escaped(admin: AirflowPages) -> None:
    url = admin.agent.consent(admin.start_authorization("shop"), allow=False)
    script, image = "<script>alert(1)</script>", "<img src=x onerror=alert(2)>'\"{{ 7*7 }}"
    assert admin.open_callback(changed(url, error=script, error_description=image)).status_code == 303
    html = admin.agent.get(admin.url).text
    assert "(&lt;script&gt;alert(1)&lt;/script&gt;)" in html
    assert r"&lt;img src=x onerror=alert(2)&gt;\&#39;&#34;{{ 7*7 }}" in html
    assert "<script>alert" not in html
    assert "<img src=x" not in html


@pytest.mark.usefixtures("unchanged")
def test_an_error_of_any_length_and_script_is_shown(admin: AirflowPages) -> None:
    url = admin.agent.consent(admin.start_authorization("shop"), allow=False)
    words = "".join(chr(0x4E00 + number * 37 % 20000) for number in range(3000))
    response = admin.open_callback(changed(url, error="server_error", error_description=words))
    flash = next(cookie for cookie in response.cookies if cookie.name == "oauth_flash")
    assert len(f"oauth_flash={flash.value}") < 4096  # the longest cookie that browsers accept
    assert words[:100] in admin.show().flash


# --- parameters that could redirect elsewhere


@pytest.mark.usefixtures("unchanged")
def test_no_parameter_redirects_elsewhere(stack: Stack, admin: AirflowPages) -> None:
    elsewhere = dict.fromkeys(("next", "redirect_uri", "return_to", "redirect", "url", "back"), "//evil.example/")
    visitor = stack.pages(None)
    query = urlencode(elsewhere)
    url = admin.agent.consent(admin.start_authorization("shop"), allow=False)
    for response in (
        admin.open_callback(changed(url, **elsewhere)),
        admin.agent.get(f"{admin.url}callback?{query}"),
        visitor.agent.get(f"{admin.url}callback?{query}"),
        post(admin, "shop", "test", csrf_token=stack.csrf_token("admin"), **elsewhere),
        post(admin, f"nope/test?{query}#", "test", csrf_token=stack.csrf_token("admin")),
    ):
        assert (response.status_code, target_of(response)) == (303, admin.url), response.url
    login = visitor.agent.get(f"{admin.url}?{query}&conn_id=//evil.example")
    assert target_of(login).startswith(f"{stack.airflow.url}/api/v2/auth/login?next=")
    ((next_page,),) = parse_qs(urlsplit(target_of(login)).query).values()
    assert next_page == f"{admin.url}?conn_id=%2F%2Fevil.example"  # the page of a connection with this ID


@pytest.mark.usefixtures("unchanged")
def test_the_authorization_url_depends_only_on_the_connection(stack: Stack, admin: AirflowPages) -> None:
    response = post(admin, "shop?redirect_uri=https://evil.example&client_id=evil#", "authorize", csrf_token="x")
    assert response.status_code in (403, 404, 405)
    token = stack.csrf_token("admin")
    response = post(admin, "shop", "authorize?redirect_uri=https://evil.example&state=mine", csrf_token=token)
    query = parse_qs(urlsplit(target_of(response)).query)
    assert query["redirect_uri"] == [f"{stack.airflow.url}/oauth/callback"]
    assert query["state"] != ["mine"]
    assert (query["client_id"], query["code_challenge_method"]) == (["shop"], ["S256"])


def test_the_id_of_no_connection_is_an_error(admin: AirflowPages) -> None:
    for conn_id in ("//evil.example", "https://evil.example", "\\\\evil.example", "<script>alert(1)</script>", "a\nb"):
        page = admin.show(conn_id)
        assert "does not exist, or Airflow cannot decrypt it" in page.flash
        assert page.rows == {}
        assert all(form.action.startswith("/oauth/") for form in page.forms)


# --- forms that were not sent from the page


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("action", ACTIONS)
def test_a_link_runs_no_action(admin: AirflowPages, action: str) -> None:
    assert admin.agent.get(f"{admin.url}connections/shop/{action}").status_code == 405


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("action", ACTIONS)
def test_a_form_without_a_csrf_token_is_refused(admin: AirflowPages, action: str) -> None:
    response = post(admin, "shop", action, other="x")
    assert response.status_code == 403
    assert "was not sent from this page" in read_page(response.text).flash


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("kind", ["another's", "too old", "tampered", "of a message", "twice"])
def test_a_form_with_an_invalid_csrf_token_is_refused(stack: Stack, admin: AirflowPages, kind: str) -> None:
    own = stack.csrf_token("admin")
    csrf_token = {
        "another's": lambda: stack.csrf_token("otto"),
        "too old": lambda: stack.csrf_token("admin", age=12 * 3600 + 60),
        "tampered": lambda: own[:-2] + ("AA" if own[-2:] != "AA" else "BB"),
        "of a message": lambda: str(post(admin, "shop", "test", csrf_token=own).cookies["oauth_flash"]),
        "twice": lambda: f"x&csrf_token={own}",
    }[kind]()
    response = post(admin, "shop", "forget", csrf_token=csrf_token)
    assert response.status_code == 403
    assert post(admin, "shop", "test", csrf_token=own).status_code == 303


@pytest.mark.usefixtures("unchanged")
def test_a_request_that_is_not_a_form_or_too_long_is_refused(stack: Stack, admin: AirflowPages) -> None:
    url, token = f"{admin.url}connections/shop/forget", stack.csrf_token("admin").encode()
    form = "application/x-www-form-urlencoded"
    for kind, body, status in (
        (form, b"\xff\xfe\x00", 403),
        (form, b'{"csrf_token": "' + token + b'"}', 403),
        (form, b"csrf_token=" + b"x" * 20_000, 413),
        ("application/json", b'{"csrf_token": "' + token + b'"}', 415),
        ("application/json", b"csrf_token=" + token, 415),
        ("text/plain", b"csrf_token=" + token, 415),
        ("multipart/form-data; boundary=x", b"csrf_token=" + token, 415),
    ):
        response = admin.agent.session.post(url, data=body, headers={"Content-Type": kind}, timeout=30)
        assert response.status_code == status
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]


def test_no_file_that_was_written_contains_a_secret(stack: Stack) -> None:
    assert "/oauth/callback" in (stack.airflow.console / "api-server.log").read_text()
    assert report(stack.leaks()) == "no leaks"
