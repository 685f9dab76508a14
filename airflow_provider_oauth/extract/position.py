"""Where to continue a list, in a form that can be stored."""

from __future__ import annotations

import re
from collections.abc import Mapping  # noqa: TC003  # msgspec needs it
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote_plus, urlsplit, urlunsplit

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection

    import requests

#: Names of parameters that contain a secret in all APIs, in lower case and without ``-`` and ``_``. ``token`` is not
#: among them: in some APIs, it is the cursor.
SECRET_PARAMS = frozenset(
    ("accesstoken", "apikey", "apitoken", "authtoken", "clientsecret", "hapikey", "idtoken", "oauthtoken", "password",
     "privatetoken", "refreshtoken", "secret")
)  # fmt: skip
#: Minimum length of a secret that is searched for in URLs and cursors. A shorter one could be part of another value.
MIN_SECRET = 8


@dataclass(frozen=True)
class Secrets:
    """The secrets that requests contain.

    :param params: the names of the parameters with secrets that the connection defines. They are added to each request
    :param values: the secrets of the connection
    :param header: the name of the header with the token
    """

    params: Collection[str] = ()
    values: Collection[str] = field(default=(), repr=False)
    header: str = "Authorization"

    def are_in(self, text: str, request: requests.PreparedRequest | None) -> bool:
        """Return whether a text contains a secret or the token of a request, also if it is escaped for a URL."""
        forms = (text, unquote_plus(text), unquote_plus(unquote_plus(text)))
        return any(secret in form for secret in self._of(request) for form in forms)

    def _of(self, request: requests.PreparedRequest | None) -> set[str]:
        header = request.headers.get(self.header) if request is not None and request.headers else None
        return {value for value in (*self.values, *str(header or "").split()) if len(value) >= MIN_SECRET}

    def removed(self, url: str, request: requests.PreparedRequest | None) -> tuple[str, bool]:
        """Return a URL without the parameters that are secrets, and whether there were any.

        Some APIs put the access token into the link to the next page. A parameter that only contains it stays, because
        it can be the cursor.

        :param url: the URL
        :param request: the request for the page with the link
        """
        parts = urlsplit(url)
        secrets, names = self._of(request), {name.lower() for name in self.params}
        kept = [
            pair
            for pair in parts.query.split("&")
            if not any(
                name.lower() in names
                or re.sub("[-_]", "", name.lower()) in SECRET_PARAMS
                or secrets.intersection(value.split()[-1:])
                for name, value in parse_qsl(pair, keep_blank_values=True)
            )
        ]
        query = "&".join(kept)  # the other parameters stay as the API wrote them
        shortened = parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query)
        return urlunsplit(shortened._replace(fragment="")), shortened != parts


NO_SECRETS = Secrets()


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where to continue a list: the request for the next page, and what was read before.

    It contains only what differs between the requests for the pages: no headers, other parameters and bodies, and no
    secrets.

    :param url: the URL of the next page, if the API returned it as a link
    :param values: the values that the paginator sets in the request for the next page
    :param is_shortened: whether a parameter with a secret was removed from ``url``
    :param is_withheld: whether the next page is not stored, because its URL or a value contains a secret, or a value is
        not JSON
    :param pages: the number of pages that were read
    :param rows: the number of rows that were read
    :param first_count: the number of rows on the first page
    :param total: the number of rows of the whole list according to the API; None if it is unknown
    :param last: the number of the last page according to the API; None if it is unknown
    :param first_digest: a hash of the rows of the first page
    :param digest: a hash of the rows of the last page that was read
    """

    url: str | None = field(default=None, repr=False)
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    is_shortened: bool = False
    is_withheld: bool = False
    pages: int
    rows: int
    first_count: int
    total: int | None = None
    last: int | None = None
    first_digest: str = ""
    digest: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the position as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Position:
        """Return the position that ``as_json`` returned.

        :raises TypeError: if ``values`` has other members
        :raises ValueError: if a value has another type
        """
        try:
            msgspec.convert(values, cls)  # checks the types
        except msgspec.ValidationError as error:  # in older versions, not a ValueError
            raise ValueError(str(error)) from None
        return cls(**values)
