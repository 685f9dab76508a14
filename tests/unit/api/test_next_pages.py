"""What is remembered between the requests for the pages of a list: the URL and the connection pool."""

from __future__ import annotations

import weakref
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_oauth.api.adapters import PoolAdapter, shared_adapter
from airflow_provider_oauth.api.requests_auth import OAuthSession

if TYPE_CHECKING:
    from pathlib import Path

URLS = (
    "https://api.example.com",
    "https://api.example.com/v1/items",
    "https://api.example.com/ä b/%41%2f",
    "https://api.example.com/items?a=1",
    "https://api.example.com/items#part",
    "http://api.example.com:80/%zz",
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
VALUES = st.one_of(TEXT, st.integers(), st.booleans(), st.floats(), st.binary(max_size=4), st.lists(TEXT, max_size=2))


def prepared(url: str, params: Any = None) -> requests.PreparedRequest:
    request = requests.PreparedRequest()
    request.prepare("GET", url, params=params)
    return request


@given(pages=st.lists(st.tuples(st.sampled_from(URLS), st.dictionaries(TEXT, VALUES, max_size=3)), max_size=4))
def test_the_url_of_each_page_is_written_as_requests_writes_it(pages: list[tuple[str, dict[str, Any]]]) -> None:
    session = OAuthSession(MagicMock())
    session._oauth = SimpleNamespace(refreshed=lambda request: request)  # type: ignore[assignment]
    request = prepared(URLS[0])
    for url, params in pages:
        request = session.prepare_next(request, url, params)
        assert request.url == prepared(url, params).url


@pytest.mark.parametrize(
    ("url", "options", "is_same"),
    [
        ("https://api.example.com/b?page=2", {}, True),
        ("https://api.example.com:444/a", {}, False),
        ("http://api.example.com/a", {}, False),
        ("https://other.example.com/a", {}, False),
        ("https://api.example.com/a", {"verify": False}, False),
        ("https://api.example.com/a", {"proxies": {"https": "http://proxy.example.com:3128"}}, False),
    ],
)
def test_requests_share_a_pool_only_if_origin_and_tls_settings_are_the_same(
    url: str, options: dict[str, Any], is_same: bool
) -> None:
    adapter = PoolAdapter()
    first = adapter.get_connection_with_tls_context(prepared("https://api.example.com/a"), True)
    second = adapter.get_connection_with_tls_context(prepared(url), **{"verify": True, **options})
    assert (first is second) is is_same


@pytest.mark.parametrize("proxies", [None, {"https": "http://proxy.example.com:3128"}])
def test_requests_share_a_pool_only_if_their_client_certificates_are_the_same(
    tmp_path: Path, proxies: dict[str, str] | None
) -> None:
    adapter, request = PoolAdapter(), prepared("https://api.example.com/a")
    certificate, key = tmp_path / "client.pem", tmp_path / "client.key"
    certificate.touch()
    key.touch()

    def pool(cert: Any) -> Any:
        return adapter.get_connection_with_tls_context(request, True, proxies, cert)

    both = (str(certificate), str(key))
    pools = [pool(None), pool(str(certificate)), pool(both), pool((str(certificate), str(certificate)))]
    assert len(set(map(id, pools))) == 4
    assert pool(list(both)) is pool(both) is pools[2]
    key.write_text("replaced")
    assert pool(both) not in pools
    assert pool(str(certificate)) is pools[1]


def test_the_pools_of_replaced_certificates_are_closed(tmp_path: Path) -> None:
    """urllib3 keeps the ten that were used last. A certificate may be replaced every few minutes for weeks."""
    adapter, certificate = PoolAdapter(), tmp_path / "client.pem"
    pools = []
    for number in range(15):
        certificate.write_text("a" * number)
        request = prepared("https://api.example.com/a")
        pools.append(weakref.ref(adapter.get_connection_with_tls_context(request, True, None, str(certificate))))

    assert [pool() is None for pool in pools] == [True] * 5 + [False] * 10


@pytest.mark.parametrize("proxies", [None, {"https": "http://proxy.example.com:3128"}])
@pytest.mark.parametrize(("passphrase", "sent"), [("fake-passphrase", "fake-passphrase"), (None, "")])
def test_the_passphrase_is_an_option_of_the_pool(
    proxies: dict[str, str] | None, passphrase: str | None, sent: str
) -> None:
    adapter = shared_adapter(None, passphrase=passphrase)
    pool = adapter.get_connection_with_tls_context(prepared("https://api.example.com/a"), True, proxies, "/a.pem")
    assert pool.key_password == sent  # without one, OpenSSL would prompt for it
    assert "fake-passphrase" not in repr(adapter) + repr(pool)


def test_hooks_with_different_passphrases_do_not_share_an_adapter() -> None:
    adapters = [shared_adapter(None, passphrase=each) for each in ("fake-a", "fake-b", None, "fake-a")]
    assert adapters[0] is adapters[3]
    assert len(set(map(id, adapters))) == 3


def test_the_pools_of_a_closed_adapter_are_closed_and_not_used_again() -> None:
    adapter = PoolAdapter()
    request = prepared("https://api.example.com/a")
    first = adapter.get_connection_with_tls_context(request, True)
    adapter.close()
    assert adapter.get_connection_with_tls_context(request, True) is not first
    closed = weakref.ref(first)
    del first
    assert closed() is None
