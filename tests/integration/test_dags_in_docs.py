"""Every DAG in README and docs runs, against the sandbox."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.server import serve
from sandbox.vendor_example import read_example
from sandbox.vendor_server import connection_fields
from sandbox.vendor_server import serve as serve_vendor
from sandbox.vendors.shop import CUSTOMERS
from tests.connections import connection_values
from tests.documents import ROOT, blocks

if TYPE_CHECKING:
    from sandbox.server import Sandbox
    from sandbox.vendor_server import VendorServer


#: The page with a package of its own has a test of its own.
DAGS = [block for block in blocks("python") if block.dag_id and block.page.name != "own-vendor.md"]
SECRET = "fake-secret-:/+%&1"
#: The expected results of tasks, by DAG and task. A mapped task has the result of one instance.
RETURNED = {
    "create_customer": {"create": 251},
    "export_orders": {"start": "e1"},
    "count_customers": {"count": 250},
    "customer_names": {"names": ["Customer 1", "Customer 2", "Customer 3"]},
    "orders_of_each_customer": {"customers": [1, 2, 3]},
    "longest_name": {"find": "Customer 100"},
    "stock_operator": {"customer": "Customer 1"},
    "one_request": {"customer": "Customer 1"},
    "hook_in_a_task": {"name_of": "Customer 1"},
    "load_changed_tickets": {"load": 250},
    "names_of_customers": {"longest_name": "Customer 100"},
    "count_rows_from_elsewhere": {"count": 250},
}


def connections(sandbox: Sandbox) -> dict[str, str]:
    """Register the clients of the DAGs, and return the connections as environment variables."""
    found = {}
    for conn_id, grant in (("my_api", "client_credentials"), ("my_consent", "refresh_token")):
        sandbox.state.add_client("shop", conn_id, SECRET, scopes=["read", "write"])
        fields = {"host": f"{sandbox.url}/shop/api", "grant_url": f"{sandbox.url}/shop/token"}
        fields |= {"login": conn_id, "password": SECRET, "grant_type": grant}
        if grant == "refresh_token":
            fields["refresh_token"] = sandbox.state.issue_refresh_token("shop", conn_id)
        found[f"AIRFLOW_CONN_{conn_id.upper()}"] = json.dumps(connection_values(**fields))
    return found


def vendor_connection(server: VendorServer) -> str:
    """Return the connection of the DAG that reads from HubSpot."""
    fields = {"vendor": "hubspot", "grant_type": "refresh_token", "refresh_token": "REFRESH_1"}
    fields |= {"host": None, "grant_url": None, "login": "CLIENT_ID", "password": "CLIENT_SECRET"}
    return json.dumps(connection_values(**fields, **connection_fields(server)))


def save(folder: Path) -> list[Path]:
    """Write each DAG to a file, with short waits, few retries and a folder for its results, and return the files."""
    folder.joinpath("dags").mkdir()
    paths = []
    for block in DAGS:
        text = re.sub('"(/data|s3://my_aws@my-bucket)/', f'"{folder}/data/{block.dag_id}/', block.text)
        text = re.sub(r"poke_interval=\d+", "poke_interval=0.5", text)
        text = re.sub(r"\bretries=([5-9]|10)\b", "retries=0", text)  # dag.test() would wait before each retry
        paths.append(folder / "dags" / f"{block.page.stem}-{block.dag_id}.py")
        paths[-1].write_text(text)
    return paths


def write_manifest(folder: Path) -> None:
    """Write the manifest for which the sensor of a DAG waits."""
    folder.mkdir(parents=True)
    folder.joinpath("_manifest.json").write_text(json.dumps({"parts": [{"rows": 200}, {"rows": 50}]}))


def rows_of(folder: Path) -> list[str]:
    """Return the rows in the parts of a folder."""
    parts = json.loads((folder / "_manifest.json").read_text())["parts"]
    return [
        row for part in parts for row in gzip.decompress((folder / part["name"]).read_bytes()).decode().splitlines()
    ]


def check_folders(data: Path) -> None:
    """Check that every folder of parts has all rows."""
    for name in ("all_customers", "names_of_customers"):
        (folder,) = (data / name / "customers").iterdir()
        assert [json.loads(row) for row in rows_of(folder)] == CUSTOMERS
        assert len(list(folder.glob("part-1-*.jsonl.gz"))) == 3
    (folder,) = (data / "customers_in_parts" / "customers").iterdir()
    rows = rows_of(folder)
    assert rows.count("id,name") == 3
    assert [row for row in rows if row != "id,name"] == [f"{row['id']},{row['name']}" for row in CUSTOMERS]
    (folder,) = (data / "changed_tickets_in_parts" / "tickets").iterdir()
    assert {json.loads(row)["id"] for row in rows_of(folder)} == set(range(1, 251))


def check_incremental(data: Path) -> None:
    """Check that the first run of every incremental DAG has read all rows."""
    files = {
        "changed_tickets": ["tickets"],
        "newest_tickets": ["newest-tickets"],
        "load_changed_tickets": ["tickets"],
        "tickets_of_regions": ["eu", "us"],
    }
    for name, folders in files.items():
        for folder in folders:
            (path,) = (data / name / folder).iterdir()
            rows = [json.loads(row) for row in gzip.decompress(path.read_bytes()).splitlines()]
            assert {row["id"] for row in rows} == set(range(1, 251))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run all DAGs in a new process with a new Airflow database, and return the results."""
    folder = tmp_path_factory.mktemp("airflow-home-docs")
    write_manifest(folder / "data" / "count_rows_from_elsewhere" / "from-elsewhere")
    hubspot = read_example(ROOT / "tests" / "vendors" / "hubspot.toml")
    with serve(folder / "sandbox") as sandbox, serve_vendor(hubspot, folder) as vendor:
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__OAUTH__LOCK_FOLDER": str(folder / "locks"),
            "PYTHONPATH": str(ROOT),
            **connections(sandbox),
            "AIRFLOW_CONN_MY_HUBSPOT": vendor_connection(vendor),
        }
        command = [sys.executable, str(Path(__file__).with_name("run_dags.py")), *map(str, save(folder))]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=900, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        counts = sandbox.state.counts()
    return {"folder": folder, "counts": counts, "dags": json.loads(done.stdout.splitlines()[-1])}


def test_no_two_dags_have_the_same_name_except_the_first_one_of_readme_and_docs() -> None:
    names = Counter(block.dag_id for block in DAGS)
    assert {name: count for name, count in names.items() if count > 1} == {"customers": 2}


# One test for all DAGs, because xdist would run the fixture in each of its processes.
def test_every_dag_succeeds_and_returns_what_the_text_says(results: dict[str, Any]) -> None:
    assert {name: found["state"] for name, found in results["dags"].items()} == dict.fromkeys(
        [f"{block.page.stem}-{block.dag_id}" for block in DAGS], "success"
    )
    returned = {name.partition("-")[2]: found["returned"] for name, found in results["dags"].items()}
    for name, expected in RETURNED.items():
        assert {task: returned[name][f"{task}[-1]"] for task in expected} == expected

    data = results["folder"] / "data"
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    assert [path.name for path in (data / "daily_orders").iterdir()] == [f"orders-{yesterday}.jsonl"]
    assert {path.name for path in (data / "orders_of_each_customer").iterdir()} == {
        f"orders-{n}.jsonl" for n in (0, 1, 2)
    }
    for name in ("customers", "read_customers", "customers_by_id"):
        lines = (data / name / "customers.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in lines] == CUSTOMERS
    searched = (data / "search_customers" / "customers-from-101.jsonl").read_text().splitlines()
    assert list(map(json.loads, searched)) == [{**row, "email": f"{row['id']}@example.com"} for row in CUSTOMERS[100:]]
    with gzip.open(data / "customers_to_s3" / "customers.jsonl.gz") as file:
        without_name = [{key: value for key, value in each.items() if key != "name"} for each in CUSTOMERS]
        assert list(map(json.loads, file)) == without_name

    contacts = (data / "hubspot" / "contacts.jsonl").read_text().splitlines()
    assert len(contacts) == len({json.loads(row)["id"] for row in contacts}) == 3

    check_folders(data)
    check_incremental(data)

    # All DAGs shared the tokens that the first one requested; one DAG renewed its own on purpose.
    assert results["counts"]["my_api"]["token_requests"] == 1
    assert results["counts"]["my_consent"]["token_requests"] == 1
