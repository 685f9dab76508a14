"""The symbols of Airflow that are private, or that differ between its versions."""

from __future__ import annotations

import os
import re
import sys
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from airflow.sdk import Variable
from airflow.sdk._shared.secrets_masker import _secrets_masker
from airflow.sdk.execution_time import task_runner
from airflow.sdk.log import mask_secret
from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

from airflow_provider_oauth.hooks.joor import JoorHook
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.runtime import compat

if TYPE_CHECKING:
    from collections.abc import Collection


class TestHasSupervisor:
    def test_is_true_in_a_task_and_in_the_triggerer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", object(), raising=False)

        assert compat.has_supervisor()

    def test_is_false_where_the_module_is_only_imported(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(task_runner, "SUPERVISOR_COMMS", raising=False)

        assert not compat.has_supervisor()

    def test_is_false_where_the_module_is_not_imported(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(sys.modules, "airflow.sdk.execution_time.task_runner")

        assert not compat.has_supervisor()


class TestVariableKeys:
    @pytest.fixture(autouse=True)
    def keys(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def keys(prefix: str) -> Collection[str]:
            return [name for name in ("oauth_token__shop", "other") if name.startswith(prefix)]

        monkeypatch.setattr(Variable, "keys", staticmethod(keys), raising=False)

    def test_are_those_that_start_with_the_prefix(self) -> None:
        assert compat.variable_keys("oauth_") == ["oauth_token__shop"]

    def test_cannot_be_listed_before_airflow_3_3(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(Variable, "keys")

        assert compat.variable_keys("oauth_") is None

    def test_cannot_be_listed_if_there_are_several_teams(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")

        assert compat.variable_keys("oauth_") is None


class TestUnmask:
    @pytest.fixture(autouse=True)
    def no_patterns(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_secrets_masker(), "patterns", set())
        monkeypatch.setattr(_secrets_masker(), "replacer", None)

    def test_removes_the_text_from_the_patterns_of_airflow(self) -> None:
        mask_secret("fake+token/1")
        mask_secret("fake-token-2")

        compat.unmask(["fake+token/1", "never-masked"])

        assert _secrets_masker().patterns == {re.escape("fake-token-2")}

    def test_does_nothing_if_airflow_has_another_masker(self, monkeypatch: pytest.MonkeyPatch) -> None:
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


class TestHookClass:
    @pytest.mark.parametrize(("conn_type", "expected"), [("oauth", OAuthHook), ("joor", JoorHook)])
    def test_is_the_one_that_the_provider_registers(self, conn_type: str, expected: type) -> None:
        assert compat.hook_class(conn_type) is expected

    def test_of_another_provider_is_not_instantiated(self, monkeypatch: pytest.MonkeyPatch) -> None:
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
    def test_is_none_if_the_type_has_none(self, conn_type: str | None) -> None:
        assert compat.hook_class(conn_type) is None

    def test_is_none_if_its_module_cannot_be_imported(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "acme_hooks", None)
        info = SimpleNamespace(hook_class_name="acme_hooks.AcmeHook")
        monkeypatch.setitem(ProvidersManagerTaskRuntime().hooks, "acme", info)

        assert compat.hook_class("acme") is None
