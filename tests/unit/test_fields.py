from __future__ import annotations

import subprocess
import sys

import pytest
from airflow.sdk._shared.secrets_masker import should_hide_value_for_key

from airflow_provider_oauth.coercion import coerce
from airflow_provider_oauth.fields import ALIASES, FIELDS

# Fields that other software relies on.
SHOWN = {
    "vendor",
    "vendor_values",
    "grant_type",
    "grant_name",
    "private_key",
    "private_key_file",
    "private_key_passphrase",
    "key_id",
    "certificate",
    "signing_algorithm",
    "assertion_issuer",
    "assertion_subject",
    "assertion_audience",
    "assertion_claims",
    "assertion_file",
    "subject_token_file",
    "subject_token_type",
    "par_url",
    "device_url",
    "callback_map",
    "request_map",
    "token_method",
    "secret_grant_headers",
    "grant_url",
    "refresh_url",
    "authorize_url",
    "authorize_params",
    "skip_pkce",
    "revoke_url",
    "issuer",
    "scope",
    "scope_separator",
    "audience",
    "resource",
    "username",
    "user_password",
    "refresh_token",
    "use_refresh",
    "client_auth",
    "body_format",
    "grant_params",
    "grant_headers",
    "api_headers",
    "api_params",
    "secret_grant_params",
    "secret_headers",
    "secret_params",
    "auth_scheme",
    "header_name",
    "renew_on",
    "error_path",
    "response_map",
    "leeway",
    "default_lifetime",
    "timeout",
    "allow_http",
}
READ_ONLY = {
    "token_url",
    "token_endpoint",
    "verify",
    "verify_ssl",
    "cert",
    "proxies",
    "proxy",
    "trust_env",
    "stream",
    "check_response",
    "allow_redirects",
    "max_redirects",
}
SECRET = {
    "private_key",
    "private_key_passphrase",
    "secret_grant_headers",
    "user_password",
    "refresh_token",
    "secret_grant_params",
    "secret_headers",
    "secret_params",
    "proxies",
    "proxy",
}
#: Not secret, but Airflow masks their values because of their names. Such a field has no default.
MASKED_BY_NAME = {"private_key_file", "subject_token_file", "subject_token_type", "token_method"}
every_field = pytest.mark.parametrize("name", FIELDS)


def test_the_names_of_the_fields_do_not_change() -> None:
    assert {name for name, field in FIELDS.items() if field.shown} == SHOWN
    assert {name for name, field in FIELDS.items() if not field.shown} == READ_ONLY


def test_the_names_of_the_secret_fields_do_not_change() -> None:
    assert {name for name, field in FIELDS.items() if field.secret} == SECRET


@every_field
def test_a_secret_field_has_a_name_that_airflow_masks_and_no_default(name: str) -> None:
    if FIELDS[name].secret:
        assert should_hide_value_for_key(name)
        assert FIELDS[name].default is None


@every_field
def test_a_field_of_the_form_that_is_not_secret_has_a_name_that_airflow_does_not_mask(name: str) -> None:
    # Otherwise its value or default would be *** in the form and in all logs.
    if FIELDS[name].shown and not FIELDS[name].secret:
        assert should_hide_value_for_key(name) == (name in MASKED_BY_NAME)
        assert name not in MASKED_BY_NAME or FIELDS[name].default is None


@every_field
def test_a_field_has_a_label_and_a_description(name: str) -> None:
    field = FIELDS[name]

    assert field.label[0].isupper()
    assert not field.label.endswith(".")
    assert field.description[0].isupper() or field.description.startswith(("false,", "JSON"))
    assert field.description.endswith(".")


@every_field
def test_an_example_is_a_valid_value(name: str) -> None:
    field = FIELDS[name]

    assert field.example or field.choices or field.secret or field.type == "boolean"
    if field.example:
        assert coerce(name, field, field.example)


def test_the_vendor_is_first_issuer_follows_token_url_and_json_fields_are_last() -> None:
    first, second, *shown = [name for name, field in FIELDS.items() if field.shown]
    is_json = [FIELDS[name].type == "object" for name in shown]

    assert [first, second] == ["vendor", "vendor_values"]
    assert shown[shown.index("grant_url") + 1] == "issuer"
    assert is_json == sorted(is_json)


def test_the_labels_of_the_form_are_unique() -> None:
    labels = [field.label for field in FIELDS.values() if field.shown]

    assert len(set(labels)) == len(labels)


@every_field
def test_a_default_has_the_type_of_its_field(name: str) -> None:
    field = FIELDS[name]
    types = {"string": str, "integer": int, "boolean": bool, "object": dict}

    assert field.default is None or type(field.default) is types[field.type]
    assert field.default is None or field.minimum is None or field.default >= field.minimum
    assert field.choices is None or field.default is None or field.default in field.choices


def test_only_fields_that_no_vendor_sets_have_a_default() -> None:
    # Airflow's form stores the defaults of all fields, and a value in the connection replaces the vendor's value.
    assert {name for name, field in FIELDS.items() if field.default is not None} == {"leeway", "allow_http"}


@every_field
def test_a_dropdown_without_a_default_has_an_empty_first_choice(name: str) -> None:
    field = FIELDS[name]
    if field.choices:
        assert field.unset is not None
        assert not field.required


def test_leeway_is_an_integer_and_required() -> None:
    # Stock code sends every key of extra as a header. requests and aiohttp refuse an integer before they send anything.
    assert FIELDS["leeway"].type == "integer"
    assert type(FIELDS["leeway"].default) is int
    assert FIELDS["leeway"].required  # otherwise the form could store null, and null header values are dropped


def test_the_choices_do_not_change() -> None:
    choices = {name: list(field.choices) for name, field in FIELDS.items() if field.choices}

    assert choices == {
        "grant_type": [
            *("client_credentials", "password", "authorization_code", "refresh_token"),
            *("jwt_bearer", "token_exchange"),
        ],
        "client_auth": [
            *("client_secret_basic", "client_secret_basic_raw", "client_secret_post"),
            *("private_key_jwt", "client_secret_jwt", "tls_client_auth", "none"),
        ],
        "body_format": ["form", "json", "multipart", "query"],
        "signing_algorithm": [
            *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
            *("ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"),
        ],
        "token_method": ["POST", "GET"],
    }


def test_an_alias_has_the_type_of_its_field_and_is_not_in_the_form() -> None:
    assert ALIASES == {
        "token_url": "grant_url",
        "token_endpoint": "grant_url",
        "verify_ssl": "verify",
        "proxy": "proxies",
    }
    for alias, name in ALIASES.items():
        assert FIELDS[alias].type == FIELDS[name].type
        assert FIELDS[alias].secret == FIELDS[name].secret
        assert not FIELDS[alias].shown


@pytest.mark.parametrize("module", ["fields", "get_provider_info"])
def test_importing_the_module_loads_no_large_package(module: str) -> None:
    code = (
        f"import sys, airflow_provider_oauth.{module} as module\n"
        "getattr(module, 'get_provider_info', dict)()\n"
        "heavy = {'airflow', 'requests', 'aiohttp', 'cryptography', 'jmespath', 'urllib3', 'filelock', 'asyncio',"
        " 'msgspec', 'tomllib', 'airflow_provider_oauth.presets.vendor', 'airflow_provider_oauth.presets.vendors',"
        " 'airflow_provider_oauth.presets.vendor_file'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout == "[]\n"
