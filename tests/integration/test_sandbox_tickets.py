"""The list of the sandbox whose rows change with time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

if TYPE_CHECKING:
    from sandbox.server import Sandbox
    from tests.fake_clock import FakeClock

SECRET = "fake-secret"


def list_tickets(sandbox: Sandbox, server: str = "standard", **params: Any) -> requests.Response:
    sandbox.state.add_client(server, "tickets", SECRET, scopes=["read"])
    body = {"grant_type": "client_credentials"}
    url = f"{sandbox.url}/{server}"
    token = requests.post(f"{url}/token", data=body, auth=("tickets", SECRET), timeout=10).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(f"{url}/api/tickets", params=params, headers=headers, timeout=10)


@pytest.mark.parametrize("server", ["standard", "shop"])
def test_every_minute_another_ticket_is_updated(sandbox: Sandbox, sandbox_clock: FakeClock, server: str) -> None:
    seen = []
    for _ in range(2):
        seen += list_tickets(sandbox, server, updated_since=sandbox_clock.now().isoformat()).json()["data"]
        sandbox_clock.advance(60)
    first, second = seen
    assert second["id"] == first["id"] % 250 + 1
    assert (first["updated_at"], second["updated_at"]) == ("2027-01-15T08:00:00Z", "2027-01-15T08:01:00Z")


def test_tickets_are_sorted_by_id_and_have_different_times(sandbox: Sandbox) -> None:
    pages = [list_tickets(sandbox, limit=100, page=page).json() for page in (1, 2, 3)]
    rows = [row for page in pages for row in page["data"]]
    assert [row["id"] for row in rows] == list(range(1, 251))
    assert len({row["updated_at"] for row in rows}) == 250
    assert {(page["pages"], page["total"]) for page in pages} == {(3, 250)}
    assert sandbox.state.counts()["tickets"]["rows"] == 250


def test_tickets_can_be_sorted_with_the_newest_first(sandbox: Sandbox) -> None:
    times = [row["updated_at"] for row in list_tickets(sandbox, sort="-updated_at", limit=100).json()["data"]]
    assert times == sorted(times, reverse=True)
    assert times[0] == "2027-01-15T08:00:00Z"


def test_the_filter_of_tickets_includes_its_own_time_and_requires_a_time_zone(sandbox: Sandbox) -> None:
    assert list_tickets(sandbox, updated_since="2027-01-15T07:58:00Z").json()["total"] == 3
    assert list_tickets(sandbox, updated_since="2027-01-15T08:59:00+01:00").json()["total"] == 2
    assert list_tickets(sandbox, updated_since="2027-01-15T07:58:00").status_code == 422
