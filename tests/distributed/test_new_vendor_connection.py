"""A newcomer's path on a real Airflow: airflow oauth add, the consent, and a DAG that writes rows to a file.

A proxy plays HubSpot from the documented requests and responses. The terminal and the browser use the same environment
variables as behind the proxy of a company.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
import requests

from sandbox.airflow import Airflow, AirflowError
from sandbox.processes import free_ports
from sandbox.vendor_example import EXAMPLES, read_example
from sandbox.vendor_server import VendorServer, serve
from tests.distributed.terminal_process import TerminalProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HUBSPOT = read_example(EXAMPLES / "hubspot.toml")
CLIENT_ID, SECRET = HUBSPOT.fields["login"], HUBSPOT.fields["password"]
DAG = """from airflow.sdk import dag

{imports}

@dag(schedule=None)
def newcomer():
{task}

newcomer()
"""


@pytest.fixture(scope="module")
def hubspot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VendorServer]:
    with serve(HUBSPOT, tmp_path_factory.mktemp("hubspot")) as server:
        yield server


@pytest.fixture(scope="module")
def airflow(hubspot: VendorServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    dags = tmp_path_factory.mktemp("newcomer_dags")
    proxy = {"HTTPS_PROXY": hubspot.url, "REQUESTS_CA_BUNDLE": hubspot.ca}
    with Airflow(tmp_path_factory.mktemp("newcomer"), dags, proxy, only=["api-server"]) as airflow:
        yield airflow


def start(airflow: Airflow, *arguments: str) -> TerminalProcess:
    command = [sys.executable, "-m", "airflow", "oauth", "add", *arguments]
    return TerminalProcess(command, airflow.env, airflow.home)


def connections(airflow: Airflow) -> list[str]:
    return [each["connection_id"] for each in airflow.api("GET", "connections")["connections"]]


def consent(hubspot: VendorServer, url: str) -> None:
    """Open a URL in a browser, and consent. The browser follows the redirect to the command."""
    redirect = requests.get(url, proxies={"https": hubspot.url}, verify=hubspot.ca, timeout=30, allow_redirects=False)
    response = requests.get(redirect.headers["Location"], timeout=30)
    assert "The terminal shows the result." in response.text


def test_a_newcomer_gets_rows_in_a_file(airflow: Airflow, hubspot: VendorServer, tmp_path: Path) -> None:
    redirect_uri = f"http://127.0.0.1:{free_ports(1)[0]}/"
    with start(airflow, "hubspot", "my_hubspot", "--redirect-uri", redirect_uri) as terminal:
        terminal.wait_for("^Register Airflow at HubSpot:$")
        terminal.wait_for(redirect_uri)
        terminal.answer("^Client ID.*: $", CLIENT_ID)
        terminal.answer("^Client secret .*: $", SECRET)
        terminal.answer("^Scope .*: $", HUBSPOT.fields["scope"])
        terminal.answer(r"^Number \[1\]: $", "")
        consent(hubspot, terminal.wait_for(r"^(https://app\.hubspot\.com/\S+)$")[1])
        assert terminal.exit_code() == 0, terminal.shown
        assert "Connection 'my_hubspot': the authorization succeeded." in terminal.shown
        assert SECRET not in terminal.shown
        code = terminal.wait_for(r"A task that reads a list from HubSpot:\n\n((?s:.*?\n\)))")[1]

    imports, _, task = code.partition("\n\n")
    target = tmp_path / "rows.jsonl"
    task = "\n".join(f"    {line}" for line in task.splitlines()).replace("/data/contacts.jsonl", str(target))
    (airflow.dags / "newcomer.py").write_text(DAG.format(imports=imports, task=task))
    airflow.cli("dags", "test", "newcomer")

    assert [json.loads(line)["id"] for line in target.read_text().splitlines()] == ["101", "102", "103"]
    assert hubspot.differences == []
    assert hubspot.steps() == ["authorize", "token", "page 1", "page 2"]
    (found,) = json.loads(airflow.cli("oauth", "show", "my_hubspot", "--output", "json"))
    assert (found["token"], found["error"]) == ("usable", None)


def test_the_audit_log_has_the_command_without_secrets(airflow: Airflow) -> None:
    logged = airflow.api("GET", "eventLogs", params={"limit": 100})["event_logs"]
    (row, *_) = [each for each in logged if each["event"] == "cli_oauth_add"]

    assert "my_hubspot" in row["extra"]
    assert SECRET not in json.dumps(logged)


def test_an_existing_connection_is_not_changed(airflow: Airflow) -> None:
    airflow.api("POST", "connections", json={"connection_id": "existing", "conn_type": "http"})
    with pytest.raises(AirflowError, match="Connection 'existing' already exists in Airflow's database.") as caught:
        airflow.cli("oauth", "add", "hubspot", "existing", "--login", "x")
    assert "Traceback" not in str(caught.value)
    assert airflow.api("GET", "connections/existing")["conn_type"] == "http"


def test_ctrl_c_stores_nothing(airflow: Airflow) -> None:
    with start(airflow, "hubspot", "interrupted") as terminal:
        terminal.answer("^Client ID.*: $", CLIENT_ID)
        terminal.wait_for("^Client secret .*: $")
        terminal.interrupt()
        assert terminal.exit_code() == 1, terminal.shown
        assert "Canceled. Nothing was changed." in terminal.shown
    assert "interrupted" not in connections(airflow)


def test_a_script_without_a_terminal_creates_a_connection_or_fails(airflow: Airflow) -> None:
    with pytest.raises(AirflowError, match=r"there is no terminal to ask for them: Client secret \(--secret-env"):
        airflow.cli("oauth", "add", "hubspot", "scripted", "--login", CLIENT_ID)
    assert "scripted" not in connections(airflow)

    airflow.env["HUBSPOT_SECRET"] = SECRET
    options = ["--login", CLIENT_ID, "--secret-env", "client_secret=HUBSPOT_SECRET"]
    printed = airflow.cli("oauth", "add", "hubspot", "scripted", *options)
    assert "Next step: airflow oauth authorize scripted" in printed
    assert SECRET not in printed
    stored = airflow.api("GET", "connections/scripted")
    assert (stored["conn_type"], stored["login"], stored["host"]) == ("oauth", CLIENT_ID, None)
    assert json.loads(stored["extra"]) == {"vendor": "hubspot", "grant_type": "authorization_code", "leeway": 60}


def test_the_vendors_are_listed_and_an_unknown_one_is_an_error(airflow: Airflow) -> None:
    rows = json.loads(airflow.cli("oauth", "vendors", "--output", "json"))
    assert {"name": "hubspot", "label": "HubSpot", "grants": ["authorization_code"]} in rows
    printed = airflow.cli("oauth", "vendors", "hubspot")
    assert f"page OAuth connections: {airflow.url}/oauth/callback" in printed
    with pytest.raises(AirflowError, match=r"Did you mean hubspot \(HubSpot\)\?") as caught:
        airflow.cli("oauth", "vendors", "hubspt")
    assert "Traceback" not in str(caught.value)
