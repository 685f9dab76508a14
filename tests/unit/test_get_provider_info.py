from __future__ import annotations

import importlib
import json
from importlib.metadata import entry_points
from importlib.resources import files
from typing import Any

import pytest
from airflow.configuration import conf
from airflow.providers_manager import ProvidersManager
from airflow.serialization.definitions.param import SerializedParam
from jsonschema import Draft7Validator

from airflow_provider_oauth.fields import FIELDS, Field
from airflow_provider_oauth.get_provider_info import get_provider_info
from airflow_provider_oauth.presets import PRESETS
from airflow_provider_oauth.presets.vendor_index import VENDORS

FORM = {name: field for name, field in FIELDS.items() if field.shown}
FORMS = {
    conn_type: {name: field for name, field in preset.form_fields.items() if field.shown}
    for conn_type, preset in PRESETS.items()
}
FORMS["oauth"]["vendor"] = FIELDS["vendor"]._replace(choices=VENDORS)
EVERY_FIELD = pytest.mark.parametrize(
    ("conn_type", "name"), [(conn_type, name) for conn_type, form in FORMS.items() for name in form]
)


@pytest.fixture(scope="module")
def manager() -> ProvidersManager:
    manager = ProvidersManager()
    manager.initialize_providers_hooks()
    manager.initialize_providers_configuration()
    return manager


@pytest.fixture(scope="module")
def forms(manager: ProvidersManager) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the form fields as the API server gets them: dumped params by connection type and name."""
    found: dict[str, dict[str, dict[str, Any]]] = {conn_type: {} for conn_type in PRESETS}
    for name, widget in manager._connection_form_widgets.items():
        conn_type = name.removeprefix("extra__").partition("__")[0]
        if conn_type in found:
            found[conn_type][widget.field_name] = dict(widget.field)
    return found


@pytest.mark.parametrize("name", ["provider_info.schema.json", "provider.yaml.schema.json"])
def test_the_provider_info_is_valid_by_the_schema_of_airflow(name: str) -> None:
    path = files("airflow") / name
    if not path.is_file():  # only some releases of Airflow contain the second file
        assert name != "provider_info.schema.json"
        return
    schema = json.loads(path.read_text())
    if name.startswith("provider_info"):
        assert [error.message for error in Draft7Validator(schema).iter_errors(get_provider_info())] == []


def test_the_provider_info_is_plain_json() -> None:
    assert json.loads(json.dumps(get_provider_info(), allow_nan=False)) == get_provider_info()


def test_every_call_returns_a_new_provider_info() -> None:
    get_provider_info()["connection-types"][0]["conn-fields"].clear()

    assert set(get_provider_info()["connection-types"][0]["conn-fields"]) == set(FORM)


def test_the_entry_point_is_get_provider_info() -> None:
    (entry,) = [
        entry for entry in entry_points(group="apache_airflow_provider") if "airflow_provider_oauth" in entry.value
    ]

    assert entry.load() is get_provider_info
    assert entry.dist is not None
    assert entry.dist.name == get_provider_info()["package-name"] == "airflow-provider-oauth"


@pytest.mark.parametrize("kind", ["hooks", "operators", "sensors", "triggers"])
def test_the_modules_exist(kind: str) -> None:
    for item in get_provider_info()[kind]:
        for module in item["python-modules"]:
            importlib.import_module(module)


@pytest.mark.parametrize("conn_type", PRESETS)
def test_the_hook_classes_exist_and_take_a_connection_id(conn_type: str) -> None:
    (declared,) = [each for each in get_provider_info()["connection-types"] if each["connection-type"] == conn_type]
    module, _, name = declared["hook-class-name"].rpartition(".")
    hook = getattr(importlib.import_module(module), name)

    assert hook.conn_type == conn_type
    assert hook.hook_name == declared["hook-name"]
    assert (hook.conn_name_attr, hook.default_conn_name) == ("oauth_conn_id", f"{conn_type}_default")
    assert hook().oauth_conn_id == hook.default_conn_name
    assert hook("other", method="PUT").oauth_conn_id == "other"
    assert hook.preset is PRESETS[conn_type]


def test_every_integration_in_use_is_declared() -> None:
    info = get_provider_info()
    declared = [each["integration-name"] for each in info["integrations"]]

    assert declared == ["OAuth 2.0", "JustLogin", "Justimmo", "JOOR"]
    for kind in ("hooks", "operators", "sensors", "triggers"):
        assert {each["integration-name"] for each in info[kind]} <= set(declared)


@pytest.mark.parametrize(
    ("conn_type", "hook", "name"),
    [
        ("oauth", "oauth.OAuthHook", "OAuth 2.0 API"),
        ("justlogin", "justlogin.JustLoginHook", "JustLogin"),
        ("justimmo", "justimmo.JustimmoHook", "Justimmo"),
        ("joor", "joor.JoorHook", "JOOR"),
    ],
)
def test_the_providers_manager_finds_the_connection_types(
    manager: ProvidersManager, conn_type: str, hook: str, name: str
) -> None:
    found = manager._hooks_lazy_dict[conn_type]

    assert found.hook_class_name == f"airflow_provider_oauth.hooks.{hook}"
    assert found.package_name == "airflow-provider-oauth"
    assert found.hook_name == name
    assert found.connection_id_attribute_name == "oauth_conn_id"
    assert found.connection_testable


@pytest.mark.parametrize(
    ("conn_type", "hidden", "labels"),
    [
        (
            "oauth",
            ["port", "schema"],
            {"host": "API base URL", "login": "Client ID", "password": "Client secret"},
        ),
        ("justlogin", ["host", "port", "schema"], {"login": "Client ID", "password": "Client secret"}),
        ("justimmo", ["host", "port", "schema"], {"login": "Client ID", "password": "Client secret"}),
        ("joor", ["host", "port", "schema"], {"login": "Client ID", "password": "Client secret"}),
    ],
)
def test_the_providers_manager_finds_hidden_fields_and_labels(
    manager: ProvidersManager, conn_type: str, hidden: list[str], labels: dict[str, str]
) -> None:
    behaviour = manager._field_behaviours[conn_type]

    assert sorted(behaviour["hidden_fields"]) == hidden
    assert behaviour["relabeling"] == labels


@pytest.mark.parametrize("conn_type", PRESETS)
def test_the_providers_manager_keeps_the_order_of_the_form_fields(
    forms: dict[str, dict[str, dict[str, Any]]], conn_type: str
) -> None:
    assert list(forms[conn_type]) == list(FORMS[conn_type])


@EVERY_FIELD
def test_the_providers_manager_finds_type_label_and_description_of_a_field(
    forms: dict[str, dict[str, dict[str, Any]]], conn_type: str, name: str
) -> None:
    widget, field = forms[conn_type][name], FORMS[conn_type][name]
    schema = widget["schema"]

    assert schema["title"] == field.label
    assert widget["description"] == field.help_text
    assert schema["type"] == (field.type if field.required else [field.type, "null"])
    assert widget["value"] == field.default
    unset = [(None, "null", field.unset)] if field.unset and not field.required else []
    choices = [*unset, *((value, value, label) for value, label in (field.choices or {}).items())]
    assert schema.get("enum", []) == [value for value, _, _ in choices]
    assert schema.get("values_display", {}) == {key: label for _, key, label in choices}
    assert schema.get("minimum") == field.minimum


@EVERY_FIELD
def test_the_providers_manager_shows_a_secret_string_as_dots(
    forms: dict[str, dict[str, dict[str, Any]]], conn_type: str, name: str
) -> None:
    field: Field = FORMS[conn_type][name]
    secret_string = field.secret and field.type == "string"

    assert (forms[conn_type][name]["schema"].get("format") == "password") is secret_string


@EVERY_FIELD
def test_the_providers_manager_accepts_every_default(
    forms: dict[str, dict[str, dict[str, Any]]], conn_type: str, name: str
) -> None:
    schema, field = forms[conn_type][name]["schema"], FORMS[conn_type][name]
    if field.default is not None or not field.required:
        param = SerializedParam(
            default=field.default, **{k: v for k, v in schema.items() if k not in ("title", "default")}
        )

        assert param.resolve() == field.default


def test_the_providers_manager_requires_only_leeway(forms: dict[str, dict[str, dict[str, Any]]]) -> None:
    required = {name for name, widget in forms["oauth"].items() if "null" not in widget["schema"]["type"]}

    assert required == {"leeway"}


def test_the_providers_manager_finds_the_configuration_section(manager: ProvidersManager) -> None:
    options = dict(manager._provider_configs)["airflow-provider-oauth"]["oauth"]["options"]

    assert options["lock_folder"]["default"] == ""
    assert conf.get("oauth", "lock_folder", fallback="absent") == ""
    assert options["allowed_hosts"]["default"] == ""
    assert conf.get("oauth", "allowed_hosts", fallback="absent") == ""
