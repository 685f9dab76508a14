from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_oauth.protocol.tls_files import usable_ca, usable_client_certificate

if TYPE_CHECKING:
    from tests.certificates import Certificates


@pytest.fixture
def invalid_response(tmp_path: Path) -> list[str]:
    """Paths of what exists but holds no certificate."""
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("no certificate")
    (tmp_path / "broken").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "text").touch()
    os.mkfifo(tmp_path / "pipe")
    return [str(path) for path in tmp_path.iterdir()]


ODD = ["/fake/absent.pem", "", "fake-\ud800", "fake\0", "/dev/zero", "a" * 5000]


def test_a_file_of_ca_certificates_is_usable(tls: Certificates) -> None:
    assert usable_ca(tls.ca)


def test_a_folder_of_hashed_ca_certificates_is_usable(tls: Certificates, tmp_path: Path) -> None:
    (tmp_path / "0123abcd.0").write_bytes(Path(tls.ca).read_bytes())
    assert usable_ca(str(tmp_path))


def test_what_holds_no_certificate_is_not_usable(invalid_response: list[str]) -> None:
    assert len(invalid_response) == 5
    assert not any(map(usable_ca, invalid_response + ODD))
    assert not any(map(usable_client_certificate, invalid_response + ODD))


def test_a_client_certificate_is_usable_with_its_key_only(tls: Certificates) -> None:
    assert usable_client_certificate(tls.client)
    assert usable_client_certificate((tls.client, tls.client))
    assert not usable_client_certificate(tls.ca)
    assert not usable_client_certificate((tls.client, tls.server))
    assert not usable_client_certificate((tls.client, "/fake/absent.pem"))


def test_an_encrypted_key_is_not_usable_and_nobody_is_asked_for_its_passphrase(
    tls: Certificates, capfd: pytest.CaptureFixture[str]
) -> None:
    assert not usable_client_certificate(tls.encrypted)
    assert capfd.readouterr() == ("", "")
