"""Every operator of every vendor, in real DAG runs against the sandbox."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from sandbox.airflow import Airflow
from sandbox.examples import create_pool
from sandbox.server import SandboxProcess
from tests.connections import connection_values
from tests.distributed.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DAGS = Path(__file__).parent / "vendor_dags"
SECRET = "not-a-real-secret+/="
PASSWORD = "not a real password&%"
USER = {"ada": PASSWORD}
ACCOUNT = "4321"
#: For each connection: its server, the user who authorizes it, and the fields of its client.
CLIENTS: dict[str, tuple[str, str | None, dict[str, Any]]] = {
    "justlogin_refresh": ("justlogin", "hr", {"scopes": ["openid"]}),
    "justlogin_consent": ("justlogin", "hr", {"scopes": ["openid"]}),
    "justlogin_employee": ("justlogin", "employee", {"scopes": ["openid"]}),
    "justimmo_user": ("justimmo", "ada", {}),
    "justimmo_client": ("justimmo", None, {}),
    "joor_api": ("joor", None, {"scopes": ["email", "profile"], "users": USER}),
    "joor_shared": ("joor", None, {"scopes": ["email", "profile"], "users": USER, "credits": 15, "credit_window": 3}),
    "json_client_credentials": ("jsonbody", None, {}),
    "json_password": ("jsonbody", None, {"users": USER}),
    "json_authorization_code": ("jsonbody", "ada", {}),
    "json_refresh_token": ("jsonbody", "ada", {}),
    "json_implicit": ("jsonbody", None, {}),
}
USER_FIELDS = {"username": "ada", "user_password": PASSWORD}
JSON = {"body_format": "json", "client_auth": "client_secret_post"}


def connection(url: str, conn_id: str, refresh_token: str | None) -> dict[str, Any]:
    """Return the fields of a connection; ``extra`` is a dict."""
    server = CLIENTS[conn_id][0]
    fields: dict[str, Any] = {"login": conn_id, "password": SECRET, "refresh_token": refresh_token}
    if server == "jsonbody":
        grant_type = conn_id.removeprefix("json_")
        fields |= {
            "host": f"{url}/jsonbody/api",
            "grant_url": f"{url}/jsonbody/token",
            "grant_type": grant_type,
            **JSON,
        }
        fields |= {"use_refresh": True} if grant_type in ("client_credentials", "password") else {}
        fields |= USER_FIELDS if grant_type == "password" else {}
        return connection_values(**fields)
    fields["environment"] = f"{url}/{server}"
    if server == "joor":
        fields |= {**USER_FIELDS, "account": ACCOUNT if conn_id == "joor_api" else "40"}
    if conn_id == "justimmo_client":
        fields |= {"grant_type": "client_credentials", "tenant_id": 5678}
    elif conn_id == "justimmo_user":
        fields["grant_type"] = "authorization_code"
    elif conn_id.startswith("justlogin"):
        fields["grant_type"] = "authorization_code" if conn_id == "justlogin_consent" else "refresh_token"
    return connection_values(server, **fields)


def first_refresh_token(sandbox: SandboxProcess, conn_id: str, server: str, user: str) -> str:
    """Return a refresh token that was obtained outside this package."""
    if server != "jsonbody":
        grant = {"server": server, "client_id": conn_id, "username": user}
        return str(sandbox.control("grants", grant)["refresh_token"])
    code = sandbox.control("codes", {"server": server, "client_id": conn_id, "username": user})["code"]
    body = {"grant_type": "authorization_code", "client_id": conn_id, "client_secret": SECRET, "code": code}
    return str(requests.post(f"{sandbox.url}/jsonbody/token", json=body, timeout=10).json()["refresh_token"])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vendor_files")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("vendors_sandbox")) as sandbox:
        for conn_id, (server, _, fields) in CLIENTS.items():
            sandbox.control("clients", {"server": server, "client_id": conn_id, "client_secret": SECRET, **fields})
        yield sandbox


@pytest.fixture(scope="module")
def airflow(sandbox: SandboxProcess, files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    env = {"VENDOR_FILES": str(files), "AIRFLOW__CORE__TEST_CONNECTION": "Enabled"}
    for conn_id, (server, user, _) in CLIENTS.items():
        token = first_refresh_token(sandbox, conn_id, server, user) if user else None
        env[f"AIRFLOW_CONN_{conn_id.upper()}"] = json.dumps(connection(sandbox.url, conn_id, token))
    with Airflow(tmp_path_factory.mktemp("vendors_airflow"), DAGS, env) as airflow:
        create_pool(airflow, "joor", 4)
        airflow.wait_until_parsed(["justlogin", "joor_shared", "json_implicit"])
        yield airflow


class Run:
    """A finished run of a DAG.

    :param airflow: the Airflow
    :param dag_id: the DAG
    :param conf: the run's configuration
    :param after_start: is called when the run has started
    """

    def __init__(
        self,
        airflow: Airflow,
        dag_id: str,
        conf: dict[str, Any] | None = None,
        after_start: Callable[[], None] = lambda: None,
    ) -> None:
        self.airflow = airflow
        self.dag_id = dag_id
        self.run_id = airflow.trigger(dag_id, conf=conf)
        after_start()
        self.state = airflow.wait(dag_id, self.run_id, 300)
        self.tasks = airflow.task_instances(dag_id, self.run_id)

    def log(self, task_id: str, map_index: int = -1) -> str:
        (task,) = (each for each in self.tasks if (each["task_id"], each["map_index"]) == (task_id, map_index))
        return self.airflow.task_log(self.dag_id, self.run_id, task_id, max(1, task["try_number"]), map_index)

    def xcom(self, task_id: str, map_index: int = -1) -> Any:
        return self.airflow.xcom(self.dag_id, self.run_id, task_id, map_index=map_index)

    def check(self) -> Run:
        """Check that the run succeeded; otherwise fail with the logs of its failed tasks."""
        failed = [(each["task_id"], each["map_index"]) for each in self.tasks if each["state"] != "success"]
        assert self.state == "success", "\n".join(f"{task}: {self.log(*task)}" for task in failed[:3])
        return self


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# --- the Test button


@pytest.mark.parametrize("conn_id", ["justlogin_refresh", "justimmo_client", "joor_api"])
@pytest.mark.parametrize("secret", [SECRET, "another-secret"])
def test_the_test_button_checks_the_credentials_at_the_chosen_environment(
    airflow: Airflow, sandbox: SandboxProcess, conn_id: str, secret: str
) -> None:
    fields = connection(sandbox.url, conn_id, "must-not-be-used" if conn_id.startswith("justlogin") else None)
    body = {**fields, "password": secret, "connection_id": "tested", "extra": json.dumps(fields["extra"])}
    result = airflow.api("POST", "connections/test", json=body)
    assert result["status"] is (secret == SECRET), result
    assert ("issued a token" in result["message"] or "accepted the client" in result["message"]) is result["status"]
    assert sandbox.url.partition("://")[2] in result["message"]


# --- JustLogin


@pytest.fixture(scope="module")
def justlogin(airflow: Airflow) -> Run:
    """A run with all operators of JustLogin."""
    return Run(airflow, "justlogin").check()


def test_justlogin_lists_users_and_leave(justlogin: Run, files: Path) -> None:
    run = justlogin
    written = lines(files / "users.jsonl")
    assert len(written) == len(run.xcom("list_users")) == 130
    assert {"manager", "passport"} <= written[0].keys()
    assert {row["passport"] for row in run.xcom("list_users")} == {None}  # identity documents are only in the file
    (user,) = run.xcom("get_user")
    assert user["company"]["name"] == "Example Company"
    assert run.xcom("list_leave_types") == [1, 2]
    assert [run.xcom("get_leave_summary", index)["rows"] for index in (0, 1)] == [1, 1]


def test_justlogin_pay_and_bank_information_is_only_in_the_file(justlogin: Run, files: Path) -> None:
    run = justlogin
    pay, bank = lines(files / "payroll.jsonl")
    assert {"payMethod", "basicPay"} <= pay.keys()
    assert {"bankName", "accountNo"} <= bank.keys()
    payroll = run.xcom("extract_payroll")
    assert {name: payroll[name] for name in ("rows", "pages", "path")} == {
        "rows": 2,
        "pages": 2,
        "path": f"{files}/payroll.jsonl",
    }
    assert str(bank["accountNo"]) not in run.log("extract_payroll")
    assert (files / "payroll.jsonl").stat().st_mode & 0o077 == 0


def test_justlogin_with_a_users_authorization(airflow: Airflow) -> None:
    assert Run(airflow, "justlogin_consent").check().xcom("list_users")["rows"] == 117


def test_justlogin_refreshes_with_the_old_bearer_token(
    airflow: Airflow, sandbox: SandboxProcess, justlogin: Run
) -> None:
    before = sandbox.control("counts")["justlogin_refresh"]
    assert before["refresh_with_bearer"] == 0  # there was no old token at the first refresh
    sandbox.control("revoke", {"server": "justlogin", "client_id": "justlogin_refresh", "what": "access"})
    Run(airflow, "justlogin").check()
    counts = sandbox.control("counts")["justlogin_refresh"]
    assert counts["token_requests"] - before["token_requests"] == 1
    assert counts["refresh_with_bearer"] == 1
    assert counts["refresh_reused"] == 0


def test_the_error_of_a_403_of_justlogin_mentions_roles(airflow: Airflow, files: Path, justlogin: Run) -> None:
    run = Run(airflow, "justlogin_employee", {"user_guid": lines(files / "users.jsonl")[0]["userGuid"]})
    assert run.state == "failed"
    assert "The user who consented lacks a JustLogin role" in run.log("extract_payroll")
    assert not (files / "not_allowed.jsonl").exists()


# --- Justimmo


def test_justimmo_reads_the_user_and_realties_in_any_envelope(airflow: Airflow, sandbox: SandboxProcess) -> None:
    too_many = {"status": 429, "headers": {"Retry-After": "1"}}
    sandbox.control("faults", {"server": "justimmo", "endpoint": "api", "times": 2, **too_many})
    run = Run(airflow, "justimmo").check()
    assert run.xcom("current_user") == {"id": 1234, "tenant": {"id": 5678}}
    assert [run.xcom("list_realties", index)["rows"] for index in range(3)] == [250] * 3
    assert run.xcom("deferred") == 1234
    assert sandbox.control("counts")["justimmo_user"]["rate_limited"] == 2


def test_justimmo_with_client_credentials_uses_the_connections_tenant(airflow: Airflow, files: Path) -> None:
    assert Run(airflow, "justimmo_client").check().xcom("list_realties")["pages"] == 3
    assert len(lines(files / "realties.jsonl")) == 250


def test_an_error_of_justimmo_is_quoted_with_message_and_hint(airflow: Airflow) -> None:
    run = Run(airflow, "justimmo_client_only")
    assert run.state == "failed"
    log = run.log("current_user")
    assert "The resource owner or authorization server denied the request." in log
    assert "token is required" in log
    assert "resources can be read only with that user" in log


# --- JOOR


def test_joor_lists_orders_lines_and_all_resources(airflow: Airflow) -> None:
    run = Run(airflow, "joor").check()
    orders = run.xcom("list_orders")
    assert len(orders) == 77
    lines = run.xcom("list_lines")
    assert (lines["rows"], lines["pages"]) == (154, 3)  # 2 per order; 50 orders per request
    assert all(run.xcom("list", index)["rows"] > 0 for index in range(7))
    assert run.xcom("list_skus")["rows"] > 0


def test_joor_writes_all_writable_resources(airflow: Airflow, sandbox: SandboxProcess) -> None:
    before = sandbox.control("counts")["joor_api"]["rows_written"]
    run = Run(airflow, "joor_bulk").check()
    results = {
        each["task_id"]: run.xcom(each["task_id"]) for each in run.tasks if not each["task_id"].startswith("first")
    }
    assert len(results) == 11
    for task_id, result in results.items():
        size = 3 if task_id.startswith("create") else 1
        assert result == {"items": size, "batches": (size + 1) // 2, "written": size, "rejected": 0}
    assert sandbox.control("counts")["joor_api"]["rows_written"] - before == 5 * 3 + 6


def test_items_that_joor_rejects_with_status_200_are_handled_as_configured(airflow: Airflow) -> None:
    run = Run(airflow, "joor_rejected")
    states = {each["task_id"]: (each["state"], each["try_number"]) for each in run.tasks}
    # The failed task is not retried, because a retry would create the first two items again.
    assert states == {"fail": ("failed", 1), "collect": ("success", 1), "skip": ("success", 1)}
    assert "The item is to be rejected" in run.log("fail")
    counts = {"items": 4, "batches": 2, "written": 3, "rejected": 1}
    assert run.xcom("skip") == counts
    (error,) = run.xcom("collect").pop("errors")
    assert (error["batch"], error["status"], error["message"]) == (2, 422, "The item is to be rejected")
    assert "The item is to be rejected" in run.log("skip")


def test_40_tasks_share_a_budget_that_is_too_small_for_all(airflow: Airflow, sandbox: SandboxProcess) -> None:
    client = {"server": "joor", "client_id": "joor_shared", "client_secret": SECRET, **CLIENTS["joor_shared"][2]}
    # No credits at the beginning, so that calls are refused even if the machine is too slow to use up the budget.
    sandbox.control("clients", {**client, "credits": 0})

    def restore_credits() -> None:
        wait_until(lambda: sandbox.control("counts")["joor_shared"]["rate_limited"], "no call was refused", timeout=120)
        sandbox.control("clients", client)

    Run(airflow, "joor_shared", after_start=restore_credits).check()
    counts = sandbox.control("counts")["joor_shared"]
    assert counts["token_requests"] <= 2  # 1, or 2 if two of the first four tasks request one at the same time
    assert counts["rate_limited"] > 0
    assert counts["rows"] == 10 * (230 + 230)


# --- an API with JSON token requests


@pytest.mark.parametrize("grant", ["client_credentials", "password", "authorization_code", "refresh_token"])
def test_an_api_with_json_token_requests_works_with_each_grant(
    airflow: Airflow, sandbox: SandboxProcess, grant: str
) -> None:
    conn_id = f"json_{grant}"
    assert Run(airflow, conn_id).check().xcom("extract")["rows"] == 250
    sandbox.control("revoke", {"server": "jsonbody", "client_id": conn_id, "what": "access"})
    assert Run(airflow, conn_id).check().xcom("extract")["rows"] == 250
    counts = sandbox.control("counts")[conn_id]
    by_grant = counts["token_requests_by_grant"]
    # One request of the grant itself (or of first_refresh_token, which exchanged a code), then only refresh requests.
    assert by_grant.pop("authorization_code" if grant == "refresh_token" else grant) == 1
    assert by_grant == {"refresh_token": 1 if grant in ("client_credentials", "password") else 2}
    assert (counts["refresh_reused"], counts["api_401"]) == (0, 1)


def test_the_error_for_the_implicit_grant_gives_the_reason(airflow: Airflow) -> None:
    run = Run(airflow, "json_implicit")
    assert run.state == "failed"
    assert "advises against the implicit grant" in run.log("extract")
