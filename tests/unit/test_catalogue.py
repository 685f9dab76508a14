"""The files that are generated from the vendor files are up to date."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft7Validator

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.presets import PRESETS
from airflow_provider_oauth.presets.vendor_choices import CATALOGUE
from airflow_provider_oauth.presets.vendor_file import parse_vendor
from airflow_provider_oauth.presets.vendor_index import VENDORS
from tools.catalogue import generated

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("path", "text"), generated().items(), ids=[path.name for path in generated()])
def test_a_generated_file_is_up_to_date(path: Path, text: str) -> None:
    current = path.read_text(encoding="utf-8") if path.exists() else ""
    if current != text:
        pytest.fail(f"{path.name} does not match the vendor files. Run: make catalogue", pytrace=False)


def test_the_index_is_sorted_by_label_and_omits_vendors_with_a_connection_type() -> None:
    assert list(VENDORS.values()) == sorted(VENDORS.values(), key=str.casefold)
    assert not set(VENDORS) & {preset.vendor for preset in PRESETS.values()}
    assert VENDORS["hubspot"] == "HubSpot"


# --- the JSON schema for editors

SCHEMA = json.loads((CATALOGUE / "vendor.schema.json").read_text(encoding="utf-8"))
HEAD = 'label = "Shop"\ndocumentation = ["https://docs.shop.example"]\n'


def problems(text: str) -> list[str]:
    """Return what is wrong with a vendor file according to the schema: the keys and the violated rule."""
    values = json.loads(json.dumps(tomllib.loads(text), default=str))  # an editor treats a date as text
    errors = Draft7Validator(SCHEMA).iter_errors(values)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.validator}" for error in errors]


def test_the_schema_is_valid() -> None:
    Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", sorted(CATALOGUE.glob("*.toml")), ids=lambda path: path.stem)
def test_a_vendor_file_is_valid_by_the_schema(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert problems(text) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("records-path = 'x'", ": additionalProperties"),
        ("retry_timeout = '5'", "retry_timeout: type"),
        ("[fields]\ntoken_url = 'https://shop.example/token'", "fields: additionalProperties"),
        ("[fields]\nuser_password = 'x'", "fields: additionalProperties"),
        ("[fields]\nclient_auth = 'basic'", "fields.client_auth: enum"),
        ("[fields]\nuse_refresh = 'often'", "fields.use_refresh: type"),
        ("[fields]\ndefault_lifetime = 0", "fields.default_lifetime: minimum"),
        ("[grants.implicit]", "grants: additionalProperties"),
        ("[grants.password]\nscopes = 'read'", "grants.password: additionalProperties"),
        ("[values.shop]\nlabel = 'Shop'", "values.shop: required"),
        ("[values.shop]\nlabel = 'Shop'\ndescription = 'It.'\nchoices = 'com'", "values.shop.choices: anyOf"),
        ("[paginators.default]\nparam = 'page'", "paginators.default: required"),
        ("[paginators.default]\ntype = 'PagePaginator'", "paginators.default.type: enum"),
        ("[paginators.default]\ntype = 'CursorPaginator'\nnext = 'x'", "paginators.default: additionalProperties"),
        ("[paginators.default]\ntype = 'CursorPaginator'\nparam_in = 'path'", "paginators.default.param_in: enum"),
        ("[[error_rules]]\nstatus = 429", "error_rules.0: required"),
        ("[[error_rules]]\nstatus = 429\naction = 'sleep'", "error_rules.0.action: enum"),
        ("[lookup]\nendpoint = 'sites'", "lookup: required"),
        ("[test]\nparams = {}", "test: required"),
        ("[limit_headers]\nreset = 'X'\nunit = 'minutes'", "limit_headers.unit: enum"),
        ("[example]\nendpoint = 'x'\nquery = {}", "example: additionalProperties"),
    ],
)
def test_the_schema_refuses_a_mistake(text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_vendor("shop", HEAD + text)
    assert problems(HEAD + text) == [problem]


def test_a_file_without_label_is_refused() -> None:
    assert problems("documentation = []") == [": required"]


def test_every_key_has_a_description() -> None:
    tables = {"the file": SCHEMA, **SCHEMA["definitions"]}
    without = [
        f"{name}: {key}"
        for name, table in tables.items()
        for key, schema in table["properties"].items()
        if "description" not in schema and key != "type"
    ]

    assert without == []
