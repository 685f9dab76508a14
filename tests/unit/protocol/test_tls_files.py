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
    file_versions,
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


def test_a_passphrase_decrypts_the_key_of_a_client_certificate(
    tls: Certificates, capfd: pytest.CaptureFixture[str]
) -> None:
    for cert in (tls.encrypted, (tls.encrypted, tls.encrypted)):
        assert is_usable_client_certificate(cert, tls.passphrase)
        assert not is_usable_client_certificate(cert, "fake-and-wrong")
        assert not is_usable_client_certificate(cert, "x" * 2000)
    assert is_usable_client_certificate(tls.client, "not needed")
    assert capfd.readouterr() == ("", "")


def test_the_passphrase_of_the_connection_is_used(tls: Certificates) -> None:
    settings = oauth_config(private_key_passphrase=tls.passphrase)
    check_tls_files(settings, tls.ca, tls.encrypted)
    assert tls_context(settings, tls.ca, tls.encrypted).verify_mode == ssl.CERT_REQUIRED


def test_a_wrong_passphrase_is_an_error_that_names_both_fields_and_quotes_nothing(tls: Certificates) -> None:
    settings = oauth_config(private_key_passphrase="fake-and-wrong")
    for check in (check_tls_files, tls_context):
        with pytest.raises(ConfigurationError) as refused:
            check(settings, tls.ca, tls.encrypted)
        assert str(refused.value) == (
            "Connection 'shop': cert is not a client certificate with a key that this process can use. Check the path "
            "and, if the key is encrypted, Private key passphrase (private_key_passphrase)."
        )


def test_the_version_of_a_file_changes_when_it_is_replaced_changed_or_deleted(tmp_path: Path) -> None:
    file, key = tmp_path / "client.pem", tmp_path / "client.key"
    key.write_text("a")
    versions = [file_versions(str(file))]
    for content in ("a", "bb"):
        file.write_text(content)
        versions.append(file_versions(str(file)))
    (tmp_path / "new").write_text("bb")
    os.replace(tmp_path / "new", file)
    versions.append(file_versions(str(file)))
    assert len(set(versions)) == 4
    assert file_versions((str(file), str(key))) == versions[-1] + file_versions(str(key))
    assert file_versions("fake\0") == (None,)


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
