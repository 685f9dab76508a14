"""Checks the files that TLS needs before a connection is opened: later, their errors cannot be told apart."""

from __future__ import annotations

import os
import re
import ssl

#: How OpenSSL names certificates in a folder (``openssl rehash``).
HASHED = re.compile(r"[0-9a-f]{8}\.\d+")


def usable_ca(path: str) -> bool:
    """Tell whether ``path`` is a file or folder of CA certificates that this process can use."""
    try:
        if os.path.isdir(path):
            return any(HASHED.fullmatch(name) for name in os.listdir(path))
        if not os.path.isfile(path):  # a pipe or device could block
            return False
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        return False
    return True


def usable_client_certificate(cert: str | tuple[str, str]) -> bool:
    """Tell whether ``cert`` is a client certificate with an unencrypted key that this process can use.

    :param cert: the path of a file with both, or the paths of the certificate and its key
    """
    certificate, key = (cert, None) if isinstance(cert, str) else cert
    try:
        if not all(os.path.isfile(path) for path in (certificate, key) if path is not None):
            return False
        # Without a password, OpenSSL would ask for one at the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password="")
    except (OSError, ValueError):
        return False
    return True
