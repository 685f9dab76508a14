"""The page *OAuth connections* of an Airflow whose base URL has a path: all links and cookies are below it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from sandbox.user_agent import target_of
from tests.distributed.leak_search import report
from tests.distributed.pages import Stack, running

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("below_a_path"), "below a path") as stack:
        stack.connect("shop")
        yield stack


def test_the_callback_of_an_authorization_is_below_the_path(stack: Stack) -> None:
    assert stack.airflow.url.endswith("/air")
    admin = stack.pages()
    response = admin.press("shop", "authorize")
    url = target_of(response)
    assert parse_qs(urlsplit(url).query)["redirect_uri"] == [f"{stack.airflow.url}/oauth/callback"]
    (cookie,) = (each for each in response.cookies if each.name.startswith("oauth_consent_"))
    assert cookie.path == "/air/oauth"
    assert "'shop': The authorization succeeded" in admin.follow_callback(admin.agent.consent(url))
    assert admin.show().rows["shop"][2] == "Valid"
    assert len(stack.accepted("shop")) == 1


def test_all_files_of_the_page_are_below_the_path(stack: Stack) -> None:
    admin = stack.pages()
    html = admin.agent.get(admin.url).text
    for path in ("/air/oauth/static/oauth.css", "/air/oauth/static/oauth.js", "/air/static/pin_32.png"):
        assert f'"{path}"' in html
        assert admin.agent.get(stack.airflow.url.removesuffix("/air") + path).status_code == 200
    assert 'href="/air/connections"' in html


def test_the_menu_entry_links_to_it(stack: Stack) -> None:
    plugins = stack.airflow.api("GET", "plugins", params={"limit": 100})["plugins"]
    (ours,) = (each for each in plugins if each["name"] == "oauth_connections")
    assert [view["href"] for view in ours["external_views"]] == ["/air/oauth/"]


def test_the_login_redirects_back_to_it(stack: Stack) -> None:
    visitor = stack.pages(None)
    login = target_of(visitor.agent.get(visitor.url))
    assert login.startswith(f"{stack.airflow.url}/api/v2/auth/login?")
    assert parse_qs(urlsplit(target_of(visitor.agent.get(login))).query)["next"] == [visitor.url]


def test_no_file_that_was_written_contains_a_secret(stack: Stack) -> None:
    assert report(stack.leaks()) == "no leaks"
