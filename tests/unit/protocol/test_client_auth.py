from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_oauth.protocol.client_auth import CLIENT_AUTH, basic


def applied(method: str, client_id: str | None, client_secret: str | None) -> tuple[dict[str, str], dict[str, Any]]:
    headers: dict[str, str] = {"Accept": "a"}
    fields: dict[str, Any] = {"grant_type": "g"}
    CLIENT_AUTH[method].apply(client_id, client_secret, headers, fields)
    assert headers.pop("Accept") == "a"
    assert fields.pop("grant_type") == "g"
    return headers, fields


def test_the_methods_are_these() -> None:
    assert list(CLIENT_AUTH) == ["client_secret_basic", "client_secret_basic_raw", "client_secret_post", "none"]


def test_rfc_6749s_own_example_of_basic() -> None:
    headers, fields = applied("client_secret_basic", "s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw")

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
def test_basic_encodes_both_parts_first_and_raw_does_not(
    client_id: str, client_secret: str, encoded: str, raw: str
) -> None:
    assert applied("client_secret_basic", client_id, client_secret) == ({"Authorization": f"Basic {encoded}"}, {})
    assert applied("client_secret_basic_raw", client_id, client_secret) == ({"Authorization": f"Basic {raw}"}, {})


def test_post_sends_both_as_they_are() -> None:
    assert applied("client_secret_post", "a:b", "fake %3D") == ({}, {"client_id": "a:b", "client_secret": "fake %3D"})


def test_none_says_the_name_only() -> None:
    assert applied("none", "app", "fake-secret") == ({}, {"client_id": "app"})


@pytest.mark.parametrize("client_id", [None, ""])
def test_none_without_a_name_says_nothing(client_id: str | None) -> None:
    assert applied("none", client_id, None) == ({}, {})


def test_a_long_secret_stays_on_one_line() -> None:
    assert "\n" not in basic("a", "x" * 500)
