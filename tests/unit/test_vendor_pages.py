"""The pages about the vendors in the documentation."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from airflow.sdk import Connection

from airflow_provider_oauth.connection import read_connection
from airflow_provider_oauth.presets.vendor_file import VendorFile
from airflow_provider_oauth.presets.vendor_index import VENDORS
from airflow_provider_oauth.presets.vendors import vendor
from tests.documents import DOCS
from tools.vendor_pages import pages

if TYPE_CHECKING:
    from pathlib import Path

NAMES = sorted(VENDORS)


def test_the_pages_are_up_to_date() -> None:
    changed = [path.name for path, text in pages().items() if not path.exists() or path.read_text() != text]
    assert changed == [], "run make catalogue"


def test_there_is_a_page_for_each_vendor_and_no_other() -> None:
    assert sorted(path.stem for path in (DOCS / "vendors").iterdir()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_connections_on_a_page_are_valid_and_need_no_url(name: str) -> None:
    text = (DOCS / "vendors" / f"{name}.md").read_text()
    connections: list[dict[str, Any]] = [json.loads(each) for each in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]

    assert len(connections) == len(vendor(name).grants) > 0
    for values in connections:
        values["extra"] = json.dumps(values["extra"])
        config = read_connection(Connection(conn_id="shop", **values))
        assert config.vendor_label == VENDORS[name]
        assert config.warnings == ()


@pytest.mark.parametrize("name", NAMES)
def test_the_task_on_a_page_can_be_created_and_has_a_paginator(name: str) -> None:
    text = (DOCS / "vendors" / f"{name}.md").read_text()
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    example = vendor(name).example

    assert (code is None) == (example is None)
    if code and example:
        exec(code[1], {})  # noqa: S102 - our own page


def test_the_example_of_a_vendor_file_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (DOCS / "vendor-files.md").read_text()
    (file,) = re.findall(r"```toml\n# acme.toml\n(.*?)```", text, re.DOTALL)
    (connection,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    (tmp_path / "acme.toml").write_text(file)
    monkeypatch.setenv("AIRFLOW__OAUTH__VENDOR_FOLDER", str(tmp_path))
    values = json.loads(connection)

    config = read_connection(Connection(conn_id="shop", **{**values, "extra": json.dumps(values["extra"])}))

    assert config.base_url == "https://demo.api.acme.example/v1"
    assert config.grant_type == "authorization_code"
    assert config.warnings == ()


def test_every_key_of_a_vendor_file_is_explained() -> None:
    text = (DOCS / "vendor-files.md").read_text()
    keys = {
        each.partition(".")[0]
        for row in re.findall(r"^\| (.*?) \|", text, re.MULTILINE)
        for each in re.findall(r"`\[*(\w+)", row)
    }
    assert {field.name for field in msgspec.structs.fields(VendorFile)} - keys == {"connection_type"}
