"""Reads how often the passphrase of an encrypted PKCS #8 key is hashed (RFC 5958 section 3, RFC 8018 appendix A)."""

from __future__ import annotations

PBES2 = bytes.fromhex("2a864886f70d01050d")
PBKDF2 = bytes.fromhex("2a864886f70d01050c")
#: Encryption schemes of PKCS #12 and PKCS #5 version 1.5, without the last byte.
PBES1 = (bytes.fromhex("2a864886f70d010c01"), bytes.fromhex("2a864886f70d0105"))

_INTEGER, _OCTET_STRING, _OBJECT_IDENTIFIER, _SEQUENCE = 0x02, 0x04, 0x06, 0x30


def iterations(data: bytes) -> int | None:
    """Return how often the passphrase of an encrypted key is hashed; None if the format is unknown.

    :param data: an ``EncryptedPrivateKeyInfo`` in DER
    """
    try:
        scheme, _ = _element(_element(data, _SEQUENCE)[0], _SEQUENCE)
        name, scheme = _element(scheme, _OBJECT_IDENTIFIER)
        parameters, _ = _element(scheme, _SEQUENCE)
        if name == PBES2:
            function, _ = _element(parameters, _SEQUENCE)
            name, function = _element(function, _OBJECT_IDENTIFIER)
            if name != PBKDF2:  # scrypt, for example, whose parameters can require any amount of memory
                return None
            parameters, _ = _element(function, _SEQUENCE)
        elif name[:-1] not in PBES1:
            return None
        _, parameters = _element(parameters, _OCTET_STRING)  # the salt
        return int.from_bytes(_element(parameters, _INTEGER)[0], signed=True)
    except ValueError:
        return None


def _element(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """Return the content of the first element of ``data`` in DER, and the bytes after it.

    :raises ValueError: if ``data`` does not begin with a complete element of this type
    """
    if len(data) < 2 or data[0] != tag:
        raise ValueError
    length, start = data[1], 2
    if length >= 0x80:
        start += length - 0x80
        length = int.from_bytes(data[2:start])
    end = start + length
    if start == 2 and data[1] >= 0x80 or end > len(data):  # 0x80 is an indefinite length, which DER forbids
        raise ValueError
    return data[start:end], data[end:]
