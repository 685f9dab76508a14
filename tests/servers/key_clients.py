"""The clients of oidc-provider that authenticate with a key or a certificate, and the connection fields for each."""

from __future__ import annotations

import json
import ssl
from base64 import b64encode
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import load_pem_x509_certificate
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

if TYPE_CHECKING:
    from tests.certificates import Certificates

#: At least as long as the hash of HS256 (RFC 7518 section 3.2).
LONG_SECRET = "fake-secret-with-40-characters-or-a-few-m"
#: The algorithm of each client that signs with a private key.
ALGORITHMS = {name.lower(): name for name in ("RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA")}
CURVES: dict[str, ec.EllipticCurve] = {"es256": ec.SECP256R1(), "es384": ec.SECP384R1(), "es512": ec.SECP521R1()}
#: The clients that authenticate with a JWT.
JWT_CLIENTS = [*ALGORITHMS, "hs256"]
#: The clients that authenticate with a certificate, which their tokens are bound to.
TLS_CLIENTS = ["mtls", "self-signed"]
#: One client for each method of authentication.
EACH_METHOD = ["es256", "hs256", *TLS_CLIENTS]


@lru_cache
def private_key(client: str) -> Any:
    """Return the private key of a client."""
    if client in CURVES:
        return ec.generate_private_key(CURVES[client])
    return ed25519.Ed25519PrivateKey.generate() if client == "eddsa" else rsa.generate_private_key(65537, 2048)


def pem(client: str) -> str:
    """Return the private key of a client as PEM."""
    return private_key(client).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def key_clients(client: dict[str, Any], tls: Certificates) -> list[dict[str, Any]]:
    """Return the metadata of the clients.

    ``fapi`` follows the FAPI profiles: it signs JWTs with the key of ``es256``, has tokens bound to a certificate,
    and it must push its authorization requests.

    :param client: the metadata that all have
    :param tls: the certificates
    """
    signing = [
        {
            "client_id": name,
            "token_endpoint_auth_method": "private_key_jwt",
            "token_endpoint_auth_signing_alg": algorithm,
            "jwks": {"keys": [_jwk(private_key(name).public_key())]},
        }
        for name, algorithm in ALGORITHMS.items()
    ]
    shared = {"client_id": "hs256", "token_endpoint_auth_method": "client_secret_jwt", "client_secret": LONG_SECRET}
    bound = {"tls_client_certificate_bound_access_tokens": True}
    issued = {
        "client_id": "mtls",
        "token_endpoint_auth_method": "tls_client_auth",
        "tls_client_auth_subject_dn": "CN=fake client",
        **bound,
    }
    self_signed = {
        "client_id": "self-signed",
        "token_endpoint_auth_method": "self_signed_tls_client_auth",
        "jwks": {"keys": [_certificate_jwk(path) for path in (tls.self_signed, tls.other)]},
        **bound,
    }
    fapi = {
        "client_id": "fapi",
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [_jwk(private_key("es256").public_key())]},
        "require_pushed_authorization_requests": True,
        **bound,
    }
    return [{**client, **each} for each in (*signing, shared, issued, self_signed, fapi)]


def credentials(client: str, tls: Certificates, tls_url: str) -> dict[str, Any]:
    """Return the connection fields with which a client authenticates.

    :param client: the client ID
    :param tls: the certificates
    :param tls_url: the base URL of the server for requests with a certificate
    """
    if client == "hs256":
        return {"client_auth": "client_secret_jwt", "password": LONG_SECRET}
    if client in ALGORITHMS:
        algorithm = {"signing_algorithm": "PS256"} if client == "ps256" else {}
        return {"client_auth": "private_key_jwt", "private_key": pem(client), "password": None, **algorithm}
    return {
        "client_auth": "tls_client_auth",
        "cert": tls.client if client == "mtls" else tls.self_signed,
        "verify": tls.ca,
        "password": None,
        "host": f"{tls_url}/api",
    }


def _jwk(key: Any) -> dict[str, Any]:
    """Return a public key as JWK."""
    kinds = {rsa.RSAPublicKey: RSAAlgorithm, ec.EllipticCurvePublicKey: ECAlgorithm}
    kind = next((kind for each, kind in kinds.items() if isinstance(key, each)), OKPAlgorithm)
    jwk: dict[str, Any] = json.loads(kind.to_jwk(key))
    return jwk


def _certificate_jwk(path: str) -> dict[str, Any]:
    """Return the key of a certificate as JWK, with the certificate (RFC 8705 section 2.2.2)."""
    text = Path(path).read_text()
    certificate = load_pem_x509_certificate(text.encode())
    key = _jwk(certificate.public_key())
    end = "-----END CERTIFICATE-----"
    der = ssl.PEM_cert_to_DER_cert(text[: text.index(end) + len(end)])
    return {**key, "x5c": [b64encode(der).decode()]}
