"""Who tries to get at a connection's tokens through the page *OAuth connections*, or to put others in: each refused."""

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
from tests.distributed.pages import Stack, consent_cookies, give, running

if TYPE_CHECKING:
    from collections.abc import Iterator

NOT_BEGUN = "belongs to nothing that was begun in this browser in the last ten minutes"
ACTIONS = ("test", "authorize", "renew", "revoke", "forget")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """With a connection that has been consented to, and others that are not."""
    with running(tmp_path_factory.mktemp("attacks"), "simple") as stack:
        for conn_id in ("shop", "once", "other", "mine"):
            stack.connect(conn_id)
        assert "authorized" in stack.pages().authorize("shop")
        yield stack


@pytest.fixture
def admin(stack: Stack) -> AirflowPages:
    return stack.pages()


@pytest.fixture
def kept(stack: Stack) -> Iterator[None]:
    """What is stored for the connection ``shop`` is what was stored before."""
    names = ("oauth_token__shop", "oauth_lease__shop")
    before = [stack.variable(name) for name in names]
    exchanges = stack.exchanges("shop")
    yield
    assert [stack.variable(name) for name in names] == before
    assert stack.exchanges("shop") == exchanges


def changed(url: str, /, **values: str | None) -> str:
    """Return a URL with other parameters; without those that are None."""
    parts = urlsplit(url)
    query = {name: value for name, (value,) in parse_qs(parts.query).items()} | values
    return urlunsplit(parts._replace(query=urlencode({k: v for k, v in query.items() if v is not None})))


def post(pages: AirflowPages, conn_id: str, action: str, **fields: str) -> requests.Response:
    return pages.agent.post(pages.url, Form(f"/oauth/connections/{conn_id}/{action}", fields), {})


# --- the answer that the browser brings back


@pytest.mark.usefixtures("kept")
def test_an_answer_that_was_used_is_refused_and_the_tokens_stay(stack: Stack, admin: AirflowPages) -> None:
    url = admin.agent.consent(admin.start_authorization("once"))
    cookies = consent_cookies(admin)
    assert "Connection 'once': authorized" in admin.follow_callback(url)
    assert consent_cookies(admin) == {}
    stored, exchanges = stack.variable("oauth_token__once"), stack.exchanges("once")
    assert NOT_BEGUN in admin.follow_callback(url)
    give(admin, cookies)
    assert NOT_BEGUN in admin.follow_callback(url)
    assert (stack.variable("oauth_token__once"), stack.exchanges("once")) == (stored, exchanges)
    assert admin.show().rows["once"][2] == "usable"


def test_of_two_answers_at_the_same_time_one_is_believed(stack: Stack, admin: AirflowPages) -> None:
    before = stack.exchanges("once")
    url = admin.agent.consent(admin.start_authorization("once"))
    browsers = [stack.pages() for _ in range(4)]
    for browser in browsers:
        give(browser, consent_cookies(admin))
    with ThreadPoolExecutor() as threads:
        said = list(threads.map(lambda browser: browser.follow_callback(url), browsers))
    assert sorted("authorized. The token is good until" in each for each in said) == [False, False, False, True]
    assert stack.exchanges("once") == before + 1
    assert admin.show().rows["once"][2] == "usable"


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
    # Two processes, with four of the user's requests at a time each.
    assert found.keys() == {303, 429}
    assert found[429] >= 24


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("state", ["made-up", "", "é", None])
def test_an_answer_with_a_foreign_state_is_refused(admin: AirflowPages, state: str | None) -> None:
    url = admin.agent.consent(admin.start_authorization("shop"))
    assert NOT_BEGUN in admin.follow_callback(changed(url, state=state))


@pytest.mark.usefixtures("kept")
def test_an_attackers_answer_is_refused_in_anothers_browser(stack: Stack, admin: AirflowPages) -> None:
    otto = stack.pages("otto")
    url = otto.agent.consent(otto.start_authorization("shop"), username="mallory")
    assert NOT_BEGUN in admin.follow_callback(url)
    admin.start_authorization("shop")  # nor while that user is about to consent
    assert NOT_BEGUN in admin.follow_callback(url)


@pytest.mark.usefixtures("kept")
def test_a_stolen_cookie_is_of_no_use_to_another_user(stack: Stack, admin: AirflowPages) -> None:
    otto = stack.pages("otto")
    url = otto.agent.consent(otto.start_authorization("shop"))
    give(admin, consent_cookies(otto))
    assert NOT_BEGUN in admin.follow_callback(url)


@pytest.mark.usefixtures("kept")
def test_what_was_begun_later_ends_what_was_begun_before(admin: AirflowPages) -> None:
    url = admin.agent.consent(admin.start_authorization("shop"))
    admin.start_authorization("shop")
    assert NOT_BEGUN in admin.follow_callback(url)


@pytest.mark.usefixtures("kept")
def test_the_answer_for_another_connection_is_refused(stack: Stack, admin: AirflowPages) -> None:
    url = admin.agent.consent(admin.start_authorization("shop"))
    of_shop = consent_cookies(admin)
    admin.start_authorization("other")
    of_other = {name: value for name, value in consent_cookies(admin).items() if name not in of_shop}
    for name, value in zip(of_shop, of_other.values(), strict=True):
        give(admin, {name: value})
    assert f"Connection 'other': This answer {NOT_BEGUN}" in admin.follow_callback(url)
    assert stack.exchanges("other") == 0


def test_a_code_for_another_connection_is_refused(stack: Stack, admin: AirflowPages) -> None:
    url = admin.agent.consent(admin.start_authorization("other"))
    code = parse_qs(urlsplit(url).query)["code"][0]
    url = admin.agent.consent(admin.start_authorization("mine"))
    said = admin.follow_callback(changed(url, code=code))
    assert "Connection 'mine'" in said
    assert "authorized" not in said
    assert admin.show().rows["mine"][2] == "changed"
    assert stack.accepted("mine") == stack.accepted("other") == []


def test_an_attackers_code_is_refused_in_the_users_own_consent(stack: Stack, admin: AirflowPages) -> None:
    otto = stack.pages("otto")
    code = parse_qs(urlsplit(otto.agent.consent(otto.start_authorization("mine"), username="mallory")).query)["code"][0]
    url = admin.agent.consent(admin.start_authorization("mine"))
    said = admin.follow_callback(changed(url, code=code))  # PKCE: it is bound to another verifier
    assert "authorized" not in said
    assert stack.accepted("mine") == []


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("edited", ["x", "[1]", "5", "null", '{"state": 1}', '{"expires_at": "soon"}', "***"])
def test_what_was_kept_of_a_consent_and_then_edited_is_not_believed(
    stack: Stack, admin: AirflowPages, edited: str
) -> None:
    url = admin.agent.consent(admin.start_authorization("shop"))
    name = "oauth_consent__shop"
    stack.airflow.api("PATCH", f"variables/{name}", json={"key": name, "value": edited})
    assert NOT_BEGUN in admin.follow_callback(url)


@pytest.mark.usefixtures("kept")
def test_what_fails_on_the_way_back_leaves_no_code_in_the_browser(stack: Stack, admin: AirflowPages) -> None:
    url = admin.agent.consent(admin.start_authorization("shop"))
    with stack.database() as database:
        database.execute("CREATE TRIGGER no_end BEFORE DELETE ON variable BEGIN SELECT RAISE(ABORT, 'not today'); END")
    try:
        answer = admin.open_callback(url)
    finally:
        with stack.database() as database:
            database.execute("DROP TRIGGER no_end")
    assert answer.status_code == 500
    assert "code" not in answer.url
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Something went wrong (IntegrityError)." in read_page(answer.text).flash
    admin.agent.session.close()  # the server ends the connection


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(
    ("iss", "said"),
    [("https://evil.example", "is of another server (iss)"), (None, "does not say which server it is of (iss)")],
)
def test_an_answer_of_another_server_is_refused(admin: AirflowPages, iss: str | None, said: str) -> None:
    url = admin.agent.consent(admin.start_authorization("shop"))
    assert said in admin.follow_callback(changed(url, iss=iss))
    assert NOT_BEGUN in admin.follow_callback(url)  # a second guess is not to be had


@pytest.mark.usefixtures("kept")
def test_a_parameter_that_is_there_twice_is_refused(admin: AirflowPages) -> None:
    url = admin.agent.consent(admin.start_authorization("shop"))
    assert "has a parameter twice" in admin.follow_callback(f"{url}&code=another")


@pytest.mark.usefixtures("kept")
def test_markup_in_an_error_is_text(admin: AirflowPages) -> None:
    url = admin.agent.consent(admin.start_authorization("shop"), allow=False)
    script, image = "<script>alert(1)</script>", "<img src=x onerror=alert(2)>'\"{{ 7*7 }}"
    assert admin.open_callback(changed(url, error=script, error_description=image)).status_code == 303
    html = admin.agent.get(admin.url).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;: &lt;img src=x onerror=alert(2)&gt;&#39;&#34;{{ 7*7 }}" in html
    assert "<script>alert" not in html
    assert "<img src=x" not in html


@pytest.mark.usefixtures("kept")
def test_an_error_of_any_length_or_script_is_told(admin: AirflowPages) -> None:
    url = admin.agent.consent(admin.start_authorization("shop"), allow=False)
    words = "".join(chr(0x4E00 + number * 37 % 20000) for number in range(3000))
    answer = admin.open_callback(changed(url, error="server_error", error_description=words))
    said = next(cookie for cookie in answer.cookies if cookie.name == "oauth_flash")
    assert len(f"oauth_flash={said.value}") < 4096  # browsers keep no longer one
    assert words[:100] in admin.show().flash


# --- parameters that could lead elsewhere


@pytest.mark.usefixtures("kept")
def test_no_parameter_leads_elsewhere(stack: Stack, admin: AirflowPages) -> None:
    elsewhere = dict.fromkeys(("next", "redirect_uri", "return_to", "redirect", "url", "back"), "//evil.example/")
    nobody = stack.pages(None)
    query = urlencode(elsewhere)
    url = admin.agent.consent(admin.start_authorization("shop"), allow=False)
    for answer in (
        admin.open_callback(changed(url, **elsewhere)),
        admin.agent.get(f"{admin.url}callback?{query}"),
        nobody.agent.get(f"{admin.url}callback?{query}"),
        post(admin, "shop", "test", csrf_token=stack.csrf_token("admin"), **elsewhere),
        post(admin, f"nope/test?{query}#", "test", csrf_token=stack.csrf_token("admin")),
    ):
        assert (answer.status_code, target_of(answer)) == (303, admin.url), answer.url
    login = nobody.agent.get(f"{admin.url}?{query}&conn_id=//evil.example")
    assert target_of(login).startswith(f"{stack.airflow.url}/api/v2/auth/login?next=")
    ((next_page,),) = parse_qs(urlsplit(target_of(login)).query).values()
    assert next_page == f"{admin.url}?conn_id=%2F%2Fevil.example"  # our page, of a connection that is called so


@pytest.mark.usefixtures("kept")
def test_where_authorize_leads_is_the_connections_alone_to_say(stack: Stack, admin: AirflowPages) -> None:
    answer = post(admin, "shop?redirect_uri=https://evil.example&client_id=evil#", "authorize", csrf_token="x")
    assert answer.status_code in (403, 404, 405)
    token = stack.csrf_token("admin")
    answer = post(admin, "shop", "authorize?redirect_uri=https://evil.example&state=mine", csrf_token=token)
    asked = parse_qs(urlsplit(target_of(answer)).query)
    assert asked["redirect_uri"] == [f"{stack.airflow.url}/oauth/callback"]
    assert asked["state"] != ["mine"]
    assert (asked["client_id"], asked["code_challenge_method"]) == (["shop"], ["S256"])


def test_the_id_of_no_connection_leads_nowhere(admin: AirflowPages) -> None:
    for conn_id in ("//evil.example", "https://evil.example", "\\\\evil.example", "<script>alert(1)</script>", "a\nb"):
        page = admin.show(conn_id)
        assert "There is no connection" in page.flash
        assert page.rows == {}
        assert all(form.action.startswith("/oauth/") for form in page.forms)


# --- forms that the page did not send


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("action", ACTIONS)
def test_nothing_is_done_by_a_link(admin: AirflowPages, action: str) -> None:
    assert admin.agent.get(f"{admin.url}connections/shop/{action}").status_code == 405


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("action", ACTIONS)
def test_a_form_without_the_token_is_refused(admin: AirflowPages, action: str) -> None:
    answer = post(admin, "shop", action, other="x")
    assert answer.status_code == 403
    assert "was not sent by Airflow's own page" in read_page(answer.text).flash


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("kind", ["another's", "too old", "tampered", "of a message", "twice"])
def test_a_form_with_a_token_that_is_not_this_users_own_is_refused(
    stack: Stack, admin: AirflowPages, kind: str
) -> None:
    own = stack.csrf_token("admin")
    csrf_token = {
        "another's": lambda: stack.csrf_token("otto"),
        "too old": lambda: stack.csrf_token("admin", age=12 * 3600 + 60),
        "tampered": lambda: own[:-2] + ("AA" if own[-2:] != "AA" else "BB"),
        "of a message": lambda: str(post(admin, "shop", "test", csrf_token=own).cookies["oauth_flash"]),
        "twice": lambda: f"x&csrf_token={own}",
    }[kind]()
    answer = post(admin, "shop", "forget", csrf_token=csrf_token)
    assert answer.status_code == 403
    assert post(admin, "shop", "test", csrf_token=own).status_code == 303


@pytest.mark.usefixtures("kept")
def test_a_form_that_is_no_form_or_too_long_is_refused(stack: Stack, admin: AirflowPages) -> None:
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
        answer = admin.agent.session.post(url, data=body, headers={"Content-Type": kind}, timeout=30)
        assert answer.status_code == status
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


def test_nothing_secret_is_in_anything_that_was_written(stack: Stack) -> None:
    assert "/oauth/callback" in (stack.airflow.console / "api-server.log").read_text()
    assert report(stack.leaks()) == "no leaks"
