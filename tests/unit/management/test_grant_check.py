"""What *Test* says, and what it does not do: store, spend, tell."""

from __future__ import annotations

import base64
import logging
from datetime import UTC, datetime
from urllib.parse import parse_qs, quote

import pytest
import requests

from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.protocol import endpoint
from airflow_provider_oauth.runtime import token_sources
from tests.fake_clock import FakeClock

TOKEN_URL = "https://login.example.com/token"
SECRETS = {"password": "fake secret/1%", "user_password": "fake&password", "refresh_token": "fake-refresh+token="}


@pytest.fixture(autouse=True)
def variables(variables, monkeypatch):
    """Variables as a dict; a test of a connection must leave it empty."""
    monkeypatch.setattr(endpoint, "Clock", lambda: FakeClock(datetime.now(UTC)))
    yield variables
    assert variables == {}
    assert token_sources._sources == {}


@pytest.fixture
def test_of(define_connection, caplog):
    """Test a connection; no secret may be in what is said and logged."""
    caplog.set_level(logging.DEBUG)

    def run(conn_id="my_api", password=SECRETS["password"], **extra):
        define_connection(conn_id, host="https://api.example.com/v1", password=password, **extra)
        works, said = OAuthHook(conn_id).test_connection()
        for secret in (*SECRETS.values(), "fake-access-token"):
            for form in (secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode().rstrip("=")):
                assert form not in said + caplog.text
        return works, said

    return run


PASSWORD = {"grant_type": "password", "username": "fake-user", "user_password": SECRETS["user_password"]}
REFRESH = {"grant_type": "refresh_token", "refresh_token": SECRETS["refresh_token"]}


# --- it works


def test_success_names_the_grant_the_scope_granted_and_asked_and_the_lifetime(test_of, requests_mock):
    answer = {"access_token": "fake-access-token", "expires_in": 1800, "scope": "read"}
    requests_mock.post(TOKEN_URL, json=answer)
    works, said = test_of(scope="read write")
    assert works
    assert "client_credentials grant" in said
    assert "1800 s" in said
    assert "requested: read write" in said
    assert "granted: read." in said
    assert "Not granted: write." in said


def test_a_scope_that_the_answer_leaves_out_is_the_one_asked_for(test_of, requests_mock):
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-access-token", "expires_in": 60})
    works, said = test_of(scope="read")
    assert works
    assert "Scope requested: read; granted: the same." in said
    assert "Not granted" not in said


def test_no_scope_asked_and_none_told_reads_like_a_sentence(test_of, requests_mock):
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-access-token", "expires_in": 60})
    assert "no scope in particular" in test_of()[1]


def test_an_empty_scope_grants_nothing_of_what_was_asked(test_of, requests_mock):
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-access-token", "expires_in": 60, "scope": ""})
    assert "Not granted: read." in test_of(scope="read")[1]


def test_the_password_grant_is_tried_with_the_password(test_of, requests_mock):
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-access-token", "expires_in": 60})
    works, said = test_of(**PASSWORD)
    assert works
    assert "password grant works" in said
    assert parse_qs(requests_mock.last_request.text)["password"] == [SECRETS["user_password"]]


def test_nothing_but_the_token_endpoint_is_asked_and_only_once(test_of, requests_mock):
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-access-token", "expires_in": 60})
    test_of()
    assert [(sent.method, sent.url) for sent in requests_mock.request_history] == [("POST", TOKEN_URL)]


def test_what_was_ignored_in_the_connection_is_listed(test_of, requests_mock):
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-access-token", "expires_in": 60})
    works, said = test_of(unheard_of=1)
    assert works
    assert "'unheard_of'" in said


def test_a_random_conn_id_works_as_airflows_button_has_it(test_of, requests_mock):
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-access-token", "expires_in": 60})
    assert test_of(conn_id="x7d3kq9w")[0]
    assert not test_of(conn_id="x7d3kq9v", **REFRESH)[0]


def test_each_test_asks_anew(test_of, requests_mock):
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-access-token", "expires_in": 3600})
    test_of()
    test_of()
    assert requests_mock.call_count == 2


@pytest.mark.parametrize("extra", [{}, REFRESH], ids=["client_credentials", "refresh_token"])
def test_a_server_known_by_its_issuer_is_named_by_where_it_was_asked(test_of, requests_mock, extra):
    place = "https://login.example.com/.well-known/openid-configuration"
    metadata = {"issuer": "https://login.example.com", "token_endpoint": "https://tokens.example.com/t"}
    requests_mock.get(place, json=metadata)
    answer = {"access_token": "fake-access-token", "expires_in": 60}
    refusal = {"status_code": 400, "json": {"error": "invalid_grant"}}
    requests_mock.post("https://tokens.example.com/t", **(refusal if extra else {"json": answer}))
    works, said = test_of(grant_url=None, issuer="https://login.example.com", **extra)
    assert works
    assert "token endpoint at tokens.example.com" in said
    assert [request.method for request in requests_mock.request_history] == ["GET", "POST"]


# --- it does not work


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
def test_a_refusal_quotes_the_server_and_names_the_fields_to_look_at(test_of, requests_mock, error, fields):
    answer = {"error": error, "error_description": "The reason, in the server's words"}
    requests_mock.post(TOKEN_URL, status_code=400, json=answer)
    works, said = test_of()
    assert not works
    assert error in said
    assert "The reason, in the server's words" in said
    assert "400" in said
    for field in fields:
        assert field in said
    assert requests_mock.call_count == 1


def test_a_wrong_password_names_its_fields_and_is_tried_once(test_of, requests_mock):
    requests_mock.post(TOKEN_URL, status_code=400, json={"error": "invalid_grant"})
    works, said = test_of(**PASSWORD)
    assert not works
    assert "User name" in said
    assert "User password" in said
    assert requests_mock.call_count == 1


@pytest.mark.parametrize(
    "answer",
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
def test_whatever_comes_back_it_is_an_answer_in_words(test_of, requests_mock, answer, grant):
    requests_mock.post(TOKEN_URL, **answer)
    works, said = test_of(**grant)
    assert not works
    assert "token endpoint" in said
    assert "<" not in said


@pytest.mark.parametrize(
    "extra",
    [{"grant_type": "implicit"}, {"grant_url": ""}, {"scop": "read"}, {"body_format": "xml"}, {"leeway": "soon"}],
)
def test_a_connection_that_makes_no_sense_is_an_answer_too(test_of, requests_mock, extra):
    works, said = test_of(**extra)
    assert not works
    assert next(iter(extra)) in said
    assert requests_mock.call_count == 0


@pytest.mark.parametrize(
    ("extra", "field"),
    [
        ({"verify": "/fake/absent.pem"}, "verify"),
        ({"verify": "/etc/hostname"}, "verify"),
        ({"cert": "/fake/absent.pem"}, "cert"),
        ({"cert": "/etc/hostname"}, "cert"),
        ({"proxies": "http://[bad"}, "proxies"),
        ({"grant_url": "https://169.254.169.254/token"}, "Token URL"),
        ({"grant_url": "https://2852039166/token"}, "Token URL"),
        ({"proxies": "http://169.254.169.254", "grant_url": "https://login.example.com"}, "proxies"),
    ],
)
def test_what_makes_a_request_impossible_is_named_by_its_field(test_of, requests_mock, extra, field):
    works, said = test_of(**extra)
    assert not works
    assert said.startswith(f"{field} ")
    assert not requests_mock.called


def test_an_error_of_the_server_that_echoes_the_request_shows_no_secret(test_of, requests_mock):
    def echo(request, context):
        context.status_code = 400
        said = f"got {request.headers.get('Authorization')} and {request.text}"
        return {"error": "invalid_request", "error_description": said}

    requests_mock.post(TOKEN_URL, json=echo)
    works, said = test_of(**PASSWORD)
    assert not works
    # Basic with id and secret is a secret as well as its parts: anybody can decode it.
    assert requests_mock.last_request.headers["Authorization"].removeprefix("Basic ") not in said


def test_a_page_that_echoes_the_secret_as_html_shows_it_no_more_than_as_text(test_of, requests_mock):
    page = "<html><p>Unknown user: fake-user, password: fake&amp;password</p></html>"
    requests_mock.post(TOKEN_URL, status_code=400, text=page)
    works, said = test_of(**PASSWORD)
    assert not works
    assert "fake&amp;password" not in said


# --- refresh tokens are not spent


def made_up(requests_mock):
    sent = parse_qs(requests_mock.last_request.text)
    assert sent["grant_type"] == ["refresh_token"]
    return sent["refresh_token"][0]


@pytest.mark.parametrize(
    "extra", [REFRESH, REFRESH | {"grant_type": "authorization_code"}, {"grant_type": "authorization_code"}]
)
def test_the_real_refresh_token_is_never_sent(test_of, requests_mock, extra):
    requests_mock.post(TOKEN_URL, status_code=400, json={"error": "invalid_grant"})
    test_of(**extra)
    assert requests_mock.call_count == 1
    assert SECRETS["refresh_token"] not in requests_mock.last_request.text
    assert quote(SECRETS["refresh_token"], safe="") not in requests_mock.last_request.text
    assert made_up(requests_mock) != SECRETS["refresh_token"]


def test_another_one_is_made_up_every_time(test_of, requests_mock):
    requests_mock.post(TOKEN_URL, status_code=400, json={"error": "invalid_grant"})
    test_of(**REFRESH)
    first = made_up(requests_mock)
    test_of(**REFRESH)
    assert made_up(requests_mock) != first


@pytest.mark.parametrize(
    "answer",
    [
        {"error": "invalid_grant", "error_description": "unknown token"},
        # league/oauth2-server
        {"error": "invalid_request", "message": "…", "hint": "Cannot decrypt the refresh token"},
        {"status": "BAD_REFRESH_TOKEN"},
    ],
)
def test_an_invalid_grant_proves_the_client_and_not_the_refresh_token(test_of, requests_mock, answer):
    requests_mock.post(TOKEN_URL, status_code=400, json=answer)
    works, said = test_of(**REFRESH)
    assert works
    assert "So Token URL, Client ID, Client secret and Client authentication are correct." in said
    assert said.endswith("The refresh token was not tested, because it can be used only once.")


def test_no_refresh_token_and_no_secret_are_mentioned_that_the_connection_does_not_have(test_of, requests_mock):
    requests_mock.post(TOKEN_URL, status_code=400, json={"error": "invalid_grant"})
    works, said = test_of(grant_type="authorization_code", client_auth="none", password=None)
    assert works
    assert "So Token URL, Client ID and Client authentication are correct." in said
    assert "Client secret" not in said
    assert "The connection has no secret, so its tokens are stored unencrypted" in said
    assert "refresh token was not tested" not in said
    assert said.endswith("whether a user has authorized the connection: see Admin → OAuth connections.")


def test_a_known_refusal_of_the_client_is_an_error(test_of, requests_mock):
    requests_mock.post(TOKEN_URL, status_code=401, json={"error": "invalid_client"})
    works, said = test_of(**REFRESH)
    assert not works
    assert "Client secret" in said


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
def test_an_unrecognized_refusal_of_a_made_up_token_is_not_called_a_failure(test_of, requests_mock, status, options):
    requests_mock.post(TOKEN_URL, status_code=status, **options)
    works, said = test_of(**REFRESH)
    assert works is True  # Airflow knows no third result
    assert f"refused a made-up refresh token (status {status}" in said
    assert "cannot distinguish a rejected client from a rejected token" in said
    assert "does not show whether Token URL, Client ID, Client secret and Client authentication are correct" in said
    assert "accepted the client" not in said


@pytest.mark.parametrize("error", ["unsupported_grant_type", "unauthorized_client"])
def test_a_server_without_refresh_tokens_is_not_called_a_failure(test_of, requests_mock, error):
    requests_mock.post(TOKEN_URL, status_code=400, json={"error": error})
    works, said = test_of(grant_type="authorization_code")
    assert works is True
    assert f"does not let this client use refresh tokens (status 400, {error})" in said
    assert "only if the server's tokens never expire" in said
    assert not test_of(**REFRESH)[0]


def test_a_server_that_takes_a_made_up_token_is_not_to_be_trusted(test_of, requests_mock):
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-access-token", "expires_in": 60})
    works, said = test_of(**REFRESH)
    assert not works
    assert "Token URL" in said


def test_a_refresh_test_goes_to_the_refresh_url_and_names_it(test_of, requests_mock):
    other = requests_mock.post("https://refresh.example.com/t", status_code=400, json={"error": "invalid_grant"})
    works, said = test_of(refresh_url="https://refresh.example.com/t", **REFRESH)
    assert works
    assert other.called
    assert "token endpoint at refresh.example.com accepted the client" in said
    assert "So Refresh URL, Client ID" in said
    assert "Token URL" not in said


# --- scopes


@pytest.mark.parametrize("granted", ["read,write", "read, write", "write read", "read\twrite"])
def test_scopes_are_granted_however_the_server_separates_them(test_of, requests_mock, granted):
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-access-token", "expires_in": 60, "scope": granted})
    assert "Not granted" not in test_of(scope="read write")[1]
    assert "Not granted: admin." in test_of(scope="admin read write")[1]
