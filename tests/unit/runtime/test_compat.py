"""The symbols of Airflow that are private, or that differ between its versions."""

from __future__ import annotations

import os
import re
import sys
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from airflow.sdk import Variable, plugins_manager
from airflow.sdk._shared.secrets_masker import _secrets_masker
from airflow.sdk.execution_time import task_runner
from airflow.sdk.log import mask_secret
from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

from airflow_provider_oauth.hooks.joor import JoorHook
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.runtime import compat

if TYPE_CHECKING:
    from collections.abc import Collection


def test_has_supervisor_is_true_in_a_task_and_in_the_triggerer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", object(), raising=False)

    assert compat.has_supervisor()


def test_has_supervisor_is_false_where_the_module_is_only_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(task_runner, "SUPERVISOR_COMMS", raising=False)

    assert not compat.has_supervisor()


def test_has_supervisor_is_false_where_the_module_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "airflow.sdk.execution_time.task_runner")

    assert not compat.has_supervisor()


@pytest.fixture
def listed_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    def listed_keys(prefix: str) -> Collection[str]:
        return [name for name in ("oauth_token__shop", "other") if name.startswith(prefix)]

    monkeypatch.setattr(Variable, "keys", staticmethod(listed_keys), raising=False)


@pytest.mark.usefixtures("listed_keys")
def test_variable_keys_are_those_that_start_with_the_prefix() -> None:
    assert compat.variable_keys("oauth_") == ["oauth_token__shop"]


@pytest.mark.usefixtures("listed_keys")
def test_variable_keys_cannot_be_listed_before_airflow_3_3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Variable, "keys")

    assert compat.variable_keys("oauth_") is None


@pytest.mark.usefixtures("listed_keys")
def test_variable_keys_cannot_be_listed_if_there_are_several_teams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")

    assert compat.variable_keys("oauth_") is None


@pytest.mark.skipif(not hasattr(Variable, "keys"), reason="Airflow 3.2 does not tell a task its team")
def test_the_team_of_a_task_is_in_the_variable_that_airflow_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.api.datamodels._generated import DagRun
    from airflow.sdk.execution_time.context import context_to_airflow_vars

    assert compat.task_team() is None
    assert "team_name" in DagRun.model_fields
    dag_run = DagRun.model_construct(team_name="sales")
    for name, value in context_to_airflow_vars({"dag_run": dag_run}, in_env_var_format=True).items():
        monkeypatch.setenv(name, value)
    assert compat.task_team() == "sales"


@pytest.mark.parametrize("is_task", [True, False])
@pytest.mark.parametrize("has_teams", [True, False])
@pytest.mark.parametrize("is_old", [True, False])
def test_the_team_is_unknown_in_tasks_before_airflow_3_3(
    monkeypatch: pytest.MonkeyPatch, is_task: bool, has_teams: bool, is_old: bool
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", str(has_teams))
    if is_task:
        monkeypatch.setattr("airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", object(), raising=False)
    if is_old:
        monkeypatch.delattr(Variable, "keys", raising=False)
    else:
        monkeypatch.setattr(Variable, "keys", classmethod(lambda cls: []), raising=False)

    assert compat.team_is_unknown() is (is_task and has_teams and is_old)


@pytest.fixture
def no_patterns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_secrets_masker(), "patterns", set())
    monkeypatch.setattr(_secrets_masker(), "replacer", None)


@pytest.mark.usefixtures("no_patterns")
def test_unmask_removes_the_text_from_the_patterns_of_airflow() -> None:
    mask_secret("fake+token/1")
    mask_secret("fake-token-2")

    compat.unmask(["fake+token/1", "never-masked"])

    assert _secrets_masker().patterns == {re.escape("fake-token-2")}


@pytest.mark.usefixtures("no_patterns")
def test_unmask_does_nothing_if_airflow_has_another_masker(monkeypatch: pytest.MonkeyPatch) -> None:
    mask_secret("fake-token")
    patterns = _secrets_masker().patterns
    monkeypatch.delattr("airflow.sdk._shared.secrets_masker._secrets_masker")

    compat.unmask(["fake-token"])

    assert patterns == {"fake\\-token"}


def test_a_command_may_read_connections_from_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "client")

    compat.allow_database_connections()

    assert os.environ["_AIRFLOW_PROCESS_CONTEXT"] == "server"


def test_the_secrets_backends_are_those_that_airflow_uses() -> None:
    assert [type(backend).__name__ for backend in compat.secrets_backends()] == [
        "EnvironmentVariablesBackend",
        "MetastoreBackend",
    ]


def test_the_key_of_the_api_server_is_the_configured_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__SECRET_KEY", "fake-key")

    assert compat.api_server_key() == "fake-key"


@pytest.mark.parametrize(("conn_type", "expected"), [("oauth", OAuthHook), ("joor", JoorHook)])
def test_the_hook_class_is_the_one_that_the_provider_registers(conn_type: str, expected: type) -> None:
    assert compat.hook_class(conn_type) is expected


def test_the_hook_class_of_another_provider_is_not_instantiated(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hook:
        def __init__(self) -> None:
            raise AssertionError("created")

    module = ModuleType("acme_hooks")
    module.AcmeHook = Hook  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "acme_hooks", module)
    info = SimpleNamespace(hook_class_name="acme_hooks.AcmeHook")
    monkeypatch.setitem(ProvidersManagerTaskRuntime().hooks, "acme", info)

    assert compat.hook_class("acme") is Hook


@pytest.mark.parametrize("conn_type", ["no_such_type", "generic", "", None])
def test_the_hook_class_is_none_if_the_type_has_none(conn_type: str | None) -> None:
    assert compat.hook_class(conn_type) is None


def test_the_hook_class_is_none_if_its_module_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "acme_hooks", None)
    info = SimpleNamespace(hook_class_name="acme_hooks.AcmeHook")
    monkeypatch.setitem(ProvidersManagerTaskRuntime().hooks, "acme", info)

    assert compat.hook_class("acme") is None


@pytest.mark.parametrize("readers", [[], [object]])
def test_has_lineage_readers_if_a_plugin_registers_one(monkeypatch: pytest.MonkeyPatch, readers: list[type]) -> None:
    assert callable(plugins_manager.get_hook_lineage_readers_plugins)
    monkeypatch.setattr(plugins_manager, "get_hook_lineage_readers_plugins", lambda: readers)
    assert compat.has_lineage_readers() == bool(readers)


def test_has_lineage_readers_is_true_if_it_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(plugins_manager, "get_hook_lineage_readers_plugins")
    assert compat.has_lineage_readers()
