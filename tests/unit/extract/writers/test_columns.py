"""The parameter ``columns``."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.extract.writers.columns import (
    SCALARS,
    DecimalType,
    ListType,
    Scalar,
    StructType,
    parse_columns,
)


@pytest.mark.parametrize("name", SCALARS)
def test_a_type_without_parameters_is_its_name(name: str) -> None:
    assert parse_columns("my_api", {"id": name}) == {"id": Scalar(name)}


@pytest.mark.parametrize("text", ["decimal(18,2)", "decimal(18, 2)"])
def test_a_decimal_type_has_precision_and_scale(text: str) -> None:
    assert parse_columns("my_api", {"price": text}) == {"price": DecimalType(18, 2)}


def test_a_mapping_is_an_object_and_a_list_with_one_type_is_an_array() -> None:
    columns = {"address": {"city": "string", "tags": ["string"]}, "lines": [{"sku": "string"}]}
    assert parse_columns("my_api", columns, is_csv=False) == {
        "address": StructType({"city": Scalar("string"), "tags": ListType(Scalar("string"))}),
        "lines": ListType(StructType({"sku": Scalar("string")})),
    }


@pytest.mark.parametrize("names", [["id", "name"], ("id", "name")])
def test_names_without_types_are_text(names: Any) -> None:
    assert parse_columns("my_api", names, is_csv=True) == {"id": Scalar("string"), "name": Scalar("string")}


@pytest.mark.parametrize(
    "value",
    [
        "int",
        "INT64",
        "",
        None,
        7,
        int,
        {},
        [],
        ["int64", "string"],
        "decimal",
        "decimal(39,2)",
        "decimal(0,0)",
        "decimal(2,3)",
        "decimal(-1,2)",
    ],
)
def test_an_unknown_type_is_an_error_that_names_the_column(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="'my_api': columns has the type .* for 'a.b', which is not supported"):
        parse_columns("my_api", {"a": {"b": value}})


@pytest.mark.parametrize(
    ("columns", "is_csv", "text"),
    [
        ("id", None, "columns is not a mapping"),
        (7, None, "columns is not a mapping"),
        ({}, None, "columns is empty"),
        ([], True, "columns is empty"),
        (["id", "id"], True, "contains a name twice"),
        (["id"], False, "columns has names without types"),
        ([7], True, "has the name 7, which is not a string"),
        ({7: "string"}, None, "has the name 7, which is not a string"),
        ({"\ud83d": "string"}, None, "which is not valid Unicode"),
        ({"a": {"b": "string"}}, True, r"has nested types for \['a'\], which a CSV file cannot contain"),
        ({"a": ["string"]}, True, r"has nested types for \['a'\], which a CSV file cannot contain"),
    ],
)
def test_invalid_columns_are_an_error(columns: Any, is_csv: bool | None, text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"'my_api': .*{text}"):
        parse_columns("my_api", columns, is_csv=is_csv)
