"""A person's consent in Airflow's own pages, in a browser: what is seen, what is stored, and what DAGs then do."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.form import IMAGES
from tests.browser.pages import OAuthPage
from tests.browser.runs import delete_connections, run_dag, run_dag_in_vain
from tests.integration.authlib_server import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

    from sandbox.airflow import Airflow
    from sandbox.server import SandboxProcess
    from tests.integration.authlib_server import Server

SECRET = "not-a-real-secret+/="  # noqa: S105
#: What the API of each vendor has for whoever asks.
ENDPOINT = {"justlogin": "membership/v3/users", "justimmo": "oauth/user/current"}


@pytest.fixture(scope="module")
def authlib(airflow: Airflow) -> Iterator[Server]:
    """An authorization server nobody here wrote, which takes no redirect URI but the one that is registered."""
    with serve() as server:
        server.add_client("airflow", SECRET, redirect_uris=(f"{airflow.url}/oauth/callback",))
        yield server


@pytest.fixture
def pages(page: Page, airflow: Airflow, sandbox: SandboxProcess, authlib: Server) -> Iterator[OAuthPage]:
    """The page; at the end, no secret was ever on it, and the browser had nothing to complain of."""
    pages = OAuthPage(page, airflow.url)
    yield pages
    pages.expect_secret([SECRET, *sandbox.control("issued"), *authlib.issued])


@pytest.fixture
def connect(airflow: Airflow, sandbox: SandboxProcess) -> Callable[..., str]:
    """Make a connection to one of the sandbox's servers, and its client there."""

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
    """Make a connection, as the form does; its client ID is the connection's, unless another one is given."""
    values = {"login": conn_id, "password": secret, **fields, "extra": json.dumps(extra)}
    airflow.api("POST", "connections", json={"connection_id": conn_id, "conn_type": conn_type, **values})


def test_before_a_consent_a_task_fails_at_once_and_its_log_leads_to_the_page(
    pages: OAuthPage, airflow: Airflow, connect: Callable[..., str]
) -> None:
    connect("told", "justlogin")
    log = run_dag_in_vain(airflow, "told")
    assert "ConsentRequired" in log
    (url,) = {word.rstrip(",") for word in log.split() if word.startswith(f"{airflow.url}/oauth/")}
    pages.page.goto(url)
    pages.expect_shown()
    pages.expect_states("told", token="none", consent="needed")
    assert pages.page.locator("tbody tr").count() == 1
    assert "Only told is shown." in pages.page.inner_text("main")


def test_from_the_menu_over_the_vendors_page_to_a_dag_that_runs(
    page: Page, pages: OAuthPage, airflow: Airflow, connect: Callable[..., str]
) -> None:
    connect("company_hr", "justlogin")
    tab = OAuthPage.from_menu(page, airflow.url)
    tab.expect_states("company_hr", token="none", consent="needed")
    tab.consent("company_hr")
    tab.expect_said("Connection 'company_hr': authorized.", good=True)
    tab.expect_states("company_hr", token="usable", consent="given")
    tab.expect_no_codes_behind()
    users = run_dag(airflow, "company_hr", endpoint=ENDPOINT["justlogin"])
    assert users
    tab.open()
    tab.press("Renew now", "company_hr")
    tab.expect_said("Connection 'company_hr': renewed.", good=True)
    tab.confirm("Forget", "company_hr")
    tab.expect_said("Airflow has forgotten its tokens. The server was not told.", good=True)
    tab.expect_states("company_hr", token="none", consent="needed")
    pages.look()
    pages.seen += tab.seen
    pages.complaints += tab.complaints


def test_the_keyboard_is_enough(pages: OAuthPage, airflow: Airflow, connect: Callable[..., str]) -> None:
    connect("estates", "justimmo")
    pages.open()
    pages.tab_to("Authorize estates")
    pages.page.keyboard.press("Enter")
    pages.page.get_by_label("User name").wait_for()
    pages.tab_to("Allow")
    pages.page.keyboard.press("Space")
    pages.expect_shown()
    pages.expect_said("Connection 'estates': authorized.", good=True)
    pages.expect_states("estates", token="usable", consent="given")
    assert run_dag(airflow, "estates", endpoint=ENDPOINT["justimmo"])["id"]
    pages.tab_to("Test estates")
    pages.page.keyboard.press("Space")
    pages.page.get_by_text("accepted the client").wait_for()
    pages.expect_shown()


def test_a_revoked_consent_is_needed_again_and_given_again(pages: OAuthPage, airflow: Airflow, authlib: Server) -> None:
    extra = {"grant_type": "authorization_code", "issuer": authlib.url, "scope": "read", "leeway": 60}
    add(airflow, "by_issuer", "oauth", SECRET, extra, host=f"{authlib.url}/api", login="airflow")
    pages.open()
    pages.consent("by_issuer")
    pages.expect_said("Connection 'by_issuer': authorized.", good=True)
    pages.confirm("Revoke", "by_issuer")
    pages.expect_said("the server has taken its tokens back (2)", good=True)
    pages.expect_states("by_issuer", token="none", consent="needed")
    assert authlib.revocations == [200, 200]
    pages.consent("by_issuer")
    pages.expect_states("by_issuer", token="usable", consent="given")
    pages.expect_no_codes_behind()
    assert run_dag(airflow, "by_issuer", endpoint="me")["user"] == "ada"
    behind = pages.go_back_to_vendor()
    assert behind.startswith(f"{authlib.url}/authorize?response_type=code&client_id=")
    assert "&code=" not in behind


@pytest.mark.parametrize("server", ENDPOINT)
def test_who_declines_is_told_what_to_do(pages: OAuthPage, connect: Callable[..., str], server: str) -> None:
    connect(f"declined_{server}", server)
    pages.open()
    pages.authorize(f"declined_{server}").answer("Deny")
    pages.expect_shown()
    pages.expect_said(
        "The user declined, or is not allowed to consent. Authorize again, as a user who is allowed to.", good=False
    )
    pages.expect_states(f"declined_{server}", token="none", consent="needed")
    pages.expect_no_codes_behind()


@pytest.mark.parametrize("server", ENDPOINT)
def test_a_code_that_is_over_at_the_server_is_told(pages: OAuthPage, connect: Callable[..., str], server: str) -> None:
    connect(f"late_{server}", server, client={"code_lifetime": 0})
    pages.open()
    pages.consent(f"late_{server}")
    pages.expect_said("The code is invalid, expired or already used; authorize again.", good=False)
    pages.expect_states(f"late_{server}", token="none", consent="needed")
    pages.expect_no_codes_behind()


def test_after_ten_minutes_an_answer_is_not_taken_any_more(
    pages: OAuthPage, airflow: Airflow, sandbox: SandboxProcess, connect: Callable[..., str]
) -> None:
    connect("slow", "justlogin")
    pages.open()
    vendor = pages.authorize("slow")
    kept = airflow.api("GET", "variables/oauth_consent__slow")
    value = json.loads(kept["value"]) | {"expires_at": datetime.now(UTC).isoformat()}
    body = {"key": kept["key"], "value": json.dumps(value), "description": kept["description"]}
    airflow.api("PATCH", "variables/oauth_consent__slow", json=body)
    vendor.answer("Allow")
    pages.expect_shown()
    pages.expect_said("it took over ten minutes, or was finished already. Click Authorize again.", good=False)
    pages.expect_no_codes_behind()
    assert sandbox.control("counts")["slow"]["token_requests"] == 0


@pytest.mark.parametrize(
    ("secret", "good", "said"),
    [
        (SECRET, True, "The client_credentials grant works"),
        ("not-its-secret", False, "Check Client ID, Client secret and Client authentication."),
    ],
)
def test_the_test_button_says_whether_the_secret_is_good(
    pages: OAuthPage, connect: Callable[..., str], secret: str, good: bool, said: str
) -> None:
    conn_id = connect(f"tested_{good}", "standard", secret)
    pages.open()
    pages.press("Test", conn_id)
    pages.expect_said(said, good=good)
    assert secret not in pages.page.content()
    pages.expect_states(conn_id, token="none")


def test_a_connection_without_a_person_is_renewed_and_forgotten(
    pages: OAuthPage, airflow: Airflow, connect: Callable[..., str]
) -> None:
    connect("machine", "standard")
    pages.open()
    assert not pages.button("Authorize", "machine").count()
    for _ in range(2):
        pages.press("Renew now", "machine")
        pages.expect_said("Connection 'machine': renewed.", good=True)
        pages.expect_states("machine", token="usable")
    pages.confirm("Forget", "machine")
    pages.expect_states("machine", token="none")
    assert run_dag(airflow, "machine")["client_id"] == "machine"


def test_a_viewer_gets_no_page_and_an_operator_does(
    log_in: Callable[..., Page], airflow: Airflow, connect: Callable[..., str]
) -> None:
    connect("not_for_all", "standard")
    viewer = log_in("vic")
    answer = viewer.goto(f"{airflow.url}/oauth/")
    assert answer is not None
    assert answer.status == 403
    assert "not_for_all" not in viewer.content()
    assert not viewer.get_by_role("button", name="Test").count()
    for action in ("test", "authorize", "renew", "revoke", "forget"):
        answer = viewer.request.post(f"{airflow.url}/oauth/connections/not_for_all/{action}", form={"csrf_token": "x"})
        assert answer.status == 403
    operator = OAuthPage(log_in("otto"), airflow.url)
    operator.open()
    operator.press("Test", "not_for_all")
    operator.expect_said("The client_credentials grant works", good=True)


@pytest.mark.parametrize(
    ("system", "chosen", "is_dark"),
    [("light", None, False), ("dark", None, True), ("dark", "light", False), ("light", "dark", True)],
)
def test_the_page_is_as_light_or_dark_as_airflow_and_its_texts_stand_out(
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


@pytest.mark.parametrize("width", [400, 640])  # a telephone, and 1280 at 200 %
def test_nothing_is_cut_off_on_a_narrow_page(pages: OAuthPage, connect: Callable[..., str], width: int) -> None:
    conn_id = connect(f"narrow_{width}", "justlogin")
    pages.page.set_viewport_size({"width": width, "height": 500})
    pages.open()
    pages.press("Test", conn_id)
    assert pages.fits()
    pages.page.get_by_label(f"Forget … {conn_id}").click()
    assert pages.fits()
    assert not pages.poor_contrasts()


def test_the_page_has_a_name_and_its_icon_and_styles_are_there(pages: OAuthPage) -> None:
    pages.open()
    assert pages.page.title() == "OAuth connections - Airflow"
    icon = pages.page.locator("link[rel=icon]").evaluate("link => link.href")
    assert pages.page.request.get(icon).ok
    assert pages.page.evaluate("document.styleSheets[0].cssRules.length") > 0


def test_pictures_for_the_documentation(
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
    vendor.answer("Allow")
    pages.expect_shown()
    picture(pages.page, "oauth-connections.png")
    pages.page.evaluate("localStorage.setItem('theme', 'dark')")
    pages.open()
    picture(pages.page, "oauth-connections-dark.png")
    assert {path.name for path in IMAGES.glob("*.png")} >= {"oauth-connections.png", "consent.png"}


def picture(page: Page, name: str) -> None:
    """Take a picture of a page, no higher than what is on it."""
    height = page.evaluate("Math.ceil(document.body.lastElementChild.lastElementChild.getBoundingClientRect().bottom)")
    page.set_viewport_size({"width": 1280, "height": height + 48})
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement?.blur()")
    page.screenshot(path=IMAGES / name, animations="disabled", caret="hide")
    page.set_viewport_size({"width": 1280, "height": 1000})
