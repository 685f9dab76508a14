"""What is remembered between the requests for the pages of a list: the URL and the connection pool."""

from __future__ import annotations

import weakref
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_oauth.api.adapters import PoolAdapter
from airflow_provider_oauth.api.requests_auth import OAuthSession

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


def test_the_pools_of_a_closed_adapter_are_closed_and_not_used_again() -> None:
    adapter = PoolAdapter()
    request = prepared("https://api.example.com/a")
    first = adapter.get_connection_with_tls_context(request, True)
    adapter.close()
    assert adapter.get_connection_with_tls_context(request, True) is not first
    closed = weakref.ref(first)
    del first
    assert closed() is None
