"""The keys that sign JWTs, with the members that identify them in the header of a JWT."""

from __future__ import annotations

import base64
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.utils import is_pem_format, is_ssh_key

from airflow_provider_oauth.protocol.client_check import has_private_key
from airflow_provider_oauth.protocol.client_files import MAX_FILE_SIZE, read_client_file
from airflow_provider_oauth.protocol.field_labels import field_name
from airflow_provider_oauth.protocol.key_parser import parse_private_keys
from airflow_provider_oauth.protocol.pem import pem_certificates
from airflow_provider_oauth.protocol.private_keys import InvalidKey, PrivateKey
from airflow_provider_oauth.protocol.signing_algorithms import SECRET_ALGORITHMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_oauth.protocol.config import OAuthConfig


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """A key that signs JWTs.

    :param algorithm: the algorithm of the signature (RFC 7518 section 3.1, RFC 8037 section 3.1)
    :param key: the private key, or the client secret for HS256, HS384 and HS512
    :param key_id: the ID that is sent as ``kid``; None for none
    :param issuer: the e-mail address of a Google service account; None for other keys
    :param thumbprints: ``x5t`` and ``x5t#S256`` of the connection's certificate (RFC 7515 sections 4.1.7 and 4.1.8);
        empty if it has none
    """

    algorithm: str
    key: Any = field(repr=False)
    key_id: str | None = None
    issuer: str | None = None
    thumbprints: Mapping[str, str] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        """The members of a JWT's header that identify the key: ``kid``, ``x5t`` and ``x5t#S256``, without ``alg``."""
        return {**({"kid": self.key_id} if self.key_id else {}), **self.thumbprints}


def signing_key(config: OAuthConfig) -> SigningKey:
    """Return the private key of a connection. This reads ``private_key_file``, so it must not run on an event loop.

    :param config: the connection
    :raises ConfigurationError: if the key or the certificate is missing or invalid, or if the signing algorithm does
        not fit the key
    """
    name, keys = _private_keys(config)
    key = keys[0]
    # With client_secret_jwt, an algorithm of the client secret is not for the private key of an assertion.
    algorithm = None if _signs_with_secret(config) else config.signing_algorithm
    algorithm = algorithm or key.algorithm or key.algorithms[0]
    if algorithm not in key.algorithms:
        choices = ", ".join(key.algorithms)
        if algorithm != config.signing_algorithm:
            raise config.error(name, f"has a JWK whose member alg does not fit the key. Use {choices}, or remove alg")
        raise config.error(
            "signing_algorithm",
            f"is {algorithm}, which does not fit the key in {field_name(name)}. Use {choices}, or another key",
        )
    return SigningKey(
        algorithm=algorithm,
        key=key.key,
        key_id=config.key_id or key.key_id,
        issuer=key.issuer,
        thumbprints=_thumbprints(config, name, key),
    )


def secret_key(config: OAuthConfig) -> SigningKey:
    """Return the client secret of a connection as the key for ``client_secret_jwt``.

    :param config: the connection
    :raises ConfigurationError: if the secret is missing, too short or a key, or if the signing algorithm is not for
        secrets
    """
    algorithm = config.signing_algorithm or "HS256"
    if algorithm not in SECRET_ALGORITHMS:
        if not has_private_key(config):
            raise config.error(
                "signing_algorithm",
                f"is {algorithm}, which needs a private key, but client_secret_jwt signs with the client secret. Use "
                f"{', '.join(SECRET_ALGORITHMS)}, or set Client authentication (client_auth) to private_key_jwt",
            )
        algorithm = "HS256"  # the field is for the private key, which signs the assertion of grant type jwt_bearer
    secret = (config.client_secret or "").encode()
    if len(secret) < SECRET_ALGORITHMS[algorithm]:  # RFC 7518 section 3.2
        raise config.error(
            "client_secret",
            f"has fewer than {SECRET_ALGORITHMS[algorithm]} bytes, which is too short to sign with {algorithm}. Use a "
            "longer secret, or another Client authentication (client_auth)",
        )
    if is_pem_format(secret) or is_ssh_key(secret):  # PyJWT refuses them: a public key is not secret
        raise config.error(
            "client_secret",
            "is a key or a certificate, not a client secret. Enter the secret that the vendor issued, or enter a "
            "private key in Private key and set Client authentication (client_auth) to private_key_jwt",
        )
    return SigningKey(algorithm=algorithm, key=secret, key_id=config.key_id)


def key_materials(config: OAuthConfig) -> list[bytes]:
    """Return all private keys in ``private_key_file``, in PKCS #8 (DER) and not encrypted. The first one signs.

    This reads the file, so it must not run on an event loop.

    :param config: a connection with ``private_key_file``
    :raises ConfigurationError: if the file cannot be read, or if one of the keys is invalid
    """
    _, keys = _private_keys(config)
    return [key.material for key in keys]


def _signs_with_secret(config: OAuthConfig) -> bool:
    return config.client_auth == "client_secret_jwt" and config.signing_algorithm in SECRET_ALGORITHMS


def _private_keys(config: OAuthConfig) -> tuple[str, list[PrivateKey]]:
    """Return the name of the field with the private keys, and the keys. The first one signs."""
    if config.private_key is not None:
        name, content = "private_key", config.private_key.encode()
    elif config.private_key_file is not None:
        name, content = "private_key_file", read_client_file(config, "private_key_file")
    else:
        raise config.error(
            "private_key", "is missing. Enter the private key, or set Private key file (private_key_file)"
        )
    with _errors_converted(config, name):
        if len(content) > MAX_FILE_SIZE:
            raise InvalidKey(f"is longer than {MAX_FILE_SIZE // 1024} kB. Enter only the private key")
        keys = _parsed(content, config.private_key_passphrase)
        return name, _ordered(list(keys), config.key_id)


@lru_cache(maxsize=16)
def _parsed(content: bytes, passphrase: str | None) -> tuple[PrivateKey, ...]:
    """Return the private keys in ``content``. The file is read often, but its keys seldom change."""
    return tuple(parse_private_keys(content, passphrase))


def _ordered(keys: list[PrivateKey], key_id: str | None) -> list[PrivateKey]:
    """Return the keys with the one that signs first: in a JWK set, the one with the ID in ``key_id``."""
    if key_id is None or len(keys) == 1 or all(key.key_id is None for key in keys):
        return keys
    chosen = next((key for key in keys if key.key_id == key_id), None)
    if chosen is None:
        raise InvalidKey("is not the kid of a private key in the JWK set. Correct it, or remove it", "key_id")
    return [chosen, *(key for key in keys if key is not chosen)]


def _thumbprints(config: OAuthConfig, name: str, key: PrivateKey) -> dict[str, str]:
    """Return the thumbprints of the certificate of ``key`` by their name in a JWT's header.

    :param name: name of the field with the key
    """
    if config.certificate is None:
        return {}
    with _errors_converted(config, "certificate"):
        certificates = pem_certificates(config.certificate)
        public_key = _public_bytes(key.key.public_key())
        own = next((each for each in certificates if _public_bytes(each.public_key()) == public_key), None)
        if own is None:
            raise InvalidKey(
                f"is not the certificate of the key in {field_name(name)}. Use the certificate with its public key"
            )
        sha1, sha256 = own.fingerprint(hashes.SHA1()), own.fingerprint(hashes.SHA256())  # noqa: S303 - RFC 7515
    return {"x5t": _base64url(sha1), "x5t#S256": _base64url(sha256)}


def _public_bytes(public_key: Any) -> bytes:
    found: bytes = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return found


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@contextmanager
def _errors_converted(config: OAuthConfig, name: str) -> Iterator[None]:
    """Convert ``InvalidKey`` to the error for a field of the connection.

    :param name: name of the field with the key or certificate
    """
    try:
        yield
    except InvalidKey as error:
        raise config.error(error.field or name, error.problem) from None
