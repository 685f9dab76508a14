"""The output, questions and exit codes of the commands of ``airflow oauth``."""

from __future__ import annotations

import inspect
import json
import re
from argparse import Namespace
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_oauth.cli import commands
from airflow_provider_oauth.cli.loopback import Loopback
from airflow_provider_oauth.exceptions import ConsentDenied
from airflow_provider_oauth.management import grants, messages
from airflow_provider_oauth.management.connections import UnlistedSources
from airflow_provider_oauth.management.grant_check import GrantCheck
from airflow_provider_oauth.management.status import ConnectionStatus
from airflow_provider_oauth.protocol.advice import OFFLINE_ACCESS
from airflow_provider_oauth.protocol.device_authorization import DeviceAuthorization
from airflow_provider_oauth.protocol.token import Token
from tests.connections import oauth_config

NOW = datetime.now(UTC)
CONFIG = oauth_config(grant_type="authorization_code")
TOKEN = Token(access_token="fake-token", issued_at=NOW, expires_at=NOW + timedelta(hours=1))
STATUS = ConnectionStatus(conn_id="shop", conn_type="oauth", config=CONFIG, token=TOKEN, usable=True)


@pytest.fixture(autouse=True)
def connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """One connection in the database."""
    monkeypatch.setattr(commands, "get_config", lambda conn_id: CONFIG)
    monkeypatch.setattr(commands, "check_exists", lambda conn_id: None)
    monkeypatch.setattr(commands, "list_conn_ids", lambda session: ["shop"])
    monkeypatch.setattr(commands, "unlisted_sources", lambda listed: UnlistedSources([], []))
    set_status(monkeypatch, STATUS)


def set_status(monkeypatch: pytest.MonkeyPatch, status: ConnectionStatus) -> None:
    monkeypatch.setattr(commands, "get_status", lambda conn_id: status)


def run(command: str, **args: Any) -> None:
    """Run a command without Airflow's decorators."""
    values = {"conn_id": "shop", "conn_ids": [], "output": "json", "yes": False, **args}
    inspect.unwrap(getattr(commands, f"oauth_{command}"))(Namespace(**values))


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> list[str]:
    """Answer every question with ``text``, and return the list to which the questions are added."""
    questions: list[str] = []
    monkeypatch.setattr("builtins.input", lambda question="": questions.append(question) or text)
    return questions


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The actions that were run."""
    done: list[str] = []
    monkeypatch.setattr(grants, "is_empty", lambda config: False)
    monkeypatch.setattr(grants, "revoke", lambda config: done.append("revoke") or 2)
    monkeypatch.setattr(grants, "forget", lambda config: done.append("forget"))
    return done


@pytest.mark.parametrize("command", ["revoke", "forget"])
@pytest.mark.parametrize("text", ["y", "Y", "yes", " YES "])
def test_revoke_and_forget_run_after_the_answer_yes(
    command: str, text: str, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = answer(monkeypatch, text)
    run(command)

    assert done == [command]
    assert questions[0].startswith(messages.CONSEQUENCES[command])
    assert questions[0].endswith(
        f" A user must then authorize the connection again. {command.capitalize()} the tokens of shop? [y/N] "
    )


@pytest.mark.parametrize("command", ["revoke", "forget"])
@pytest.mark.parametrize("text", ["", "n", "no", "yesterday"])
def test_revoke_and_forget_do_nothing_after_any_other_answer(
    command: str, text: str, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, text)
    with pytest.raises(SystemExit, match="^Canceled. Nothing was changed.$"):
        run(command)

    assert done == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, EOFError])
def test_revoke_and_forget_do_nothing_after_ctrl_c_at_the_question(
    error: type[BaseException], done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(question: str) -> str:
        raise error

    monkeypatch.setattr("builtins.input", interrupted)
    with pytest.raises(SystemExit, match="^Canceled. Nothing was changed.$"):
        run("revoke")

    assert done == []


@pytest.mark.parametrize("command", ["revoke", "forget"])
def test_revoke_and_forget_do_not_ask_with_the_option_yes(
    command: str, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = answer(monkeypatch, "n")
    run(command, yes=True)

    assert (done, questions) == ([command], [])


@pytest.mark.parametrize("command", ["revoke", "forget"])
def test_revoke_and_forget_report_that_there_is_nothing_to_do(
    command: str,
    done: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    questions = answer(monkeypatch, "y")
    monkeypatch.setattr(grants, "is_empty", lambda config: True)
    run(command)

    assert capsys.readouterr().out == f"Connection 'shop': no tokens are stored, so there is nothing to {command}.\n"
    assert (done, questions) == ([], [])


@pytest.mark.usefixtures("done")
@pytest.mark.parametrize(
    ("command", "result"),
    [("revoke", messages.revoked(2)), ("forget", messages.FORGOTTEN)],
)
def test_revoke_and_forget_report_the_result(command: str, result: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(command, yes=True)

    assert capsys.readouterr().out == f"Connection 'shop': {result}\n"


def test_the_command_show_has_null_for_unknown_values(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_status(monkeypatch, ConnectionStatus(conn_id="shop", is_known=False, error="Token URL is missing."))
    with pytest.raises(SystemExit) as caught:
        run("show")

    assert caught.value.code == 1
    unknown = (
        "conn_type",
        "vendor",
        "grant_type",
        "token",
        "expires_at",
        "renewed_at",
        "consent",
        "consent_by",
        "callback",
    )
    assert json.loads(capsys.readouterr().out) == [
        {"conn_id": "shop", **dict.fromkeys((*unknown, "callback", "missing_scopes")), "error": "Token URL is missing."}
    ]


def test_the_command_show_has_no_error_and_no_missing_scopes_for_a_working_connection(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run("show")

    (row,) = json.loads(capsys.readouterr().out)
    assert (row["token"], row["consent"], row["consent_by"]) == ("usable", "given", None)
    assert (row["missing_scopes"], row["error"]) == ([], None)


def test_the_command_show_lists_the_callback_values(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_status(monkeypatch, replace(STATUS, callback={"realm_id": "123", "shop": "[red]x"}))
    run("show")
    (row,) = json.loads(capsys.readouterr().out)
    run("show", output="table")

    assert row["callback"] == ["realm_id=123", "shop=[red]x"]
    assert "shop=[red]x" in "".join(capsys.readouterr().out.split())


def test_the_command_show_has_the_label_of_the_vendor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_status(monkeypatch, replace(STATUS, config=oauth_config(vendor_label="HubSpot")))
    run("show")

    assert json.loads(capsys.readouterr().out)[0]["vendor"] == "HubSpot"


def test_the_command_show_lists_scopes_that_were_not_granted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_status(monkeypatch, replace(STATUS, missing_scopes=("admin", "write")))
    run("show")
    (row,) = json.loads(capsys.readouterr().out)
    run("show", output="table")

    assert row["missing_scopes"] == ["admin", "write"]
    assert "admin, write" in capsys.readouterr().out


def test_the_command_show_has_never_for_a_token_that_never_expires(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_status(monkeypatch, replace(STATUS, token=replace(TOKEN, expires_at=None)))
    run("show")

    assert json.loads(capsys.readouterr().out)[0]["expires_at"] == "never"


@pytest.mark.parametrize("output", ["table", "plain"])
def test_the_command_show_leaves_cells_of_unknown_values_empty(output: str, capsys: pytest.CaptureFixture[str]) -> None:
    run("show", output=output)

    assert "None" not in capsys.readouterr().out


@pytest.mark.parametrize("works", [True, None])
def test_the_command_test_prints_the_result(
    works: bool | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(grants, "test", lambda config: GrantCheck(works, "the result."))
    run("test")

    assert capsys.readouterr().out == "Connection 'shop': the result.\n"


def test_the_command_test_fails_if_the_connection_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grants, "test", lambda config: GrantCheck(False, "It was refused."))
    with pytest.raises(SystemExit, match="^Connection 'shop': It was refused.$"):
        run("test")


def test_the_command_test_names_the_command_that_comes_next(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(grants, "test", lambda config: GrantCheck(True, "accepted.", needs_authorization=True))
    run("test")

    assert capsys.readouterr().out.endswith("accepted.\nNext step: airflow oauth authorize shop\n")


def test_the_command_check_reports_that_no_connection_needs_attention(capsys: pytest.CaptureFixture[str]) -> None:
    run("check", output="table")
    assert capsys.readouterr().out == "No connection needs attention.\n"
    run("check")
    assert json.loads(capsys.readouterr().out) == []


def test_the_command_check_fails_and_reports_what_a_user_must_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_status(monkeypatch, replace(STATUS, token=None, needs_consent=True))
    with pytest.raises(SystemExit) as caught:
        run("check")

    assert caught.value.code == 1
    problem = "A user must authorize the connection: no refresh token is stored."
    assert json.loads(capsys.readouterr().out) == [{"conn_id": "shop", "problem": problem}]


def test_the_command_check_checks_the_connections_that_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checked: list[str] = []
    monkeypatch.setattr(commands, "get_status", lambda conn_id: checked.append(conn_id) or STATUS)
    run("check", conn_ids=["one", "two"])

    assert checked == ["one", "two"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("command", ["list", "check"])
def test_places_of_connections_that_cannot_be_listed_are_printed_to_stderr(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        commands, "unlisted_sources", lambda listed: UnlistedSources(["AIRFLOW_CONN_A"], ["VaultBackend"])
    )
    run(command)

    printed = capsys.readouterr()
    assert printed.err == (
        "Connections in environment variables are not listed: AIRFLOW_CONN_A. The secrets backend VaultBackend may "
        "have more connections, but cannot list them. To see one of these connections, run: airflow oauth show "
        "CONN_ID\n"
    )
    json.loads(printed.out)


def test_ctrl_c_outside_a_question_does_not_claim_that_nothing_was_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(conn_id: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "allow_database_connections", lambda: None)
    monkeypatch.setattr(commands, "get_config", interrupted)
    with pytest.raises(SystemExit, match="^Stopped. To see what is stored, run: airflow oauth show CONN_ID$"):
        commands.oauth_test(Namespace(conn_id="shop", verbose=False))


def test_authorize_prints_the_redirect_uri_to_register(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(grants, "begin_authorization", lambda config, request: "https://login.example.com/authorize")
    monkeypatch.setattr(Loopback, "wait_for_callback", lambda self, state: "/?error=access_denied&state=" + state)
    with pytest.raises(ConsentDenied):
        run("authorize", listen=True, redirect_uri=None, device=False)

    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"Redirect URI \(must be registered at the server\): http://127\.0\.0\.1:\d+/", lines[0])
    assert "Waiting for the browser, for at most 10 minutes …" in lines


@pytest.mark.parametrize(
    ("url", "is_short"), [("https://a.test/?request_uri=urn%3Ax", True), ("https://a.test/request_uri=", False)]
)
def test_authorize_says_that_the_url_of_a_pushed_request_expires_soon(
    url: str, is_short: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(grants, "begin_authorization", lambda config, request: url)
    answer(monkeypatch, "x")
    with pytest.raises(SystemExit):
        run("authorize", listen=False, redirect_uri=None, device=False)

    assert ("for a short time only" in capsys.readouterr().out) is is_short


@pytest.mark.parametrize("text", ["x", "", "http://127.0.0.1:8765/"])
def test_authorize_refuses_a_pasted_text_without_a_state_before_it_stores_anything(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(grants, "begin_authorization", lambda config, request: "https://login.example.com/authorize")
    monkeypatch.setattr(grants, "finish_authorization", lambda config, request, callback: pytest.fail("was called"))
    answer(monkeypatch, text)
    with pytest.raises(SystemExit, match="^This text is not the URL that the browser opened after the consent. "):
        run("authorize", listen=False, redirect_uri=None, device=False)

    assert "Storing" not in capsys.readouterr().out


@pytest.mark.parametrize("needs_consent", [True, False])
def test_authorize_explains_how_to_request_a_refresh_token_if_there_is_none(
    needs_consent: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now(UTC)
    token = Token(access_token="fake-token", issued_at=now, expires_at=now + timedelta(hours=1))
    monkeypatch.setattr(grants, "begin_authorization", lambda config, request: "https://login.example.com/authorize")
    monkeypatch.setattr(grants, "finish_authorization", lambda config, request, callback: token)
    status = replace(
        STATUS, needs_consent=needs_consent, has_refresh_token=not needs_consent, missing_scopes=("write",)
    )
    monkeypatch.setattr(grants, "status", lambda config: status)
    answer(monkeypatch, "https://localhost/?code=c&state=s")
    run("authorize", listen=False, redirect_uri=None, device=False)

    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("Connection 'shop': the authorization succeeded. The token is valid until ")
    assert last.endswith("The server did not grant these scopes: write.")
    advice = f"The server issued no refresh token, so tasks cannot renew the token. {OFFLINE_ACCESS}"
    assert (advice if needs_consent else "Tasks renew the token from now on.") in last


DEVICE = DeviceAuthorization(
    device_code="fake-device-code",
    user_code="WDJB-MJHT",
    verification_uri="https://login.example.com/device",
    verification_uri_complete="https://login.example.com/device?user_code=WDJB-MJHT",
    expires_in=900,
)


def authorize_device(monkeypatch: pytest.MonkeyPatch, device: DeviceAuthorization = DEVICE) -> None:
    waited: list[DeviceAuthorization] = []
    monkeypatch.setattr(grants, "begin_device_authorization", lambda config: device)
    monkeypatch.setattr(grants, "finish_device_authorization", lambda config, device: waited.append(device) or TOKEN)
    monkeypatch.setattr(grants, "status", lambda config: replace(STATUS, has_refresh_token=True))
    run("authorize", listen=False, redirect_uri=None, device=True)
    assert waited == [device]


def test_authorize_with_device_prints_the_url_and_the_code_but_not_the_device_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    authorize_device(monkeypatch)

    printed = capsys.readouterr().out
    assert printed.startswith(
        "Open this URL in a browser on any machine:\n\nhttps://login.example.com/device\n\n"
        "Enter this code, log in and consent: WDJB-MJHT\n\n"
        "This URL already contains the code:\n\nhttps://login.example.com/device?user_code=WDJB-MJHT\n\n"
        "Waiting for your consent, for at most 15 minutes …\n"
        "Connection 'shop': the authorization succeeded. The token is valid until "
    )
    assert "fake-device-code" not in printed


def test_authorize_with_device_prints_no_url_with_the_code_if_there_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    authorize_device(monkeypatch, replace(DEVICE, verification_uri_complete=None, expires_in=30))

    printed = capsys.readouterr().out
    assert "already contains the code" not in printed
    assert "for at most 1 minute …" in printed


@pytest.mark.parametrize("other", [{"listen": True}, {"redirect_uri": "http://127.0.0.1:1/"}])
def test_authorize_refuses_device_with_options_about_the_redirect_uri(
    other: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grants, "begin_device_authorization", lambda config: pytest.fail("was called"))
    with pytest.raises(SystemExit, match="^--device needs no redirect URI"):
        run("authorize", **{"listen": False, "redirect_uri": None, "device": True, **other})


def test_ctrl_c_while_authorize_waits_does_not_claim_that_nothing_was_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(config: Any, device: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "allow_database_connections", lambda: None)
    monkeypatch.setattr(grants, "begin_device_authorization", lambda config: DEVICE)
    monkeypatch.setattr(grants, "finish_device_authorization", interrupted)
    # The decorator that writes to the audit log needs the arguments of a command.
    authorize = commands._command(inspect.unwrap(commands.oauth_authorize))
    with pytest.raises(SystemExit, match="^Stopped. To see what is stored, run: airflow oauth show CONN_ID$"):
        authorize(Namespace(conn_id="shop", verbose=False, device=True, listen=False, redirect_uri=None))
