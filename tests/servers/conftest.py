"""Two third-party authorization servers, and an Airflow home for these tests."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.protocol.clock import Clock
from tests.servers.servers import SECRET, AuthorizationServer, DjangoToolkit, OidcProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_oauth.protocol.config import OAuthConfig

# Airflow reads its home when it is first imported.
if "airflow" not in sys.modules:
    _home = tempfile.mkdtemp(prefix="airflow-home-servers-")
    atexit.register(shutil.rmtree, _home, ignore_errors=True)
    for _name in [name for name in os.environ if name.startswith(("AIRFLOW__", "AIRFLOW_CONN_", "AIRFLOW_VAR_"))]:
        del os.environ[_name]
    os.environ["AIRFLOW_HOME"] = _home
    os.environ["AIRFLOW_CONFIG"] = str(Path(_home, "airflow.cfg"))
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the waits of lease and retries to a fortieth, which is enough for a single process."""
    monkeypatch.setattr(Clock, "sleep", lambda self, seconds, stop=None: time.sleep(seconds / 40))


@pytest.fixture(scope="session")
def oidc_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcProvider]:
    with OidcProvider(tmp_path_factory.mktemp("oidc_provider")) as server:
        yield server


@pytest.fixture(scope="session")
def django_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DjangoToolkit]:
    with DjangoToolkit(tmp_path_factory.mktemp("django")) as server:
        yield server


@pytest.fixture
def oidc(oidc_process: OidcProvider) -> OidcProvider:
    """The running oidc-provider, without events of earlier tests."""
    oidc_process.discard_events()
    return oidc_process


@pytest.fixture
def django(django_process: DjangoToolkit) -> DjangoToolkit:
    """The running Django OAuth Toolkit, without events of earlier tests."""
    django_process.discard_events()
    return django_process


@pytest.fixture(params=["oidc", "django"])
def server(request: pytest.FixtureRequest) -> AuthorizationServer:
    """Each of the two servers."""
    server: AuthorizationServer = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def connect(define_connection: Callable[..., None], variables: dict[str, str]) -> Callable[..., OAuthConfig]:
    """Define the connection ``api`` for a client of a server. Its endpoints are read from the server's metadata."""
    from airflow_provider_oauth.hooks.oauth import OAuthHook

    def define(server: AuthorizationServer, client: str = "service", secret: str = SECRET, **extra: Any) -> OAuthConfig:
        grant = {"grant_type": "authorization_code", **server.authorization_fields}
        if client == "service":
            grant = {"grant_type": "client_credentials", "scope": "read"}
        urls = {"host": server.resource, "resource": server.resource, "issuer": server.url, "grant_url": None}
        define_connection("api", **({"login": client, "password": secret} | urls | grant | extra))
        return OAuthHook("api", method="GET").config

    return define
