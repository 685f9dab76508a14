from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_oauth.protocol.client_auth import CLIENT_AUTH, ClientAuthContext, basic
from airflow_provider_oauth.protocol.credentials import NO_CREDENTIALS
from airflow_provider_oauth.protocol.token_requests import grant_request, refresh_request, revocation_request
from tests.connections import TOKEN_URL, oauth_config
from tests.fake_clock import START


def context(client_id: str | None, client_secret: str | None) -> ClientAuthContext:
    return ClientAuthContext(
        client_id=client_id,
        client_secret=client_secret,
        endpoint=TOKEN_URL,
        audience=TOKEN_URL,
        now=START,
        config=oauth_config(),
        credentials=NO_CREDENTIALS,
    )


def apply(method: str, client_id: str | None, client_secret: str | None) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the headers and fields that a method adds."""
    headers: dict[str, str] = {"Accept": "a"}
    fields: dict[str, Any] = {"grant_type": "g"}
    CLIENT_AUTH[method].apply(context(client_id, client_secret), headers, fields)
    assert headers.pop("Accept") == "a"
    assert fields.pop("grant_type") == "g"
    return headers, fields


def test_these_methods_are_supported() -> None:
    assert set(CLIENT_AUTH) == {
        "client_secret_basic",
        "client_secret_basic_raw",
        "client_secret_post",
        "tls_client_auth",
        "none",
    }


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


class Recorder:
    """A method that adds nothing and records what it receives."""

    def __init__(self) -> None:
        self.contexts: list[ClientAuthContext] = []

    def apply(self, context: ClientAuthContext, headers: Any, fields: Any) -> None:
        self.contexts.append(context)


@pytest.mark.parametrize(
    ("issuer", "audience"), [("https://login.example.com", "https://login.example.com"), (None, TOKEN_URL)]
)
def test_a_method_receives_what_it_needs_to_sign(
    monkeypatch: pytest.MonkeyPatch, issuer: str | None, audience: str
) -> None:
    method = Recorder()
    monkeypatch.setitem(CLIENT_AUTH, "client_secret_post", method)
    config = oauth_config(
        refresh_url="https://login.example.com/refresh",
        revoke_url="https://login.example.com/revoke",
        issuer=issuer,
        client_auth="client_secret_post",
    )

    grant_request(config, now=START)
    refresh_request(config, "fake-refresh", now=START)
    revocation_request(config, "fake-refresh", "refresh_token", now=START)

    assert [each.endpoint for each in method.contexts] == [TOKEN_URL, config.refresh_url, config.revoke_url]
    for each in method.contexts:
        assert (each.client_id, each.client_secret, each.audience, each.now) == ("app", "fake-secret", audience, START)
        assert "fake" not in repr(each)
