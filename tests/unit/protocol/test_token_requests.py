from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.protocol.token_requests import (
    TokenRequest,
    code_request,
    grant_request,
    refresh_request,
    revocation_request,
)
from tests.connections import oauth_config

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig
from tests.fake_clock import START

CLIENT_ID = "id:/+%&é "
CLIENT_SECRET = "fake:/+%&é %3D"
USER = "üser@example.com"
USER_PASSWORD = "fake&pass=word%3D+ "
REFRESH_TOKEN = "fake/refresh+token=="

# Literal values, not computed by the tested code.
ENCODED_BASIC = "Basic aWQlM0ElMkYlMkIlMjUlMjYlQzMlQTkrOmZha2UlM0ElMkYlMkIlMjUlMjYlQzMlQTkrJTI1M0Q="
RAW_BASIC = "Basic aWQ6LyslJsOpIDpmYWtlOi8rJSbDqSAlM0Q="

AUTHORIZATION = {
    "client_secret_basic": ENCODED_BASIC,
    "client_secret_basic_raw": RAW_BASIC,
    "client_secret_post": None,
    "none": None,
}
GRANTS = ("client_credentials", "password", "refresh_token")

FORM_GRANT = {
    "client_credentials": b"grant_type=client_credentials&scope=read+wr%3Aite",
    "password": (
        b"grant_type=password&username=%C3%BCser%40example.com&password=fake%26pass%3Dword%253D%2B+&scope=read+wr%3Aite"
    ),
    "refresh_token": b"grant_type=refresh_token&refresh_token=fake%2Frefresh%2Btoken%3D%3D&scope=read+wr%3Aite",
}
FORM_CLIENT = {
    "client_secret_basic": b"",
    "client_secret_basic_raw": b"",
    "client_secret_post": (b"&client_id=id%3A%2F%2B%25%26%C3%A9+&client_secret=fake%3A%2F%2B%25%26%C3%A9+%253D"),
    "none": b"&client_id=id%3A%2F%2B%25%26%C3%A9+",
}
JSON_GRANT = {
    "client_credentials": '{"grant_type":"client_credentials","scope":"read wr:ite"',
    "password": (
        '{"grant_type":"password","username":"üser@example.com","password":"fake&pass=word%3D+ ","scope":"read wr:ite"'
    ),
    "refresh_token": '{"grant_type":"refresh_token","refresh_token":"fake/refresh+token==","scope":"read wr:ite"',
}
JSON_CLIENT = {
    "client_secret_basic": "}",
    "client_secret_basic_raw": "}",
    "client_secret_post": ',"client_id":"id:/+%&é ","client_secret":"fake:/+%&é %3D"}',
    "none": ',"client_id":"id:/+%&é "}',
}
PARTS_GRANT = {
    "client_credentials": [("grant_type", "client_credentials"), ("scope", "read wr:ite")],
    "password": [
        ("grant_type", "password"),
        ("username", USER),
        ("password", USER_PASSWORD),
        ("scope", "read wr:ite"),
    ],
    "refresh_token": [("grant_type", "refresh_token"), ("refresh_token", REFRESH_TOKEN), ("scope", "read wr:ite")],
}
PARTS_CLIENT = {
    "client_secret_basic": [],
    "client_secret_basic_raw": [],
    "client_secret_post": [("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)],
    "none": [("client_id", CLIENT_ID)],
}


config = partial(
    oauth_config, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, username=USER, user_password=USER_PASSWORD
)


def plain(**changes: Any) -> OAuthConfig:
    """Return a connection whose requests contain only the grant and a simple client."""
    return config(**({"client_id": "app", "client_secret": "fake-secret"} | changes))


def request_for(grant: str, **changes: Any) -> TokenRequest:
    settings = config(grant_type=grant, scope="read wr:ite", **changes)
    return (
        refresh_request(settings, REFRESH_TOKEN, now=START)
        if grant == "refresh_token"
        else grant_request(settings, now=START)
    )


def multipart(request: TokenRequest, parts: list[tuple[str, str]]) -> bytes:
    """Return the body for ``parts`` (RFC 7578), with the boundary in the header."""
    announced = re.fullmatch(
        r"multipart/form-data; boundary=([0-9A-Za-z'()+_,./:=?-]{1,70})", request.headers["Content-Type"]
    )
    assert announced, request.headers["Content-Type"]
    boundary = announced[1].encode()
    body = b"".join(
        b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (boundary, name.encode(), value.encode())
        for name, value in parts
    )
    return body + b"--%b--\r\n" % boundary


@pytest.mark.parametrize("client_auth", AUTHORIZATION)
@pytest.mark.parametrize("grant", GRANTS)
def test_every_grant_with_every_client_authentication_sends_a_form(grant: str, client_auth: str) -> None:
    request = request_for(grant, client_auth=client_auth)

    assert request.body == FORM_GRANT[grant] + FORM_CLIENT[client_auth]
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"


@pytest.mark.parametrize("client_auth", AUTHORIZATION)
@pytest.mark.parametrize("grant", GRANTS)
def test_every_grant_with_every_client_authentication_sends_json_with_unescaped_characters(
    grant: str, client_auth: str
) -> None:
    request = request_for(grant, client_auth=client_auth, body_format="json")

    assert request.body == (JSON_GRANT[grant] + JSON_CLIENT[client_auth]).encode()
    assert request.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("client_auth", AUTHORIZATION)
@pytest.mark.parametrize("grant", GRANTS)
def test_every_grant_with_every_client_authentication_sends_multipart(grant: str, client_auth: str) -> None:
    request = request_for(grant, client_auth=client_auth, body_format="multipart")

    assert request.body == multipart(request, PARTS_GRANT[grant] + PARTS_CLIENT[client_auth])


@pytest.mark.parametrize("client_auth", AUTHORIZATION)
@pytest.mark.parametrize("grant", GRANTS)
@pytest.mark.parametrize("body_format", ["form", "json", "multipart"])
def test_every_grant_with_every_client_authentication_sends_these_headers_and_no_other(
    grant: str, client_auth: str, body_format: str
) -> None:
    request = request_for(grant, client_auth=client_auth, body_format=body_format)

    headers = dict(request.headers)
    assert headers.pop("Authorization", None) == AUTHORIZATION[client_auth]
    assert headers.pop("Content-Type")
    assert headers == {"Accept": "application/json"}


@pytest.mark.parametrize("client_auth", AUTHORIZATION)
@pytest.mark.parametrize("grant", GRANTS)
def test_every_grant_with_every_client_authentication_is_sent_to_the_token_url_with_its_grant_type(
    grant: str, client_auth: str
) -> None:
    request = request_for(grant, client_auth=client_auth)

    assert request.url == "https://login.example.com/token"
    assert request.grant_type == grant


def test_each_multipart_request_has_its_own_boundary() -> None:
    first, second = (grant_request(config(body_format="multipart"), now=START) for _ in range(2))

    assert first.headers["Content-Type"] != second.headers["Content-Type"]


def test_a_public_client_without_client_id_sends_none() -> None:
    request = grant_request(
        config(grant_type="password", client_auth="none", client_id=None, client_secret=None), now=START
    )

    assert b"client_id" not in request.body
    assert "Authorization" not in request.headers


def test_none_does_not_send_the_client_secret_of_the_connection() -> None:
    request = grant_request(config(client_auth="none", body_format="json"), now=START)

    assert b"secret" not in request.body
    assert b"fake" not in request.body


def test_no_scope_is_sent_if_none_is_set() -> None:
    assert grant_request(plain(), now=START).body == b"grant_type=client_credentials"


def test_the_scope_of_a_call_replaces_the_connections() -> None:
    request = grant_request(plain(scope="read"), scope="write  admin", now=START)

    assert request.body == b"grant_type=client_credentials&scope=write+admin"


@pytest.mark.parametrize(
    ("separator", "sent"),
    [(" ", b"a+b+c"), (",", b"a%2Cb%2Cc"), ("+", b"a%2Bb%2Bc"), (", ", b"a%2C+b%2C+c")],
)
def test_scopes_are_joined_with_the_separator(separator: str, sent: bytes) -> None:
    request = grant_request(plain(scope="a b  c", scope_separator=separator), now=START)

    assert request.body == b"grant_type=client_credentials&scope=" + sent


def test_audience_and_resource_are_sent() -> None:
    request = grant_request(plain(audience="https://api.example.com/", resource="urn:a b"), now=START)

    assert request.body == (
        b"grant_type=client_credentials&audience=https%3A%2F%2Fapi.example.com%2F&resource=urn%3Aa+b"
    )


@pytest.mark.parametrize("grant", ["client_credentials", "password", "authorization_code"])
def test_a_refresh_sends_the_resource_again_but_neither_scope_nor_audience(grant: str) -> None:
    # RFC 8707 section 2.2: without the resource, the server may issue a token for another API.
    settings = plain(grant_type=grant, scope="read", audience="aud", resource="urn:a b")

    assert refresh_request(settings, "fake-refresh", now=START).body == (
        b"grant_type=refresh_token&refresh_token=fake-refresh&resource=urn%3Aa+b"
    )


@pytest.mark.parametrize("grant", ["client_credentials", "password", "authorization_code", "refresh_token"])
def test_a_refresh_sends_no_resource_if_none_is_set(grant: str) -> None:
    body = refresh_request(plain(grant_type=grant), "fake-refresh", now=START).body

    assert body == b"grant_type=refresh_token&refresh_token=fake-refresh"


def test_a_refresh_sends_scope_and_audience_in_the_refresh_token_grant() -> None:
    settings = plain(grant_type="refresh_token", scope="read", audience="aud", resource="urn:res")

    assert refresh_request(settings, "fake-refresh", now=START).body == (
        b"grant_type=refresh_token&refresh_token=fake-refresh&scope=read&audience=aud&resource=urn%3Ares"
    )


def test_a_refresh_sends_the_given_refresh_token_instead_of_the_connections() -> None:
    settings = plain(grant_type="refresh_token", refresh_token="fake-first")

    assert (
        refresh_request(settings, "fake-second", now=START).body
        == b"grant_type=refresh_token&refresh_token=fake-second"
    )


def test_a_refresh_does_not_send_user_name_and_password_of_the_password_grant() -> None:
    body = refresh_request(plain(grant_type="password"), "fake-refresh", now=START).body

    assert b"username" not in body
    assert b"password" not in body


def test_a_refresh_is_sent_to_the_refresh_url_if_it_is_set() -> None:
    settings = plain(grant_type="password", refresh_url="https://login.example.com/refresh")

    assert refresh_request(settings, "fake-refresh", now=START).url == "https://login.example.com/refresh"
    assert grant_request(settings, now=START).url == "https://login.example.com/token"


def test_a_refresh_has_the_grant_type_refresh_token_whatever_the_connections_grant() -> None:
    assert refresh_request(plain(grant_type="password"), "fake-refresh", now=START).grant_type == "refresh_token"


def test_a_refresh_sends_the_token_request_parameters() -> None:
    settings = plain(grant_type="authorization_code", grant_params={"tenant": "t1"})

    assert refresh_request(settings, "fake-refresh", now=START).body == (
        b"grant_type=refresh_token&refresh_token=fake-refresh&tenant=t1"
    )


def test_a_refresh_has_the_refresh_token_in_its_secrets() -> None:
    assert "fake-refresh" in refresh_request(plain(grant_type="refresh_token"), "fake-refresh", now=START).secrets


def test_a_code_exchange_sends_the_resource_again_but_neither_scope_nor_audience() -> None:
    settings = plain(grant_type="authorization_code", scope="read", audience="aud", resource="urn:a b")

    assert code_request(settings, "fake-code", "https://a.example/oauth/callback", "fake-verifier", now=START).body == (
        b"grant_type=authorization_code&code=fake-code&redirect_uri=https%3A%2F%2Fa.example%2Foauth%2Fcallback"
        b"&code_verifier=fake-verifier&resource=urn%3Aa+b"
    )


@pytest.mark.parametrize("body_format", ["json", "multipart"])
def test_a_code_exchange_sends_the_resource_in_every_body_format(body_format: str) -> None:
    settings = plain(grant_type="authorization_code", resource="urn:res", body_format=body_format, skip_pkce=True)
    request = code_request(settings, "fake-code", "https://a.example/", "fake-verifier", now=START)

    fields = {
        "grant_type": "authorization_code",
        "code": "fake-code",
        "redirect_uri": "https://a.example/",
        "resource": "urn:res",
    }
    if body_format == "json":
        assert json.loads(request.body) == fields
    else:
        assert request.body == multipart(request, list(fields.items()))


REVOCATION_URL = "https://login.example.com/revoke?tenant=a"
REVOCATION_BODY = b"token=fake%2Frefresh%2Btoken%3D%3D&token_type_hint=refresh_token"


@pytest.mark.parametrize("body_format", ["form", "json", "multipart"])
@pytest.mark.parametrize("client_auth", AUTHORIZATION)
def test_a_revocation_sends_a_form_with_every_client_authentication(client_auth: str, body_format: str) -> None:
    settings = config(revoke_url=REVOCATION_URL, client_auth=client_auth, body_format=body_format)

    request = revocation_request(settings, REFRESH_TOKEN, "refresh_token", now=START)

    assert (request.method, request.url) == ("POST", REVOCATION_URL)
    assert request.body == REVOCATION_BODY + FORM_CLIENT[client_auth]
    assert request.headers.get("Authorization") == AUTHORIZATION[client_auth]
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.headers["Accept"] == "application/json"


def test_a_revocation_sends_the_headers_of_token_requests_but_not_their_parameters() -> None:
    settings = plain(
        revoke_url=REVOCATION_URL,
        grant_headers={"X-Tenant": "t1"},
        grant_params={"tenant": "t1"},
        secret_grant_params={"key": "fake-key"},
    )

    request = revocation_request(settings, REFRESH_TOKEN, "refresh_token", now=START)

    assert request.headers["X-Tenant"] == "t1"
    assert request.body == REVOCATION_BODY


def test_a_revocation_does_not_show_token_and_query() -> None:
    request = revocation_request(plain(revoke_url=REVOCATION_URL), REFRESH_TOKEN, "access_token", now=START)

    assert REFRESH_TOKEN in request.secrets
    assert "fake" not in repr(request)
    assert request.endpoint.name == "revocation endpoint"
    assert request.shown_url == "https://login.example.com/revoke"


def test_a_revocation_requires_a_revocation_url() -> None:
    with pytest.raises(ConfigurationError, match=r"'shop': Revocation URL \(revoke_url\) is missing, .*\(Forget\)"):
        revocation_request(plain(), REFRESH_TOKEN, "access_token", now=START)


def test_a_missing_token_url_is_an_error_of_the_connection() -> None:
    settings = plain(token_url=None, issuer="https://login.example.com")

    with pytest.raises(ConfigurationError, match=r"'shop': Token URL \(grant_url\) is missing"):
        grant_request(settings, now=START)
