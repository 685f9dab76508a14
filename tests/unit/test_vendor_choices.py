"""The choices of the dropdown Vendor."""

from __future__ import annotations

import logging
import subprocess
import sys
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING

import pytest
from airflow.configuration import conf

from airflow_provider_oauth.get_provider_info import get_provider_info
from airflow_provider_oauth.presets import vendor_choices as module
from airflow_provider_oauth.presets.vendor_choices import vendor_choices
from airflow_provider_oauth.presets.vendor_index import VENDORS

if TYPE_CHECKING:
    from pathlib import Path

ENVIRONMENT = "AIRFLOW__OAUTH__VENDOR_FOLDER"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))
    return tmp_path


def test_without_own_vendor_files_the_choices_are_those_of_the_index() -> None:
    assert list(vendor_choices().items()) == list(VENDORS.items())


def test_the_dropdown_of_the_form_has_the_choices_after_an_empty_one(folder: Path) -> None:
    (folder / "acme.toml").write_text('label = "Acme"\n')
    (oauth,) = [each for each in get_provider_info()["connection-types"] if each["connection-type"] == "oauth"]
    name, field = next(iter(oauth["conn-fields"].items()))

    assert (name, field["label"]) == ("vendor", "Vendor")
    assert field["schema"]["type"] == ["string", "null"]
    assert field["schema"]["enum"] == [None, "acme", *VENDORS]
    assert field["schema"]["values_display"]["acme"] == "Acme"
    assert "Example:" not in field["description"]


def test_the_files_in_the_folder_are_among_the_choices_sorted_by_label(folder: Path) -> None:
    (folder / "zeta.toml").write_text('# comment\nlabel = "Aaa \\u00e4"\n')
    (folder / "notes.txt").write_text("not a vendor file")

    assert list(vendor_choices().items()) == [("zeta", "Aaa ä"), *VENDORS.items()]


def test_the_folder_may_be_in_the_configuration_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acme.toml").write_text('label = "Acme"')
    monkeypatch.setenv("VENDORS_HERE", str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(conf, "_sections", {**conf._sections, "oauth": {"vendor_folder": "$VENDORS_HERE"}})
        assert vendor_choices()["acme"] == "Acme"


@pytest.mark.parametrize(
    ("content", "label"), [("label = ", "acme"), ("\udcff", "acme"), ("label = 5", "acme"), ("x = 1", "acme")]
)
def test_an_invalid_file_is_a_choice_with_its_name_so_that_the_form_shows_what_a_connection_has(
    folder: Path, content: str, label: str, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "acme.toml").write_bytes(content.encode("utf-8", "surrogateescape"))

    assert vendor_choices()["acme"] == label
    invalid = content in ("label = ", "\udcff")
    assert ("acme.toml cannot be read: " in caplog.text) is invalid


@pytest.mark.parametrize("name", ["hubspot", "joor", "Acme", "ac-me"])
def test_a_file_with_a_name_that_is_not_allowed_is_not_a_choice(
    folder: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / f"{name}.toml").write_text('label = "Evil"')

    assert vendor_choices() == VENDORS
    assert f"{name}.toml. Its name must consist of a-z, 0-9 and _" in caplog.text


def test_a_missing_folder_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "missing"))

    assert vendor_choices() == VENDORS


def test_vendor_files_of_a_package_are_found_by_entry_points_without_an_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "acme_vendors_xyz"
    (package / "files").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    (package / "files" / "acme.toml").write_text('label = "Acme"')
    monkeypatch.syspath_prepend(tmp_path)
    entry = EntryPoint("acme", f"{package.name}.files", module.ENTRY_POINTS)
    monkeypatch.setattr(module, "entry_points", lambda group: [entry] if group == module.ENTRY_POINTS else [])

    assert vendor_choices() == {"acme": "Acme", **VENDORS}


def test_a_package_that_is_not_installed_causes_a_warning_and_the_form_opens(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    entry = EntryPoint("acme", "not_installed_xyz", module.ENTRY_POINTS)
    monkeypatch.setattr(module, "entry_points", lambda group: [entry])

    assert vendor_choices()["acme"] == "acme"
    assert "acme.toml cannot be read: " in caplog.text


def test_an_unexpected_error_causes_a_warning_and_the_form_shows_the_vendors_of_this_package(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(group: str) -> list[EntryPoint]:
        raise RuntimeError("broken metadata")

    monkeypatch.setattr(module, "entry_points", broken)
    caplog.set_level(logging.WARNING)

    assert vendor_choices() == VENDORS
    assert "shows only the vendors of this package" in caplog.text
    assert "RuntimeError: broken metadata" in caplog.text


def test_the_provider_info_reads_no_vendor_file_of_this_package() -> None:
    code = (
        "import sys\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == 'open' else None)\n"
        "from airflow_provider_oauth.get_provider_info import get_provider_info\n"
        "get_provider_info()\n"
        "print([path for path in opened if path.endswith('.toml')])\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout == "[]\n"
