"""Checks of the hosts of authorization servers, over sockets. 0.0.0.0 is blocked, and connects to this machine."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import ConfigurationError, OAuthError, TokenRequestError
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.protocol.config import TransportOptions
from airflow_provider_oauth.protocol.endpoint import TokenEndpoint
from tests.connections import oauth_config

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.recorder import Recorder

UNSPECIFIED = "0.0.0.0"  # noqa: S104 - no socket is bound


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Names:
    """A DNS resolver: addresses by host name, one list per lookup, and the names that were looked up."""

    def __init__(self) -> None:
        self.addresses: dict[str, list[list[str]]] = {}
        self.lookups: list[str] = []
        self._getaddrinfo = socket.getaddrinfo

    def getaddrinfo(self, host: str, port: int, *args: Any) -> list[Any]:
        planned = self.addresses.get(host)
        if planned is None:
            return self._getaddrinfo(host, port, *args)
        self.lookups.append(host)
        found = planned.pop(0) if len(planned) > 1 else planned[0]
        return [self._entry(address, port) for address in found]

    def _entry(self, address: str, port: int) -> Any:
        """Return the result of getaddrinfo, even if this machine has no IPv6."""
        if ":" in address:
            return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, 0)
        return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    return names


def endpoint(token_url: str | None, **values: Any) -> TokenEndpoint:
    values = {"client_id": "fake-id", "client_secret": "fake-secret", "allow_http": True, **values}
    return TokenEndpoint(oauth_config(conn_id="api", base_url="https://api.example.com", token_url=token_url, **values))


def port_of(api: Recorder) -> int:
    return int(api.url.rpartition(":")[2])


def refused(api: Recorder, token_url: str, field: str = "Token URL (grant_url)", **values: Any) -> ConfigurationError:
    """Expect that nothing is sent, and return the error."""
    with pytest.raises(
        ConfigurationError, match=rf"'api': {re.escape(field)} is not allowed.*\[oauth\] allowed_hosts"
    ) as caught:
        endpoint(token_url, **values).grant()
    assert caught.value.request_sent is False
    assert api.requests == []
    assert api.connections == 0
    return caught.value


NOTATIONS = ["0.0.0.0", "0.0.0.0.", "0", "0x0", "0X0.0", "00", "000.00.0x0", "[::ffff:0.0.0.0]", "[::ffff:0:0]"]  # noqa: S104


@pytest.mark.parametrize("host", NOTATIONS)
def test_a_blocked_address_is_refused_in_every_notation(api: Recorder, host: str) -> None:
    refused(api, f"http://{host}:{port_of(api)}/token")


@pytest.mark.parametrize("address", [UNSPECIFIED, "::ffff:0.0.0.0", "169.254.169.254", "fd00:ec2::254", "fe80::1"])
def test_a_name_with_a_blocked_address_is_refused_before_anything_is_sent(
    api: Recorder, names: Names, address: str
) -> None:
    names.addresses["auth.test"] = [[address]]
    error = refused(api, f"http://auth.test:{port_of(api)}/token")
    assert "fake-secret" not in str(error)


@pytest.mark.parametrize("addresses", [[UNSPECIFIED, "127.0.0.1"], ["127.0.0.1", UNSPECIFIED]])
def test_a_name_with_a_blocked_address_among_others_is_refused(
    api: Recorder, names: Names, addresses: list[str]
) -> None:
    names.addresses["auth.test"] = [addresses]
    refused(api, f"http://auth.test:{port_of(api)}/token")


def test_the_checked_address_is_the_one_that_is_used(api: Recorder, names: Names) -> None:
    names.addresses["auth.test"] = [["127.0.0.1"], [UNSPECIFIED]]
    with pytest.raises(OAuthError):  # the response is not a token
        endpoint(f"http://auth.test:{port_of(api)}/token").grant(retry=False)
    assert names.lookups == ["auth.test"]
    assert len(api.requests) == 1


def test_each_attempt_is_checked(api: Recorder, names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    api.responses["/token"] = [(503, {}), (200, {})]
    names.addresses["auth.test"] = [["127.0.0.1"], [UNSPECIFIED]]
    with pytest.raises(ConfigurationError, match=r"Token URL \(grant_url\) is not allowed") as caught:
        endpoint(f"http://auth.test:{port_of(api)}/token").grant()
    assert len(api.requests) == 1
    assert caught.value.request_sent


def test_this_machine_and_private_networks_are_allowed(api: Recorder, names: Names) -> None:
    for host in ("127.0.0.1", "localhost"):
        with pytest.raises(OAuthError):  # the response is not a token
            endpoint(f"http://{host}:{port_of(api)}/token").grant(retry=False)
    assert len(api.requests) == 2


@pytest.mark.parametrize("userinfo", ["fake@", "fake:fake@", "127.0.0.1:80@"])
def test_a_url_with_user_information_is_refused(api: Recorder, userinfo: str) -> None:
    with pytest.raises(ConfigurationError, match=r"Token URL \(grant_url\) must not contain a user name or password"):
        endpoint(f"http://{userinfo}0.0.0.0:{port_of(api)}/token")


# --- every request


def test_a_refresh_a_code_and_a_revocation_are_checked_too(api: Recorder) -> None:
    url = f"http://{UNSPECIFIED}:{port_of(api)}"
    calls = [
        lambda: endpoint(f"{url}/token", grant_type="refresh_token", refresh_token="fake").refresh("fake"),
        lambda: endpoint(f"{api.url}/token", refresh_url=f"{url}/refresh").refresh("fake"),
        lambda: endpoint(f"{url}/token").exchange_code("fake-code", "https://airflow.test/callback", "fake-verifier"),
        lambda: endpoint(f"{api.url}/token", revoke_url=f"{url}/revoke").revoke("fake-token", "access_token"),
        lambda: endpoint(None, issuer=url).with_discovered_endpoints("token_url"),
        lambda: endpoint(None, issuer=url).grant(),
    ]
    for call in calls:
        with pytest.raises(ConfigurationError, match=r"is not allowed.*\[oauth\] allowed_hosts"):
            call()
    assert api.connections == 0


def test_an_endpoint_that_the_metadata_names_is_checked(api: Recorder, names: Names) -> None:
    names.addresses["evil.test"] = [[UNSPECIFIED]]
    config = endpoint(None, issuer=api.url)._config
    metadata = {"issuer": api.url, "token_endpoint": f"http://evil.test:{port_of(api)}/token"}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("airflow_provider_oauth.protocol.discovery.json.loads", lambda _: metadata)
        with pytest.raises(ConfigurationError, match=r"Token URL \(grant_url\) is not allowed"):
            TokenEndpoint(config).grant()
    assert [path for _, path, _, _ in api.requests] == ["/.well-known/openid-configuration"]


# --- the setting


def test_only_hosts_that_match_are_allowed(api: Recorder) -> None:
    for patterns in (("auth.test",), ("*.test", "10.*"), ("localhost",)):
        error = refused(api, f"{api.url}/token", allowed_hosts=patterns)
        assert "'127.0.0.1' does not match" in str(error)


def test_a_name_that_does_not_match_is_not_resolved(api: Recorder, names: Names) -> None:
    names.addresses["other.test"] = [["127.0.0.1"]]
    refused(api, f"http://other.test:{port_of(api)}/token", allowed_hosts=("auth.test",))
    assert names.lookups == []


@pytest.mark.parametrize("pattern", ["auth.test", "*.test", "*"])
def test_a_host_that_matches_may_have_any_address(api: Recorder, names: Names, pattern: str) -> None:
    names.addresses["auth.test"] = [[UNSPECIFIED]]
    with pytest.raises(OAuthError):  # the response is not a token
        endpoint(f"http://auth.test:{port_of(api)}/token", allowed_hosts=(pattern,)).grant(retry=False)
    assert len(api.requests) == 1


def test_the_setting_is_read_from_the_configuration(
    api: Recorder, define_connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    define_connection("api", grant_url=f"{api.url}/token")
    monkeypatch.setenv("AIRFLOW__OAUTH__ALLOWED_HOSTS", "auth.test,\n *.example.com")
    assert OAuthHook("api").config.allowed_hosts == ("auth.test", "*.example.com")
    works, text = OAuthHook("api").test_connection()
    assert (works, api.connections) == (False, 0)
    assert "does not match [oauth] allowed_hosts" in text
    monkeypatch.setenv("AIRFLOW__OAUTH__ALLOWED_HOSTS", "127.0.0.1")
    OAuthHook("api").test_connection()
    assert len(api.requests) == 1
    monkeypatch.delenv("AIRFLOW__OAUTH__ALLOWED_HOSTS")
    assert OAuthHook("api").config.allowed_hosts == ()


# --- proxies


def test_the_host_of_the_url_is_checked_before_a_proxy_is_used(api: Recorder, names: Names) -> None:
    proxied = TransportOptions(proxies={"http": api.url})
    for host in [*NOTATIONS, "0%2e0.0.0", "%30.0.0.0", "[fe80::1%25eth0]"]:
        refused(api, f"http://{host}/token", transport=proxied)
    refused(api, "http://other.test/token", transport=proxied, allowed_hosts=("auth.test", "127.0.0.1"))
    with pytest.raises(OAuthError):  # the response is not a token
        endpoint("http://auth.test/token", transport=proxied).grant(retry=False)
    assert [path for _, path, _, _ in api.requests] == ["http://auth.test/token"]


@pytest.mark.parametrize("host", ["\uff10.0.0.0", "0\u30020.0.0", "\u24ea.0.0.0"])
def test_a_host_in_unicode_digits_is_refused(api: Recorder, host: str) -> None:
    with pytest.raises(ConfigurationError, match=r"'api': Token URL \(grant_url\) "):
        endpoint(f"http://{host}/token", transport=TransportOptions(proxies={"http": api.url})).grant()
    assert api.connections == 0


def test_the_proxy_of_a_connection_is_checked(api: Recorder, names: Names) -> None:
    names.addresses["proxy.test"] = [[UNSPECIFIED]]
    url, port = "http://auth.test/token", port_of(api)
    refused(api, url, "proxies", transport=TransportOptions(proxies={"http": f"http://{UNSPECIFIED}:{port}"}))
    refused(api, url, "proxies", transport=TransportOptions(proxies={"http": f"0:{port}"}))
    refused(api, url, "proxies", transport=TransportOptions(proxies={"all": f"http://proxy.test:{port}"}))
    refused(api, url, "proxies", transport=TransportOptions(proxies={"http": api.url}), allowed_hosts=("auth.test",))


def test_the_proxy_of_the_environment_is_not_checked(api: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://{UNSPECIFIED}:{port_of(api)}")
    monkeypatch.setenv("http_proxy", f"http://{UNSPECIFIED}:{port_of(api)}")
    with pytest.raises(OAuthError):  # the response is not a token
        endpoint("http://auth.test/token", allowed_hosts=("auth.test",)).grant(retry=False)
    assert len(api.requests) == 1
    refused_by_host = endpoint("http://169.254.169.254/token")
    with pytest.raises(ConfigurationError, match=r"Token URL \(grant_url\) is not allowed"):
        refused_by_host.grant()
    with pytest.raises(TokenRequestError):  # the environment is not used
        endpoint("http://localhost:1/token", transport=TransportOptions(trust_env=False)).grant(retry=False)
    assert len(api.requests) == 1
