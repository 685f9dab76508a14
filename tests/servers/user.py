"""A user with a browser, who logs in and consents on the pages of the two servers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from sandbox.user_agent import PageError, UserAgent, read_page, target_of
from tests.servers.servers import PASSWORD

if TYPE_CHECKING:
    import requests


#: The labels of the buttons that allow access, on the consent pages of both servers.
ALLOW = ("Continue", "Authorize")


class User:
    """One user, in one browser session.

    :param name: the user name for the login
    :param ca: the file of the CA certificate that the browser trusts; None for those of certifi
    """

    def __init__(self, name: str = "ada", ca: str | None = None) -> None:
        self.name = name
        self.browser = UserAgent()
        self.browser.session.verify = ca or True

    def consent(self, url: str, redirect_uri: str, allow: bool = True) -> str:
        """Open an authorization request, log in, allow or deny access, and return the callback URL.

        :param url: the authorization request
        :param redirect_uri: the redirect URI, which is not opened
        :param allow: whether to allow access
        :raises PageError: when a page is not a login or consent page
        """
        response = self.browser.get(url)
        for _ in range(10):
            if response.is_redirect:
                target = target_of(response)
                if target.startswith(redirect_uri):
                    return target
                response = self.browser.get(target)
            else:
                response = self._fill_in(response, allow)
        raise PageError(f"{url.partition('?')[0]} does not lead to the redirect URI")

    def enter_code(self, url: str, code: str, allow: bool = True) -> None:
        """Enter the code of a device authorization, confirm it, log in, and allow or deny access (oidc-provider).

        :param url: the verification URL, with or without the code
        :param code: the user code
        :param allow: whether to allow access
        :raises PageError: when a page is not as expected
        """
        response = self.browser.get(url)
        for values in ({"user_code": code}, {} if allow else {"abort": "yes"}):
            response = self.browser.post(response.url, read_page(response.text).forms[0], values)
        for _ in range(10):
            if "Sign-in Success" in response.text or "interrupted" in response.text:
                return
            redirects = response.is_redirect
            response = self.browser.get(target_of(response)) if redirects else self._fill_in(response, allow)
        raise PageError(f"{url.partition('?')[0]} does not accept the code")

    def _fill_in(self, page: requests.Response, allow: bool) -> requests.Response:
        """Fill in the form on a login or consent page, and submit it."""
        forms = read_page(page.text).forms
        if page.status_code != 200 or len(forms) != 1:
            raise PageError(f"{page.url.partition('?')[0]} returned {page.status_code} without a form")
        form = forms[0]
        name = next((name for name in ("login", "username") if name in form.fields), None)
        if name is not None:
            return self.browser.post(page.url, form, {name: self.name, "password": PASSWORD})
        if allow:
            button = next(button for label, button in form.buttons.items() if label in ALLOW)
            return self.browser.post(page.url, form, button)
        # To deny access, oidc-provider has a link, and Django OAuth Toolkit has a button without a value.
        if abort := re.search(r'href="([^"]+/abort)"', page.text):
            return self.browser.get(urljoin(page.url, abort[1]))
        return self.browser.post(page.url, form, form.buttons["Cancel"])
