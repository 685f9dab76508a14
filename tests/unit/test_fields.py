from __future__ import annotations

import subprocess
import sys

import pytest
from airflow.sdk._shared.secrets_masker import should_hide_value_for_key

from airflow_provider_oauth.fields import ALIASES, FIELDS

# The fields that other software relies on.
SHOWN = {
    "grant_type",
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
    "user_password",
    "refresh_token",
    "secret_grant_params",
    "secret_headers",
    "secret_params",
    "proxies",
    "proxy",
}
every_field = pytest.mark.parametrize("name", FIELDS)


def test_are_those_of_the_design() -> None:
    assert {name for name, field in FIELDS.items() if field.shown} == SHOWN
    assert {name for name, field in FIELDS.items() if not field.shown} == READ_ONLY


def test_the_secret_ones_are_those_of_the_design() -> None:
    assert {name for name, field in FIELDS.items() if field.secret} == SECRET


@every_field
def test_what_is_secret_has_a_name_that_airflow_masks_and_no_default(name: str) -> None:
    if FIELDS[name].secret:
        assert should_hide_value_for_key(name)
        assert FIELDS[name].default is None


@every_field
def test_what_is_shown_and_not_secret_has_a_name_that_airflow_leaves_alone(name: str) -> None:
    # Otherwise the URL itself, or a default, would be *** in the form and in every log.
    if FIELDS[name].shown and not FIELDS[name].secret:
        assert not should_hide_value_for_key(name)


@every_field
def test_is_explained_in_words(name: str) -> None:
    field = FIELDS[name]

    assert field.label[0].isupper()
    assert not field.label.endswith(".")
    assert field.description[0].isupper() or field.description.startswith(("false,", "JSON"))
    assert field.description.endswith((".", ").", '".', "secret)"))


def test_no_two_shown_fields_have_one_label() -> None:
    labels = [field.label for field in FIELDS.values() if field.shown]

    assert len(set(labels)) == len(labels)


@every_field
def test_has_a_default_of_its_own_type(name: str) -> None:
    field = FIELDS[name]
    types = {"string": str, "integer": int, "boolean": bool, "object": dict}

    assert field.default is None or type(field.default) is types[field.type]
    assert field.default is None or field.minimum is None or field.default >= field.minimum
    assert field.choices is None or field.default in field.choices


def test_leeway_is_an_integer_and_always_there() -> None:
    # In stock code that takes extras for headers, requests and aiohttp refuse an integer before they send the others.
    assert FIELDS["leeway"].type == "integer"
    assert type(FIELDS["leeway"].default) is int
    assert FIELDS["leeway"].required  # else the form may store null, and null header values are dropped


def test_the_choices_are_those_of_the_design() -> None:
    choices = {name: list(field.choices) for name, field in FIELDS.items() if field.choices}

    assert choices == {
        "grant_type": ["client_credentials", "password", "authorization_code", "refresh_token"],
        "client_auth": ["client_secret_basic", "client_secret_basic_raw", "client_secret_post", "none"],
        "body_format": ["form", "json", "multipart"],
    }


def test_an_alias_means_a_field_of_its_own_type_and_is_not_in_the_form() -> None:
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
def test_importing_it_loads_nothing_heavy(module: str) -> None:
    code = (
        f"import sys, airflow_provider_oauth.{module} as module\n"
        "getattr(module, 'get_provider_info', dict)()\n"
        "heavy = {'airflow', 'requests', 'aiohttp', 'cryptography', 'jmespath', 'urllib3', 'filelock', 'asyncio'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout == "[]\n"
