"""The commands of ``airflow oauth`` on a real Airflow, with the sandbox's login and consent page."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.management.grant_check import CHANGED
from airflow_provider_oauth.management.messages import FORGOTTEN
from sandbox.airflow import Airflow, AirflowError
from sandbox.server import SandboxProcess
from sandbox.user_agent import UserAgent
from tests.distributed.pages import use_and_forget

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "not-a-real-secret+/="
REDIRECT_URI = "https://airflow.example.com/oauth/callback"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("cli_sandbox")) as sandbox:
        for server, scopes in (("jsonbody", ["read"]), ("justlogin", ["openid"])):
            client = {"server": server, "client_id": "cli", "client_secret": SECRET, "scopes": scopes}
            sandbox.control("clients", client)
        std = {"server": "standard", "client_id": "std", "client_secret": SECRET, "scopes": ["read"]}
        sandbox.control("clients", std)
        yield sandbox


@pytest.fixture(scope="module")
def airflow(sandbox: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    """An API server with connections in its database and one in the environment; commands need nothing else."""
    dags = tmp_path_factory.mktemp("cli_dags")
    elsewhere = {"AIRFLOW_CONN_OF_ENV": json.dumps({"conn_type": "justlogin", "login": "cli", "password": SECRET})}
    with Airflow(tmp_path_factory.mktemp("cli_airflow"), dags, elsewhere, only=["api-server"]) as airflow:
        url = f"{sandbox.url}/jsonbody"
        consent = {
            "grant_type": "authorization_code", "grant_url": f"{url}/token", "authorize_url": f"{url}/authorize",
            "body_format": "json", "client_auth": "client_secret_post", "leeway": 60,
        }  # fmt: skip
        jl = {"environment": f"{sandbox.url}/justlogin", "leeway": 60}
        own = {"login": "cli", "password": SECRET}
        for conn_id, values in {
            "by_consent": {"conn_type": "oauth", "host": f"{url}/api", "extra": consent, **own},
            "jl": {"conn_type": "justlogin", "extra": jl, **own},
            "broken": {"conn_type": "oauth", "host": f"{url}/api", "extra": {"leeway": 60}, **own},
            "markup": {
                "conn_type": "oauth",
                "host": f"{url}/api",
                "extra": {**consent, "grant_type": "[/bold]"},
                **own,
            },
            "std": {
                "conn_type": "oauth",
                "host": f"{sandbox.url}/standard/api",
                "login": "std",
                "password": SECRET,
                "extra": {"grant_type": "authorization_code", "issuer": f"{sandbox.url}/standard", "leeway": 60},
            },
            "plain": {"conn_type": "http", "host": "http://localhost", "extra": {}},
        }.items():
            body = {**values, "connection_id": conn_id, "extra": json.dumps(values["extra"])}
            airflow.api("POST", "connections", json=body)
            use_and_forget(airflow, conn_id)
        yield airflow


def rows(airflow: Airflow, *arguments: str) -> list[dict[str, Any]]:
    return list(json.loads(airflow.cli("oauth", *arguments, "--output", "json")))


def authorize(airflow: Airflow, conn_id: str, allow: bool = True, listen: bool = False) -> tuple[str, str]:
    """Run the command, and authorize the connection in a browser.

    :param allow: whether the user consents
    :param listen: let the browser follow the redirect, instead of pasting its URL
    :return: what the command printed, and the callback URL
    """
    way = ["--listen"] if listen else ["--redirect-uri", REDIRECT_URI]
    process, printed, found = start_authorization(airflow, conn_id, *way, until=r"^(http\S+/authorize\?\S+)$")
    redirect = UserAgent().consent(found[1], allow=allow)
    registered = re.search(r"^Redirect URI \(must be registered at the server\): (\S+)$", printed, re.MULTILINE)
    assert registered, printed
    assert redirect.startswith(f"{registered[1]}?")
    if listen:
        assert "The terminal shows the result." in UserAgent().get(redirect).text
    return process.communicate(None if listen else redirect + "\n", timeout=120)[0], redirect


def start_authorization(
    airflow: Airflow, conn_id: str, *options: str, until: str
) -> tuple[subprocess.Popen[str], str, re.Match[str]]:
    """Run the command until it has printed a line.

    :param until: a pattern for that line
    :return: the running command, what it has printed, and the match
    """
    command = [sys.executable, "-m", "airflow", "oauth", "authorize", conn_id, *options]
    process = subprocess.Popen(
        command, env=airflow.env, cwd=airflow.home, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    printed = ""
    while not (found := re.search(until, printed, re.MULTILINE)):
        line = process.stdout.readline()
        assert line, printed
        printed += line
    return process, printed, found


def test_list_shows_oauth_connections_and_their_errors(airflow: Airflow) -> None:
    found = {row["conn_id"]: row for row in rows(airflow, "list")}
    assert found.keys() == {"by_consent", "jl", "broken", "markup", "std"}
    assert found["by_consent"]["consent"] == found["jl"]["consent"] == "needed"
    assert "Token URL" in found["broken"]["error"]
    assert found["broken"]["token"] is None
    for conn_id, printed in {"broken": "Token URL", "markup": r"\[/bold\]"}.items():
        with pytest.raises(AirflowError, match=printed) as caught:
            airflow.cli("oauth", "show", conn_id)
        assert "Traceback" not in str(caught.value)


def test_check_lists_connections_that_need_attention_and_where_there_may_be_others(airflow: Airflow) -> None:
    with pytest.raises(AirflowError) as caught:
        airflow.cli("oauth", "check", "--output", "json")
    found = str(caught.value)
    assert all(conn_id in found for conn_id in ("by_consent", "jl", "broken", "markup", "std"))
    assert "A user must authorize the connection" in found
    assert "Connections in environment variables are not listed: AIRFLOW_CONN_OF_ENV." in found
    assert "Traceback" not in found
    with pytest.raises(AirflowError, match="of_env") as caught:
        airflow.cli("oauth", "check", "of_env")
    assert "not listed" not in str(caught.value)


def test_test_reports_whether_the_server_accepts_the_client_and_the_next_step(
    airflow: Airflow, sandbox: SandboxProcess
) -> None:
    printed = airflow.cli("oauth", "test", "std")
    assert "accepted the client" in printed
    assert printed.endswith(f"{CHANGED}\nNext step: airflow oauth authorize std\n")
    with pytest.raises(AirflowError, match="Token URL .grant_url. is missing"):
        airflow.cli("oauth", "test", "broken")
    assert SECRET not in printed


def test_authorize_and_renew(airflow: Airflow, sandbox: SandboxProcess) -> None:
    conn_id = "jl"
    printed, pasted = authorize(airflow, conn_id)
    assert f"Connection '{conn_id}': the authorization succeeded." in printed
    (row,) = rows(airflow, "show", conn_id)
    # JustLogin does not report when a refresh token expires.
    assert (row["token"], row["consent"], row["consent_by"], row["error"]) == ("usable", "given", None, None)
    assert row["missing_scopes"] == []
    assert "No connection needs attention." in airflow.cli("oauth", "check", conn_id)
    (renewed,) = rows(airflow, "renew", conn_id)
    assert renewed["renewed_at"] >= row["renewed_at"]
    issued = sandbox.control("issued")
    assert len(issued) >= 4  # two access tokens, two refresh tokens
    for secret in [SECRET, pasted.partition("code=")[2], *issued]:
        assert secret not in json.dumps([row, renewed]) + printed


def test_revoke_and_forget(airflow: Airflow, sandbox: SandboxProcess) -> None:
    printed, _ = authorize(airflow, "std")
    assert "Connection 'std': the authorization succeeded." in printed
    with pytest.raises(AirflowError, match="Nothing was changed."):
        airflow.cli("oauth", "revoke", "std", stdin="n\n")
    assert sandbox.control("counts")["std"]["revocation_requests"] == 0
    assert airflow.cli("oauth", "revoke", "std", stdin="y\n").endswith(
        "[y/N] Connection 'std': the server revoked 2 tokens, and Airflow deleted the stored tokens.\n"
    )
    assert sandbox.control("counts")["std"]["revocation_requests"] == 2
    (row,) = rows(airflow, "show", "std")
    assert (row["token"], row["consent"]) == ("none", "needed")
    assert airflow.cli("oauth", "revoke", "std") == (
        "Connection 'std': no tokens are stored, so there is nothing to revoke.\n"
    )

    authorize(airflow, "std")
    printed = airflow.cli("oauth", "forget", "std", "--yes").strip()
    assert printed == f"Connection 'std': {FORGOTTEN}"
    with pytest.raises(AirflowError, match=f"tokens were forgotten.*open {airflow.url}/oauth/.conn_id=std") as caught:
        airflow.cli("oauth", "renew", "std")
    assert "Traceback" not in str(caught.value)
    logged = airflow.api("GET", "eventLogs", params={"limit": 100})["event_logs"]
    assert {"cli_oauth_revoke", "cli_oauth_forget"} <= {each["event"] for each in logged}


@pytest.mark.parametrize("allow", [True, False])
def test_authorize_with_a_device_code(airflow: Airflow, sandbox: SandboxProcess, allow: bool) -> None:
    until = r"^Enter this code, log in and consent: (\S+)$"
    process, printed, found = start_authorization(airflow, "std", "--device", until=until)
    page = re.search(r"^(http\S+/standard/device)$", printed, re.MULTILINE)
    assert page, printed
    UserAgent().enter_code(page[1], found[1], allow=allow)
    rest = process.communicate(timeout=120)[0]
    (row,) = rows(airflow, "show", "std")
    assert process.returncode == (0 if allow else 1)
    if allow:
        assert "Connection 'std': the authorization succeeded." in rest
        assert (row["token"], row["consent"]) == ("usable", "given")
        airflow.cli("oauth", "forget", "std", "--yes")
    else:
        assert "Connection 'std': the user declined, or is not allowed to consent (access_denied)." in rest
        assert (row["token"], row["consent"]) == ("none", "needed")
    for secret in (SECRET, *sandbox.control("issued")):
        assert secret not in printed + rest


def test_authorize_refuses_a_device_code_with_a_redirect_uri(airflow: Airflow) -> None:
    with pytest.raises(AirflowError, match="--device needs no redirect URI") as caught:
        airflow.cli("oauth", "authorize", "std", "--device", "--listen")
    assert "Traceback" not in str(caught.value)


def test_revoke_fails_without_a_revocation_url_and_the_tokens_stay(airflow: Airflow) -> None:
    printed, _ = authorize(airflow, "jl", listen=True)
    assert "Connection 'jl': the authorization succeeded." in printed
    with pytest.raises(AirflowError, match="'jl'.*Revocation URL"):
        airflow.cli("oauth", "revoke", "jl", "--yes")
    (row,) = rows(airflow, "show", "jl")
    assert (row["token"], row["consent"]) == ("usable", "given")


def test_authorize_reports_that_the_user_declined(airflow: Airflow) -> None:
    printed, _ = authorize(airflow, "by_consent", allow=False)
    assert "The user declined" in printed
    assert "Traceback" not in printed


def test_an_invalid_connection_is_reported_without_a_traceback(airflow: Airflow) -> None:
    with pytest.raises(AirflowError, match="Token URL .grant_url. is missing") as caught:
        airflow.cli("oauth", "renew", "broken")
    assert "Traceback" not in str(caught.value)


def test_mark_reports_an_unknown_dag_without_a_traceback(airflow: Airflow) -> None:
    with pytest.raises(AirflowError, match="Airflow's database has no DAG 'no_dag'") as caught:
        airflow.cli("oauth", "mark", "no_dag", "contacts", "--set", "2026-01-01")
    assert "Traceback" not in str(caught.value)
