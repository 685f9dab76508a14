"""Parses private keys in JWKs and JWK sets (RFC 7517, RFC 7518 section 6, RFC 8037)."""

from __future__ import annotations

import re
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateNumbers, RSAPublicNumbers
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.utils import from_base64url_uint

from airflow_provider_oauth.protocol.private_keys import (
    MAX_RSA_BITS,
    InvalidKey,
    Key,
    PrivateKey,
    accepted,
    checked,
    is_text,
)
from airflow_provider_oauth.protocol.signing_algorithms import KEY_ALGORITHMS

#: The class that converts keys of each type, and the members that a private key of the type has.
_TYPES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "RSA": (RSAAlgorithm, ("n", "e", "d", "p", "q", "dp", "dq", "qi")),
    "EC": (ECAlgorithm, ("x", "y", "d")),
    "OKP": (OKPAlgorithm, ("x", "d")),
}
_CURVES = {"EC": ("P-256", "P-384", "P-521"), "OKP": ("Ed25519", "Ed448")}
#: Names of algorithms that PyJWT knows under another name (RFC 9864).
_ALGORITHM_NAMES = {"Ed25519": "EdDSA", "Ed448": "EdDSA"}
#: Number of characters of the longest number in base64.
_MAX_NUMBER = MAX_RSA_BITS // 6 + 1
#: The same for p, q and the numbers that are calculated from one of them. Checking whether a longer one is prime takes
#: minutes.
_MAX_PRIME = MAX_RSA_BITS // 2 // 6 + 1


def jwk_keys(parsed: dict[str, Any]) -> list[PrivateKey]:
    """Return the private keys in a JWK or a JWK set that can sign, in their order. Other keys of a set are skipped.

    :param parsed: the JSON object
    :return: at least one key
    :raises InvalidKey: if no private key can sign, or one that can is not valid
    """
    if "keys" not in parsed and "kty" not in parsed:
        raise InvalidKey(
            "is JSON, but not a JWK, a JWK set or a Google service account (type service_account). Use one of these, "
            "or a private key in PEM"
        )
    jwks = parsed.get("keys", [parsed])
    if not isinstance(jwks, list) or not all(isinstance(jwk, dict) for jwk in jwks):
        raise InvalidKey("is a JWK set whose member keys is not an array of JWKs. Copy the whole JWK set again")
    keys = [_key(jwk) for jwk in jwks if _can_sign(jwk)]
    if not keys:
        raise InvalidKey(
            "contains no private JWK that can sign. Use an RSA key, an EC key on curve P-256, P-384 or P-521, or an "
            "Ed25519 key, with the member d. Its members use, key_ops and alg must allow signing"
        )
    return keys


def _can_sign(jwk: dict[str, Any]) -> bool:
    """Return whether a JWK is a private key that can sign, according to its members."""
    kind, operations = jwk.get("kty"), jwk.get("key_ops", ["sign"])
    return (
        isinstance(kind, str)
        and kind in _TYPES
        and "d" in jwk
        and jwk.get("crv") in _CURVES.get(kind, (jwk.get("crv"),))
        and jwk.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "sign" in operations
        and _algorithm(jwk) in (None, *KEY_ALGORITHMS)
    )


def _algorithm(jwk: dict[str, Any]) -> Any:
    algorithm = jwk.get("alg")
    return _ALGORITHM_NAMES.get(algorithm, algorithm) if isinstance(algorithm, str) else algorithm


def _key(jwk: dict[str, Any]) -> PrivateKey:
    kind, members = _TYPES[jwk["kty"]]
    for name in members:
        value = jwk.get(name)
        # An RSA key that has only d is refused: finding its prime numbers can take minutes.
        longest = _MAX_PRIME if name in ("p", "q", "dp", "dq", "qi") else _MAX_NUMBER
        if not (isinstance(value, str) and re.fullmatch(rf"[A-Za-z0-9_-]{{1,{longest}}}=*", value)):
            raise InvalidKey(f"has a JWK whose member {name} is missing or is not a number in base64url. Copy it again")
    if not is_text(jwk.get("kid", "")):
        raise InvalidKey("has a JWK whose member kid is not a string. Write it in quotes")
    try:
        used = {name: jwk[name] for name in ("kty", "crv", *members) if name in jwk}
        key: Any = _rsa_key(used) if kind is RSAAlgorithm else kind.from_jwk(used)
        # Older versions of PyJWT do not compare the public key of an OKP key.
        if kind is OKPAlgorithm and kind.to_jwk(key, as_dict=True)["x"] != jwk["x"].rstrip("="):
            raise ValueError
    except Exception:
        raise InvalidKey("has a JWK that is not a valid private key. Copy the whole JWK again") from None
    return PrivateKey(key=accepted(key), key_id=jwk.get("kid"), algorithm=_algorithm(jwk))


def _rsa_key(jwk: dict[str, str]) -> Key:
    """Return the private key in a JWK. PyJWT would test whether its numbers are prime, see ``checked``."""
    numbers = {name: from_base64url_uint(jwk[name]) for name in _TYPES["RSA"][1]}
    key = RSAPrivateNumbers(
        p=numbers["p"],
        q=numbers["q"],
        d=numbers["d"],
        dmp1=numbers["dp"],
        dmq1=numbers["dq"],
        iqmp=numbers["qi"],
        public_numbers=RSAPublicNumbers(numbers["e"], numbers["n"]),
    ).private_key(unsafe_skip_rsa_key_validation=True)
    return checked(key)
