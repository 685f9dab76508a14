"""Parses private keys: PEM, JWK, JWK sets and Google service accounts."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_oauth.protocol.jwk import jwk_keys
from airflow_provider_oauth.protocol.pem import pem_keys
from airflow_provider_oauth.protocol.private_keys import InvalidKey, PrivateKey, is_text


def parse_private_keys(content: bytes, passphrase: str | None) -> list[PrivateKey]:
    """Return the private keys in a file or a field, in their order.

    :param content: PEM, a JWK, a JWK set or a Google service account
    :param passphrase: the passphrase of encrypted keys; None if there is none
    :return: at least one key
    :raises InvalidKey: if there is no private key, or one of them cannot be used
    """
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise InvalidKey(
            "is in a binary format, for example PKCS #12 (.p12, .pfx) or DER. Convert it to PEM, for example with "
            "openssl pkcs12 -in FILE -nocerts -out KEY.pem"
        )
    if not text.startswith("{"):
        return pem_keys(text, passphrase)
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidKey("begins like JSON, but is not valid JSON. Copy the whole text again") from None
    if parsed.get("type") == "service_account":
        return [_service_account_key(parsed, passphrase)]
    return jwk_keys(parsed)


def _service_account_key(account: dict[str, Any], passphrase: str | None) -> PrivateKey:
    for name in ("private_key", "private_key_id", "client_email"):
        if not is_text(account.get(name)):
            raise InvalidKey(f"is a Google service account without {name}. Download a new key, and use the whole file")
    (found, *_) = pem_keys(account["private_key"], passphrase)
    return PrivateKey(key=found.key, key_id=account["private_key_id"], issuer=account["client_email"])
