"""Which record is stored next, without a store, a server or a clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_oauth.exceptions import ConsentRequired
from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.tokens.grant_state import GrantState
from airflow_provider_oauth.tokens.lease import TERM, Claim
from airflow_provider_oauth.tokens.next_record import (
    after_failure,
    after_forget,
    after_new_grant,
    after_renewal,
    first_generation,
)
from airflow_provider_oauth.tokens.record import Record, Refusal
from tests.connections import oauth_config
from tests.fake_clock import START

NOW = START + timedelta(minutes=30)
OLD = Token(access_token="old-access", issued_at=START, expires_at=START + timedelta(hours=1))
RECORD = Record(
    generation=5,
    nonce="old",
    used_refresh_tokens=("used",),
    tokens={"": OLD},
    refresh_token="old-refresh",
    refresh_expires_at=NOW + timedelta(days=1),
    subject="ada",
    refused=Refusal(error=ConsentRequired("refused"), until=NOW),
)
ISSUED = Token(
    access_token="new-access",
    issued_at=NOW,
    expires_at=NOW + timedelta(hours=1),
    refresh_token="new-refresh",
    subject="eve",
)


def state(record: Record | None = RECORD, grant_type: str = "authorization_code", **config: Any) -> GrantState:
    return GrantState(oauth_config(grant_type=grant_type, **config), record, "the Variable")


def claim(record: Record | None = RECORD) -> Claim:
    return Claim(nonce="new", record=record, exclusive=True, made_at=NOW, ends=TERM)


def test_a_renewal_replaces_tokens_and_refusal_and_keeps_the_user() -> None:
    record = after_renewal(state(), ISSUED, "new", NOW, used_refresh_token="old-refresh")
    assert record == Record(
        generation=6,
        nonce="new",
        used_refresh_tokens=("used",),
        tokens={"": replace(ISSUED, refresh_token=None, subject=None)},
        refresh_token="new-refresh",
        subject="ada",
    )


def test_the_first_record_has_generation_1_and_the_user_of_the_response() -> None:
    record = after_renewal(state(None), ISSUED, "new", NOW)
    assert (record.generation, record.subject) == (1, "eve")


def test_a_refresh_token_that_is_not_rotated_stays_with_its_expiry() -> None:
    issued = replace(ISSUED, refresh_token=None)
    record = after_renewal(state(), issued, "new", NOW, used_refresh_token="old-refresh")
    assert (record.refresh_token, record.refresh_expires_at) == ("old-refresh", RECORD.refresh_expires_at)


def test_a_token_of_another_scope_changes_neither_the_refresh_token_nor_the_own_token() -> None:
    record = after_renewal(state(grant_type="client_credentials", use_refresh=True), ISSUED, "new", NOW, key="read")
    assert set(record.tokens) == {"", "read"}
    assert (record.refresh_token, record.refresh_expires_at) == ("old-refresh", RECORD.refresh_expires_at)


@pytest.mark.parametrize(("minutes", "keys"), [(59, {"", "read"}), (60, {"read"})])
def test_expired_tokens_of_other_scopes_are_dropped(minutes: int, keys: set[str]) -> None:
    now = START + timedelta(minutes=minutes)
    record = after_renewal(state(grant_type="client_credentials"), ISSUED, "new", now, key="read")
    assert set(record.tokens) == keys


def test_a_single_use_token_is_not_stored_but_its_refresh_token_is() -> None:
    record = after_renewal(state(), replace(ISSUED, expires_at=NOW), "new", NOW)
    assert (record.tokens, record.refresh_token) == ({}, "new-refresh")


def test_a_record_of_another_client_loses_its_tokens() -> None:
    foreign = replace(RECORD, readable=False)
    record = after_renewal(state(foreign, "client_credentials"), ISSUED, "new", NOW, key="read")
    assert set(record.tokens) == {"read"}


def test_a_new_grant_replaces_the_user_and_starts_a_new_series_of_generations() -> None:
    record = after_new_grant(state(), ISSUED, claim(), NOW)
    assert (record.generation, record.nonce, record.subject) == (int(NOW.timestamp()), "new", "eve")
    assert (record.refresh_token, record.refused) == ("new-refresh", None)


def test_forget_keeps_only_the_fingerprints_of_used_refresh_tokens() -> None:
    assert after_forget(state(), claim()) == Record(
        generation=int(NOW.timestamp()), nonce="new", used_refresh_tokens=("used",)
    )


def test_the_first_generation_of_a_new_grant_is_higher_than_the_stored_one() -> None:
    high = 2**40
    assert first_generation(claim(replace(RECORD, generation=high))) == high + 1
    assert first_generation(claim(None)) == int(NOW.timestamp())


def test_a_failure_changes_only_the_nonce_and_the_refusal() -> None:
    assert after_failure(claim(), None) == replace(RECORD, nonce="new", refused=None)
    assert after_failure(claim(), RECORD.refused) == replace(RECORD, nonce="new")


@pytest.mark.parametrize("record", [None, Record(readable=False, corrupt=True)])
def test_a_failure_replaces_a_missing_or_corrupt_record_by_an_empty_one(record: Record | None) -> None:
    assert after_failure(claim(record), None) == Record(nonce="new")


def test_a_renewal_keeps_the_callback_values_and_a_new_grant_replaces_them() -> None:
    old = replace(RECORD, callback={"realmId": "1"})
    renewed = after_renewal(state(old), ISSUED, "new", NOW, used_refresh_token="old-refresh")
    granted = after_new_grant(state(old), replace(ISSUED, callback={"shop": "2"}), claim(old), NOW)

    assert renewed.callback == {"realmId": "1"}
    assert granted.callback == {"shop": "2"}
    assert [record.tokens[""].callback for record in (renewed, granted)] == [{}, {}]


def test_forget_deletes_the_callback_values_and_a_failure_keeps_them() -> None:
    old = replace(RECORD, callback={"realmId": "1"})

    assert after_forget(state(old), claim(old)).callback == {}
    assert after_failure(claim(old), None).callback == {"realmId": "1"}


def test_a_renewal_with_another_refresh_token_of_the_connection_has_no_callback_values() -> None:
    old = replace(RECORD, callback={"realmId": "1"})
    record = after_renewal(state(old, refresh_token="another"), ISSUED, "new", NOW, used_refresh_token="another")

    assert record.callback == {}
