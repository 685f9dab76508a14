"""Pages in the wrong order, links to wrong pages, and lists that change while they are read."""

from __future__ import annotations

import ssl
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.integration import list_server as faulty
from tests.integration.extract_faults.extracts import Extract
from tests.integration.list_server import PAGES, ROWS, SIZE, Fault, Reply, list_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.certificates import Certificates
    from tests.fake_clock import FakeClock
    from tests.integration.recorder import Recorder


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
