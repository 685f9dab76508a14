"""Faults of the API while a list is read, over sockets: the file is complete, or stays as it was with a clear error."""

from __future__ import annotations

import gzip
import json
import math
import os
import signal
import ssl
import threading
import warnings
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from itertools import pairwise, repeat
from typing import TYPE_CHECKING, Any

import pytest
from backports import zstd

from airflow_provider_oauth.exceptions import ApiError, InvalidClient, OAuthError, TokenRequestError
from airflow_provider_oauth.extract.error_rules import ErrorRule
from airflow_provider_oauth.extract.formats import CsvFormat, JsonLinesFormat
from airflow_provider_oauth.extract.paginators import (
    CursorPaginator,
    HeaderJsonPaginator,
    HeaderLinkPaginator,
    JsonLinkPaginator,
    OffsetPaginator,
    PageNumberPaginator,
)
from airflow_provider_oauth.operators.extract import OAuthExtractOperator
from tests.fake_clock import FakeClock
from tests.full_disk import full_disk
from tests.integration import list_server as faulty
from tests.integration.list_server import PAGES, ROWS, SIZE, Fault, ListServer, Reply, instead, list_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from tests.certificates import Certificates
    from tests.integration.recorder import Recorder

#: The parameters of the operator for each way to split the list.
NUMBER = PageNumberPaginator(size_param="size", size=SIZE)
STYLES: dict[str, dict[str, Any]] = {
    "number": {"paginator": NUMBER},
    "last": {"paginator": PageNumberPaginator(last="pages")},
    "total": {"paginator": PageNumberPaginator(size_param="size", size=SIZE, total="total")},
    "offset": {"paginator": OffsetPaginator(size=SIZE)},
    "cursor": {"paginator": CursorPaginator()},
    "search": {
        "paginator": CursorPaginator(param="paging.cursor", param_in="body"),
        "method": "POST",
        "json": {"query": "all"},
    },
    "link": {"paginator": JsonLinkPaginator()},
    "header-link": {"paginator": HeaderLinkPaginator()},
    "header-json": {"paginator": HeaderJsonPaginator()},
    "lines": {"paginator": HeaderLinkPaginator(), "response_format": JsonLinesFormat()},
    "csv": {"paginator": HeaderLinkPaginator(), "response_format": CsvFormat()},
}
JSON_STYLES = [style for style in STYLES if style not in ("lines", "csv")]
OLD = b'{"id": "of an earlier run"}\n'
CSV_ROWS = [b'%d,"Z\xc3\xbcrich, ""%d"""' % (n, n) for n in range(len(ROWS))]
CSV_LINES = [
    json.dumps({"id": str(n), "text": f'Zürich, "{n}"'}, ensure_ascii=False, separators=(",", ":"))
    for n in range(len(ROWS))
]


class Extract:
    """A task that reads the list of a server into a file.

    :param server: the server
    :param folder: the folder of the file
    """

    def __init__(self, server: ListServer, folder: Path) -> None:
        self.server = server
        self.path = folder / "rows.jsonl"
        folder.mkdir()

    def run(self, style: str, **parameters: Any) -> dict[str, Any]:
        """Run the task, and return its result."""
        self.server.rows = CSV_ROWS if style == "csv" else ROWS
        # A test sets the faults of pages as lists.
        self.server.faults = {page: iter(faults) for page, faults in self.server.faults.items()}
        values = {"endpoint": style, "path": str(self.path), **STYLES[style], **parameters}
        result: dict[str, Any] = OAuthExtractOperator(task_id="read", oauth_conn_id="faulty", **values).execute({})
        return result

    def is_complete(self, style: str, **parameters: Any) -> dict[str, Any]:
        """Run the task, check that the file has exactly the rows that the server sent, and return the result."""
        self.path.write_bytes(OLD)
        result = self.run(style, **parameters)
        rows = [line.encode() for line in CSV_LINES] if style == "csv" else self.server.rows
        assert self.path.read_bytes() == b"".join(row + b"\n" for row in rows)
        assert [each.name for each in self.path.parent.iterdir()] == [self.path.name]
        assert (result["rows"], result["bytes"]) == (len(rows), self.path.stat().st_size)
        return result

    def fails(self, style: str, match: str | None, error: type[OAuthError] = ApiError, **parameters: Any) -> OAuthError:
        """Run the task, check that it fails and that the folder is as before, and return the error."""
        self.path.write_bytes(OLD)
        with pytest.raises(error, match=match) as caught:
            self.run(style, **parameters)
        assert self.path.read_bytes() == OLD
        assert [each.name for each in self.path.parent.iterdir()] == [self.path.name]
        assert "'faulty'" in str(caught.value)
        assert "fake-" not in str(caught.value)
        return caught.value


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock()
    clock.install(monkeypatch)
    return clock


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def connect(define_connection: Callable[..., None], variables: dict[str, str]) -> Callable[..., None]:
    """Define the connection for a server."""

    def define(server: ListServer, **fields: Any) -> None:
        define_connection("faulty", host=f"{server.url}/api", grant_url=f"{server.url}/token", **fields)

    return define


@pytest.fixture
def server(clock: FakeClock, connect: Callable[..., None]) -> Iterator[ListServer]:
    with list_server() as running:
        connect(running)
        yield running


@pytest.fixture
def extract(server: ListServer, tmp_path: Path) -> Extract:
    return Extract(server, tmp_path / "files")


# --- without faults


@pytest.mark.parametrize("style", STYLES)
def test_each_way_to_split_a_list_results_in_the_same_file(extract: Extract, style: str) -> None:
    result = extract.is_complete(style)
    assert result["pages"] == PAGES
    assert extract.server.requests == list(range(1, PAGES + 1))
    assert "retries" not in result


# --- broken connections and compressed bodies

BROKEN = [
    faulty.reset_before_the_response,
    faulty.reset_in_the_body,
    faulty.reset_in_a_chunk,
    faulty.closed_in_the_body,
    faulty.closed_before_the_last_chunk,
    faulty.closed_in_compressed_body,
]


@pytest.mark.parametrize("fault", BROKEN)
@pytest.mark.parametrize("style", ["number", "offset", "search", "link", "header-link", "lines", "csv"])
def test_a_page_whose_connection_breaks_is_requested_again(extract: Extract, style: str, fault: Fault) -> None:
    extract.server.faults = {1: [fault], 2: [fault, fault], PAGES: [fault]}
    assert extract.is_complete(style)["retries"] == 4


@pytest.mark.parametrize("fault", BROKEN)
@pytest.mark.parametrize("style", ["cursor", "search", "lines"])
def test_a_page_whose_connection_breaks_every_time_is_an_error(extract: Extract, style: str, fault: Fault) -> None:
    extract.server.faults = {5: repeat(fault)}
    extract.fails(style, "retry_timeout permits 120 s")


@pytest.mark.parametrize("fault", BROKEN)
def test_a_post_that_must_not_be_repeated_is_an_error(extract: Extract, fault: Fault) -> None:
    extract.server.faults = {5: [fault]}
    extract.fails("search", "The POST request was not repeated.* set repeatable=True", repeatable=False)


@pytest.mark.parametrize("fault", BROKEN)
def test_a_connection_with_streamed_responses_reads_pages_as_a_whole(
    extract: Extract, connect: Callable[..., None], fault: Fault
) -> None:
    connect(extract.server, stream=True)
    extract.server.faults = {5: [fault]}
    assert extract.is_complete("cursor")["retries"] == 1


@pytest.mark.parametrize("fault", [faulty.compressed, faulty.gzip_file])
@pytest.mark.parametrize("style", ["cursor", "lines", "csv"])
def test_compressed_pages_are_read(extract: Extract, style: str, fault: Fault) -> None:
    extract.server.faults = {3: [fault], PAGES: [fault]}
    extract.is_complete(style)


@pytest.mark.parametrize("fault", [faulty.truncated_compression, faulty.truncated_gzip_file])
@pytest.mark.parametrize("style", ["number", "cursor", "lines", "csv"])
def test_truncated_gzip_is_an_error(extract: Extract, style: str, fault: Fault) -> None:
    extract.server.faults = {5: [fault]}
    extract.fails(style, "is not (JSON|valid gzip)")


# --- error statuses


@pytest.mark.parametrize("style", ["number", "cursor", "search", "lines"])
def test_500_on_every_tenth_page_is_an_error(extract: Extract, style: str) -> None:
    extract.server.faults = {page: [instead(500)] for page in range(10, PAGES, 10)}
    assert extract.fails(style, "500").status_code == 500
    assert extract.server.requests == list(range(1, 11))


@pytest.mark.parametrize("style", ["number", "cursor", "search", "lines"])
def test_500_on_every_tenth_page_is_repeated_if_a_rule_of_the_task_says_so(extract: Extract, style: str) -> None:
    extract.server.faults = {page: [instead(500)] * 2 for page in range(10, PAGES, 10)}
    assert extract.is_complete(style, error_rules=[ErrorRule("retry", status=500)])["retries"] == 6


@pytest.mark.parametrize("status", [502, 503, 504])
@pytest.mark.parametrize("style", ["number", "offset", "cursor", "search", "header-json", "csv"])
def test_temporary_errors_on_every_tenth_page_are_repeated(extract: Extract, style: str, status: int) -> None:
    extract.server.faults = {page: [instead(status, b"<html>")] for page in range(10, PAGES, 10)}
    assert extract.is_complete(style)["retries"] == 3


def test_an_error_that_stays_names_the_permitted_time(extract: Extract, clock: FakeClock) -> None:
    extract.server.faults = {20: repeat(instead(503))}
    extract.fails("cursor", "503.* retry_timeout permits 120 s")
    assert clock.seconds < 300


# --- tokens


@pytest.mark.parametrize("style", STYLES)
def test_a_token_that_is_revoked_is_renewed_once(extract: Extract, style: str) -> None:
    extract.server.faults = {7: [faulty.revoked]}
    extract.is_complete(style)
    assert extract.server.token_requests == 2
    assert extract.server.requests == [*range(1, 8), *range(7, PAGES + 1)]


@pytest.mark.parametrize("style", ["cursor", "search", "lines", "csv"])
@pytest.mark.parametrize("first", [instead(503), instead(429, Retry_After="20"), faulty.reset_in_the_body])
def test_a_token_that_is_revoked_during_a_wait_is_renewed(extract: Extract, style: str, first: Fault) -> None:
    extract.server.faults = {7: [first, faulty.revoked, faulty.reset_in_the_body]}
    extract.is_complete(style)
    assert extract.server.token_requests == 2


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(400, body=b'{"error": "unauthorized_client"}'), TokenRequestError),
        (Reply(401, body=b'{"error": "invalid_client"}'), InvalidClient),
        (Reply(503), TokenRequestError),
        (Reply(200, body=b"<html>"), OAuthError),
    ],
)
@pytest.mark.parametrize("style", ["number", "search", "lines"])
def test_a_token_endpoint_that_refuses_the_renewal_is_an_error(
    extract: Extract, style: str, reply: Reply, error: type[OAuthError]
) -> None:
    def refuse(handler: faulty.Handler, page: Reply) -> None:
        handler.server.token_error = reply
        faulty.revoked(handler, page)

    extract.server.faults = {7: [refuse]}
    extract.fails(style, None, error)


def test_an_api_that_refuses_every_token_is_an_error(extract: Extract) -> None:
    extract.server.faults = {7: repeat(instead(401))}
    assert extract.fails("cursor", "401").status_code == 401


# --- limits


#: Responses of APIs whose limit is exceeded: status, headers for the current time, and the wait in seconds.
LIMITS: dict[str, tuple[int, Callable[[FakeClock], dict[str, str]], float]] = {
    "seconds": (429, lambda _: {"Retry-After": "30"}, 30),
    "decimals": (429, lambda _: {"Retry-After": "30.5"}, 30.5),
    "half a second": (429, lambda _: {"Retry-After": "0.5"}, 0.5),
    "HTTP date": (429, lambda clock: {"Retry-After": format_datetime(in_40_s(clock), usegmt=True)}, 40),
    "epoch": (429, lambda clock: {"Retry-After": f"{in_40_s(clock).timestamp():.0f}"}, 40),
    "RateLimit": (429, lambda _: {"RateLimit": '"minute";r=0;t=12'}, 12),
    "RateLimit-Reset": (429, lambda _: {"RateLimit-Reset": "12", "RateLimit-Remaining": "0"}, 12),
    "X-RateLimit-Reset": (
        429,
        lambda clock: {"X-RateLimit-Reset": f"{in_40_s(clock).timestamp():.0f}", "X-RateLimit-Remaining": "0"},
        40,
    ),
    "GitHub": (
        403,
        lambda clock: {"X-RateLimit-Reset": f"{in_40_s(clock).timestamp():.0f}", "X-RateLimit-Remaining": "0"},
        40,
    ),
    "GitHub's secondary limit": (403, lambda _: {"Retry-After": "60", "X-RateLimit-Remaining": "17"}, 60),
    "503": (503, lambda _: {"Retry-After": "25"}, 25),
}


def in_40_s(clock: FakeClock) -> datetime:
    return (clock.now() + timedelta(seconds=40)).replace(microsecond=0)


def limited(clock: FakeClock, kind: str, waits: list[float]) -> Fault:
    """Return a fault that reports an exceeded limit, and adds the wait to ``waits``."""
    status, headers, _ = LIMITS[kind]

    def send(handler: faulty.Handler, _: Reply) -> None:
        clock.seconds = float(math.ceil(clock.seconds))  # dates have whole seconds
        waits.append(clock.seconds)
        faulty.whole(handler, Reply(status, headers(clock), b'{"message": "too many requests"}'))

    return send


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("style", ["number", "cursor", "search", "lines"])
def test_bursts_of_a_limit_are_waited_for_as_long_as_the_api_requires(
    extract: Extract, clock: FakeClock, style: str, kind: str
) -> None:
    at: list[float] = []
    fault = limited(clock, kind, at)
    extract.server.faults = {1: [fault], 10: [fault] * 3, 11: [fault], PAGES: [fault]}
    result = extract.is_complete(style)
    wait = LIMITS[kind][2]
    assert result["retries" if kind == "503" else "waits"] == 6
    assert result["waited"] == pytest.approx(6 * wait)
    assert all(later - earlier >= wait for earlier, later in pairwise(at))


@pytest.mark.parametrize("kind", ["seconds", "HTTP date", "GitHub"])
def test_a_limit_that_takes_longer_than_permitted_is_an_error_with_both_numbers(
    extract: Extract, clock: FakeClock, kind: str
) -> None:
    wait = LIMITS[kind][2]
    extract.server.faults = {10: [limited(clock, kind, [])]}
    extract.fails("cursor", f"requires a wait of {wait:.0f} s.* permits 20 s", rate_limit_timeout=20)


def test_a_limit_that_never_ends_is_an_error(extract: Extract, clock: FakeClock) -> None:
    extract.server.faults = {10: repeat(limited(clock, "seconds", []))}
    extract.fails("number", "429.* requires a wait of 30 s.* permits 300 s")
    assert clock.seconds < 400


def test_a_403_for_another_reason_is_an_error(extract: Extract) -> None:
    extract.server.faults = {10: [instead(403, X_RateLimit_Remaining="5")]}
    assert extract.fails("cursor", "403").status_code == 403


# --- pages that are not valid


@pytest.mark.parametrize(
    ("fault", "match"),
    [
        (faulty.changed(lambda body: body[:-1]), "is not JSON"),
        (faulty.changed(lambda body: body[: len(body) // 2]), "is not JSON"),
        (faulty.changed(lambda body: body + b" {}"), "is not JSON"),
        (faulty.changed(lambda body: body + b"\nWarning: out of memory"), "is not JSON"),
        (faulty.changed(lambda body: body.replace(b"1E400", b"NaN", 1)), "NaN or Infinity.* allow_nan=True"),
        (faulty.changed(lambda body: body.replace(b"Z\xc3\xbcrich", b"Z\xfcrich", 1)), "is not valid utf-8"),
        (instead(200, b"<html>Please log in</html>", Content_Type="text/html"), "is not JSON"),
        (instead(200, b'{"error": "backend unavailable"}'), "'error'|exactly one array"),
        (instead(200, b'{"items": null, "next": null}'), "exactly one array|null"),
        (instead(202), "status 202"),
        (instead(200, b'{"items": {"0": 1}, "next": null}'), "exactly one array"),
    ],
)
@pytest.mark.parametrize("style", ["number", "offset", "cursor", "search", "link"])
def test_a_page_that_is_not_a_list_is_an_error(extract: Extract, style: str, fault: Fault, match: str) -> None:
    extract.server.faults = {5: [fault]}
    extract.fails(style, match)


@pytest.mark.parametrize("body", [b"", b"   \n", b'{"items": []}'])
def test_a_page_without_rows_before_the_last_one_is_an_error_if_the_number_of_pages_is_known(
    extract: Extract, body: bytes
) -> None:
    extract.server.faults = {5: [instead(200, body)]}
    extract.fails("last", f"has no rows, but it is page 5 of {PAGES}")


@pytest.mark.parametrize("body", [b"", b"   \n", b'{"items": []}', b'{"items": [], "total": 95}'])
def test_a_page_without_rows_before_the_last_one_is_a_warning_if_the_total_is_known(
    extract: Extract, caplog: pytest.LogCaptureFixture, body: bytes
) -> None:
    """Some totals are estimates, so this is not an error."""
    extract.server.faults = {5: [instead(200, body)]}
    assert extract.run("total")["rows"] == 4 * SIZE
    assert f"{4 * SIZE} rows were read, but according to the API there are {len(ROWS)}" in caplog.text


@pytest.mark.parametrize(
    ("fault", "match"),
    [
        (faulty.changed(lambda body: body[:-5]), "line 3 is not JSON"),
        (faulty.changed(lambda body: body.replace(b"1E400", b"NaN", 1)), "line 1 contains NaN"),
        (faulty.changed(lambda body: body + b"<html>"), "line 4 is not JSON"),
        (instead(200, b"<html>Please log in</html>", Content_Type="text/html"), "line 1 is not JSON"),
    ],
)
def test_an_invalid_line_of_json_lines_is_an_error(extract: Extract, fault: Fault, match: str) -> None:
    extract.server.faults = {5: [fault]}
    extract.fails("lines", match)


@pytest.mark.parametrize(
    ("fault", "match"),
    [
        (faulty.changed(lambda body: body[:-5]), "cannot be read"),
        (faulty.changed(lambda body: body + b"95"), "has 1 cells"),
        (faulty.changed(lambda body: body + b"<html>"), "has 1 cells"),
        (instead(200, b"<html>Please log in</html>", Content_Type="text/html"), "is HTML"),
    ],
)
def test_invalid_csv_is_an_error(extract: Extract, fault: Fault, match: str) -> None:
    extract.server.faults = {5: [fault]}
    extract.fails("csv", match)


# --- pages in the wrong order

NUMBERED = ["number", "last", "total", "offset", "header-json"]


@pytest.mark.parametrize("style", NUMBERED)
def test_a_page_that_repeats_the_page_before_is_an_error(extract: Extract, style: str) -> None:
    extract.server.faults = {5: [faulty.other_page(4)]}
    extract.fails(style, "has the same rows as")


@pytest.mark.parametrize("style", NUMBERED)
def test_a_page_that_comes_one_too_early_is_an_error(extract: Extract, style: str) -> None:
    extract.server.faults = {2: [faulty.other_page(3)]}
    extract.fails(style, "has the same rows as")


@pytest.mark.parametrize("style", NUMBERED)
def test_a_page_that_repeats_an_earlier_page_is_an_error(extract: Extract, style: str) -> None:
    extract.server.faults = {20: [faulty.other_page(4)]}
    extract.fails(style, "has the same rows as")


@pytest.mark.parametrize("style", ["cursor", "search", "link", "header-link"])
def test_a_page_that_repeats_another_page_is_a_warning_with_a_cursor_or_link(
    extract: Extract, caplog: pytest.LogCaptureFixture, style: str
) -> None:
    """Nothing that the API sent is lost, so the file has these rows twice."""
    extract.server.faults = {20: [faulty.other_page(4)]}
    extract.run(style)
    sent = [*ROWS[: 19 * SIZE], *ROWS[3 * SIZE : 4 * SIZE], *ROWS[20 * SIZE :]]
    assert extract.path.read_bytes() == b"".join(row + b"\n" for row in sent)
    assert "has the same rows as" in caplog.text


def test_the_number_in_a_header_must_be_that_of_the_requested_page(extract: Extract) -> None:
    def page_7(handler: faulty.Handler, _: Reply) -> None:
        faulty.whole(handler, handler.reply("header-json", 7))

    extract.server.faults = {5: [page_7]}
    extract.fails("header-json", "is page 7")


@pytest.mark.parametrize(
    ("style", "old", "new"),
    [
        ("cursor", b"after-6", b"after-2"),
        ("cursor", b"after-6", b"after-5"),
        ("search", b"after-6", b"after-2"),
        ("link", b"page=6", b"page=2"),
        ("link", b"page=6", b"page=5"),
    ],
)
def test_a_next_page_that_was_read_already_is_an_error(extract: Extract, style: str, old: bytes, new: bytes) -> None:
    extract.server.faults = {5: [faulty.changed(lambda body: body.replace(old, new))]}
    extract.fails(style, "leads to a page that was already read")


def link_header(target: str) -> Fault:
    """Return a fault that sends the page with another Link header."""

    def send(handler: faulty.Handler, reply: Reply) -> None:
        faulty.whole(handler, replace(reply, headers={**reply.headers, "Link": f'<{target}>; rel="next"'}))

    return send


def test_a_link_header_to_a_page_that_was_read_already_is_an_error(extract: Extract) -> None:
    extract.server.faults = {5: [link_header(f"{extract.server.url}/api/header-link?page=2")]}
    extract.fails("header-link", "leads to a page that was already read")


def test_a_link_to_another_origin_is_refused(extract: Extract, elsewhere: Recorder) -> None:
    extract.server.faults = {5: [link_header(f"{elsewhere.url}/api/header-link?page=6")]}
    extract.fails("header-link", "is not part of the API")
    target = f'"{elsewhere.url}/api/link?page=6"'.encode()
    extract.server.faults = {5: [faulty.changed(lambda body: body[: body.rindex(b'"http')] + target + b"}")]}
    extract.fails("link", "is not part of the API")
    assert not elsewhere.requests


@pytest.mark.parametrize("style", ["link", "header-link"])
def test_an_http_link_to_the_same_host_is_requested_over_https(
    clock: FakeClock, connect: Callable[..., None], tls: Certificates, tmp_path: Path, style: str
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.server)
    with list_server(context) as server:
        connect(server, verify=tls.ca)
        insecure = server.url.replace("https:", "http:")
        server.faults = {
            number: [
                link_header(f"{insecure}/api/header-link?page={number + 1}")
                if style == "header-link"
                else faulty.changed(lambda body: body.replace(b"https:", b"http:"))
            ]
            for number in range(1, PAGES)
        }
        Extract(server, tmp_path / "files").is_complete(style)


# --- lists that change


@pytest.mark.parametrize("style", ["last", "cursor", "search", "link", "header-link", "header-json"])
def test_a_page_that_becomes_shorter_does_not_end_the_list(extract: Extract, style: str) -> None:
    gone = 4 * SIZE + 1
    rest = [*ROWS[4 * SIZE : gone], *ROWS[gone + 1 : 5 * SIZE]]
    extract.server.faults = {5: [shorter(rest)]}
    assert extract.run(style)["rows"] == len(ROWS) - 1
    assert extract.path.read_bytes() == b"".join(row + b"\n" for row in ROWS if row != ROWS[gone])


def shorter(rows: list[bytes]) -> Fault:
    return faulty.changed(lambda body: b'{"items": [' + b",".join(rows) + body[body.index(b"]") :])


def test_a_total_that_grows_or_shrinks_is_a_warning(extract: Extract, caplog: pytest.LogCaptureFixture) -> None:
    extract.server.total = lambda number: len(ROWS) + (number - 1)
    assert extract.is_complete("total")["total"] == len(ROWS) + PAGES
    assert f"{len(ROWS)} rows were read, but according to the API there are {len(ROWS) + PAGES}" in caplog.text
    caplog.clear()
    extract.server.total = lambda number: 10 if number > 2 else len(ROWS)
    assert extract.run("total")["total"] == 10
    assert f"{3 * SIZE} rows were read, but according to the API there are 10" not in caplog.text


@pytest.mark.parametrize("style", ["number", "offset"])
def test_a_short_page_is_the_last_one_without_a_total(extract: Extract, style: str) -> None:
    """This is the documented end of such lists, so set ``total`` or ``last`` if the API has them."""
    extract.server.faults = {5: [shorter(ROWS[4 * SIZE : 5 * SIZE - 1])]}
    assert extract.run(style)["rows"] == 5 * SIZE - 1


# --- killed workers


@pytest.mark.parametrize("moment", ["before the response", "in the response", "after the response"])
@pytest.mark.parametrize("number", [1, 2, 20, PAGES])
@pytest.mark.parametrize(("style", "suffix"), [("number", ""), ("search", ".zst"), ("lines", ".gz")])
def test_a_killed_worker_leaves_the_earlier_file_and_the_next_run_succeeds(
    extract: Extract, suffix: str, style: str, number: int, moment: str
) -> None:
    extract.path = extract.path.with_name(f"rows.jsonl{suffix}")
    extract.path.write_bytes(OLD)
    worker, has_pid = 0, threading.Event()

    def kill(handler: faulty.Handler, reply: Reply) -> None:
        has_pid.wait(60)
        if moment == "in the response":
            handler.wfile.write(reply.head(Content_Length=len(reply.body)) + reply.body[:20])
        elif moment == "after the response" and number < PAGES:
            faulty.whole(handler, reply)
        os.kill(worker, signal.SIGKILL)

    extract.server.faults = {number: iter([kill])}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns if a process with threads is forked
        worker = os.fork()
    if not worker:
        try:
            extract.run(style)
        finally:
            os._exit(0)
    has_pid.set()
    assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == -signal.SIGKILL
    assert extract.path.read_bytes() == OLD
    extract.server.faults = {}
    assert extract.run(style)["rows"] == len(ROWS)
    unpack = {"": bytes, ".gz": gzip.decompress, ".zst": zstd.decompress}[suffix]
    assert unpack(extract.path.read_bytes()) == b"".join(row + b"\n" for row in ROWS)


# --- storage


@pytest.mark.parametrize("style", ["cursor", "lines"])
@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_a_full_disk_is_an_error(extract: Extract, style: str, suffix: str) -> None:
    extract.path = extract.path.with_name(f"rows.jsonl{suffix}")
    with full_disk(4000):
        extract.fails(style, "cannot be stored", OAuthError)


def test_a_full_temporary_folder_is_an_error(extract: Extract, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.TemporaryFile", lambda: open("/dev/full", "w+b"))  # noqa: SIM115
    extract.fails("lines", "cannot be stored in the temporary folder.*No space left")
