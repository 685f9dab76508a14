"""Renewals while the file with the private key is replaced, with several processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_oauth.exceptions import RecordLocked
from airflow_provider_oauth.protocol.token import Token
from tests.unit.runtime.rotation import NAME, stored
from tests.unit.tokens.rotation_world import RotationWorld
from tests.unit.tokens.world import LIFETIME, World

if TYPE_CHECKING:
    from pathlib import Path

LEASE = "oauth_lease__shop"


@pytest.fixture
def world(tmp_path: Path, variables: dict[str, str]) -> RotationWorld:
    found = RotationWorld(tmp_path, variables)
    found.source("first", "A")
    found.consent("first")
    return found


def expire(world: World) -> None:
    world.clock.advance(LIFETIME)


def test_hosts_with_the_old_and_the_new_file_renew_in_turn(world: RotationWorld) -> None:
    world.source("both", "B A").token()
    world.source("second", "B")
    for number in range(1, 7):
        expire(world)
        assert world.source(("first", "second")[number % 2]).token().access_token == f"token-{number}"

    assert world.used == [f"refresh-{number}" for number in range(6)]


def test_a_task_with_both_keys_stores_the_tokens_for_the_new_key_without_a_renewal(world: RotationWorld) -> None:
    with pytest.raises(RecordLocked):
        world.source("second", "B").token()
    both = world.source("both", "B A")

    assert both.token().access_token == "access-of-refresh-0"
    assert world.source("second").token().access_token == "access-of-refresh-0"
    assert world.endpoint.requests == []
    assert stored(world.variables)["nonce"] == world.variables[LEASE]


def test_a_task_stores_nothing_if_the_tokens_are_stored_for_its_key(world: RotationWorld) -> None:
    before, seconds = dict(world.variables), world.clock.seconds
    world.source("first").token()

    assert (world.variables, world.clock.seconds) == (before, seconds)


def test_a_task_stores_nothing_if_another_one_stores_the_tokens_for_its_key_first(world: RotationWorld) -> None:
    other = world.host("other", "B A")
    world.clock.on_sleep = lambda: other.write_back(world.variables[LEASE])
    lease = world.variables[LEASE]

    assert world.source("both", "B A").token().access_token == "access-of-refresh-0"
    assert world.variables[LEASE] == lease
    assert len(stored(world.variables)["wrapped_keys"]) == 2


def test_a_task_with_both_keys_uses_the_token_while_another_process_has_a_claim(world: RotationWorld) -> None:
    world.variables[LEASE] = "claim of another process"

    assert world.source("both", "B A").token().access_token == "access-of-refresh-0"
    assert len(stored(world.variables)["wrapped_keys"]) == 1


def test_a_task_with_both_keys_uses_the_token_if_nothing_can_be_stored(
    world: RotationWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise OSError

    monkeypatch.setattr("airflow_provider_oauth.runtime.airflow_variables.set_variable", fail)

    assert world.source("both", "B A").token().access_token == "access-of-refresh-0"
    assert "The stored tokens are not yet encrypted with the new private key." in caplog.text


def test_a_token_that_never_expires_is_stored_for_the_new_key(tmp_path: Path, variables: dict[str, str]) -> None:
    world = RotationWorld(tmp_path, variables)
    now = world.clock.now()
    world.source("first", "A").actions.store_grant(Token(access_token="access", issued_at=now, expires_at=None))
    world.source("both", "B A").token()

    assert world.source("second", "B").token().access_token == "access"


def test_a_task_without_the_key_fails_immediately_and_writes_nothing(world: RotationWorld) -> None:
    before, seconds = dict(world.variables), world.clock.seconds
    expire(world)
    for keys in ("B", ""):
        with pytest.raises(RecordLocked):
            world.source("second", keys).token()
        with pytest.raises(RecordLocked):
            world.source("second", keys).renew()
        with pytest.raises(RecordLocked):
            world.source("second", keys).actions.revoke()

    assert world.variables == before
    assert world.clock.seconds == seconds + LIFETIME
    assert world.endpoint.requests == []


def test_a_process_that_has_a_usable_token_keeps_using_it_after_the_replacement(world: RotationWorld) -> None:
    process = world.source("first")
    process.token()
    world.hosts["first"].used.clear()
    world.hosts["first"].replace_file("B")
    world.clock.advance(0.8 * LIFETIME)

    assert process.token().access_token == "access-of-refresh-0"


def test_a_process_renews_after_its_file_was_replaced(world: RotationWorld) -> None:
    process = world.source("first")
    process.token()
    world.hosts["first"].replace_file("B")
    expire(world)

    assert process.token().access_token == "token-1"
    expire(world)
    assert world.source("second", "B").token().access_token == "token-2"
    expire(world)
    assert world.source("third", "A").token().access_token == "token-3"
    assert world.used == ["refresh-0", "refresh-1", "refresh-2"]


@pytest.mark.parametrize("keys", ["", "B"])
def test_a_file_that_is_replaced_or_missing_during_the_token_request_loses_no_token(
    world: RotationWorld, keys: str
) -> None:
    world.endpoint.on_request = lambda: world.hosts["first"].replace_file(keys)
    expire(world)
    assert world.source("first").token().access_token == "token-1"

    assert world.source("second", "A").token().access_token == "token-1"
    assert world.used == ["refresh-0"]


def test_a_renewed_token_is_stored_when_a_file_that_was_never_read_before_is_there_again(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    world = RotationWorld(tmp_path, variables)
    source = world.source("first", "A", grant_type="refresh_token", refresh_token="own")
    world.endpoint.on_request = lambda: world.host("first", "")
    requested = world.clock.seconds

    def restore_file() -> None:
        if world.endpoint.requests and world.clock.seconds > requested + 150:
            world.host("first", "A")

    world.clock.on_sleep = restore_file

    assert source.token().access_token == "token-1"
    assert world.source("first").grant_state().record is not None
    assert world.source("first").token().access_token == "token-1"
    assert world.used == ["own"]


def test_a_user_can_authorize_and_forget_without_the_key(world: RotationWorld) -> None:
    world.source("second", "B")
    world.consent("second", "refresh-new")
    assert world.source("second").token().access_token == "access-of-refresh-new"
    with pytest.raises(RecordLocked):
        world.source("first").token()
    world.source("first").actions.forget()
    assert world.source("first").grant_state().needs_consent


def test_forget_without_the_file_fails_immediately_and_lets_others_renew(world: RotationWorld) -> None:
    host = world.source("without a file", "")
    started = world.clock.seconds
    with pytest.raises(RecordLocked, match="Private key file"):
        host.actions.forget()

    assert world.clock.seconds - started < 5
    assert stored(world.variables)["nonce"] == world.variables[LEASE]  # the claim has ended
    expire(world)
    assert world.source("first").token().access_token == "token-1"


def test_a_renewed_token_that_could_not_be_stored_keeps_the_keys_that_were_added_meanwhile(
    world: RotationWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process stores the record for a new key while this one cannot store the renewed record."""
    variables = dict(world.variables)

    def lose(name: str, value: str, description: str) -> None:
        if name == NAME:
            raise OSError
        world.variables[name] = value

    process = world.source("first")
    with monkeypatch.context() as patch:
        patch.setattr("airflow_provider_oauth.runtime.airflow_variables.set_variable", lose)
        expire(world)
        with pytest.raises(Exception, match="Only this process|could not be written"):
            process.token()
    assert world.variables[NAME] == variables[NAME]
    both = world.source("both", "B A")
    world.hosts["both"].write_back(world.variables[LEASE])
    assert both.grant_state().record is not None

    assert process.token().access_token == "token-1"
    expire(world)
    assert world.source("second", "B").token().access_token == "token-2"
    assert world.used == ["refresh-0", "refresh-1"]


def test_a_grant_without_a_user_requests_a_token_for_each_key(tmp_path: Path, variables: dict[str, str]) -> None:
    world = RotationWorld(tmp_path, variables)
    fields = {"grant_type": "client_credentials"}
    assert world.source("first", "A", **fields).token().access_token == "token-1"
    assert world.source("second", "B", **fields).token().access_token == "token-2"
    before = dict(variables)
    assert world.source("both", "C B", **fields).token().access_token == "token-2"
    assert variables == before
