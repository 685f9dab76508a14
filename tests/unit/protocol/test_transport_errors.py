"""Errors for servers that refuse the client's certificate."""

from __future__ import annotations

import ssl

import aiohttp
import pytest
import requests
import urllib3

from airflow_provider_oauth.api.errors import is_broken_connection
from airflow_provider_oauth.exceptions import TokenRequestError
from airflow_provider_oauth.protocol.token_requests import Request
from airflow_provider_oauth.protocol.transport_errors import Route, is_certificate_refused, no_response
from tests.connections import TOKEN_URL, oauth_config

REFUSALS = [
    "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    "SSLV3_ALERT_BAD_CERTIFICATE",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
    "SSLV3_ALERT_CERTIFICATE_REVOKED",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
    "TLSV1_ALERT_UNKNOWN_CA",
    "TLSV1_ALERT_ACCESS_DENIED",
]
OTHERS = ["SSLV3_ALERT_HANDSHAKE_FAILURE", "TLSV1_ALERT_INTERNAL_ERROR", "UNEXPECTED_EOF_WHILE_READING"]


def alert(reason: str | None) -> requests.exceptions.SSLError:
    """Return an exception of requests with an exception of the TLS library inside."""
    cause = ssl.SSLError(1, f"[SSL: {reason}] made up")
    cause.reason = reason  # type: ignore[assignment]
    return requests.exceptions.SSLError(urllib3.exceptions.MaxRetryError(None, "/token", cause))  # type: ignore[arg-type]


@pytest.mark.parametrize("reason", REFUSALS)
def test_a_refused_certificate_is_not_retried_and_counts_as_not_sent(reason: str) -> None:
    error = no_response(oauth_config(), Request(url=TOKEN_URL, headers={}), Route(), alert(reason), sent=True)
    assert isinstance(error, TokenRequestError)
    assert (error.retryable, error.request_sent) == (False, False)
    assert (
        f"SSLError (the server did not accept the client certificate: {reason}). Check cert (client certificate), and"
    ) in str(error)


@pytest.mark.parametrize("reason", OTHERS)
def test_other_alerts_are_retried_and_may_have_been_sent(reason: str) -> None:
    error = no_response(oauth_config(), Request(url=TOKEN_URL, headers={}), Route(), alert(reason), sent=True)
    assert isinstance(error, TokenRequestError)
    assert (error.retryable, error.request_sent) == (True, True)
    assert f"SSLError ({reason}). Check Token URL, verify and cert, and" in str(error)


@pytest.mark.parametrize("reason", [*REFUSALS, *OTHERS])
def test_requests_to_the_api_are_not_repeated_after_a_refused_certificate(reason: str) -> None:
    assert is_broken_connection(alert(reason)) is (reason in OTHERS)
    async_error = aiohttp.ClientOSError()
    async_error.__cause__ = alert(reason).args[0].reason
    assert is_broken_connection(async_error) is (reason in OTHERS)


def test_an_error_of_the_tls_library_without_a_reason_is_not_a_refusal() -> None:
    assert not is_certificate_refused(alert(None))
