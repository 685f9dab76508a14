"""A simple browser: it reads the forms of pages, fills them in and submits them."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import requests

if TYPE_CHECKING:
    from collections.abc import Mapping


class PageError(RuntimeError):
    """A page is not as expected."""


@dataclass
class Form:
    """A form on a page.

    :param action: the target URL, relative to the page
    :param fields: the values of its fields by name
    :param buttons: the values that each button adds, by the text on the button
    """

    action: str
    fields: dict[str, str] = field(default_factory=dict, repr=False)
    buttons: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass
class Page:
    """The parts of a page that the tests need.

    :param forms: the forms in order
    :param flash: the message about the last action or an error; empty if there is none
    :param rows: the texts of the table cells, by row ID
    """

    forms: list[Form] = field(default_factory=list)
    flash: str = ""
    rows: dict[str, list[str]] = field(default_factory=dict)


class UserAgent:
    """A browser session with cookies. It does not follow redirects automatically."""

    def __init__(self) -> None:
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy for loopback

    def get(self, url: str) -> requests.Response:
        """Open a URL."""
        return self.session.get(url, timeout=60, allow_redirects=False)

    def post(self, page_url: str, form: Form, data: Mapping[str, str]) -> requests.Response:
        """Submit a form.

        :param page_url: the URL of the page with the form
        :param form: the form; an empty action means the URL of the page, including its query
        :param data: values that are added to the form's values or replace them
        """
        url = urljoin(page_url, form.action)
        # An action may wait half a minute for the lease, and a revocation for the server's response.
        return self.session.post(url, data={**form.fields, **data}, timeout=300, allow_redirects=False)

    def consent(self, url: str, username: str = "ada", allow: bool = True, **fields: str) -> str:
        """Log in on the page of an authorization server, and allow or deny access.

        :param url: the authorization request (RFC 6749 §4.1.1)
        :param fields: the values of other fields of the page
        :return: the redirect URI with the authorization response; it is not opened
        :raises PageError: when the page has no login form or does not redirect
        """
        response = self.get(url)
        if not response.is_redirect:
            response = self._submit(response, {"username": username, **fields}, "Allow" if allow else "Deny")
        if not response.is_redirect:
            raise PageError(f"The page returned {response.status_code} and no redirect")
        return target_of(response)

    def enter_code(self, url: str, user_code: str, username: str = "ada", allow: bool = True) -> None:
        """Log in on the page of an authorization server, enter a code, and allow or deny access (RFC 8628 §3.3).

        :param url: the page
        :param user_code: the code
        :raises PageError: when the page has no such form, or refuses the code
        """
        values = {"user_code": user_code, "username": username}
        response = self._submit(self.get(url), values, "Allow" if allow else "Deny")
        if response.status_code != 200:
            raise PageError(f"The page returned {response.status_code}")

    def _submit(self, page: requests.Response, values: Mapping[str, str], button: str) -> requests.Response:
        """Fill in the only form of a page, press a button, and return the response."""
        forms = read_page(page.text).forms
        if len(forms) != 1 or not values.keys() <= forms[0].fields.keys() or button not in forms[0].buttons:
            raise PageError(f"The page ({page.status_code}) has no form with {', '.join(values)} and {button!r}")
        return self.post(page.url, forms[0], {**values, **forms[0].buttons[button]})


class AirflowPages:
    """The page *OAuth connections* of Airflow, used by one user.

        AirflowPages(airflow.url, airflow.token_of("admin")).authorize("shop")

    :param airflow_url: base URL of Airflow, without a trailing slash
    :param token: the user's token from ``POST /auth/token``, which is the cookie of all auth managers; None if the user
        is not logged in
    """

    def __init__(self, airflow_url: str, token: str | None = None) -> None:
        self.url = f"{airflow_url}/oauth/"
        self.agent = UserAgent()
        if token:
            host = urlsplit(airflow_url).hostname or ""
            self.agent.session.cookies.set("_token", token, domain=host, path="/")

    def show(self, conn_id: str = "") -> Page:
        """Open the page with all connections, or with one connection, wherever it is defined.

        :raises PageError: when the user may not see the page
        """
        request = requests.Request("GET", self.url, params={"conn_id": conn_id} if conn_id else {})
        return self._read(self.agent.get(str(request.prepare().url)))

    def authorize(self, conn_id: str, username: str = "ada", allow: bool = True) -> str:
        """Press *Authorize*, log in at the authorization server, allow or deny access, and open the callback URL.

        :param conn_id: the connection
        :param username: the user name at the authorization server
        :param allow: whether to allow access
        :return: the message on the page
        :raises PageError: when there is no such button, or a page is not as expected
        """
        response = self.press(conn_id, "authorize")
        if self._leads_back(response):
            return self._follow(response).flash
        return self.follow_callback(self.agent.consent(target_of(response), username, allow))

    def start_authorization(self, conn_id: str) -> str:
        """Press *Authorize*, and return the URL of the authorization request.

        :raises PageError: when there is no such button, or it leads back to the page
        """
        response = self.press(conn_id, "authorize")
        if self._leads_back(response):
            raise PageError(f"No redirect to an authorization server: {self._follow(response).flash}")
        return target_of(response)

    def follow_callback(self, url: str) -> str:
        """Open the callback URL, and return the message on the page.

        :raises PageError: when the callback URL, which contains the code, shows a page instead of redirecting
        """
        return self._follow(self.open_callback(url)).flash

    def open_callback(self, url: str) -> requests.Response:
        """Open the callback URL, and return the last response before the page."""
        response = self.agent.get(url)
        if response.is_redirect and not self._leads_back(response):
            # A page with a waiting message, whose form a browser submits automatically.
            waiting = self.agent.get(target_of(response))
            forms = read_page(waiting.text).forms
            if len(forms) != 1:
                raise PageError(f"The waiting page ({waiting.status_code}) has no form")
            response = self.agent.post(waiting.url, forms[0], {})
        return response

    def act(self, conn_id: str, action: str) -> str:
        """Press a button that leads back to the page, and return the message on the page.

        :param action: test, renew, revoke or forget
        """
        return self._follow(self.press(conn_id, action)).flash

    def press(self, conn_id: str, action: str) -> requests.Response:
        """Press a button of a connection, and return the response.

        :raises PageError: when there is no such button
        """
        return self.agent.post(self.url, self.form(conn_id, action), {})

    def form(self, conn_id: str, action: str) -> Form:
        """Return the form of a button of a connection.

        :raises PageError: when there is no such button
        """
        page = self.show(conn_id)
        for form in page.forms:
            if unquote(form.action).endswith(f"/oauth/connections/{conn_id}/{action}"):
                return form
        raise PageError(f"{conn_id} has no button to {action}. {page.flash}")

    def _leads_back(self, response: requests.Response) -> bool:
        """Return whether a response redirects to the page, with or without a selected connection."""
        return response.is_redirect and target_of(response).partition("?conn_id=")[0] == self.url

    def _follow(self, response: requests.Response) -> Page:
        if not self._leads_back(response):
            raise PageError(f"The response ({response.status_code}) does not redirect to {self.url}")
        return self._read(self.agent.get(target_of(response)))

    def _read(self, response: requests.Response) -> Page:
        page = read_page(response.text)
        if response.status_code != 200:
            raise PageError(f"The page returned {response.status_code}. {page.flash}")
        return page


def target_of(response: requests.Response) -> str:
    """Return the absolute URL that a response redirects to, without its fragment, which browsers do not send."""
    return urldefrag(urljoin(response.url, response.headers["Location"])).url


def read_page(html: str) -> Page:
    """Return the parsed parts of a page."""
    reader = _PageReader()
    reader.feed(html)
    reader.close()
    return reader.page


class _PageReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self._form: Form | None = None
        self._button: dict[str, str] | None = None
        self._in_flash = False
        self._row: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record forms, fields, buttons and table rows."""
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(values.get("action", ""))
            self.page.forms.append(self._form)
        elif tag == "input" and self._form is not None:
            value = values.get("value", "")
            if values.get("type") == "submit":
                self._form.buttons[value] = {values["name"]: value} if "name" in values else {}
            else:
                self._form.fields[values["name"]] = value
        elif tag == "button":
            self._button = {values["name"]: values["value"]} if "name" in values else {}
        elif tag == "p":
            self._in_flash = "flash" in values.get("class", "").split()
        elif tag == "tr":
            self._row = self.page.rows.setdefault(values["id"].removeprefix("row-"), []) if "id" in values else None
        elif tag in ("th", "td") and self._row is not None:
            self._row.append("")

    def handle_data(self, data: str) -> None:
        """Record the text of buttons, table cells and the message."""
        if self._form is not None and self._button is not None:
            self._form.buttons[data] = self._button
        if self._in_flash:
            self.page.flash += data
        if self._row:
            self._row[-1] = f"{self._row[-1]} {data.strip()}".strip()

    def handle_endtag(self, tag: str) -> None:
        """Record the end of an element."""
        if tag == "form":
            self._form = None
        elif tag == "tr":
            self._row = None
        elif tag == "button":
            self._button = None
        elif tag == "p":
            self._in_flash = False
