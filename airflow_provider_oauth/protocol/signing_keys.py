"""Reads the keys that sign JWTs: PEM, JWK, JWK sets and Google service accounts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """A key that signs JWTs.

    :param algorithm: the algorithm of the signature (RFC 7518 section 3.1, RFC 8037 section 3.1)
    :param key: the private key, or the client secret for HS256, HS384 and HS512
    :param key_id: the ID that is sent as ``kid``; None for none
    :param issuer: the e-mail address of a Google service account; None for other keys
    """

    algorithm: str
    key: Any = field(repr=False)
    key_id: str | None = None
    issuer: str | None = None
