"""Pages that are not valid: the task fails, and the file stays as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration import list_server as faulty
from tests.integration.list_server import PAGES, ROWS, SIZE, Fault, instead

if TYPE_CHECKING:
    from tests.integration.extract_faults.extracts import Extract


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
