"""Error statuses and refused tokens while a list is read."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING

import pytest

from airflow_provider_oauth.exceptions import InvalidClient, OAuthError, TokenRequestError
from airflow_provider_oauth.extract.error_rules import ErrorRule
from tests.integration import list_server as faulty
from tests.integration.extract_faults.extracts import STYLES, Extract
from tests.integration.list_server import PAGES, Fault, Reply, instead

if TYPE_CHECKING:
    from tests.fake_clock import FakeClock


@pytest.mark.parametrize("style", ["number", "cursor", "search", "lines"])
def test_500_on_every_tenth_page_is_an_error(extract: Extract, style: str) -> None:
    extract.server.faults = {page: [instead(500)] for page in range(10, PAGES, 10)}
    assert extract.fails(style, "500").status_code == 500
    assert extract.requests[:10] == list(range(1, 11))
    assert len(extract.server.requests) < 10 + extract.concurrency


@pytest.mark.parametrize("style", ["number", "cursor", "search", "lines"])
def test_500_on_every_tenth_page_is_repeated_if_the_task_has_a_rule_for_it(extract: Extract, style: str) -> None:
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
    assert extract.requests == [*range(1, 8), *range(7, PAGES + 1)]


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
