"""The cost of ``OAuthSession`` per request, compared with ``requests.Session`` with a fixed header."""

from __future__ import annotations

import io
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import requests
from airflow.providers.http.hooks.http import HttpHook
from requests.adapters import HTTPAdapter

from airflow_provider_oauth.hooks.oauth import OAuthHook
from benchmarks.client import define, define_connection
from benchmarks.loopback import loopback
from benchmarks.measuring import Row, added, in_turns, microseconds, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CONN_ID = "authentication"
PATH = "items?page=2"
REFERENCE = "plain session"


class NoNetwork(HTTPAdapter):
    """Returns a response without a socket, so that only the work of the session is measured, with less noise."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        response = requests.Response()
        response.status_code, response.url, response.request = 200, request.url or "", request
        response.raw, response.connection = io.BytesIO(), self
        return response


def sessions(adapter: HTTPAdapter | None = None) -> dict[str, requests.Session]:
    """Return sessions that send the same requests: ours, a plain one, and a plain one that does not read .netrc."""
    hook = OAuthHook(CONN_ID)
    name, value = hook.access.token_header(hook.get_token())
    ours, plain, without_netrc = hook.get_conn(), requests.Session(), requests.Session()
    for reference in (plain, without_netrc):
        reference.headers[name] = value
    without_netrc.auth = lambda request: request
    for session in (ours, plain, without_netrc):
        if adapter:
            session.mount("http://", adapter)
    return {"ours": ours, "plain": plain, "without .netrc": without_netrc}


def over_sockets(url: str) -> Row:
    """Measure requests to a server on this host."""
    calls = {name: partial(session.get, url) for name, session in sessions().items() if name != "without .netrc"}
    seconds = in_turns(calls, times=20, rounds=250, clock=time.perf_counter)
    ours, plain = seconds["ours"], seconds["plain"]
    times = f"{REFERENCE} {microseconds(plain)}", microseconds(ours)
    return Row("Authentication: GET, keep-alive, loopback", *times, f"{ratio(ours, plain):.3f}", "≤ 1.05")


def without_network(url: str) -> list[Row]:
    """Measure the processor time of requests without a socket: in total, and for preparing the request."""
    request = requests.Request("GET", url)
    by_name = sessions(NoNetwork())
    prepare = {name: partial(session.prepare_request, request) for name, session in by_name.items()}
    send = {name: partial(session.get, url) for name, session in by_name.items()}
    sending = in_turns(send, times=20, rounds=200, clock=time.process_time)
    preparing = in_turns(prepare, times=50, rounds=200, clock=time.process_time)
    return [
        _added("Authentication: GET, no network, processor time", sending, "plain", "≤ 10 µs"),
        _added("Authentication: the same, reference without reading .netrc", sending, "without .netrc"),
        _added("Authentication: preparing the request, processor time", preparing, "plain"),
        _added("Authentication: the same, reference without reading .netrc", preparing, "without .netrc"),
    ]


def _added(label: str, seconds: Mapping[str, list[float]], reference: str, goal: str = "") -> Row:
    ours, theirs = seconds["ours"], seconds[reference]
    times = f"{REFERENCE} {microseconds(theirs)}", microseconds(ours)
    return Row(label, *times, f"{added(ours, theirs) * 1e6:+.1f} µs", goal)


def by_run(url: str) -> list[Row]:
    """Measure ``OAuthHook.run`` for information: with one hook, and with a new hook for every request."""
    adapter = NoNetwork()
    ours, theirs = OAuthHook(CONN_ID, adapter=adapter), HttpHook("GET", "plain", adapter=adapter)
    headers = {"Authorization": "Bearer fake-access-token"}
    calls: dict[str, Callable[[], object]] = {
        "session": partial(sessions(adapter)["ours"].get, url),
        "run": partial(ours.run, PATH),
        "new hook": lambda: OAuthHook(CONN_ID, adapter=adapter).run(PATH),
        "stock": partial(theirs.run, PATH, headers=headers),
        "new stock hook": lambda: HttpHook("GET", "plain", adapter=adapter).run(PATH, headers=headers),
    }
    seconds = in_turns(calls, times=20, rounds=40, clock=time.process_time)

    def row(label: str, ours: str, reference: str, reference_label: str) -> Row:
        times = f"{reference_label} {microseconds(seconds[reference])}", microseconds(seconds[ours])
        return Row(label, *times, f"{ratio(seconds[ours], seconds[reference]):.2f}")

    return [
        row("OAuthHook.run, compared with its session", "run", "session", "session"),
        row("OAuthHook.run, one hook for all requests", "run", "stock", "HttpHook.run"),
        row("OAuthHook.run, a new hook for every request", "new hook", "new stock hook", "HttpHook.run"),
    ]


def rows() -> list[Row]:
    """Return the rows of the table."""
    with loopback() as url:
        define_connection(CONN_ID, url, f"{url}/token")
        define("plain", conn_type="http", host=url)
        return [over_sockets(f"{url}/{PATH}"), *without_network(f"{url}/{PATH}"), *by_run(f"{url}/{PATH}")]
