from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
import requests
from airflow.sdk.exceptions import AirflowTaskTimeout
from requests_mock import ANY

from airflow_provider_oauth.exceptions import (
    ConfigurationError,
    InvalidClient,
    InvalidGrant,
    OAuthError,
    TokenRequestError,
    TokenResponseError,
)
from airflow_provider_oauth.protocol import endpoint as endpoint_module
from airflow_provider_oauth.protocol.config import TransportOptions
from airflow_provider_oauth.protocol.endpoint import EXCHANGE_TIMEOUT, TokenEndpoint
from airflow_provider_oauth.protocol.http_transport import MAX_RESPONSE_SIZE, HttpTransport
from airflow_provider_oauth.protocol.token_requests import grant_request
from tests.connections import oauth_config
from tests.fake_clock import START, FakeClock
from tests.reports import Reports

if TYPE_CHECKING:
    from pathlib import Path

    from requests_mock import Mocker

    from tests.certificates import Certificates


URL = "https://auth.test/token"
GOOD = {"access_token": "fake-token", "token_type": "Bearer", "expires_in": 60}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def endpoint(clock: FakeClock, **values: Any) -> TokenEndpoint:
    values = {"client_id": "fake-id", "client_secret": "fake-secret", "token_url": URL, **values}
    return TokenEndpoint(oauth_config(conn_id="api", base_url="https://api.test", **values), clock)


def test_a_grant_sends_one_post_and_the_lifetime_counts_from_the_request(
    clock: FakeClock, requests_mock: Mocker
) -> None:
    requests_mock.post(URL, json=GOOD)
    token = endpoint(clock).grant("read")
    assert token.expires_at == START + timedelta(seconds=60)
    (request,) = requests_mock.request_history
    assert request.body == b"grant_type=client_credentials&scope=read"
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.headers["User-Agent"].startswith("airflow-provider-oauth/")


def test_a_refresh_sends_the_refresh_token_to_the_refresh_url(clock: FakeClock, requests_mock: Mocker) -> None:
    requests_mock.post("https://auth.test/refresh", json=GOOD)
    endpoint(clock, refresh_url="https://auth.test/refresh").refresh("fake-refresh")
    assert requests_mock.last_request.body == b"grant_type=refresh_token&refresh_token=fake-refresh"


@pytest.mark.parametrize(
    "failure",
    [
        {"status_code": 503},
        {"status_code": 500, "text": "<h1>oops</h1>"},
        {"status_code": 429},
        {"exc": requests.ConnectionError("refused")},
        {"exc": requests.ReadTimeout("slow")},
        {"exc": requests.exceptions.ChunkedEncodingError("cut off")},
    ],
)
def test_temporary_errors_are_retried_with_backoff(
    clock: FakeClock, requests_mock: Mocker, failure: dict[str, Any]
) -> None:
    requests_mock.post(URL, [failure, failure, {"json": GOOD}])
    assert endpoint(clock).grant().access_token == "fake-token"
    assert len(clock.slept) == 2
    assert all(0 < pause <= 5 for pause in clock.slept)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 418])
def test_other_client_errors_are_not_retried(clock: FakeClock, requests_mock: Mocker, status: int) -> None:
    requests_mock.post(URL, status_code=status, json={"error": "invalid_client"})
    with pytest.raises(InvalidClient) as caught:
        endpoint(clock).grant()
    assert requests_mock.call_count == 1
    assert caught.value.status_code == status


def test_retries_end_within_the_exchange_timeout(clock: FakeClock, requests_mock: Mocker) -> None:
    requests_mock.post(URL, status_code=503)
    with pytest.raises(TokenRequestError) as caught:
        endpoint(clock).grant()
    assert caught.value.retryable
    assert clock.seconds < EXCHANGE_TIMEOUT
    assert requests_mock.call_count > 3


def test_without_retry_a_request_is_sent_once(clock: FakeClock, requests_mock: Mocker) -> None:
    requests_mock.post(URL, status_code=503)
    with pytest.raises(TokenRequestError):
        endpoint(clock).grant(retry=False)
    assert requests_mock.call_count == 1
    assert clock.slept == []


def test_retry_after_in_seconds_is_respected(clock: FakeClock, requests_mock: Mocker) -> None:
    requests_mock.post(URL, [{"status_code": 429, "headers": {"Retry-After": "7"}}, {"json": GOOD}])
    endpoint(clock).grant()
    assert clock.slept[0] >= 7


def test_retry_after_as_a_date_is_respected(clock: FakeClock, requests_mock: Mocker) -> None:
    header = {"Retry-After": "Thu, 01 Jan 2026 00:00:09 GMT"}
    requests_mock.post(URL, [{"status_code": 503, "headers": header}, {"json": GOOD}])
    endpoint(clock).grant()
    assert clock.slept[0] >= 9


def test_retry_after_beyond_the_exchange_timeout_ends_the_retries(clock: FakeClock, requests_mock: Mocker) -> None:
    requests_mock.post(URL, status_code=429, headers={"Retry-After": "3600"})
    with pytest.raises(TokenRequestError) as caught:
        endpoint(clock).grant()
    assert clock.slept == []
    assert caught.value.retry_after == 3600


def test_a_refresh_is_sent_again_with_the_same_token_if_its_response_is_lost(
    clock: FakeClock, requests_mock: Mocker
) -> None:
    requests_mock.post(
        URL, [{"exc": requests.ReadTimeout("lost")}, {"status_code": 400, "json": {"error": "invalid_grant"}}]
    )
    with pytest.raises(InvalidGrant):
        endpoint(clock).refresh("fake-refresh")
    bodies = {request.body for request in requests_mock.request_history}
    assert bodies == {b"grant_type=refresh_token&refresh_token=fake-refresh"}
    assert requests_mock.call_count == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_the_error_has_its_target(
    clock: FakeClock, requests_mock: Mocker, status: int
) -> None:
    requests_mock.post(URL, status_code=status, headers={"Location": "https://evil.test/token"})
    elsewhere = requests_mock.post("https://evil.test/token", json=GOOD)
    text = r"redirected to https://evil\.test/token\. If that is the token endpoint, set Token URL to it\. "
    with pytest.raises(TokenResponseError, match=text):
        endpoint(clock).grant()
    assert not elsewhere.called


def test_a_netrc_entry_does_not_replace_the_clients_credentials(
    clock: FakeClock, requests_mock: Mocker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine auth.test login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    requests_mock.post(URL, json=GOOD)
    endpoint(clock).grant()
    expected = "Basic " + base64.b64encode(b"fake-id:fake-secret").decode()
    assert requests_mock.last_request.headers["Authorization"] == expected


def test_the_connections_transport_options_are_used(clock: FakeClock, requests_mock: Mocker, tls: Certificates) -> None:
    requests_mock.post(URL, json=GOOD)
    transport = TransportOptions(verify=tls.ca, cert=tls.client, proxies={"https": "http://proxy.test:3128"})
    endpoint(clock, transport=transport).grant()
    request = requests_mock.last_request
    assert (request.verify, request.cert, dict(request.proxies)) == (
        tls.ca,
        tls.client,
        {"https": "http://proxy.test:3128"},
    )


def test_each_attempt_has_the_rest_of_the_exchange_timeout(clock: FakeClock, requests_mock: Mocker) -> None:
    requests_mock.post(URL, [{"status_code": 429, "headers": {"Retry-After": "15"}}, {"json": GOOD}])
    endpoint(clock).grant()
    first, second = (request.timeout for request in requests_mock.request_history)
    assert first == (5.0, EXCHANGE_TIMEOUT)
    assert second[1] <= 5


def test_nothing_is_sent_after_the_deadline(clock: FakeClock, requests_mock: Mocker) -> None:
    requests_mock.post(URL, json=GOOD)
    config = oauth_config(conn_id="api", base_url="https://api.test", token_url=URL, client_auth="none")
    clock.seconds = 20.0
    with pytest.raises(TokenRequestError, match="'api'.*no connection was established in time") as caught:
        HttpTransport(config, clock).send(grant_request(config, now=START), 20.0)
    assert caught.value.retryable
    assert not requests_mock.called


def test_a_response_that_is_too_large_is_rejected(clock: FakeClock, requests_mock: Mocker) -> None:
    requests_mock.post(URL, text="x" * (MAX_RESPONSE_SIZE + 1))
    with pytest.raises(TokenResponseError, match="'api'.*bytes"):
        endpoint(clock).grant()


def test_the_error_for_an_unreachable_server_has_its_url_and_no_secret(clock: FakeClock, requests_mock: Mocker) -> None:
    reason = ConnectionError("refused while sending fake-secret")
    requests_mock.post(URL, exc=requests.ConnectionError(reason))
    with pytest.raises(TokenRequestError) as caught:
        endpoint(clock).grant(retry=False)
    text = str(caught.value)
    assert "'api'" in text
    assert "https://auth.test/token" in text
    assert "fake-secret" not in text
    assert "fake-secret" not in repr(caught.value.__dict__)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "value", ["fake-secret\r\nX-Evil: 1", "fake-secret-\u0142", " fake-secret", "fake-\ud800-secret"]
)
def test_a_header_that_cannot_be_sent_is_an_error_without_its_value(
    clock: FakeClock, requests_mock: Mocker, value: str
) -> None:
    requests_mock.post(URL, json=GOOD)
    with pytest.raises(ConfigurationError, match=r"'api': Token request headers \(grant_headers\)") as caught:
        endpoint(clock, grant_headers={"X-Key": value}).grant()
    assert "secret" not in str(caught.value)
    assert caught.value.request_sent is False
    assert not requests_mock.called


LOST = {"exc": requests.ReadTimeout("lost")}
NOT_CONNECTED = {"exc": requests.ConnectTimeout("timed out")}


@pytest.mark.parametrize(
    ("attempts", "sent"),
    [
        ([NOT_CONNECTED], False),
        ([LOST], True),
        ([LOST, NOT_CONNECTED], True),
        ([{"status_code": 503}, NOT_CONNECTED], True),
        ([{"status_code": 400, "json": {"error": "invalid_grant"}}], True),
        ([{"text": "no token"}], True),
    ],
)
def test_an_error_reports_whether_any_attempt_may_have_reached_the_server(
    clock: FakeClock, requests_mock: Mocker, attempts: list[Any], sent: bool
) -> None:
    requests_mock.post(URL, attempts)
    with pytest.raises(OAuthError) as caught:
        endpoint(clock).refresh("fake-refresh")
    assert caught.value.request_sent is sent


def test_a_metadata_request_does_not_count_as_a_sent_token_request(clock: FakeClock, requests_mock: Mocker) -> None:
    requests_mock.get(ANY, status_code=500)
    with pytest.raises(TokenRequestError) as caught:
        endpoint(clock, token_url=None, issuer="https://auth.test").refresh("fake-refresh", retry=False)
    assert caught.value.request_sent is False


@pytest.mark.parametrize("failure", [RecursionError, ValueError])
def test_metadata_that_cannot_be_read_is_an_error_that_names_the_issuer(
    clock: FakeClock, requests_mock: Mocker, monkeypatch: pytest.MonkeyPatch, failure: type[Exception]
) -> None:
    def with_discovered_endpoints(*_: Any) -> NoReturn:
        raise failure("fake-secret")

    monkeypatch.setattr(endpoint_module, "with_discovered_endpoints", with_discovered_endpoints)
    by_issuer = endpoint(clock, token_url=None, issuer="https://auth.test")
    for call in (by_issuer.grant, lambda: by_issuer.with_discovered_endpoints("token_url")):
        with pytest.raises(
            TokenResponseError, match=rf"'api'.*metadata endpoint.*Issuer.*{failure.__name__}"
        ) as caught:
            call()
        assert caught.value.request_sent is False
        assert "fake-secret" not in str(caught.value)


def test_a_request_that_cannot_be_encoded_is_an_error_without_its_values(
    clock: FakeClock, requests_mock: Mocker
) -> None:
    requests_mock.post(URL, json=GOOD)
    with pytest.raises(ConfigurationError, match=r"'api'.*token endpoint.*UnicodeEncodeError") as caught:
        endpoint(clock).refresh("fake-\ud800")
    assert caught.value.request_sent is False
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert "fake" not in str(caught.value)
    assert not requests_mock.called


@pytest.mark.parametrize("failure", [RecursionError, ValueError, OSError, ArithmeticError])
def test_a_response_that_cannot_be_read_is_an_error(
    clock: FakeClock, requests_mock: Mocker, monkeypatch: pytest.MonkeyPatch, failure: type[Exception]
) -> None:
    def parse(*_: Any) -> NoReturn:
        raise failure("fake-secret")

    monkeypatch.setattr(endpoint_module, "parse_token_response", parse)
    requests_mock.post(URL, json=GOOD)
    with pytest.raises(TokenResponseError, match=rf"'api'.*Token URL.*{failure.__name__}") as caught:
        endpoint(clock).grant()
    assert caught.value.request_sent is True
    assert "fake-secret" not in str(caught.value)


def test_an_exception_that_ends_the_task_passes_unchanged(
    clock: FakeClock, requests_mock: Mocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    class TaskTimeout(BaseException):
        pass

    def parse(*_: Any) -> NoReturn:
        raise TaskTimeout

    monkeypatch.setattr(endpoint_module, "parse_token_response", parse)
    requests_mock.post(URL, json=GOOD)
    with pytest.raises(TaskTimeout):
        endpoint(clock).grant()


@pytest.mark.parametrize("error", [AirflowTaskTimeout, KeyboardInterrupt])
def test_request_sent_is_true_if_a_task_is_stopped_during_the_request(
    clock: FakeClock, requests_mock: Mocker, error: type[BaseException]
) -> None:
    requests_mock.post(URL, exc=error("stop"))
    with pytest.raises(error) as caught:
        endpoint(clock).grant()
    assert caught.value.request_sent


def test_request_sent_is_false_if_a_task_is_stopped_before_the_token_request(
    clock: FakeClock, requests_mock: Mocker
) -> None:
    requests_mock.get(ANY, exc=AirflowTaskTimeout("stop"))
    with pytest.raises(AirflowTaskTimeout) as caught:
        endpoint(clock, token_url=None, issuer="https://auth.test").grant()
    assert not caught.value.request_sent


# --- metrics


def reported_by(clock: FakeClock, **values: Any) -> tuple[TokenEndpoint, Reports]:
    """Return an endpoint, and what it reports."""
    subject, reports = endpoint(clock, **values), Reports()
    subject._report = reports
    return subject, reports


def test_each_attempt_of_a_token_request_is_reported(clock: FakeClock, requests_mock: Mocker) -> None:
    requests_mock.post(URL, [{"status_code": 503}, {"exc": requests.ConnectionError}, {"json": GOOD}])
    subject, reports = reported_by(clock)
    subject.grant()
    assert reports.all == [("oauth.token_requests", outcome, 1) for outcome in ("failed", "failed", "success")]


def test_a_refused_token_request_is_reported(clock: FakeClock, requests_mock: Mocker) -> None:
    requests_mock.post(URL, status_code=400, json={"error": "invalid_grant"})
    subject, reports = reported_by(clock)
    with pytest.raises(InvalidGrant):
        subject.refresh("fake-refresh")
    assert reports.all == [("oauth.token_requests", "refused", 1)]


def test_a_response_without_a_token_is_reported_as_failed(clock: FakeClock, requests_mock: Mocker) -> None:
    requests_mock.post(URL, json={})
    subject, reports = reported_by(clock)
    with pytest.raises(TokenResponseError):
        subject.grant(retry=False)
    assert reports.all == [("oauth.token_requests", "failed", 1)]


def test_discovery_and_revocation_are_not_reported(clock: FakeClock, requests_mock: Mocker) -> None:
    requests_mock.post("https://auth.test/revoke")
    subject, reports = reported_by(clock, revoke_url="https://auth.test/revoke")
    subject.revoke("fake-token", "access_token")
    assert reports.all == []
