from __future__ import annotations

import importlib
import importlib.metadata
import sys

import pytest

from airflow_provider_oauth.runtime.entry_points import AIRFLOW, entry_points

GROUP = "apache_airflow_provider"
NAMES = sorted(entry.value for entry in importlib.metadata.entry_points(group=GROUP))


@pytest.mark.parametrize("name", AIRFLOW)
def test_airflow_has_a_cache_of_entry_points(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(name)
    for other in set(AIRFLOW) - {name}:
        monkeypatch.delitem(sys.modules, other, raising=False)
    list(module.entry_points_with_dist(GROUP))  # Airflow has done this before it calls a provider

    def scan() -> None:
        raise AssertionError("a new scan")

    monkeypatch.setattr(importlib.metadata, "distributions", scan)
    monkeypatch.setattr(importlib.metadata, "entry_points", scan)

    assert sorted(entry.value for entry in entry_points(GROUP)) == NAMES
    assert entry_points("no.such.group") == []


def test_without_airflow_the_packages_are_scanned(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in AIRFLOW:
        monkeypatch.delitem(sys.modules, name, raising=False)

    assert sorted(entry.value for entry in entry_points(GROUP)) == NAMES
