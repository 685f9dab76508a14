"""Connections that break and compressed responses while a list is read."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING

import pytest

from airflow_provider_oauth.exceptions import ConfigurationError
from tests.integration import list_server as faulty
from tests.integration.extract_faults.extracts import STYLES, Extract
from tests.integration.list_server import PAGES, Fault

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("style", STYLES)
def test_each_way_to_split_a_list_results_in_the_same_file(extract: Extract, style: str) -> None:
    result = extract.is_complete(style)
    assert result["pages"] == PAGES
    assert extract.requests == list(range(1, PAGES + 1))
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
@pytest.mark.parametrize("extract", [1], indirect=True)
def test_a_post_that_must_not_be_repeated_is_an_error(extract: Extract, fault: Fault) -> None:
    extract.server.faults = {5: [fault]}
    extract.fails("search", "The POST request was not repeated.* set repeatable=True", repeatable=False)


@pytest.mark.parametrize("extract", [8], indirect=True)
def test_requests_that_must_not_be_repeated_are_not_sent_ahead(extract: Extract) -> None:
    extract.fails("search", "concurrency is 8.* With repeatable=False", ConfigurationError, repeatable=False)
    assert not extract.server.requests


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
