"""``airflow oauth vendors``: lists the vendors, and shows what a connection of a vendor needs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.cli.authorize import REDIRECT_URI
from airflow_provider_oauth.cli.output import Row, print_data, print_line, print_rows
from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.management.vendor_entries import entries
from airflow_provider_oauth.management.vendor_guide import (
    example_connection,
    example_task,
    grant_labels,
    https_hint,
    plain_text,
    register_steps,
)
from airflow_provider_oauth.presets.vendors import vendor as read_vendor
from airflow_provider_oauth.presets.vendors import vendor_names
from airflow_provider_oauth.runtime.ui_urls import callback_url

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_oauth.presets.vendor import Vendor


def list_vendors(output: str) -> None:
    """Print the vendors; exit with 1 if a vendor file is invalid.

    :param output: table, plain, json or yaml
    """
    rows: list[Row] = []
    errors = []
    for name in vendor_names():
        try:
            vendor = read_vendor(name)
        except OAuthError as error:
            errors.append(str(error))
        else:
            rows.append({"name": name, "label": vendor.label, "grants": list(vendor.grants)})
    print_rows(rows, output)
    if errors:
        print(*errors, sep="\n", file=sys.stderr)
        raise SystemExit(1)


def show_vendor(name: str, output: str) -> None:
    """Print what a connection of a vendor needs.

    :param name: the name of the vendor
    :param output: table or plain for text; json or yaml
    """
    guide = describe(read_vendor(name))
    if output in ("json", "yaml"):
        print_data([guide], output)
    else:
        print_line("\n".join(_text(guide)))


def describe(vendor: Vendor) -> dict[str, Any]:
    """Return what a connection of a vendor needs, as JSON values.

    :param vendor: the vendor
    """
    first = next(iter(vendor.grants), None)
    return {
        "name": vendor.name,
        "label": vendor.label,
        "connection_type": vendor.connection_type or "oauth",
        "grants": grant_labels(vendor),
        "redirect_uris": {"airflow oauth": REDIRECT_URI, "page OAuth connections": callback_url() or None}
        if "authorization_code" in vendor.grants
        else {},
        "redirect_uri_hint": https_hint(vendor) or None,
        "register": register_steps(vendor, REDIRECT_URI),
        "enter": _what_to_enter(vendor),
        "scopes": dict(vendor.scopes),
        "connection": example_connection(vendor, first) if first else None,
        "task": example_task(vendor, f"my_{vendor.name}") or None,
        "notes": [plain_text(each) for each in vendor.notes],
        "documentation": list(vendor.documentation),
        "read": str(vendor.read) if vendor.read else None,
    }


def _what_to_enter(vendor: Vendor) -> list[dict[str, Any]]:
    """Return what users enter, each with its grant types. A field has a row for each of its defaults, such as Scope."""
    found: dict[tuple[str, str | None], dict[str, Any]] = {}
    for grant_type in vendor.grants:
        for entry in entries(vendor, grant_type):
            row = {
                "name": entry.name,
                "label": entry.label,
                "description": plain_text(entry.description),
                "example": entry.example or None,
                "choices": list(entry.choices),
                "default": entry.default,
                "grants": [],
            }
            found.setdefault((entry.name, entry.default), row)["grants"].append(grant_type)
    return list(found.values())


def _text(guide: dict[str, Any]) -> list[str]:
    """Return the lines of the text about a vendor."""
    lines = [f"{guide['label']} ({guide['name']})"]
    if guide["connection_type"] != "oauth":
        lines += [f"This vendor has its own connection type, {guide['connection_type']}. Choose it in Airflow's form."]
    elif not guide["grants"]:
        lines += ["The vendor file has no grants. It describes only the lists and the errors of the API."]
    redirect_uris = [f"{name}: {uri}" for name, uri in guide["redirect_uris"].items() if uri]
    redirect_uris += [guide["redirect_uri_hint"]] if guide["redirect_uri_hint"] else []
    steps = [f"{number}. {step}" for number, step in enumerate(guide["register"], 1)]
    grants = [f"{name}: {label}" for name, label in guide["grants"].items()]
    lines += _section("Register Airflow at the vendor", steps)
    lines += _section("Redirect URIs, depending on where you authorize the connection", redirect_uris)
    lines += _section("Grant types (the first one is the default)", grants)
    lines += _section("What to enter", [_entry_text(each, len(grants)) for each in guide["enter"]])
    lines += _section("Scopes", [f"{name}: {text}" for name, text in guide["scopes"].items()])
    lines += _section("Notes", guide["notes"])
    if guide["connection"]:
        command = f"airflow oauth add {guide['name']} my_{guide['name']}"
        lines += _section("Create a connection", [command, "or with this JSON:"])
        lines += [json.dumps(guide["connection"], indent=2, ensure_ascii=False)]
    if guide["task"]:
        lines += ["", "A task that reads a list:", "", guide["task"]]
    read = f", read on {guide['read']}" if guide["read"] else ""
    return lines + _section(f"Documentation{read}", guide["documentation"])


def _section(title: str, lines: Iterable[str]) -> list[str]:
    """Return a title and indented lines; nothing if there are no lines."""
    indented = [f"  {each}" for each in lines]
    return ["", f"{title}:", *indented] if indented else []


def _entry_text(entry: dict[str, Any], grants: int) -> str:
    only = f", only for {' and '.join(entry['grants'])}" if len(entry["grants"]) < grants else ""
    parts = [entry["description"]] if entry["description"] else []
    if entry["choices"]:
        parts.append(f"One of {', '.join(entry['choices'])}.")
    if entry["default"]:
        parts.append(f"Default: {entry['default']}")
    elif entry["example"]:
        parts.append(f"Example: {entry['example']}")
    return f"{entry['label']} ({entry['name']}){only}: {' '.join(parts)}"
