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

from airflow_provider_oauth.fields import FIELDS
from airflow_provider_oauth.get_provider_info import get_provider_info

FORM = {name: field for name, field in FIELDS.items() if field.shown}


@pytest.fixture(scope="module")
def manager() -> ProvidersManager:
    manager = ProvidersManager()
    manager.initialize_providers_hooks()
    manager.initialize_providers_configuration()
    return manager


@pytest.fixture(scope="module")
def widgets(manager: ProvidersManager) -> dict[str, dict[str, Any]]:
    """Return the form's fields as the API server gets them: by name, as a dumped param."""
    return {
        widget.field_name: dict(widget.field)
        for name, widget in manager._connection_form_widgets.items()
        if name.startswith("extra__oauth__")
    }


@pytest.mark.parametrize("name", ["provider_info.schema.json", "provider.yaml.schema.json"])
def test_is_valid_by_airflows_schema(name: str) -> None:
    path = files("airflow") / name
    if not path.is_file():  # the second is not part of every Airflow
        assert name != "provider_info.schema.json"
        return
    schema = json.loads(path.read_text())
    if name.startswith("provider_info"):
        assert [error.message for error in Draft7Validator(schema).iter_errors(get_provider_info())] == []


def test_is_plain_json() -> None:
    assert json.loads(json.dumps(get_provider_info(), allow_nan=False)) == get_provider_info()


def test_is_made_anew_for_every_caller() -> None:
    get_provider_info()["connection-types"][0]["conn-fields"].clear()

    assert set(get_provider_info()["connection-types"][0]["conn-fields"]) == set(FORM)


def test_is_what_the_entry_point_leads_to() -> None:
    (entry,) = [
        entry for entry in entry_points(group="apache_airflow_provider") if "airflow_provider_oauth" in entry.value
    ]

    assert entry.load() is get_provider_info
    assert entry.dist is not None
    assert entry.dist.name == get_provider_info()["package-name"] == "airflow-provider-oauth"


@pytest.mark.parametrize("kind", ["hooks", "operators", "sensors", "triggers"])
def test_its_modules_exist(kind: str) -> None:
    for item in get_provider_info()[kind]:
        for module in item["python-modules"]:
            importlib.import_module(module)


def test_its_hook_exists_and_takes_the_connection_by_name() -> None:
    (connection_type,) = get_provider_info()["connection-types"]
    module, _, name = connection_type["hook-class-name"].rpartition(".")
    hook = getattr(importlib.import_module(module), name)

    assert hook.conn_type == connection_type["connection-type"] == "oauth"
    assert hook.hook_name == connection_type["hook-name"] == "OAuth 2.0 API"
    assert (hook.conn_name_attr, hook.default_conn_name) == ("oauth_conn_id", "oauth_default")


class TestWhatAirflowReads:
    def test_the_connection_type(self, manager: ProvidersManager) -> None:
        hook = manager._hooks_lazy_dict["oauth"]

        assert hook.hook_class_name == "airflow_provider_oauth.hooks.oauth.OAuthHook"
        assert hook.package_name == "airflow-provider-oauth"
        assert hook.hook_name == "OAuth 2.0 API"
        assert hook.connection_id_attribute_name == "oauth_conn_id"
        assert hook.connection_testable

    def test_the_standard_fields(self, manager: ProvidersManager) -> None:
        behaviour = manager._field_behaviours["oauth"]

        assert sorted(behaviour["hidden_fields"]) == ["port", "schema"]
        assert behaviour["relabeling"] == {
            "host": "API base URL",
            "login": "Client ID",
            "password": "Client secret",
        }

    def test_every_field_of_the_form_in_its_order(self, widgets: dict[str, dict[str, Any]]) -> None:
        assert list(widgets) == list(FORM)

    @pytest.mark.parametrize("name", FORM)
    def test_a_field_with_its_type_label_and_explanation(self, widgets: dict[str, dict[str, Any]], name: str) -> None:
        schema, field = widgets[name]["schema"], FORM[name]

        assert schema["title"] == field.label
        assert widgets[name]["description"] == field.description
        assert schema["type"] == (field.type if field.required else [field.type, "null"])
        assert widgets[name]["value"] == field.default
        assert schema.get("enum") == (list(field.choices) if field.choices else None)
        assert schema.get("values_display") == field.choices
        assert schema.get("minimum") == field.minimum

    @pytest.mark.parametrize("name", FORM)
    def test_a_secret_text_is_shown_as_dots(self, widgets: dict[str, dict[str, Any]], name: str) -> None:
        secret_text = FORM[name].secret and FORM[name].type == "string"

        assert (widgets[name]["schema"].get("format") == "password") is secret_text

    @pytest.mark.parametrize("name", FORM)
    def test_a_default_is_valid_by_its_own_schema(self, widgets: dict[str, dict[str, Any]], name: str) -> None:
        schema = widgets[name]["schema"]
        if FORM[name].default is not None or not FORM[name].required:
            param = SerializedParam(
                default=FORM[name].default, **{k: v for k, v in schema.items() if k not in ("title", "default")}
            )

            assert param.resolve() == FORM[name].default

    def test_the_token_url_and_the_leeway_are_required(self, widgets: dict[str, dict[str, Any]]) -> None:
        required = {name for name, widget in widgets.items() if "null" not in widget["schema"]["type"]}

        assert {"grant_type", "grant_url", "leeway"} <= required

    def test_the_section_of_the_configuration(self, manager: ProvidersManager) -> None:
        options = dict(manager._provider_configs)["airflow-provider-oauth"]["oauth"]["options"]

        assert options["lock_folder"]["default"] == ""
        assert conf.get("oauth", "lock_folder", fallback="absent") == ""
