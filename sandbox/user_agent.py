"""What a person does in a browser, without one: it reads the pages' forms and fills them in."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import requests

if TYPE_CHECKING:
    from collections.abc import Mapping


class PageError(RuntimeError):
    """A page is not what was expected."""


@dataclass
class Form:
    """A form to be posted.

    :param action: where to, relative to its page
    :param fields: the values that are in its fields, by name
    :param buttons: name and value that its buttons add, by the text on them
    """

    action: str
    fields: dict[str, str] = field(default_factory=dict, repr=False)
    buttons: dict[str, tuple[str, str]] = field(default_factory=dict)


class UserAgent:
    """A browser with its cookies, and the person in front of it."""

    def __init__(self) -> None:
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy between loopback and loopback

    def consent(self, url: str, username: str = "ada", allow: bool = True) -> str:
        """Log in on an authorization server's page, and allow or deny what it asks for.

        :param url: the authorization request (RFC 6749 §4.1.1)
        :return: where the browser is sent, which is not followed: the redirect URI with the answer
        :raises PageError: the page has no such form, or sends the browser nowhere
        """
        answer = self.session.get(url, timeout=30, allow_redirects=False)
        if not answer.is_redirect:
            answer = self._submit(answer, {"username": username}, "Allow" if allow else "Deny")
        if not answer.is_redirect:
            raise PageError(f"The page answered {answer.status_code}, and sends the browser nowhere")
        return urljoin(answer.url, answer.headers["Location"])

    def _submit(self, page: requests.Response, values: Mapping[str, str], button: str) -> requests.Response:
        """Fill in the page's form, press a button of it, and return the answer."""
        form = _read_form(page.text)
        if form is None or not values.keys() <= form.fields.keys() or button not in form.buttons:
            raise PageError(f"The page ({page.status_code}) has no form with {', '.join(values)} and {button!r}")
        name, value = form.buttons[button]
        # An empty action is the page itself, with its query.
        url = urljoin(page.url, form.action)
        data = {**form.fields, **values, name: value}
        return self.session.post(url, data=data, timeout=30, allow_redirects=False)


def _read_form(page: str) -> Form | None:
    reader = _FormReader()
    reader.feed(page)
    return reader.form


class _FormReader(HTMLParser):
    """Reads the one form of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.form: Form | None = None
        self._button: tuple[str, str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the form, its fields, and what its buttons send."""
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.form = Form(given.get("action", ""))
        elif tag == "input" and self.form is not None:
            self.form.fields[given["name"]] = given.get("value", "")
        elif tag == "button":
            self._button = (given["name"], given["value"])

    def handle_data(self, data: str) -> None:
        """Read what is on a button."""
        if self.form is not None and self._button is not None:
            self.form.buttons[data] = self._button

    def handle_endtag(self, tag: str) -> None:
        """Note the end of a button."""
        if tag == "button":
            self._button = None
