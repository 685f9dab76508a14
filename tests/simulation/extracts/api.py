"""The simulated API: a list whose rows are added and updated while it is read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPResponse

from tests.simulation.extracts.attempt import current

if TYPE_CHECKING:
    from tests.simulation.extracts.attempt import Attempt
    from tests.simulation.extracts.world import World

START = datetime(2026, 1, 1, tzinfo=UTC)
INITIAL = "2025-12-31T00:00:00Z"
URL = "https://api.example.com"


def text_of(seconds: float) -> str:
    """Return a time in the format of the API, which has whole seconds."""
    return (START + timedelta(seconds=int(seconds))).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Row:
    """A row of the list.

    :param updated: when it was last changed, in seconds
    :param visible: from when on the API shows this version
    """

    id: int
    version: int
    updated: int
    visible: float
    before: Row | None = None  # the version before it

    def shown(self, now: float) -> Row | None:
        """Return the version that the API shows."""
        return self if self.visible <= now else self.before and self.before.shown(now)


@dataclass(frozen=True)
class Response:
    """A page that the API has sent.

    :param since: the value of ``updated_since``
    :param key: which page was requested; "" for the first one
    :param next: the key of the next page; None at the end
    :param run_id: the run that has requested it
    """

    number: int
    run_id: str
    since: str | None
    key: str
    next: str | None
    rows: tuple[dict[str, Any], ...]


class Api:
    """The list.

    :param world: has the clock
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.schedule = world.schedule
        self.rows: list[Row] = []
        self.responses: list[Response] = []
        self.valid_from = 0  # cursors of earlier responses are refused
        for number in range(self.schedule.rows):
            self.rows.append(Row(number + 1, 1, number - 60, number - 60))

    def change(self) -> None:
        """Add or update a row."""
        now, random = self.world.now, self.world.random
        visible = now + random.uniform(0, self.schedule.commit_time)
        if not self.rows or random.random() < 0.4:
            self.rows.append(Row(len(self.rows) + 1, 1, int(now), visible))
        else:
            place = random.randrange(len(self.rows))
            old = self.rows[place]
            self.rows[place] = Row(old.id, old.version + 1, int(now), visible, old)

    def shown(self) -> list[Row]:
        """Return the rows that the API shows now."""
        return [shown for row in self.rows if (shown := row.shown(self.world.now))]

    def respond(self, url: str, attempt: Attempt) -> tuple[int, Any]:
        """Return status and body of the response to a request."""
        query = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
        since, key = query.get("updated_since"), query.get("cursor") or query.get("page") or ""
        until = query.get("updated_until") or text_of(self.world.now)
        rows = [row for row in self.shown() if (since or "") <= text_of(row.updated) <= until]
        number = len(self.responses) + 1
        size = self.schedule.size
        if self.schedule.order in ("pages", "descending"):
            if self.schedule.order == "descending":
                rows.sort(key=lambda row: (-row.updated, row.id))
            page = int(key or 1)
            found = rows[(page - 1) * size : page * size]
            following = str(page + 1) if len(found) == size else None
            key = "" if page == 1 else key
        else:
            rows.sort(key=lambda row: (row.updated, row.id))
            if key:
                issued, updated, last = map(int, key.split("_"))
                if issued < self.valid_from:
                    return self.world.random.choice([400, 404, 410]), {"error": "the cursor has expired"}
                rows = [row for row in rows if (row.updated, row.id) > (updated, last)]
            found = rows[:size]
            following = f"{number}_{found[-1].updated}_{found[-1].id}" if len(rows) > size else None
        sent = tuple(
            {"id": row.id, "updated": text_of(row.updated), "version": row.version, "page": number} for row in found
        )
        self.responses.append(page := Response(number, attempt.run.run_id, since, key, following, sent))
        self.world.referee.responded(page, attempt)
        if self.world.chance(self.schedule.expiry):
            self.valid_from = number + 1
        following_link = f"{URL}/items?{urlencode({**query, 'cursor': following})}" if following else None
        return 200, {"items": sent, "next": following_link if self.schedule.order == "links" else following}


class Adapter(BaseAdapter):
    """The transport of the hook: each request is a step of the attempt that sends it."""

    def __init__(self) -> None:
        super().__init__()
        self._builder = HTTPAdapter()

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        attempt = current()

        def respond() -> requests.Response:
            status, body = attempt.world.api.respond(request.url or "", attempt)
            headers = {
                "Content-Type": "application/json",
                "Date": format_datetime(START + timedelta(seconds=attempt.world.now), usegmt=True),
            }
            content = BytesIO(json.dumps(body).encode())
            raw = HTTPResponse(content, headers, status, preload_content=False, reason="")
            return self._builder.build_response(request, raw)

        return attempt.step("request a page", respond, error=requests.ConnectionError("the connection broke"))

    def close(self) -> None:
        pass
