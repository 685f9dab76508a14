"""Where the reading of a list continues, in a form that can be stored."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  # msgspec needs it
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection

    import requests

#: Names of parameters that contain a secret in all APIs. ``token`` is not among them: in some APIs, it is the cursor.
SECRET_PARAMS = frozenset(
    ("access_token", "oauth_token", "id_token", "refresh_token", "client_secret", "api_key", "apikey", "api-key",
     "password")
)  # fmt: skip
#: Minimum length of a parameter's value that is compared with the headers of the request.
MIN_SECRET = 12


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where the reading of a list continues: the request for the next page, and what was read before.

    It contains only what differs between the requests for the pages: no headers, other parameters and bodies, and no
    secrets.

    :param url: the URL of the next page, if the API names it by a link
    :param values: the values that the paginator sets in the request for the next page
    :param is_shortened: whether a parameter with a secret was removed from ``url``
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
        msgspec.convert(values, cls)  # checks the types
        return cls(**values)


def without_secrets(url: str, request: requests.PreparedRequest | None, names: Collection[str]) -> tuple[str, bool]:
    """Return a URL without the parameters that contain a secret, and whether there were any.

    Some APIs put the access token into the link to the next page.

    :param url: the URL
    :param request: the request for the page with the link; a parameter with the token of this request is removed
    :param names: the names of the parameters with secrets that the connection defines. They are added to each request
    """
    parts = urlsplit(url)
    headers = " ".join(map(str, request.headers.values())) if request is not None and request.headers else ""
    kept = [
        pair
        for pair in parts.query.split("&")
        if not any(
            name.lower() in SECRET_PARAMS or name in names or (len(value) >= MIN_SECRET and value in headers)
            for name, value in parse_qsl(pair, keep_blank_values=True)
        )
    ]
    query = "&".join(kept)  # the other parameters stay as the API wrote them
    return urlunsplit(parts._replace(query=query, fragment="")), query != parts.query
