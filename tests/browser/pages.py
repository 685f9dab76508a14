"""The page *OAuth connections* and the vendors' consent pages, in a browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

#: Milliseconds to wait for steps that send requests to servers and store tokens.
TIMEOUT = 90_000

# Luminances as defined in WCAG 2.2. A canvas converts colors from all CSS notations.
_POOR_CONTRAST = """least => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = colour => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = colour => rgba(colour).slice(0, 3).map(each => each / 255)
    .map(each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
    .reduce((sum, each, i) => sum + each * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = element => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if (rgba(colour)[3] === 255) return colour;
    }
    return "white";
  };
  const poor = [];
  for (const element of document.body.querySelectorAll("*")) {
    const text = [...element.childNodes].filter(node => node.nodeType === 3).map(node => node.data).join("").trim();
    if (!text || !element.checkVisibility()) continue;
    const [a, b] = [luminance(getComputedStyle(element).color), luminance(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < least) poor.push(`${text}: ${ratio.toFixed(2)}`);
  }
  return poor;
}"""


class OAuthPage:
    """The page *OAuth connections* in a tab.

    :param page: a tab that is logged in
    :param url: Airflow's base URL
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self._url = url
        #: The content and the URL of the tab at each step.
        self.seen: list[str] = []
        #: Errors that the browser reported on pages of Airflow.
        self.complaints: list[str] = []
        page.on("console", lambda line: self._complain(line.location["url"], line.text, line.type == "error"))
        page.on("pageerror", lambda error: self._complain(page.url, str(error), True))
        page.on("response", lambda response: self._complain(response.url, f"{response.status}", response.status >= 400))

    @classmethod
    def from_menu(cls, page: Page, url: str) -> OAuthPage:
        """Follow the entry in Airflow's menu, which opens a tab."""
        page.get_by_test_id("nav-sidebar").get_by_role("button", name="Admin").click()
        with page.context.expect_page() as tab:
            page.get_by_role("menuitem", name="OAuth connections").click()
        opened = cls(tab.value, url)
        opened.expect_shown()
        return opened

    def open(self, conn_id: str = "") -> None:
        """Load the page with all connections or one."""
        self.page.goto(f"{self._url}/oauth/" + (f"?conn_id={quote(conn_id)}" if conn_id else ""))
        self.expect_shown()

    def expect_shown(self) -> None:
        """Wait until the page is shown, and record it."""
        # Wait for the URL first, without running a script in the page that is shown while tokens are being stored.
        # Playwright runs scripts as if the user had just clicked, and Chromium would then keep that page in the tab's
        # history. It does not do so for a form that a page submits itself while it loads.
        self.page.wait_for_url(re.compile(re.escape(f"{self._url}/oauth/") + r"(\?.*)?$"), timeout=TIMEOUT)
        expect(self.page.get_by_role("heading", name="Not in the list?")).to_be_visible(timeout=TIMEOUT)
        self.look()

    def look(self) -> None:
        """Record the content and the URL of the tab."""
        self.seen += [self.page.content(), self.page.url]

    def button(self, action: str, conn_id: str) -> Locator:
        """Return a button by its accessible name."""
        return self.page.get_by_role("button", name=f"{action} {conn_id}", exact=True)

    def press(self, action: str, conn_id: str) -> None:
        """Press a button that redirects back to the page, and wait for the page."""
        with self.page.expect_navigation(timeout=TIMEOUT):
            self.button(action, conn_id).click()
        self.expect_shown()

    def confirm(self, action: str, conn_id: str) -> None:
        """Open the consequences of an action, and confirm it."""
        # The element that opens them does not have the role of a button.
        self.page.get_by_label(f"{action} … {conn_id}", exact=True).click()
        self.press(action, conn_id)

    def authorize(self, conn_id: str) -> VendorPage:
        """Press *Authorize*, which redirects to the vendor's page."""
        self.button("Authorize", conn_id).click()
        vendor = VendorPage(self.page)
        self.look()
        return vendor

    def consent(self, conn_id: str) -> None:
        """Authorize a connection, and allow the request on the vendor's page."""
        self.authorize(conn_id).press("Allow")
        self.expect_shown()

    def expect_result(self, conn_id: str, text: str, *, success: bool) -> None:
        """Check the result of the last action: it is in the connection's row, in view, and has the focus."""
        row = self.page.locator("tbody").filter(has=self.row(conn_id))
        result = row.get_by_role("status" if success else "alert").filter(has_text=text)
        expect(result).to_be_in_viewport()
        expect(result).to_be_focused()

    def expect_states(self, conn_id: str, *, token: str, consent: str = "") -> None:
        """Check the states in a connection's row."""
        cells = self.row(conn_id).get_by_role("cell")
        expect(cells.nth(1)).to_have_text(token)
        expect(cells.nth(4)).to_contain_text(consent)

    def row(self, conn_id: str) -> Locator:
        """Return a connection's row."""
        return self.page.locator(f'tr[id="row-{conn_id}"]')

    def expect_no_codes_behind(self) -> None:
        """Check all URLs that the tab can go back to."""
        history = self.page.context.new_cdp_session(self.page).send("Page.getNavigationHistory")
        addresses = [entry["url"] for entry in history["entries"]]
        addresses += self.page.evaluate("navigation.entries().map(entry => entry.url)")
        assert addresses[-1] == self.page.url == f"{self._url}/oauth/"
        assert not [address for address in addresses if "code" in parse_qs(urlsplit(address).query)], addresses
        # Back returns to the vendor's page, not to the page that was shown while tokens were being stored.
        assert not [address for address in addresses if "/oauth/finish/" in address], addresses

    def go_back_to_vendor(self) -> str:
        """Go back in the tab's history to the vendor's page, and return its URL."""
        self.page.evaluate("history.back()")
        VendorPage(self.page)
        self.look()
        return self.page.url

    def tab_to(self, name: str) -> None:
        """Press Tab until the button with this name has the focus, and check that the focus is visible."""
        wanted = self.page.get_by_role("button", name=name, exact=True)
        for _ in range(60):
            self.page.keyboard.press("Tab")
            if wanted.evaluate("element => element === document.activeElement"):
                outline = wanted.evaluate("element => getComputedStyle(element).outlineStyle")
                assert outline != "none", f"Nothing shows that {name} has the focus"
                return
        raise AssertionError(f"{name} cannot be reached by the Tab key")

    def poor_contrasts(self) -> list[str]:
        """Return the texts whose contrast is lower than WCAG 2.2 level AA requires."""
        return [str(each) for each in self.page.evaluate(_POOR_CONTRAST, 4.5)]

    def fits(self) -> bool:
        """Return whether the page fits into the width of the window."""
        return bool(
            self.page.evaluate(
                "[document.documentElement, ...document.querySelectorAll('.scroll')]"
                ".every(each => each.scrollWidth <= each.clientWidth)"
            )
        )

    def expect_secret(self, secrets: list[str]) -> None:
        """Check that no step showed a secret, and that the browser reported no errors."""
        assert self.seen
        found = [secret for secret in secrets if any(secret in each or quote(secret, "") in each for each in self.seen)]
        assert not found
        assert not self.complaints

    def _complain(self, url: str, text: str, bad: bool) -> Any:
        if bad and url.startswith(self._url):
            self.complaints.append(f"{url}: {text}")


class VendorPage:
    """A vendor's consent page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.page.get_by_label("User name").wait_for()

    def press(self, button: str, username: str = "ada") -> None:
        """Log in, and allow or deny the request."""
        self.page.get_by_label("User name").fill(username)
        self.page.get_by_role("button", name=button).click(timeout=TIMEOUT)
