"""What a record means for a connection, without a store, a server or a clock."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_oauth.exceptions import ConfigurationError, ConsentRequired, InvalidClient
from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.tokens.grant_state import MAX_USED_REFRESH_TOKENS, GrantState
from airflow_provider_oauth.tokens.record import Record, Refusal, fingerprint
from tests.connections import oauth_config
from tests.fake_clock import START

TOKEN = Token(access_token="fake-access", issued_at=START, expires_at=START + timedelta(hours=1))
FOREVER = replace(TOKEN, expires_at=None)
EXPIRES_AT = START + timedelta(days=30)
RECORD = Record(
    generation=5, nonce="n", tokens={"": TOKEN}, refresh_token="fake-refresh", refresh_expires_at=EXPIRES_AT
)


def state(record: Record | None, **config: Any) -> GrantState:
    return GrantState(oauth_config(**config), record, "the Variable", "https://airflow.test/oauth")


def authorized(record: Record | None, **config: Any) -> GrantState:
    """Return the state of a connection that a user authorizes."""
    return state(record, grant_type="authorization_code", **config)


def configured(record: Record | None, refresh_token: str | None = "fake-own") -> GrantState:
    """Return the state of a connection that has a refresh token of its own."""
    return state(record, grant_type="refresh_token", refresh_token=refresh_token)


def used(*refresh_tokens: str) -> tuple[str, ...]:
    return tuple(fingerprint("shop", each) for each in refresh_tokens)


def test_a_state_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        authorized(RECORD).record = None  # type: ignore[misc]


def test_a_state_does_not_show_tokens() -> None:
    text = repr(authorized(RECORD))
    assert "fake-access" not in text
    assert "fake-refresh" not in text


@pytest.mark.parametrize(
    ("record", "matches"),
    [
        (None, False),
        (RECORD, True),
        (replace(RECORD, readable=False), False),
        (Record(corrupt=True, readable=False), False),
    ],
)
def test_a_record_matches_if_it_could_be_decrypted(record: Record | None, matches: bool) -> None:
    assert authorized(record).matches_connection is matches
    assert authorized(record).token() == (TOKEN if matches else None)


@pytest.mark.parametrize(("own", "matches"), [("fake-own", True), ("fake-other", False), (None, True)])
def test_a_record_matches_only_the_refresh_token_that_was_used_to_get_it(own: str | None, matches: bool) -> None:
    record = replace(RECORD, used_refresh_tokens=used("fake-own"))
    assert configured(record, own).matches_connection is matches


def test_each_scope_has_its_own_token() -> None:
    both = replace(RECORD, tokens={"": TOKEN, "read": FOREVER})
    assert state(both).token("read") == FOREVER
    assert state(both).token("write") is None


@pytest.mark.parametrize(
    ("config", "key", "uses"),
    [
        ({"grant_type": "authorization_code"}, "", True),
        ({}, "", False),
        ({"use_refresh": True}, "", True),
        ({"use_refresh": True}, "read", False),
    ],
)
def test_a_renewal_uses_a_refresh_token_if_the_grant_requires_one_or_use_refresh_is_on(
    config: dict[str, Any], key: str, uses: bool
) -> None:
    assert state(RECORD, **config).uses_refresh_token(key) is uses
    assert state(RECORD, **config).refresh_token(key) == ("fake-refresh" if uses else None)


def test_the_connections_own_refresh_token_is_used_only_once() -> None:
    assert configured(None).refresh_token() == "fake-own"
    assert configured(RECORD).refresh_token() == "fake-own"
    assert configured(replace(RECORD, used_refresh_tokens=used("fake-own"))).refresh_token() == "fake-refresh"


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (None, "no refresh token is stored yet"),
        (Record(readable=False, corrupt=True), "the Variable is corrupt. Delete it"),
        (replace(RECORD, readable=False), "were stored for a different client"),
        (replace(RECORD, refresh_token=None), "no refresh token is stored, because"),
        (replace(RECORD, refresh_token=None, tokens={"": FOREVER}), "the API refused the access token"),
    ],
)
def test_without_a_usable_refresh_token_the_error_says_why_and_what_to_do(record: Record | None, problem: str) -> None:
    with pytest.raises(ConsentRequired) as caught:
        authorized(record).refresh_token()
    text = str(caught.value)
    assert text.startswith("Connection 'shop': ")
    assert problem in text
    assert text.endswith("open https://airflow.test/oauth, or run airflow oauth authorize shop.")


@pytest.mark.parametrize(
    ("record", "needs_consent"),
    [
        (None, True),
        (RECORD, False),
        (replace(RECORD, refresh_token=None), True),
        (replace(RECORD, refresh_token=None, tokens={"": FOREVER}), False),
        (replace(RECORD, refused=Refusal(error=ConsentRequired("refused"), until=START)), True),
        (replace(RECORD, refused=Refusal(error=InvalidClient("refused"), until=START)), False),
    ],
)
def test_consent_is_needed_if_no_refresh_token_is_usable_and_no_token_never_expires(
    record: Record | None, needs_consent: bool
) -> None:
    assert authorized(record).needs_consent is needs_consent
    assert not state(record).needs_consent, "a repeatable grant never needs consent"


def test_consent_is_needed_when_the_refresh_token_expires() -> None:
    assert authorized(RECORD).consent_by == EXPIRES_AT
    assert authorized(replace(RECORD, refresh_token=None)).consent_by is None
    assert authorized(replace(RECORD, refresh_expires_at=None)).consent_by is None
    assert state(RECORD, use_refresh=True).consent_by is None


def test_a_token_that_never_expires_cannot_be_renewed() -> None:
    authorized(RECORD).check_is_renewable()
    with pytest.raises(ConsentRequired, match="never expires and has no refresh token, so it cannot be renewed"):
        authorized(replace(RECORD, refresh_token=None, tokens={"": FOREVER})).check_is_renewable()


def test_refresh_tokens_are_revoked_first() -> None:
    assert configured(RECORD).tokens_to_revoke() == [
        ("fake-own", "refresh_token"),
        ("fake-refresh", "refresh_token"),
        ("fake-access", "access_token"),
    ]


def test_a_used_refresh_token_is_not_revoked() -> None:
    tokens = configured(replace(RECORD, used_refresh_tokens=used("fake-own"))).tokens_to_revoke()
    assert [token for token, _ in tokens] == ["fake-refresh", "fake-access"]


def test_tokens_that_cannot_be_decrypted_cannot_be_revoked() -> None:
    with pytest.raises(ConfigurationError, match="Connection 'shop': the tokens in .* cannot be revoked"):
        authorized(replace(RECORD, readable=False)).tokens_to_revoke()


def test_the_current_refresh_token_is_the_last_of_the_used_ones() -> None:
    record = replace(RECORD, used_refresh_tokens=used("fake-own", "fake-second"))
    assert configured(record).used_refresh_tokens == used("fake-second", "fake-own")
    assert authorized(record).used_refresh_tokens == used("fake-own", "fake-second")
    many = used(*(f"fake-{number}" for number in range(MAX_USED_REFRESH_TOKENS)))
    assert configured(replace(RECORD, used_refresh_tokens=many)).used_refresh_tokens == (*many[1:], *used("fake-own"))
