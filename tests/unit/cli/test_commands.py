from __future__ import annotations

import inspect
from argparse import Namespace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from airflow_provider_oauth.cli import commands
from airflow_provider_oauth.hooks import grants
from airflow_provider_oauth.hooks.grants import Status
from airflow_provider_oauth.oauth.advice import OFFLINE_ACCESS
from airflow_provider_oauth.oauth.token import Token


@pytest.mark.parametrize("needs_consent", [True, False])
def test_authorize_recommends_how_to_request_a_refresh_token_if_there_is_none(
    needs_consent: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now(UTC)
    token = Token(access_token="fake-token", issued_at=now, expires_at=now + timedelta(hours=1))
    monkeypatch.setattr(commands, "config_of", lambda conn_id: SimpleNamespace(conn_id=conn_id))
    monkeypatch.setattr(grants, "begin", lambda config, consent: "https://login.example.com/authorize")
    monkeypatch.setattr(grants, "finish", lambda config, consent, answer: token)
    status = Status(
        token=token,
        usable=True,
        changed=False,
        needs_consent=needs_consent,
        consent_by=None,
        error="",
        has_refresh_token=not needs_consent,
        missing_scopes=("write",),
    )
    monkeypatch.setattr(grants, "status", lambda config: status)
    monkeypatch.setattr("builtins.input", lambda: "https://localhost/?code=c")

    inspect.unwrap(commands.oauth_authorize)(Namespace(conn_id="shop", listen=False, redirect_uri=None))

    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("Authorized: shop.")
    assert last.endswith("Not granted: write.")
    advice = f"The server issued no refresh token, so tasks cannot renew it. {OFFLINE_ACCESS}"
    assert (advice if needs_consent else "Tasks renew it from now on.") in last
