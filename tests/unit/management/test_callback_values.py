"""Values of the callback that are kept with the grant, from the consent to the status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

import pytest

from airflow_provider_oauth.exceptions import ConsentDenied
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.management import grants
from airflow_provider_oauth.protocol.authorization import AuthorizationRequest
from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.runtime import token_sources
from tests.connections import TOKEN_URL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from requests_mock import Mocker

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token import Token

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
        values = {
            "grant_type": "authorization_code",
            "authorize_url": "https://login.example.com/authorize",
            "callback_map": "realm_id=realmId, code=auth_code",
        }
        define_connection("my_api", **(values | extra))
        return OAuthHook("my_api").config

    yield define
    token_sources._sources.clear()


def finish(config: OAuthConfig, **values: str) -> Token:
    query = urlencode({"state": "fake-state", "auth_code": "fake-code", **values})
    return grants.finish_authorization(config, REQUEST, f"{REDIRECT_URI}?{query}")


def test_the_values_of_the_callback_are_stored_and_kept_by_renewals(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker
) -> None:
    config = connect()
    requests_mock.post(TOKEN_URL, json=TOKEN)

    assert finish(config, realmId="123", other="x").callback == {"realmId": "123"}
    assert parse_qs(requests_mock.request_history[0].text)["code"] == ["fake-code"]
    assert grants.status(config).callback == {"realm_id": "123"}
    requests_mock.post(TOKEN_URL, json=TOKEN | {"access_token": "renewed"})
    assert grants.renew(config).callback == {"realmId": "123"}
    token_sources._sources.clear()
    assert OAuthHook("my_api").get_token().callback == {"realmId": "123"}


def test_the_values_are_found_under_the_names_that_the_connection_has_now(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker
) -> None:
    requests_mock.post(TOKEN_URL, json=TOKEN)
    finish(connect(callback_map="realm_id=realmId, shop=shop"), realmId="123", shop="x", auth_code="", code="c")

    assert grants.status(connect(callback_map="company=realmId, shop=other")).callback == {"company": "123"}


def test_another_value_than_before_is_refused_before_the_code_is_used_and_allowed_after_forget(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker
) -> None:
    config = connect()
    requests_mock.post(TOKEN_URL, json=TOKEN)
    finish(config, realmId="123")
    finish(config, realmId="123")
    sent = requests_mock.call_count

    with pytest.raises(ConsentDenied) as error:
        finish(config, realmId="456")

    assert str(error.value) == (
        "Connection 'my_api': the callback has another realm_id (realmId) than before: '456' instead of '123'. The "
        "stored tokens belong to the previous account and were kept. To keep this account, authorize again and choose "
        "it at the server. To switch to the new account, forget the stored tokens, and authorize again."
    )
    assert requests_mock.call_count == sent
    assert grants.status(config).callback == {"realm_id": "123"}
    grants.forget(config)
    assert grants.status(config).callback == {}
    finish(config, realmId="456")
    assert grants.status(config).callback == {"realm_id": "456"}


def test_a_callback_without_the_value_stores_nothing(
    connect: Callable[..., OAuthConfig], requests_mock: Mocker, variables: dict[str, str]
) -> None:
    with pytest.raises(ConsentDenied, match="contains no 'realmId'"):
        finish(connect())

    assert (requests_mock.call_count, variables) == (0, {})
