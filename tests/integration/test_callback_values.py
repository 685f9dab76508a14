"""Values of the callback, from the consent at the sandbox to requests of hooks, operators and triggers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

import pytest
from airflow.providers.http.triggers.http import HttpResponseSerializer

from airflow_provider_oauth.exceptions import ConfigurationError, ConsentDenied, ConsentRequired
from airflow_provider_oauth.hooks.oauth import OAuthAsyncHook, OAuthHook
from airflow_provider_oauth.management import grants
from airflow_provider_oauth.operators.extract import OAuthExtractOperator
from airflow_provider_oauth.protocol.authorization import AuthorizationRequest
from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.protocol.endpoint import TokenEndpoint
from airflow_provider_oauth.runtime import airflow_variables, token_sources
from airflow_provider_oauth.triggers.oauth import OAuthHttpSensorTrigger, OAuthHttpTrigger
from sandbox.user_agent import UserAgent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token import Token
    from sandbox.server import Sandbox
    from tests.integration.recorder import Recorder

SECRET = "fake-secret+/%="
BACK = "https://airflow.example.com/oauth/callback"


@pytest.fixture
def connect(
    define_connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], sandbox: Sandbox
) -> Callable[..., OAuthConfig]:
    """Define a connection at the sandbox's server on whose page users choose a company."""
    monkeypatch.setattr(Clock, "sleep", lambda self, seconds: None)
    sandbox.state.add_client("jsonbody", "app", SECRET, scopes=["read"])
    url = f"{sandbox.url}/jsonbody"

    def define(**extra: Any) -> OAuthConfig:
        fields = {
            "host": f"{url}/api",
            "login": "app",
            "password": SECRET,
            "grant_type": "authorization_code",
            "grant_url": f"{url}/token",
            "authorize_url": f"{url}/authorize",
            "body_format": "json",
            "client_auth": "client_secret_post",
            "callback_map": "realm_id=realmId",
        }
        define_connection("api", **(fields | extra))
        return OAuthHook("api").config

    return define


def authorize(config: OAuthConfig, **fields: str) -> None:
    request = AuthorizationRequest(conn_id="api", redirect_uri=BACK)
    url = grants.begin_authorization(config, request)
    grants.finish_authorization(config, request, UserAgent().consent(url, **fields))


async def body(endpoint: str) -> tuple[str, str]:
    async with OAuthAsyncHook("api").session() as session:
        response = await session.run(endpoint, read=True)
        return str(response.url), await response.text()


def event(trigger: OAuthHttpTrigger) -> dict[str, Any]:
    async def first() -> Any:
        return (await anext(aiter(trigger.run()))).payload

    payload: dict[str, Any] = asyncio.run(first())
    return payload


def test_the_company_that_the_user_chose_is_used_by_hooks_operators_and_triggers(
    connect: Callable[..., OAuthConfig], tmp_path: Path
) -> None:
    config = connect()
    authorize(config, realmId="7")

    assert OAuthHook("api").run("items/{realm_id}").json()["id"] == 7
    assert asyncio.run(body("items/{realm_id}"))[0] == f"{config.base_url}/items/7"
    found = event(OAuthHttpTrigger("api", endpoint="items/{realm_id}"))
    assert HttpResponseSerializer.deserialize(found["response"]).json()["id"] == 7
    done = event(OAuthHttpSensorTrigger("api", endpoint="items/{realm_id}", until="id == `7`"))
    assert done == {"status": "success"}
    OAuthExtractOperator(
        task_id="rows",
        oauth_conn_id="api",
        endpoint="items/{realm_id}",
        path=f"{tmp_path}/rows.jsonl",
        records_path="@",
    ).execute({})
    assert (tmp_path / "rows.jsonl").read_text() == '{"id":7,"name":"Item 7"}\n'
    grants.renew(config)
    token_sources._sources.clear()
    assert OAuthHook("api").run("items/{realm_id}").json()["id"] == 7


def test_of_two_simultaneous_consents_for_different_companies_the_second_is_refused(
    connect: Callable[..., OAuthConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, exchange_code = connect(), TokenEndpoint.exchange_code

    def overtaken(endpoint: TokenEndpoint, *args: Any) -> Token:
        token = exchange_code(endpoint, *args)
        monkeypatch.setattr(TokenEndpoint, "exchange_code", exchange_code)
        authorize(config, realmId="7")
        return token

    monkeypatch.setattr(TokenEndpoint, "exchange_code", overtaken)
    with pytest.raises(ConsentDenied, match="'8' instead of '7'"):
        authorize(config, realmId="8")
    assert OAuthHook("api").run("items/{realm_id}").json()["id"] == 7
    grants.renew(config)


def test_another_company_is_refused_until_the_tokens_are_forgotten(connect: Callable[..., OAuthConfig]) -> None:
    config = connect()
    authorize(config, realmId="7")
    with pytest.raises(ConsentDenied, match="'8' instead of '7'"):
        authorize(config, realmId="8")
    assert OAuthHook("api").run("items/{realm_id}").json()["id"] == 7
    grants.forget(config)
    authorize(config, realmId="8")
    assert OAuthHook("api").run("items/{realm_id}").json()["id"] == 8


@pytest.mark.parametrize("value", ["a/b c?d#e%&;{realm_id}", "..a"])
def test_both_http_clients_send_the_same_url_parameters_and_headers(
    connect: Callable[..., OAuthConfig], api: Recorder, value: str
) -> None:
    config = connect(
        host=api.url,
        api_params={"company": "{realm_id}", "list": ["{realm_id}", "{x}"]},
        secret_headers={"X-Company": "c {realm_id}"},
    )
    authorize(config, realmId=value)
    OAuthHook("api").run("x/{realm_id}/y?q={realm_id}")
    asyncio.run(body("x/{realm_id}/y?q={realm_id}"))
    asyncio.run(body(f"{api.url}/x/{{realm_id}}/y?q={{realm_id}}"))

    assert len(api.requests) == 3
    for _, target, headers, _ in api.requests:
        path, _, query = target.partition("?")
        assert [unquote(segment) for segment in path.split("/")] == ["", "x", value, "y"]
        assert parse_qsl(query) == [("q", value), ("company", value), ("list", value), ("list", "{x}")]
        assert headers["X-Company"] == f"c {value}"


def test_a_value_that_cannot_be_sent_in_a_header_fails_with_both_http_clients(
    connect: Callable[..., OAuthConfig], api: Recorder
) -> None:
    config = connect(host=api.url, api_headers={"X-Company": "{realm_id}"})
    authorize(config, realmId="é")

    with pytest.raises(ConfigurationError, match="cannot be sent in a header"):
        OAuthHook("api").run("items")
    with pytest.raises(ConfigurationError, match="cannot be sent in a header"):
        asyncio.run(body("items"))
    assert api.requests == []


def test_a_triggerer_uses_the_values_of_a_new_consent_although_it_has_a_valid_token(
    connect: Callable[..., OAuthConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    authorize(connect(callback_map=None))
    config = connect()

    async def poll() -> None:
        hook = OAuthAsyncHook("api")
        assert (await hook.run(endpoint="items/1")).ok
        with pytest.raises(ConsentRequired, match="no value of realm_id"):
            await hook.run(endpoint="items/{realm_id}")
        await asyncio.to_thread(consent_in_another_process)
        assert (await (await hook.run(endpoint="items/{realm_id}")).json())["id"] == 7
        monkeypatch.setattr(airflow_variables, "get_variable", lambda name: pytest.fail(f"{name} was read"))
        assert (await (await hook.run(endpoint="items/{realm_id}")).json())["id"] == 7

    def consent_in_another_process() -> None:
        mine = dict(token_sources._sources)
        token_sources._sources.clear()
        authorize(config, realmId="7")
        token_sources._sources.update(mine)

    asyncio.run(poll())
