from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.operators.extract import OAuthExtractOperator
from airflow_provider_oauth.operators.oauth import OAuthHttpOperator
from airflow_provider_oauth.runtime import teams
from airflow_provider_oauth.runtime.token_sources import token_source
from airflow_provider_oauth.sensors.oauth import OAuthHttpSensor
from tests.connections import oauth_config

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = (
    "Connection 'shop': the DAG of this task belongs to the team 'sales' ([core] multi_team). Teams are not supported, "
    "because Airflow keeps the Variables with the tokens apart for each team. Use the connection in a DAG that belongs "
    "to no team."
)


@pytest.fixture
def _team(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CTX_TEAM_NAME", "sales")


@pytest.mark.usefixtures("_team")
def test_a_task_of_a_team_gets_no_token() -> None:
    with pytest.raises(ConfigurationError) as caught:
        token_source(oauth_config())

    assert str(caught.value) == TEXT


@pytest.mark.usefixtures("_team")
def test_a_hook_in_a_task_of_a_team_is_refused(define_connection: Callable[..., None]) -> None:
    define_connection("shop")

    with pytest.raises(ConfigurationError, match="belongs to the team 'sales'"):
        OAuthHook(oauth_conn_id="shop").get_token()


@pytest.mark.usefixtures("_team")
@pytest.mark.parametrize(
    "task",
    [
        OAuthHttpOperator(task_id="a", oauth_conn_id="shop", endpoint="x"),
        OAuthHttpOperator(task_id="b", oauth_conn_id="shop", endpoint="x", deferrable=True),
        OAuthHttpSensor(task_id="c", oauth_conn_id="shop", endpoint="x"),
        OAuthHttpSensor(task_id="d", oauth_conn_id="shop", endpoint="x", deferrable=True),
        OAuthExtractOperator(task_id="e", oauth_conn_id="shop", endpoint="x", path="/nowhere/x.jsonl"),
    ],
    ids=lambda task: task.task_id,
)
def test_a_task_of_a_team_is_refused_before_it_is_deferred(task: OAuthHttpOperator) -> None:
    with pytest.raises(ConfigurationError) as caught:
        task.execute({})

    assert str(caught.value) == TEXT


@pytest.mark.parametrize("is_unknown", [True, False])
def test_a_task_whose_team_is_unknown_logs_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, is_unknown: bool
) -> None:
    monkeypatch.setattr(teams, "team_is_unknown", lambda: is_unknown)

    teams._warn.cache_clear()
    teams.check_team("shop")
    teams.check_team("shop")

    assert caplog.text.count("Use the connection only in DAGs that belong to no team") == is_unknown
