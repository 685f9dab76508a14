from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from requests.structures import CaseInsensitiveDict

from airflow_provider_oauth import exceptions
from airflow_provider_oauth.exceptions import (
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    OAuthError,
    TokenRequestError,
    TokenResponseError,
    UnauthorizedClient,
    UnrecognizedRefusal,
    UnsupportedGrantType,
    WrongPassword,
)
from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.protocol.token_requests import code_request, grant_request, refresh_request
from airflow_provider_oauth.protocol.token_responses import HttpResponse, parse_token_response
from tests.connections import oauth_config

SENT_AT = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
SECRET = 'fake/secret+é "&<%'
USER_PASSWORD = "fake pass/word~"
REFRESH_TOKEN = "fake-refresh/token="
PARAM_SECRET = "fake-param-secret"


config = partial(
    oauth_config,
    token_url="https://login.example.com/token?key=in-the-query",
    client_secret=SECRET,
    username="anna",
    user_password=USER_PASSWORD,
)


def parse(
    content: Any = None,
    status: int = 200,
    headers: dict[str, str] | None = None,
    *,
    body: bytes | None = None,
    refresh: bool = False,
    **changes: Any,
) -> Token:
    """Parse an answer to the request that ``changes`` of the connection make, or to a refresh."""
    settings = config(**changes)
    request = refresh_request(settings, REFRESH_TOKEN, now=SENT_AT) if refresh else grant_request(settings, now=SENT_AT)
    answer = HttpResponse(
        status_code=status,
        headers=CaseInsensitiveDict({"Content-Type": "application/json"} | (headers or {})),
        body=json.dumps(content).encode() if body is None else body,
        sent_at=SENT_AT,
    )
    return parse_token_response(settings, request, answer)


def refused(*args: Any, **kwargs: Any) -> TokenRequestError:
    with pytest.raises(TokenRequestError) as raised:
        parse(*args, **kwargs)
    return raised.value


def invalid_response(*args: Any, **kwargs: Any) -> TokenResponseError:
    with pytest.raises(TokenResponseError) as raised:
        parse(*args, **kwargs)
    return raised.value


class TestToken:
    def test_of_a_standard_answer(self) -> None:
        token = parse(
            {
                "access_token": "fake-access",
                "token_type": "bearer",
                "expires_in": 7200,
                "refresh_token": "fake-new",
                "scope": "read write",
            }
        )

        assert token == Token(
            access_token="fake-access",
            token_type="bearer",
            issued_at=SENT_AT,
            expires_at=SENT_AT + timedelta(seconds=7200),
            refresh_token="fake-new",
            scope="read write",
        )

    def test_of_the_shortest_answer(self) -> None:
        token = parse({"access_token": "fake-access"}, default_lifetime=1800)

        assert token == Token(
            access_token="fake-access", issued_at=SENT_AT, expires_at=SENT_AT + timedelta(seconds=1800)
        )
        assert (token.token_type, token.scope, token.refresh_token, token.base_url) == ("Bearer", None, None, None)

    @pytest.mark.parametrize(
        ("expires_in", "seconds"),
        [
            (3600, 3600),
            ("3600", 3600),
            ("3600.5", 3600.5),
            (" 3600 ", 3600),
            (3599.9, 3599.9),
            (1, 1),
            (0, 0),
            ("0", 0),
            (0.0, 0),
            (-5, 0),
            ("-5", 0),
            (-1e300, 0),
            (1_000_000_000, 3650 * 86400),
            (3650 * 86400, 3650 * 86400),
            (3650 * 86400 + 1, 3650 * 86400),
        ],
    )
    def test_lives_as_long_as_the_server_says(self, expires_in: Any, seconds: float) -> None:
        token = parse({"access_token": "fake-access", "expires_in": expires_in}, default_lifetime=1800)

        assert token.lifetime == timedelta(seconds=seconds)

    @pytest.mark.parametrize(
        "expires_in",
        ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "true", "false", "null", '""', '"soon"', '"NaN"', '"inf"']
        + ["[3600]", '{"seconds": 3600}', "1" + "0" * 400, '"2026-03-01T13:00:00Z"'],
    )
    def test_lives_the_default_lifetime_where_the_server_says_nothing_sensible(self, expires_in: str) -> None:
        body = f'{{"access_token": "fake-access", "expires_in": {expires_in}}}'.encode()

        assert parse(body=body, default_lifetime=1800).lifetime == timedelta(seconds=1800)

    @pytest.mark.parametrize("kind", [int, float, str])
    def test_ends_at_the_point_in_time_where_the_server_sends_an_epoch(self, kind: Any) -> None:
        epoch = kind(int((SENT_AT + timedelta(hours=2)).timestamp()))

        assert parse({"access_token": "fake-access", "expires_in": epoch}).expires_at == SENT_AT + timedelta(hours=2)

    def test_that_ended_at_an_epoch_in_the_past_is_good_for_one_use(self) -> None:
        epoch = int(SENT_AT.timestamp()) - 10

        assert parse({"access_token": "fake-access", "expires_in": epoch}).lifetime == timedelta(0)

    @pytest.mark.parametrize(
        ("content", "never"),
        [
            ({}, True),  # Notion, Slack, Intercom
            ({"expires_in": None, "refresh_token": None}, True),
            ({"expires_in": 60}, False),
            ({"expires_in": 0}, False),
            ({"expires_in": "soon"}, False),
            ({"refresh_token": "fake-new"}, False),
        ],
    )
    def test_of_a_user_without_expires_in_and_refresh_token_never_expires(
        self, content: dict[str, Any], never: bool
    ) -> None:
        settings = config(grant_type="authorization_code")
        request = code_request(
            settings, "fake-code", "https://airflow.example.com/callback", "fake-verifier", now=SENT_AT
        )
        body = json.dumps({"access_token": "fake-access"} | content).encode()
        answer = HttpResponse(status_code=200, headers=CaseInsensitiveDict(), body=body, sent_at=SENT_AT)

        assert (parse_token_response(settings, request, answer).expires_at is None) is never

    @pytest.mark.parametrize("grant_type", ["client_credentials", "password", "refresh_token", "authorization_code"])
    def test_of_any_other_request_without_expires_in_lives_the_default_lifetime(self, grant_type: str) -> None:
        refresh = grant_type in ("refresh_token", "authorization_code")  # the refresh token sent stays in use
        token = parse({"access_token": "fake-access"}, grant_type=grant_type, refresh=refresh, default_lifetime=1800)

        assert token.lifetime == timedelta(seconds=1800)

    @pytest.mark.parametrize("name", ["refresh_expires_in", "refresh_token_expires_in"])
    @pytest.mark.parametrize(
        ("said", "seconds"),
        [(172800, 172800), ("172800", 172800), ("172800.5", 172800.5), (3650 * 86400, 3650 * 86400)],
    )
    def test_tells_when_its_refresh_token_ends_unused(self, name: str, said: Any, seconds: float) -> None:
        token = parse({"access_token": "fake-access", "refresh_token": "fake-new", name: said})

        assert token.refresh_expires_at == SENT_AT + timedelta(seconds=seconds)

    @pytest.mark.parametrize(
        "said", [0, "0", -1, "", "soon", None, True, [60], "NaN", "1e400", 3650 * 86400 + 1, 1e300]
    )
    def test_does_not_know_when_its_refresh_token_ends_where_the_server_says_nothing_sensible(self, said: Any) -> None:
        answer = {"access_token": "fake-access", "refresh_token": "fake-new", "refresh_expires_in": said}

        assert parse(answer).refresh_expires_at is None
        assert parse(answer, refresh_lifetime=60).refresh_expires_at == SENT_AT + timedelta(seconds=60)

    def test_knows_the_point_in_time_at_which_its_refresh_token_ends(self) -> None:
        epoch = int((SENT_AT + timedelta(days=2)).timestamp())
        token = parse({"access_token": "fake-access", "refresh_token": "fake-new", "refresh_expires_in": epoch})

        assert token.refresh_expires_at == SENT_AT + timedelta(days=2)

    @pytest.mark.parametrize(
        ("answer", "seconds"),
        [({}, 60), ({"refresh_expires_in": 90}, 90), ({"refresh_expires_in": 0, "refresh_token_expires_in": 90}, 90)],
    )
    @pytest.mark.parametrize("rotated", [{}, {"refresh_token": "fake-new"}])
    def test_of_a_refresh_prolongs_the_refresh_token_new_or_not(
        self, answer: dict[str, Any], seconds: int, rotated: dict[str, str]
    ) -> None:
        token = parse({"access_token": "fake-access", **answer, **rotated}, refresh=True, refresh_lifetime=60)

        assert token.refresh_expires_at == SENT_AT + timedelta(seconds=seconds)

    def test_without_a_refresh_token_has_none_that_ends(self) -> None:
        answer = {"access_token": "fake-access", "refresh_expires_in": 90}

        assert parse(answer, refresh_lifetime=60).refresh_expires_at is None

    @pytest.mark.parametrize(
        ("scope", "granted"),
        [
            ("read  write", "read write"),
            (["read", "write"], "read write"),
            ("", ""),
            ([], ""),
            (None, None),
            (7, None),
            ({"read": True}, None),
        ],
    )
    def test_scope_granted(self, scope: Any, granted: str | None) -> None:
        assert parse({"access_token": "fake-access", "scope": scope}).scope == granted

    def test_scope_granted_with_the_servers_separator(self) -> None:
        assert parse({"access_token": "t", "scope": "read,write"}, scope_separator=",").scope == "read write"
        assert parse({"access_token": "t", "scope": "read,write"}).scope == "read,write"
        assert parse({"access_token": "t", "scope": "read write"}, scope_separator=",").scope == "read write"

    @pytest.mark.parametrize("refresh_token", [None, "", 5, ["fake"], {"value": "fake"}])
    def test_has_no_refresh_token_where_the_answer_has_none(self, refresh_token: Any) -> None:
        assert parse({"access_token": "fake-access", "refresh_token": refresh_token}).refresh_token is None

    @pytest.mark.parametrize("token_type", ["mac", "MAC", "pop", "DPoP"])
    def test_that_needs_a_signature_is_refused(self, token_type: str) -> None:
        error = invalid_response({"access_token": "fake-access", "token_type": token_type})

        assert token_type in str(error)
        assert "signature" in str(error)
        assert "'shop'" in str(error)

    @pytest.mark.parametrize("token_type", ["Bearer", "bearer", "BearerToken", "JWT", "N_A"])
    def test_of_another_type_is_a_bearer_token(self, token_type: str) -> None:
        assert parse({"access_token": "fake-access", "token_type": token_type}).access_token == "fake-access"

    @pytest.mark.parametrize("token_type", [None, 5, ["Bearer"]])
    def test_without_a_type_is_a_bearer_token(self, token_type: Any) -> None:
        assert parse({"access_token": "fake-access", "token_type": token_type}).token_type == "Bearer"

    @pytest.mark.parametrize("error", [None, "", False, 0, {}, []])
    def test_is_one_although_the_answer_has_an_empty_error(self, error: Any) -> None:
        assert parse({"access_token": "fake-access", "error": error}).access_token == "fake-access"

    def test_with_status_201_is_one(self) -> None:
        assert parse({"access_token": "fake-access"}, 201).access_token == "fake-access"

    def test_in_json_of_another_content_type(self) -> None:
        token = parse({"access_token": "fake-access"}, headers={"Content-Type": "text/html; charset=utf-8"})

        assert token.access_token == "fake-access"

    def test_in_json_with_a_byte_order_mark(self) -> None:
        assert parse(body=b'\xef\xbb\xbf{"access_token": "fake-access"}').access_token == "fake-access"

    @pytest.mark.parametrize(
        "content_type",
        ["application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=utf-8"]
        + ["Application/X-WWW-Form-Urlencoded"],  # RFC 9110 section 8.3.1: media types know no case
    )
    def test_in_a_form(self, content_type: str) -> None:
        token = parse(
            body=b"access_token=fake%2Baccess&expires_in=60&scope=read%2Cwrite&token_type=bearer",
            headers={"content-type": content_type},
            scope_separator=",",
        )

        assert (token.access_token, token.scope, token.token_type) == ("fake+access", "read write", "bearer")
        assert token.lifetime == timedelta(seconds=60)

    def test_repr_shows_no_token(self) -> None:
        shown = repr(parse({"access_token": "fake-access", "refresh_token": "fake-new"}))

        assert "fake" not in shown


class TestResponseMap:
    MAP = {  # noqa: RUF012
        "access_token": "data.token",
        "expires_in": "data.ttl",
        "refresh_token": "data.again[0]",
        "scope": "data.scopes[].name",
        "base_url": "instance_url",
        "token_type": "data.kind",
    }

    def test_says_where_things_stand(self) -> None:
        content = {
            "data": {
                "token": "fake-access",
                "ttl": "60",
                "again": ["fake-new"],
                "scopes": [{"name": "read"}, {"name": "write"}],
                "kind": "Token",
            },
            "instance_url": "https://eu7.example.com",
            "access_token": "not-this-one",
        }

        token = parse(content, response_map=self.MAP)

        assert token == Token(
            access_token="fake-access",
            token_type="Token",
            issued_at=SENT_AT,
            expires_at=SENT_AT + timedelta(seconds=60),
            refresh_token="fake-new",
            scope="read write",
            base_url="https://eu7.example.com",
        )

    def test_leaves_standard_names_as_they_are_where_it_does_not_name_them(self) -> None:
        token = parse(
            {"token": "fake-access", "expires_in": 60, "scope": "read"}, response_map={"access_token": "token"}
        )

        assert (token.access_token, token.lifetime, token.scope) == ("fake-access", timedelta(seconds=60), "read")

    def test_reads_an_answer_that_is_a_list(self) -> None:
        assert parse([{"t": "fake-access"}], response_map={"access_token": "[0].t"}).access_token == "fake-access"

    @pytest.mark.parametrize("content", [{}, [], "text", None, 5, {"data": None}, {"data": []}, {"data": "text"}])
    def test_that_finds_nothing_is_no_token(self, content: Any) -> None:
        invalid_response(content, response_map=self.MAP)

    def test_says_where_the_error_stands(self) -> None:
        content = {"fault": {"id": "invalid_client", "text": "who are you"}}

        error = refused(content, 400, response_map={"error": "fault.id", "error_description": "fault.text"})

        assert type(error) is InvalidClient
        assert error.error_description == "who are you"

    def test_of_an_error_does_not_hide_a_standard_error(self) -> None:
        error = refused({"error": "invalid_scope"}, 400, response_map={"error": "fault.id"})

        assert type(error) is InvalidScope

    @pytest.mark.parametrize("path", ["to_number(data.ttl)", "length(data.ttl)", "keys(data.ttl)[0]"])
    def test_with_a_function_that_does_not_fit_the_answer_is_a_typed_error(self, path: str) -> None:
        with pytest.raises(OAuthError) as raised:
            parse({"data": {"ttl": None}}, response_map={"access_token": path})
        assert "'shop'" in str(raised.value)

    @pytest.mark.parametrize("base_url", [None, "", 5, ["https://eu7.example.com"]])
    def test_that_finds_no_base_url_leaves_the_connections(self, base_url: Any) -> None:
        token = parse({"access_token": "fake-access", "url": base_url}, response_map={"base_url": "url"})

        assert token.base_url is None

    @pytest.mark.parametrize(
        "base_url",
        [
            "http://api.example.com",
            "ftp://api.example.com",
            "javascript:alert(1)",
            "api",
            "https://u:p@api.example.com",
        ],
    )
    def test_a_base_url_as_unsafe_as_a_host_that_is_refused_is_refused_too(self, base_url: str) -> None:
        invalid_response({"access_token": "fake-access", "url": base_url}, response_map={"base_url": "url"})

    @pytest.mark.parametrize("base_url", ["http://localhost:8080/v1", "http://127.0.0.1"])
    def test_a_base_url_on_this_machine_may_be_plain_http(self, base_url: str) -> None:
        token = parse({"access_token": "fake-access", "url": base_url}, response_map={"base_url": "url"})

        assert token.base_url == base_url

    def test_a_base_url_may_be_plain_http_where_the_connection_allows_it(self) -> None:
        token = parse(
            {"access_token": "fake-access", "url": "http://api.internal"},
            response_map={"base_url": "url"},
            allow_http=True,
        )

        assert token.base_url == "http://api.internal"


class TestNoToken:
    @pytest.mark.parametrize(
        "access_token",
        [None, "", 5, 1.5, True, ["fake"], {"value": "fake"}],
    )
    def test_a_200_with_something_else_in_its_place_is_no_token(self, access_token: Any) -> None:
        error = invalid_response({"access_token": access_token, "token_type": "Bearer"})

        assert str(error) == (
            "Connection 'shop': the token endpoint responded with status 200 but without an access token. Check Token "
            "URL; if the response has the token under another name, set Token response map. "
            "(Content type: application/json, URL: https://login.example.com/token)"
        )

    @pytest.mark.parametrize(
        "access_token",
        ["a\nb", "fake\r\nX-Evil: 1", "a b", " a", "a ", "a\tb", "a\x00b", "a\x7fb", "tökén", "a\u2028b"],
    )
    def test_a_token_that_would_break_a_header_is_none(self, access_token: str) -> None:
        error = invalid_response({"access_token": access_token})

        assert "cannot be sent in a header" in str(error)
        assert access_token.strip() == "a" or access_token not in str(error)

    @pytest.mark.parametrize("access_token", ["!", "~", "aZ09-._~+/="])
    def test_every_character_that_can_stand_in_a_header_is_accepted(self, access_token: str) -> None:
        assert parse({"access_token": access_token}).access_token == access_token

    @pytest.mark.parametrize(
        "body", [b"", b"   ", b"null", b"{}", b"[]", b'"text"', b"5", b"true", b"\xff\xfe\x00", b"{"]
    )
    def test_a_200_with_any_other_body_is_no_token(self, body: bytes) -> None:
        assert "responded with status 200 but without an access token" in str(invalid_response(body=body))

    def test_a_200_with_an_error_is_a_refusal(self) -> None:
        error = refused({"error": "invalid_scope", "error_description": "no such scope"})

        assert type(error) is InvalidScope
        assert error.status_code == 200

    def test_a_200_with_an_error_and_a_token_is_a_refusal(self) -> None:
        assert type(refused({"error": "invalid_client", "access_token": "fake-access"})) is InvalidClient

    @pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
    @pytest.mark.parametrize("error", [None, "invalid_grant"])
    def test_a_redirect_is_not_followed_but_reported(self, status: int, error: str | None) -> None:
        location = "https://new.example.com/oauth/token"

        said = str(invalid_response({"access_token": "fake-access", "error": error}, status, {"Location": location}))

        assert said.endswith(
            f"redirected to {location}. If that is the token endpoint, set Token URL to it. "
            f"(URL: https://login.example.com/token)"
        )

    @pytest.mark.parametrize(
        ("location", "url"),
        [
            ("/oauth/token", "https://login.example.com/oauth/token"),
            ("v2", "https://login.example.com/v2"),
            ("../a/token/", "https://login.example.com/a/token/"),
            ("//new.example.com/token", "https://new.example.com/token"),
            ("https://u:p@new.example.com:8443/token#part", "https://new.example.com:8443/token"),
        ],
    )
    def test_the_advice_after_a_redirect_works_when_followed_literally(self, location: str, url: str) -> None:
        said = str(invalid_response({}, 307, {"Location": location}))
        advised = said.partition("redirected to ")[2].partition(". If that is the token endpoint, set Token URL to it")[
            0
        ]

        assert advised == url
        assert config(token_url=advised).token_url == url

    @pytest.mark.parametrize(
        "location",
        [
            "https://new.example.com/token?code=in-the-query",  # it may not work without its query
            "http://new.example.com/token",  # a plain http URL is refused
            "https://login.example.com/token?key=in-the-query",
            f"https://new.example.com/{'a' * 400}",  # it is not shown whole
            "javascript:alert(1)",
        ],
    )
    def test_a_redirect_to_a_url_that_cannot_be_entered_is_not_recommended(self, location: str) -> None:
        said = str(invalid_response({}, 307, {"Location": location}))

        assert "set Token URL" not in said
        assert said.endswith(" Check Token URL. (URL: https://login.example.com/token)")
        assert "in-the-query" not in said

    def test_a_redirect_of_a_refresh_names_the_field_that_has_its_url(self) -> None:
        error = invalid_response(
            {}, 307, {"Location": "/new"}, refresh=True, refresh_url="https://login.example.com/refresh"
        )

        assert "redirected to https://login.example.com/new. " in str(error)
        assert str(error).endswith("set Refresh URL to it. (URL: https://login.example.com/refresh)")

    @pytest.mark.parametrize(
        "location",
        [
            "http://[::1",
            "https://new.example.com:port/",
            "",
            "/relative/token",
            "//[",
            "https://new.example.com/\x00\x1b[31m",
        ],
    )
    def test_a_redirect_to_nowhere_is_no_token_either(self, location: str) -> None:
        error = invalid_response({}, 302, {"Location": location})

        assert "'shop'" in str(error)
        assert str(error).isprintable()

    def test_a_redirect_without_a_location_is_no_token(self) -> None:
        assert "'shop'" in str(invalid_response({}, 302))

    @pytest.mark.parametrize("secret", [SECRET, PARAM_SECRET])
    def test_a_redirect_does_not_show_the_secret_in_its_location(self, secret: str) -> None:
        location = f"https://user:{quote(secret, safe='')}@new.example.com/{quote(secret, safe='')}"

        error = invalid_response({}, 302, {"Location": location}, secret_grant_params={"key": PARAM_SECRET})

        assert_no_secret(error, secret)

    def test_an_answer_nested_too_deeply_is_no_token(self) -> None:
        assert "'shop'" in str(invalid_response(body=b'{"a":' * 100_000 + b"1" + b"}" * 100_000))

    def test_an_answer_with_a_number_too_long_is_no_token(self) -> None:
        assert "'shop'" in str(invalid_response(body=b'{"expires_in":' + b"9" * 100_000 + b"}"))


class TestRefusal:
    @pytest.mark.parametrize(
        ("code", "kind", "advice"),
        [
            ("invalid_request", InvalidRequest, "Token request body"),
            ("invalid_client", InvalidClient, "Client secret"),
            ("invalid_grant", InvalidGrant, "refresh token"),
            ("unauthorized_client", UnauthorizedClient, "allow this client to use the refresh_token grant"),
            ("unsupported_grant_type", UnsupportedGrantType, "Grant type"),
            ("invalid_scope", InvalidScope, "Scope"),
        ],
    )
    @pytest.mark.parametrize("status", [400, 401, 403])
    def test_by_rfc_6749_is_a_class_of_its_own_with_advice(
        self, status: int, code: str, kind: type[TokenRequestError], advice: str
    ) -> None:
        error = refused(
            {"error": code, "error_description": "Because.", "error_uri": "https://docs.example.com/e"},
            status,
            refresh=True,
        )

        assert type(error) is kind
        assert (error.error, error.error_description, error.status_code) == (code, "Because.", status)
        assert error.error_uri == "https://docs.example.com/e"
        assert error.retryable is False
        assert error.retry_after is None
        assert str(error).startswith(
            f"Connection 'shop': the token endpoint refused the refresh_token grant with status {status} and error "
            f"'{code}'. "
        )
        assert str(error).endswith(" The server's message: 'Because.' (URL: https://login.example.com/token)")
        assert advice in str(error)
        assert "in-the-query" not in str(error)

    @pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_basic_raw", "client_secret_post"])
    def test_of_the_client_says_how_it_was_authenticated(self, method: str) -> None:
        assert f"Check Client ID, Client secret and Client authentication ({method})." in str(
            refused({"error": "invalid_client"}, 401, client_auth=method)
        )

    def test_of_the_client_is_not_retried(self) -> None:
        assert isinstance(refused({"error": "invalid_client"}, 401), AirflowFailException)

    def test_with_an_unknown_code_is_no_more_than_a_refusal(self) -> None:
        error = refused({"error": "slow_down"}, 400)

        assert type(error) is TokenRequestError
        assert (error.error, error.retryable) == ("slow_down", False)

    @pytest.mark.parametrize("status", [400, 401, 403])
    def test_of_a_password_fails_without_a_retry(self, status: int) -> None:
        error = refused({"error": "invalid_grant"}, status, grant_type="password")

        assert type(error) is WrongPassword
        assert isinstance(error, InvalidGrant)
        assert isinstance(error, AirflowFailException)
        assert "User password" in str(error)

    def test_of_the_refresh_token_of_a_password_grant_is_not_a_wrong_password(self) -> None:
        error = refused({"error": "invalid_grant"}, 400, grant_type="password", refresh=True)

        assert type(error) is InvalidGrant
        assert not isinstance(error, AirflowFailException)

    @pytest.mark.parametrize(
        "code", ["invalid_credentials", "Unauthorized", "unauthorized", "access_denied", "unknown"]
    )
    @pytest.mark.parametrize("grant", ["password", "client_credentials"])
    def test_with_401_fails_without_a_retry_whatever_the_code(self, grant: str, code: str) -> None:
        # league/oauth2-server up to 7 says invalid_credentials of a wrong password; Spring says Unauthorized. RFC 6749
        # section 5.2: 401 is about credentials, and to try them again locks accounts.
        error = refused({"error": code, "message": "The user credentials were incorrect."}, 401, grant_type=grant)

        assert isinstance(error, AirflowFailException)
        assert error.error == code

    def test_of_the_password_by_leagues_older_code_is_a_wrong_password(self) -> None:
        content = {"error": "invalid_credentials", "message": "The user credentials were incorrect."}

        assert type(refused(content, 401, grant_type="password")) is WrongPassword

    @pytest.mark.parametrize(
        "hint",
        [
            "Cannot decrypt the refresh token",
            "Token has been revoked",
            "Token has expired",
            "Token is not linked to client",
            None,
        ],
    )
    def test_of_a_refresh_token_as_league_words_it_is_an_invalid_grant(self, hint: str | None) -> None:
        # league/oauth2-server 5 to 8, OAuthServerException::invalidRefreshToken.
        content = {"error": "invalid_request", "message": "The refresh token is invalid."} | (
            {"hint": hint} if hint else {}
        )

        error = refused(content, 401, refresh=True)

        assert type(error) is InvalidGrant
        assert error.error_description is not None
        assert error.error_description.startswith("The refresh token is invalid.")
        assert (hint or "") in error.error_description

    def test_of_a_missing_parameter_as_league_words_it_is_an_invalid_request(self) -> None:
        content = {
            "error": "invalid_request",
            "message": "The request is missing a required parameter, includes an invalid parameter value, includes a "
            "parameter more than once, or is otherwise malformed.",
            "hint": "Check the `refresh_token` parameter",
        }

        assert type(refused(content, 400, refresh=True)) is InvalidRequest

    def test_quotes_message_and_hint_once_each(self) -> None:
        error = refused({"error": "x", "message": "Same.", "error_description": "Same.", "hint": "Look here."}, 400)

        assert error.error_description == "Same. Look here."

    def test_with_nothing_but_a_message(self) -> None:
        error = refused({"message": "Unknown tenant"}, 400)

        assert type(error) is UnrecognizedRefusal
        assert (error.error, error.error_description, error.retryable) == (None, "Unknown tenant", False)
        assert "'Unknown tenant'" in str(error)

    def test_with_nothing_but_a_message_and_401_is_of_the_client(self) -> None:
        error = refused({"message": "Invalid credentials"}, 401)

        assert type(error) is InvalidClient
        assert "'Invalid credentials'" in str(error)

    @pytest.mark.parametrize(
        ("nested", "code"),
        [
            ({"type": "OAuthException", "code": 190, "message": "Expired."}, "OAuthException"),
            ({"code": 401, "message": "Expired.", "status": "UNAUTHENTICATED"}, "401"),
            ({"status": "DENIED", "message": "Expired."}, "DENIED"),
            ({"message": "Expired."}, "error"),
        ],
    )
    def test_with_a_nested_error(self, nested: dict[str, Any], code: str) -> None:
        error = refused({"error": nested}, 400)

        assert (error.error, error.error_description) == (code, "Expired.")

    def test_with_a_nested_error_by_an_rfc_code_has_its_class(self) -> None:
        assert type(refused({"error": {"code": "invalid_client"}}, 400)) is InvalidClient

    @pytest.mark.parametrize("value", [["a"], 5, True, {"type": ["x"]}, {"type": {"a": "b"}}])
    def test_with_an_error_of_another_type_is_still_typed(self, value: Any) -> None:
        assert isinstance(refused({"error": value}, 400).error, str)

    @pytest.mark.parametrize("body", [b"", b"  \r\n", b"<p></p>"])
    def test_without_words_says_the_status(self, body: bytes) -> None:
        error = refused(body=body, status=404)

        assert error.error_description is None
        assert str(error).startswith(
            "Connection 'shop': the token endpoint refused the client_credentials grant with status 404. "
        )

    def test_in_a_form(self) -> None:
        error = refused(
            body=b"error=invalid_client&error_description=Nobody+here",
            status=400,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )

        assert type(error) is InvalidClient
        assert error.error_description == "Nobody here"

    @pytest.mark.parametrize("status", [408, 418, 499])
    def test_by_another_4xx_is_not_worth_repeating(self, status: int) -> None:
        assert refused(body=b"", status=status).retryable is False

    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 599])
    @pytest.mark.parametrize("grant", ["password", "client_credentials"])
    @pytest.mark.parametrize("code", ["invalid_client", "invalid_grant", None])
    def test_by_a_busy_server_is_worth_repeating(self, code: str | None, grant: str, status: int) -> None:
        error = refused({"error": code}, status, grant_type=grant)

        assert type(error) is TokenRequestError
        assert error.retryable is True
        assert not isinstance(error, AirflowFailException)

    @pytest.mark.parametrize("body", [b'{"error":' * 50_000, b"\x00\x01\x02\xff" * 100, b"[" * 100_000, b"9" * 100_000])
    def test_in_garbage_is_still_typed(self, body: bytes) -> None:
        error = refused(body=body, status=400)

        assert len(str(error)) < 1000
        assert str(error).isprintable()


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("0", 0),
            ("120", 120),
            (" 7 ", 7),
            ("Sun, 01 Mar 2026 12:00:30 GMT", 30),
            ("Sun, 01 Mar 2026 12:00:30 -0000", 30),
            ("Sun, 01 Mar 2026 13:00:30 +0100", 30),
            ("Sunday, 01-Mar-26 12:00:30 GMT", 30),
            ("Sun Mar  1 12:00:30 2026", 30),
            ("Sun, 01 Mar 2026 12:00:00 GMT", 0),
            ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
        ],
    )
    @pytest.mark.parametrize("status", [429, 503])
    def test_in_seconds_or_as_a_date(self, status: int, value: str, seconds: float) -> None:
        assert refused({}, status, {"retry-after": value}).retry_after == seconds

    @pytest.mark.parametrize(
        "value",
        ["", "soon", "-5", "1.5", "1e3", "²", "Sun, 99 Foo 2026 12:00:30 GMT", "Sun, 01 Mar 99999 12:00:00 GMT", "0x10"]
        + ["Sun, 01 Mar 2026 99:99:99 GMT", "Sun, 01 Mar 2026 12:00:30 +9999", ",", ":", "1 2 3", "9" * 5000],
    )
    def test_that_makes_no_sense_is_none(self, value: str) -> None:
        error = refused({}, 503, {"Retry-After": value})

        assert error.retry_after is None
        assert error.retryable is True

    def test_absent_is_none(self) -> None:
        assert refused({}, 429).retry_after is None


def spellings(secret: str) -> dict[str, str]:
    """Return ``secret`` as a server may echo it: plain, URL-encoded and base64, as several languages write these."""
    encoded = secret.encode()
    return {
        "plain": secret,
        "percent-encoded": quote(secret, safe=""),
        "percent-encoded with slashes": quote(secret),
        "form-encoded": quote_plus(secret),
        "percent-encoded in lower case": re.sub(r"%..", lambda code: code[0].lower(), quote(secret, safe="")),
        "base64": base64.b64encode(encoded).decode(),
        "base64url": base64.urlsafe_b64encode(encoded).decode(),
        "base64 without padding": base64.b64encode(encoded).decode().rstrip("="),
    }


SPELLINGS = tuple(spellings(""))


def assert_no_secret(error: OAuthError, *secrets: str) -> None:
    shown = "\n".join(
        [str(error), repr(error), repr(error.__dict__), repr(error.args), repr(exceptions.to_event(error))]
    )
    for secret in secrets:
        for form in spellings(secret).values():
            assert form not in shown


class TestSecretsThatTheServerEchoes:
    @pytest.mark.parametrize("spelling", SPELLINGS)
    @pytest.mark.parametrize("key", ["error", "error_description", "error_uri", "message", "detail", "hint", "title"])
    def test_are_not_quoted_from_json(self, key: str, spelling: str) -> None:
        secrets = (SECRET, USER_PASSWORD, PARAM_SECRET)
        echo = " and ".join(spellings(secret)[spelling] for secret in secrets)

        error = refused(
            {key: f"You sent {echo}!"}, 400, grant_type="password", secret_grant_params={"key": PARAM_SECRET}
        )

        assert_no_secret(error, *secrets)

    @pytest.mark.parametrize("status", [200, 401, 429, 500])
    @pytest.mark.parametrize("key", ["error", "error_description", "message"])
    def test_are_not_quoted_whatever_the_status(self, key: str, status: int) -> None:
        with pytest.raises(OAuthError) as raised:
            parse({key: f"You sent {SECRET}!"}, status)

        assert_no_secret(raised.value, SECRET)

    @pytest.mark.parametrize("spelling", SPELLINGS)
    def test_are_not_quoted_of_a_refresh(self, spelling: str) -> None:
        echo = spellings(REFRESH_TOKEN)[spelling]

        error = refused({"error": "invalid_grant", "error_description": f"<{echo}> is spent"}, 400, refresh=True)

        assert_no_secret(error, REFRESH_TOKEN)
        assert "is spent" in str(error)

    @pytest.mark.parametrize("status", [200, 400])
    @pytest.mark.parametrize("spelling", SPELLINGS[1:])
    def test_are_not_quoted_from_a_page(self, spelling: str, status: int) -> None:
        with pytest.raises(OAuthError) as raised:
            parse(
                body=f"<p>{spellings(SECRET)[spelling]}</p>".encode(),
                status=status,
                headers={"Content-Type": "text/html"},
            )

        assert_no_secret(raised.value, SECRET)

    def test_are_not_quoted_from_a_page_that_escapes_them(self) -> None:
        escaped = "fake/secret+é &quot;&amp;&lt;%"

        error = refused(body=f"<p>Your secret {escaped} is wrong</p>".encode(), status=400)

        assert escaped not in str(error)
        assert "fake/secret" not in str(error.__dict__)

    @pytest.mark.parametrize("escape", [lambda text: text, lambda text: text.replace("/", "\\/")], ids=["json", "php"])
    def test_are_not_quoted_from_json_that_has_no_known_shape(self, escape: Any) -> None:
        body = escape(json.dumps({"errors": [{"text": f"secret {SECRET} is wrong"}]})).encode()

        error = refused(body=body, status=400)

        assert "secret+" not in str(error.__dict__)
        assert "secret+" not in str(error)

    @pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_basic_raw"])
    def test_the_basic_header_is_not_quoted(self, method: str) -> None:
        header = grant_request(config(client_auth=method), now=SENT_AT).headers["Authorization"]

        error = refused({"error": "bad", "message": f"Cannot read {header}"}, 400, client_auth=method)

        assert header.removeprefix("Basic ").rstrip("=") not in str(error)
        assert header.removeprefix("Basic ").rstrip("=") not in repr(error.__dict__)

    @pytest.mark.parametrize("value", [["fake-listed-1", "fake-listed-2"], {"inner": "fake-listed-1"}])
    def test_a_secret_within_a_parameter_is_not_quoted(self, value: Any) -> None:
        error = refused({"message": "fake-listed-1 is wrong"}, 400, secret_grant_params={"keys": value})

        assert_no_secret(error, "fake-listed-1")

    def test_a_secret_cut_off_by_the_length_of_a_quote_is_not_quoted(self) -> None:
        error = refused({"message": "x" * 295 + PARAM_SECRET}, 400, secret_grant_params={"key": PARAM_SECRET})

        assert "fake" not in repr(error.__dict__)

    def test_the_token_of_an_answer_that_cannot_be_used_is_not_quoted(self) -> None:
        for content in (
            {"access_token": "fake-access", "token_type": "mac"},
            {"access_token": "fake access"},
            {"access_token": "fake-access", "error": "invalid_scope"},
            {"access_token": ["fake-access"], "message": "hello"},
        ):
            with pytest.raises(OAuthError) as raised:
                parse(content)
            assert "fake" not in str(raised.value)
            assert "fake" not in repr(raised.value.__dict__)

    @pytest.mark.parametrize("content_type", ["text/plain", "text/html; charset=UTF-8", "application/json", ""])
    @pytest.mark.parametrize(
        "body",
        [
            b"access_token=fake-access&token_type=bearer",
            b'{"access_token": "fake-access", "expires_in": 36',
            b"{'access_token': 'fake-access'}",
            b"fake-access",
        ],
        ids=["form", "cut-off json", "python", "bare"],
    )
    def test_the_token_of_an_answer_that_cannot_be_read_is_not_quoted(self, body: bytes, content_type: str) -> None:
        said = ""
        try:
            parse(body=body, headers={"Content-Type": content_type})
        except TokenResponseError as error:
            said = str(error)

        assert "fake-access" not in said


class TestWhatIsQuoted:
    @pytest.mark.parametrize("key", ["error", "error_description", "message", "error_uri"])
    def test_has_no_control_characters(self, key: str) -> None:
        error = refused({key: "one\r\ntwo\x1b[31m\x00 \u202ethree\u2028four"}, 400)

        quoted = " ".join(value for value in vars(error).values() if isinstance(value, str))
        assert str(error).isprintable()
        assert quoted.isprintable()

    @pytest.mark.parametrize("key", ["error", "error_description", "message", "error_uri"])
    def test_is_of_bearable_length(self, key: str) -> None:
        error = refused({key: "word " * 10_000}, 400)

        assert len(str(error)) < 1000
        assert all(len(value) <= 300 for value in vars(error).values() if isinstance(value, str))

    @pytest.mark.parametrize("error_uri", [None, 5, ["https://x"], ""])
    def test_has_no_error_uri_where_there_is_none(self, error_uri: Any) -> None:
        assert not refused({"error": "x", "error_uri": error_uri}, 400).error_uri
