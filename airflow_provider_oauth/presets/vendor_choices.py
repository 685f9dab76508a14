"""The choices of the dropdown Vendor in the connection form.

Airflow loads this module on every ``airflow`` command, so it must load quickly. The vendor files of this package are
not read; ``vendor_index.py`` has their labels.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from configparser import RawConfigParser
from importlib.util import find_spec
from pathlib import Path

from airflow_provider_oauth.presets.vendor_index import VENDORS
from airflow_provider_oauth.runtime.entry_points import entry_points

CATALOGUE = Path(__file__).parent / "catalogue"
#: The entry points of packages with vendor files: the vendor's name, and the package that contains ``NAME.toml``.
ENTRY_POINTS = "airflow_provider_oauth.vendors"

log = logging.getLogger(__name__)


def vendor_choices() -> dict[str, str]:
    """Return the labels of all vendors by name, sorted by label.

    Vendors come from this package, from other packages and from ``[oauth] vendor_folder``. No package is imported. The
    form must always open. Therefore an invalid file causes a warning here, and an error when a connection uses it.
    """
    try:
        own = {name: label for name, path in _own_files().items() if (label := _label(name, path))}
    except Exception as error:  # any error of another package, or of the file system
        log.warning(
            "The connection form shows only the vendors of this package, because the others could not be found: %s: %s",
            type(error).__name__,
            error,
        )
        own = {}
    return dict(sorted({**own, **VENDORS}.items(), key=lambda vendor: vendor[1].casefold()))


def is_vendor_name(name: str) -> bool:
    """Return whether a vendor, and the vendor's file, can have this name."""
    return re.fullmatch("[a-z0-9_]+", name) is not None


def _own_files() -> dict[str, Path]:
    """Return the vendor files of other packages and in ``[oauth] vendor_folder``, by the vendor's name."""
    files = {entry.name: _file_in_package(entry.value, entry.name) for entry in entry_points(ENTRY_POINTS)}
    if folder := _vendor_folder():
        files |= {path.stem: path for path in Path(folder).glob("*.toml")}
    return files


def _file_in_package(package: str, name: str) -> Path:
    """Return the path of a vendor file in a package, without importing it."""
    top, *parts = package.split(".")
    spec = find_spec(top)
    folders = (spec and spec.submodule_search_locations) or [top]
    return Path(folders[0], *parts, f"{name}.toml")


def _vendor_folder() -> str:
    """Return ``[oauth] vendor_folder`` from the environment or from Airflow's configuration file.

    ``conf.get`` cannot be used: for the default of the option, it would read the provider info, which is being read.
    """
    folder = os.environ.get("AIRFLOW__OAUTH__VENDOR_FOLDER")
    conf = getattr(sys.modules.get("airflow.configuration"), "conf", None)
    if folder is None and isinstance(conf, RawConfigParser):
        folder = RawConfigParser.get(conf, "oauth", "vendor_folder", raw=True, fallback="")
    return os.path.expandvars(Path(folder.strip()).expanduser()) if folder and folder.strip() else ""


def _label(name: str, path: Path) -> str | None:
    """Return the label in a vendor file; the vendor's name if the file is invalid; None if its name is not allowed."""
    import tomllib  # only here: few installations have own vendor files

    if not is_vendor_name(name) or (CATALOGUE / f"{name}.toml").exists():
        log.warning(
            "The connection form does not show the vendor file %s. Its name must consist of a-z, 0-9 and _, and must "
            "not be the name of a vendor of this package. Rename it.",
            path,
        )
        return None
    try:
        label = tomllib.loads(path.read_text(encoding="utf-8")).get("label")
    except (OSError, ValueError, RecursionError) as error:
        log.warning("The vendor file %s cannot be read: %s. Correct it.", path, error)
        return name
    return label if isinstance(label, str) and label else name
