"""Vendor files that are unsafe or broken are refused with an error that names the file."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING

import pytest

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.presets import vendors
from airflow_provider_oauth.presets.vendor_choices import ENTRY_POINTS, vendor_choices
from airflow_provider_oauth.presets.vendor_file import parse_vendor

if TYPE_CHECKING:
    from pathlib import Path

HEAD = 'label = "Shop"\ndocumentation = ["https://docs.example.com"]\n'
VALUES = "".join(f'[values.{name}]\nlabel = "{name}"\ndescription = "A name."\nexample = "acme"\n' for name in "xy")
ENVIRONMENT = "AIRFLOW__OAUTH__VENDOR_FOLDER"


def error_of(text: str) -> str:
    with pytest.raises(ConfigurationError, match="^Vendor file shop.toml: ") as raised:
        parse_vendor("shop", HEAD + text)
    return str(raised.value)


@pytest.fixture(autouse=True)
def _no_cache() -> None:
    vendors.vendor.cache_clear()


@pytest.mark.parametrize(
    "url",
    [
        "https://{x}.example.com.{x}", "https://{x}.example.com.{y}", "https://{x}.a{x}.example.com",
        "https://{x}.0.0.1", "https://{x}.168.0.1", "https://{x}.{y}.com", "https://{x}@example.com",
        "https://example.com:{x}", "https://example.com{x}/", "https://{x}.example.com.", "https://{x}.example\uff0ecom",
    ],
)  # fmt: skip
@pytest.mark.parametrize("field", ["host", "grant_url", "authorize_url"])
def test_a_value_cannot_choose_the_domain_of_a_url(url: str, field: str) -> None:
    error_of(f'{VALUES}[fields]\n{field} = "{url}"\n')


@pytest.mark.parametrize("host", ["example.com", "{x}.example.com", "https:/example.com", "//example.com", ""])
def test_the_api_base_url_must_be_absolute(host: str) -> None:
    assert "fields.host is not an https URL" in error_of(f'{VALUES}[fields]\nhost = "{host}"\n')


@pytest.mark.parametrize(
    "text",
    [
        "notes = " + "[" * 20_000 + "]" * 20_000,
        "fields = " + "{a = " * 5_000 + "1" + "}" * 5_000,
        f"{VALUES}[fields.api_params{'.a' * 5_000}]\nb = 1",
        f'[[error_rules]]\nstatus = 400\naction = "fail"\nwhen = "{"(" * 5_000}a{")" * 5_000}"',
        f"rate_limit_timeout = {'9' * 5_000}",
        "[fields]\nclient_auth = {a = 1}",
        "[fields]\nbody_format = ['form']",
        "[fields]\ncallback_map = 1.5",
        "[grants.authorization_code]\ncallback_map = ['a']",
        f'{VALUES}[fields]\nresponse_map = "base_url={{x}}"',
    ],
)
def test_each_mistake_is_an_error_that_names_the_file(text: str) -> None:
    error_of(text)


@pytest.mark.parametrize(
    ("table", "place"),
    [
        ('endpoint = "{z}/sites"\nvalues = { a = "id" }', "lookup.endpoint contains {z}"),
        ('endpoint = "{a}/sites"\nvalues = { a = "id" }', "lookup.endpoint contains {a}"),
        ('endpoint = "sites"\nvalues = { a = "[[" }', "lookup.values.a '[[' is not a valid JMESPath"),
        ('endpoint = "sites"\nvalues = { a = "nope(id)" }', "lookup.values.a 'nope(id)' uses the function nope"),
        ('endpoint = "sites"\nvalues = { a-b = "id" }', "lookup.values.a-b is not a valid name"),
        ('endpoint = "sites"\nvalues = { site = "id" }', "lookup.values.site is not a valid name"),
        ('endpoint = "sites"\ndescribe = "[["\nvalues = { a = "id" }', "lookup.describe '[[' is not a valid JMESPath"),
    ],
)
def test_a_lookup_that_cannot_work_is_refused_before_a_consent(table: str, place: str) -> None:
    assert place in error_of(f'[lookup]\n{table}\n[grants.authorization_code]\ncallback_map = "site=siteId"\n')


def test_a_folder_that_looks_like_a_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop.toml").mkdir()
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))

    with pytest.raises(ConfigurationError, match="cannot be read: IsADirectoryError"):
        vendors.vendor("shop")


def test_a_broken_file_does_not_hide_the_others_in_the_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop.toml").write_text("notes = " + "[" * 20_000)
    (tmp_path / "store.toml").write_text('label = "Store"\n')
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))

    assert vendor_choices()["store"] == "Store"


def test_an_entry_point_whose_package_cannot_be_imported_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_vendors_xyz.py").write_text("raise RuntimeError")
    monkeypatch.syspath_prepend(tmp_path)
    for package in ("broken_vendors_xyz", "not_installed_xyz", "airflow_provider_oauth:name"):
        entry = EntryPoint("shop", package, ENTRY_POINTS)
        monkeypatch.setattr(vendors, "entry_points", lambda group, entry=entry: [entry])

        with pytest.raises(ConfigurationError, match="of its entry point cannot be imported: "):
            vendors.vendor("shop")


def test_two_packages_must_not_have_the_same_vendor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [EntryPoint("shop", f"vendors_xyz_{i}", ENTRY_POINTS) for i in range(2)]
    for entry in entries:
        (tmp_path / entry.value).mkdir()
        (tmp_path / entry.value / "__init__.py").touch()
        (tmp_path / entry.value / "shop.toml").write_text(HEAD)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(vendors, "entry_points", lambda group: entries)

    with pytest.raises(ConfigurationError, match="There are several vendor files shop.toml"):
        vendors.vendor("shop")


@pytest.mark.parametrize(
    ("table", "key", "question"),
    [
        ("fields", "grant_ulr", " Did you mean grant_url?"),
        ("fields", "hots", " Did you mean host?"),
        ("fields", "grant_params_secret", " Did you mean grant_params?"),
        ("fields", "unlike_all_others", ""),
        ("fields", "private_key", ""),
        ("grants.password", "autorize_url", " Did you mean authorize_url?"),
    ],
)
def test_the_error_suggests_the_field_of_a_typo(table: str, key: str, question: str) -> None:
    expected = f"Vendor file shop.toml: {table}.{key} is not a field that a vendor file can have.{question}"

    assert error_of(f'[{table}]\n{key} = "text"\n') == expected


def test_the_error_names_the_grant_types() -> None:
    assert "is not a grant type. Use one of client_credentials, " in error_of("[grants.client_credential]\n")
