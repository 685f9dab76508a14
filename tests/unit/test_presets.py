"""The presets of the vendors: fixed fields, forms and errors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from airflow.models import Connection as CoreConnection
from airflow.sdk import Connection as TaskConnection

from airflow_provider_oauth.api.rate_limit import Budget
from airflow_provider_oauth.connection import read_connection
from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.fields import FIELDS, Field
from airflow_provider_oauth.presets import JOOR, JUSTIMMO, JUSTLOGIN, OAUTH, PRESETS, Preset
from airflow_provider_oauth.protocol.config import OAuthConfig
from tests.connections import airflow_connection

VENDORS = {"justlogin": JUSTLOGIN, "justimmo": JUSTIMMO, "joor": JOOR}
#: The required fields of each connection, without login and password.
NEEDED: dict[str, dict[str, Any]] = {
    "justlogin": {"grant_type": "refresh_token", "refresh_token": "fake-refresh"},
    "justimmo": {},
    "joor": {"username": "fake-user", "user_password": "fake-password"},
}
EVERY_VENDOR = pytest.mark.parametrize("vendor", VENDORS)


def read(vendor: str, extra: dict[str, Any] | None = None, **changes: Any) -> OAuthConfig:
    connection = airflow_connection(conn_type=vendor, **(NEEDED[vendor] | (extra or {}) | changes))
    return read_connection(connection, VENDORS[vendor])


def error_of(vendor: str, extra: dict[str, Any] | None = None, **changes: Any) -> str:
    with pytest.raises(ConfigurationError) as raised:
        read(vendor, extra, **changes)
    assert str(raised.value).startswith("Connection 'shop': ")
    assert "fake" not in str(raised.value)
    return str(raised.value).removeprefix("Connection 'shop': ")


# --- fixed fields

JUSTLOGIN_AT = {
    "production": "https://apis.justlogin.com",
    "sandbox": "https://apis.justloginstaging.xyz",
}


@pytest.mark.parametrize("environment", JUSTLOGIN_AT)
def test_a_justlogin_connection_has_the_documented_urls_and_formats(environment: str) -> None:
    host = JUSTLOGIN_AT[environment]

    assert read("justlogin", {"environment": environment}) == OAuthConfig(
        conn_id="shop",
        vendor_label="JustLogin",
        base_url=host,
        token_url=f"{host}/v1/auth/connect/token",
        authorize_url=f"{host}/v1/auth/connect/authorize",
        grant_type="refresh_token",
        client_id="app",
        client_secret="fake-secret",
        refresh_token="fake-refresh",
        client_auth="client_secret_post",
        body_format="form",
        refresh_bearer=True,
    )


def test_a_justimmo_connection_has_the_documented_urls_and_formats() -> None:
    assert read("justimmo") == OAuthConfig(
        conn_id="shop",
        vendor_label="Justimmo",
        base_url="https://api.justimmo.at",
        token_url="https://auth.justimmo.at/access_token",
        authorize_url="https://auth.justimmo.at/authorize",
        grant_type="client_credentials",
        client_id="app",
        client_secret="fake-secret",
        client_auth="client_secret_post",
        body_format="form",
        refresh_lifetime=2592000,
    )


@pytest.mark.parametrize(
    ("environment", "api", "auth"),
    [("production", "api", "atlas"), ("sandbox", "apisandbox", "atlas-sandbox")],
)
def test_a_joor_connection_has_the_documented_urls_and_formats(environment: str, api: str, auth: str) -> None:
    assert read("joor", {"environment": environment, "account": "7"}) == OAuthConfig(
        conn_id="shop",
        vendor_label="JOOR",
        base_url=f"https://{api}.jooraccess.com/v4",
        token_url=f"https://{auth}.jooraccess.com/auth/",
        grant_type="password",
        client_id="app",
        client_secret="fake-secret",
        username="fake-user",
        user_password="fake-password",
        client_auth="client_secret_post",
        body_format="multipart",
        use_refresh=False,
        api_params={"account": "7"},
        error_path="errors[].message",
    )


@EVERY_VENDOR
def test_the_default_environment_is_production(vendor: str) -> None:
    assert read(vendor) == read(vendor, {"environment": "production"})
    assert read(vendor, {"environment": None}) == read(vendor, {"environment": ""}) == read(vendor)
    assert read(vendor).warnings == ()


@EVERY_VENDOR
def test_the_first_grant_type_is_the_default(vendor: str) -> None:
    assert read(vendor, {"grant_type": None}).grant_type == VENDORS[vendor].grants[0]


@pytest.mark.parametrize("grant", ["client_credentials", "authorization_code", "refresh_token"])
def test_justimmo_supports_three_grant_types(grant: str) -> None:
    assert read("justimmo", {"grant_type": grant}).grant_type == grant


def test_only_joor_has_a_budget_and_it_is_the_documented_one() -> None:
    assert JOOR.api.budget == Budget(credits=300, seconds=300, read=1, write=5)
    assert [preset.api.budget for preset in PRESETS.values()] == [None, None, None, JOOR.api.budget]


# --- environments


@EVERY_VENDOR
@pytest.mark.parametrize("environment", ["staging", "Production", "prod", "api.example.com", 5])
def test_an_unknown_environment_is_refused_with_a_list_of_the_known_ones(vendor: str, environment: Any) -> None:
    message = error_of(vendor, {"environment": environment})

    assert message.startswith(f"Environment (environment) is '{environment}', but {VENDORS[vendor].name} has only ")
    assert all(name in message for name in VENDORS[vendor].environments)


@EVERY_VENDOR
@pytest.mark.parametrize("root", ["http://127.0.0.1:8080", "http://localhost/mock", "https://proxy.example.com/x/"])
def test_the_url_of_a_mock_server_gets_the_paths_of_the_vendor(vendor: str, root: str) -> None:
    real, mocked = read(vendor), read(vendor, {"environment": root})

    for name in ("base_url", "token_url", "authorize_url"):
        if url := getattr(real, name):
            path = url.partition("://")[2].partition("/")[2]
            assert getattr(mocked, name) == "/".join(filter(None, [root.rstrip("/"), path]))
    assert replace(mocked, base_url=real.base_url, token_url=real.token_url, authorize_url=real.authorize_url) == real


@EVERY_VENDOR
def test_a_mock_server_with_plain_http_is_on_this_machine_or_requires_allow_http(vendor: str) -> None:
    environment = {"environment": "http://mock.example.com"}

    assert "uses plain http to mock.example.com" in error_of(vendor, environment)
    assert read(vendor, environment | {"allow_http": True}).base_url.startswith("http://mock.example.com")


@EVERY_VENDOR
@pytest.mark.parametrize("environment", ["ftp://mock.example.com", "https://", "https://u:pass@mock.example.com"])
def test_an_invalid_url_of_a_mock_server_is_refused(vendor: str, environment: str) -> None:
    assert "host" in error_of(vendor, {"environment": environment})


# --- fixed fields that the connection sets


FIXED = {
    "justlogin": {
        "grant_url": "https://login.example.com/t",
        "authorize_url": "https://login.example.com/a",
        "client_auth": "client_secret_basic",
        "body_format": "json",
    },
    "justimmo": {
        "grant_url": "https://login.example.com/t",
        "authorize_url": "https://login.example.com/a",
        "client_auth": "none",
        "body_format": "multipart",
    },
    "joor": {
        "grant_url": "https://login.example.com/t",
        "grant_type": "client_credentials",
        "client_auth": "none",
        "body_format": "form",
        "use_refresh": True,
    },
}


@pytest.mark.parametrize(("vendor", "name"), [(vendor, name) for vendor in FIXED for name in FIXED[vendor]])
def test_another_value_for_a_fixed_field_is_ignored_with_a_warning(vendor: str, name: str) -> None:
    settings = read(vendor, {name: FIXED[vendor][name]})

    assert settings.warnings == (
        f"The extra field {name!r} was ignored, because this connection type defines it. Remove it.",
    )
    assert replace(settings, warnings=()) == read(vendor)


@pytest.mark.parametrize("alias", ["token_url", "token_endpoint"])
def test_another_value_under_an_alias_is_ignored_with_a_warning(alias: str) -> None:
    settings = read("justimmo", {alias: "https://login.example.com/t"})

    assert len(settings.warnings) == 1
    assert settings.token_url == "https://auth.justimmo.at/access_token"


@EVERY_VENDOR
def test_the_same_value_for_a_fixed_field_gives_no_warning(vendor: str) -> None:
    assert read(vendor, dict(VENDORS[vendor].fixed)).warnings == ()


@EVERY_VENDOR
@pytest.mark.parametrize(
    "given", [{"host": "https://api.example.com"}, {"schema": "http"}, {"port": 8080}, {"host": "x", "port": 1}]
)
def test_a_host_is_ignored_with_a_warning(vendor: str, given: dict[str, Any]) -> None:
    settings = read(vendor, **given)

    assert settings.warnings == (
        "Host, schema and port of the connection were ignored, because this connection type defines them. "
        "Clear these fields.",
    )
    assert replace(settings, warnings=()) == read(vendor)


@pytest.mark.parametrize(
    ("vendor", "grant"),
    [
        ("justlogin", "client_credentials"),
        ("justlogin", "password"),
        ("justlogin", "implicit"),
        ("justimmo", "password"),
        ("justimmo", "implicit"),
        ("justimmo", "nonsense"),
    ],
)
def test_a_grant_type_that_the_vendor_does_not_support_is_refused(vendor: str, grant: str) -> None:
    message = error_of(vendor, {"grant_type": grant})

    assert message == (
        f"Grant type (grant_type) is {grant!r}, which {VENDORS[vendor].name} does not support. "
        f"Use {' or '.join(VENDORS[vendor].grants)}."
    )


def test_the_generic_type_has_no_environment_and_no_fixed_fields() -> None:
    settings = read_connection(airflow_connection(host="api.example.com", environment="sandbox"))

    assert settings.base_url == "https://api.example.com"
    assert [("'environment'" in warning) for warning in settings.warnings] == [True]


@pytest.mark.parametrize(
    ("name", "shown"), [("username", "User name (username)"), ("user_password", "User password (user_password)")]
)
def test_joor_requires_a_user(name: str, shown: str) -> None:
    assert error_of("joor", {name: None}).startswith(f"{shown} is missing")


@EVERY_VENDOR
@pytest.mark.parametrize(("name", "label"), [("login", "Client ID"), ("password", "Client secret")])
def test_every_vendor_requires_a_client(vendor: str, name: str, label: str) -> None:
    assert error_of(vendor, **{name: None}).startswith(f"{label} ({name}) is missing")


@EVERY_VENDOR
def test_a_redacted_secret_is_refused(vendor: str) -> None:
    label = VENDORS[vendor].standard_labels["password"]
    assert f"{label} (password) contains '***'" in error_of(vendor, password="***")


# --- fields of one vendor


def test_fields_of_a_vendor_are_sent_as_headers() -> None:
    settings = read("justimmo", {"tenant_id": "5678", "user_id": 1234})

    assert settings.api_headers == {"X-Justimmo-TenantId": "5678", "X-Justimmo-UserId": "1234"}
    assert settings.api_params == {}
    assert settings.warnings == ()


def test_fields_of_a_vendor_take_precedence_over_api_headers_and_api_params() -> None:
    settings = read("justimmo", {"tenant_id": "1", "api_headers": {"X-Mine": "a", "X-Justimmo-TenantId": "2"}})

    assert settings.api_headers == {"X-Mine": "a", "X-Justimmo-TenantId": "1"}
    assert read("joor", {"account": "7", "api_params": {"x": 1}}).api_params == {"x": 1, "account": "7"}


@pytest.mark.parametrize("empty", [None, ""])
def test_empty_fields_of_a_vendor_are_not_sent(empty: Any) -> None:
    assert read("justimmo", {"tenant_id": empty, "user_id": empty}).api_headers == {}
    assert read("joor", {"account": empty}).api_params == {}


@pytest.mark.parametrize("kind", [TaskConnection, CoreConnection], ids=["task", "core"])
@pytest.mark.parametrize(
    ("vendor", "query", "name", "value"),
    [
        ("joor", {"username": "u", "user_password": "p", "account": "12345"}, "api_params", {"account": "12345"}),
        ("justimmo", {"tenant_id": "5678"}, "api_headers", {"X-Justimmo-TenantId": "5678"}),
        ("joor", {"username": "1", "user_password": "2"}, "user_password", "2"),
    ],
)
def test_numbers_in_a_uri_connection_are_strings(
    kind: type, vendor: str, query: dict[str, str], name: str, value: Any
) -> None:
    uri = f"{vendor}://app:fake-secret@/?{urlencode({'leeway': '60', 'environment': 'production'} | query)}"

    settings = read_connection(kind(conn_id="shop", uri=uri), VENDORS[vendor])

    assert getattr(settings, name) == value


@pytest.mark.parametrize("name", ["tenant_id", "user_id"])
@pytest.mark.parametrize("value", ["1\r\nX-Evil: 1", " 1", "€", "\x00"])
def test_a_field_of_a_vendor_that_is_not_a_valid_header_value_is_refused(name: str, value: str) -> None:
    message = error_of("justimmo", {name: value})

    assert message == (
        f"{JUSTIMMO.known_fields[name].label} ({name}) is not a valid header value. Remove line breaks, leading spaces "
        "and characters outside Latin-1."
    )


@pytest.mark.parametrize(
    ("vendor", "typo", "meant"),
    [
        ("joor", "acount", "account"),
        ("joor", "Account", "account"),
        ("joor", "accounts", "account"),
        ("joor", "enviroment", "environment"),
        ("justlogin", "Environment", "environment"),
        ("justimmo", "environement", "environment"),
        ("justimmo", "tenantId", "tenant_id"),
        ("justimmo", "tenant-id", "tenant_id"),
        ("justimmo", "userId", "user_id"),
        ("justlogin", "refreshToken", "refresh_token"),
    ],
)
def test_a_typo_is_refused_with_a_suggestion(vendor: str, typo: str, meant: str) -> None:
    assert error_of(vendor, {typo: "1"}) == f"the extra field {typo!r} is unknown. Did you mean {meant!r}?"


def test_a_field_of_one_vendor_is_unknown_to_another_one() -> None:
    assert len(read("justlogin", {"tenant_id": "1"}).warnings) == 1
    assert len(read("justimmo", {"account": "1"}).warnings) == 1


# --- the form

FORMS = {
    "justlogin": ["environment", "grant_type", "refresh_token", "leeway"],
    "justimmo": ["grant_type", "refresh_token", "tenant_id", "user_id", "leeway"],
    "joor": ["environment", "username", "user_password", "account", "leeway"],
}
HIDDEN = {"oauth": ["schema", "port"]} | dict.fromkeys(VENDORS, ["schema", "port", "host"])


def form(conn_type: str) -> dict[str, Any]:
    return PRESETS[conn_type].connection_type()


@EVERY_VENDOR
def test_the_form_of_a_vendor_has_these_fields_in_this_order(vendor: str) -> None:
    assert list(form(vendor)["conn-fields"]) == FORMS[vendor]


def test_the_generic_form_has_all_fields_that_are_shown() -> None:
    assert list(form("oauth")["conn-fields"]) == [name for name, field in FIELDS.items() if field.shown]


@pytest.mark.parametrize("conn_type", PRESETS)
def test_fixed_standard_fields_are_hidden(conn_type: str) -> None:
    behaviour = form(conn_type)["ui-field-behaviour"]

    assert behaviour["hidden-fields"] == HIDDEN[conn_type]
    assert ("host" in behaviour["placeholders"]) is (conn_type == "oauth")


@pytest.mark.parametrize(
    ("conn_type", "labels"),
    [
        ("oauth", {"host": "API base URL", "login": "Client ID", "password": "Client secret"}),
        ("justlogin", {"login": "Client ID", "password": "Client secret"}),
        ("justimmo", {"login": "Client ID", "password": "Client secret"}),
        ("joor", {"login": "Client ID", "password": "Client secret"}),
    ],
)
def test_standard_fields_have_the_labels_of_the_vendor(conn_type: str, labels: dict[str, str]) -> None:
    assert form(conn_type)["ui-field-behaviour"]["relabeling"] == labels


@pytest.mark.parametrize("conn_type", PRESETS)
def test_every_form_has_the_integer_leeway(conn_type: str) -> None:
    # Stock code that sends every key of extra as a header stops at it.
    assert form(conn_type)["conn-fields"]["leeway"]["schema"] == {"type": "integer", "default": 60, "minimum": 0}


@pytest.mark.parametrize("vendor", ["justlogin", "joor"])
def test_the_environment_is_a_dropdown(vendor: str) -> None:
    assert form(vendor)["conn-fields"]["environment"]["schema"] == {
        "type": "string",
        "default": "production",
        "enum": ["production", "sandbox"],
        "values_display": {"production": "Production", "sandbox": "Sandbox"},
    }


@pytest.mark.parametrize("conn_type", ["oauth", "justlogin", "justimmo"])
def test_the_grant_types_are_a_dropdown(conn_type: str) -> None:
    schema = form(conn_type)["conn-fields"]["grant_type"]["schema"]

    grants = list(PRESETS[conn_type].grants)
    if conn_type == "oauth":  # a vendor can set the grant type
        assert schema["enum"] == [None, *grants]
        assert list(schema["values_display"]) == ["null", *grants]
        assert "default" not in schema
        assert schema["type"] == ["string", "null"]
    else:
        assert schema["enum"] == list(schema["values_display"]) == grants
        assert schema["default"] == grants[0]
        assert schema["type"] == "string"
    assert "implicit" not in schema["enum"]


def test_the_empty_choice_mentions_a_vendor_only_in_a_form_with_vendors() -> None:
    fields = {
        "client_auth": FIELDS["client_auth"],
        "body_format": FIELDS["body_format"]._replace(default="json", required=True),
    }
    own = Preset(conn_type="acme", name="Acme", hook_class_name="acme.Hook", grants=("password",), fields=fields)
    shown = own.connection_type()["conn-fields"]
    oauth = form("oauth")["conn-fields"]

    assert oauth["client_auth"]["schema"]["values_display"]["null"] == "Vendor's value, otherwise Basic header"
    assert shown["client_auth"]["schema"]["values_display"]["null"] == "Basic header"
    assert shown["body_format"]["schema"]["enum"] == ["form", "json", "multipart", "query"]


@pytest.mark.parametrize("conn_type", PRESETS)
def test_only_secrets_are_shown_as_dots(conn_type: str) -> None:
    fields = form(conn_type)["conn-fields"]

    dotted = {name for name, field in fields.items() if field["schema"].get("format") == "password"}
    assert dotted == {"refresh_token", "user_password", "private_key", "private_key_passphrase"} & set(fields)


@pytest.mark.parametrize("conn_type", PRESETS)
def test_every_field_has_a_label_and_a_description(conn_type: str) -> None:
    for field in form(conn_type)["conn-fields"].values():
        assert field["label"]
        assert field["description"].partition(" Example: ")[0].endswith(".")


@pytest.mark.parametrize("conn_type", PRESETS)
def test_a_connection_that_the_form_stored_is_read_without_a_warning(conn_type: str) -> None:
    fields = form(conn_type)["conn-fields"]
    extra = {name: field["schema"].get("default") for name, field in fields.items()}
    needed = {"grant_url": "/token"} if conn_type == "oauth" else NEEDED[conn_type]

    connection = airflow_connection(conn_type=conn_type, extra=extra | needed)

    assert read_connection(connection, PRESETS[conn_type]).warnings == ()


@pytest.mark.parametrize("conn_type", PRESETS)
def test_a_connection_type_can_be_used_in_a_uri_and_an_environment_variable(conn_type: str) -> None:
    assert PRESETS[conn_type].conn_type == conn_type
    assert conn_type.isidentifier()
    assert "__" not in conn_type


# --- the preset of another package

OWN = Preset(
    conn_type="acme",
    name="Acme",
    hook_class_name="acme.hooks.AcmeHook",
    grants=("client_credentials",),
    fixed={
        "host": "https://api.acme.example",
        "grant_url": "https://api.acme.example/token",
        "client_auth": "none",
        "login": "public-client",
        "password": None,
    },
    fields={"region": Field("string", "Region", "Where."), "scope": FIELDS["scope"]},
    field_targets={"region": ("api_params", "r")},
)


@pytest.mark.parametrize("place", ["fixed", "environments"])
def test_a_preset_can_fix_a_field_that_is_converted(place: str) -> None:
    response_map = {"response_map": "access_token=data.token, expires_in=data.ttl"}
    environment = {"host": "https://api.acme.example", "grant_url": "https://api.acme.example/token"}
    preset = Preset(
        conn_type="acme",
        name="Acme",
        hook_class_name="acme.hooks.AcmeHook",
        grants=("client_credentials",),
        fixed=response_map if place == "fixed" else {},
        environments={"production": environment | ({} if place == "fixed" else response_map)},
    )

    config = read_connection(airflow_connection(conn_type="acme", **response_map), preset)

    assert config.response_map == {"access_token": "data.token", "expires_in": "data.ttl"}
    assert config.warnings == ()


def test_a_preset_can_fix_login_and_password() -> None:
    connection = airflow_connection(conn_type="acme", login=None, password=None, region=5, scope="read")

    assert read_connection(connection, OWN) == OAuthConfig(
        conn_id="shop",
        vendor_label="Acme",
        base_url="https://api.acme.example",
        token_url="https://api.acme.example/token",
        grant_type="client_credentials",
        client_auth="none",
        client_id="public-client",
        client_secret=None,
        scope="read",
        api_params={"r": "5"},
    )


def test_a_form_hides_fixed_fields_and_a_single_grant_type() -> None:
    made = OWN.connection_type()

    assert made["ui-field-behaviour"]["hidden-fields"] == ["schema", "port", "host", "login", "password"]
    assert list(made["conn-fields"]) == ["region", "scope", "leeway"]


def test_a_preset_is_immutable() -> None:
    assert replace(OWN, name="Other") != OWN
    with pytest.raises(AttributeError):
        OWN.name = "Other"  # type: ignore[misc]
    assert OAUTH.form_fields is OAUTH.form_fields


def test_a_preset_with_a_field_that_is_not_sent_is_refused() -> None:
    with pytest.raises(ValueError, match="Preset 'acme': field_targets has no entry for district"):
        replace(OWN, fields={**OWN.fields, "district": Field("string", "District", "")})


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"grants": ()}, "grants is empty"),
        ({"conn_type": "a__b"}, "conn_type must not contain"),
        ({"conn_type": "a-b"}, "conn_type must not contain"),
    ],
)
def test_a_preset_that_airflow_cannot_use_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        replace(OWN, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"grants": ("device_code",)},
        {"grants": ("password", "device_code")},
        {"fixed": {"client_atuh": "none"}},
        {"environments": {"production": {"hots": "https://x"}}},
        {"field_targets": {**OWN.field_targets, "nowhere": ("api_params", "x")}},
    ],
)
def test_a_preset_with_an_unknown_field_or_grant_type_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Preset 'acme': .* unknown (fields|grant types)"):
        replace(OWN, **changes)


@pytest.mark.parametrize("url", ["https://mock.test/?x=1", "https://mock.test/#x"])
def test_the_url_of_a_mock_server_must_not_have_a_query_or_fragment(url: str) -> None:
    assert JOOR.fixed_fields(url) is None


@pytest.mark.parametrize(
    ("environment", "issuer"),
    [(None, "https://login.acme.example/t"), ("http://localhost:8080", "http://localhost:8080/t")],
)
def test_a_preset_can_have_an_issuer_instead_of_a_token_url(environment: str | None, issuer: str) -> None:
    system = {"host": "https://api.acme.example", "issuer": "https://login.acme.example/t"}
    preset = replace(OWN, fixed={"client_auth": "none"}, environments={"production": system})
    connection = airflow_connection(
        conn_type="acme", login=None, password=None, extra={"leeway": 60, "environment": environment}
    )

    settings = read_connection(connection, preset)

    assert (settings.token_url, settings.issuer) == (None, issuer)
