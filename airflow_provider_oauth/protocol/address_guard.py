"""Checks which hosts and addresses may receive requests, to prevent server-side request forgery (SSRF)."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import unquote

#: Addresses of cloud metadata services, which return credentials, and unspecified addresses, which reach this machine.
BLOCKED_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in (
        "169.254.0.0/16",  # link-local: AWS, Azure, Google Cloud, OpenStack and others
        "fe80::/10",  # link-local
        "fd00:ec2::254",  # AWS
        "100.100.100.200",  # Alibaba Cloud
        "168.63.129.16",  # Azure
        "192.0.0.192",  # Oracle Cloud
        "0.0.0.0",  # noqa: S104 - no socket is bound
        "::",
    )
)
#: Prefixes of IPv6 addresses whose last 32 bits are an IPv4 address (RFC 4291 section 2.5.5.2, RFC 6052 section 2.1).
IPV4_PREFIXES = (ipaddress.ip_network("::ffff:0:0/96"), ipaddress.ip_network("64:ff9b::/96"))


class Blocked(Exception):  # noqa: N818 - it reports a decision, not an error
    """A host or address must not receive requests. The text states the reason and starts with "its host"."""


@dataclass(frozen=True)
class AddressGuard:
    """Checks hosts and addresses before requests are sent to them.

    Without patterns, every host is allowed, but no address in ``BLOCKED_NETWORKS``. With patterns, a host must match
    one of them, and its addresses are not checked.

    :param allowed_hosts: host names or addresses. ``*`` stands for any characters, including dots; in an IPv4 address
        it stands only for digits and dots.
    """

    allowed_hosts: tuple[str, ...] = ()

    def check_host(self, host: str) -> None:
        """Check the host of a URL, which is a name or an address.

        :param host: host as in the URL, without port
        :raises Blocked: if it must not receive requests
        """
        name = unquote(host).lower().rstrip(".")  # decoded, because a proxy may decode %-escapes too
        if not self.allowed_hosts:
            address = literal_address(name)
            if address is not None:
                self.check_address(address)
        elif not any(_matches(name, pattern) for pattern in self.allowed_hosts):
            raise Blocked(f"its host {name!r} does not match [oauth] allowed_hosts")

    def check_address(self, address: str) -> None:
        """Check an address before a connection to it is opened.

        :param address: address as ``getaddrinfo`` returns it
        :raises Blocked: if it must not receive requests
        """
        if not self.allowed_hosts and is_blocked(address):
            raise Blocked(f"its host has the address {address}, which is blocked (see [oauth] allowed_hosts)")


def is_blocked(address: str) -> bool:
    """Return whether ``address``, or the IPv4 address in it, is in ``BLOCKED_NETWORKS``."""
    ip = ipaddress.ip_address(address.partition("%")[0])  # without the zone (RFC 4007 section 11)
    if isinstance(ip, ipaddress.IPv6Address) and any(ip in prefix for prefix in IPV4_PREFIXES):
        ip = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return any(ip in network for network in BLOCKED_NETWORKS)


def literal_address(host: str) -> str | None:
    """Return the address in ``host``, in any notation (also octal or hexadecimal); None if ``host`` is a name."""
    host = host.strip("[]")
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))  # resolvers accept 2852039166 and 0xa9.254.43518, too
    except (OSError, ValueError):
        return None


def _matches(name: str, pattern: str) -> bool:
    parts = pattern.lower().rstrip(".").strip("[]").split("*")
    # The pattern 10.* stands for IPv4 addresses. It must not match a host name such as 10.example.com, because anyone
    # can register one.
    wildcard = r"[\d.]*" if re.fullmatch(r"[\d.]*\d[\d.]*", "".join(parts)) else ".*"
    return re.fullmatch(wildcard.join(map(re.escape, parts)), name.strip("[]"), re.ASCII) is not None
