"""The Airflow that several modules share, because its start takes long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.distributed.pages import Stack, running

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def simple_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An API server with the simple auth manager, and a sandbox. Each module connects clients of its own."""
    with running(tmp_path_factory.mktemp("pages_simple"), "simple") as stack:
        yield stack
