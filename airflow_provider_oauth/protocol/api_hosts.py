"""Checks the base URL in a token response against the vendor's hosts, because it decides where the token is sent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig

#: The characters of a host name. Other ones could be read as different hosts by different programs.
HOST = re.compile(r"[a-z0-9.-]+")


def is_api_host(config: OAuthConfig, url: str) -> bool:
    """Return whether a URL has one of the vendor's hosts. If the vendor file lists no hosts, every host is allowed.

    :param config: the connection
    :param url: a valid URL
    """
    if not config.api_hosts:
        return True
    host = host_of(url)
    return HOST.fullmatch(host) is not None and any(_matches(host, each.lower()) for each in config.api_hosts)


def host_of(url: str) -> str:
    """Return the host of a valid URL."""
    return (urlsplit(url).hostname or "").lower()


def _matches(host: str, pattern: str) -> bool:
    """Return whether a host is the one in ``pattern``, or below it if the pattern begins with ``*.``."""
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and host != pattern[1:]
    return host == pattern
