"""The commands in the documentation create keys and certificates that this package can use."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import jwt
import pytest
from cryptography import x509

from airflow_provider_oauth.protocol.signing_keys import SigningKey, signing_key
from tests.connections import oauth_config
from tests.documents import DOCS, blocks

if TYPE_CHECKING:
    from pathlib import Path

    from tests.documents import Block

PAGES = (DOCS / "connections" / "private_key_jwt.md", DOCS / "connections" / "tls_client_auth.md")
COMMANDS = [block for block in blocks("bash", *PAGES) if block.text.startswith("openssl")]
(TO_JWK,) = [block for block in blocks("bash", *PAGES) if block.text.startswith("python -c")]


def run(command: str, folder: Path) -> None:
    subprocess.run(["bash", "-euc", command], cwd=folder, check=True, capture_output=True)


def key_in(folder: Path, name: str = "client.pem") -> SigningKey:
    config = oauth_config(grant_type="jwt_bearer", assertion_issuer="app", private_key_file=str(folder / name))
    return signing_key(replace(config, file_folder=str(folder)))


def test_there_are_commands_to_check() -> None:
    assert len(COMMANDS) == 5


@pytest.mark.parametrize("block", COMMANDS, ids=str)
def test_every_key_is_one_that_signs(block: Block, tmp_path: Path) -> None:
    run(block.text, tmp_path)

    key = key_in(tmp_path)

    assert key.algorithm == ("ES256" if "algorithm EC" in block.text else "RS256")
    assert jwt.encode({}, key.key, key.algorithm)
    for path in tmp_path.glob("client.crt"):
        assert x509.load_pem_x509_certificate(path.read_bytes()).public_key() == key.key.public_key()
    for path in tmp_path.glob("client.csr"):
        assert x509.load_pem_x509_csr(path.read_bytes()).public_key() == key.key.public_key()


@pytest.mark.parametrize("algorithm", ["RSA", "EC"])
def test_the_public_key_as_a_jwk_verifies_what_the_private_key_signs(algorithm: str, tmp_path: Path) -> None:
    (block,) = [each for each in COMMANDS if f"algorithm {algorithm}" in each.text and "client.pub.pem" in each.text]
    run(block.text, tmp_path)
    run(TO_JWK.text.replace("python", sys.executable, 1), tmp_path)

    public = json.loads((tmp_path / "client.jwk.json").read_text())

    assert (public["kid"], public["use"]) == ("my-key-1", "sig")
    assert "d" not in public
    key = key_in(tmp_path)
    signed = jwt.encode({"a": 1}, key.key, key.algorithm)
    assert jwt.decode(signed, jwt.PyJWK(public, key.algorithm), algorithms=[key.algorithm]) == {"a": 1}


def test_a_pkcs_12_file_can_be_converted(tmp_path: Path) -> None:
    (block,) = [each for each in COMMANDS if "-x509" in each.text and "algorithm RSA" in each.text]
    run(block.text, tmp_path)
    export = "openssl pkcs12 -export -inkey client.pem -in client.crt -passout pass: -out client.p12"
    run(export, tmp_path)
    (tmp_path / "client.pem").unlink()
    command = "openssl pkcs12 -in client.p12 -nodes -nocerts -out client.pem"
    assert command in PAGES[0].read_text()

    run(f"{command} -passin pass:", tmp_path)

    assert key_in(tmp_path).algorithm == "RS256"
