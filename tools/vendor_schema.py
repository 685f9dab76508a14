"""Builds the JSON schema of vendor files, from the same classes that read the files."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_oauth.extract.error_rules import ErrorRule
from airflow_provider_oauth.extract.paginators import PaginatorOptions
from airflow_provider_oauth.fields import ALIASES, FIELDS, Field
from airflow_provider_oauth.presets.vendor import ListOptions, Vendor, VendorValue
from airflow_provider_oauth.presets.vendor_check import NOT_IN_FILES, STANDARD
from airflow_provider_oauth.presets.vendor_file import TABLES, ValueTable, VendorFile

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The paginators by name.
PAGINATORS = {cls.__name__: cls for cls in PaginatorOptions.__subclasses__()}
#: The classes whose docstring describes the keys of a table, by the table's class.
DOCUMENTED_BY: dict[str, tuple[type[Any], ...]] = {
    "VendorFile": (Vendor,),
    "ValueTable": (VendorValue,),
    **{name: (ListOptions, PaginatorOptions, cls) for name, cls in PAGINATORS.items()},
}


def vendor_schema() -> dict[str, Any]:
    """Return the JSON schema."""
    tables = {cls.__name__: cls for cls in (VendorFile, ValueTable, ErrorRule, *TABLES.values())}
    classes = [*tables.values(), ListOptions, *PAGINATORS.values()]
    _, definitions = msgspec.json.schema_components(classes, ref_template="#/definitions/{name}")
    definitions = _without_null(definitions)
    for name in tables | PAGINATORS:
        _close(definitions[name], *DOCUMENTED_BY.get(name, (tables.get(name, ListOptions),)))
    options = definitions.pop("ListOptions")["properties"]
    for name in PAGINATORS:
        definition = definitions[name]
        definition["properties"] = {"type": {"const": name}, **definition["properties"], **options}
        definition["required"] = ["type", *definition.get("required", [])]
        _describe(definition, *DOCUMENTED_BY[name])
    definitions["fields"] = _fields()
    file = definitions.pop("VendorFile")
    _add_references(file["properties"])
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Vendor file of airflow-provider-oauth",
        **{key: value for key, value in file.items() if key != "title"},
        "definitions": definitions,
    }


def _without_null(schema: Any) -> Any:
    """Remove the type null, which TOML does not have."""
    if isinstance(schema, list):
        return [_without_null(each) for each in schema if each != {"type": "null"}]
    if not isinstance(schema, dict):
        return schema
    found = {key: _without_null(value) for key, value in schema.items() if not (key == "default" and value is None)}
    if len(found.get("anyOf", [])) == 1:
        (only,) = found.pop("anyOf")
        return {**only, **found}
    return found


def _add_references(properties: dict[str, Any]) -> None:
    """Replace the types of tables, which the class of the file does not specify."""
    for key, cls in TABLES.items():
        properties[key] = {**_reference(cls.__name__), **_description(properties[key])}
    rules = properties["error_rules"]
    properties["error_rules"] = {"type": "array", "items": _reference("ErrorRule"), **_description(rules)}
    properties["fields"] = {**_reference("fields"), **_description(properties["fields"])}
    grants = {name: _reference("fields") for name in FIELDS["grant_type"].choices or ()}
    tables = {"grants": {"properties": grants, "additionalProperties": False}, "paginators": _paginators()}
    for key, table in tables.items():
        properties[key] = {"type": "object", **table, **_description(properties[key])}
    properties["ask"]["items"] = {"enum": [*STANDARD, *FIELDS]}


def _paginators() -> dict[str, Any]:
    """Return the schema of the table of paginators. ``if`` gives better errors than ``anyOf``."""
    cases = [
        {"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": _reference(name)}
        for name in PAGINATORS
    ]
    kind = {"type": {"enum": sorted(PAGINATORS)}}
    return {"additionalProperties": {"type": "object", "required": ["type"], "properties": kind, "allOf": cases}}


def _fields() -> dict[str, Any]:
    """Return the schema of the tables with fields of a connection."""
    host = Field("string", "API base URL", "The base URL of the API. Endpoints are relative to it.")
    allowed = {
        name: field for name, field in FIELDS.items() if not (field.secret or name in NOT_IN_FILES or name in ALIASES)
    }
    return {
        "type": "object",
        "properties": {name: _field(field) for name, field in ({"host": host} | allowed).items()},
        "additionalProperties": False,
    }


def _field(field: Field) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": field.type, "description": f"{field.label}: {field.help_text}"}
    if field.choices:
        schema["enum"] = list(field.choices)
    if field.minimum is not None:
        schema["minimum"] = field.minimum
    return schema


def _close(definition: dict[str, Any], *documented_by: type[Any]) -> None:
    """Refuse unknown keys, as the reader of the files does, and describe the known ones."""
    definition["additionalProperties"] = False
    definition.pop("description", None)  # the docstring of the class is for developers
    _describe(definition, *documented_by)


def _describe(definition: dict[str, Any], *documented_by: type[Any]) -> None:
    texts: dict[str, str] = {}
    for cls in documented_by:
        texts |= _parameters(cls)
    for key, schema in definition["properties"].items():
        if key in texts:
            schema["description"] = texts[key]


def _parameters(cls: type[Any]) -> dict[str, str]:
    """Return the description of each parameter in the docstring of a class, without what None means."""
    found = re.findall(r"^:param (\w+): (.*?)(?=^:|\Z)", inspect.getdoc(cls) or "", re.DOTALL | re.MULTILINE)
    texts = {name: " ".join(text.replace("``", "`").split()) for name, text in found}
    return {name: text.partition("; None ")[0].rstrip(".") for name, text in texts.items()}


def _reference(name: str) -> dict[str, Any]:
    # In draft 7, other keys beside $ref are ignored, so it is wrapped.
    return {"allOf": [{"$ref": f"#/definitions/{name}"}]}


def _description(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": schema["description"]} if "description" in schema else {}
