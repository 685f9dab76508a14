"""Files in S3: the server of moto, behind a proxy that resets connections."""

from __future__ import annotations

import asyncio
import json
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.io import store
from fsspec import AbstractFileSystem

from airflow_provider_oauth.extract import storage
from tests.integration.cutting_proxy import PART, CuttingProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.s3_server import S3Server

NUMBERS = count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    pytest.importorskip("moto", reason="the dependency group storages is not installed, as in make test-oldest")
    from tests.integration.s3_server import S3Server

    with S3Server() as server:
        yield server


@pytest.fixture(scope="module")
def module_proxy(server: S3Server) -> Iterator[CuttingProxy]:
    with CuttingProxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def proxy(module_proxy: CuttingProxy) -> Iterator[CuttingProxy]:
    module_proxy.reset()
    yield module_proxy
    module_proxy.reset()


@pytest.fixture
def bucket(server: S3Server, proxy: CuttingProxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A new bucket, which the connection ``lake`` accesses through the proxy."""
    connection = {
        "conn_type": "aws",
        "login": "fake-key",
        "password": "fake-secret",
        "extra": {
            "endpoint_url": proxy.url,
            "region_name": "us-east-1",
            "config_kwargs": {"retries": {"total_max_attempts": 2}, "proxies": {}, "s3": {"addressing_style": "path"}},
        },
    }
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(connection))
    monkeypatch.setattr(store, "_STORE_CACHE", {})
    yield server.create_bucket(f"bucket-{next(NUMBERS)}")
    AbstractFileSystem.clear_instance_cache()


class WithoutWaiting:
    """The module ``asyncio`` with a ``sleep`` that takes no time."""

    async def sleep(self, delay: float) -> None:
        await asyncio.sleep(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)


@pytest.fixture(autouse=True)
def small_parts_and_no_waits(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    from aiobotocore import endpoint
    from s3fs import core

    monkeypatch.setattr(storage, "PART_SIZE", PART)
    for module in (core, endpoint):
        monkeypatch.setattr(module, "asyncio", WithoutWaiting())
