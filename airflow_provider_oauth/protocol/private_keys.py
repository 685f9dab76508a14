"""Private keys that sign JWTs, and which of them are accepted."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPrivateNumbers
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from airflow_provider_oauth.protocol.signing_algorithms import CURVE_ALGORITHMS, EDWARDS_ALGORITHM, RSA_ALGORITHMS

#: Lengths of RSA keys in bits. RFC 7518 section 3.3 requires the minimum. Signing with a longer key takes too long.
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192

Key = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey | Ed448PrivateKey


class InvalidKey(Exception):
    """A key cannot be used.

    :param problem: what is wrong with it, as a predicate, and what to do, without the final period. It quotes nothing
        of the key
    :param field: name of the connection's field; None for the field with the key
    """

    def __init__(self, problem: str, field: str | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.field = field


@dataclass(frozen=True, kw_only=True)
class PrivateKey:
    """A private key, with its ID and algorithm if the file or field contains them.

    :param key: the key
    :param key_id: its ID; None if the file contains none
    :param algorithm: its algorithm; None if the file contains none
    :param issuer: the e-mail address of the Google service account that it belongs to; None for other keys
    """

    key: Key = field(repr=False)
    key_id: str | None = None
    algorithm: str | None = None
    issuer: str | None = None

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The algorithms that fit the key, the usual one first."""
        if isinstance(self.key, RSAPrivateKey):
            return RSA_ALGORITHMS
        if isinstance(self.key, EllipticCurvePrivateKey):
            return (CURVE_ALGORITHMS[self.key.curve.name],)
        return (EDWARDS_ALGORITHM,)

    @property
    def material(self) -> bytes:
        """The key in PKCS #8, not encrypted: the same bytes for every notation of the key."""
        return self.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def accepted(key: object) -> Key:
    """Return a private key of ``cryptography`` if an algorithm signs with it.

    :raises InvalidKey: if it has a type, curve or length that is not supported
    """
    if isinstance(key, RSAPrivateKey):
        if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
            raise InvalidKey(
                f"has an RSA key of {key.key_size} bits. Use a key of {MIN_RSA_BITS} to {MAX_RSA_BITS} bits"
            )
        return key
    if isinstance(key, (Ed25519PrivateKey, Ed448PrivateKey)):
        return key
    if isinstance(key, EllipticCurvePrivateKey) and key.curve.name in CURVE_ALGORITHMS:
        return key
    raise InvalidKey(
        "has a key of a type or curve that is not supported. Use an RSA key, an EC key on curve P-256, P-384 or P-521, "
        "or an Ed25519 key"
    )


def checked(key: Key) -> Key:
    """Return a key that was loaded without a check of its numbers. Those of other keys than RSA are always checked.

    The usual check also tests whether two numbers are prime. For a key of 8192 bits, that stops all threads of the
    process for several seconds.

    :raises InvalidKey: if the numbers of an RSA key do not fit together
    """
    if isinstance(key, RSAPrivateKey) and not _fit_together(key.private_numbers()):
        raise damaged()
    return key


def _fit_together(numbers: RSAPrivateNumbers) -> bool:
    """Return whether the numbers of an RSA key fulfill the equations of RFC 8017 section 3.2."""
    p, q, d, e = numbers.p, numbers.q, numbers.d, numbers.public_numbers.e
    return (
        p * q == numbers.public_numbers.n  # first, because only the length of n is limited
        and min(p, q, e) > 2
        and numbers.dmp1 == d % (p - 1)
        and numbers.dmq1 == d % (q - 1)
        and e * d % (p - 1) == 1
        and e * d % (q - 1) == 1
        and numbers.iqmp * q % p == 1
    )


def is_text(value: object) -> bool:
    """Return whether a value in JSON is a string that can be sent. An unpaired surrogate cannot be encoded."""
    return isinstance(value, str) and not re.search("[\ud800-\udfff]", value)


def damaged() -> InvalidKey:
    """Return the error for a key that cannot be read."""
    return InvalidKey("has a private key that is damaged or incomplete. Copy the whole key again")
