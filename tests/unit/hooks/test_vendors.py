"""The vendors' hooks: ``OAuthHook`` with a preset; and any of our hooks on any of these connections."""

from __future__ import annotations

import asyncio
import logging
import sys
from types import ModuleType

import pytest
from airflow.providers.common.compat.sdk import BaseHook
from airflow.sdk import Connection
from airflow.sdk.providers_manager_runtime import HookInfo, ProvidersManagerTaskRuntime
from requests_mock import ANY

from airflow_provider_oauth.api.rate_limit import Budget
from airflow_provider_oauth.connection import preset_of
from airflow_provider_oauth.exceptions import ApiError, ConfigurationError
from airflow_provider_oauth.fields import Field
from airflow_provider_oauth.hooks import oauth as hooks_module
from airflow_provider_oauth.hooks.joor import JoorHook
from airflow_provider_oauth.hooks.justimmo import JustimmoHook
from airflow_provider_oauth.hooks.justlogin import JustLoginHook
from airflow_provider_oauth.hooks.oauth import OAuthAsyncHook, OAuthHook, hook_of
from airflow_provider_oauth.operators.oauth import OAuthExtractOperator
from airflow_provider_oauth.presets import JOOR, JUSTIMMO, JUSTLOGIN, OAUTH, Preset
from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.runtime import airflow_variables
from tests.fake_clock import FakeClock

VENDORS = {"justlogin": JustLoginHook, "justimmo": JustimmoHook, "joor": JoorHook}
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
    "oauth": "https://api.example.com/token",
}
#: What each adds to a request to its API.
QUERY = {"justlogin": "", "justimmo": "", "joor": "?account=7"}
EVERY_VENDOR = pytest.mark.parametrize("vendor", VENDORS)


@pytest.fixture(autouse=True)
def connect(variables, define_connection, monkeypatch, requests_mock):
    """Define the connection ``shop`` of a vendor; its token endpoint issues fake-token."""
    # Before a refresh token is spent, others are given time; here are no others.
    monkeypatch.setattr(Clock, "sleep", lambda self, seconds: None)
    # Airflow's own logger writes past caplog.
    monkeypatch.setattr(OAuthHook, "log", logging.getLogger("airflow.task.hooks"))

    def define(vendor, **extra):
        fields = EXTRA.get(vendor, {}) | extra
        if vendor == "oauth":
            fields["grant_url"] = TOKEN_URL[vendor]
        define_connection("shop", conn_type=vendor, **fields)
        if vendor in TOKEN_URL:
            requests_mock.post(TOKEN_URL[vendor], json={"access_token": "fake-token", "expires_in": 3600})

    return define


@pytest.fixture
def clock(monkeypatch):
    """The time of every ``RateLimiter``."""
    clock = FakeClock()
    real = hooks_module.RateLimiter
    monkeypatch.setattr(
        hooks_module, "RateLimiter", lambda budget, rate_limit_timeout: real(budget, rate_limit_timeout, clock)
    )
    return clock


# --- each vendor's own


@EVERY_VENDOR
def test_the_constructor_touches_nothing(monkeypatch, requests_mock, vendor):
    def refuse(*args, **kwargs):
        raise AssertionError("touched")

    monkeypatch.setattr(BaseHook, "get_connection", refuse)
    for name in ("get_variable", "set_variable", "is_listed"):
        monkeypatch.setattr(airflow_variables, name, refuse)
    hook = VENDORS[vendor](method="POST", scope="read")
    assert (hook.oauth_conn_id, hook.http_conn_id) == (f"{vendor}_default",) * 2
    assert (hook.method, hook.scope) == ("POST", "read")
    assert requests_mock.call_count == 0


@EVERY_VENDOR
def test_a_request_goes_to_the_vendor_with_its_token_and_own_fields(connect, requests_mock, vendor):
    connect(vendor)
    item = requests_mock.get(f"{API[vendor]}/items", text="answer")
    assert VENDORS[vendor]("shop").run("items").text == "answer"
    assert item.last_request.url == f"{API[vendor]}/items{QUERY[vendor]}"
    assert item.last_request.headers["Authorization"] == "Bearer fake-token"
    assert item.last_request.headers.get("X-Justimmo-TenantId") == ("5678" if vendor == "justimmo" else None)


@EVERY_VENDOR
def test_the_connections_own_hook_is_the_vendors(connect, vendor):
    connect(vendor)
    assert type(hook_of("shop", method="GET")) is VENDORS[vendor]


def test_a_stand_in_gets_all_requests(connect, requests_mock):
    connect("joor", environment="http://127.0.0.1:8080/joor")
    token = {"access_token": "fake-token", "expires_in": 3600}
    asked = requests_mock.post("http://127.0.0.1:8080/joor/auth/", json=token)
    item = requests_mock.get("http://127.0.0.1:8080/joor/v4/items")
    JoorHook("shop").run("items")
    assert (asked.call_count, item.call_count) == (1, 1)


# --- any hook on any of these connections


@EVERY_VENDOR
def test_the_generic_hook_reads_a_vendors_connection_as_the_vendors_does(connect, requests_mock, vendor):
    connect(vendor)
    item = requests_mock.get(f"{API[vendor]}/items")
    hook = OAuthHook("shop")
    hook.run("items")
    assert hook.config == VENDORS[vendor]("shop").config
    assert item.last_request.url == f"{API[vendor]}/items{QUERY[vendor]}"


@EVERY_VENDOR
def test_the_asynchronous_hook_reads_a_vendors_connection_as_the_vendors_does(connect, vendor):
    connect(vendor)

    async def ask():
        hook = OAuthAsyncHook("shop")
        return (await hook.access()).config, await hook.get_token(), (await hook.config()).base_url

    config, token, base_url = asyncio.run(ask())
    assert config == VENDORS[vendor]("shop").config
    assert token.access_token == "fake-token"
    assert base_url == API[vendor]


def test_one_vendors_hook_reads_anothers_connection_as_that_ones(connect):
    connect("justimmo")
    assert JoorHook("shop").config.base_url == API["justimmo"]


@pytest.mark.parametrize(
    ("conn_type", "preset"),
    [("oauth", OAUTH), ("justlogin", JUSTLOGIN), ("justimmo", JUSTIMMO), ("joor", JOOR)],
)
@pytest.mark.parametrize("asking", [OAUTH, JOOR])
def test_the_preset_is_that_of_the_connections_type(conn_type, preset, asking):
    assert preset_of(Connection(conn_id="c", conn_type=conn_type), asking) is preset


@pytest.mark.parametrize("conn_type", ["http", "no_such_type", "", None])
def test_a_connection_of_another_type_is_read_as_an_oauth_one_by_the_generic_hook(conn_type):
    assert preset_of(Connection(conn_id="c", conn_type=conn_type), OAUTH) is OAUTH


@pytest.mark.parametrize("conn_type", ["http", "postgres", "generic", "email", "no_such_type", "", None])
def test_a_connection_of_another_type_is_refused_by_a_vendors_hook(conn_type):
    # Else a database's password would go to that vendor.
    with pytest.raises(ConfigurationError, match=r"Connection 'c' is of type .*\. Change its type to JOOR"):
        preset_of(Connection(conn_id="c", conn_type=conn_type), JOOR)


def test_a_warning_of_the_preset_is_logged(connect, caplog):
    connect("justimmo", client_auth="none")
    JustimmoHook("shop").config  # noqa: B018
    assert "'client_auth' is fixed for this connection type" in caplog.text


def test_the_test_button_works_for_a_vendor(connect):
    connect("joor")
    works, said = JoorHook("shop").test_connection()
    assert works
    assert "The password grant works" in said


# --- what an error says


def error_of(requests_mock, hook, endpoint="items", **answer):
    requests_mock.register_uri(ANY, f"{hook.config.base_url}/{endpoint}", **answer)
    with pytest.raises(ApiError) as caught:
        hook.run(endpoint)
    return str(caught.value)


def test_a_403_of_justlogin_speaks_of_the_users_roles(connect, requests_mock):
    connect("justlogin")
    said = error_of(requests_mock, JustLoginHook("shop"), status_code=403, reason="Forbidden", text="fake-body")
    assert said == (
        "403:Forbidden (connection 'shop', GET https://apis.justlogin.com/items). The user who consented lacks a "
        "JustLogin role. Extend that user's roles, or let a user with these roles consent."
    )


def test_an_error_of_justimmo_is_quoted_by_message_and_hint(connect, requests_mock):
    connect("justimmo")
    body = {"error": "x", "message": "No such realty", "hint": "Ask\nfor another", "trace": "fake-body"}
    said = error_of(requests_mock, JustimmoHook("shop"), status_code=404, reason="Not Found", json=body)
    assert said == (
        "404:Not Found (connection 'shop', GET https://api.justimmo.at/items). "
        "Message from the API: 'x; No such realty; Ask for another'."
    )


def test_a_403_of_justimmo_speaks_of_the_grant_after_its_words(connect, requests_mock):
    connect("justimmo")
    said = error_of(requests_mock, JustimmoHook("shop"), status_code=403, json={"message": "No"})
    assert ". Message from the API: 'No'. Resources of a user need a token of a user. Set Grant type" in said


def test_the_errors_of_joor_are_quoted(connect, requests_mock):
    connect("joor")
    errors = [{"status": 400, "message": "First", "details": "fake-body"}, {"message": "Second"}, {"status": 5}]
    said = error_of(requests_mock, JoorHook("shop"), status_code=400, json={"data": [], "errors": errors})
    assert said.endswith("). Message from the API: 'First Second'.")
    assert "fake-body" not in said


def test_after_the_rate_limit_timeout_a_429_of_joor_mentions_its_budget(connect, requests_mock, clock):
    connect("joor")
    said = error_of(requests_mock, JoorHook("shop"), status_code=429)
    assert "300 credits in 300 s" in said
    assert 1700 < clock.seconds <= 1800


@EVERY_VENDOR
@pytest.mark.parametrize(
    "answer",
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
def test_an_error_that_is_worded_otherwise_is_not_quoted(connect, requests_mock, vendor, answer):
    connect(vendor)
    said = error_of(requests_mock, VENDORS[vendor]("shop"), status_code=404, **answer)
    assert said.endswith(f"GET {API[vendor]}/items)")


@pytest.mark.parametrize(
    ("vendor", "body"),
    [
        ("joor", lambda words: {"errors": [{"message": words}]}),
        ("justimmo", lambda words: {"message": words, "hint": words}),
    ],
)
def test_what_is_quoted_holds_no_secret_nor_the_token(connect, requests_mock, vendor, body):
    connect(vendor, secret_params={"key": "fake-key/1"})
    words = "bad fake-secret, fake-key%2F1, fake-token" + (", fake-password" if vendor == "joor" else "")
    said = error_of(requests_mock, VENDORS[vendor]("shop"), status_code=400, json=body(words))
    assert "Message from the API: 'bad ***, ***, ***" in said
    assert "fake" not in said


def test_what_is_quoted_is_of_bearable_length_and_one_line(connect, requests_mock):
    connect("justimmo")
    said = error_of(requests_mock, JustimmoHook("shop"), status_code=400, json={"message": "a\n" * 10_000})
    assert len(said) < 500
    assert "\n" not in said


@pytest.mark.parametrize("error", [401, 403])
def test_without_words_of_the_vendors_the_generic_ones_stay(connect, requests_mock, error):
    connect("joor")
    said = error_of(requests_mock, JoorHook("shop"), status_code=error)
    assert ("does not accept the token" if error == 401 else "Check Scope, and the permissions") in said


# --- how fast


@pytest.mark.parametrize("make", [hook_of, OAuthHook])
def test_only_joor_has_a_budget_and_each_vendor_has_a_rate_limit_timeout(connect, make):
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
def test_limits_that_are_set_replace_those_of_the_vendor(connect, vendor):
    connect(vendor)
    for hook in (VENDORS[vendor]("shop"), OAuthHook("shop"), hook_of("shop")):
        hook.budget, hook.rate_limit_timeout = None, 0
        hook.config  # noqa: B018
        assert (hook.budget, hook.rate_limit_timeout) == (None, 0)


def test_reading_the_connection_does_not_change_the_hook(connect):
    connect("joor")
    hook = OAuthHook("shop")
    hook.config  # noqa: B018
    assert hook.preset is OAUTH


def test_a_hook_keeps_to_its_budget_over_all_its_sessions(connect, requests_mock, clock):
    connect("joor")
    requests_mock.get(f"{API['joor']}/items")
    hook = JoorHook("shop")
    hook.budget = Budget(credits=2, seconds=300)
    times = []
    for _ in range(5):
        hook.run("items")
        times.append(clock.seconds)
    assert times == [0, 0, 300, 300, 600]


def test_the_token_request_costs_nothing(connect, requests_mock, clock):
    connect("joor")
    requests_mock.get(f"{API['joor']}/items")
    hook = JoorHook("shop")
    hook.budget = Budget(credits=1, seconds=300)
    hook.run("items")
    assert clock.seconds == 0


def test_patience_is_the_hooks(connect, requests_mock, clock):
    connect("justimmo")
    requests_mock.get(
        f"{API['justimmo']}/items", [{"status_code": 429, "headers": {"Retry-After": "9"}}, {"text": "ok"}]
    )
    assert JustimmoHook("shop").run("items").text == "ok"
    assert clock.seconds == 9


def test_the_generic_hook_is_as_patient_as_the_vendors_and_speaks_its_words(connect, requests_mock, clock):
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
    assert (hook.rate_limit_timeout, hook.budget) == (1800, JOOR.budget)


def test_a_connection_of_no_vendor_has_no_patience_unless_it_is_set(connect, requests_mock, clock):
    connect("oauth")
    answers = [{"status_code": 429, "headers": {"Retry-After": "9"}}, {"text": "ok"}]
    requests_mock.get("https://api.example.com/items", answers)
    with pytest.raises(ApiError, match="^429:"):
        OAuthHook("shop").run("items")
    requests_mock.get("https://api.example.com/items", answers)
    hook = OAuthHook("shop")
    hook.rate_limit_timeout = 9
    assert hook.run("items").text == "ok"


# --- a vendor of somebody else's

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
def acme(connect, monkeypatch, requests_mock):
    """A connection of that vendor's type, known to Airflow by a package that is not ours."""
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
def test_a_third_partys_connection_is_read_by_its_preset_whichever_hook_asks(acme, make):
    make().run("items")
    assert acme.last_request.headers["X-Shop"] == "12"
    assert acme.last_request.headers["Authorization"] == "Bearer fake-token"


def test_a_third_partys_connection_is_read_by_its_preset_in_the_event_loop(acme):
    async def ask():
        return (await OAuthAsyncHook("shop").access()).config

    assert asyncio.run(ask()) == AcmeHook("shop").config


def test_a_third_partys_preset_is_found_by_its_hook(acme):
    assert preset_of(Connection(conn_id="shop", conn_type="acme"), OAUTH) is ACME
    assert preset_of(Connection(conn_id="shop", conn_type="acme"), JOOR) is ACME


def test_a_third_partys_hook_says_and_does_what_its_preset_has(acme, requests_mock):
    hook = hook_of("shop")
    assert (type(hook), hook.budget, hook.rate_limit_timeout) == (AcmeHook, None, 5)
    said = error_of(requests_mock, hook, "taken", status_code=409, json={"problem": "Taken"})
    assert said.endswith("/taken). Message from the API: 'Taken'. Somebody else was faster.")


def test_our_operators_work_with_a_third_partys_connection(acme):
    task = OAuthExtractOperator(task_id="read", oauth_conn_id="shop", endpoint="items", xcom_fields="@")
    assert task.execute({}) == [1]


def test_a_third_partys_hook_whose_package_is_gone_leaves_the_preset_of_the_one_that_asks(acme, monkeypatch):
    monkeypatch.setitem(sys.modules, "acme_hooks", None)
    assert preset_of(Connection(conn_id="shop", conn_type="acme"), OAUTH) is OAUTH
    assert AcmeHook("shop").config.base_url == "https://eu.acme.example"
    with pytest.raises(ConfigurationError):
        OAuthHook("shop").config  # noqa: B018
