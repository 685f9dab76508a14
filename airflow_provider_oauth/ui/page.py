"""The page: what it says of each connection, and what can be done with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from airflow_provider_oauth.management.grant_check import not_granted, remarks

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_oauth.management.connections import Overview

_templates = Environment(
    loader=PackageLoader("airflow_provider_oauth.ui"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
# With its slashes quoted too: of an ID such as a/../b a browser would make another connection's URL.
_templates.filters["segment"] = lambda text: quote(text, safe="")


class FlashMessage(NamedTuple):
    """What came of what a person did last.

    :param success: whether the action succeeded; None if there was nothing to do
    :param text: for the person to read, without a secret
    """

    success: bool | None
    text: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """What the page says of one connection.

    :param overview: what is known of it
    :param can_edit: whether this user may do something with it
    """

    overview: Overview
    can_edit: bool

    @property
    def notes(self) -> list[str]:
        """What else there is to know about it."""
        config, status = self.overview.config, self.overview.status
        missing = not_granted(status.missing_scopes) if status else ""
        return [*([missing] if missing else []), *(remarks(config) if config else [])]

    @property
    def actions(self) -> list[str]:
        """What this user can do with it, in order."""
        config = self.overview.config
        if config is None or not self.can_edit:
            return []
        token = self.overview.status.token if self.overview.status else None
        never_expires = token is not None and token.never_expires
        tokens_to_revoke, holds_one = config.revoke_url or config.issuer, self.overview.token in ("usable", "ended")
        return [
            "test",
            *(["authorize"] if config.grant_type == "authorization_code" else []),
            *(["renew"] if self.overview.consent != "needed" and not never_expires else []),
            *(["revoke"] if tokens_to_revoke and (holds_one or self.overview.consent == "given") else []),
            *(["forget"] if self.overview.status else []),
        ]


def render(rows: list[Row] | None, **values: Any) -> str:
    """Return the page.

    :param rows: the connections on it; None if they were not looked up
    :param values: the rest, see the template
    """
    return _templates.get_template("page.html.j2").render(rows=rows, time=_time, **values)


def render_waiting(**values: str) -> str:
    """Return the page that is shown while the tokens are being stored.

    :param values: see the template
    """
    return _templates.get_template("waiting.html.j2").render(**values)


def _time(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M}" if time else ""
