"""Checks and loads the files for TLS: CA certificates (``verify``) and client certificates (``cert``).

The files are checked before a connection is opened, because errors that occur later do not name the file. The errors of
this module do not say why a file cannot be used, so that users who can edit a connection learn nothing about the files
of the host.
"""

from __future__ import annotations

import os
import re
import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig

#: File names of certificates in a folder (``openssl rehash``).
HASHED_NAME = re.compile(r"[0-9a-f]{8}\.\d+")

#: The passphrase for keys that are not encrypted. Without one, OpenSSL would prompt for it at the terminal if a key is
#: encrypted.
NO_PASSPHRASE = ""

Verify = bool | str | None
Cert = str | tuple[str, str] | None


def check_tls_files(config: OAuthConfig, verify: Verify, cert: Cert) -> None:
    """Check that this process can use the CA certificates and the client certificate.

    :param config: the connection
    :param verify: path of a file or folder of CA certificates, which may be from the environment
    :param cert: path of a file with the client certificate and its key, or the paths of both
    :raises ConfigurationError: if a file cannot be used
    """
    if isinstance(verify, str) and not is_usable_ca(verify):
        from_environment = "(or REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE in the environment) "
        source = "" if isinstance(config.transport.verify, str) else from_environment
        raise config.error(
            "verify", f"{source}is not a file or folder of CA certificates that this process can use. Check the path"
        )
    if cert and not is_usable_client_certificate(cert, config.private_key_passphrase):
        raise config.error(
            "cert",
            "is not a client certificate with a key that this process can use. Check the path and, if the key is "
            "encrypted, Private key passphrase (private_key_passphrase)",
        )


def tls_context(config: OAuthConfig, verify: Verify, cert: Cert) -> ssl.SSLContext:
    """Return a TLS context with the CA certificates and the client certificate.

    :param config: the connection
    :param verify: path of a file or folder of CA certificates; False turns verification off; True or None uses the
        system's certificates
    :param cert: path of a file with the client certificate and its key, or the paths of both
    :raises ConfigurationError: if a file cannot be used
    """
    check_tls_files(config, verify, cert)
    ca = verify if isinstance(verify, str) else None
    is_folder = ca is not None and os.path.isdir(ca)
    context = ssl.create_default_context(cafile=None if is_folder else ca, capath=ca if is_folder else None)
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if cert:
        _load_client_certificate(context, cert, config.private_key_passphrase)
    return context


def is_usable_ca(path: str) -> bool:
    """Return whether ``path`` is a file or folder of CA certificates that this process can use."""
    try:
        if os.path.isdir(path):
            return any(HASHED_NAME.fullmatch(name) for name in os.listdir(path))
        if not os.path.isfile(path):  # a pipe or device could block
            return False
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        return False
    return True


def is_usable_client_certificate(cert: str | tuple[str, str], passphrase: str | None = None) -> bool:
    """Return whether ``cert`` is a client certificate with a key that this process can use.

    :param cert: path of a file with both, or the paths of the certificate and its key
    :param passphrase: the passphrase of an encrypted key
    """
    try:
        if not all(map(os.path.isfile, [cert] if isinstance(cert, str) else cert)):
            return False
        _load_client_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), cert, passphrase)
    except (OSError, ValueError):
        return False
    return True


def file_versions(cert: str | tuple[str, str]) -> tuple[Any, ...]:
    """Return values that change when a file of a client certificate is replaced or changed.

    :param cert: path of a file with the certificate and its key, or the paths of both
    """
    return tuple(map(_file_version, [cert] if isinstance(cert, str) else cert))


def _file_version(path: str) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)  # follows links, because Kubernetes replaces a link
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _load_client_certificate(context: ssl.SSLContext, cert: str | tuple[str, str], passphrase: str | None) -> None:
    certificate, key = (cert, None) if isinstance(cert, str) else cert
    context.load_cert_chain(certificate, key, password=passphrase or NO_PASSPHRASE)
