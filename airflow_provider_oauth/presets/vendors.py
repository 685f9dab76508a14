"""Finds vendor files: those of this package, of other packages, and in the folder ``[oauth] vendor_folder``.

Importing the presets does not import this module, because Airflow loads the presets on every ``airflow`` command. A
file is read when a connection first needs it.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import conf

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.presets.vendor_choices import CATALOGUE, ENTRY_POINTS, is_vendor_name
from airflow_provider_oauth.presets.vendor_file import parse_vendor
from airflow_provider_oauth.presets.vendor_index import VENDORS
from airflow_provider_oauth.runtime.entry_points import entry_points

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable

    from airflow_provider_oauth.presets.vendor import Vendor

#: How similar a name must be to be suggested, from 0 to 1.
SIMILARITY = 0.6
MOST_SUGGESTIONS = 3


def vendor_names() -> list[str]:
    """Return the names of all vendors: those of this package, of other packages, and in ``[oauth] vendor_folder``."""
    return sorted({*_shipped(), *own_vendor_names()})


def own_vendor_names() -> list[str]:
    """Return the names of the vendors that are not part of this package."""
    return sorted({*_in_folder(), *_in_packages()} - set(_shipped()))


@cache
def vendor(name: str) -> Vendor:
    """Return a vendor. Its file is read once per process.

    :param name: the name of the vendor's file without its suffix
    :raises ConfigurationError: if there is no such file, there are several, or the file is invalid or unreadable
    """
    packages = _in_packages()
    found: list[Traversable] = [each[name] for each in (_shipped(), _in_folder()) if name in each]
    found += [_file_in_package(package, name) for package in packages.get(name, ())]
    if not found:
        raise ConfigurationError(f"The vendor {name!r} is not in the catalogue. {suggestion(name)}")
    if len(found) > 1:
        raise ConfigurationError(
            f"There are several vendor files {name}.toml: {', '.join(map(str, found))}. Rename your own file: its name "
            "must not be the name of another vendor."
        )
    try:
        text = found[0].read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"The vendor file {found[0]} cannot be read: {type(error).__name__}. Check its permissions and its "
            "encoding, which must be UTF-8."
        ) from None
    return parse_vendor(name, text)


def suggestion(name: str) -> str:
    """Return what to do about an unknown vendor: sentences with similar names, and with the command that lists all.

    :param name: the name that a user has entered
    """
    import difflib

    text = re.sub(r"[^a-z0-9]+", "_", name.lower())
    known = {each: VENDORS.get(each, each) for each in vendor_names()}
    close = [each for each in known if text and text in each]
    close = close or difflib.get_close_matches(text, known, cutoff=SIMILARITY)
    similar = [f"{each} ({known[each]})" if each != known[each] else each for each in close[:MOST_SUGGESTIONS]]
    question = f"Did you mean {' or '.join(similar)}? " if similar else ""
    return f"{question}To see all vendors, run: airflow oauth vendors"


def _shipped() -> Mapping[str, Path]:
    return _files(CATALOGUE)


def _in_folder() -> Mapping[str, Path]:
    """Return the files in ``[oauth] vendor_folder`` by name."""
    folder = conf.get("oauth", "vendor_folder", fallback="").strip()
    return _files(Path(folder)) if folder else {}


def _in_packages() -> Mapping[str, list[str]]:
    """Return the packages with vendor files, by the name of the vendor."""
    found: dict[str, set[str]] = {}
    for each in entry_points(group=ENTRY_POINTS):
        if is_vendor_name(each.name):
            found.setdefault(each.name, set()).add(each.value)
    return {name: sorted(packages) for name, packages in found.items()}


def _file_in_package(package: str, name: str) -> Traversable:
    try:
        return files(package) / f"{name}.toml"
    except Exception as error:  # any error while the package is imported
        raise ConfigurationError(
            f"The vendor file {name}.toml cannot be read: the package {package!r} of its entry point cannot be "
            f"imported: {type(error).__name__}. Correct or remove the package that defines the entry point."
        ) from None


def _files(folder: Path) -> Mapping[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("*.toml")) if is_vendor_name(path.stem)}
