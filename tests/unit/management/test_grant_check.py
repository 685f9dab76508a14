"""*Test*: its result, and that it stores nothing, uses no refresh token and reveals no secret."""

from __future__ import annotations

import base64
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote

import pytest
import requests

from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.protocol import endpoint
from airflow_provider_oauth.runtime import token_sources
from tests.fake_clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from requests_mock import Mocker


TOKEN_URL = "https://login.example.com/token"
SECRETS = {"password": "fake secret/1%", "user_password": "fake&password", "refresh_token": "fake-refresh+token="}


@pytest.fixture(autouse=True)
def variables(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Variables as a dict, which a test of a connection leaves empty."""
    monkeypatch.setattr(endpoint, "Clock", lambda: FakeClock(datetime.now(UTC)))
    yield variables
    assert variables == {}
    assert token_sources._sources == {}


@pytest.fixture
def run_test(
    define_connection: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> Callable[..., tuple[bool, str]]:
    """Test a connection; neither the result nor the log may contain a secret."""
    caplog.set_level(logging.DEBUG)

    def run(conn_id: str = "my_api", password: str | None = SECRETS["password"], **extra: Any) -> tuple[bool, str]:
        define_connection(conn_id, host="https://api.example.com/v1", password=password, **extra)
        works, text = OAuthHook(conn_id).test_connection()
        for secret in (*SECRETS.values(), "fake-access-token"):
            for form in (secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode().rstrip("=")):
                assert form not in text + caplog.text
        return works, text

    return run


PASSWORD = {"grant_type": "password", "username": "fake-user", "user_password": SECRETS["user_password"]}
REFRESH = {"grant_type": "refresh_token", "refresh_token": SECRETS["refresh_token"]}


# --- the connection works


def test_success_names_the_grant_the_lifetime_and_the_requested_and_granted_scope(
    run_test: Callable[..., tuple[bool, str]], requests_mock: Mocker
) -> None:
    response = {"access_token": "fake-access-token", "expires_in": 1800, "scope": "read"}
    requests_mock.post(TOKEN_URL, json=response)
    works, text = run_test(scope="read write")
    assert works
    assert "client_credentials grant" in text
    assert "1800 s" in text
    assert "Requested scope: read write; granted: read." in text
    assert "The server did not grant these scopes: write." in text


def test_a_scope_that_the_response_omits_was_granted_as_requested(
    run_test: Callable[..., tuple[bool, str]], requests_mock: Mocker
) -> None:
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-access-token", "expires_in": 60})
    works, text = run_test(scope="read")
    assert works
    assert "Requested scope: read; granted: as requested." in text
    assert "did not grant" not in text


def test_a_connection_without_a_scope_is_reported_as_such(
    run_test: Callable[..., tuple[bool, str]], requests_mock: Mocker
) -> None:
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-access-token", "expires_in": 60})
    assert "Requested scope: the server's default; granted: as requested." in run_test()[1]


def test_an_empty_scope_in_the_response_grants_nothing(
    run_test: Callable[..., tuple[bool, str]], requests_mock: Mocker
) -> None:
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-access-token", "expires_in": 60, "scope": ""})
    assert "The server did not grant these scopes: read." in run_test(scope="read")[1]


def test_the_password_grant_sends_the_password(
    run_test: Callable[..., tuple[bool, str]], requests_mock: Mocker
) -> None:
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-access-token", "expires_in": 60})
    works, text = run_test(**PASSWORD)
    assert works
    assert "password grant works" in text
    assert parse_qs(requests_mock.last_request.text)["password"] == [SECRETS["user_password"]]


def test_one_request_is_sent_to_the_token_endpoint_and_none_elsewhere(
    run_test: Callable[..., tuple[bool, str]], requests_mock: Mocker
) -> None:
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-access-token", "expires_in": 60})
    run_test()
    assert [(sent.method, sent.url) for sent in requests_mock.request_history] == [("POST", TOKEN_URL)]


def test_ignored_fields_are_listed(run_test: Callable[..., tuple[bool, str]], requests_mock: Mocker) -> None:
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-access-token", "expires_in": 60})
    works, text = run_test(unheard_of=1)
    assert works
    assert "'unheard_of'" in text


def test_a_random_conn_id_works_as_with_airflows_button(
    run_test: Callable[..., tuple[bool, str]], requests_mock: Mocker
) -> None:
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-access-token", "expires_in": 60})
    assert run_test(conn_id="x7d3kq9w")[0]
    assert not run_test(conn_id="x7d3kq9v", **REFRESH)[0]


def test_each_test_sends_a_request(run_test: Callable[..., tuple[bool, str]], requests_mock: Mocker) -> None:
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-access-token", "expires_in": 3600})
    run_test()
    run_test()
    assert requests_mock.call_count == 2


@pytest.mark.parametrize("extra", [{}, REFRESH], ids=["client_credentials", "refresh_token"])
def test_the_result_names_the_host_that_the_issuers_metadata_names(
    run_test: Callable[..., tuple[bool, str]], requests_mock: Mocker, extra: dict[str, Any]
) -> None:
    url = "https://login.example.com/.well-known/openid-configuration"
    metadata = {"issuer": "https://login.example.com", "token_endpoint": "https://tokens.example.com/t"}
    requests_mock.get(url, json=metadata)
    response = {"access_token": "fake-access-token", "expires_in": 60}
    refusal = {"status_code": 400, "json": {"error": "invalid_grant"}}
    requests_mock.post("https://tokens.example.com/t", **(refusal if extra else {"json": response}))
    works, text = run_test(grant_url=None, issuer="https://login.example.com", **extra)
    assert works
    assert "token endpoint at tokens.example.com" in text
    assert [request.method for request in requests_mock.request_history] == ["GET", "POST"]


# --- the connection does not work


@pytest.mark.parametrize(
    ("error", "fields"),
    [
        ("invalid_client", ["Client ID", "Client secret", "Client authentication", "client_secret_basic"]),
        ("unauthorized_client", ["Grant type"]),
        ("unsupported_grant_type", ["Grant type", "Token URL", "Token request body"]),
        ("invalid_scope", ["Scope"]),
        ("invalid_request", ["Token request body", "Client authentication", "Token request parameters"]),
    ],
)
def test_a_refusal_quotes_the_server_and_names_the_fields_to_check(
    run_test: Callable[..., tuple[bool, str]], requests_mock: Mocker, error: str, fields: list[str]
) -> None:
    response = {"error": error, "error_description": "The reason, in the server's words"}
    requests_mock.post(TOKEN_URL, status_code=400, json=response)
    works, text = run_test()
    assert not works
    assert error in text
    assert "The reason, in the server's words" in text
    assert "400" in text
    for field in fields:
        assert field in text
    assert requests_mock.call_count == 1


def test_a_wrong_password_is_sent_once_and_the_result_names_its_fields(
    run_test: Callable[..., tuple[bool, str]], requests_mock: Mocker
) -> None:
    requests_mock.post(TOKEN_URL, status_code=400, json={"error": "invalid_grant"})
    works, text = run_test(**PASSWORD)
    assert not works
    assert "User name" in text
    assert "User password" in text
    assert requests_mock.call_count == 1


@pytest.mark.parametrize(
    "response",
    [
        {"status_code": 200, "text": "<html><body>Please log in</body></html>"},
        {"status_code": 200, "json": {"message": "no token today"}},
        {"status_code": 200, "text": ""},
        {"status_code": 404, "text": "<h1>Not found</h1>"},
        {"status_code": 405, "text": ""},
        {"status_code": 302, "headers": {"Location": "https://login.example.com/signin"}},
        {"status_code": 500, "text": "broken"},
        {"exc": requests.ConnectTimeout},
        {"exc": requests.exceptions.SSLError},
        {"exc": requests.exceptions.InvalidURL},
    ],
)
@pytest.mark.parametrize("grant", [{}, REFRESH], ids=["client_credentials", "refresh_token"])
def test_every_invalid_response_gives_a_readable_result(
    run_test: Callable[..., tuple[bool, str]], requests_mock: Mocker, response: dict[str, Any], grant: dict[str, Any]
) -> None:
    requests_mock.post(TOKEN_URL, **response)
    works, text = run_test(**grant)
    assert not works
    assert "token endpoint" in text
    assert "<" not in text


@pytest.mark.parametrize(
    "extra",
    [{"grant_type": "implicit"}, {"grant_url": ""}, {"scop": "read"}, {"body_format": "xml"}, {"leeway": "soon"}],
)
def test_an_invalid_connection_gives_a_result_that_names_the_field(
    run_test: Callable[..., tuple[bool, str]], requests_mock: Mocker, extra: dict[str, str]
) -> None:
    works, text = run_test(**extra)
    assert not works
    assert next(iter(extra)) in text
    assert requests_mock.call_count == 0


@pytest.mark.parametrize(
    ("extra", "field"),
    [
        ({"verify": "/fake/absent.pem"}, "verify"),
        ({"verify": "/etc/hostname"}, "verify"),
        ({"cert": "/fake/absent.pem"}, "cert"),
        ({"cert": "/etc/hostname"}, "cert"),
        ({"proxies": "http://[bad"}, "proxies"),
        ({"grant_url": "https://169.254.169.254/token"}, "Token URL (grant_url)"),
        ({"grant_url": "https://2852039166/token"}, "Token URL (grant_url)"),
        ({"proxies": "http://169.254.169.254", "grant_url": "https://login.example.com"}, "proxies"),
    ],
)
def test_a_field_that_makes_requests_impossible_is_named(
    run_test: Callable[..., tuple[bool, str]], requests_mock: Mocker, extra: dict[str, str], field: str
) -> None:
    works, text = run_test(**extra)
    assert not works
    assert text.startswith(f"{field} ")
    assert not requests_mock.called


def test_an_error_that_echoes_the_request_reveals_no_secret(
    run_test: Callable[..., tuple[bool, str]], requests_mock: Mocker
) -> None:
    def echo(request: Any, context: Any) -> dict[str, str]:
        context.status_code = 400
        text = f"got {request.headers.get('Authorization')} and {request.text}"
        return {"error": "invalid_request", "error_description": text}

    requests_mock.post(TOKEN_URL, json=echo)
    works, text = run_test(**PASSWORD)
    assert not works
    # The value of Basic authentication can be decoded, so it is a secret too.
    assert requests_mock.last_request.headers["Authorization"].removeprefix("Basic ") not in text


def test_an_html_page_that_echoes_a_secret_is_not_quoted(
    run_test: Callable[..., tuple[bool, str]], requests_mock: Mocker
) -> None:
    page = "<html><p>Unknown user: fake-user, password: fake&amp;password</p></html>"
    requests_mock.post(TOKEN_URL, status_code=400, text=page)
    works, text = run_test(**PASSWORD)
    assert not works
    assert "fake&amp;password" not in text


# --- refresh tokens are not used


def made_up(requests_mock: Mocker) -> str:
    sent = parse_qs(requests_mock.last_request.text)
    assert sent["grant_type"] == ["refresh_token"]
    return sent["refresh_token"][0]


@pytest.mark.parametrize(
    "extra", [REFRESH, REFRESH | {"grant_type": "authorization_code"}, {"grant_type": "authorization_code"}]
)
def test_the_real_refresh_token_is_never_sent(
    run_test: Callable[..., tuple[bool, str]], requests_mock: Mocker, extra: dict[str, Any]
) -> None:
    requests_mock.post(TOKEN_URL, status_code=400, json={"error": "invalid_grant"})
    run_test(**extra)
    assert requests_mock.call_count == 1
    assert SECRETS["refresh_token"] not in requests_mock.last_request.text
    assert quote(SECRETS["refresh_token"], safe="") not in requests_mock.last_request.text
    assert made_up(requests_mock) != SECRETS["refresh_token"]


def test_each_test_sends_another_made_up_refresh_token(
    run_test: Callable[..., tuple[bool, str]], requests_mock: Mocker
) -> None:
    requests_mock.post(TOKEN_URL, status_code=400, json={"error": "invalid_grant"})
    run_test(**REFRESH)
    first = made_up(requests_mock)
    run_test(**REFRESH)
    assert made_up(requests_mock) != first


@pytest.mark.parametrize(
    "response",
    [
        {"error": "invalid_grant", "error_description": "unknown token"},
        # league/oauth2-server
        {"error": "invalid_request", "message": "…", "hint": "Cannot decrypt the refresh token"},
        {"status": "BAD_REFRESH_TOKEN"},
    ],
)
def test_invalid_grant_shows_that_the_client_is_accepted(
    run_test: Callable[..., tuple[bool, str]], requests_mock: Mocker, response: dict[str, str]
) -> None:
    requests_mock.post(TOKEN_URL, status_code=400, json=response)
    works, text = run_test(**REFRESH)
    assert works
    assert "accepted the client. As expected, it refused only the made-up refresh token (" in text
    assert "). Token URL, Client ID, Client secret and Client authentication are correct." in text
    assert text.endswith("The refresh token was not tested, because the server may accept it only once.")


def test_the_result_mentions_no_secret_and_no_refresh_token_if_there_are_none(
    run_test: Callable[..., tuple[bool, str]], requests_mock: Mocker
) -> None:
    requests_mock.post(TOKEN_URL, status_code=400, json={"error": "invalid_grant"})
    works, text = run_test(grant_type="authorization_code", client_auth="none", password=None)
    assert works
    assert "). Token URL, Client ID and Client authentication are correct." in text
    assert "Client secret" not in text
    assert "The connection has no secret, so its tokens are stored unencrypted" in text
    assert "refresh token was not tested" not in text
    assert text.endswith("whether a user has authorized the connection. See Admin → OAuth connections.")


def test_a_recognized_refusal_of_the_client_is_a_failure(
    run_test: Callable[..., tuple[bool, str]], requests_mock: Mocker
) -> None:
    requests_mock.post(TOKEN_URL, status_code=401, json={"error": "invalid_client"})
    works, text = run_test(**REFRESH)
    assert not works
    assert "Client secret" in text


@pytest.mark.parametrize(
    ("status", "options"),
    [
        (401, {"json": {}}),
        (400, {"json": {"error": "x"}}),
        (400, {"text": ""}),
        (403, {"text": ""}),
        (200, {"json": {"ok": False, "error": "x"}}),
    ],
)
def test_an_unrecognized_refusal_of_a_made_up_token_is_not_reported_as_a_failure(
    run_test: Callable[..., tuple[bool, str]], requests_mock: Mocker, status: int, options: dict[str, Any]
) -> None:
    requests_mock.post(TOKEN_URL, status_code=status, **options)
    works, text = run_test(**REFRESH)
    assert works is True  # Airflow has no third result
    assert f"refused a made-up refresh token (status {status}" in text
    assert "does not show whether it rejected the client or the token" in text
    assert "so Token URL, Client ID, Client secret and Client authentication may be wrong." in text
    assert "accepted the client" not in text


@pytest.mark.parametrize("error", ["unsupported_grant_type", "unauthorized_client"])
def test_a_server_without_refresh_tokens_is_not_reported_as_a_failure(
    run_test: Callable[..., tuple[bool, str]], requests_mock: Mocker, error: str
) -> None:
    requests_mock.post(TOKEN_URL, status_code=400, json={"error": error})
    works, text = run_test(grant_type="authorization_code")
    assert works is True
    assert f"does not allow this client to use refresh tokens (status 400, {error})" in text
    assert "only if the server's tokens never expire" in text
    assert not run_test(**REFRESH)[0]


def test_a_server_that_accepts_a_made_up_token_is_reported(
    run_test: Callable[..., tuple[bool, str]], requests_mock: Mocker
) -> None:
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-access-token", "expires_in": 60})
    works, text = run_test(**REFRESH)
    assert not works
    assert text.endswith("Check Token URL: it may be the URL of a mock server.")


def test_the_made_up_token_is_sent_to_the_refresh_url_and_the_result_names_it(
    run_test: Callable[..., tuple[bool, str]], requests_mock: Mocker
) -> None:
    other = requests_mock.post("https://refresh.example.com/t", status_code=400, json={"error": "invalid_grant"})
    works, text = run_test(refresh_url="https://refresh.example.com/t", **REFRESH)
    assert works
    assert other.called
    assert "token endpoint at refresh.example.com accepted the client" in text
    assert "Refresh URL, Client ID" in text
    assert "Token URL" not in text


# --- scopes


@pytest.mark.parametrize("granted", ["read,write", "read, write", "write read", "read\twrite"])
def test_granted_scopes_are_recognized_with_any_separator(
    run_test: Callable[..., tuple[bool, str]], requests_mock: Mocker, granted: str
) -> None:
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-access-token", "expires_in": 60, "scope": granted})
    assert "did not grant" not in run_test(scope="read write")[1]
    assert "The server did not grant these scopes: admin." in run_test(scope="admin read write")[1]
