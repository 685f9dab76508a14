"""Assertions and tokens from files at the token endpoint: one per request, masked, and never quoted."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import jwt
import pytest
import requests

from airflow_provider_oauth.exceptions import ConfigurationError, InvalidClient, OAuthError
from airflow_provider_oauth.protocol.assertions import CLIENT_VALIDITY, MAX_MASKED
from airflow_provider_oauth.protocol.endpoint import TokenEndpoint
from tests.connections import TOKEN_URL, oauth_config
from tests.fake_clock import START, FakeClock
from tests.keys import ec_key, pem

if TYPE_CHECKING:
    from pathlib import Path

    from requests_mock import Mocker

GOOD = {"access_token": "fake-token", "token_type": "Bearer", "expires_in": 60}
SECRET = "fake-secret-" + "x" * 30
METHODS: dict[str, dict[str, Any]] = {
    "private_key_jwt": {"client_auth": "private_key_jwt", "client_secret": None, "private_key": pem(ec_key())},
    "client_secret_jwt": {"client_auth": "client_secret_jwt", "client_secret": SECRET},
    "jwt_bearer": {"grant_type": "jwt_bearer", "client_auth": "none", "private_key": pem(ec_key())},
}
FIELDS = {"private_key_jwt": "client_assertion", "client_secret_jwt": "client_assertion", "jwt_bearer": "assertion"}


class Masked:
    """Records what is masked and until when, and how many requests had been sent by then."""

    def __init__(self, mocker: Mocker) -> None:
        self.until: dict[str, datetime | None] = {}
        self.sent: list[int] = []
        self._mocker = mocker

    def __call__(self, secret: str, until: datetime | None) -> None:
        self.until[secret] = until
        self.sent.append(self._mocker.call_count)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def masked(requests_mock: Mocker) -> Masked:
    return Masked(requests_mock)


def endpoint(clock: FakeClock, masked: Masked, **values: Any) -> TokenEndpoint:
    return TokenEndpoint(oauth_config(**values), clock, mask=masked)


def sent(requests_mock: Mocker, name: str) -> list[str]:
    """Return the values of a field in all requests."""
    return [parse_qs(request.body.decode())[name][0] for request in requests_mock.request_history]


def claims(assertion: str) -> dict[str, Any]:
    return jwt.decode(assertion, options={"verify_signature": False})


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "failure", [{"status_code": 503}, {"exc": requests.ReadTimeout("slow")}, {"exc": requests.ConnectionError("lost")}]
)
def test_every_attempt_sends_a_new_assertion(
    clock: FakeClock, masked: Masked, requests_mock: Mocker, method: str, failure: dict[str, Any]
) -> None:
    requests_mock.post(TOKEN_URL, [failure, failure, {"json": GOOD}])

    assert endpoint(clock, masked, **METHODS[method]).grant().access_token == "fake-token"

    found = [claims(each) for each in sent(requests_mock, FIELDS[method])]
    assert len({each["jti"] for each in found}) == 3
    assert [each["iat"] for each in found] == sorted(each["iat"] for each in found)
    backdated = timedelta(seconds=5 if method == "jwt_bearer" else 30)
    assert found[-1]["iat"] == int((clock.now() - backdated).timestamp())


def test_a_refresh_that_is_repeated_after_a_lost_response_sends_a_new_assertion(
    clock: FakeClock, masked: Masked, requests_mock: Mocker
) -> None:
    requests_mock.post(TOKEN_URL, [{"exc": requests.ReadTimeout("lost")}, {"json": GOOD}])

    endpoint(clock, masked, grant_type="refresh_token", **METHODS["private_key_jwt"]).refresh("fake-refresh")

    assert sent(requests_mock, "refresh_token") == ["fake-refresh", "fake-refresh"]
    first, second = (claims(each)["jti"] for each in sent(requests_mock, "client_assertion"))
    assert first != second
    assert len(first) >= 22  # at least 128 random bits


@pytest.mark.parametrize("method", METHODS)
def test_an_assertion_is_masked_before_it_is_sent_until_it_expires(
    clock: FakeClock, masked: Masked, requests_mock: Mocker, method: str
) -> None:
    requests_mock.post(TOKEN_URL, json=GOOD)

    endpoint(clock, masked, **METHODS[method]).grant()

    (assertion,) = sent(requests_mock, FIELDS[method])
    assert masked.sent == [0]
    assert masked.until == {assertion: START + timedelta(seconds=claims(assertion)["exp"] - START.timestamp())}
    assert masked.until[assertion] <= START + CLIENT_VALIDITY


def test_code_exchange_and_revocation_authenticate_with_assertions_too(
    clock: FakeClock, masked: Masked, requests_mock: Mocker
) -> None:
    requests_mock.post(TOKEN_URL, json=GOOD)
    requests_mock.post("https://login.example.com/revoke", status_code=200)
    settings = {**METHODS["private_key_jwt"], "grant_type": "authorization_code"}
    server = endpoint(clock, masked, revoke_url="https://login.example.com/revoke", **settings)

    server.exchange_code("fake-code", "https://a.example/back", "fake-verifier")
    server.revoke("fake-token", "access_token")

    found = sent(requests_mock, "client_assertion")
    assert [claims(each)["aud"] for each in found] == [TOKEN_URL] * 2
    assert set(masked.until) == set(found)


def test_a_connection_without_assertions_masks_nothing(clock: FakeClock, masked: Masked, requests_mock: Mocker) -> None:
    requests_mock.post(TOKEN_URL, json=GOOD)

    endpoint(clock, masked).grant()

    assert masked.until == {}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("part", [0, 1, 2, None, "payload"])
def test_a_quotation_of_the_server_shows_no_part_of_the_assertion(
    clock: FakeClock, masked: Masked, requests_mock: Mocker, method: str, part: int | str | None
) -> None:
    quoted: list[str] = []

    def refuse(request: Any, context: Any) -> dict[str, str]:
        context.status_code = 400
        assertion = parse_qs(request.body.decode())[FIELDS[method]][0]
        quoted.append(assertion if part in (None, "payload") else assertion.split(".")[int(part or 0)])
        if part == "payload":
            quoted[0] = assertion.split(".")[1][:40]
        return {"error": "invalid_client", "error_description": f"bad JWT {quoted[0]} (code 7)"}

    requests_mock.post(TOKEN_URL, json=refuse)

    with pytest.raises(InvalidClient) as raised:
        endpoint(clock, masked, **METHODS[method]).grant()

    assert quoted[0] not in str(raised.value)
    assert "'bad JWT *** (code 7)'" in str(raised.value)


# --- files


@pytest.mark.parametrize("newline", [b"", b"\n", b"\r\n", b"\n\n"])
def test_the_subject_token_is_read_from_the_file_again_for_every_attempt(
    clock: FakeClock, masked: Masked, requests_mock: Mocker, tmp_path: Path, newline: bytes
) -> None:
    file = tmp_path / "subject"
    file.write_bytes(b"fake-subject-token-1" + newline)
    clock.on_sleep = lambda: file.write_bytes(b"fake-subject-token-2" + newline)
    requests_mock.post(TOKEN_URL, [{"status_code": 503}, {"json": GOOD}])
    settings = {"grant_type": "token_exchange", "subject_token_file": str(file), "file_folder": str(tmp_path)}

    endpoint(clock, masked, **settings).grant()

    assert sent(requests_mock, "subject_token") == ["fake-subject-token-1", "fake-subject-token-2"]
    assert list(masked.until) == ["fake-subject-token-1", "fake-subject-token-2"]
    assert masked.until["fake-subject-token-1"] == START + MAX_MASKED


@pytest.mark.parametrize("settings", [{"client_auth": "private_key_jwt"}, {"grant_type": "jwt_bearer"}])
def test_an_assertion_is_read_from_the_file_again_for_every_attempt(
    clock: FakeClock, masked: Masked, requests_mock: Mocker, tmp_path: Path, settings: dict[str, Any]
) -> None:
    file = tmp_path / "assertion"
    file.write_text("fake-assertion-1\n")
    clock.on_sleep = lambda: file.write_text("fake-assertion-2\n")
    requests_mock.post(TOKEN_URL, [{"exc": requests.ReadTimeout("lost")}, {"json": GOOD}])

    endpoint(clock, masked, assertion_file=str(file), file_folder=str(tmp_path), **settings).grant()

    name = "assertion" if "grant_type" in settings else "client_assertion"
    assert sent(requests_mock, name) == ["fake-assertion-1", "fake-assertion-2"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"fake token",
        b"fake-1\nfake-2",
        b" fake",
        b"fake\t",
        b"fake\x00",
        "fäke".encode(),
        b"\xef\xbb\xbffake",
    ],
)
def test_a_file_that_has_no_token_is_refused_without_quoting_it(
    clock: FakeClock, masked: Masked, requests_mock: Mocker, tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "subject"
    file.write_bytes(content)
    settings = {"grant_type": "token_exchange", "subject_token_file": str(file), "file_folder": str(tmp_path)}

    with pytest.raises(ConfigurationError) as raised:
        endpoint(clock, masked, **settings).grant()

    assert str(raised.value) == (
        "Connection 'shop': Subject token file (subject_token_file) is a file whose content is not a token: one line "
        "of visible ASCII characters. Check the path, and the system that writes the file."
    )
    assert requests_mock.call_count == 0
    assert not raised.value.request_sent


def test_a_missing_file_is_an_error_before_anything_is_sent(
    clock: FakeClock, masked: Masked, requests_mock: Mocker, tmp_path: Path
) -> None:
    settings = {"client_auth": "private_key_jwt", "assertion_file": str(tmp_path / "a"), "file_folder": str(tmp_path)}

    with pytest.raises(ConfigurationError, match=r"'shop': Assertion file \(assertion_file\)") as raised:
        endpoint(clock, masked, **settings).grant()

    assert requests_mock.call_count == 0
    assert not raised.value.request_sent


def test_a_file_that_vanishes_after_a_request_was_sent_does_not_hide_that(
    clock: FakeClock, masked: Masked, requests_mock: Mocker, tmp_path: Path
) -> None:
    file = tmp_path / "assertion"
    file.write_text("fake-assertion-1")
    clock.on_sleep = file.unlink
    requests_mock.post(TOKEN_URL, exc=requests.ReadTimeout("lost"))
    settings = {"client_auth": "private_key_jwt", "assertion_file": str(file), "file_folder": str(tmp_path)}

    with pytest.raises(OAuthError) as raised:
        endpoint(clock, masked, grant_type="refresh_token", **settings).refresh("fake-refresh")

    assert raised.value.request_sent


@pytest.mark.parametrize(
    "settings",
    [
        {"grant_type": "token_exchange", "subject_token_file": "/absent"},
        {"grant_type": "jwt_bearer", "assertion_file": "/absent"},
        {"grant_type": "jwt_bearer", "private_key_file": "/absent"},
    ],
)
def test_refreshes_and_revocations_do_not_need_the_file_of_the_grant(
    clock: FakeClock, masked: Masked, requests_mock: Mocker, settings: dict[str, Any]
) -> None:
    requests_mock.post(TOKEN_URL, json=GOOD)
    requests_mock.post("https://login.example.com/revoke", status_code=200)
    server = endpoint(clock, masked, revoke_url="https://login.example.com/revoke", **settings)

    assert server.refresh("fake-refresh").access_token == "fake-token"
    assert server.revoke("fake-token", "access_token")
    with pytest.raises(ConfigurationError):
        server.grant()


def test_an_assertion_that_is_quoted_in_base64_is_not_shown(
    clock: FakeClock, masked: Masked, requests_mock: Mocker
) -> None:
    def refuse(request: Any, context: Any) -> dict[str, str]:
        context.status_code = 401
        assertion = parse_qs(request.body.decode())["client_assertion"][0]
        return {"error": "invalid_client", "error_description": base64.b64encode(assertion.encode()).decode()}

    requests_mock.post(TOKEN_URL, json=refuse)

    with pytest.raises(InvalidClient, match=r"The server's message: '\*\*\*'"):
        endpoint(clock, masked, **METHODS["private_key_jwt"]).grant()
