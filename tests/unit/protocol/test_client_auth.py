from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_oauth.protocol.client_auth import CLIENT_AUTH, ClientAuthContext, basic
from airflow_provider_oauth.protocol.client_check import CLIENT_AUTH_METHODS
from airflow_provider_oauth.protocol.credentials import NO_CREDENTIALS
from tests.connections import oauth_config
from tests.fake_clock import START


def apply(method: str, client_id: str | None, client_secret: str | None) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the headers and fields that a method adds."""
    headers: dict[str, str] = {"Accept": "a"}
    fields: dict[str, Any] = {"grant_type": "g"}
    config = oauth_config(client_auth="none", client_id=client_id, client_secret=client_secret)
    context = ClientAuthContext(config=config, credentials=NO_CREDENTIALS, now=START)
    CLIENT_AUTH[method].apply(context, headers, fields)
    assert headers.pop("Accept") == "a"
    assert fields.pop("grant_type") == "g"
    return headers, fields


def test_a_connection_accepts_the_methods_that_have_a_class() -> None:
    assert tuple(CLIENT_AUTH) == CLIENT_AUTH_METHODS


def test_client_secret_basic_sends_the_header_of_the_example_in_rfc_6749() -> None:
    headers, fields = apply("client_secret_basic", "s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw")

    assert headers == {"Authorization": "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3"}
    assert fields == {}


@pytest.mark.parametrize(
    ("client_id", "client_secret", "encoded", "raw"),
    [
        ("a:b", "c:d", "YSUzQWI6YyUzQWQ=", "YTpiOmM6ZA=="),  # a%3Ab:c%3Ad  a:b:c:d
        ("a b", "c+d", "YStiOmMlMkJk", "YSBiOmMrZA=="),  # a+b:c%2Bd  a b:c+d
        ("é", "%3D", "JUMzJUE5OiUyNTNE", "w6k6JTNE"),  # %C3%A9:%253D  é:%3D
        ("a-._~*", "x", "YS0uX34lMkE6eA==", "YS0uX34qOng="),  # a-._~%2A:x  a-._~*:x
        ("a", "", "YTo=", "YTo="),
    ],
)
def test_client_secret_basic_form_encodes_both_parts_and_the_raw_method_does_not(
    client_id: str, client_secret: str, encoded: str, raw: str
) -> None:
    assert apply("client_secret_basic", client_id, client_secret) == ({"Authorization": f"Basic {encoded}"}, {})
    assert apply("client_secret_basic_raw", client_id, client_secret) == ({"Authorization": f"Basic {raw}"}, {})


def test_client_secret_post_sends_both_in_the_body() -> None:
    assert apply("client_secret_post", "a:b", "fake %3D") == ({}, {"client_id": "a:b", "client_secret": "fake %3D"})


def test_none_sends_only_the_client_id() -> None:
    assert apply("none", "app", "fake-secret") == ({}, {"client_id": "app"})


def test_tls_client_auth_sends_only_the_client_id() -> None:
    assert apply("tls_client_auth", "app", "fake-secret") == ({}, {"client_id": "app"})


@pytest.mark.parametrize("client_id", [None, ""])
def test_none_without_a_client_id_sends_nothing(client_id: str | None) -> None:
    assert apply("none", client_id, None) == ({}, {})


def test_the_header_of_a_long_secret_has_no_line_break() -> None:
    assert "\n" not in basic("a", "x" * 500)
