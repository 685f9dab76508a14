"""What is read from a pasted private key without parsing the key."""

from __future__ import annotations

import json

import pytest

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.protocol.pasted_key import secret_texts, service_account
from airflow_provider_oauth.protocol.redaction import redact
from tests.connections import oauth_config
from tests.keys import PASSPHRASE, ec_key, jwk, pem, rsa_key
from tests.keys import service_account as account


def one_line(text: str) -> str:
    """Return the content of a PEM text without line breaks."""
    return "".join(text.splitlines()[1:-1])


ONE_LINE = one_line(pem(rsa_key()))


@pytest.mark.parametrize(
    "text",
    [pem(rsa_key()), pem(rsa_key()).replace("\n", " "), pem(rsa_key()).replace("\n", "\\n"), json.dumps(account())],
)
def test_the_content_of_pem_is_secret_with_and_without_line_breaks(text: str) -> None:
    assert {text, ONE_LINE} <= set(secret_texts(text))


def test_each_key_in_pem_is_secret() -> None:
    encrypted = pem(ec_key(), PASSPHRASE)
    assert {ONE_LINE, one_line(encrypted)} <= set(secret_texts(pem(rsa_key()) + encrypted))


def test_the_private_numbers_of_jwks_are_secret() -> None:
    own, other = jwk(rsa_key()), jwk(ec_key())
    expected = {own[name] for name in ("d", "p", "q", "dp", "dq", "qi")}
    assert expected <= set(secret_texts(json.dumps(own)))
    assert expected | {other["d"]} <= set(secret_texts(json.dumps({"keys": [own, other]})))
    assert own["n"] not in set(secret_texts(json.dumps(own)))
    assert own["e"] not in set(secret_texts(json.dumps(own)))


@pytest.mark.parametrize(
    "text", ["", "{", "{}", "[]", '{"keys": 1}', '{"keys": [1, null]}', '{"d": 5}', '{"d": "\\ud800"}', '{"a":' * 5000]
)
def test_other_texts_are_one_secret(text: str) -> None:
    assert list(secret_texts(text)) == [text]
    assert service_account(text) is None


def test_a_secret_can_be_encoded() -> None:
    """A value with an unpaired surrogate cannot be masked, and is not part of a key."""
    bad = "\ud800" + "a" * 20
    for text in (json.dumps({"d": bad}), json.dumps(account(private_key=f"-----BEGIN PRIVATE KEY-----{bad}-----END"))):
        for secret in secret_texts(text):
            secret.encode()


def test_a_key_that_a_server_quotes_is_redacted() -> None:
    config = oauth_config(private_key=pem(rsa_key()), private_key_passphrase="fake passphrase")
    for quoted in (ONE_LINE, pem(rsa_key()), "\n".join(pem(rsa_key()).splitlines()[1:-1]), json.dumps(pem(rsa_key()))):
        shown = redact(f"bad key: {quoted}", config.secrets)
        assert "***" in shown
        assert not any(ONE_LINE[start : start + 16] in shown for start in range(0, len(ONE_LINE) - 16))
    assert redact("fake passphrase", config.secrets) == "***"


def test_a_service_account_is_recognized() -> None:
    assert service_account(f"\n{json.dumps(account())}") == account()
    assert service_account(json.dumps(jwk(rsa_key()))) is None
    assert service_account(pem(rsa_key())) is None


def test_a_pasted_key_and_a_file_are_ambiguous() -> None:
    with pytest.raises(ConfigurationError) as caught:
        oauth_config(private_key=pem(rsa_key()), private_key_file="/fake/key.pem")
    assert str(caught.value) == (
        "Connection 'shop': Private key (private_key) and Private key file (private_key_file) are both set. Remove one "
        "of them."
    )
