from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.protocol.config import TransportOptions
from airflow_provider_oauth.protocol.tls_files import (
    check_tls_files,
    is_usable_ca,
    is_usable_client_certificate,
    tls_context,
)
from tests.connections import oauth_config

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig
    from tests.certificates import Certificates

UNUSABLE = ["/fake/absent.pem", "", "fake-\ud800", "fake\0", "/dev/zero", "a" * 5000]


@pytest.fixture
def without_certificate(tmp_path: Path) -> list[str]:
    """Paths that exist but contain no certificate."""
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("no certificate")
    (tmp_path / "broken").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "text").touch()
    os.mkfifo(tmp_path / "pipe")
    return [str(path) for path in tmp_path.iterdir()]


@pytest.fixture
def ca_folder(tls: Certificates, tmp_path: Path) -> str:
    (tmp_path / "0123abcd.0").write_bytes(Path(tls.ca).read_bytes())
    return str(tmp_path)


def config(verify: bool | str = True) -> OAuthConfig:
    return oauth_config(transport=TransportOptions(verify=verify))


def test_a_file_of_ca_certificates_is_usable(tls: Certificates) -> None:
    assert is_usable_ca(tls.ca)


def test_a_folder_of_hashed_ca_certificates_is_usable(ca_folder: str) -> None:
    assert is_usable_ca(ca_folder)


def test_a_path_without_certificate_is_not_usable(without_certificate: list[str]) -> None:
    assert len(without_certificate) == 5
    assert not any(map(is_usable_ca, without_certificate + UNUSABLE))
    assert not any(map(is_usable_client_certificate, without_certificate + UNUSABLE))


def test_a_client_certificate_is_usable_only_with_its_key(tls: Certificates) -> None:
    assert is_usable_client_certificate(tls.client)
    assert is_usable_client_certificate((tls.client, tls.client))
    assert not is_usable_client_certificate(tls.ca)
    assert not is_usable_client_certificate((tls.client, tls.server))
    assert not is_usable_client_certificate((tls.client, "/fake/absent.pem"))


def test_an_encrypted_key_is_not_usable_and_does_not_prompt_for_its_passphrase(
    tls: Certificates, capfd: pytest.CaptureFixture[str]
) -> None:
    assert not is_usable_client_certificate(tls.encrypted)
    assert capfd.readouterr() == ("", "")


def test_an_unusable_file_is_an_error_that_names_its_field(without_certificate: list[str]) -> None:
    for path in without_certificate:
        for check in (check_tls_files, tls_context):
            with pytest.raises(ConfigurationError, match=r"^Connection 'shop': verify is not a file or folder of CA"):
                check(config(verify=path), path, None)
            with pytest.raises(ConfigurationError, match=r"^Connection 'shop': cert is not a client certificate"):
                check(config(), True, path)
            with pytest.raises(ConfigurationError, match=r"^Connection 'shop': cert is not a client certificate"):
                check(config(), True, (path, path))


def test_an_unusable_ca_path_that_the_connection_does_not_set_may_be_from_the_environment() -> None:
    with pytest.raises(
        ConfigurationError, match=r"verify \(or REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE in the environment\)"
    ):
        tls_context(config(), "/no/such/file", None)


def test_a_tls_context_uses_a_folder_of_ca_certificates(ca_folder: str) -> None:
    assert tls_context(config(), ca_folder, None).verify_mode == ssl.CERT_REQUIRED


def test_a_tls_context_with_verify_false_does_not_verify_certificates() -> None:
    context = tls_context(config(), False, None)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


def test_a_tls_context_has_the_client_certificate(tls: Certificates) -> None:
    assert tls_context(config(), tls.ca, tls.client).verify_mode == ssl.CERT_REQUIRED
