"""The connection's own parameters and headers in token requests."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_oauth.protocol.token_requests import (
    grant_request,
    refresh_request,
    revocation_request,
)
from tests.fake_clock import START
from tests.unit.protocol.test_token_requests import (
    AUTHORIZATION,
    CLIENT_SECRET,
    ENCODED_BASIC,
    GRANTS,
    RAW_BASIC,
    REFRESH_TOKEN,
    USER_PASSWORD,
    multipart,
    plain,
    request_for,
)


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
def test_grant_parameters_can_have_values_of_every_json_type(field: str, value: Any, form: bytes, in_json: str) -> None:
    as_form = grant_request(plain(**{field: {"extra": value}}), now=START)
    as_json = grant_request(plain(body_format="json", **{field: {"extra": value}}), now=START)

    assert as_form.body == b"grant_type=client_credentials&extra=" + form
    assert as_json.body == f'{{"grant_type":"client_credentials","extra":{in_json}}}'.encode()


def test_a_list_is_a_repeated_field_in_a_form_and_an_array_in_json() -> None:
    params = {"resource": ["urn:a", "urn:b"], "n": [1, True, "x"], "empty": []}

    assert grant_request(plain(grant_params=params), now=START).body == (
        b"grant_type=client_credentials&resource=urn%3Aa&resource=urn%3Ab&n=1&n=true&n=x"
    )
    assert json.loads(grant_request(plain(grant_params=params, body_format="json"), now=START).body) == {
        "grant_type": "client_credentials",
        **params,
    }


def test_a_list_is_a_repeated_part_in_multipart() -> None:
    request = grant_request(plain(grant_params={"n": [1, True, "x"]}, body_format="multipart"), now=START)

    assert request.body == multipart(
        request, [("grant_type", "client_credentials"), ("n", "1"), ("n", "true"), ("n", "x")]
    )


@pytest.mark.parametrize("body_format", ["form", "json", "query"])
def test_the_scope_of_a_call_takes_precedence_over_a_grant_parameter(body_format: str) -> None:
    settings = plain(grant_params={"scope": "read"}, body_format=body_format)

    assert b"read" not in grant_request(settings, "write", now=START).body
    assert "read" not in grant_request(settings, "write", now=START).url


def test_grant_parameters_are_not_changed_by_a_request() -> None:
    params: dict[str, Any] = {"a": "1"}
    settings = plain(grant_params=params, client_auth="client_secret_post", scope="read")

    assert grant_request(settings, now=START).body == grant_request(settings, now=START).body
    assert params == {"a": "1"}


@pytest.mark.parametrize("name", ["Content-Type", "content-type", "CONTENT-TYPE"])
@pytest.mark.parametrize("client_auth", AUTHORIZATION)
def test_grant_headers_may_repeat_the_content_type_which_is_sent_once(client_auth: str, name: str) -> None:
    own = {name: "Application/X-WWW-Form-Urlencoded; charset=utf-8"}
    headers = grant_request(plain(client_auth=client_auth, grant_headers=own), now=START).headers

    assert [value for key, value in headers.items() if key.lower() == "content-type"] == [
        "application/x-www-form-urlencoded"
    ]


@pytest.mark.parametrize("name", ["Accept", "accept", "ACCEPT"])
def test_grant_headers_may_replace_accept(name: str) -> None:
    headers = grant_request(plain(grant_headers={name: "application/vnd.example+json"}), now=START).headers

    assert [value for key, value in headers.items() if key.lower() == "accept"] == ["application/vnd.example+json"]


def test_grant_headers_are_sent_with_every_grant_and_with_a_refresh() -> None:
    settings = plain(grant_headers={"X-Tenant": "t1"})

    assert grant_request(settings, now=START).headers["X-Tenant"] == "t1"
    assert refresh_request(settings, "fake-refresh", now=START).headers["X-Tenant"] == "t1"


def test_secret_grant_headers_are_sent_like_grant_headers() -> None:
    settings = plain(
        grant_headers={"X-Tenant": "t1"},
        secret_grant_headers={"X-Key": "fake-key"},
        revoke_url="https://login.example.com/revoke",
    )

    for request in (
        grant_request(settings, now=START),
        refresh_request(settings, "fake-refresh", now=START),
        revocation_request(settings, "fake-token", "access_token", now=START),
    ):
        assert request.headers == {
            "Accept": "application/json",
            "Authorization": "Basic YXBwOmZha2Utc2VjcmV0",
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Tenant": "t1",
            "X-Key": "fake-key",
        }
        assert "fake-key" in request.secrets
        assert "fake-key" not in repr(request)


def test_a_secret_grant_header_may_replace_accept_or_authorize_a_public_client() -> None:
    own = {"accept": "text/plain", "Authorization": "Basic fake-other"}

    request = grant_request(plain(client_auth="none", client_id=None, secret_grant_headers=own), now=START)

    assert request.headers == {**own, "Content-Type": "application/x-www-form-urlencoded"}


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
