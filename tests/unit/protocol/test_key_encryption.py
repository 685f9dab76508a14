"""The work that an encrypted key may cause is limited."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_oauth.protocol.key_encryption import iterations
from airflow_provider_oauth.protocol.key_parser import parse_private_keys
from airflow_provider_oauth.protocol.private_keys import InvalidKey
from tests.keys import armored, element, integer, sequence

if TYPE_CHECKING:
    from collections.abc import Callable

PBES2 = element(6, bytes.fromhex("2a864886f70d01050d"))
PBKDF2 = element(6, bytes.fromhex("2a864886f70d01050c"))
SCRYPT = element(6, bytes.fromhex("2b06010401da47040b"))
SHA1_AND_3DES = element(6, bytes.fromhex("2a864886f70d010c0103"))
HMAC_SHA256 = sequence(element(6, bytes.fromhex("2a864886f70d0209")), element(5, b""))
AES_256_CBC = sequence(element(6, bytes.fromhex("60864801650304012a")), element(4, bytes(16)))
SALT = element(4, bytes(16))
ENCRYPTED = element(4, bytes(64))


def pbes2(count: bytes, function: bytes = PBKDF2) -> bytes:
    return sequence(
        sequence(PBES2, sequence(sequence(function, sequence(SALT, count, HMAC_SHA256)), AES_256_CBC)), ENCRYPTED
    )


def pbes1(count: bytes) -> bytes:
    return sequence(sequence(SHA1_AND_3DES, sequence(SALT, count)), ENCRYPTED)


def problem(data: bytes) -> str:
    with pytest.raises(InvalidKey) as caught:
        parse_private_keys(armored("ENCRYPTED PRIVATE KEY", data).encode(), "fake-passphrase")
    return caught.value.problem


TOO_MANY = (
    "is encrypted with more than 1500000 iterations, or in a format that is not supported. Encrypt the key again with "
    "openssl pkcs8 -topk8"
)
WRONG = "does not decrypt the private key. Check the passphrase, and that the key is complete"


@pytest.mark.parametrize("scheme", [pbes1, pbes2])
@pytest.mark.parametrize("count", [1, 2048, 600_000, 1_500_000, 1_500_001, 2**31, 2**63, 2**64, 2**4000, -1, 0])
def test_the_number_of_iterations_is_read(scheme: Callable[[bytes], bytes], count: int) -> None:
    assert iterations(scheme(integer(count))) == count


@pytest.mark.parametrize("scheme", [pbes1, pbes2])
@pytest.mark.parametrize("count", [1_500_001, 2**31, 2**63, 2**64, 2**4000, -1, 0])
def test_a_key_with_too_many_iterations_is_an_error(scheme: Callable[[bytes], bytes], count: int) -> None:
    assert problem(scheme(integer(count))) == TOO_MANY


@pytest.mark.parametrize("scheme", [pbes1, pbes2])
def test_a_key_with_fewer_iterations_is_decrypted(scheme: Callable[[bytes], bytes]) -> None:
    assert problem(scheme(integer(1000))) == WRONG


def test_the_iterations_of_all_keys_of_a_text_are_limited_together() -> None:
    """64 kB have space for more than 200 keys, which would stop the process for hours."""
    text = armored("ENCRYPTED PRIVATE KEY", pbes2(integer(750_001))) * 2
    with pytest.raises(InvalidKey) as caught:
        parse_private_keys(text.encode(), "fake-passphrase")
    assert caught.value.problem == TOO_MANY


def test_the_header_of_the_traditional_format_does_not_lift_the_limit() -> None:
    begin = "-----BEGIN ENCRYPTED PRIVATE KEY-----"
    header = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n"
    text = armored("ENCRYPTED PRIVATE KEY", pbes2(integer(2**31))).replace(begin, f"{begin}\n{header}")
    with pytest.raises(InvalidKey) as caught:
        parse_private_keys(text.encode(), "fake-passphrase")
    assert caught.value.problem == TOO_MANY


def test_scrypt_is_not_supported() -> None:
    """Its parameters can require any amount of memory."""
    assert problem(pbes2(integer(2**14), SCRYPT)) == TOO_MANY


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x30\x80" + pbes2(integer(1))[2:],  # an indefinite length
        b"\x30\x84\xff\xff\xff\xff" + pbes2(integer(1)),
        b"\x30\xff",
        pbes2(integer(1))[:30],
        pbes2(element(4, b"\1")),
        pbes2(b""),
        sequence(),
        sequence(sequence()),
        sequence(sequence(PBES2)),
        sequence(sequence(PBES2, sequence())),
        sequence(sequence(element(6, b"\x2a\3"), sequence(SALT, integer(1))), ENCRYPTED),
        b"A" * 10_000,
    ],
)
def test_data_that_is_not_an_encrypted_key_has_no_iterations(data: bytes) -> None:
    assert iterations(data) is None
