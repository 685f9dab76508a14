from __future__ import annotations

import base64
import os
from functools import partial
from typing import Any

import pytest

from airflow_provider_oauth.protocol.config import TransportOptions
from airflow_provider_oauth.runtime.encryption import RecordEncryption
from tests.connections import oauth_config

SALT = b"0123456789abcdef"
CONTENT = {"refresh_token": "fake-refresh é", "tokens": {"": {"access_token": "fake-access"}}}

#: Encrypted by the version in which the token URL was still required.
SEALED_EARLIER = (
    "QE97ZBkZ0fp9QIBoRBb/PnS0Kd9JmYhyyO8RxVY44e99PKQuTKzSqav4Ho1+q5I8qpLaP77fPH9NZq13U5eots7bTH6Usg3Nzx9O9x9VMkVwaW0H"
    "LlarwpLD3Yqp+LsANQKAKyJirHq2QWp+LGBSQMvbdi3X"
)


config = partial(oauth_config, grant_type="password", username="anna", user_password="fake-pass", scope="a b")


PUBLIC: dict[str, Any] = {
    "grant_type": "authorization_code",
    "client_auth": "none",
    "client_secret": None,
    "user_password": None,
}
OTHER_SECRETS = [
    {"client_secret": "fake-other"},
    {"user_password": "fake-other"},
    {"secret_grant_params": {"key": "fake"}},
    {"secret_headers": {"X-API-Key": "fake"}},
    {"secret_params": {"key": "fake"}},
]
OTHER_IDENTITIES: list[dict[str, Any]] = [
    {"client_id": "other"},
    {"username": "berta"},
    {"token_url": "https://other.example.com/token"},
    {"scope": "a"},
    {"audience": "aud"},
    {"resource": "res"},
    {"grant_type": "client_credentials"},
    {"grant_params": {"tenant": "t"}},
]


def test_encrypted_content_can_be_decrypted() -> None:
    assert RecordEncryption(config()).decrypt(RecordEncryption(config()).encrypt(CONTENT, SALT), SALT) == CONTENT


def test_content_that_an_earlier_version_encrypted_can_be_decrypted() -> None:
    encryption = RecordEncryption(config())

    assert encryption.key_id(SALT) == "0147bf405cbfb00d"
    assert encryption.decrypt(SEALED_EARLIER, SALT) == CONTENT


def test_without_a_token_url_content_is_encrypted_for_the_issuer() -> None:
    issuers = ["https://login.example.com", "https://other.example.com"]
    ours, other = (RecordEncryption(config(token_url=None, issuer=issuer)) for issuer in issuers)
    sealed = ours.encrypt(CONTENT, SALT)

    assert ours.decrypt(sealed, SALT) == CONTENT
    assert ours.key_id(SALT) != other.key_id(SALT)
    with pytest.raises(ValueError, match="^the ciphertext is not valid$"):
        other.decrypt(sealed, SALT)


def test_the_same_content_is_encrypted_differently_each_time() -> None:
    encryption = RecordEncryption(config())

    assert encryption.encrypt(CONTENT, SALT) != encryption.encrypt(CONTENT, SALT)


def test_the_ciphertext_shows_nothing_of_the_content() -> None:
    sealed = RecordEncryption(config()).encrypt(CONTENT, SALT)

    for text in (sealed, base64.b64decode(sealed).decode("latin-1")):
        assert "fake" not in text
        assert "token" not in text


@pytest.mark.parametrize(
    "change", [*OTHER_SECRETS, {"conn_id": "other"}, {"token_url": "https://other.example.com/token"}]
)
def test_content_cannot_be_decrypted_with_another_secret_connection_or_token_url(change: dict[str, Any]) -> None:
    sealed = RecordEncryption(config()).encrypt(CONTENT, SALT)

    with pytest.raises(ValueError, match="^the ciphertext is not valid$"):
        RecordEncryption(config(**change)).decrypt(sealed, SALT)


def test_content_cannot_be_decrypted_with_another_salt() -> None:
    encryption = RecordEncryption(config())

    with pytest.raises(ValueError, match="^the ciphertext is not valid$"):
        encryption.decrypt(encryption.encrypt(CONTENT, SALT), b"x" * 16)


@pytest.mark.parametrize("change", [*OTHER_SECRETS, *OTHER_IDENTITIES])
def test_the_key_id_changes_with_secret_user_url_and_scope(change: dict[str, Any]) -> None:
    assert RecordEncryption(config(**change)).key_id(SALT) != RecordEncryption(config()).key_id(SALT)


@pytest.mark.parametrize(
    "change", [{"scope": "b  a"}, {"leeway": 5}, {"client_auth": "client_secret_post"}, {"api_headers": {"X": "1"}}]
)
def test_the_key_id_does_not_change_with_other_fields(change: dict[str, Any]) -> None:
    assert RecordEncryption(config(**change)).key_id(SALT) == RecordEncryption(config()).key_id(SALT)


def test_the_key_id_depends_on_the_salt() -> None:
    assert RecordEncryption(config()).key_id(SALT) != RecordEncryption(config()).key_id(b"x" * 16)


@pytest.mark.parametrize("position", ["nonce", "text", "tag"])
def test_tampered_content_cannot_be_decrypted(position: str) -> None:
    encryption = RecordEncryption(config())
    data = bytearray(base64.b64decode(encryption.encrypt(CONTENT, SALT)))
    data[{"nonce": 0, "text": 20, "tag": -1}[position]] ^= 1

    with pytest.raises(ValueError, match="^the ciphertext is not valid$"):
        encryption.decrypt(base64.b64encode(data).decode(), SALT)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 11, 12, 13, 27, 28, 40])
def test_truncated_content_cannot_be_decrypted(length: int) -> None:
    encryption = RecordEncryption(config())
    data = base64.b64decode(encryption.encrypt(CONTENT, SALT))

    with pytest.raises(ValueError):  # noqa: PT011 - the caller handles all of them
        encryption.decrypt(base64.b64encode(data[:length]).decode(), SALT)


@pytest.mark.parametrize("text", ["***", "", "é", "not base64!", "AAAA\n"])
def test_text_that_is_not_encrypted_content_cannot_be_decrypted(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        RecordEncryption(config()).decrypt(text, SALT)


def test_a_public_client_without_any_secret_has_no_key() -> None:
    assert not RecordEncryption(config(**PUBLIC)).has_key


@pytest.mark.parametrize(
    "secret",
    [
        {"client_secret": "fake"},
        {"user_password": "fake"},
        {"secret_grant_params": {"k": "fake"}},
        {"secret_headers": {"X-API-Key": "fake"}},
        {"secret_params": {"key": "fake"}},
    ],
)
def test_a_public_client_with_any_secret_has_a_key(secret: dict[str, Any]) -> None:
    assert RecordEncryption(config(**(PUBLIC | secret))).has_key


def test_a_public_client_uses_its_first_refresh_token_as_key_material() -> None:
    encryption = RecordEncryption(config(**PUBLIC, refresh_token="fake-first"))

    assert encryption.has_key
    assert encryption.key_id(SALT) != RecordEncryption(config(**PUBLIC, refresh_token="fake-second")).key_id(SALT)


def test_a_public_client_has_a_key_id_even_without_a_key() -> None:
    encryption, other = RecordEncryption(config(**PUBLIC)), RecordEncryption(config(**PUBLIC, audience="aud"))

    assert encryption.key_id(SALT) != other.key_id(SALT)


def test_the_key_of_a_confidential_client_does_not_depend_on_its_refresh_token() -> None:
    first, second = (
        RecordEncryption(config(grant_type="refresh_token", refresh_token=token)) for token in ("fake-1", None)
    )

    assert second.decrypt(first.encrypt(CONTENT, SALT), SALT) == CONTENT
    assert first.key_id(SALT) == second.key_id(SALT)


def test_the_key_of_a_public_client_does_not_depend_on_its_refresh_token_if_it_has_another_secret() -> None:
    secret = {"secret_headers": {"X-API-Key": "fake"}}
    first, second = (RecordEncryption(config(**PUBLIC, **secret, refresh_token=token)) for token in ("fake-1", None))

    assert second.decrypt(first.encrypt(CONTENT, SALT), SALT) == CONTENT


def test_the_order_of_secret_headers_does_not_change_the_key() -> None:
    headers = {"X-API-Key": "fake", "X-Tenant": "fake-tenant"}
    ours, other = (
        RecordEncryption(config(secret_headers=dict(items))) for items in (headers.items(), reversed(headers.items()))
    )

    assert ours.key_id(SALT) == other.key_id(SALT)


def test_proxies_are_not_key_material() -> None:
    proxied = config(**PUBLIC, transport=TransportOptions(proxies={"https": "http://ann:fake@proxy.example.com"}))

    assert not RecordEncryption(proxied).has_key


def test_the_boundary_between_two_secrets_changes_the_key() -> None:
    one = config(client_secret="ab", user_password="c")
    other = config(client_secret="a", user_password="bc")

    assert RecordEncryption(one).key_id(SALT) != RecordEncryption(other).key_id(SALT)


def test_each_encryption_uses_a_new_nonce(monkeypatch: pytest.MonkeyPatch) -> None:
    nonces = iter([b"n" * 12, b"m" * 12])
    monkeypatch.setattr(os, "urandom", lambda size: next(nonces)[:size])
    encryption = RecordEncryption(config())

    sealed = [base64.b64decode(encryption.encrypt(CONTENT, SALT)) for _ in range(2)]

    assert [data[:12] for data in sealed] == [b"n" * 12, b"m" * 12]
    assert sealed[0][12:] != sealed[1][12:]
