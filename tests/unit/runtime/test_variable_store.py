from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import Variable

from airflow_provider_oauth.exceptions import InvalidClient, TokenStoreError, UnrecognizedRefusal
from airflow_provider_oauth.protocol.config import TransportOptions
from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.runtime import airflow_variables
from airflow_provider_oauth.runtime.variable_store import VariableTokenStore
from airflow_provider_oauth.tokens.record import Record, Refusal
from tests.connections import oauth_config

NAME, LEASE = "oauth_token__shop", "oauth_lease__shop"
START = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)


def token(access_token: str = "fake-access", **changes: Any) -> Token:
    values: dict[str, Any] = {"issued_at": START, "expires_at": START + timedelta(hours=1)}
    return Token(access_token=access_token, **(values | changes))


RECORD = Record(
    generation=7,
    nonce="nonce-7",
    used_refresh_tokens=("fingerprint",),
    tokens={
        "": token(scope="a b", base_url="https://eu.example.com", token_type="bearer"),
        "other scope": token("fake-narrow", expires_at=START + timedelta(hours=2)),
    },
    refresh_token="fake-refresh é",
    refresh_expires_at=START + timedelta(days=30),
    callback={"realmId": "123 é"},
)


PUBLIC = {"grant_type": "authorization_code", "client_auth": "none", "client_secret": None}


class Variables:
    """Airflow's Variables, whose calls can be made to fail."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.descriptions: dict[str, str] = {}
        self.calls: list[str] = []
        self.failing: dict[int, Any] = {}  # by number of the call, from 0
        self.listed: set[str] | None = None
        self.on_set = lambda: None

    def _fails(self, call: str) -> bool:
        self.calls.append(call)
        failure = self.failing.get(len(self.calls) - 1)
        if isinstance(failure, BaseException):
            raise failure
        return failure is not None

    def get(self, name: str) -> str | None:
        return None if self._fails(f"get {name}") else self.values.get(name)

    def set(self, name: str, value: str, description: str) -> None:
        if not self._fails(f"set {name}"):
            self.values[name] = value
            self.descriptions[name] = description
            self.on_set()

    def is_listed(self, name: str) -> bool:
        self._fails(f"list {name}")
        return name in (self.values if self.listed is None else self.listed)


LOST = "lost"  # the call has no effect and raises no error


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Variables:
    variables = Variables()
    monkeypatch.setattr(airflow_variables, "get_variable", variables.get)
    monkeypatch.setattr(airflow_variables, "set_variable", variables.set)
    monkeypatch.setattr(airflow_variables, "is_listed", variables.is_listed)
    return variables


def test_a_record_can_be_read_after_it_was_written(variables: Variables) -> None:
    VariableTokenStore(oauth_config()).write(RECORD)

    assert VariableTokenStore(oauth_config()).read() == RECORD


def test_a_record_of_a_public_client_can_be_read_after_it_was_written(variables: Variables) -> None:
    VariableTokenStore(oauth_config(**PUBLIC)).write(RECORD)

    assert VariableTokenStore(oauth_config(**PUBLIC)).read() == RECORD


def test_a_record_without_tokens_can_be_read_after_it_was_written(variables: Variables) -> None:
    record = Record(generation=1, nonce="n")
    VariableTokenStore(oauth_config()).write(record)

    assert VariableTokenStore(oauth_config()).read() == record


def test_a_record_is_none_if_there_is_no_variable(variables: Variables) -> None:
    assert VariableTokenStore(oauth_config()).read() is None


def test_a_record_is_written_to_one_variable(variables: Variables) -> None:
    VariableTokenStore(oauth_config()).write(RECORD)

    assert list(variables.values) == [NAME]
    assert "shop" in variables.descriptions[NAME]


def test_a_record_contains_only_certain_fields_unencrypted(variables: Variables) -> None:
    VariableTokenStore(oauth_config()).write(RECORD)
    stored = json.loads(variables.values[NAME])

    assert {name: value for name, value in stored.items() if name not in ("key_id", "salt", "sealed")} == {
        "format": 1,
        "generation": 7,
        "nonce": "nonce-7",
        "origins": ["fingerprint"],
        "expires_at": "2026-03-01T13:00:00.000005+00:00",
    }
    assert len(base64.b64decode(stored["salt"])) == 16


def test_a_record_contains_no_secret_token_or_scope_unencrypted(variables: Variables) -> None:
    settings = oauth_config(
        grant_type="password",
        username="anna",
        user_password="fake-pass",
        refresh_token="fake-own",
        secret_grant_params={"k": "fake-param"},
        scope="confidential-scope",
    )
    VariableTokenStore(settings).write(replace(RECORD, tokens={"confidential-scope": token()}))
    text = variables.values[NAME] + variables.descriptions[NAME]

    assert "fake" not in text
    assert "confidential" not in text
    for part in re.findall(r"[A-Za-z0-9+/=]{12,}", text):
        assert b"fake" not in base64.b64decode(part + "=" * (-len(part) % 4))


def test_a_record_keeps_its_salt_when_it_is_written_again(variables: Variables) -> None:
    VariableTokenStore(oauth_config()).write(RECORD)
    first = json.loads(variables.values[NAME])["salt"]
    store = VariableTokenStore(oauth_config())
    store.read()
    store.write(RECORD)

    assert json.loads(variables.values[NAME])["salt"] == first


def test_a_record_is_identified_in_errors_by_the_name_of_its_variable(variables: Variables) -> None:
    assert VariableTokenStore(oauth_config()).name == "the Airflow Variable oauth_token__shop"


def test_a_record_of_the_first_release_has_no_expiry_of_the_refresh_token(variables: Variables) -> None:
    VariableTokenStore(oauth_config(**PUBLIC)).write(RECORD)
    stored = json.loads(variables.values[NAME])
    del stored["open"]["refresh_expires_at"]
    variables.values[NAME] = json.dumps(stored)

    assert VariableTokenStore(oauth_config(**PUBLIC)).read() == replace(RECORD, refresh_expires_at=None)


@pytest.mark.parametrize("changes", [{}, PUBLIC])
def test_a_record_with_a_token_that_never_expires_can_be_read_after_it_was_written(
    variables: Variables, changes: dict[str, Any]
) -> None:
    record = replace(RECORD, tokens={"": token(expires_at=None)}, refresh_token=None)
    VariableTokenStore(oauth_config(**changes)).write(record)

    assert VariableTokenStore(oauth_config(**changes)).read() == record
    assert json.loads(variables.values[NAME])["expires_at"] is None


def test_a_record_contains_null_as_the_expiry_of_a_token_that_never_expires(variables: Variables) -> None:
    VariableTokenStore(oauth_config(**PUBLIC)).write(replace(RECORD, tokens={"": token(expires_at=None)}))

    assert json.loads(variables.values[NAME])["open"]["tokens"][""]["expires_at"] is None


#: These were not part of the key in the first release.
API_SECRETS = [{"secret_headers": {"X-API-Key": "fake-key"}}, {"secret_params": {"key": "fake-key"}}]


@pytest.mark.parametrize("secret", API_SECRETS)
def test_a_record_with_api_secrets_can_be_read_after_it_was_written(
    variables: Variables, secret: dict[str, Any]
) -> None:
    VariableTokenStore(oauth_config(**secret)).write(RECORD)

    assert VariableTokenStore(oauth_config(**secret)).read() == RECORD


@pytest.mark.parametrize("changes", [{}, {"grant_type": "refresh_token", "refresh_token": "fake-own"}])
@pytest.mark.parametrize("secret", API_SECRETS)
def test_a_record_with_api_secrets_of_the_first_release_is_read_and_then_written_with_the_new_key(
    variables: Variables, secret: dict[str, Any], changes: dict[str, Any]
) -> None:
    VariableTokenStore(oauth_config(**changes)).write(RECORD)  # before the secret was added
    earlier = json.loads(variables.values[NAME])
    store = VariableTokenStore(oauth_config(**changes, **secret))

    assert store.read() == RECORD
    store.write(RECORD)
    assert VariableTokenStore(oauth_config(**changes, **secret)).read() == RECORD
    assert json.loads(variables.values[NAME])["key_id"] != earlier["key_id"]
    without = VariableTokenStore(oauth_config(**changes)).read()
    assert without is not None
    assert not without.readable


@pytest.mark.parametrize("secret", API_SECRETS)
def test_a_record_with_api_secrets_of_a_public_client_is_encrypted(
    variables: Variables, secret: dict[str, Any]
) -> None:
    VariableTokenStore(oauth_config(**PUBLIC, **secret)).write(RECORD)

    assert "open" not in json.loads(variables.values[NAME])
    assert "fake-access" not in variables.values[NAME]


@pytest.mark.parametrize("secret", API_SECRETS)
def test_a_record_with_api_secrets_of_a_public_client_cannot_be_forged_by_a_user_who_can_edit_variables(
    variables: Variables, secret: dict[str, Any]
) -> None:
    stolen = {"base_url": "https://attacker.example"}
    forged = replace(RECORD, tokens={"": token(**stolen)})
    VariableTokenStore(oauth_config(**PUBLIC)).write(
        forged
    )  # not encrypted; its key ID can be computed without a secret

    read = VariableTokenStore(oauth_config(**PUBLIC, **secret)).read()

    assert read is not None
    assert (read.readable, read.tokens, read.refresh_token) == (False, {}, None)


@pytest.mark.parametrize(
    "change",
    [
        {"client_secret": "fake-other"},
        {"client_id": "other"},
        {"token_url": "https://other.example.com/token"},
        {"scope": "a"},
        {"audience": "aud"},
        {"grant_type": "password", "username": "anna", "user_password": "fake"},
        {"secret_grant_params": {"k": "fake"}},
        {"secret_headers": {"X-API-Key": "fake"}},
        {"secret_params": {"key": "fake"}},
        PUBLIC,
    ],
)
def test_a_record_of_another_connection_is_not_readable_except_its_generation(
    variables: Variables, change: dict[str, Any]
) -> None:
    VariableTokenStore(oauth_config(**change)).write(RECORD)

    read = VariableTokenStore(oauth_config()).read()
    assert read is not None
    assert read.raw == json.loads(variables.values[NAME])
    assert replace(read, raw={}) == Record(
        generation=7, nonce="nonce-7", used_refresh_tokens=("fingerprint",), readable=False
    )


def test_callback_values_are_encrypted(variables: Variables) -> None:
    VariableTokenStore(oauth_config()).write(RECORD)

    assert "123" not in variables.values[NAME]
    assert "realmId" not in variables.values[NAME]


def test_a_record_of_the_first_release_has_no_callback_values(variables: Variables) -> None:
    store = VariableTokenStore(oauth_config(**PUBLIC))
    store.write(RECORD)
    values = json.loads(variables.values[NAME])
    del values["open"]["callback"]
    variables.values[NAME] = json.dumps(values)

    assert store.read() == replace(RECORD, callback={})


@pytest.mark.parametrize("value", ["", "..", "a\nb", "x" * 513, 5, None])
def test_a_stored_callback_value_that_is_not_valid_is_not_used(
    variables: Variables, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    store = VariableTokenStore(oauth_config(**PUBLIC))
    store.write(RECORD)
    values = json.loads(variables.values[NAME])
    values["open"]["callback"] |= {"shop": value}
    variables.values[NAME] = json.dumps(values)

    assert store.read() == RECORD
    assert caplog.messages == [
        "Connection 'shop': the callback value 'shop' stored in the Airflow Variable oauth_token__shop is not valid, "
        "so it is not used. Authorize the connection again."
    ]


def test_a_record_that_was_copied_from_another_connection_is_not_readable(variables: Variables) -> None:
    VariableTokenStore(oauth_config(conn_id="other")).write(RECORD)
    variables.values[NAME] = variables.values.pop("oauth_token__other")

    record = VariableTokenStore(oauth_config()).read()

    assert record is not None
    assert (record.readable, record.tokens, record.refresh_token) == (False, {}, None)


def test_a_record_of_a_later_format_is_not_readable(variables: Variables) -> None:
    VariableTokenStore(oauth_config()).write(RECORD)
    variables.values[NAME] = json.dumps(json.loads(variables.values[NAME]) | {"format": 2})

    record = VariableTokenStore(oauth_config()).read()

    assert record is not None
    assert (record.readable, record.generation) == (False, 7)


def test_a_record_of_another_connection_is_replaced_when_the_connection_writes_its_own(variables: Variables) -> None:
    VariableTokenStore(oauth_config(client_secret="fake-old")).write(RECORD)
    store = VariableTokenStore(oauth_config())
    store.read()
    store.write(replace(RECORD, generation=8, nonce="nonce-8"))

    read = VariableTokenStore(oauth_config()).read()
    assert read is not None
    assert (read.readable, read.generation, read.refresh_token) == (True, 8, "fake-refresh é")


@pytest.mark.parametrize(
    "text",
    [
        "***",
        "",
        " ",
        "null",
        "5",
        '"text"',
        "[]",
        "[[1, 2]]",
        "{}",
        "{",
        '{"salt": 5}',
        '{"salt": "***"}',
        '{"salt": "é"}',
        '{"salt": "", "generation": null}',
        '{"salt": "", "generation": "x", "nonce": ""}',
        '{"salt": "", "generation": 1e999, "nonce": "", "origins": [], "format": 1, "key_id": ""}',
        '{"salt": "", "generation": 1, "nonce": ""}',
        '{"a":' * 50_000 + "1" + "}" * 50_000,
    ],
)
def test_a_damaged_record_is_reported_as_corrupt(
    variables: Variables, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    variables.values[NAME] = text

    assert VariableTokenStore(oauth_config()).read() == Record(readable=False, corrupt=True)
    assert "'shop'" in caplog.text
    assert NAME in caplog.text


@pytest.mark.parametrize("value", ["***", "", 5, [], {}, "9999-12-31T23:59:59-23:00"])
def test_a_record_with_an_invalid_expiry_of_the_refresh_token_is_not_readable(variables: Variables, value: Any) -> None:
    VariableTokenStore(oauth_config(**PUBLIC)).write(RECORD)
    stored = json.loads(variables.values[NAME])
    stored["open"]["refresh_expires_at"] = value
    variables.values[NAME] = json.dumps(stored)

    record = VariableTokenStore(oauth_config(**PUBLIC)).read()

    assert record is not None
    assert (record.readable, record.generation, record.refresh_token) == (False, 7, None)


@pytest.mark.parametrize("value", ["***", "", "AAAA", None, 5, [], {}, "A" * 40])
def test_a_record_with_an_invalid_ciphertext_is_not_readable(variables: Variables, value: Any) -> None:
    VariableTokenStore(oauth_config()).write(RECORD)
    variables.values[NAME] = json.dumps(json.loads(variables.values[NAME]) | {"sealed": value})

    record = VariableTokenStore(oauth_config()).read()

    assert record is not None
    assert (record.readable, record.tokens, record.refresh_token) == (False, {}, None)


@pytest.mark.parametrize("end", [-1, -20])
def test_a_record_that_was_truncated_is_corrupt(variables: Variables, end: int) -> None:
    VariableTokenStore(oauth_config()).write(RECORD)
    variables.values[NAME] = variables.values[NAME][:end]

    assert VariableTokenStore(oauth_config()).read() == Record(readable=False, corrupt=True)


@pytest.mark.parametrize(
    "content",
    [
        None,
        5,
        "***",
        [],
        {},
        {"tokens": [], "refresh_token": None},
        {"tokens": "***", "refresh_token": None},
        {"tokens": {"": []}, "refresh_token": None},
        {"tokens": {"": "***"}, "refresh_token": None},
        {"tokens": {"": {"issued_at": "x", "expires_at": "x"}}, "refresh_token": None},
        {"tokens": {"": {"issued_at": 5, "expires_at": 5}}, "refresh_token": None},
        {
            "tokens": {
                "": {
                    "access_token": "x",
                    "issued_at": "0001-01-01T00:00:00+14:00",
                    "expires_at": "0001-01-01T00:00:00+14:00",
                }
            },
            "refresh_token": None,
        },
        {"tokens": {"": {"unknown": 1}}, "refresh_token": None},
        {"tokens": {"": {"access_token": "x", "issued_at": "2026-01-01T00:00:00+00:00"}}, "refresh_token": None},
        {"tokens": {}},
    ],
)
def test_a_damaged_record_of_a_public_client_is_not_readable(variables: Variables, content: Any) -> None:
    VariableTokenStore(oauth_config(**PUBLIC)).write(RECORD)
    variables.values[NAME] = json.dumps(json.loads(variables.values[NAME]) | {"open": content})

    record = VariableTokenStore(oauth_config(**PUBLIC)).read()

    assert record is not None
    assert (record.readable, record.tokens, record.refresh_token) == (False, {}, None)


@pytest.mark.parametrize(
    "change",
    [
        {"access_token": None},
        {"access_token": 5},
        {"access_token": ""},
        {"access_token": "two words"},
        {"access_token": "fake\r\nX-Injected: 1"},
        {"access_token": "fak\u00e9"},
        {"token_type": 5},
        {"scope": ["a", "b"]},
        {"base_url": 5},
        {"base_url": ["https://eu.example.com"]},
    ],
)
def test_a_record_with_a_token_that_no_response_could_contain_is_not_readable(
    variables: Variables, change: dict[str, Any]
) -> None:
    VariableTokenStore(oauth_config(**PUBLIC)).write(RECORD)
    stored = json.loads(variables.values[NAME])
    stored["open"]["tokens"][""] |= change
    variables.values[NAME] = json.dumps(stored)

    record = VariableTokenStore(oauth_config(**PUBLIC)).read()

    assert record is not None
    assert (record.readable, record.tokens, record.refresh_token) == (False, {}, None)


@pytest.mark.parametrize("change", [{"refresh_token": 5}, {"refresh_token": ["fake"]}, {"subject": {}}])
def test_a_record_with_a_refresh_token_or_subject_that_is_not_a_string_is_not_readable(
    variables: Variables, change: dict[str, Any]
) -> None:
    VariableTokenStore(oauth_config(**PUBLIC)).write(RECORD)
    stored = json.loads(variables.values[NAME])
    stored["open"] |= change
    variables.values[NAME] = json.dumps(stored)

    record = VariableTokenStore(oauth_config(**PUBLIC)).read()

    assert record is not None
    assert not record.readable


@pytest.mark.parametrize(
    "base_url",
    [
        "http://attacker.example",
        "ftp://attacker.example",
        "attacker.example",
        "https://",
        "https://user:pass@attacker.example",
        "https://attacker.example/#x",
        "https://attacker.example\\@api.example.com",
        "https://[::1",
        "",
    ],
)
def test_a_record_with_a_base_url_that_a_connection_could_not_have_is_read_without_that_token(
    variables: Variables, base_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    VariableTokenStore(oauth_config(**PUBLIC)).write(RECORD)
    stored = json.loads(variables.values[NAME])
    stored["open"]["tokens"][""]["base_url"] = base_url
    variables.values[NAME] = json.dumps(stored)

    record = VariableTokenStore(oauth_config(**PUBLIC)).read()

    assert record is not None
    assert (record.readable, set(record.tokens), record.refresh_token) == (True, {"other scope"}, "fake-refresh é")
    assert f"the base URL stored in the Airflow Variable {NAME} is not valid" in caplog.text
    assert "attacker" not in caplog.text


def test_a_record_with_a_base_url_of_another_host_than_those_of_the_vendor_is_read_without_that_token(
    variables: Variables, caplog: pytest.LogCaptureFixture
) -> None:
    settings = oauth_config(**PUBLIC, api_hosts=("*.my.example.com",), vendor_label="Acme CRM")
    tokens = {"": token(base_url="https://attacker.example"), "other": token(base_url="https://eu.my.example.com")}
    VariableTokenStore(settings).write(replace(RECORD, tokens=tokens))

    record = VariableTokenStore(settings).read()

    assert record is not None
    assert set(record.tokens) == {"other"}
    assert (
        f"Connection 'shop': the host of the base URL stored in the Airflow Variable {NAME} does not belong to Acme "
        "CRM (*.my.example.com), so the token is not used, and a new one is requested."
    ) in caplog.text
    assert "attacker" not in caplog.text


def test_a_record_with_an_http_base_url_is_readable_if_the_connection_allows_http(variables: Variables) -> None:
    plain = replace(RECORD, tokens={"": token(base_url="http://eu.example.com")})
    VariableTokenStore(oauth_config(**PUBLIC, allow_http=True)).write(plain)

    assert VariableTokenStore(oauth_config(**PUBLIC, allow_http=True)).read() == plain


def test_a_damaged_record_is_not_quoted_in_the_log(variables: Variables, caplog: pytest.LogCaptureFixture) -> None:
    variables.values[NAME] = '{"salt": "fake-access"'
    VariableTokenStore(oauth_config()).read()

    assert "fake-access" not in caplog.text


def test_a_write_that_fails_is_a_store_error_that_does_not_quote_the_record(variables: Variables) -> None:
    variables.failing = {0: RuntimeError("INSERT INTO variable VALUES ('fake-access')")}

    with pytest.raises(TokenStoreError) as raised:
        VariableTokenStore(oauth_config()).write(RECORD)

    assert str(raised.value).startswith(f"Connection 'shop': the Airflow Variable {NAME} could not be written")
    assert "RuntimeError" in str(raised.value)
    assert "fake-access" not in str(raised.value)


def test_a_write_without_effect_is_a_store_error(variables: Variables) -> None:
    variables.failing = {0: LOST}

    with pytest.raises(TokenStoreError, match="does not contain the value that was just written"):
        VariableTokenStore(oauth_config()).write(RECORD)


def test_a_variable_that_the_environment_overrides_is_a_store_error(variables: Variables) -> None:
    VariableTokenStore(oauth_config()).write(RECORD)
    shadow = variables.values[NAME]
    store = VariableTokenStore(oauth_config())
    variables.failing = {len(variables.calls): LOST}

    with pytest.raises(TokenStoreError) as raised:
        store.write(replace(RECORD, generation=8, nonce="nonce-8"))

    assert variables.values[NAME] == shadow
    assert "environment variable" in str(raised.value)
    assert "secrets backend" in str(raised.value)


def test_a_record_that_cannot_be_read_back_is_a_store_error(variables: Variables) -> None:
    variables.failing = {1: LOST}

    with pytest.raises(TokenStoreError, match="does not contain the value that was just written"):
        VariableTokenStore(oauth_config()).write(RECORD)


def test_a_record_that_another_process_has_replaced_by_a_newer_one_counts_as_stored(variables: Variables) -> None:
    VariableTokenStore(oauth_config()).write(replace(RECORD, generation=8, nonce="nonce-8"))
    newer = variables.values[NAME]
    variables.on_set = lambda: variables.values.update({NAME: newer})

    VariableTokenStore(oauth_config()).write(RECORD)


def test_a_failure_while_reading_back_is_a_store_error(variables: Variables) -> None:
    # The renewal retries after this error only. After another one, a renewed refresh token would be lost.
    variables.failing = {1: RuntimeError("the database is away")}

    with pytest.raises(TokenStoreError, match="^Connection 'shop': "):
        VariableTokenStore(oauth_config()).write(RECORD)


def test_a_read_that_fails_is_a_store_error(variables: Variables) -> None:
    variables.failing = {0: RuntimeError("the database is away")}

    with pytest.raises(TokenStoreError, match="^Connection 'shop': "):
        VariableTokenStore(oauth_config()).read()


def test_a_lease_is_written_to_another_variable_than_the_record(variables: Variables) -> None:
    store = VariableTokenStore(oauth_config())
    assert store.read_lease() is None

    store.write_lease("nonce-1")

    assert variables.values == {LEASE: "nonce-1"}
    assert VariableTokenStore(oauth_config()).read_lease() == "nonce-1"


@pytest.mark.parametrize("call", [lambda store: store.read_lease(), lambda store: store.write_lease("nonce")])
def test_a_lease_that_cannot_be_read_or_written_is_a_store_error(variables: Variables, call: Any) -> None:
    variables.failing = {0: RuntimeError("the database is away")}

    with pytest.raises(TokenStoreError, match="^Connection 'shop': "):
        call(VariableTokenStore(oauth_config()))


def test_is_listed_is_true_if_the_list_contains_the_record(variables: Variables) -> None:
    assert VariableTokenStore(oauth_config()).is_listed() is False
    VariableTokenStore(oauth_config()).write(RECORD)
    assert VariableTokenStore(oauth_config()).is_listed() is True


def test_is_listed_is_true_for_the_lease_if_the_list_contains_the_lease(variables: Variables) -> None:
    assert VariableTokenStore(oauth_config()).lease_is_listed() is False
    VariableTokenStore(oauth_config()).write_lease("nonce")
    assert VariableTokenStore(oauth_config()).lease_is_listed() is True
    assert VariableTokenStore(oauth_config()).is_listed() is False


def test_is_listed_raises_a_store_error_if_the_list_cannot_be_read(variables: Variables) -> None:
    variables.failing = {0: RuntimeError("the database is away")}

    with pytest.raises(TokenStoreError, match="could not be listed"):
        VariableTokenStore(oauth_config()).is_listed()


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(airflow_variables, "has_supervisor", lambda: True)
    monkeypatch.setattr(Variable, "keys", staticmethod(lambda prefix: ["oauth_token__shop"]), raising=False)


@pytest.mark.usefixtures("task")
def test_is_listed_in_a_task_is_true_if_the_list_of_the_supervisor_contains_the_variable() -> None:
    assert VariableTokenStore(oauth_config()).is_listed() is True
    assert VariableTokenStore(oauth_config()).lease_is_listed() is False


@pytest.mark.usefixtures("task")
def test_is_listed_in_a_task_is_none_if_there_are_several_teams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")

    assert VariableTokenStore(oauth_config()).is_listed() is None
    assert VariableTokenStore(oauth_config()).lease_is_listed() is None


@pytest.mark.usefixtures("task")
def test_is_listed_in_a_task_is_none_before_airflow_3_3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Variable, "keys")

    assert VariableTokenStore(oauth_config()).is_listed() is None


REFUSAL = Refusal(
    error=InvalidClient("the server said no", error="invalid_client", status_code=401, retry_after=7.0),
    until=START + timedelta(minutes=1),
)


def test_a_refusal_is_stored_unencrypted_and_read_again(variables: Variables) -> None:
    VariableTokenStore(oauth_config()).write(replace(RECORD, refused=REFUSAL))

    assert json.loads(variables.values[NAME])["refused"]["until"] == REFUSAL.until.isoformat()
    assert "the server said no" in variables.values[NAME]
    read = VariableTokenStore(oauth_config()).read()
    assert read is not None
    assert read.refused is not None
    assert read.refused.until == REFUSAL.until
    assert type(read.refused.error) is InvalidClient
    assert str(read.refused.error) == "the server said no"
    assert (read.refused.error.error, read.refused.error.retry_after) == ("invalid_client", 7.0)
    assert read.refresh_token == RECORD.refresh_token


def test_a_refusal_with_an_unrecognized_error_keeps_the_time_of_the_first_one(variables: Variables) -> None:
    error = UnrecognizedRefusal("the server refused with status 403", status_code=403)
    refusal = Refusal(error=error, until=REFUSAL.until, unrecognized_since=START)
    VariableTokenStore(oauth_config()).write(replace(RECORD, refused=refusal))

    read = VariableTokenStore(oauth_config()).read()
    assert read is not None
    assert read.refused is not None
    assert type(read.refused.error) is UnrecognizedRefusal
    assert (read.refused.until, read.refused.unrecognized_since) == (REFUSAL.until, START)


def test_a_refusal_of_the_first_release_has_no_time_of_the_first_one(variables: Variables) -> None:
    VariableTokenStore(oauth_config()).write(replace(RECORD, refused=REFUSAL))
    values = json.loads(variables.values[NAME])
    del values["refused"]["unrecognized_since"]
    variables.values[NAME] = json.dumps(values)

    read = VariableTokenStore(oauth_config()).read()
    assert read is not None
    assert read.refused is not None
    assert (read.refused.until, read.refused.unrecognized_since) == (REFUSAL.until, None)


@pytest.mark.parametrize(
    "change",
    [
        {"client_secret": "another"},
        {"scope": "a"},
        {"client_auth": "client_secret_post"},
        {"body_format": "json"},
        {"token_url": "https://other.example.com/token"},
        {"refresh_url": "https://login.example.com/refresh"},
        {"secret_headers": {"X-Key": "another"}},
        {"transport": TransportOptions(verify=False)},
    ],
)
def test_a_refusal_is_ignored_after_a_change_of_the_connection(variables: Variables, change: dict[str, Any]) -> None:
    VariableTokenStore(oauth_config()).write(replace(RECORD, refused=REFUSAL))

    read = VariableTokenStore(oauth_config(**change)).read()
    assert read is not None
    assert read.refused is None


def test_a_refusal_contains_no_hash_from_which_secrets_could_be_guessed(variables: Variables) -> None:
    VariableTokenStore(oauth_config()).write(replace(RECORD, refused=REFUSAL))

    assert oauth_config().version not in variables.values[NAME]
    assert oauth_config().version[:16] not in variables.values[NAME]


def test_a_refusal_with_a_new_secret_does_not_change_what_is_encrypted_with_the_old_one(variables: Variables) -> None:
    VariableTokenStore(oauth_config()).write(RECORD)
    changed = VariableTokenStore(oauth_config(client_secret="mistyped"))
    unreadable = changed.read()
    assert unreadable is not None
    changed.write(replace(unreadable, nonce="nonce-8", refused=REFUSAL))

    read = changed.read()
    assert read is not None
    assert (read.readable, read.nonce) == (False, "nonce-8")
    assert read.refused is not None
    put_back = VariableTokenStore(oauth_config()).read()
    assert put_back is not None
    assert put_back.refused is None
    assert (put_back.tokens, put_back.refresh_token) == (RECORD.tokens, RECORD.refresh_token)


@pytest.mark.parametrize(
    "refused",
    [
        [],
        "no",
        3,
        {"connection": None},
        {"until": "soon"},
        {"error": {}},
        {"error": 5},
        {"until": 5},
        {"unrecognized_since": 5},
    ],
)
def test_a_refusal_that_is_damaged_is_ignored(variables: Variables, refused: Any) -> None:
    VariableTokenStore(oauth_config()).write(replace(RECORD, refused=REFUSAL))
    values = json.loads(variables.values[NAME])
    values["refused"] = {**values["refused"], **refused} if isinstance(refused, dict) else refused
    variables.values[NAME] = json.dumps(values)

    read = VariableTokenStore(oauth_config()).read()
    assert read is not None
    assert read.refused is None
    assert read.tokens == RECORD.tokens


@pytest.mark.parametrize("conn_id", ["shop", "a", "A-b_c.9", "x" * 237])
def test_the_variable_name_contains_the_conn_id_if_it_is_valid(conn_id: str) -> None:
    assert airflow_variables.variable_name("oauth_token__", conn_id) == f"oauth_token__{conn_id}"


@pytest.mark.parametrize("conn_id", ["x" * 238, "x" * 5000, "a b", "a/b", "é", "a:b", "a\n", "::", "日本" * 100])
def test_the_variable_name_is_shortened_and_made_valid_otherwise(conn_id: str) -> None:
    name = airflow_variables.variable_name("oauth_token__", conn_id)

    assert name.startswith("oauth_token__")
    assert len(name) <= 250
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", name)
    assert airflow_variables.variable_name("oauth_token__", conn_id) == name


def test_the_variable_name_is_different_for_each_connection() -> None:
    conn_ids = ["a b", "a-b", "a/b", "a:b", "x" * 238, "x" * 239, "x" * 237, "é", "è"]

    assert len({airflow_variables.variable_name("oauth_token__", conn_id) for conn_id in conn_ids}) == len(conn_ids)


def test_the_variable_names_of_record_and_lease_differ_for_every_length() -> None:
    for conn_id in ("shop", "x" * 300):
        assert airflow_variables.variable_name("oauth_token__", conn_id) != airflow_variables.variable_name(
            "oauth_lease__", conn_id
        )
