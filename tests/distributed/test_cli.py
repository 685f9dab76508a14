"""``airflow oauth …`` as a person types it, on a real Airflow, against the sandbox's login and consent page."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.airflow import Airflow, AirflowError
from sandbox.server import SandboxProcess
from sandbox.user_agent import UserAgent
from tests.distributed.pages import use_and_forget

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "not-a-real-secret+/="
BACK = "https://airflow.example.com/oauth/callback"


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
    """With connections in the database, where a form puts them; no worker is needed."""
    dags = tmp_path_factory.mktemp("cli_dags")
    elsewhere = {"AIRFLOW_CONN_OF_ENV": json.dumps({"conn_type": "justlogin", "login": "cli", "password": SECRET})}
    with Airflow(tmp_path_factory.mktemp("cli_airflow"), dags, elsewhere) as airflow:
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
    """Type the command, and do in a browser what it says.

    :param allow: whether the user consents
    :param listen: let the browser follow the redirect, instead of pasting its URL
    :return: what the command said to that, and the URL of the redirect
    """
    way = ["--listen"] if listen else ["--redirect-uri", BACK]
    command = [sys.executable, "-m", "airflow", "oauth", "authorize", conn_id, *way]
    process = subprocess.Popen(
        command, env=airflow.env, cwd=airflow.home, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    said = ""
    while not (found := re.search(r"^(http\S+/authorize\?\S+)$", said, re.MULTILINE)):
        line = process.stdout.readline()
        assert line, said
        said += line
    redirect = UserAgent().consent(found[1], allow=allow)
    registered = re.search(r"^Redirect URI \(must be registered at the server\): (\S+)$", said, re.MULTILINE)
    assert registered, said
    assert redirect.startswith(f"{registered[1]}?")
    if listen:
        assert "Airflow has the answer" in UserAgent().get(redirect).text
    return process.communicate(None if listen else redirect + "\n", timeout=120)[0], redirect


def test_list_shows_our_types_and_what_is_wrong_with_them(airflow: Airflow) -> None:
    found = {row["conn_id"]: row for row in rows(airflow, "list")}
    assert found.keys() == {"by_consent", "jl", "broken", "markup", "std"}
    assert found["by_consent"]["consent"] == found["jl"]["consent"] == "needed"
    assert "Token URL" in found["broken"]["error"]
    assert found["broken"]["token"] is None
    for conn_id, said in {"broken": "Token URL", "markup": r"\[/bold\]"}.items():
        with pytest.raises(AirflowError, match=said) as caught:
            airflow.cli("oauth", "show", conn_id)
        assert "Traceback" not in str(caught.value)


def test_check_lists_what_needs_a_person_and_names_what_cannot_be_listed(airflow: Airflow) -> None:
    with pytest.raises(AirflowError) as caught:
        airflow.cli("oauth", "check", "--output", "json")
    found = str(caught.value)
    assert all(conn_id in found for conn_id in ("by_consent", "jl", "broken", "markup", "std"))
    assert "A user has to authorize the connection" in found
    assert "Not listed: connections in environment variables: AIRFLOW_CONN_OF_ENV." in found
    assert "Traceback" not in found
    with pytest.raises(AirflowError, match="of_env") as caught:
        airflow.cli("oauth", "check", "of_env")
    assert "Not listed" not in str(caught.value)


def test_test_says_whether_the_server_accepts_the_client_and_what_comes_next(
    airflow: Airflow, sandbox: SandboxProcess
) -> None:
    said = airflow.cli("oauth", "test", "std")
    assert "accepted the client" in said
    assert said.endswith("Now click Authorize.\nOr run: airflow oauth authorize std\n")
    with pytest.raises(AirflowError, match="grant_url .Token URL. is missing"):
        airflow.cli("oauth", "test", "broken")
    assert SECRET not in said


def test_authorize_and_renew(airflow: Airflow, sandbox: SandboxProcess) -> None:
    conn_id = "jl"
    said, pasted = authorize(airflow, conn_id)
    assert f"Authorized: {conn_id}." in said
    (row,) = rows(airflow, "show", conn_id)
    # JustLogin does not say when a refresh token ends.
    assert (row["token"], row["consent"], row["consent_by"], row["error"]) == ("usable", "given", None, None)
    assert row["missing_scopes"] == []
    assert "No connection needs attention." in airflow.cli("oauth", "check", conn_id)
    (renewed,) = rows(airflow, "renew", conn_id)
    assert renewed["renewed_at"] >= row["renewed_at"]
    issued = sandbox.control("issued")
    assert len(issued) >= 4  # two access tokens, two refresh tokens
    for secret in [SECRET, pasted.partition("code=")[2], *issued]:
        assert secret not in json.dumps([row, renewed]) + said


def test_revoke_and_forget(airflow: Airflow, sandbox: SandboxProcess) -> None:
    said, _ = authorize(airflow, "std")
    assert "Authorized: std." in said
    with pytest.raises(AirflowError, match="Nothing was done."):
        airflow.cli("oauth", "revoke", "std", stdin="n\n")
    assert sandbox.control("counts")["std"]["revocation_requests"] == 0
    assert airflow.cli("oauth", "revoke", "std", stdin="y\n").endswith(
        "[y/N] The server has revoked the tokens of std (2), and Airflow has forgotten them.\n"
    )
    assert sandbox.control("counts")["std"]["revocation_requests"] == 2
    (row,) = rows(airflow, "show", "std")
    assert (row["token"], row["consent"]) == ("none", "needed")
    assert airflow.cli("oauth", "revoke", "std") == "Nothing is stored for std, so there is nothing to revoke.\n"

    authorize(airflow, "std")
    said = airflow.cli("oauth", "forget", "std", "--yes").strip()
    assert said == "Forgot the tokens of std. The server was not told; it still takes them."
    with pytest.raises(AirflowError, match=f"tokens were forgotten.*open {airflow.url}/oauth/.conn_id=std") as caught:
        airflow.cli("oauth", "renew", "std")
    assert "Traceback" not in str(caught.value)
    logged = airflow.api("GET", "eventLogs", params={"limit": 100})["event_logs"]
    assert {"cli_oauth_revoke", "cli_oauth_forget"} <= {each["event"] for each in logged}


def test_what_the_server_cannot_take_back_is_told(airflow: Airflow) -> None:
    said, _ = authorize(airflow, "jl", listen=True)
    assert "Authorized: jl." in said
    with pytest.raises(AirflowError, match="'jl'.*Revocation URL"):
        airflow.cli("oauth", "revoke", "jl", "--yes")
    (row,) = rows(airflow, "show", "jl")
    assert (row["token"], row["consent"]) == ("usable", "given")


def test_declined_is_told(airflow: Airflow) -> None:
    said, _ = authorize(airflow, "by_consent", allow=False)
    assert "The user declined" in said
    assert "Traceback" not in said


def test_what_cannot_be_is_told_in_a_sentence(airflow: Airflow) -> None:
    with pytest.raises(AirflowError, match="grant_url .Token URL. is missing") as caught:
        airflow.cli("oauth", "renew", "broken")
    assert "Traceback" not in str(caught.value)
