"""Replacing the file with the private key that encrypts the stored tokens."""

from __future__ import annotations

import base64
import json
import ssl
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import InvalidClient, RecordLocked, TokenStoreError
from airflow_provider_oauth.protocol.config import TransportOptions
from airflow_provider_oauth.runtime.encryption import is_encrypted
from airflow_provider_oauth.runtime.variable_store import VariableTokenStore
from airflow_provider_oauth.tokens.grant_state import GrantState
from airflow_provider_oauth.tokens.record import Record, Refusal
from tests.connections import oauth_config
from tests.fake_clock import FakeClock
from tests.keys import PASSPHRASE, pem, rsa_key
from tests.unit.runtime.rotation import NAME, Process, key_pem, record, stored

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.certificates import Certificates

Start = "Callable[..., Process]"
DAYS_30 = timedelta(days=30).total_seconds()
OTHER_KEY = (
    "Connection 'shop': the tokens in the Airflow Variable oauth_token__shop cannot be decrypted, because they were "
    "encrypted with another private key than the file in Private key file (private_key_file) has now. They were kept. "
    "If the key was replaced, add the previous key to the end of the file: the next task then encrypts the tokens with "
    "both keys. If you do not have the previous key, authorize the connection again, or enter a new refresh token."
)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def start(variables: dict[str, str], tmp_path: Path, clock: FakeClock) -> Callable[..., Process]:
    """Start a process: the names of the keys in its file, and fields of the connection."""
    numbers = iter(range(100))

    def started(keys: str, **config: Any) -> Process:
        return Process(tmp_path / f"host {next(numbers)}", clock, keys, **config)

    return started


@pytest.fixture
def first(start: Callable[..., Process], clock: FakeClock) -> Process:
    """A process with the key A, which has stored refresh-1."""
    process = start("A")
    process.store.write(record("refresh-1", clock))
    return process


def refresh_token(process: Process) -> str | None:
    found = process.read()
    return found.refresh_token if found.readable else None


# Which key encrypts the record


def test_a_record_is_encrypted_with_the_private_key_in_a_file(first: Process, variables: dict[str, str]) -> None:
    assert refresh_token(first) == "refresh-1"
    assert set(stored(variables)) == {
        "format", "key_id", "salt", "wrapped_keys", "generation", "nonce", "origins", "expires_at", "sealed",
    }  # fmt: skip
    assert "access-of" not in variables[NAME]


def test_another_process_with_the_same_key_reads_the_record(first: Process, start: Callable[..., Process]) -> None:
    assert refresh_token(start("A")) == "refresh-1"


def test_the_notation_of_the_key_does_not_matter(start: Callable[..., Process], clock: FakeClock) -> None:
    process = start("A", private_key_passphrase=PASSPHRASE)
    process.path.write_text(pem(rsa_key()))
    process.store.write(record("refresh-1", clock))
    process.restart()
    process.path.write_text(pem(rsa_key(), PASSPHRASE, legacy=True).replace("\n", "\r\n"))

    assert refresh_token(process) == "refresh-1"


@pytest.mark.parametrize("notation", ["one file", "two files"])
def test_a_record_is_encrypted_with_the_key_of_the_client_certificate(
    notation: str, start: Callable[..., Process], tls: Certificates, clock: FakeClock, variables: dict[str, str]
) -> None:
    cert = tls.client if notation == "one file" else (tls.ca, tls.client)
    process = start("", private_key_file=None, transport=TransportOptions(cert=cert))
    process.store.write(record("refresh-1", clock))
    process.restart()

    assert len(stored(variables)["wrapped_keys"]) == 1
    assert refresh_token(process) == "refresh-1"


@pytest.mark.parametrize("notation", ["one file", "two files"])
def test_the_previous_key_can_be_added_to_the_file_of_a_client_certificate(
    notation: str, first: Process, start: Callable[..., Process], tls: Certificates, tmp_path: Path
) -> None:
    path = tmp_path / "client.pem"
    path.write_text(Path(tls.client).read_text() + key_pem("A"))
    cert = str(path) if notation == "one file" else (tls.client, str(path))
    fields = {"private_key_file": None, "transport": TransportOptions(cert=cert)}

    assert refresh_token(start("", **fields)) == "refresh-1"
    certificate, key = (cert, None) if isinstance(cert, str) else cert
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key)


def test_the_key_of_the_client_certificate_may_be_encrypted(
    start: Callable[..., Process], tls: Certificates, clock: FakeClock
) -> None:
    fields = {"private_key_file": None, "transport": TransportOptions(cert=tls.encrypted)}
    process = start("", **fields, private_key_passphrase="fake-passphrase")
    process.store.write(record("refresh-1", clock))
    process.restart()

    assert refresh_token(process) == "refresh-1"
    with pytest.raises(RecordLocked, match="cert is not a client certificate"):
        start("", **fields).store.write(record("refresh-2", clock))


@pytest.mark.parametrize(
    "secret",
    [
        {"client_secret": "fake-random text"},
        {"user_password": "fake"},
        {"secret_grant_params": {"key": "fake"}},
        {"secret_headers": {"X-Key": "fake"}},
        {"secret_params": {"key": "fake"}},
    ],
)
def test_a_connection_with_a_secret_does_not_depend_on_the_file(
    start: Callable[..., Process], clock: FakeClock, variables: dict[str, str], secret: dict[str, Any]
) -> None:
    start("A", **secret).store.write(record("refresh-1", clock))

    assert "wrapped_keys" not in stored(variables)
    assert refresh_token(start("B", **secret)) == refresh_token(start("", **secret)) == "refresh-1"


def test_a_refresh_token_in_the_connection_is_not_the_key_if_there_is_a_file(
    start: Callable[..., Process], clock: FakeClock
) -> None:
    fields = {"grant_type": "refresh_token"}
    start("A", refresh_token="fake-own", **fields).store.write(record("refresh-1", clock))

    assert refresh_token(start("A", **fields)) == "refresh-1"


def test_a_private_key_in_the_connection_is_a_secret_whatever_its_line_breaks(
    variables: dict[str, str], clock: FakeClock
) -> None:
    fields = {"client_secret": None, "client_auth": "none", "grant_type": "authorization_code"}
    config = oauth_config(**fields, private_key=key_pem("A"))
    VariableTokenStore(config).write(record("refresh-1", clock))

    read = VariableTokenStore(replace(config, private_key=key_pem("A").replace("\n", " "))).read()
    assert read is not None
    assert read.refresh_token == "refresh-1"
    other = VariableTokenStore(replace(config, private_key=key_pem("B"))).read()
    assert other is not None
    assert (other.readable, other.locked) == (False, None)


@pytest.mark.parametrize(
    ("fields", "encrypted"),
    [
        ({}, False),
        ({"private_key_passphrase": "fake", "secret_grant_headers": {"X-Key": "fake"}}, False),
        ({"assertion_file": "/fake/token"}, False),
        ({"private_key": " \n"}, False),
        ({"private_key": "fake"}, True),
        ({"private_key_file": "/fake/key.pem"}, True),
        ({"transport": TransportOptions(cert="/fake/client.pem")}, True),
    ],
)
def test_a_connection_with_a_private_key_or_a_client_certificate_is_never_public(
    fields: dict[str, Any], encrypted: bool
) -> None:
    config = oauth_config(client_auth="none", client_secret=None, grant_type="authorization_code", **fields)

    assert is_encrypted(config) is encrypted


@pytest.mark.parametrize("fields", [{}, {"grant_type": "refresh_token", "refresh_token": "fake-own"}])
def test_a_record_from_before_the_certificate_encrypted_it_is_read_and_then_encrypted(
    start: Callable[..., Process],
    clock: FakeClock,
    tls: Certificates,
    variables: dict[str, str],
    fields: dict[str, Any],
) -> None:
    start("", private_key_file=None, **fields).store.write(record("refresh-1", clock))
    assert "wrapped_keys" not in stored(variables)
    process = start("", private_key_file=None, transport=TransportOptions(cert=tls.client), **fields)

    assert refresh_token(process) == "refresh-1"
    process.renew("refresh-2")
    assert {"wrapped_keys", "sealed"} < set(stored(variables))
    assert refresh_token(process) == "refresh-2"


def test_a_record_that_anyone_could_have_written_is_not_read_with_a_private_key(
    start: Callable[..., Process], clock: FakeClock
) -> None:
    start("", private_key_file=None).store.write(record("refresh-1", clock))

    assert not start("A").read().readable


def test_a_secret_that_is_added_later_replaces_the_key_in_the_file(
    first: Process, start: Callable[..., Process], variables: dict[str, str]
) -> None:
    process = start("A", client_secret="fake-random text")

    assert refresh_token(process) == "refresh-1"
    process.renew("refresh-2")
    assert "wrapped_keys" not in stored(variables)
    assert refresh_token(start("B", client_secret="fake-random text")) == "refresh-2"


@pytest.mark.parametrize("change", [{"client_id": "other"}, {"scope": "a"}, {"token_url": "https://x.example.com/t"}])
def test_a_record_of_another_client_url_or_scope_is_not_readable_but_not_locked_either(
    first: Process, start: Callable[..., Process], change: dict[str, Any]
) -> None:
    found = start("A", **change).read()

    assert (found.readable, found.locked) == (False, None)


def test_a_record_that_was_copied_from_another_connection_is_not_readable(
    first: Process, start: Callable[..., Process], variables: dict[str, str]
) -> None:
    variables["oauth_token__other"] = variables[NAME]

    assert not start("A", conn_id="other").read().readable


# Rotation


def test_a_process_with_both_keys_lets_processes_with_either_key_read_and_write(
    first: Process, start: Callable[..., Process]
) -> None:
    second = start("B")
    assert second.read().locked is not None
    start("B A").renew("refresh-2")
    assert refresh_token(first) == refresh_token(second) == "refresh-2"

    for number, process in enumerate([first, second, second, first, first], 3):
        process.renew(f"refresh-{number}")
        assert refresh_token(start("A")) == refresh_token(start("B")) == f"refresh-{number}"


def test_a_process_that_has_read_the_previous_key_encrypts_for_both_keys(
    first: Process, start: Callable[..., Process]
) -> None:
    first.replace_file("B")
    assert refresh_token(first) == "refresh-1"
    first.renew("refresh-2")

    assert refresh_token(start("A")) == refresh_token(start("B")) == "refresh-2"


def test_a_key_can_be_added_to_the_file_before_it_is_used(first: Process, start: Callable[..., Process]) -> None:
    start("A B").renew("refresh-2")

    assert refresh_token(start("B C")) == "refresh-2"


def test_a_record_that_is_written_back_after_a_failure_is_encrypted_for_both_keys(
    first: Process, start: Callable[..., Process]
) -> None:
    start("B A").write_back("nonce")

    assert refresh_token(start("B")) == "refresh-1"


def test_a_process_that_wrote_before_keeps_the_keys_that_others_have_added_meanwhile(
    first: Process, start: Callable[..., Process]
) -> None:
    start("B A").renew("refresh-2")
    start("C B").renew("refresh-3")
    first.renew("refresh-4")

    assert [refresh_token(start(key)) for key in "ABC"] == ["refresh-4"] * 3


def test_two_processes_that_alternate_keep_each_others_keys(first: Process, start: Callable[..., Process]) -> None:
    second = start("C B")
    start("B A").renew("refresh-2")
    for number in range(3, 9):
        (first, second)[number % 2].renew(f"refresh-{number}")
        assert [refresh_token(start(key)) for key in "ABC"[: 2 + (number > 2)]] == [f"refresh-{number}"] * 3


def test_a_new_grant_keeps_the_keys_of_other_processes(
    first: Process, start: Callable[..., Process], clock: FakeClock
) -> None:
    start("B A").renew("refresh-2")
    second = start("B")
    second.read()
    second.store.write(record("refresh-of-a-new-grant", clock, 1_000_000))

    assert refresh_token(start("A")) == "refresh-of-a-new-grant"


def test_a_record_lacks_a_key_if_a_process_that_has_only_this_key_cannot_read_it(
    first: Process, start: Callable[..., Process]
) -> None:
    assert not first.read().lacks_key
    both = start("B A")
    assert both.read().lacks_key
    both.write_back("nonce")
    assert not both.read().lacks_key
    assert not first.read().lacks_key


def test_a_previous_key_is_removed_after_30_days(
    first: Process, start: Callable[..., Process], clock: FakeClock, variables: dict[str, str]
) -> None:
    start("B A").renew("refresh-2")
    clock.advance(DAYS_30)
    start("B").renew("refresh-3")
    assert refresh_token(start("A")) == "refresh-3"
    clock.advance(1)
    start("B").renew("refresh-4")

    assert len(stored(variables)["wrapped_keys"]) == 1
    assert start("A").read().locked is not None
    assert refresh_token(start("B")) == "refresh-4"


def test_the_30_days_begin_again_whenever_a_process_has_the_key_in_its_file(
    first: Process, start: Callable[..., Process], clock: FakeClock
) -> None:
    start("B A").renew("refresh-2")
    clock.advance(DAYS_30 - 1)
    start("A").renew("refresh-3")
    clock.advance(DAYS_30 - 1)
    start("B").renew("refresh-4")

    assert refresh_token(start("A")) == "refresh-4"


def test_a_process_that_runs_for_30_days_after_the_replacement_removes_the_previous_key(
    first: Process, start: Callable[..., Process], clock: FakeClock, variables: dict[str, str]
) -> None:
    first.replace_file("B")
    for number in range(2, 36):
        first.renew(f"refresh-{number}")
        clock.advance(DAYS_30 / 30)

    assert len(stored(variables)["wrapped_keys"]) == 1
    assert refresh_token(start("B")) == "refresh-35"


def test_a_process_that_read_the_key_earlier_does_not_shorten_the_30_days(
    first: Process, start: Callable[..., Process], clock: FakeClock
) -> None:
    first.replace_file("B")
    clock.advance(DAYS_30 - 1)
    start("A B").renew("refresh-2")
    first.renew("refresh-3")
    clock.advance(DAYS_30 - 1)
    start("B").renew("refresh-4")

    assert refresh_token(start("A")) == "refresh-4"


def test_a_key_in_the_file_is_kept_however_long_the_record_was_not_written(
    first: Process, start: Callable[..., Process], clock: FakeClock
) -> None:
    clock.advance(10 * DAYS_30)
    start("B A").renew("refresh-2")

    assert refresh_token(start("A")) == refresh_token(start("B")) == "refresh-2"


def test_a_record_stays_short_if_the_key_is_replaced_every_few_minutes(
    first: Process, start: Callable[..., Process], clock: FakeClock, variables: dict[str, str]
) -> None:
    for number in range(150):
        clock.advance(300)
        first.replace_file(f"key-{number}")
        first.renew(f"refresh-{number}")

    assert len(stored(variables)["wrapped_keys"]) == 100
    assert refresh_token(start("key-149")) == "refresh-149"
    assert refresh_token(start("key-50")) == "refresh-149"
    assert start("key-49").read().locked


def test_times_in_the_future_do_not_push_out_the_key_in_the_file(
    first: Process, clock: FakeClock, variables: dict[str, str]
) -> None:
    values = stored(variables)
    future = (clock.now() + timedelta(days=1)).isoformat()
    values["wrapped_keys"] |= {f"key-{number}": {"key": "AAAA", "at": future} for number in range(200)}
    variables[NAME] = json.dumps(values)
    first.renew("refresh-2")
    first.restart()

    assert refresh_token(first) == "refresh-2"


def test_a_time_in_the_future_does_not_keep_a_key_longer(
    first: Process, start: Callable[..., Process], clock: FakeClock, variables: dict[str, str]
) -> None:
    clock.advance(100 * DAYS_30)
    start("B A").renew("refresh-2")
    clock.advance(-100 * DAYS_30)
    start("A").renew("refresh-3")
    ages = [each["at"] for each in stored(variables)["wrapped_keys"].values()]
    assert clock.now().isoformat() in ages


# A process without the key


def test_a_record_for_another_key_is_locked_with_an_error_that_names_the_remedy(
    first: Process, start: Callable[..., Process]
) -> None:
    found = start("B").read()

    assert (found.readable, found.refresh_token, dict(found.tokens)) == (False, None, {})
    assert str(found.locked) == OTHER_KEY


def test_a_record_is_locked_while_the_file_cannot_be_read(first: Process, start: Callable[..., Process]) -> None:
    process = start("")
    found = process.read()

    assert str(found.locked).startswith(
        "Connection 'shop': Private key file (private_key_file) is not the absolute path"
    )
    assert str(found.locked).endswith(". The stored tokens are encrypted with this key. They were kept.")
    process.replace_file("A")
    assert refresh_token(process) == "refresh-1"


def test_a_process_that_has_read_the_key_reads_and_writes_the_record_without_the_file(
    first: Process, start: Callable[..., Process]
) -> None:
    first.replace_file("")
    first.renew("refresh-2")

    assert refresh_token(first) == refresh_token(start("A")) == "refresh-2"


@pytest.mark.parametrize("keys", ["B", ""])
def test_a_locked_record_is_written_back_unchanged(
    first: Process, start: Callable[..., Process], variables: dict[str, str], keys: str
) -> None:
    before = stored(variables)
    start(keys).write_back("nonce")

    assert stored(variables) == before | {"nonce": "nonce"}
    assert refresh_token(first) == "refresh-1"


@pytest.mark.parametrize("keys", ["B", ""])
def test_a_locked_record_keeps_the_refusal_of_a_process_that_has_the_key(
    first: Process, start: Callable[..., Process], clock: FakeClock, variables: dict[str, str], keys: str
) -> None:
    first.store.write(replace(first.read(), refused=refusal(clock)))
    before = stored(variables)
    start(keys).write_back("nonce")

    assert stored(variables) == before | {"nonce": "nonce"}
    assert first.read().refused is not None


def test_a_renewal_raises_the_error_of_a_locked_record(first: Process, start: Callable[..., Process]) -> None:
    second = start("B")
    state = GrantState(second.config, second.read(), second.store.name)

    with pytest.raises(RecordLocked):
        state.refresh_token()
    with pytest.raises(RecordLocked):
        state.tokens_to_revoke()
    assert not state.needs_consent
    assert state.token() is None


def test_a_grant_without_a_user_replaces_a_locked_record(first: Process, start: Callable[..., Process]) -> None:
    second = start("B", grant_type="client_credentials")

    assert GrantState(second.config, second.read(), second.store.name).refresh_token() is None


@pytest.mark.parametrize(
    "new", [record("refresh-of-a-new-grant", FakeClock(), 10), Record(generation=10, nonce="forgotten")]
)
def test_a_new_grant_and_forget_replace_a_locked_record(
    first: Process, start: Callable[..., Process], variables: dict[str, str], new: Record
) -> None:
    salt = stored(variables)["salt"]
    second = start("B")
    assert second.read().locked
    second.store.write(new)

    assert refresh_token(start("B")) == new.refresh_token
    assert stored(variables)["salt"] != salt
    assert first.read().locked


def test_nothing_is_written_without_any_key(first: Process, start: Callable[..., Process], variables: Any) -> None:
    before = variables[NAME]
    process = start("")
    with pytest.raises(TokenStoreError, match=r"They were kept\.$"):
        process.store.write(record("refresh-2", process.clock))

    assert variables[NAME] == before


# Damaged records


@pytest.mark.parametrize(
    "wrapped", ["***", [], {}, 5, {"x": 5}, {"x": {}}, {"x": {"key": "***", "at": "x"}}, {"x": {"at": None}}]
)
def test_damaged_keys_lock_the_record(first: Process, variables: dict[str, str], wrapped: Any) -> None:
    variables[NAME] = json.dumps(stored(variables) | {"wrapped_keys": wrapped})

    assert first.read().locked is not None


@pytest.mark.parametrize("value", ["***", "", None, 5, "AAAA", base64.b64encode(bytes(60)).decode()])
def test_a_damaged_key_locks_the_record(first: Process, variables: dict[str, str], value: Any) -> None:
    values = stored(variables)
    (wrapped,) = values["wrapped_keys"].values()
    wrapped["key"] = value
    variables[NAME] = json.dumps(values)

    assert first.read().locked is not None


def test_damaged_keys_of_other_processes_are_removed(first: Process, variables: dict[str, str]) -> None:
    values = stored(variables)
    values["wrapped_keys"] |= {"x": 5, "y": {"key": "AAAA"}, "z": {"at": "***"}}
    variables[NAME] = json.dumps(values)
    first.renew("refresh-2")

    assert len(stored(variables)["wrapped_keys"]) == 1


@pytest.mark.parametrize("value", ["***", None, "AAAA"])
def test_damaged_tokens_are_not_readable_and_not_locked(first: Process, variables: dict[str, str], value: Any) -> None:
    variables[NAME] = json.dumps(stored(variables) | {"sealed": value})
    found = first.read()

    assert (found.readable, found.locked) == (False, None)


# Refusals


def refusal(clock: FakeClock) -> Refusal:
    return Refusal(error=InvalidClient("the server said no"), until=clock.now() + timedelta(minutes=1))


@pytest.mark.parametrize("secret", [{}, {"client_secret": "fake-random text"}])
def test_a_refusal_is_void_after_the_key_in_the_file_was_replaced(
    start: Callable[..., Process], clock: FakeClock, secret: dict[str, Any]
) -> None:
    process = start("A", **secret)
    process.store.write(replace(record("refresh-1", clock), refused=refusal(clock)))
    process.replace_file("A")
    assert process.read().refused is not None
    process.replace_file("B A")

    found = process.read()
    assert (found.refused, found.refresh_token) == (None, "refresh-1")


def test_a_refusal_is_void_after_the_certificate_was_replaced(
    start: Callable[..., Process], clock: FakeClock, tls: Certificates, tmp_path: Path
) -> None:
    certificate = tmp_path / "certificate.pem"
    certificate.write_text("fake certificate 1")
    cert = (str(certificate), tls.client)
    process = start("", private_key_file=None, transport=TransportOptions(cert=cert))
    process.store.write(replace(record("refresh-1", clock), refused=refusal(clock)))
    assert process.read().refused is not None
    certificate.write_text("fake certificate 2")

    assert process.read().refused is None
    assert refresh_token(process) == "refresh-1"


def test_a_refusal_of_a_client_secret_is_stored_whatever_is_in_the_files_of_a_certificate(
    start: Callable[..., Process], clock: FakeClock, tmp_path: Path
) -> None:
    """Otherwise the refused secret would be sent again and again, which could lock the account."""
    transport = TransportOptions(cert=str(tmp_path / "missing.pem"))
    fields = {"private_key_file": None, "client_auth": "client_secret_basic", "client_secret": "fake-secret"}
    process = start("", transport=transport, **fields)
    process.store.write(replace(record("refresh-1", clock), refused=refusal(clock)))

    process.restart()
    assert process.read().refused is not None


def test_a_refusal_can_be_stored_for_a_locked_record(first: Process, start: Callable[..., Process]) -> None:
    second = start("B")
    second.store.write(replace(second.read(), nonce="nonce", refused=refusal(second.clock)))

    assert second.read().refused is not None
    assert first.read().refused is None
    assert refresh_token(first) == "refresh-1"
