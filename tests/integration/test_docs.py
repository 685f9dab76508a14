"""The examples in the documentation work, and the documentation is complete."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest
from airflow.api_fastapi.core_api.datamodels.connections import ConnectionBody
from airflow.models.connection import Connection as StoredConnection
from airflow.sdk import Connection

from airflow_provider_oauth import exceptions
from airflow_provider_oauth.cli.definition import get_oauth_cli_commands
from airflow_provider_oauth.cli.output import format_status
from airflow_provider_oauth.connection import read_connection
from airflow_provider_oauth.extract import paginators
from airflow_provider_oauth.extract.incremental import Incremental
from airflow_provider_oauth.fields import ALIASES, FIELDS
from airflow_provider_oauth.get_provider_info import get_provider_info
from airflow_provider_oauth.management.status import ConnectionStatus
from airflow_provider_oauth.operators.extract import ExtractOperator, OAuthExtractOperator
from airflow_provider_oauth.presets import PRESETS
from airflow_provider_oauth.ui.page import ACTION_LABELS, CONSENT_STATES, TOKEN_STATES
from tests.documents import DOCS, README, ROOT, blocks

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.cli.cli_config import ActionCommand

    from airflow_provider_oauth.ui.page import State
    from tests.documents import Block


SHELL = blocks("bash")
#: Pages whose connections have other tests: they need the package or the vendor file on the page, or are generated.
OTHERS = {DOCS / "own-vendor.md", DOCS / "vendor-files.md", *(DOCS / "vendors").iterdir()}
CONNECTIONS = [block for block in blocks("json") if "conn_type" in block.text and block.page not in OTHERS]
INDEX = (DOCS / "connections" / "index.md").read_text()
TABLE = INDEX.partition("All other fields are keys")[2].partition("\n## ")[0]
ROWS = [[cell.strip() for cell in line.strip("| ").split("|")] for line in TABLE.splitlines() if line.startswith("| `")]
CLI = (DOCS / "cli.md").read_text()


def check_connection(values: dict[str, Any]) -> None:
    """Fail if a connection is invalid, causes a warning, or is not protected from stock code by its leeway."""
    connection = Connection(conn_id="shown", **{**values, "extra": json.dumps(values["extra"])})
    # The example with all keys has both a vendor and its URLs.
    warnings = read_connection(connection, PRESETS[values["conn_type"]]).warnings
    assert [
        each for each in warnings if "vendor_values" not in values["extra"] or "replaces the URL of" not in each
    ] == []
    assert isinstance(values["extra"]["leeway"], int)


# --- connections


def test_there_are_connections_to_check() -> None:
    assert len(CONNECTIONS) == 34


@pytest.mark.parametrize("block", CONNECTIONS, ids=str)
def test_every_connection_shown_is_valid_and_protected_from_stock_code(block: Block) -> None:
    check_connection(json.loads(block.text))


@pytest.mark.parametrize("block", [each for each in SHELL if "AIRFLOW_CONN_" in each.text], ids=str)
def test_every_environment_variable_shown_is_a_valid_connection(block: Block) -> None:
    check_connection(json.loads(re.search(r"AIRFLOW_CONN_\w+='(.*?)'\n", block.text, re.DOTALL)[1]))


def test_the_connection_for_the_command_line_is_one_that_airflow_reads_as_it_is() -> None:
    (block,) = [each for each in SHELL if "--conn-json" in each.text]
    text = re.search(r"--conn-json '(.*)'", block.text, re.DOTALL)[1]
    check_connection(json.loads(text))
    assert StoredConnection.from_json(text, conn_id="my_api").extra_dejson["leeway"] == 60


def test_the_request_to_airflows_api_has_a_body_that_airflow_accepts() -> None:
    (block,) = [each for each in SHELL if "/api/v2/connections" in each.text]
    body = ConnectionBody.model_validate_json(re.search(r"-d '(.*)'", block.text, re.DOTALL)[1])
    values = {name: getattr(body, name) for name in ("conn_type", "host", "login", "password")}
    check_connection({**values, "extra": json.loads(body.extra)})


def test_terraform_stores_the_same_connection_as_the_command_line() -> None:
    (terraform,) = blocks("terraform")
    body = re.search(r"jsonencode\(\{\n(.*)\n  \}\)", terraform.text, re.DOTALL)[1].replace(
        "var.client_secret", '"SECRET"'
    )
    body = re.sub(r"\s*=\s*", ": ", re.sub(r"^\s*(\w+)\s*=", r'"\1" =', body, flags=re.MULTILINE))
    check_connection(json.loads("{" + re.sub(r"(?<=[\w\"}])\n(?=\")", ",\n", body) + "}"))


def test_one_example_has_all_keys() -> None:
    extras = [
        json.loads(block.text)["extra"] for block in CONNECTIONS if block.page == DOCS / "connections" / "index.md"
    ]
    assert max(map(set, extras), key=len) == set(FIELDS) - set(ALIASES)


# --- fields


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_is_in_the_table_with_its_label(name: str) -> None:
    (row,) = [row for row in ROWS if f"`{name}`" in row[0]]
    assert row[1] == (FIELDS[name].label if FIELDS[name].shown else "")


def test_the_table_has_no_other_field() -> None:
    assert {name for row in ROWS for name in re.findall(r"`(\w+)`", row[0])} == set(FIELDS)


@pytest.mark.parametrize("grant", FIELDS["grant_type"].choices)
def test_every_grant_has_a_page_with_a_connection(grant: str) -> None:
    found = blocks("json", DOCS / "connections" / f"{grant}.md")
    assert {json.loads(block.text)["extra"]["grant_type"] for block in found} == {grant}


@pytest.mark.parametrize("name", get_provider_info()["config"]["oauth"]["options"])
def test_every_setting_has_a_section(name: str) -> None:
    assert f"\n## `{name}`\n" in (DOCS / "configurations-ref.md").read_text()


# --- commands and operators


@pytest.mark.parametrize("command", get_oauth_cli_commands()[0].subcommands, ids=lambda each: each.name)
def test_every_command_is_in_the_table_with_its_options(command: ActionCommand) -> None:
    (row,) = [line for line in CLI.splitlines() if line.startswith(f"| `airflow oauth {command.name}")]
    options = {flag for arg in command.args for flag in arg.flags if flag.startswith("--")}
    assert [each for each in options - {"--verbose", "--output"} if each not in row] == []


def test_the_columns_of_the_command_line_are_in_the_table() -> None:
    columns = format_status(ConnectionStatus(conn_id="x"))
    shown = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`[^|]*)\|", CLI.partition("| column |")[2], re.MULTILINE)))
    assert set(shown) == set(columns)


@pytest.mark.parametrize(("column", "states"), [("Token", TOKEN_STATES), ("Consent", CONSENT_STATES)])
def test_every_state_on_the_page_is_explained_in_the_same_words(column: str, states: dict[str, State]) -> None:
    text = (DOCS / "consent.md").read_text()
    assert [each for each in states.values() if f"| {column}: {each.label} | {each.meaning} |" not in text] == []


def test_every_button_of_the_page_is_explained() -> None:
    rows = re.findall(r"^\| ([\w ]+) \|", (DOCS / "consent.md").read_text().partition("| button |")[2], re.MULTILINE)
    assert rows[: len(ACTION_LABELS) + 1] == [*ACTION_LABELS.values(), "Edit"]


@pytest.mark.parametrize("module", ["justlogin", "justimmo", "joor"])
def test_every_operator_of_a_vendor_is_on_the_page_about_vendors(module: str) -> None:
    found = vars(importlib.import_module(f"airflow_provider_oauth.operators.{module}"))
    names = [name for name in found if name.endswith("Operator") and name.lower().startswith(module)]
    assert names
    vendors = (DOCS / "vendors.md").read_text()
    assert [name for name in names if f"`{name}`" not in vendors] == []


# --- lists

LISTS = (DOCS / "lists.md").read_text()


@pytest.mark.parametrize("text", sorted(set(re.findall(r"`(\w+Paginator\([^`]*\))`", LISTS))))
def test_every_paginator_shown_can_be_created(text: str) -> None:
    assert type(eval(text, vars(paginators))).__name__ == text.partition("(")[0]  # noqa: S307 - our own page


def test_every_paginator_is_shown() -> None:
    names = {name for name in vars(paginators) if name.endswith("Paginator")} - {"Paginator"}
    assert set(re.findall(r"`(\w+Paginator)\(", LISTS)) == names


def parameters_of_table(text: str) -> set[str]:
    """Return the parameters in the first table of a page that lists parameters."""
    table = text.partition("| parameter |")[2].partition("\n\n")[0]
    return {
        name for cell in re.findall(r"^\| (`[^|]*)\|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)
    }


def test_the_parameters_of_the_extract_operator_are_in_the_table() -> None:
    own = inspect.signature(OAuthExtractOperator.__init__).parameters
    inherited = inspect.signature(ExtractOperator.__init__).parameters
    names = {*own, *inherited} - {"self", "kwargs", "oauth_conn_id", "scope"}
    assert parameters_of_table(LISTS) == names


# --- incremental extracts

INCREMENTAL = (DOCS / "incremental.md").read_text()


def test_the_parameters_of_incremental_are_in_the_table() -> None:
    assert parameters_of_table(INCREMENTAL) == {each.name for each in fields(Incremental)}


@pytest.mark.parametrize("text", sorted(set(re.findall(r"`(Incremental\([^`…]+\))`", INCREMENTAL))))
def test_the_parameters_shown_for_an_api_are_valid(text: str) -> None:
    shown = eval(text, {"Incremental": Incremental})  # noqa: S307 - our own page
    shown.check("shown", is_rendered=True)
    assert shown.since(str(shown.initial)) == str(shown.initial)


# --- example DAGs


def test_every_example_dag_is_on_the_page_about_them() -> None:
    shown = re.findall(r"\]\(\.\./example_dags/(\w+\.py)\)", (DOCS / "example-dags.md").read_text())
    assert sorted(shown) == sorted(path.name for path in (ROOT / "example_dags").glob("*.py"))


# --- the glossary


def test_every_term_of_the_page_about_renewal_is_in_the_glossary_which_is_sorted() -> None:
    terms = re.findall(r"^- \*\*(.+?)\*\*: ", (DOCS / "glossary.md").read_text(), re.MULTILINE)
    table = (DOCS / "renewal.md").read_text().partition("| term |")[2].partition("\n\n")[0]
    used = re.findall(r"^\| (\w[\w ]*) \|", table, re.MULTILINE)
    assert len(used) > 8
    assert set(used) <= set(terms)
    assert terms == sorted(terms, key=str.lower)


# --- the API reference


def is_own_class(value: object) -> bool:
    """Return whether the value is a class of the module of exceptions."""
    return isinstance(value, type) and value.__module__ == exceptions.__name__


PUBLIC = [
    "hooks.oauth.OAuthHook",
    "hooks.oauth.OAuthAsyncHook",
    "hooks.justlogin.JustLoginHook",
    "hooks.justimmo.JustimmoHook",
    "hooks.joor.JoorHook",
    "operators.oauth.OAuthHttpOperator",
    "operators.extract.OAuthExtractOperator",
    "operators.extract.ExtractOperator",
    "sensors.oauth.OAuthHttpSensor",
    "triggers.oauth.OAuthHttpTrigger",
    "triggers.oauth.OAuthHttpSensorTrigger",
    "triggers.oauth.OAuthHttpEventTrigger",
    "extract.request.ListRequest",
    "extract.page.Page",
    "extract.formats.JsonLinesFormat",
    "extract.formats.CsvFormat",
    "extract.error_rules.ErrorRule",
    "extract.incremental.Incremental",
    *(f"extract.paginators.{name}" for name in vars(paginators) if name.endswith("Paginator")),
    *(f"exceptions.{name}" for name, each in vars(exceptions).items() if is_own_class(each)),
    "presets.preset.Preset",
    "fields.Field",
    "api.rate_limit.Budget",
    "hooks.async_session.OAuthAsyncSession",
    "management.status.ConnectionStatus",
    "protocol.authorization.AuthorizationRequest",
    "protocol.token.Token",
]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_in_the_api_reference(name: str) -> None:
    pages = "".join(page.read_text() for page in (DOCS / "api").glob("*.md"))
    module, _, short = f"airflow_provider_oauth.{name}".rpartition(".")
    (members,) = re.findall(rf"automodule:: {module}\n   :members:(.*)$", pages, re.MULTILINE) or [None]
    in_module = members is not None and (not members.strip() or short in re.findall(r"\w+", members))
    assert in_module or f"autoclass:: {module}.{short}\n" in pages


# --- links


@pytest.mark.parametrize("page", [README, *sorted(DOCS.rglob("*.md"))], ids=lambda page: page.name)
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    targets = re.findall(
        r"\]\((?!https?:|#)([^)#\s]+)", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    )
    assert [target for target in targets if not (page.parent / target).exists()] == []
