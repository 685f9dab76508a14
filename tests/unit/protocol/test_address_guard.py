from __future__ import annotations

import pytest

from airflow_provider_oauth.protocol.address_guard import AddressGuard, Blocked, is_blocked, literal_address


@pytest.mark.parametrize(
    "address",
    [
        "169.254.0.0",
        "169.254.169.254",
        "169.254.170.2",
        "169.254.255.255",
        "fe80::",
        "fe80::1%eth0",
        "febf:ffff::1",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "0.0.0.0",  # noqa: S104
        "::",
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "::ffff:0.0.0.0",
        "::ffff:100.100.100.200",
        "::ffff:168.63.129.16",
        "::ffff:192.0.0.192",
        "64:ff9b::169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::192.0.0.192",
    ],
)
def test_link_local_metadata_and_unspecified_addresses_are_blocked(address: str) -> None:
    assert is_blocked(address)
    with pytest.raises(Blocked, match=r"which is blocked \(see \[oauth\] allowed_hosts\)"):
        AddressGuard().check_address(address)
    AddressGuard(("*",)).check_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "::1",
        "10.0.0.1",
        "192.168.1.1",
        "169.253.255.255",
        "169.255.0.0",
        "fec0::1",
        "fe7f:ffff::1",
        "fd00:ec2::253",
        "100.100.100.199",
        "100.100.100.201",
        "168.63.129.15",
        "192.0.0.191",
        "0.0.0.1",
        "::2",
        "::ffff:169.253.0.1",
        "64:ff9b::8.8.8.8",
        "64:ff9c::169.254.169.254",
    ],
)
def test_loopback_private_and_neighboring_addresses_are_allowed(address: str) -> None:
    assert not is_blocked(address)
    AddressGuard().check_address(address)


NOTATIONS = [
    "169.254.169.254",
    "169.254.169.254.",
    "2852039166",
    "0xa9fea9fe",
    "0XA9FEA9FE",
    "025177524776",
    "0251.0376.0251.0376",
    "0xa9.0xfe.0xa9.0xfe",
    "0xa9.254.43518",
    "169.16689662",
    "[::ffff:169.254.169.254]",
    "::ffff:a9fe:a9fe",
    "64:ff9b::a9fe:a9fe",
    "fe80::1%25eth0",
    "169.254.169.25%34",
    "%3169.254.169.254%2e",
    "0",
    "0x0",
    "00.0",
]


@pytest.mark.parametrize("host", NOTATIONS)
def test_a_blocked_address_is_recognized_in_every_notation(host: str) -> None:
    with pytest.raises(Blocked):
        AddressGuard().check_host(host)


@pytest.mark.parametrize("host", ["auth.example.com", "localhost", "127.0.0.1", "cafe", "1.example", "a.0x7f", ""])
def test_other_hosts_are_allowed(host: str) -> None:
    AddressGuard().check_host(host)


def test_a_host_name_is_not_an_address() -> None:
    assert literal_address("auth.example.com") is None
    assert literal_address("0x7f.1") == "127.0.0.1"


@pytest.mark.parametrize(
    ("pattern", "host"),
    [
        ("auth.example.com", "auth.example.com"),
        ("Auth.Example.COM", "auth.example.com"),
        ("auth.example.com", "AUTH.example.com."),
        ("auth.example.com.", "auth.example.com"),
        ("*.example.com", "a.b.example.com"),
        ("auth-*.example.com", "auth-1.example.com"),
        ("*", "169.254.169.254"),
        ("169.254.169.254", "169.254.169.254"),
        ("10.1.*", "10.1.2.3"),
        ("10.*.1", "10.1.2.1"),
        ("fd00:*", "fd00::1"),
        ("1*.example.com", "10.example.com"),
        ("::1", "::1"),
        ("[fe80::1]", "fe80::1"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_a_host_that_matches_a_pattern_is_allowed(pattern: str, host: str) -> None:
    AddressGuard(("other.example.com", pattern)).check_host(host)


@pytest.mark.parametrize(
    ("pattern", "host"),
    [
        ("auth.example.com", "auth.example.com.evil.test"),
        ("auth.example.com", "evil-auth.example.com"),
        ("auth.example.com", "authXexample.com"),
        ("*.example.com", "example.com"),
        ("*.example.com", "example.com.evil.test"),
        ("127.0.0.1", "2130706433"),
        ("127.0.0.1", "127.1"),
        ("[a-z].example.com", "b.example.com"),
        ("auth?.example.com", "auth1.example.com"),
        ("https://auth.example.com", "auth.example.com"),
        ("auth.example.com", "auth.example.com\n"),
        ("auth.example.com", ""),
        ("10.*", "10.example.com"),
        ("10.*", "10.169.example.com"),
        ("1*", "1.example.com"),
        ("*.0.0.1", "evil.0.0.1"),
    ],
)
def test_a_host_that_matches_no_pattern_is_blocked(pattern: str, host: str) -> None:
    with pytest.raises(Blocked, match=r"does not match \[oauth\] allowed_hosts"):
        AddressGuard((pattern,)).check_host(host)
