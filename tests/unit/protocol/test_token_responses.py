"""Tokens in token responses."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from requests.structures import CaseInsensitiveDict

from airflow_provider_oauth.exceptions import (
    InvalidClient,
    InvalidScope,
    OAuthError,
    TokenResponseError,
)
from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.protocol.token_requests import code_request
from airflow_provider_oauth.protocol.token_responses import HttpResponse, parse_token_response
from tests.unit.protocol.responses import (
    SENT_AT,
    config,
    invalid_response,
    parse,
    refused,
)


def test_a_token_has_the_values_of_a_standard_response() -> None:
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


def test_a_token_has_defaults_for_values_missing_in_the_response() -> None:
    token = parse({"access_token": "fake-access"}, default_lifetime=1800)

    assert token == Token(access_token="fake-access", issued_at=SENT_AT, expires_at=SENT_AT + timedelta(seconds=1800))
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
def test_a_token_has_the_lifetime_that_the_server_sends(expires_in: Any, seconds: float) -> None:
    token = parse({"access_token": "fake-access", "expires_in": expires_in}, default_lifetime=1800)

    assert token.lifetime == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "expires_in",
    ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "true", "false", "null", '""', '"soon"', '"NaN"', '"inf"']
    + ["[3600]", '{"seconds": 3600}', "1" + "0" * 400, '"2026-03-01T13:00:00Z"'],
)
def test_a_token_has_the_default_lifetime_if_expires_in_is_invalid(expires_in: str) -> None:
    body = f'{{"access_token": "fake-access", "expires_in": {expires_in}}}'.encode()

    assert parse(body=body, default_lifetime=1800).lifetime == timedelta(seconds=1800)


@pytest.mark.parametrize("kind", [int, float, str])
def test_a_token_expires_at_the_unix_time_that_the_server_sends(kind: Any) -> None:
    epoch = kind(int((SENT_AT + timedelta(hours=2)).timestamp()))

    assert parse({"access_token": "fake-access", "expires_in": epoch}).expires_at == SENT_AT + timedelta(hours=2)


def test_a_token_with_a_unix_time_in_the_past_is_single_use() -> None:
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
def test_a_token_of_a_code_without_expires_in_and_refresh_token_never_expires(
    content: dict[str, Any], never: bool
) -> None:
    settings = config(grant_type="authorization_code")
    request = code_request(settings, "fake-code", "https://airflow.example.com/callback", "fake-verifier", now=SENT_AT)
    body = json.dumps({"access_token": "fake-access"} | content).encode()
    response = HttpResponse(status_code=200, headers=CaseInsensitiveDict(), body=body, sent_at=SENT_AT)

    assert (parse_token_response(settings, request, response).expires_at is None) is never


@pytest.mark.parametrize("grant_type", ["client_credentials", "password", "refresh_token", "authorization_code"])
def test_a_token_of_any_other_request_without_expires_in_has_the_default_lifetime(grant_type: str) -> None:
    refresh = grant_type in ("refresh_token", "authorization_code")  # the sent refresh token stays valid
    token = parse({"access_token": "fake-access"}, grant_type=grant_type, refresh=refresh, default_lifetime=1800)

    assert token.lifetime == timedelta(seconds=1800)


@pytest.mark.parametrize("name", ["refresh_expires_in", "refresh_token_expires_in"])
@pytest.mark.parametrize(
    ("value", "seconds"),
    [(172800, 172800), ("172800", 172800), ("172800.5", 172800.5), (3650 * 86400, 3650 * 86400)],
)
def test_a_token_has_the_expiry_of_its_refresh_token(name: str, value: Any, seconds: float) -> None:
    token = parse({"access_token": "fake-access", "refresh_token": "fake-new", name: value})

    assert token.refresh_expires_at == SENT_AT + timedelta(seconds=seconds)


@pytest.mark.parametrize("value", [0, "0", -1, "", "soon", None, True, [60], "NaN", "1e400", 3650 * 86400 + 1, 1e300])
def test_a_token_has_no_expiry_of_its_refresh_token_if_the_value_is_invalid(value: Any) -> None:
    content = {"access_token": "fake-access", "refresh_token": "fake-new", "refresh_expires_in": value}

    assert parse(content).refresh_expires_at is None
    assert parse(content, refresh_lifetime=60).refresh_expires_at == SENT_AT + timedelta(seconds=60)


def test_a_token_has_the_expiry_of_its_refresh_token_from_a_unix_time() -> None:
    epoch = int((SENT_AT + timedelta(days=2)).timestamp())
    token = parse({"access_token": "fake-access", "refresh_token": "fake-new", "refresh_expires_in": epoch})

    assert token.refresh_expires_at == SENT_AT + timedelta(days=2)


@pytest.mark.parametrize(
    ("content", "seconds"),
    [({}, 60), ({"refresh_expires_in": 90}, 90), ({"refresh_expires_in": 0, "refresh_token_expires_in": 90}, 90)],
)
@pytest.mark.parametrize("rotated", [{}, {"refresh_token": "fake-new"}])
def test_a_token_of_a_refresh_has_the_new_expiry_of_the_refresh_token(
    content: dict[str, Any], seconds: int, rotated: dict[str, str]
) -> None:
    token = parse({"access_token": "fake-access", **content, **rotated}, refresh=True, refresh_lifetime=60)

    assert token.refresh_expires_at == SENT_AT + timedelta(seconds=seconds)


def test_a_token_without_a_refresh_token_has_no_expiry_of_one() -> None:
    content = {"access_token": "fake-access", "refresh_expires_in": 90}

    assert parse(content, refresh_lifetime=60).refresh_expires_at is None


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
def test_a_token_has_the_granted_scope(scope: Any, granted: str | None) -> None:
    assert parse({"access_token": "fake-access", "scope": scope}).scope == granted


def test_a_token_has_the_granted_scope_with_the_servers_separator() -> None:
    assert parse({"access_token": "t", "scope": "read,write"}, scope_separator=",").scope == "read write"
    assert parse({"access_token": "t", "scope": "read,write"}).scope == "read,write"
    assert parse({"access_token": "t", "scope": "read write"}, scope_separator=",").scope == "read write"


@pytest.mark.parametrize("refresh_token", [None, "", 5, ["fake"], {"value": "fake"}])
def test_a_token_has_no_refresh_token_if_the_response_has_none(refresh_token: Any) -> None:
    assert parse({"access_token": "fake-access", "refresh_token": refresh_token}).refresh_token is None


@pytest.mark.parametrize("token_type", ["mac", "MAC", "pop", "DPoP"])
def test_a_token_of_a_type_with_signatures_is_rejected(token_type: str) -> None:
    error = invalid_response({"access_token": "fake-access", "token_type": token_type})

    assert token_type in str(error)
    assert "signature" in str(error)
    assert "'shop'" in str(error)


@pytest.mark.parametrize("token_type", ["Bearer", "bearer", "BearerToken", "JWT", "N_A"])
def test_a_token_of_another_type_is_a_bearer_token(token_type: str) -> None:
    assert parse({"access_token": "fake-access", "token_type": token_type}).access_token == "fake-access"


@pytest.mark.parametrize("token_type", [None, 5, ["Bearer"]])
def test_a_token_without_a_type_is_a_bearer_token(token_type: Any) -> None:
    assert parse({"access_token": "fake-access", "token_type": token_type}).token_type == "Bearer"


@pytest.mark.parametrize("error", [None, "", False, 0, {}, []])
def test_a_token_is_accepted_if_the_response_has_an_empty_error(error: Any) -> None:
    assert parse({"access_token": "fake-access", "error": error}).access_token == "fake-access"


def test_a_token_with_status_201_is_accepted() -> None:
    assert parse({"access_token": "fake-access"}, 201).access_token == "fake-access"


def test_a_token_in_json_with_another_content_type_is_accepted() -> None:
    token = parse({"access_token": "fake-access"}, headers={"Content-Type": "text/html; charset=utf-8"})

    assert token.access_token == "fake-access"


def test_a_token_in_json_with_a_byte_order_mark_is_accepted() -> None:
    assert parse(body=b'\xef\xbb\xbf{"access_token": "fake-access"}').access_token == "fake-access"


@pytest.mark.parametrize(
    "content_type",
    ["application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=utf-8"]
    + ["Application/X-WWW-Form-Urlencoded"],  # RFC 9110 section 8.3.1: media types are case-insensitive
)
def test_a_token_in_a_form_is_accepted(content_type: str) -> None:
    token = parse(
        body=b"access_token=fake%2Baccess&expires_in=60&scope=read%2Cwrite&token_type=bearer",
        headers={"content-type": content_type},
        scope_separator=",",
    )

    assert (token.access_token, token.scope, token.token_type) == ("fake+access", "read write", "bearer")
    assert token.lifetime == timedelta(seconds=60)


def test_the_repr_of_a_token_contains_no_secret() -> None:
    shown = repr(parse({"access_token": "fake-access", "refresh_token": "fake-new"}))

    assert "fake" not in shown


RESPONSE_MAP = {
    "access_token": "data.token",
    "expires_in": "data.ttl",
    "refresh_token": "data.again[0]",
    "scope": "data.scopes[].name",
    "base_url": "instance_url",
    "token_type": "data.kind",
}


def test_a_response_map_maps_members_to_the_names_of_rfc_6749() -> None:
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

    token = parse(content, response_map=RESPONSE_MAP)

    assert token == Token(
        access_token="fake-access",
        token_type="Token",
        issued_at=SENT_AT,
        expires_at=SENT_AT + timedelta(seconds=60),
        refresh_token="fake-new",
        scope="read write",
        base_url="https://eu7.example.com",
    )


def test_a_response_map_keeps_standard_members_that_it_does_not_map() -> None:
    token = parse({"token": "fake-access", "expires_in": 60, "scope": "read"}, response_map={"access_token": "token"})

    assert (token.access_token, token.lifetime, token.scope) == ("fake-access", timedelta(seconds=60), "read")


def test_a_response_map_reads_a_response_that_is_a_list() -> None:
    assert parse([{"t": "fake-access"}], response_map={"access_token": "[0].t"}).access_token == "fake-access"


@pytest.mark.parametrize("content", [{}, [], "text", None, 5, {"data": None}, {"data": []}, {"data": "text"}])
def test_a_response_map_that_finds_nothing_is_an_error(content: Any) -> None:
    invalid_response(content, response_map=RESPONSE_MAP)


def test_a_response_map_maps_the_error() -> None:
    content = {"fault": {"id": "invalid_client", "text": "who are you"}}

    error = refused(content, 400, response_map={"error": "fault.id", "error_description": "fault.text"})

    assert type(error) is InvalidClient
    assert error.error_description == "who are you"


def test_a_response_map_for_an_error_does_not_hide_a_standard_error() -> None:
    error = refused({"error": "invalid_scope"}, 400, response_map={"error": "fault.id"})

    assert type(error) is InvalidScope


@pytest.mark.parametrize("path", ["to_number(data.ttl)", "length(data.ttl)", "keys(data.ttl)[0]"])
def test_a_response_map_with_a_function_that_does_not_fit_the_response_is_an_oauth_error(path: str) -> None:
    with pytest.raises(OAuthError) as raised:
        parse({"data": {"ttl": None}}, response_map={"access_token": path})
    assert "'shop'" in str(raised.value)


@pytest.mark.parametrize("base_url", [None, "", 5, ["https://eu7.example.com"]])
def test_a_response_map_that_finds_no_base_url_keeps_the_connections(base_url: Any) -> None:
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
def test_an_unsafe_base_url_is_rejected(base_url: str) -> None:
    invalid_response({"access_token": "fake-access", "url": base_url}, response_map={"base_url": "url"})


@pytest.mark.parametrize("base_url", ["http://localhost:8080/v1", "http://127.0.0.1"])
def test_a_base_url_on_this_machine_may_be_plain_http(base_url: str) -> None:
    token = parse({"access_token": "fake-access", "url": base_url}, response_map={"base_url": "url"})

    assert token.base_url == base_url


def test_a_base_url_may_be_plain_http_with_allow_http() -> None:
    token = parse(
        {"access_token": "fake-access", "url": "http://api.internal"},
        response_map={"base_url": "url"},
        allow_http=True,
    )

    assert token.base_url == "http://api.internal"


HOSTS = ("*.my.example.com", "login.example.com")
SALESFORCE = {"response_map": {"base_url": "url"}, "api_hosts": HOSTS, "vendor_label": "Acme CRM"}


@pytest.mark.parametrize(
    "host", ["eu7.my.example.com", "a.b.my.example.com", "EU7.My.Example.com:8443", "login.example.com"]
)
def test_a_base_url_may_have_the_hosts_of_the_vendor(host: str) -> None:
    token = parse({"access_token": "fake-access", "url": f"https://{host}/v1"}, **SALESFORCE)

    assert token.base_url == f"https://{host}/v1"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example.com",
        "my.example.com",
        ".my.example.com",
        "evilmy.example.com",
        "a.my.example.com.evil.com",
        "a.my.example.com.",
        "a.login.example.com",
        "*.my.example.com",
        "evil%2f.my.example.com",
        "\u0435.my.example.com",
        "[::1]",
    ],
)
def test_a_base_url_with_another_host_is_rejected(host: str) -> None:
    invalid_response({"access_token": "fake-access", "url": f"https://{host}/v1"}, **SALESFORCE)


def test_the_error_about_a_base_url_names_the_host_and_the_vendor() -> None:
    with pytest.raises(TokenResponseError) as error:
        parse({"access_token": "fake-access", "url": "https://evil.com/fake-access"}, **SALESFORCE)

    assert str(error.value) == (
        "Connection 'shop': the token endpoint of Acme CRM responded with the base_url of the host 'evil.com', which "
        "does not belong to Acme CRM (*.my.example.com, login.example.com). The token was not used, because it would "
        "be sent to this host. Check Token URL. (URL: https://login.example.com/token)"
    )
