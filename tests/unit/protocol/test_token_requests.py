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
class TestEveryGrantAndClientAuthentication:
    def test_sends_a_form(self, grant: str, client_auth: str) -> None:
        request = request_for(grant, client_auth=client_auth)

        assert request.body == FORM_GRANT[grant] + FORM_CLIENT[client_auth]
        assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"

    def test_sends_json_with_unescaped_characters(self, grant: str, client_auth: str) -> None:
        request = request_for(grant, client_auth=client_auth, body_format="json")

        assert request.body == (JSON_GRANT[grant] + JSON_CLIENT[client_auth]).encode()
        assert request.headers["Content-Type"] == "application/json"

    def test_sends_multipart(self, grant: str, client_auth: str) -> None:
        request = request_for(grant, client_auth=client_auth, body_format="multipart")

        assert request.body == multipart(request, PARTS_GRANT[grant] + PARTS_CLIENT[client_auth])

    @pytest.mark.parametrize("body_format", ["form", "json", "multipart"])
    def test_sends_these_headers_and_no_other(self, grant: str, client_auth: str, body_format: str) -> None:
        request = request_for(grant, client_auth=client_auth, body_format=body_format)

        headers = dict(request.headers)
        assert headers.pop("Authorization", None) == AUTHORIZATION[client_auth]
        assert headers.pop("Content-Type")
        assert headers == {"Accept": "application/json"}

    def test_is_sent_to_the_token_url_with_its_grant_type(self, grant: str, client_auth: str) -> None:
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


class TestRefresh:
    @pytest.mark.parametrize("grant", ["client_credentials", "password", "authorization_code"])
    def test_sends_the_resource_again_but_neither_scope_nor_audience(self, grant: str) -> None:
        # RFC 8707 section 2.2: without the resource, the server may issue a token for another API.
        settings = plain(grant_type=grant, scope="read", audience="aud", resource="urn:a b")

        assert refresh_request(settings, "fake-refresh", now=START).body == (
            b"grant_type=refresh_token&refresh_token=fake-refresh&resource=urn%3Aa+b"
        )

    @pytest.mark.parametrize("grant", ["client_credentials", "password", "authorization_code", "refresh_token"])
    def test_sends_no_resource_if_none_is_set(self, grant: str) -> None:
        body = refresh_request(plain(grant_type=grant), "fake-refresh", now=START).body

        assert body == b"grant_type=refresh_token&refresh_token=fake-refresh"

    def test_sends_scope_and_audience_in_the_refresh_token_grant(self) -> None:
        settings = plain(grant_type="refresh_token", scope="read", audience="aud", resource="urn:res")

        assert refresh_request(settings, "fake-refresh", now=START).body == (
            b"grant_type=refresh_token&refresh_token=fake-refresh&scope=read&audience=aud&resource=urn%3Ares"
        )

    def test_sends_the_given_refresh_token_instead_of_the_connections(self) -> None:
        settings = plain(grant_type="refresh_token", refresh_token="fake-first")

        assert (
            refresh_request(settings, "fake-second", now=START).body
            == b"grant_type=refresh_token&refresh_token=fake-second"
        )

    def test_does_not_send_user_name_and_password_of_the_password_grant(self) -> None:
        body = refresh_request(plain(grant_type="password"), "fake-refresh", now=START).body

        assert b"username" not in body
        assert b"password" not in body

    def test_is_sent_to_the_refresh_url_if_it_is_set(self) -> None:
        settings = plain(grant_type="password", refresh_url="https://login.example.com/refresh")

        assert refresh_request(settings, "fake-refresh", now=START).url == "https://login.example.com/refresh"
        assert grant_request(settings, now=START).url == "https://login.example.com/token"

    def test_has_the_grant_type_refresh_token_whatever_the_connections_grant(self) -> None:
        assert refresh_request(plain(grant_type="password"), "fake-refresh", now=START).grant_type == "refresh_token"

    def test_sends_the_token_request_parameters(self) -> None:
        settings = plain(grant_type="authorization_code", grant_params={"tenant": "t1"})

        assert refresh_request(settings, "fake-refresh", now=START).body == (
            b"grant_type=refresh_token&refresh_token=fake-refresh&tenant=t1"
        )

    def test_is_not_overridden_by_the_token_request_parameters(self) -> None:
        settings = plain(grant_type="refresh_token", grant_params={"refresh_token": "x", "grant_type": "x"})

        assert (
            refresh_request(settings, "fake-refresh", now=START).body
            == b"grant_type=refresh_token&refresh_token=fake-refresh"
        )

    def test_has_the_refresh_token_in_its_secrets(self) -> None:
        assert "fake-refresh" in refresh_request(plain(grant_type="refresh_token"), "fake-refresh", now=START).secrets


class TestCode:
    def test_sends_the_resource_again_but_neither_scope_nor_audience(self) -> None:
        settings = plain(grant_type="authorization_code", scope="read", audience="aud", resource="urn:a b")

        assert code_request(
            settings, "fake-code", "https://a.example/oauth/callback", "fake-verifier", now=START
        ).body == (
            b"grant_type=authorization_code&code=fake-code&redirect_uri=https%3A%2F%2Fa.example%2Foauth%2Fcallback"
            b"&code_verifier=fake-verifier&resource=urn%3Aa+b"
        )

    @pytest.mark.parametrize("body_format", ["json", "multipart"])
    def test_sends_the_resource_in_every_body_format(self, body_format: str) -> None:
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


class TestGrantParameters:
    @pytest.mark.parametrize("field", ["grant_params", "secret_grant_params"])
    @pytest.mark.parametrize(
        "name", ["grant_type", "username", "password", "scope", "audience", "resource", "client_id", "client_secret"]
    )
    @pytest.mark.parametrize("body_format", ["form", "json", "multipart"])
    def test_never_override_a_standard_parameter(self, field: str, name: str, body_format: str) -> None:
        request = grant_request(
            config(
                grant_type="password",
                client_auth="client_secret_post",
                scope="read",
                audience="aud",
                resource="urn:res",
                body_format=body_format,
                **{field: {name: "OVERRIDDEN"}},
            ),
            now=START,
        )

        assert b"OVERRIDDEN" not in request.body

    @pytest.mark.parametrize(
        ("value", "form", "in_json"),
        [
            ("a&b=é", b"a%26b%3D%C3%A9", '"a&b=é"'),
            ("", b"", '""'),
            (7, b"7", "7"),
            (1.5, b"1.5", "1.5"),
            (True, b"true", "true"),
            (False, b"false", "false"),
            ({"a": 1}, b"%7B%22a%22%3A+1%7D", '{"a":1}'),
        ],
    )
    @pytest.mark.parametrize("field", ["grant_params", "secret_grant_params"])
    def test_can_have_values_of_every_json_type(self, field: str, value: Any, form: bytes, in_json: str) -> None:
        as_form = grant_request(plain(**{field: {"extra": value}}), now=START)
        as_json = grant_request(plain(body_format="json", **{field: {"extra": value}}), now=START)

        assert as_form.body == b"grant_type=client_credentials&extra=" + form
        assert as_json.body == f'{{"grant_type":"client_credentials","extra":{in_json}}}'.encode()

    def test_a_list_is_a_repeated_field_in_a_form_and_an_array_in_json(self) -> None:
        params = {"resource": ["urn:a", "urn:b"], "n": [1, True, "x"], "empty": []}

        assert grant_request(plain(grant_params=params), now=START).body == (
            b"grant_type=client_credentials&resource=urn%3Aa&resource=urn%3Ab&n=1&n=true&n=x"
        )
        assert json.loads(grant_request(plain(grant_params=params, body_format="json"), now=START).body) == {
            "grant_type": "client_credentials",
            **params,
        }

    def test_a_list_is_a_repeated_part_in_multipart(self) -> None:
        request = grant_request(plain(grant_params={"n": [1, True, "x"]}, body_format="multipart"), now=START)

        assert request.body == multipart(
            request, [("grant_type", "client_credentials"), ("n", "1"), ("n", "true"), ("n", "x")]
        )

    def test_secret_parameters_override_the_others(self) -> None:
        request = grant_request(plain(grant_params={"key": "open"}, secret_grant_params={"key": "fake-key"}), now=START)

        assert request.body == b"grant_type=client_credentials&key=fake-key"

    def test_are_not_changed_by_a_request(self) -> None:
        params: dict[str, Any] = {"a": "1"}
        settings = plain(grant_params=params, client_auth="client_secret_post", scope="read")

        assert grant_request(settings, now=START).body == grant_request(settings, now=START).body
        assert params == {"a": "1"}


class TestGrantHeaders:
    @pytest.mark.parametrize("name", ["Content-Type", "content-type", "CONTENT-TYPE"])
    @pytest.mark.parametrize("client_auth", AUTHORIZATION)
    def test_never_override_the_content_type(self, client_auth: str, name: str) -> None:
        headers = grant_request(plain(client_auth=client_auth, grant_headers={name: "text/plain"}), now=START).headers

        assert [value for key, value in headers.items() if key.lower() == "content-type"] == [
            "application/x-www-form-urlencoded"
        ]

    @pytest.mark.parametrize("name", ["Authorization", "authorization"])
    def test_never_override_the_clients_authorization(self, name: str) -> None:
        headers = grant_request(config(grant_headers={name: "Basic other"}), now=START).headers

        assert [value for key, value in headers.items() if key.lower() == "authorization"] == [ENCODED_BASIC]

    @pytest.mark.parametrize("name", ["Accept", "accept", "ACCEPT"])
    def test_may_replace_accept(self, name: str) -> None:
        headers = grant_request(plain(grant_headers={name: "application/vnd.example+json"}), now=START).headers

        assert [value for key, value in headers.items() if key.lower() == "accept"] == ["application/vnd.example+json"]

    def test_are_sent_with_every_grant_and_with_a_refresh(self) -> None:
        settings = plain(grant_headers={"X-Tenant": "t1"})

        assert grant_request(settings, now=START).headers["X-Tenant"] == "t1"
        assert refresh_request(settings, "fake-refresh", now=START).headers["X-Tenant"] == "t1"


def test_the_headers_and_parameters_of_the_api_are_not_sent_to_the_token_endpoint() -> None:
    request = grant_request(
        plain(
            api_headers={"X-Api": "API-ONLY"},
            api_params={"p": "API-ONLY"},
            secret_headers={"X-Secret": "API-ONLY"},
            secret_params={"s": "API-ONLY"},
        ),
        now=START,
    )

    assert b"API-ONLY" not in request.body
    assert "API-ONLY" not in request.headers.values()


@pytest.mark.parametrize("client_auth", AUTHORIZATION)
@pytest.mark.parametrize("grant", GRANTS)
def test_the_repr_of_a_request_contains_neither_body_nor_headers_nor_secrets(grant: str, client_auth: str) -> None:
    shown = repr(request_for(grant, client_auth=client_auth, secret_grant_params={"key": "fake-key"}))

    for secret in (CLIENT_SECRET, USER_PASSWORD, REFRESH_TOKEN, ENCODED_BASIC, RAW_BASIC, "fake"):
        assert secret not in shown


class TestRevocation:
    URL = "https://login.example.com/revoke?tenant=a"
    BODY = b"token=fake%2Frefresh%2Btoken%3D%3D&token_type_hint=refresh_token"

    @pytest.mark.parametrize("body_format", ["form", "json", "multipart"])
    @pytest.mark.parametrize("client_auth", AUTHORIZATION)
    def test_sends_a_form_with_every_client_authentication(self, client_auth: str, body_format: str) -> None:
        settings = config(revoke_url=self.URL, client_auth=client_auth, body_format=body_format)

        request = revocation_request(settings, REFRESH_TOKEN, "refresh_token", now=START)

        assert (request.method, request.url) == ("POST", self.URL)
        assert request.body == self.BODY + FORM_CLIENT[client_auth]
        assert request.headers.get("Authorization") == AUTHORIZATION[client_auth]
        assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
        assert request.headers["Accept"] == "application/json"

    def test_sends_the_headers_of_token_requests_but_not_their_parameters(self) -> None:
        settings = plain(
            revoke_url=self.URL,
            grant_headers={"X-Tenant": "t1"},
            grant_params={"tenant": "t1"},
            secret_grant_params={"key": "fake-key"},
        )

        request = revocation_request(settings, REFRESH_TOKEN, "refresh_token", now=START)

        assert request.headers["X-Tenant"] == "t1"
        assert request.body == self.BODY

    def test_does_not_show_token_and_query(self) -> None:
        request = revocation_request(plain(revoke_url=self.URL), REFRESH_TOKEN, "access_token", now=START)

        assert REFRESH_TOKEN in request.secrets
        assert "fake" not in repr(request)
        assert request.endpoint.name == "revocation endpoint"
        assert request.shown_url == "https://login.example.com/revoke"

    def test_requires_a_revocation_url(self) -> None:
        with pytest.raises(ConfigurationError, match=r"'shop': revoke_url \(Revocation URL\) is missing, .*\(Forget\)"):
            revocation_request(plain(), REFRESH_TOKEN, "access_token", now=START)


def test_a_missing_token_url_is_an_error_of_the_connection() -> None:
    settings = plain(token_url=None, issuer="https://login.example.com")

    with pytest.raises(ConfigurationError, match=r"'shop': grant_url \(Token URL\) is missing"):
        grant_request(settings, now=START)
