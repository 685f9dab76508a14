"""The hooks of vendors, and every hook with connections of every type."""

from __future__ import annotations

import asyncio
import logging
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import BaseHook
from airflow.sdk import Connection
from airflow.sdk.providers_manager_runtime import HookInfo, ProvidersManagerTaskRuntime
from requests_mock import ANY

from airflow_provider_oauth.api.rate_limit import Budget
from airflow_provider_oauth.connection import preset_of
from airflow_provider_oauth.exceptions import ApiError, ConfigurationError
from airflow_provider_oauth.fields import Field
from airflow_provider_oauth.hooks import lookup, settings
from airflow_provider_oauth.hooks.joor import JoorHook
from airflow_provider_oauth.hooks.justimmo import JustimmoHook
from airflow_provider_oauth.hooks.justlogin import JustLoginHook
from airflow_provider_oauth.hooks.lookup import hook_of
from airflow_provider_oauth.hooks.oauth import OAuthAsyncHook, OAuthHook
from airflow_provider_oauth.operators.extract import OAuthExtractOperator
from airflow_provider_oauth.presets import JOOR, JUSTIMMO, JUSTLOGIN, OAUTH, Preset
from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.runtime import airflow_variables
from tests import connections
from tests.fake_clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests_mock import Mocker
    from requests_mock.adapter import _Matcher

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token import Token

VENDORS: dict[str, type[OAuthHook]] = {"justlogin": JustLoginHook, "justimmo": JustimmoHook, "joor": JoorHook}
EXTRA = {
    "justlogin": {"grant_type": "refresh_token", "refresh_token": "fake-refresh"},
    "justimmo": {"tenant_id": "5678"},
    "joor": {"username": "fake-user", "user_password": "fake-password", "account": "7"},
}
API = {
    "justlogin": "https://apis.justlogin.com",
    "justimmo": "https://api.justimmo.at",
    "joor": "https://api.jooraccess.com/v4",
}
TOKEN_URL = {
    "justlogin": "https://apis.justlogin.com/v1/auth/connect/token",
    "justimmo": "https://auth.justimmo.at/access_token",
    "joor": "https://atlas.jooraccess.com/auth/",
    "oauth": connections.TOKEN_URL,
}
#: The query that each connection adds to requests.
QUERY = {"justlogin": "", "justimmo": "", "joor": "?account=7"}
EVERY_VENDOR = pytest.mark.parametrize("vendor", VENDORS)


@pytest.fixture(autouse=True)
def connect(
    variables: dict[str, str],
    define_connection: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    requests_mock: Mocker,
) -> Callable[..., None]:
    """Define the connection ``shop`` of a vendor whose token endpoint issues fake-token."""
    # A renewal with a refresh token first waits for other processes; there are none here.
    monkeypatch.setattr(Clock, "sleep", lambda self, seconds: None)
    # caplog does not see Airflow's own logger.
    monkeypatch.setattr(OAuthHook, "log", logging.getLogger("airflow.task.hooks"))

    def define(vendor: str, **extra: Any) -> None:
        fields = EXTRA.get(vendor, {}) | extra
        define_connection("shop", conn_type=vendor, **fields)
        if vendor in TOKEN_URL:
            requests_mock.post(TOKEN_URL[vendor], json={"access_token": "fake-token", "expires_in": 3600})

    return define


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The clock of every ``RateLimiter``."""
    clock = FakeClock()
    real = settings.RateLimiter
    monkeypatch.setattr(settings, "RateLimiter", lambda budget: real(budget, clock))
    return clock


# --- hooks of vendors


@EVERY_VENDOR
def test_the_constructor_uses_no_connection_variable_or_network(
    monkeypatch: pytest.MonkeyPatch, requests_mock: Mocker, vendor: str
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("unexpected call")

    monkeypatch.setattr(BaseHook, "get_connection", refuse)
    for name in ("get_variable", "set_variable", "is_listed"):
        monkeypatch.setattr(airflow_variables, name, refuse)
    hook = VENDORS[vendor](method="POST", scope="read")
    assert (hook.oauth_conn_id, hook.http_conn_id) == (f"{vendor}_default",) * 2
    assert (hook.method, hook.scope) == ("POST", "read")
    assert requests_mock.call_count == 0


@EVERY_VENDOR
def test_a_request_to_the_vendor_contains_the_token_and_the_fields_of_the_vendor(
    connect: Callable[..., None], requests_mock: Mocker, vendor: str
) -> None:
    connect(vendor)
    item = requests_mock.get(f"{API[vendor]}/items", text="answer")
    assert VENDORS[vendor]("shop").run("items").text == "answer"
    assert item.last_request.url == f"{API[vendor]}/items{QUERY[vendor]}"
    assert item.last_request.headers["Authorization"] == "Bearer fake-token"
    assert item.last_request.headers.get("X-Justimmo-TenantId") == ("5678" if vendor == "justimmo" else None)


@EVERY_VENDOR
def test_hook_of_returns_the_hook_of_the_vendor(connect: Callable[..., None], vendor: str) -> None:
    connect(vendor)
    assert type(hook_of("shop", method="GET")) is VENDORS[vendor]


def test_requests_go_to_the_test_server_whose_url_is_the_environment(
    connect: Callable[..., None], requests_mock: Mocker
) -> None:
    connect("joor", environment="http://127.0.0.1:8080/joor")
    token = {"access_token": "fake-token", "expires_in": 3600}
    token_endpoint = requests_mock.post("http://127.0.0.1:8080/joor/auth/", json=token)
    item = requests_mock.get("http://127.0.0.1:8080/joor/v4/items")
    JoorHook("shop").run("items")
    assert (token_endpoint.call_count, item.call_count) == (1, 1)


# --- every hook with every connection


@EVERY_VENDOR
def test_the_generic_hook_reads_a_connection_like_the_hook_of_the_vendor(
    connect: Callable[..., None], requests_mock: Mocker, vendor: str
) -> None:
    connect(vendor)
    item = requests_mock.get(f"{API[vendor]}/items")
    hook = OAuthHook("shop")
    hook.run("items")
    assert hook.config == VENDORS[vendor]("shop").config
    assert item.last_request.url == f"{API[vendor]}/items{QUERY[vendor]}"


@EVERY_VENDOR
def test_the_asynchronous_hook_reads_a_connection_like_the_hook_of_the_vendor(
    connect: Callable[..., None], vendor: str
) -> None:
    connect(vendor)

    async def read() -> tuple[OAuthConfig, Token, str]:
        hook = OAuthAsyncHook("shop")
        return (await hook.access()).config, await hook.get_token(), (await hook.config()).base_url

    config, token, base_url = asyncio.run(read())
    assert config == VENDORS[vendor]("shop").config
    assert token.access_token == "fake-token"
    assert base_url == API[vendor]


def test_the_hook_of_a_vendor_reads_a_connection_of_another_vendor_by_its_type(connect: Callable[..., None]) -> None:
    connect("justimmo")
    assert JoorHook("shop").config.base_url == API["justimmo"]


@pytest.mark.parametrize(
    ("conn_type", "preset"),
    [("oauth", OAUTH), ("justlogin", JUSTLOGIN), ("justimmo", JUSTIMMO), ("joor", JOOR)],
)
@pytest.mark.parametrize("hook_preset", [OAUTH, JOOR])
def test_the_preset_is_that_of_the_connection_type(conn_type: str, preset: Preset, hook_preset: Preset) -> None:
    assert preset_of(Connection(conn_id="c", conn_type=conn_type), hook_preset) is preset


@pytest.mark.parametrize("conn_type", ["http", "no_such_type", "", None])
def test_the_generic_hook_reads_a_connection_of_another_type_as_an_oauth_one(conn_type: str | None) -> None:
    assert preset_of(Connection(conn_id="c", conn_type=conn_type), OAUTH) is OAUTH


@pytest.mark.parametrize("conn_type", ["http", "postgres", "generic", "email", "no_such_type", "", None])
def test_the_hook_of_a_vendor_refuses_a_connection_of_another_type(conn_type: str | None) -> None:
    # Otherwise, the password of a database, for example, would be sent to the vendor.
    with pytest.raises(ConfigurationError, match=r"Connection 'c' is of type .*\. Change its type to JOOR"):
        preset_of(Connection(conn_id="c", conn_type=conn_type), JOOR)


def test_a_warning_of_the_preset_is_logged(connect: Callable[..., None], caplog: pytest.LogCaptureFixture) -> None:
    connect("justimmo", client_auth="none")
    JustimmoHook("shop").config  # noqa: B018
    assert "'client_auth' was ignored" in caplog.text


def test_the_test_button_works_for_a_vendor(connect: Callable[..., None]) -> None:
    connect("joor")
    works, text = JoorHook("shop").test_connection()
    assert works
    assert "The password grant works" in text


# --- error texts


def error_of(requests_mock: Mocker, hook: OAuthHook, endpoint: str = "items", **response: Any) -> str:
    requests_mock.register_uri(ANY, f"{hook.config.base_url}/{endpoint}", **response)
    with pytest.raises(ApiError) as caught:
        hook.run(endpoint)
    return str(caught.value)


def test_the_error_of_a_403_from_justlogin_mentions_the_roles_of_the_user(
    connect: Callable[..., None], requests_mock: Mocker
) -> None:
    connect("justlogin")
    text = error_of(requests_mock, JustLoginHook("shop"), status_code=403, reason="Forbidden", text="fake-body")
    assert text == (
        "403:Forbidden (connection 'shop', GET https://apis.justlogin.com/items). The user who consented lacks a "
        "JustLogin role. Give the required role to that user, or let a user who has it authorize the connection."
    )


def test_an_error_of_justimmo_quotes_message_and_hint(connect: Callable[..., None], requests_mock: Mocker) -> None:
    connect("justimmo")
    body = {"error": "x", "message": "No such realty", "hint": "Ask\nfor another", "trace": "fake-body"}
    text = error_of(requests_mock, JustimmoHook("shop"), status_code=404, reason="Not Found", json=body)
    assert text == (
        "404:Not Found (connection 'shop', GET https://api.justimmo.at/items). "
        "Message from Justimmo: 'x; No such realty; Ask for another'. Check API base URL and endpoint."
    )


def test_the_error_of_a_403_from_justimmo_mentions_the_grant_after_the_quote(
    connect: Callable[..., None], requests_mock: Mocker
) -> None:
    connect("justimmo")
    text = error_of(requests_mock, JustimmoHook("shop"), status_code=403, json={"message": "No"})
    assert (
        ". Message from Justimmo: 'No'. A user's resources can be read only with that user's token. Set Grant type"
        in text
    )


def test_the_errors_of_joor_are_quoted(connect: Callable[..., None], requests_mock: Mocker) -> None:
    connect("joor")
    errors = [{"status": 400, "message": "First", "details": "fake-body"}, {"message": "Second"}, {"status": 5}]
    text = error_of(requests_mock, JoorHook("shop"), status_code=400, json={"data": [], "errors": errors})
    assert text.endswith(
        "). Message from JOOR: 'First Second'. Check the request's parameters and body, and the page size of the "
        "paginator."
    )
    assert "fake-body" not in text


def test_after_the_rate_limit_timeout_a_429_of_joor_mentions_its_budget(
    connect: Callable[..., None], requests_mock: Mocker, clock: FakeClock
) -> None:
    connect("joor")
    text = error_of(requests_mock, JoorHook("shop"), status_code=429)
    assert "300 credits in 300 s" in text
    assert 1700 < clock.seconds <= 1800


@EVERY_VENDOR
@pytest.mark.parametrize(
    "response",
    [
        {"text": ""},
        {"text": "<html>fake-body</html>"},
        {"text": "null"},
        {"json": []},
        {"json": "fake-body"},
        {"json": {"errors": "fake-body", "other": "fake-body"}},
        {"json": {"errors": {"message": "x"}, "message": None, "error": 7, "detail": {"message": "x"}}},
    ],
)
def test_an_error_body_in_another_format_is_not_quoted(
    connect: Callable[..., None], requests_mock: Mocker, vendor: str, response: dict[str, Any]
) -> None:
    connect(vendor)
    text = error_of(requests_mock, VENDORS[vendor]("shop"), status_code=404, **response)
    assert text.endswith(f"GET {API[vendor]}/items). Check API base URL and endpoint.")


@pytest.mark.parametrize(
    ("vendor", "body"),
    [
        ("joor", lambda words: {"errors": [{"message": words}]}),
        ("justimmo", lambda words: {"message": words, "hint": words}),
    ],
)
def test_quotes_contain_neither_secrets_nor_the_token(
    connect: Callable[..., None], requests_mock: Mocker, vendor: str, body: Callable[[str], dict[str, Any]]
) -> None:
    connect(vendor, secret_params={"key": "fake-key/1"})
    words = "bad fake-secret, fake-key%2F1, fake-token" + (", fake-password" if vendor == "joor" else "")
    text = error_of(requests_mock, VENDORS[vendor]("shop"), status_code=400, json=body(words))
    assert ": 'bad ***, ***, ***" in text
    assert "fake" not in text


def test_a_quote_is_short_and_on_one_line(connect: Callable[..., None], requests_mock: Mocker) -> None:
    connect("justimmo")
    text = error_of(requests_mock, JustimmoHook("shop"), status_code=400, json={"message": "a\n" * 10_000})
    assert len(text) < 500
    assert "\n" not in text


@pytest.mark.parametrize("error", [401, 403])
def test_without_advice_of_the_vendor_the_general_advice_is_used(
    connect: Callable[..., None], requests_mock: Mocker, error: int
) -> None:
    connect("joor")
    text = error_of(requests_mock, JoorHook("shop"), status_code=error)
    assert ("does not accept the token" if error == 401 else "Check Scope, and the permissions") in text


# --- rate limits


def test_the_hook_of_a_vendor_keeps_the_vendors_limits_with_a_generic_connection(connect: Callable[..., None]) -> None:
    connect("oauth")
    hook = JoorHook("shop")
    assert (hook.budget, hook.rate_limit_timeout) == (JOOR.api.budget, 1800)


def test_the_limits_of_a_vendors_hook_are_known_without_its_connection() -> None:
    hook = JoorHook("missing")
    assert (hook.budget, hook.rate_limit_timeout) == (JOOR.api.budget, 1800)


def test_hook_of_passes_the_connection_by_the_name_that_the_hook_declares(
    connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    class KeywordOnlyHook(OAuthHook):
        conn_name_attr = "shop_conn_id"

        def __init__(self, *, shop_conn_id: str, **kwargs: Any) -> None:
            super().__init__(oauth_conn_id=shop_conn_id, **kwargs)

    connect("oauth")
    monkeypatch.setattr(lookup, "hook_class", lambda conn_type: KeywordOnlyHook)
    assert hook_of("shop", method="GET").oauth_conn_id == "shop"


@pytest.mark.parametrize("make", [hook_of, OAuthHook])
def test_only_joor_has_a_budget_and_each_vendor_has_a_rate_limit_timeout(
    connect: Callable[..., None], make: Callable[[str], OAuthHook]
) -> None:
    limits = {}
    for conn_type in ("oauth", *VENDORS):
        connect(conn_type)
        hook = make("shop")
        limits[conn_type] = (hook.budget, hook.rate_limit_timeout)
    assert limits == {
        "oauth": (None, 0),
        "justlogin": (None, 0),
        "justimmo": (None, 300),
        "joor": (Budget(credits=300, seconds=300, read=1, write=5), 1800),
    }


@EVERY_VENDOR
def test_limits_that_are_set_replace_those_of_the_vendor(connect: Callable[..., None], vendor: str) -> None:
    connect(vendor)
    for hook in (VENDORS[vendor]("shop"), OAuthHook("shop"), hook_of("shop")):
        hook.budget, hook.rate_limit_timeout = None, 0
        hook.config  # noqa: B018
        assert (hook.budget, hook.rate_limit_timeout) == (None, 0)


def test_reading_the_connection_does_not_change_the_hook(connect: Callable[..., None]) -> None:
    connect("joor")
    hook = OAuthHook("shop")
    hook.config  # noqa: B018
    assert hook.preset is OAUTH


def test_all_sessions_of_a_hook_share_its_budget(
    connect: Callable[..., None], requests_mock: Mocker, clock: FakeClock
) -> None:
    connect("joor")
    requests_mock.get(f"{API['joor']}/items")
    hook = JoorHook("shop")
    hook.budget = Budget(credits=2, seconds=300)
    times = []
    for _ in range(5):
        hook.run("items")
        times.append(clock.seconds)
    assert times == [0, 0, 300, 300, 600]


def test_the_token_request_costs_no_credits(
    connect: Callable[..., None], requests_mock: Mocker, clock: FakeClock
) -> None:
    connect("joor")
    requests_mock.get(f"{API['joor']}/items")
    hook = JoorHook("shop")
    hook.budget = Budget(credits=1, seconds=300)
    hook.run("items")
    assert clock.seconds == 0


def test_a_hook_waits_after_429_for_the_rate_limit_timeout_of_its_vendor(
    connect: Callable[..., None], requests_mock: Mocker, clock: FakeClock
) -> None:
    connect("justimmo")
    requests_mock.get(
        f"{API['justimmo']}/items", [{"status_code": 429, "headers": {"Retry-After": "9"}}, {"text": "ok"}]
    )
    assert JustimmoHook("shop").run("items").text == "ok"
    assert clock.seconds == 9


def test_the_generic_hook_uses_limits_and_error_path_of_the_vendor(
    connect: Callable[..., None], requests_mock: Mocker, clock: FakeClock
) -> None:
    connect("joor")
    requests_mock.get(
        f"{API['joor']}/items",
        [
            {"status_code": 429, "headers": {"Retry-After": "9"}},
            {"status_code": 400, "json": {"errors": [{"message": "no such season"}]}},
        ],
    )
    hook = OAuthHook("shop")
    with pytest.raises(ApiError, match="no such season"):
        hook.run("items")
    assert clock.seconds == 9
    assert (hook.rate_limit_timeout, hook.budget) == (1800, JOOR.api.budget)


def test_without_a_vendor_a_request_is_not_repeated_after_429_unless_a_timeout_is_set(
    connect: Callable[..., None], requests_mock: Mocker, clock: FakeClock
) -> None:
    connect("oauth")
    responses: list[dict[str, Any]] = [{"status_code": 429, "headers": {"Retry-After": "9"}}, {"text": "ok"}]
    requests_mock.get("https://api.example.com/items", responses)
    with pytest.raises(ApiError, match="^429:"):
        OAuthHook("shop").run("items")
    requests_mock.get("https://api.example.com/items", responses)
    hook = OAuthHook("shop")
    hook.rate_limit_timeout = 9
    assert hook.run("items").text == "ok"


# --- a vendor in another package

ACME = Preset(
    conn_type="acme",
    name="Acme",
    hook_class_name="acme_hooks.AcmeHook",
    grants=("client_credentials",),
    environments={"eu": {"host": "https://eu.acme.example", "grant_url": "https://login.acme.example/token"}},
    fields={"shop": Field("string", "Shop", "Which shop.")},
    field_targets={"shop": ("api_headers", "X-Shop")},
    error_path="problem",
    advice={409: "Somebody else was faster."},
    rate_limit_timeout=5,
)


class AcmeHook(OAuthHook):
    default_conn_name = "acme_default"
    conn_type = "acme"
    hook_name = "Acme"
    preset = ACME


@pytest.fixture
def acme(connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch, requests_mock: Mocker) -> _Matcher:
    """A connection of a type that another package registers."""
    module = ModuleType("acme_hooks")
    module.AcmeHook = AcmeHook
    monkeypatch.setitem(sys.modules, "acme_hooks", module)
    info = HookInfo(
        hook_class_name="acme_hooks.AcmeHook",
        connection_id_attribute_name="oauth_conn_id",
        package_name="acme-provider",
        hook_name="Acme",
        connection_type="acme",
        connection_testable=True,
    )
    monkeypatch.setitem(ProvidersManagerTaskRuntime().hooks, "acme", info)
    connect("acme", shop=12)
    requests_mock.post("https://login.acme.example/token", json={"access_token": "fake-token", "expires_in": 60})
    return requests_mock.get("https://eu.acme.example/items", json=[1])


@pytest.mark.parametrize("make", [lambda: AcmeHook("shop"), lambda: OAuthHook("shop"), lambda: hook_of("shop")])
def test_a_connection_of_another_package_is_read_by_its_preset_with_every_hook(
    acme: _Matcher, make: Callable[[], OAuthHook]
) -> None:
    make().run("items")
    assert acme.last_request.headers["X-Shop"] == "12"
    assert acme.last_request.headers["Authorization"] == "Bearer fake-token"


def test_a_connection_of_another_package_is_read_by_its_preset_in_the_event_loop(acme: _Matcher) -> None:
    async def read() -> OAuthConfig:
        return (await OAuthAsyncHook("shop").access()).config

    assert asyncio.run(read()) == AcmeHook("shop").config


def test_the_preset_of_another_package_is_found_by_its_hook(acme: _Matcher) -> None:
    assert preset_of(Connection(conn_id="shop", conn_type="acme"), OAUTH) is ACME
    assert preset_of(Connection(conn_id="shop", conn_type="acme"), JOOR) is ACME


def test_the_hook_of_another_package_uses_limits_and_advice_of_its_preset(
    acme: _Matcher, requests_mock: Mocker
) -> None:
    hook = hook_of("shop")
    assert (type(hook), hook.budget, hook.rate_limit_timeout) == (AcmeHook, None, 5)
    text = error_of(requests_mock, hook, "taken", status_code=409, json={"problem": "Taken"})
    assert text.endswith("/taken). Message from Acme: 'Taken'. Somebody else was faster.")


def test_operators_work_with_a_connection_of_another_package(acme: _Matcher) -> None:
    task = OAuthExtractOperator(task_id="read", oauth_conn_id="shop", endpoint="items", xcom_fields="@")
    assert task.execute({}) == [1]


def test_without_the_other_package_the_preset_of_the_hook_is_used(
    acme: _Matcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "acme_hooks", None)
    assert preset_of(Connection(conn_id="shop", conn_type="acme"), OAUTH) is OAUTH
    assert AcmeHook("shop").config.base_url == "https://eu.acme.example"
    with pytest.raises(ConfigurationError):
        OAuthHook("shop").config  # noqa: B018
