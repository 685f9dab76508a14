from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.runtime.token_sources import host_lock

SETTING = "AIRFLOW__OAUTH__LOCK_FOLDER"


def test_the_lock_file_is_in_the_configured_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(SETTING, str(tmp_path))
    lock = host_lock("api")
    assert lock._path.parent == tmp_path
    assert lock._shared


@pytest.mark.parametrize("configured", ["locks", "./locks", "../locks"])
def test_a_relative_lock_folder_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, configured: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(SETTING, configured)
    with pytest.raises(ConfigurationError, match=rf"'api'.*\[oauth\] lock_folder is '{configured}'.*absolute path"):
        host_lock("api")
    assert not list(tmp_path.iterdir())


def test_without_the_setting_each_user_has_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SETTING, raising=False)
    lock = host_lock("api")
    assert lock._path.parent == Path(tempfile.gettempdir()) / f"airflow-oauth-{os.getuid()}"
    assert not lock._shared
