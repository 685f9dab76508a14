"""Checks and loads the files for TLS: CA certificates (``verify``) and client certificates (``cert``).

The files are checked before a connection is opened, because errors that occur later do not name the file. The errors of
this module do not say why a file cannot be used, so that users who can edit a connection learn nothing about the files
of the host.
"""

from __future__ import annotations

import os
import re
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig

#: File names of certificates in a folder (``openssl rehash``).
HASHED_NAME = re.compile(r"[0-9a-f]{8}\.\d+")

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
    if cert and not is_usable_client_certificate(cert):
        raise config.error(
            "cert", "is not a client certificate with an unencrypted key that this process can use. Check the path"
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
        _load_client_certificate(context, cert)
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


def is_usable_client_certificate(cert: str | tuple[str, str]) -> bool:
    """Return whether ``cert`` is a client certificate with an unencrypted key that this process can use.

    :param cert: path of a file with both, or the paths of the certificate and its key
    """
    try:
        if not all(map(os.path.isfile, [cert] if isinstance(cert, str) else cert)):
            return False
        _load_client_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), cert)
    except (OSError, ValueError):
        return False
    return True


def _load_client_certificate(context: ssl.SSLContext, cert: str | tuple[str, str]) -> None:
    certificate, key = (cert, None) if isinstance(cert, str) else cert
    # Without a password, OpenSSL would prompt for one at the terminal.
    context.load_cert_chain(certificate, key, password="")
