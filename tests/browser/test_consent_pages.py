"""The page *OAuth connections* in a browser: what it shows, what is stored, and what DAGs then do."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.browser.form import IMAGES
from tests.browser.pages import OAuthPage
from tests.browser.runs import delete_connections, run_dag, run_failing_dag
from tests.integration.authlib_server import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

    from sandbox.airflow import Airflow
    from sandbox.server import SandboxProcess
    from tests.integration.authlib_server import Server

SECRET = "not-a-real-secret+/="  # noqa: S105
#: An endpoint of each vendor's API that needs no parameters.
ENDPOINT = {"justlogin": "membership/v3/users", "justimmo": "oauth/user/current"}


@pytest.fixture(scope="module")
def authlib(airflow: Airflow) -> Iterator[Server]:
    """An authorization server by others (Authlib), which accepts only the registered redirect URI."""
    with serve() as server:
        server.add_client("airflow", SECRET, redirect_uris=(f"{airflow.url}/oauth/callback",))
        yield server


@pytest.fixture
def pages(page: Page, airflow: Airflow, sandbox: SandboxProcess, authlib: Server) -> Iterator[OAuthPage]:
    """The page; at the end, check that it never showed a secret and that the browser reported no errors."""
    pages = OAuthPage(page, airflow.url)
    yield pages
    pages.expect_secret([SECRET, *sandbox.control("issued"), *authlib.issued])


@pytest.fixture
def connect(airflow: Airflow, sandbox: SandboxProcess) -> Callable[..., str]:
    """Create a connection to one of the sandbox's servers, and its client there."""

    def make(conn_id: str, server: str, secret: str = SECRET, client: dict[str, Any] | None = None) -> str:
        scopes = ["openid"] if server == "justlogin" else ["read"]
        client = {"server": server, "client_id": conn_id, "client_secret": SECRET, "scopes": scopes, **(client or {})}
        sandbox.control("clients", client)
        extra: dict[str, Any] = {"grant_type": "authorization_code", "leeway": 60}
        if server == "standard":
            url = f"{sandbox.url}/standard"
            extra |= {"grant_type": "client_credentials", "grant_url": f"{url}/token"}
            add(airflow, conn_id, "oauth", secret, extra, host=f"{url}/api")
        else:
            add(airflow, conn_id, server, secret, {**extra, "environment": f"{sandbox.url}/{server}"})
        return conn_id

    return make


def add(airflow: Airflow, conn_id: str, conn_type: str, secret: str, extra: dict[str, Any], **fields: Any) -> None:
    """Create a connection, as the form does. Its client ID is the connection's ID, unless ``login`` is given."""
    values = {"login": conn_id, "password": secret, **fields, "extra": json.dumps(extra)}
    airflow.api("POST", "connections", json={"connection_id": conn_id, "conn_type": conn_type, **values})


def test_without_consent_a_task_fails_without_retries_and_its_log_links_to_the_page(
    pages: OAuthPage, airflow: Airflow, connect: Callable[..., str]
) -> None:
    connect("not_authorized", "justlogin")
    log = run_failing_dag(airflow, "not_authorized")
    assert "ConsentRequired" in log
    (url,) = {word.rstrip(",") for word in log.split() if word.startswith(f"{airflow.url}/oauth/")}
    pages.page.goto(url)
    pages.expect_shown()
    pages.expect_states("not_authorized", token="Not stored", consent="Needed")
    assert pages.page.locator("tbody").count() == 1
    assert "Only not_authorized is shown." in pages.page.inner_text("main")


def test_a_user_opens_the_page_from_the_menu_authorizes_a_connection_and_runs_a_dag(
    page: Page, pages: OAuthPage, airflow: Airflow, connect: Callable[..., str]
) -> None:
    connect("company_hr", "justlogin")
    tab = OAuthPage.from_menu(page, airflow.url)
    tab.expect_states("company_hr", token="Not stored", consent="Needed")
    tab.consent("company_hr")
    tab.expect_result("company_hr", "The authorization succeeded. The token is valid until", success=True)
    tab.expect_states("company_hr", token="Valid", consent="Given")
    tab.expect_no_codes_behind()
    users = run_dag(airflow, "company_hr", endpoint=ENDPOINT["justlogin"])
    assert users
    tab.open()
    tab.press("Renew now", "company_hr")
    tab.expect_result("company_hr", "Renewed.", success=True)
    tab.confirm("Forget", "company_hr")
    tab.expect_result("company_hr", "Airflow deleted the stored tokens. The server was not notified", success=True)
    tab.expect_states("company_hr", token="Not stored", consent="Needed")
    pages.look()
    pages.seen += tab.seen
    pages.complaints += tab.complaints


def test_all_steps_work_with_the_keyboard(pages: OAuthPage, airflow: Airflow, connect: Callable[..., str]) -> None:
    connect("estates", "justimmo")
    pages.open()
    pages.tab_to("Authorize estates")
    pages.page.keyboard.press("Enter")
    pages.page.get_by_label("User name").wait_for()
    pages.tab_to("Allow")
    pages.page.keyboard.press("Space")
    pages.expect_shown()
    pages.expect_result("estates", "The authorization succeeded.", success=True)
    pages.expect_states("estates", token="Valid", consent="Given")
    assert run_dag(airflow, "estates", endpoint=ENDPOINT["justimmo"])["id"]
    pages.tab_to("Test estates")
    pages.page.keyboard.press("Space")
    pages.page.get_by_text("accepted the client").wait_for()
    pages.expect_shown()


def test_a_revoked_connection_can_be_authorized_again(pages: OAuthPage, airflow: Airflow, authlib: Server) -> None:
    extra = {"grant_type": "authorization_code", "issuer": authlib.url, "scope": "read", "leeway": 60}
    add(airflow, "by_issuer", "oauth", SECRET, extra, host=f"{authlib.url}/api", login="airflow")
    pages.open()
    pages.consent("by_issuer")
    pages.expect_result("by_issuer", "The authorization succeeded.", success=True)
    pages.confirm("Revoke", "by_issuer")
    pages.expect_result("by_issuer", "The server revoked 2 tokens", success=True)
    pages.expect_states("by_issuer", token="Not stored", consent="Needed")
    assert authlib.revocations == [200, 200]
    pages.consent("by_issuer")
    pages.expect_states("by_issuer", token="Valid", consent="Given")
    pages.expect_no_codes_behind()
    assert run_dag(airflow, "by_issuer", endpoint="me")["user"] == "ada"
    behind = pages.go_back_to_vendor()
    assert behind.startswith(f"{authlib.url}/authorize?response_type=code&client_id=")
    assert "&code=" not in behind


@pytest.mark.parametrize("server", ENDPOINT)
def test_a_user_who_declines_sees_what_to_do(pages: OAuthPage, connect: Callable[..., str], server: str) -> None:
    connect(f"declined_{server}", server)
    pages.open()
    pages.authorize(f"declined_{server}").press("Deny")
    pages.expect_shown()
    pages.expect_result(
        f"declined_{server}",
        "The user declined, or is not allowed to consent. Authorize again as a user who is allowed to consent.",
        success=False,
    )
    pages.expect_states(f"declined_{server}", token="Not stored", consent="Needed")
    pages.expect_no_codes_behind()


@pytest.mark.parametrize("server", ENDPOINT)
def test_an_expired_code_is_an_error(pages: OAuthPage, connect: Callable[..., str], server: str) -> None:
    connect(f"late_{server}", server, client={"code_lifetime": 0})
    pages.open()
    pages.consent(f"late_{server}")
    pages.expect_result(
        f"late_{server}", "The code is invalid, expired or already used. Authorize again.", success=False
    )
    pages.expect_states(f"late_{server}", token="Not stored", consent="Needed")
    pages.expect_no_codes_behind()


def test_a_callback_after_more_than_10_minutes_is_refused(
    pages: OAuthPage, airflow: Airflow, sandbox: SandboxProcess, connect: Callable[..., str]
) -> None:
    connect("slow", "justlogin")
    pages.open()
    vendor = pages.authorize("slow")
    stored = airflow.api("GET", "variables/oauth_consent__slow")
    value = json.loads(stored["value"]) | {"expires_at": datetime.now(UTC).isoformat()}
    body = {"key": stored["key"], "value": json.dumps(value), "description": stored["description"]}
    airflow.api("PATCH", "variables/oauth_consent__slow", json=body)
    vendor.press("Allow")
    pages.expect_shown()
    pages.expect_result("slow", "took more than 10 minutes, or was completed already.", success=False)
    pages.expect_no_codes_behind()
    assert sandbox.control("counts")["slow"]["token_requests"] == 0


@pytest.mark.parametrize(
    ("secret", "success", "result"),
    [
        (SECRET, True, "The client_credentials grant works"),
        ("not-its-secret", False, "Check Client ID, Client secret and Client authentication"),
    ],
)
def test_the_test_button_shows_whether_the_secret_is_valid(
    pages: OAuthPage, connect: Callable[..., str], secret: str, success: bool, result: str
) -> None:
    conn_id = connect(f"tested_{success}", "standard", secret)
    pages.open()
    pages.press("Test", conn_id)
    pages.expect_result(conn_id, result, success=success)
    assert secret not in pages.page.content()
    pages.expect_states(conn_id, token="Not stored")


def test_a_connection_that_needs_no_user_is_renewed_and_forgotten(
    pages: OAuthPage, airflow: Airflow, connect: Callable[..., str]
) -> None:
    connect("machine", "standard")
    pages.open()
    assert not pages.button("Authorize", "machine").count()
    for _ in range(2):
        pages.press("Renew now", "machine")
        pages.expect_result("machine", "Renewed.", success=True)
        pages.expect_states("machine", token="Valid")
    pages.confirm("Forget", "machine")
    pages.expect_states("machine", token="Not stored")
    assert run_dag(airflow, "machine")["client_id"] == "machine"


def test_a_viewer_cannot_see_the_page_and_an_operator_can(
    log_in: Callable[..., Page], airflow: Airflow, connect: Callable[..., str]
) -> None:
    connect("not_for_all", "standard")
    viewer = log_in("vic")
    response = viewer.goto(f"{airflow.url}/oauth/")
    assert response is not None
    assert response.status == 403
    assert "not_for_all" not in viewer.content()
    assert not viewer.get_by_role("button", name="Test").count()
    for action in ("test", "authorize", "renew", "revoke", "forget"):
        response = viewer.request.post(
            f"{airflow.url}/oauth/connections/not_for_all/{action}", form={"csrf_token": "x"}
        )
        assert response.status == 403
    operator = OAuthPage(log_in("otto"), airflow.url)
    operator.open()
    operator.press("Test", "not_for_all")
    operator.expect_result("not_for_all", "The client_credentials grant works", success=True)


@pytest.mark.parametrize(
    ("system", "chosen", "is_dark"),
    [("light", None, False), ("dark", None, True), ("dark", "light", False), ("light", "dark", True)],
)
def test_the_page_has_airflows_color_mode_and_enough_contrast(
    log_in: Callable[..., Page],
    airflow: Airflow,
    connect: Callable[..., str],
    system: str,
    chosen: str | None,
    is_dark: bool,
) -> None:
    conn_id = connect(f"{system}_{chosen}", "justlogin")
    page = log_in("admin", color_scheme=system)
    if chosen:
        page.evaluate("theme => localStorage.setItem('theme', theme)", chosen)
    pages = OAuthPage(page, airflow.url)
    pages.open()
    pages.press("Test", conn_id)
    page.get_by_label(f"Forget … {conn_id}").click()
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(23, 29, 44)" if is_dark else "rgb(255, 255, 255)")
    assert not pages.poor_contrasts()


@pytest.mark.parametrize("width", [400, 640])  # a phone, and 1280 at 200 %
def test_the_page_fits_a_narrow_window(pages: OAuthPage, connect: Callable[..., str], width: int) -> None:
    conn_id = connect(f"narrow_{width}", "justlogin")
    pages.page.set_viewport_size({"width": width, "height": 500})
    pages.open()
    pages.press("Test", conn_id)
    assert pages.fits()
    pages.page.get_by_label(f"Forget … {conn_id}").click()
    assert pages.fits()
    assert not pages.poor_contrasts()


def test_the_page_has_a_title_an_icon_and_styles(pages: OAuthPage) -> None:
    pages.open()
    assert pages.page.title() == "OAuth connections - Airflow"
    icon = pages.page.locator("link[rel=icon]").evaluate("link => link.href")
    assert pages.page.request.get(icon).ok
    assert pages.page.evaluate("document.styleSheets[0].cssRules.length") > 0


def test_an_invalid_connection_can_be_tested_and_opened_in_airflows_list(pages: OAuthPage, airflow: Airflow) -> None:
    extra = {"grant_type": "authorization_code", "leeway": 60}
    add(airflow, "no_token_url", "oauth", SECRET, extra, host="https://shop.example.com/api")
    pages.open()
    pages.press("Test", "no_token_url")
    pages.expect_result("no_token_url", "Token URL (grant_url) is missing", success=False)
    assert pages.page.get_by_text("Token URL (grant_url) is missing").count() == 1
    pages.page.get_by_role("link", name="Edit no_token_url", exact=True).click()
    pages.page.get_by_role("row").filter(has_text="no_token_url").get_by_role("button", name="Edit").wait_for()
    assert pages.page.get_by_role("row").filter(has_text="oauth").count() == 1


def test_a_result_keeps_the_scroll_position_and_the_filter(pages: OAuthPage, connect: Callable[..., str]) -> None:
    conn_ids = [connect(f"scrolled_{number}", "standard") for number in range(8)]
    pages.page.set_viewport_size({"width": 1280, "height": 400})
    pages.open()
    pages.page.get_by_label("Filter").fill("SCROLLED_")
    expect(pages.page.get_by_text("8 of")).to_be_visible()
    assert pages.page.locator("tbody:visible").count() == 8
    pages.button("Test", conn_ids[-1]).scroll_into_view_if_needed()
    before = pages.page.evaluate("scrollY")
    assert before > 0
    pages.press("Test", conn_ids[-1])
    pages.expect_result(conn_ids[-1], "The client_credentials grant works", success=True)
    assert abs(pages.page.evaluate("scrollY") - before) < 200  # the result may need to be scrolled into view
    assert pages.page.locator("tbody:visible").count() == 8
    assert pages.page.url.endswith("/oauth/")


def test_the_redirect_uri_can_be_copied(pages: OAuthPage, airflow: Airflow) -> None:
    pages.open()
    pages.page.get_by_role("button", name="Copy").click()
    expect(pages.page.get_by_text("Copied.")).to_be_visible()
    assert pages.page.evaluate("navigator.clipboard.readText()") == f"{airflow.url}/oauth/callback"


def test_without_scripts_the_forms_work_and_the_browser_shows_the_row(
    log_in: Callable[..., Page], airflow: Airflow, connect: Callable[..., str]
) -> None:
    conn_id = connect("no_scripts", "standard")
    page = log_in("admin")
    visitor = page.context.browser
    assert visitor is not None
    context = visitor.new_context(java_script_enabled=False, storage_state=page.context.storage_state())
    try:
        plain = context.new_page()
        plain.goto(f"{airflow.url}/oauth/")
        expect(plain.get_by_label("Filter")).to_be_hidden()
        expect(plain.get_by_role("button", name="Copy")).to_be_hidden()
        plain.get_by_role("button", name=f"Test {conn_id}", exact=True).click()
        plain.wait_for_url(f"{airflow.url}/oauth/#row-{conn_id}")
        expect(plain.get_by_role("status").filter(has_text="The client_credentials grant works")).to_be_visible()
    finally:
        context.close()


def test_take_the_pictures_for_the_documentation(
    pages: OAuthPage, airflow: Airflow, sandbox: SandboxProcess, connect: Callable[..., str]
) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    delete_connections(airflow)
    connect("company_hr", "justlogin")
    connect("estate_agency", "justimmo")
    connect("order_export", "standard")
    extra = {"grant_type": "authorization_code", "leeway": 60}
    add(airflow, "web_shop", "oauth", SECRET, extra, host="https://shop.example.com/api")
    pages.open()
    pages.press("Renew now", "order_export")
    vendor = pages.authorize("company_hr")
    picture(vendor.page, "consent.png")
    vendor.press("Allow")
    pages.expect_shown()
    picture(pages.page, "oauth-connections.png")
    pages.page.evaluate("localStorage.setItem('theme', 'dark')")
    pages.open()
    picture(pages.page, "oauth-connections-dark.png")
    assert {path.name for path in IMAGES.glob("*.png")} >= {"oauth-connections.png", "consent.png"}


def picture(page: Page, name: str) -> None:
    """Take a picture of a page, as high as its content."""
    height = page.evaluate("Math.ceil(document.body.lastElementChild.lastElementChild.getBoundingClientRect().bottom)")
    page.set_viewport_size({"width": 1280, "height": height + 48})
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement?.blur()")
    page.screenshot(path=IMAGES / name, animations="disabled", caret="hide")
    page.set_viewport_size({"width": 1280, "height": 1000})
