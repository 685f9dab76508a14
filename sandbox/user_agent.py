"""What a person does in a browser, without one: it reads the pages' forms and fills them in."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

import requests

if TYPE_CHECKING:
    from collections.abc import Mapping


class PageError(RuntimeError):
    """A page is not what was expected."""


@dataclass
class Form:
    """A form of a page.

    :param action: where to, relative to its page
    :param fields: the values that are in its fields, by name
    :param buttons: what its buttons add, by the text on them
    """

    action: str
    fields: dict[str, str] = field(default_factory=dict, repr=False)
    buttons: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass
class Page:
    """What a person sees of a page, as far as it is of interest here.

    :param forms: all of them, in order
    :param flash: what it says came of what was done last, or what is wrong; "" for nothing
    :param rows: the texts of the cells of its table, by the rows' ids
    """

    forms: list[Form] = field(default_factory=list)
    flash: str = ""
    rows: dict[str, list[str]] = field(default_factory=dict)


class UserAgent:
    """A browser with its cookies, and the person in front of it. Follows no redirect by itself."""

    def __init__(self) -> None:
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy between loopback and loopback

    def get(self, url: str) -> requests.Response:
        """Open a URL."""
        return self.session.get(url, timeout=60, allow_redirects=False)

    def post(self, page_url: str, form: Form, data: Mapping[str, str]) -> requests.Response:
        """Send a form.

        :param page_url: of the page that it is on
        :param form: where it leads; an empty action is the page itself, with its query
        :param data: more than is in its fields, or instead of that
        """
        url = urljoin(page_url, form.action)
        # A revocation asks a server, and what is stored is stored under a lease: half a minute.
        return self.session.post(url, data={**form.fields, **data}, timeout=300, allow_redirects=False)

    def consent(self, url: str, username: str = "ada", allow: bool = True) -> str:
        """Log in on an authorization server's page, and allow or deny what it asks for.

        :param url: the authorization request (RFC 6749 §4.1.1)
        :return: where the browser is sent, which is not followed: the redirect URI with the answer
        :raises PageError: the page has no such form, or sends the browser nowhere
        """
        answer = self.get(url)
        if not answer.is_redirect:
            answer = self._submit(answer, {"username": username}, "Allow" if allow else "Deny")
        if not answer.is_redirect:
            raise PageError(f"The page answered {answer.status_code}, and sends the browser nowhere")
        return target_of(answer)

    def _submit(self, page: requests.Response, values: Mapping[str, str], button: str) -> requests.Response:
        """Fill in the page's one form, press a button of it, and return the answer."""
        forms = read_page(page.text).forms
        if len(forms) != 1 or not values.keys() <= forms[0].fields.keys() or button not in forms[0].buttons:
            raise PageError(f"The page ({page.status_code}) has no form with {', '.join(values)} and {button!r}")
        return self.post(page.url, forms[0], {**values, **forms[0].buttons[button]})


class AirflowPages:
    """Airflow's page *OAuth connections*, and a user of Airflow in front of it.

        AirflowPages(airflow.url, airflow.token_of("admin")).authorize("shop")

    :param airflow_url: base URL of Airflow, without a slash at the end
    :param token: what ``POST /auth/token`` has given the user; it is the cookie of all auth managers. None for somebody
        who is not logged in
    """

    def __init__(self, airflow_url: str, token: str | None = None) -> None:
        self.url = f"{airflow_url}/oauth/"
        self.agent = UserAgent()
        if token:
            host = urlsplit(airflow_url).hostname or ""
            self.agent.session.cookies.set("_token", token, domain=host, path="/")

    def show(self, conn_id: str = "") -> Page:
        """Open the page: all connections, or one, wherever it is defined.

        :raises PageError: this user does not get to see it
        """
        request = requests.Request("GET", self.url, params={"conn_id": conn_id} if conn_id else {})
        return self._read(self.agent.get(str(request.prepare().url)))

    def authorize(self, conn_id: str, username: str = "ada", allow: bool = True) -> str:
        """Press *Authorize*, log in at the connection's server, allow or deny, and come back.

        :param conn_id: the connection
        :param username: at that server
        :param allow: whether to consent
        :return: what the page says to that
        :raises PageError: there is no such button, or a page that is not what was expected
        """
        answer = self.press(conn_id, "authorize")
        if self._is_own(answer):
            return self._follow(answer).flash
        return self.follow_callback(self.agent.consent(target_of(answer), username, allow))

    def start_authorization(self, conn_id: str) -> str:
        """Press *Authorize*, and return where that leads: to the connection's server.

        :raises PageError: there is no such button, or it leads back to the page
        """
        answer = self.press(conn_id, "authorize")
        if self._is_own(answer):
            raise PageError(f"Not sent to a server: {self._follow(answer).flash}")
        return target_of(answer)

    def follow_callback(self, url: str) -> str:
        """Open the URL that a server has sent the browser to, and return what the page says to it.

        :raises PageError: something is shown at this URL, which has the code
        """
        return self._follow(self.open_callback(url)).flash

    def open_callback(self, url: str) -> requests.Response:
        """Open the URL that a server has sent the browser to, and return the last answer before the page is shown."""
        answer = self.agent.get(url)
        if answer.is_redirect and not self._is_own(answer):
            # The page that says that it takes a while; a browser sends its form by itself.
            waiting = self.agent.get(target_of(answer))
            forms = read_page(waiting.text).forms
            if len(forms) != 1:
                raise PageError(f"The page ({waiting.status_code}) has no form to go on with")
            answer = self.agent.post(waiting.url, forms[0], {})
        return answer

    def act(self, conn_id: str, action: str) -> str:
        """Press a button that leads nowhere else, and return what the page says to it.

        :param action: test, renew, revoke or forget
        """
        return self._follow(self.press(conn_id, action)).flash

    def press(self, conn_id: str, action: str) -> requests.Response:
        """Press a connection's button, and return the answer.

        :raises PageError: there is no such button
        """
        return self.agent.post(self.url, self.form(conn_id, action), {})

    def form(self, conn_id: str, action: str) -> Form:
        """Return the form of a connection's button.

        :raises PageError: there is no such button
        """
        page = self.show(conn_id)
        for form in page.forms:
            if unquote(form.action).endswith(f"/oauth/connections/{conn_id}/{action}"):
                return form
        raise PageError(f"{conn_id} has no button to {action}. {page.flash}")

    def _is_own(self, answer: requests.Response) -> bool:
        """Tell whether an answer leads back to the page, or to that of one connection."""
        return answer.is_redirect and target_of(answer).partition("?conn_id=")[0] == self.url

    def _follow(self, answer: requests.Response) -> Page:
        if not self._is_own(answer):
            raise PageError(f"The answer ({answer.status_code}) does not lead back to {self.url}")
        return self._read(self.agent.get(target_of(answer)))

    def _read(self, answer: requests.Response) -> Page:
        page = read_page(answer.text)
        if answer.status_code != 200:
            raise PageError(f"The page answered {answer.status_code}. {page.flash}")
        return page


def target_of(answer: requests.Response) -> str:
    """Return where an answer sends the browser."""
    return urljoin(answer.url, answer.headers["Location"])


def read_page(html: str) -> Page:
    """Return what is of interest of a page."""
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
        self._said = False
        self._row: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a form, its fields, what its buttons send, and the rows of a table."""
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(given.get("action", ""))
            self.page.forms.append(self._form)
        elif tag == "input" and self._form is not None:
            value = given.get("value", "")
            if given.get("type") == "submit":
                self._form.buttons[value] = {given["name"]: value} if "name" in given else {}
            else:
                self._form.fields[given["name"]] = value
        elif tag == "button":
            self._button = {given["name"]: given["value"]} if "name" in given else {}
        elif tag == "p":
            self._said = "flash" in given.get("class", "").split()
        elif tag == "tr":
            self._row = self.page.rows.setdefault(given["id"].removeprefix("row-"), []) if "id" in given else None
        elif tag in ("th", "td") and self._row is not None:
            self._row.append("")

    def handle_data(self, data: str) -> None:
        """Read what is on a button, in a cell, and what the page says."""
        if self._form is not None and self._button is not None:
            self._form.buttons[data] = self._button
        if self._said:
            self.page.flash += data
        if self._row:
            self._row[-1] = f"{self._row[-1]} {data.strip()}".strip()

    def handle_endtag(self, tag: str) -> None:
        """Note the end of a form, a button, a row, and what the page says."""
        if tag == "form":
            self._form = None
        elif tag == "tr":
            self._row = None
        elif tag == "button":
            self._button = None
        elif tag == "p":
            self._said = False
