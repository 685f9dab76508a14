"""Authorization at a server whose URLs come from the metadata of its issuer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from airflow_provider_oauth.exceptions import ConfigurationError, ConsentDenied, TokenRequestError
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.management import grants
from airflow_provider_oauth.protocol.authorization import AuthorizationRequest
from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.runtime import token_sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from requests_mock import Mocker

    from airflow_provider_oauth.protocol.config import OAuthConfig


ISSUER = "https://login.example.com"
METADATA_URL = f"{ISSUER}/.well-known/openid-configuration"
METADATA = {
    "issuer": ISSUER,
    "token_endpoint": f"{ISSUER}/found/token",
    "authorization_endpoint": f"{ISSUER}/found/authorize",
}
REDIRECT_URI = "https://airflow.example.com/oauth/callback"
REQUEST = AuthorizationRequest(
    conn_id="my_api", redirect_uri=REDIRECT_URI, state="fake-state", code_verifier="fake-verifier"
)
TOKEN = {"access_token": "fake-access", "refresh_token": "fake-refresh", "expires_in": 3600}


@pytest.fixture
def connect(
    variables: dict[str, str], define_connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., OAuthConfig]]:
    monkeypatch.setattr(Clock, "sleep", lambda self, seconds: None)

    def define(**extra: Any) -> OAuthConfig:
        define_connection(
            "my_api", **({"grant_type": "authorization_code", "grant_url": None, "issuer": ISSUER} | extra)
        )
        return OAuthHook("my_api").config

    yield define
    token_sources._sources.clear()


def callback(**values: str) -> str:
    return f"{REDIRECT_URI}?{urlencode({'state': 'fake-state', 'code': 'fake-code', **values})}"


def sent(requests_mock: Mocker) -> list[tuple[str, str]]:
    return [(request.method, request.url.partition("?")[0]) for request in requests_mock.request_history]


def test_the_authorization_and_token_endpoints_are_read_from_the_metadata(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker, variables: dict[str, str]
) -> None:
    requests_mock.get(METADATA_URL, json=METADATA)
    requests_mock.post(METADATA["token_endpoint"], json=TOKEN)
    config = connect()
    assert grants.begin_authorization(config, REQUEST).startswith(
        f"{ISSUER}/found/authorize?response_type=code&client_id=app&"
    )
    token = grants.finish_authorization(config, REQUEST, callback())
    assert token.access_token == "fake-access"
    assert sent(requests_mock) == [
        ("GET", METADATA_URL),
        ("GET", METADATA_URL),
        ("POST", METADATA["token_endpoint"]),
    ]
    # The stored tokens match the connection itself, so reading them needs no metadata.
    token_sources._sources.clear()
    assert grants.status(config).token.access_token == "fake-access"
    assert OAuthHook("my_api").get_token().access_token == "fake-access"
    assert requests_mock.call_count == 3


def test_no_metadata_is_read_if_all_urls_are_configured(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker
) -> None:
    requests_mock.post(f"{ISSUER}/own/token", json=TOKEN)
    config = connect(grant_url=f"{ISSUER}/own/token", authorize_url=f"{ISSUER}/own/authorize")
    assert grants.begin_authorization(config, REQUEST).startswith(f"{ISSUER}/own/authorize?")
    grants.finish_authorization(config, REQUEST, callback())
    assert sent(requests_mock) == [("POST", f"{ISSUER}/own/token")]


@pytest.mark.parametrize("extra", [{}, {"grant_url": f"{ISSUER}/own/token"}])
def test_a_callback_must_have_iss_if_the_metadata_announces_it(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker, extra: dict[str, Any]
) -> None:
    requests_mock.get(METADATA_URL, json=METADATA | {"authorization_response_iss_parameter_supported": True})
    for url in (METADATA["token_endpoint"], f"{ISSUER}/own/token"):
        requests_mock.post(url, json=TOKEN)
    config = connect(**extra)
    with pytest.raises(ConsentDenied, match="the parameter iss is missing"):
        grants.finish_authorization(config, REQUEST, callback())
    assert [method for method, _ in sent(requests_mock)] == ["GET"]
    assert grants.finish_authorization(config, REQUEST, callback(iss=ISSUER)).access_token == "fake-access"


def test_metadata_without_an_authorization_endpoint_is_an_error(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker
) -> None:
    requests_mock.get(METADATA_URL, json=METADATA | {"authorization_endpoint": None})
    with pytest.raises(ConfigurationError, match=r"'my_api': Authorization URL \(authorize_url\) is missing"):
        grants.begin_authorization(connect(), REQUEST)


def test_unreadable_metadata_is_an_error_before_the_browser_is_redirected(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker
) -> None:
    requests_mock.get(METADATA_URL, status_code=503)
    with pytest.raises(TokenRequestError, match="'my_api'.*metadata endpoint"):
        grants.begin_authorization(connect(), REQUEST)


PUSHED = METADATA | {"pushed_authorization_request_endpoint": f"{ISSUER}/found/par"}


def test_a_pushed_request_is_sent_if_the_metadata_requires_it(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker
) -> None:
    requests_mock.get(METADATA_URL, json=PUSHED | {"require_pushed_authorization_requests": True})
    requests_mock.post(f"{ISSUER}/found/par", status_code=201, json={"request_uri": "urn:x", "expires_in": 60})
    assert grants.begin_authorization(connect(), REQUEST) == (
        f"{ISSUER}/found/authorize?client_id=app&request_uri=urn%3Ax"
    )
    assert sent(requests_mock) == [("GET", METADATA_URL), ("POST", f"{ISSUER}/found/par")]


@pytest.mark.parametrize("required", [False, None, "true", 1])
def test_an_endpoint_that_is_announced_but_not_required_is_not_used(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker, required: Any
) -> None:
    requests_mock.get(METADATA_URL, json=PUSHED | {"require_pushed_authorization_requests": required})
    assert "&state=fake-state" in grants.begin_authorization(connect(), REQUEST)
    assert sent(requests_mock) == [("GET", METADATA_URL)]


def test_the_url_in_the_connection_takes_precedence_and_needs_no_metadata(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker
) -> None:
    requests_mock.post(f"{ISSUER}/own/par", status_code=201, json={"request_uri": "urn:x", "expires_in": 60})
    config = connect(par_url=f"{ISSUER}/own/par", authorize_url=f"{ISSUER}/own/authorize")
    assert grants.begin_authorization(config, REQUEST) == f"{ISSUER}/own/authorize?client_id=app&request_uri=urn%3Ax"
    assert sent(requests_mock) == [("POST", f"{ISSUER}/own/par")]


def test_an_unsafe_url_of_a_required_endpoint_is_refused(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker
) -> None:
    unsafe = {
        "pushed_authorization_request_endpoint": "http://x.test/par",
        "require_pushed_authorization_requests": True,
    }
    requests_mock.get(METADATA_URL, json=METADATA | unsafe)
    with pytest.raises(ConfigurationError, match="Set Pushed authorization request URL"):
        grants.begin_authorization(connect(), REQUEST)


def test_nothing_is_pushed_if_the_connection_cannot_be_authorized(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker
) -> None:
    config = connect(par_url=f"{ISSUER}/own/par", authorize_url=f"{ISSUER}/own/authorize", grant_type="refresh_token")
    with pytest.raises(ConfigurationError, match="cannot be authorized here"):
        grants.begin_authorization(config, REQUEST)
    assert not requests_mock.called
