"""Signing a JWT and reading a token from a file do not block the event loop of a trigger."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.api.aiohttp_auth import valid_token
from airflow_provider_oauth.hooks.oauth import OAuthAsyncHook
from airflow_provider_oauth.protocol import assertions, credentials
from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.runtime import masking
from tests.connections import TOKEN_URL
from tests.keys import ec_key, pem

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from requests_mock import Mocker

pytestmark = pytest.mark.usefixtures("variables")

#: Seconds after which a test fails that would otherwise wait for a blocked loop.
LIMIT = 30


class Blocking:
    """Wraps a function so that each call blocks until the event loop has run in the meantime.

    :param function: the function
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.started, self.loop_ran = threading.Event(), threading.Event()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.started.set()
        assert self.loop_ran.wait(LIMIT), "the event loop is blocked"
        return self._function(*args, **kwargs)


async def token(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> str:
    """Request a token, and let the loop run while the call of a function is blocked."""
    access = await OAuthAsyncHook("my_api").access()
    blocking = Blocking(getattr(module, name))
    monkeypatch.setattr(module, name, blocking)
    requested = asyncio.create_task(valid_token(access))
    assert await asyncio.to_thread(blocking.started.wait, LIMIT)
    blocking.loop_ran.set()
    return (await requested).access_token


@pytest.fixture(autouse=True)
def server(requests_mock: Mocker, monkeypatch: pytest.MonkeyPatch) -> Mocker:
    monkeypatch.setattr(Clock, "sleep", lambda self, seconds, stop=None: None)
    requests_mock.post(TOKEN_URL, json={"access_token": "fake-token", "expires_in": 3600})
    return requests_mock


@pytest.mark.parametrize(
    "fields",
    [
        {"client_auth": "private_key_jwt", "private_key": pem(ec_key())},
        {"client_auth": "client_secret_jwt", "password": "fake-secret-" + "x" * 30},
        {"grant_type": "jwt_bearer", "client_auth": "none", "private_key": pem(ec_key())},
    ],
)
def test_the_loop_runs_while_a_jwt_is_signed(
    define_connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch, fields: dict[str, str]
) -> None:
    define_connection("my_api", **fields)

    assert asyncio.run(token(monkeypatch, assertions, "_signed")) == "fake-token"


@pytest.mark.parametrize(
    "fields",
    [
        {"client_auth": "private_key_jwt", "assertion_file": "{file}"},
        {"grant_type": "token_exchange", "subject_token_file": "{file}"},
    ],
)
def test_the_loop_runs_while_a_file_is_read(
    define_connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fields: dict[str, str]
) -> None:
    file = tmp_path / "token"
    file.write_text("fake-token-of-another-system")
    monkeypatch.setenv("AIRFLOW__OAUTH__FILE_FOLDER", str(tmp_path))
    define_connection("my_api", **{name: value.format(file=file) for name, value in fields.items()})

    assert asyncio.run(token(monkeypatch, credentials, "read_client_file")) == "fake-token"


def test_the_loop_runs_while_airflow_masks_the_assertion(
    define_connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    define_connection("my_api", client_auth="private_key_jwt", private_key=pem(ec_key()))

    assert asyncio.run(token(monkeypatch, masking, "mask_secret")) == "fake-token"
