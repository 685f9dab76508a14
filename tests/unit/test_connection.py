from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from airflow.models import Connection as CoreConnection
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import Connection as TaskConnection

from airflow_provider_oauth.connection import read_connection
from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.fields import FIELDS
from airflow_provider_oauth.protocol.config import OAuthConfig, TransportOptions
from airflow_provider_oauth.protocol.field_labels import label_and_key
from tests.connections import airflow_connection

MISSING: Any = object()


def read(extra: Any = MISSING, **changes: Any) -> OAuthConfig:
    """Read a connection with the required fields. An object in ``extra`` is added to them; a string replaces them."""
    if not isinstance(extra, str | None):
        extra = json.dumps({"grant_url": "/token", "leeway": 60} | ({} if extra is MISSING else extra))
    return read_connection(airflow_connection(**({"host": "https://api.example.com/v1", "extra": extra} | changes)))


def error_of(extra: Any = MISSING, **changes: Any) -> str:
    with pytest.raises(ConfigurationError) as raised:
        read(extra, **changes)
    assert isinstance(raised.value, AirflowFailException)
    assert str(raised.value).startswith("Connection 'shop': ")
    return str(raised.value).removeprefix("Connection 'shop': ")


def uri(query: dict[str, str], authority: str = "app:fake-secret@api.example.com/") -> str:
    return f"oauth://{authority}?{urlencode({'grant_url': '/token'} | query)}"


def read_uri(kind: type, query: dict[str, str], **where: str) -> OAuthConfig:
    return read_connection(kind(conn_id="shop", uri=uri(query, **where)))


def value_of(settings: OAuthConfig, name: str) -> Any:
    return getattr(settings.transport if name in TransportOptions.__dataclass_fields__ else settings, name)


USER = {"username": "anna", "user_password": "fake-pass"}

# Field, value in JSON, value in a URI, name in OAuthConfig, value in OAuthConfig.
FIELDS_READ: list[tuple[str, Any, str, str, Any]] = [
    ("vendor", "okta", "okta", "vendor", "okta"),
    ("grant_type", "refresh_token", "refresh_token", "grant_type", "refresh_token"),
    ("grant_url", "https://login.example.com/t", "https://login.example.com/t", "token_url", "https://login.example.com/t"),
    ("refresh_url", "https://login.example.com/r", "https://login.example.com/r", "refresh_url", "https://login.example.com/r"),
    ("authorize_url", "https://login.example.com/a", "https://login.example.com/a", "authorize_url", "https://login.example.com/a"),
    ("authorize_params", {"prompt": "consent"}, '{"prompt": "consent"}', "authorize_params", {"prompt": "consent"}),
    ("skip_pkce", True, "true", "skip_pkce", True),
    ("revoke_url", "https://login.example.com/d", "https://login.example.com/d", "revoke_url", "https://login.example.com/d"),
    ("issuer", "https://login.example.com", "https://login.example.com", "issuer", "https://login.example.com"),
    ("scope", "read write", "read write", "scope", "read write"),
    ("scope_separator", ",", ",", "scope_separator", ","),
    ("audience", "aud", "aud", "audience", "aud"),
    ("resource", "urn:res", "urn:res", "resource", "urn:res"),
    ("username", "anna", "anna", "username", "anna"),
    ("user_password", "fake é%3D", "fake é%3D", "user_password", "fake é%3D"),
    ("refresh_token", "fake-refresh", "fake-refresh", "refresh_token", "fake-refresh"),
    ("use_refresh", True, "true", "use_refresh", True),
    ("client_auth", "client_secret_post", "client_secret_post", "client_auth", "client_secret_post"),
    ("body_format", "json", "json", "body_format", "json"),
    ("grant_params", {"a": [1, True]}, '{"a": [1, true]}', "grant_params", {"a": [1, True]}),
    ("grant_headers", {"X-A": "1"}, '{"X-A": 1}', "grant_headers", {"X-A": "1"}),
    ("api_headers", {"X-A": "é"}, '{"X-A": "é"}', "api_headers", {"X-A": "é"}),
    ("api_params", {"account": 7}, '{"account": 7}', "api_params", {"account": 7}),
    ("secret_grant_params", {"k": "fake"}, '{"k": "fake"}', "secret_grant_params", {"k": "fake"}),
    ("secret_headers", {"X-K": "fake"}, '{"X-K": "fake"}', "secret_headers", {"X-K": "fake"}),
    ("secret_params", {"k": "fake"}, '{"k": "fake"}', "secret_params", {"k": "fake"}),
    ("auth_scheme", "Token", "Token", "auth_scheme", "Token"),
    ("header_name", "X-Auth", "X-Auth", "header_name", "X-Auth"),
    ("renew_on", "403 400", "403,400", "renew_on", (403, 400)),
    ("error_path", "errors[].message", "errors[].message", "error_path", "errors[].message"),
    ("response_map", "access_token=d.t", "access_token=d.t", "response_map", {"access_token": "d.t"}),
    ("grant_name", "account_credentials", "account_credentials", "grant_name", "account_credentials"),
    ("private_key", "fake-pem", "fake-pem", "private_key", "fake-pem"),
    ("private_key_file", "/keys/app.pem", "/keys/app.pem", "private_key_file", "/keys/app.pem"),
    ("private_key_passphrase", "fake-phrase", "fake-phrase", "private_key_passphrase", "fake-phrase"),
    ("key_id", "k1", "k1", "key_id", "k1"),
    ("certificate", "fake-cert", "fake-cert", "certificate", "fake-cert"),
    ("signing_algorithm", "ES256", "ES256", "signing_algorithm", "ES256"),
    ("assertion_issuer", "app@example.com", "app@example.com", "assertion_issuer", "app@example.com"),
    ("assertion_subject", "anna", "anna", "assertion_subject", "anna"),
    ("assertion_audience", "https://aud.example.com", "https://aud.example.com", "assertion_audience", "https://aud.example.com"),
    ("assertion_file", "/keys/app.jwt", "/keys/app.jwt", "assertion_file", "/keys/app.jwt"),
    ("subject_token_file", "/keys/subject.jwt", "/keys/subject.jwt", "subject_token_file", "/keys/subject.jwt"),
    ("subject_token_type", "urn:type", "urn:type", "subject_token_type", "urn:type"),
    ("par_url", "https://login.example.com/p", "https://login.example.com/p", "par_url", "https://login.example.com/p"),
    ("device_url", "https://login.example.com/v", "https://login.example.com/v", "device_url", "https://login.example.com/v"),
    ("token_method", "GET", "GET", "token_method", "GET"),
    ("request_map", "client_id=client_key", "client_id=client_key", "request_map", {"client_id": "client_key"}),
    ("callback_map", "realm_id=realmId", "realm_id=realmId", "callback_map", {"realm_id": "realmId"}),
    ("assertion_claims", {"n": 1}, '{"n": 1}', "assertion_claims", {"n": 1}),
    ("secret_grant_headers", {"X-K": "fake"}, '{"X-K": "fake"}', "secret_grant_headers", {"X-K": "fake"}),
    ("leeway", 30, "30", "leeway", 30),
    ("default_lifetime", 900, "900", "default_lifetime", 900),
    ("timeout", 5, "5", "timeout", 5),
    ("allow_http", True, "true", "allow_http", True),
    ("verify", False, "false", "verify", False),
    ("verify_ssl", "/etc/ca.pem", "/etc/ca.pem", "verify", "/etc/ca.pem"),
    ("cert", ["/c.pem", "/k.pem"], '["/c.pem", "/k.pem"]', "cert", ("/c.pem", "/k.pem")),
    ("proxies", {"https": "http://p:1"}, '{"https": "http://p:1"}', "proxies", {"https": "http://p:1"}),
    ("proxy", "http://p:1", "http://p:1", "proxies", {"http": "http://p:1", "https": "http://p:1"}),
    ("trust_env", False, "false", "trust_env", False),
    ("stream", True, "true", "stream", True),
    ("check_response", False, "false", "check_response", False),
    ("allow_redirects", False, "false", "allow_redirects", False),
    ("max_redirects", 3, "3", "max_redirects", 3),
    ("token_url", "https://login.example.com/t", "https://login.example.com/t", "token_url", "https://login.example.com/t"),
    ("token_endpoint", "https://login.example.com/t", "https://login.example.com/t", "token_url", "https://login.example.com/t"),
]  # fmt: skip
EVERY_FIELD = pytest.mark.parametrize(
    ("field", "in_json", "in_uri", "name", "value"), FIELDS_READ, ids=[row[0] for row in FIELDS_READ]
)


def other_fields(field: str) -> dict[str, Any]:
    """Return what a connection with this field needs, or must not have."""
    if field == "callback_map":
        return {"grant_type": "authorization_code"}
    return {"grant_url": None} if field in ("token_url", "token_endpoint") else {}


def test_every_field_has_a_row_in_the_table_above() -> None:
    assert [row[0] for row in FIELDS_READ if row[0] not in FIELDS] == []
    # tests/unit/test_vendor_fields.py tests vendor_values.
    assert set(FIELDS) - {row[0] for row in FIELDS_READ} == {"vendor_values"}


@EVERY_FIELD
def test_every_field_is_read_from_json(field: str, in_json: Any, in_uri: str, name: str, value: Any) -> None:
    settings = read(other_fields(field) | {field: in_json})

    assert value_of(settings, name) == value
    assert type(value_of(settings, name)) is type(value)
    # The fields about assertions are only used with some methods.
    assert [
        each for each in settings.warnings if "Client authentication and Grant type do not use it" not in each
    ] == []


@EVERY_FIELD
@pytest.mark.parametrize("kind", [TaskConnection, CoreConnection], ids=["task", "core"])
def test_every_field_is_read_from_a_uri(
    kind: type, field: str, in_json: Any, in_uri: str, name: str, value: Any
) -> None:
    query = {name: value or "" for name, value in other_fields(field).items()}

    settings = read_uri(kind, query | {field: in_uri})

    assert value_of(settings, name) == value
    assert type(value_of(settings, name)) is type(value)


@EVERY_FIELD
@pytest.mark.parametrize("empty", [None, ""])
def test_every_field_is_absent_if_it_is_null_or_empty(
    field: str, in_json: Any, in_uri: str, name: str, value: Any, empty: Any
) -> None:
    if field == "grant_url":
        assert error_of({"grant_url": empty}).startswith("Token URL (grant_url) is missing")
    else:
        assert replace(read({field: empty}), warnings=()) == read()


@EVERY_FIELD
def test_every_field_is_refused_if_its_value_is_redacted(
    field: str, in_json: Any, in_uri: str, name: str, value: Any
) -> None:
    message = error_of(other_fields(field) | {field: "***"})

    assert message.startswith(f"{label_and_key(FIELDS[field].label, field)} contains '***'")
    assert "redacted" in message


@EVERY_FIELD
@pytest.mark.parametrize("nonsense", [[[]], [{"a": "b"}], "\x00{"])
def test_every_field_of_the_wrong_type_is_refused_with_key_and_label(
    field: str, in_json: Any, in_uri: str, name: str, value: Any, nonsense: Any
) -> None:
    if isinstance(nonsense, str) and FIELDS[field].type == "string":
        return
    message = error_of(other_fields(field) | {field: nonsense})

    assert message.startswith(f"{label_and_key(FIELDS[field].label, field)} is not a valid ")


def test_a_connection_with_only_the_required_fields_has_the_defaults() -> None:
    assert read() == OAuthConfig(
        conn_id="shop",
        base_url="https://api.example.com/v1",
        token_url="https://api.example.com/v1/token",
        grant_type="client_credentials",
        client_id="app",
        client_secret="fake-secret",
        scope_separator=" ",
        use_refresh=False,
        client_auth="client_secret_basic",
        body_format="form",
        auth_scheme="Bearer",
        header_name="Authorization",
        leeway=60,
        default_lifetime=3600,
        allow_http=False,
        transport=TransportOptions(
            timeout=60,
            verify=True,
            cert=None,
            proxies={},
            trust_env=True,
            stream=False,
            check_response=True,
            allow_redirects=True,
            max_redirects=30,
        ),
        warnings=(),
    )


def test_the_defaults_apply_to_a_connection_that_the_form_stored_too() -> None:
    stored = {name: field.default for name, field in FIELDS.items() if field.shown} | {"grant_url": "/token"}

    assert read(stored) == read()


@pytest.mark.parametrize("written", ["12345", "007", "+7", "12345678901234567890", "'quoted'", "{x}", "[", "%3D"])
@pytest.mark.parametrize("kind", [TaskConnection, CoreConnection], ids=["task", "core"])
def test_a_string_that_looks_like_a_number_stays_a_string(kind: type, written: str) -> None:
    settings = read_uri(kind, {"username": written, "user_password": written})

    assert (settings.username, settings.user_password) == (written, written)


@pytest.mark.parametrize("written", ["true", "false"])
@pytest.mark.parametrize("kind", [TaskConnection, CoreConnection], ids=["task", "core"])
def test_a_string_that_looks_like_a_boolean_stays_a_string(kind: type, written: str) -> None:
    assert read_uri(kind, {"user_password": written}).user_password == written


@pytest.mark.parametrize("written", ["1e10", "1.10", "1E5", "NaN", "Infinity", "1e400", "1.0000000000000000001"])
def test_a_secret_that_airflow_core_parsed_as_a_number_is_refused_or_unchanged(written: str) -> None:
    # Airflow core parses it as a JSON number, so its original spelling is lost. Sending a wrong password repeatedly
    # may lock the account.
    refused = None
    sent: tuple[str | None, ...] = ()
    try:
        settings = read_uri(CoreConnection, {"user_password": written, "refresh_token": written})
        sent = (settings.user_password, settings.refresh_token)
    except ConfigurationError as error:
        refused = str(error)

    assert "user_password" in refused if refused else sent == (written, written)


@pytest.mark.parametrize("written", ["1e10", "1.10", "NaN", "12345678901234567890", "null", "[1]", "{}"])
def test_in_a_task_a_string_is_unchanged(written: str) -> None:
    assert read_uri(TaskConnection, {"user_password": written}).user_password == written


@pytest.mark.parametrize("number", [5, 5.0, "5", " 5 "])
def test_an_integer_can_be_a_number_or_a_string(number: Any) -> None:
    settings = read({"leeway": number})

    assert settings.leeway == 5
    assert type(settings.leeway) is int


@pytest.mark.parametrize("number", [5.5, "5.5", "five", True, False, "1e3", [5], {"a": 5}, "0x10", "--5"])
@pytest.mark.parametrize("field", ["leeway", "default_lifetime", "timeout", "max_redirects"])
def test_a_value_that_is_not_an_integer_is_refused(field: str, number: Any) -> None:
    assert error_of({field: number}) == (
        f"{label_and_key(FIELDS[field].label, field)} is not a valid integer. Example: {FIELDS[field].example}"
    )


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_a_number_that_is_not_finite_is_refused(number: str) -> None:
    message = error_of(f'{{"grant_url": "/token", "leeway": {number}}}')

    assert message == "Leeway (leeway) is not a valid integer. Example: 60"


@pytest.mark.parametrize(
    ("field", "lowest"), [("leeway", 0), ("default_lifetime", 1), ("timeout", 1), ("max_redirects", 0)]
)
def test_an_integer_below_its_minimum_is_refused(field: str, lowest: int) -> None:
    assert value_of(read({field: lowest}), field) == lowest
    assert error_of({field: lowest - 1}) == f"{label_and_key(FIELDS[field].label, field)} must be at least {lowest}."


@pytest.mark.parametrize("value", [True, "true", "True", "TRUE", "t", "yes", "y", "on", "1", 1])
def test_true_can_be_written_in_several_ways(value: Any) -> None:
    assert read({"use_refresh": value}).use_refresh is True
    assert read({"verify": value}).transport.verify is True


@pytest.mark.parametrize("value", [False, "false", "False", "FALSE", "f", "no", "n", "off", "0", 0])
def test_false_can_be_written_in_several_ways(value: Any) -> None:
    settings = read({"check_response": value, "trust_env": value, "verify": value})

    assert settings.transport.check_response is False
    assert settings.transport.trust_env is False
    assert settings.transport.verify is False


@pytest.mark.parametrize("value", ["maybe", 2, -1, "wahr", [True], {"a": True}])
@pytest.mark.parametrize("field", ["allow_http", "use_refresh", "trust_env", "check_response"])
def test_a_value_that_is_not_a_boolean_is_refused(field: str, value: Any) -> None:
    assert error_of({field: value}) == (
        f"{label_and_key(FIELDS[field].label, field)} is not a valid boolean. Set it to true or false."
    )


@pytest.mark.parametrize(
    "field", ["authorize_params", "grant_params", "api_params", "secret_params", "secret_grant_params"]
)
@pytest.mark.parametrize("value", ["[]", "text", "5", 5, [], "{"])
def test_a_value_that_is_not_a_json_object_is_refused(field: str, value: Any) -> None:
    assert error_of({field: value}) == (
        f"{label_and_key(FIELDS[field].label, field)} is not a valid JSON object. Example: {FIELDS[field].example}"
    )


@pytest.mark.parametrize("value", ["none", "None", "NONE"])
def test_auth_scheme_none_means_no_scheme(value: str) -> None:
    assert read({"auth_scheme": value}).auth_scheme == ""


@pytest.mark.parametrize("kind", [TaskConnection, CoreConnection], ids=["task", "core"])
def test_a_uri_can_contain_the_whole_extra(kind: type) -> None:
    extra = json.dumps({"grant_url": "/token", "leeway": 5, "grant_params": {"a": 1}})

    settings = read_connection(
        kind(conn_id="shop", uri=f"oauth://app:fake@api.example.com/?{urlencode({'__extra__': extra})}")
    )

    assert (settings.leeway, settings.grant_params) == (5, {"a": 1})


@pytest.mark.parametrize("kind", [TaskConnection, CoreConnection], ids=["task", "core"])
def test_client_id_and_client_secret_in_a_uri_are_decoded_once(kind: type) -> None:
    authority = "id%3A%2F%2B%25%26%C3%A9%20:fake%3A%2F%2B%25%26%C3%A9%20%253D@api.example.com/"

    settings = read_uri(kind, {}, authority=authority)

    assert (settings.client_id, settings.client_secret) == ("id:/+%&é ", "fake:/+%&é %3D")


def test_a_missing_client_id_is_an_error() -> None:
    assert error_of(login=None) == "Client ID (login) is missing. Enter the client ID that the vendor issued."
    assert error_of(login="") == "Client ID (login) is missing. Enter the client ID that the vendor issued."


def test_a_missing_client_secret_is_an_error() -> None:
    assert error_of(password=None).startswith("Client secret (password) is missing. If the client has no secret")


@pytest.mark.parametrize("login", [None, "", "app"])
def test_a_public_client_needs_no_secret(login: str | None) -> None:
    settings = read({"client_auth": "none"}, login=login, password=None)

    assert (settings.client_id, settings.client_secret) == (login or None, None)


@pytest.mark.parametrize(("field", "label"), [("login", "Client ID"), ("password", "Client secret")])
def test_a_redacted_client_id_or_client_secret_is_refused(field: str, label: str) -> None:
    assert error_of(**{field: "***"}).startswith(f"{label} ({field}) contains '***'")


@pytest.mark.parametrize(
    ("missing", "shown"), [("username", "User name (username)"), ("user_password", "User password (user_password)")]
)
@pytest.mark.parametrize("empty", [None, ""])
def test_the_password_grant_needs_user_name_and_password(missing: str, shown: str, empty: Any) -> None:
    assert error_of({"grant_type": "password"} | USER | {missing: empty}) == (
        f"{shown} is missing, but the password grant requires it. Enter it, or choose another Grant type."
    )


@pytest.mark.parametrize(
    "field",
    ["authorize_params", "grant_params", "secret_grant_params", "api_headers", "secret_headers", "proxies"],
)
@pytest.mark.parametrize("as_text", [False, True], ids=["object", "text"])
def test_redacted_values_in_an_object_are_refused(field: str, as_text: bool) -> None:
    value: Any = {"a": "ok", "b": "***"}

    assert error_of({field: json.dumps(value) if as_text else value}).startswith(
        f"{label_and_key(FIELDS[field].label, field)} contains '***'"
    )


@pytest.mark.parametrize("value", [{"a": ["***"]}, {"a": {"b": "***"}}])
def test_redacted_values_in_a_nested_object_are_refused(value: Any) -> None:
    assert error_of({"secret_grant_params": value}).startswith(
        "Secret token request parameters (secret_grant_params) contains '***'"
    )


def test_three_asterisks_within_a_longer_secret_are_accepted() -> None:
    assert read(password="***fake***").client_secret == "***fake***"


@pytest.mark.parametrize("alias", ["token_url", "token_endpoint"])
def test_aliases_of_the_token_url_may_be_relative(alias: str) -> None:
    assert read({"grant_url": None, alias: "/oauth/token"}).token_url == "https://api.example.com/v1/oauth/token"


@pytest.mark.parametrize("alias", ["token_url", "token_endpoint"])
def test_aliases_with_the_same_value_are_accepted(alias: str) -> None:
    assert read({alias: "/token"}) == read()


@pytest.mark.parametrize(
    ("extra", "alias", "name"),
    [
        ({"grant_url": "/a", "token_url": "/b"}, "token_url", "grant_url"),
        ({"token_endpoint": "/b", "grant_url": "/a"}, "token_endpoint", "grant_url"),
        ({"verify": True, "verify_ssl": False}, "verify_ssl", "verify"),
        ({"proxies": {"https": "http://a"}, "proxy": "http://b"}, "proxy", "proxies"),
        ({"grant_url": None, "token_url": "/a", "token_endpoint": "/b"}, "token_url", "token_endpoint"),
    ],
)
def test_aliases_with_conflicting_values_are_refused_with_the_keys_in_extra(
    extra: dict[str, Any], alias: str, name: str
) -> None:
    message = error_of(extra)

    assert alias in message
    assert name in message
    assert "conflicting values" in message


def test_aliases_with_conflicting_values_are_refused_without_quoting_them() -> None:
    message = error_of({"proxies": {"https": "http://u:fake-1@a"}, "proxy": "http://u:fake-2@b"})

    assert "fake" not in message


def test_a_missing_token_url_is_an_error_with_its_label() -> None:
    assert error_of({"grant_url": None}) == (
        "Token URL (grant_url) is missing. Set Token URL, or set Issuer to discover it."
    )


def test_the_token_url_may_be_missing_if_there_is_an_issuer() -> None:
    settings = read({"grant_url": None, "issuer": "https://login.example.com/tenant/"})

    assert (settings.token_url, settings.issuer) == (None, "https://login.example.com/tenant/")


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("grant_typ", "grant_type"),
        ("grantType", "grant_type"),
        ("Grant-Type", "grant_type"),
        ("scopes", "scope"),
        ("SCOPE", "scope"),
        ("token-url", "token_url"),
        ("tokenUrl", "token_url"),
        ("refresh_tokn", "refresh_token"),
        ("usr_password", "user_password"),
        ("secret_header", "secret_headers"),
        ("client_authentication", None),
        ("leaway", "leeway"),
    ],
)
def test_unknown_keys_similar_to_a_known_key_are_refused_with_a_suggestion(typo: str, meant: str | None) -> None:
    if meant is None:
        assert len(read({typo: "x"}).warnings) == 1
    else:
        assert error_of({typo: "fake-value"}) == f"the extra field {typo!r} is unknown. Did you mean {meant!r}?"


@pytest.mark.parametrize("key", ["X-Tenant", "aws_role", "Content-Type", "headers", "extra__jdbc__drv_path", "ß"])
def test_unknown_keys_unlike_any_known_key_are_ignored_with_a_warning_without_the_value(key: str) -> None:
    settings = read({key: "fake-value"})

    assert [key in warning for warning in settings.warnings] == [True]
    assert "fake-value" not in repr(settings)


def test_unknown_keys_with_null_values_are_ignored_without_a_warning() -> None:
    assert read({"srv_lookup": None, "scpoe": None}).warnings == ()


@pytest.mark.parametrize("leeway", [None, "60", 60.0])
def test_a_leeway_that_is_not_an_integer_gives_a_warning_about_stock_code(leeway: Any) -> None:
    (warning,) = read({"leeway": leeway}).warnings

    assert "Airflow's own HttpSensor and deferrable HttpOperator" in warning


def test_unknown_keys_give_one_warning_each() -> None:
    assert len(read({"X-One": "1", "X-Two": "2"}).warnings) == 2


def test_unknown_keys_never_become_headers_or_parameters() -> None:
    settings = read({"X-Tenant": "t1"})

    assert settings.api_headers == {}
    assert settings.grant_headers == {}
    assert settings.api_params == {}
    assert settings.grant_params == {}


@pytest.mark.parametrize(
    ("parts", "base_url"),
    [
        ({"host": "api.example.com"}, "https://api.example.com"),
        ({"host": "api.example.com/v1/"}, "https://api.example.com/v1"),
        ({"host": " https://api.example.com/v1// "}, "https://api.example.com/v1"),
        ({"host": "api.example.com:8443"}, "https://api.example.com:8443"),
        ({"host": "api.example.com", "port": 8443}, "https://api.example.com:8443"),
        ({"host": "https://api.example.com/v1", "port": 8443}, "https://api.example.com:8443/v1"),
        ({"host": "https://api.example.com:8443/v1", "port": 8443}, "https://api.example.com:8443/v1"),
        ({"host": "api.example.com", "port": 0}, "https://api.example.com"),
        ({"host": "api.example.com", "schema": "https"}, "https://api.example.com"),
        ({"host": "localhost", "schema": "http", "port": 8080}, "http://localhost:8080"),
        ({"host": "https://api.example.com", "schema": "https"}, "https://api.example.com"),
        ({"host": "https://api.example.com", "schema": "v1"}, "https://api.example.com/v1"),
        ({"host": "api.example.com", "schema": "/v1/x/"}, "https://api.example.com/v1/x"),
        ({"host": "api.example.com", "schema": "v1", "port": 8443}, "https://api.example.com:8443/v1"),
        ({"host": "[::1]", "schema": "http", "port": 8080}, "http://[::1]:8080"),
        ({"host": "http://[::1]:8080/v1"}, "http://[::1]:8080/v1"),
    ],
)
def test_a_host_with_port_and_schema_is_the_base_url(parts: dict[str, Any], base_url: str) -> None:
    assert read(**parts).base_url == base_url


@pytest.mark.parametrize("kind", [TaskConnection, CoreConnection], ids=["task", "core"])
@pytest.mark.parametrize(
    ("authority", "base_url"),
    [
        ("app:fake@api.example.com/", "https://api.example.com"),
        ("app:fake@api.example.com:8443/v1", "https://api.example.com:8443/v1"),
        ("app:fake@https%3A%2F%2FApi.example.com%2FV1/", "https://Api.example.com/V1"),
        ("https://app:fake@api.example.com/v1", "https://api.example.com/v1"),
        ("app:fake@api.example.com/v1%2Fx", "https://api.example.com/v1/x"),
        ("app:fake@localhost:8080/http", "http://localhost:8080"),
        ("http://app:fake@127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("app:fake@[2001:db8::1]:8443/", "https://[2001:db8::1]:8443"),
        ("app:fake@[2001:db8::1]/", "https://[2001:db8::1]"),
    ],
)
def test_a_host_of_a_uri_is_the_base_url(kind: type, authority: str, base_url: str) -> None:
    settings = read_uri(kind, {}, authority=authority)

    assert settings.base_url == base_url
    assert settings.token_url == f"{base_url}/token"


@pytest.mark.parametrize("host", [None, "", "  "])
def test_the_host_is_required(host: str | None) -> None:
    assert error_of(host=host) == "API base URL (host) is missing. Example: https://api.example.com/v1"


@pytest.mark.parametrize("host", ["ftp://api.example.com", "https://", "https:///v1", "api:port", "a b.example.com"])
def test_a_host_that_is_not_an_http_url_is_refused(host: str) -> None:
    assert error_of({"grant_url": "https://login.example.com/token"}, host=host).startswith(
        "API base URL (host) is not a"
    )


def test_a_host_with_plain_http_requires_allow_http() -> None:
    assert error_of(host="http://api.example.com").startswith("API base URL (host) uses plain http to api.example.com")
    assert error_of(host="api.example.com", schema="http").startswith("API base URL (host) uses plain http")
    assert read({"allow_http": True}, host="http://api.example.com").base_url == "http://api.example.com"


@pytest.mark.parametrize("host", ["https://anna:fake-pass@api.example.com", "anna:fake-pass@api.example.com"])
def test_a_host_with_a_user_name_is_refused_without_quoting_it(host: str) -> None:
    message = error_of(host=host)

    assert message.startswith("API base URL (host) must not contain a user name or password")
    assert "fake-pass" not in message


@pytest.mark.parametrize("name", ["refresh_url", "authorize_url", "revoke_url", "issuer"])
@pytest.mark.parametrize(
    ("url", "absolute"),
    [
        ("oauth/x", "https://api.example.com/v1/oauth/x"),
        ("/oauth/x", "https://api.example.com/v1/oauth/x"),
        (" /oauth/x ", "https://api.example.com/v1/oauth/x"),
        ("https://login.example.com/x", "https://login.example.com/x"),
        (" https://login.example.com/x ", "https://login.example.com/x"),
        ("//login.example.com/x", "https://api.example.com/v1/login.example.com/x"),
    ],
)
def test_urls_are_relative_to_the_base_url(name: str, url: str, absolute: str) -> None:
    assert getattr(read({name: url}), name) == absolute


def test_urls_with_a_url_in_the_query_are_relative_too() -> None:
    assert read({"grant_url": "token?aud=https://api.example.com"}).token_url == (
        "https://api.example.com/v1/token?aud=https://api.example.com"
    )


def test_urls_are_relative_to_port_and_path() -> None:
    assert read(host="api.example.com", port=8443, schema="v2").token_url == "https://api.example.com:8443/v2/token"


@pytest.mark.parametrize("name", ["grant_url", "refresh_url", "authorize_url", "revoke_url", "issuer"])
def test_urls_that_are_absolute_with_plain_http_require_allow_http(name: str) -> None:
    message = error_of({name: "http://login.example.com/x"})

    assert message.startswith(f"{label_and_key(FIELDS[name].label, name)} ")
    assert " uses plain http to login.example.com. " in message


@pytest.mark.parametrize("extra", ["{", "text", "[]", "5", '"text"', "true", "{'grant_url': '/token'}", "[{}]"])
def test_extra_that_is_not_a_json_object_is_refused(extra: str) -> None:
    assert error_of(extra).startswith('extra is not a JSON object. Example: {"grant_type": ')


@pytest.mark.parametrize("extra", [None, "", "{}"])
def test_extra_that_is_empty_has_no_token_url(extra: str | None) -> None:
    assert error_of(extra).startswith("Token URL (grant_url) is missing")


def test_extra_that_is_nested_too_deeply_is_refused() -> None:
    assert error_of('{"a":' * 100_000 + "1" + "}" * 100_000).startswith("extra is not a JSON object. ")


@pytest.mark.parametrize("field", ["api_headers", "secret_headers", "grant_headers"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "1\r\nX-Evil: 1"),
        ("X-A", "1\n"),
        ("X-A", "\x00"),
        ("X-A", "\x7f"),
        ("X-A", "€"),
        ("X-A", " fake"),
        ("X-A", "\tfake"),
        ("X-A: 1\r\nX-Evil", "1"),
        ("X A", "1"),
        ("X-A\n", "1"),
        ("X-Ä", "1"),
        (":path", "1"),
        ("", "1"),
    ],
)
def test_headers_that_could_start_another_header_or_cannot_be_sent_are_refused(
    field: str, name: str, value: str
) -> None:
    message = error_of({field: {name: value}})

    assert message.startswith(f"{label_and_key(FIELDS[field].label, field)} ")
    assert "fake" not in message


@pytest.mark.parametrize("field", ["api_headers", "secret_headers", "grant_headers"])
def test_headers_that_are_refused_are_not_reported_as_invalid_json(field: str) -> None:
    message = error_of({field: {"X-A": "1\r\n2"}})

    assert "header" in message.partition(")")[2]


@pytest.mark.parametrize("field", ["api_headers", "secret_headers", "grant_headers"])
def test_headers_can_have_strings_and_integers_as_values_and_omit_nulls(field: str) -> None:
    headers = getattr(read({field: {"X-A": "a\tb é", "X-B": 7, "x.c~": "", "X-D": None}}), field)

    assert headers == {"X-A": "a\tb é", "X-B": "7", "x.c~": ""}


@pytest.mark.parametrize("name", ["X Auth", "X-Auth:", "X-Auth\r\nX-Evil", "Ä", "(x)"])
def test_an_invalid_name_of_the_authorization_header_is_refused(name: str) -> None:
    assert error_of({"header_name": name}).startswith("Authorization header (header_name) ")


@pytest.mark.parametrize("scheme", ["Bearer\r\nX-Evil: 1", "Bearer\n", "\x00", "Bear\x7fer", "Bärer€"])
def test_an_authorization_scheme_that_could_start_another_header_is_refused(scheme: str) -> None:
    # requests would refuse it too, but with an error text that contains the token.
    assert error_of({"auth_scheme": scheme}).startswith("Authorization scheme (auth_scheme) ")


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("access_token=data.token", {"access_token": "data.token"}),
        (
            " access_token = data.token ,, expires_in=a[0].b, ",
            {"access_token": "data.token", "expires_in": "a[0].b"},
        ),
        ("base_url=instance_url", {"base_url": "instance_url"}),
        ('access_token="a-b".c', {"access_token": '"a-b".c'}),
        ("access_token=a[?b=='c'].d | [0]", {"access_token": "a[?b=='c'].d | [0]"}),
        (",", {}),
    ],
)
def test_a_response_map_is_a_list_of_pairs(text: str, pairs: dict[str, str]) -> None:
    assert read({"response_map": text}).response_map == pairs


@pytest.mark.parametrize(
    "text",
    ["access_token", "=data.token", "access_token=", "access_token=a..b", "access_token=[", "a=b=c=", "=", "x y"],
)
def test_a_response_map_with_a_malformed_pair_is_refused_with_that_pair(text: str) -> None:
    message = error_of({"response_map": text})

    assert message.startswith(f"Token response map (response_map) has {text!r}, ")
    assert "access_token=data.token" in message


def test_a_response_map_with_an_unknown_name_is_refused() -> None:
    assert error_of({"response_map": "token=data.token"}).startswith(
        "Token response map (response_map) has the unknown name 'token'"
    )


def test_a_response_map_with_a_function_that_does_not_exist_is_refused() -> None:
    assert error_of({"response_map": "access_token=nonsense(a)"}).startswith("Token response map (response_map) ")


def test_a_response_map_with_a_name_twice_is_refused() -> None:
    assert error_of({"response_map": "access_token=a, access_token=b"}).startswith("Token response map (response_map) ")


def test_a_response_map_that_is_an_object_is_refused() -> None:
    assert error_of({"response_map": {"access_token": "a"}}).startswith("Token response map (response_map) ")


RENAMINGS = {"request_map": "Request map (request_map)", "callback_map": "Callback values (callback_map)"}


@pytest.mark.parametrize("field", RENAMINGS)
@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("scope=b", {"scope": "b"}),
        (" client_id = b-c.d[0] , code=auth_code,", {"client_id": "b-c.d[0]", "code": "auth_code"}),
        (",", {}),
    ],
)
def test_a_map_of_parameters_is_a_list_of_pairs(field: str, text: str, pairs: dict[str, str]) -> None:
    assert getattr(read({"grant_type": "authorization_code", field: text}), field) == pairs


@pytest.mark.parametrize("field", RENAMINGS)
@pytest.mark.parametrize("text", ["a", "=b", "a=", "=", "a-b=c", "1a=b", "ä=b", "a=ä", "a=b c", "a=b=c", "a b=c"])
def test_a_map_of_parameters_with_a_malformed_pair_is_refused_with_that_pair(field: str, text: str) -> None:
    message = error_of({"grant_type": "authorization_code", field: text})

    assert message.startswith(f"{RENAMINGS[field]} has {text!r}, which is not a pair of ")
    assert message.endswith(f" Example: {FIELDS[field].example}")


def test_the_error_for_a_malformed_name_of_a_callback_value_states_which_characters_are_allowed() -> None:
    assert error_of({"grant_type": "authorization_code", "callback_map": "realm-id=realmId"}) == (
        "Callback values (callback_map) has 'realm-id=realmId', which is not a pair of a name (letters, digits and _) "
        "and a parameter of the callback. Example: realm_id=realmId"
    )


@pytest.mark.parametrize("field", RENAMINGS)
def test_a_map_of_parameters_with_a_name_twice_is_refused(field: str) -> None:
    message = error_of({"grant_type": "authorization_code", field: "a=b, c=d, a=e"})

    assert message == f"{RENAMINGS[field]} has 'a' twice. Remove one of them."


def test_secrets_are_not_quoted_in_errors() -> None:
    extra: dict[str, Any] = {
        "grant_type": "password",
        "username": "anna",
        "user_password": "fake-pass",
        "refresh_token": "fake-refresh",
        "secret_grant_params": {"k": "fake-param"},
        "secret_headers": {"X-K": "fake-header"},
        "secret_params": {"k": "fake-query"},
    }
    for wrong in (
        {"grant_type": "implicit"},
        {"client_auth": "x"},
        {"body_format": "x"},
        {"leeway": -1},
        {"secret_headers": {"X-K": "fake\r\n"}},
        {"secret_params": "fake"},
        {"user_password": ["fake"]},
        {"refresh_token": {"fake": "fake"}},
        {"refresh_url": "http://api.example.com"},
    ):
        assert "fake" not in error_of(extra | wrong)


def test_secrets_are_not_in_the_cause_of_an_error() -> None:
    with pytest.raises(ConfigurationError) as raised:
        read({"secret_params": '{"k": fake-secret'})

    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
