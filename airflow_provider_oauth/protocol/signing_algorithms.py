"""The algorithms that sign JWTs (RFC 7518 section 3.1, RFC 8037 section 3.1)."""

from __future__ import annotations

#: The usual algorithm of each kind of key is the first one.
RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
#: By the name of the curve in ``cryptography`` (RFC 7518 section 3.4).
CURVE_ALGORITHMS = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
EDWARDS_ALGORITHM = "EdDSA"
#: The algorithms of a client secret, and the length of their hash in bytes.
SECRET_ALGORITHMS = {"HS256": 32, "HS384": 48, "HS512": 64}
KEY_ALGORITHMS = (*RSA_ALGORITHMS, *CURVE_ALGORITHMS.values(), EDWARDS_ALGORITHM)
SIGNING_ALGORITHMS = (*KEY_ALGORITHMS, *SECRET_ALGORITHMS)
