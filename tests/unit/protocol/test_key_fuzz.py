"""Keys with any content cause a ConfigurationError or a key that signs, and no error quotes the key."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.protocol.client_files import MAX_FILE_SIZE
from airflow_provider_oauth.protocol.key_parser import parse_private_keys
from airflow_provider_oauth.protocol.pasted_key import secret_texts
from airflow_provider_oauth.protocol.private_keys import InvalidKey
from airflow_provider_oauth.protocol.signing_keys import signing_key
from tests.connections import oauth_config
from tests.keys import PASSPHRASE, armored, certificate_pem, ec_key, ed25519_key, jwk, pem, rsa_key, service_account

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig

PEMS = [
    pem(ec_key()),
    pem(ec_key(), legacy=True),
    pem(ed25519_key()),
    pem(rsa_key()),
    pem(rsa_key(), legacy=True),
    pem(ec_key(), PASSPHRASE),
    pem(ec_key(), PASSPHRASE, legacy=True),
    pem(rsa_key(), PASSPHRASE),
]
JSONS = [jwk(ec_key()), jwk(ed25519_key()), jwk(rsa_key()), {"keys": [jwk(ec_key(), kid="1")]}, service_account()]
LABELS = ["PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY"]
#: Checking an RSA key can take longer than Hypothesis's deadline.
FUZZ = settings(deadline=None, derandomize=True)
#: Texts of this length or more from a key must not be in an error.
QUOTED = 12
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def outcome(config: OAuthConfig, secret: str) -> str:
    """Return the error text for a key, or "signed" if it signs."""
    error: ConfigurationError | None = None
    try:
        key = signing_key(config)
    except ConfigurationError as caught:
        error = caught
    if error is not None:
        assert error.__cause__ is None
        assert error.__context__ is None or error.__suppress_context__
        text = str(error)
        assert text.startswith("Connection 'shop': ")
        assert len(text) < 500
        assert not quotes(text, secret)
        return text
    token = jwt.encode({}, key.key, key.algorithm, key.headers)
    jwt.decode(token, key.key.public_key(), [key.algorithm])
    return "signed"


def quotes(text: str, secret: str) -> bool:
    """Return whether a text contains a word of the key, apart from words of this package."""
    words = re.findall(rf"[A-Za-z0-9+/=_-]{{{QUOTED},}}", secret)
    own = (
        "private_key",
        "service_account",
        "openssl",
        "ssh-keygen",
        "client_email",
        "PRIVATE",
        "-----BEGIN",
        "-----END",
    )
    return any(word in text and not any(each in word for each in own) for word in words)


def check_text(text: str) -> str:
    try:
        config = oauth_config(private_key=text, private_key_passphrase=PASSPHRASE)
    except ConfigurationError as error:  # an unpaired surrogate
        return str(error)
    for secret in secret_texts(text):
        secret.encode()
    return outcome(config, text)


def check_bytes(content: bytes) -> None:
    problem = ""
    try:
        assert parse_private_keys(content, PASSPHRASE)
    except InvalidKey as error:
        problem = error.problem
    assert not quotes(problem, content.decode("latin-1"))


@FUZZ
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode(errors="surrogatepass")))
@example(b"\x30\x82")
def test_random_bytes_are_a_key_or_an_error(content: bytes) -> None:
    check_bytes(content)


@FUZZ
@given(st.text(max_size=200))
def test_random_text_is_a_key_or_an_error(text: str) -> None:
    check_text(text)


@FUZZ
@given(st.sampled_from(LABELS), st.binary(max_size=200))
def test_random_data_in_pem_is_a_key_or_an_error(label: str, data: bytes) -> None:
    check_text(armored(label, data))


@FUZZ
@given(st.sampled_from(LABELS), st.text(max_size=100))
def test_random_text_in_pem_is_a_key_or_an_error(label: str, text: str) -> None:
    check_text(f"-----BEGIN {label}-----{text}-----END {label}-----")


@FUZZ
@given(st.sampled_from(PEMS), st.integers(0, 2000), st.integers(0, 2000))
def test_truncated_pem_is_a_key_or_an_error(text: str, start: int, length: int) -> None:
    check_text(text[: start % len(text)] + text[start % len(text) + length :])


@FUZZ
@given(st.sampled_from(PEMS), st.sampled_from(LABELS), st.lists(st.integers(0, 20_000), min_size=1, max_size=4))
def test_pem_with_flipped_bits_is_a_key_or_an_error(text: str, label: str, flips: list[int]) -> None:
    body = re.sub(r"-----[^-]+-----|Proc-Type.*|DEK-Info.*|\s", "", text)
    data = bytearray(base64.b64decode(body))
    for flip in flips:
        data[flip // 8 % len(data)] ^= 1 << flip % 8
    check_text(armored(label, bytes(data)))
    check_text(armored(re.findall(r"-----BEGIN ([^-]+)-----", text)[0], bytes(data)))


@FUZZ
@given(st.sampled_from(PEMS), st.integers(0, 2000), st.characters())
def test_pem_with_a_replaced_character_is_a_key_or_an_error(text: str, position: int, character: str) -> None:
    position %= len(text)
    check_text(text[:position] + character + text[position + 1 :])


@FUZZ
@given(json_values)
def test_random_json_is_a_key_or_an_error(value: Any) -> None:
    check_text(json.dumps(value))
    check_text(json.dumps({"keys": value}))
    check_text(json.dumps({"keys": [value]}))


@FUZZ
@given(st.sampled_from(JSONS), st.integers(0, 20), json_values)
def test_json_with_a_wrong_member_is_a_key_or_an_error(value: dict[str, Any], number: int, member: Any) -> None:
    target = value["keys"][0] if "keys" in value else value
    names = [*target, "alg", "kid", "use", "key_ops", "oth", "crv"]
    changed = target | {names[number % len(names)]: member}
    check_text(json.dumps({"keys": [changed]} if "keys" in value else changed))


@FUZZ
@given(st.sampled_from(JSONS), st.integers(0, 5000), st.integers(0, 5000))
def test_truncated_json_is_a_key_or_an_error(value: dict[str, Any], start: int, length: int) -> None:
    text = json.dumps(value)
    check_text(text[: start % len(text)] + text[start % len(text) + length :])


@FUZZ
@given(
    st.sampled_from([jwk(ec_key()), jwk(ed25519_key()), jwk(rsa_key())]), st.integers(0, 20), st.binary(max_size=300)
)
def test_a_jwk_with_a_random_number_is_a_key_or_an_error(value: dict[str, Any], number: int, data: bytes) -> None:
    names = [name for name in value if name not in ("kty", "crv")]
    changed = value | {names[number % len(names)]: base64.urlsafe_b64encode(data).rstrip(b"=").decode()}
    check_text(json.dumps(changed))


@FUZZ
@given(st.text(max_size=60) | st.binary(max_size=100).map(lambda data: armored("CERTIFICATE", data)))
@example(certificate_pem(ec_key())[:-40])
@example(certificate_pem(rsa_key()))
def test_random_certificates_are_refused(text: str) -> None:
    try:
        config = oauth_config(private_key=PEMS[0], certificate=text)
    except ConfigurationError:
        return
    assert outcome(config, text) != "signed"


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN PRIVATE KEY-----" * 2400,
        "-----BEGIN PRIVATE KEY-----A-----END PRIVATE KEY-----" * 1200,
        "-----BEGIN PRIVATE KEY-----" + "A" * 64_000 + "-----END PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----" + "\\n" * 32_000 + "-----END RSA PRIVATE KEY-----",
        "-----BEGIN " + "A" * 65_000,
        "-----BEGIN ENCRYPTED PRIVATE KEY-----" + "MIIA" * 16_000 + "-----END ENCRYPTED PRIVATE KEY-----",
        "-----" * 13_000,
        " " * 65_000,
        "\\n" * 32_000,
        '{"a":' * 13_000,
        '{"keys": [' + "{}," * 20_000 + "{}]}",
        '{"keys": ' + "[" * 60_000,
        '{"kty": "RSA", "n": "' + "A" * 65_000 + '"}',
        '{"keys": [' + ",".join(['{"kty":"EC","d":"A","crv":"P-256"}'] * 1800) + "]}",
        "a" * (MAX_FILE_SIZE + 1),
        "a" * 10_000_000,
    ],
    ids=lambda text: text[:30],
)
def test_long_texts_are_refused(text: str) -> None:
    assert check_text(text) != "signed"


def test_many_keys_are_one_kilobyte_each() -> None:
    """The size of the file limits the number of keys."""
    text = pem(ec_key()) * (MAX_FILE_SIZE // len(pem(ec_key())))
    assert check_text(text) == "signed"
