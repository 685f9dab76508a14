"""What ``airflow oauth …`` prints, asks and returns."""

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
from airflow_provider_oauth.exceptions import ConsentDenied
from airflow_provider_oauth.management import grants
from airflow_provider_oauth.management.connections import Overview, Unlisted
from airflow_provider_oauth.management.grant_check import GrantCheck
from airflow_provider_oauth.management.grants import Status
from airflow_provider_oauth.protocol.advice import OFFLINE_ACCESS
from airflow_provider_oauth.protocol.token import Token
from tests.connections import oauth_config

NOW = datetime.now(UTC)
CONFIG = oauth_config(grant_type="authorization_code")
TOKEN = Token(access_token="fake-token", issued_at=NOW, expires_at=NOW + timedelta(hours=1))
STATUS = Status(token=TOKEN, usable=True, changed=False, needs_consent=False, consent_by=None, error="")
SHOWN = Overview(conn_id="shop", conn_type="oauth", config=CONFIG, status=STATUS)


@pytest.fixture(autouse=True)
def connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """One connection, in the database."""
    monkeypatch.setattr(commands, "config_of", lambda conn_id: CONFIG)
    monkeypatch.setattr(commands, "check", lambda conn_id: None)
    monkeypatch.setattr(commands, "conn_ids", lambda session: ["shop"])
    monkeypatch.setattr(commands, "unlisted", lambda listed: Unlisted([], []))
    show(monkeypatch, SHOWN)


def show(monkeypatch: pytest.MonkeyPatch, shown: Overview) -> None:
    monkeypatch.setattr(commands, "overview", lambda conn_id: shown)


def run(command: str, **args: Any) -> None:
    """Run a command without what Airflow does around it."""
    values = {"conn_id": "shop", "conn_ids": [], "output": "json", "yes": False, **args}
    inspect.unwrap(getattr(commands, f"oauth_{command}"))(Namespace(**values))


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> list[str]:
    """Answer every question; return the list that gets them."""
    questions: list[str] = []
    monkeypatch.setattr("builtins.input", lambda question="": questions.append(question) or text)
    return questions


class TestRevokeAndForget:
    @pytest.fixture(autouse=True)
    def done(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        done: list[str] = []
        monkeypatch.setattr(grants, "is_empty", lambda config: False)
        monkeypatch.setattr(grants, "revoke", lambda config: done.append("revoke") or 2)
        monkeypatch.setattr(grants, "forget", lambda config: done.append("forget"))
        return done

    @pytest.mark.parametrize("command", ["revoke", "forget"])
    @pytest.mark.parametrize("text", ["y", "Y", "yes", " YES "])
    def test_act_after_a_yes(self, command: str, text: str, done: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        questions = answer(monkeypatch, text)
        run(command)

        assert done == [command]
        assert questions[0].startswith(f"{command.capitalize()} the tokens of shop")
        assert questions[0].endswith("A user must then authorize the connection again. [y/N] ")

    @pytest.mark.parametrize("command", ["revoke", "forget"])
    @pytest.mark.parametrize("text", ["", "n", "no", "yesterday"])
    def test_do_nothing_after_anything_else(
        self, command: str, text: str, done: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answer(monkeypatch, text)
        with pytest.raises(SystemExit, match="^Nothing was done.$"):
            run(command)

        assert done == []

    @pytest.mark.parametrize("command", ["revoke", "forget"])
    def test_ask_nothing_with_yes(self, command: str, done: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        questions = answer(monkeypatch, "n")
        run(command, yes=True)

        assert (done, questions) == ([command], [])

    @pytest.mark.parametrize("command", ["revoke", "forget"])
    def test_report_that_there_is_nothing_to_do(
        self,
        command: str,
        done: list[str],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        questions = answer(monkeypatch, "y")
        monkeypatch.setattr(grants, "is_empty", lambda config: True)
        run(command)

        assert capsys.readouterr().out == f"Nothing is stored for shop, so there is nothing to {command}.\n"
        assert (done, questions) == ([], [])


class TestShow:
    def test_has_null_for_what_is_not_known(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        show(monkeypatch, Overview(conn_id="shop", error="Token URL is missing."))
        with pytest.raises(SystemExit) as caught:
            run("show")

        assert caught.value.code == 1
        unknown = ("conn_type", "grant_type", "token", "expires_at", "renewed_at", "consent", "consent_by")
        assert json.loads(capsys.readouterr().out) == [
            {"conn_id": "shop", **dict.fromkeys((*unknown, "missing_scopes")), "error": "Token URL is missing."}
        ]

    def test_has_no_error_and_all_scopes_of_a_working_connection(self, capsys: pytest.CaptureFixture[str]) -> None:
        run("show")

        (row,) = json.loads(capsys.readouterr().out)
        assert (row["token"], row["consent"], row["consent_by"]) == ("usable", "given", None)
        assert (row["missing_scopes"], row["error"]) == ([], None)

    def test_lists_scopes_that_were_not_granted(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        show(monkeypatch, replace(SHOWN, status=replace(STATUS, missing_scopes=("admin", "write"))))
        run("show")
        (row,) = json.loads(capsys.readouterr().out)
        run("show", output="table")

        assert row["missing_scopes"] == ["admin", "write"]
        assert "admin, write" in capsys.readouterr().out

    def test_has_never_for_a_token_that_does_not_expire(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        show(monkeypatch, replace(SHOWN, status=replace(STATUS, token=replace(TOKEN, expires_at=None))))
        run("show")

        assert json.loads(capsys.readouterr().out)[0]["expires_at"] == "never"

    @pytest.mark.parametrize("output", ["table", "plain"])
    def test_leaves_cells_empty_for_what_is_not_known(self, output: str, capsys: pytest.CaptureFixture[str]) -> None:
        run("show", output=output)

        assert "None" not in capsys.readouterr().out


class TestTest:
    @pytest.mark.parametrize("works", [True, None])
    def test_prints_the_result(
        self, works: bool | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(grants, "test", lambda config: GrantCheck(works, "It is so."))
        run("test")

        assert capsys.readouterr().out == "Connection 'shop': It is so.\n"

    def test_fails_if_the_connection_does_not_work(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(grants, "test", lambda config: GrantCheck(False, "It was refused."))
        with pytest.raises(SystemExit, match="^Connection 'shop': It was refused.$"):
            run("test")

    def test_names_the_command_that_comes_next(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(grants, "test", lambda config: GrantCheck(True, "Accepted. Now click Authorize."))
        run("test")

        assert capsys.readouterr().out.endswith(
            "Accepted. Now click Authorize.\nOr run: airflow oauth authorize shop\n"
        )


class TestCheck:
    def test_is_silent_where_nobody_has_to_act(self, capsys: pytest.CaptureFixture[str]) -> None:
        run("check", output="table")
        assert capsys.readouterr().out == "No connection needs attention.\n"
        run("check")
        assert json.loads(capsys.readouterr().out) == []

    def test_fails_and_says_what_to_do_where_somebody_has_to(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        show(monkeypatch, replace(SHOWN, status=replace(STATUS, token=None, needs_consent=True)))
        with pytest.raises(SystemExit) as caught:
            run("check")

        assert caught.value.code == 1
        problem = "A user has to authorize the connection: no refresh token is stored."
        assert json.loads(capsys.readouterr().out) == [{"conn_id": "shop", "problem": problem}]

    def test_looks_at_the_connections_that_are_named(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        looked: list[str] = []
        monkeypatch.setattr(commands, "overview", lambda conn_id: looked.append(conn_id) or SHOWN)
        run("check", conn_ids=["one", "two"])

        assert looked == ["one", "two"]
        assert capsys.readouterr().err == ""


@pytest.mark.parametrize("command", ["list", "check"])
def test_what_cannot_be_listed_is_named_on_stderr(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands, "unlisted", lambda listed: Unlisted(["AIRFLOW_CONN_A"], ["VaultBackend"]))
    run(command)

    printed = capsys.readouterr()
    assert printed.err == (
        "Not listed: connections in environment variables: AIRFLOW_CONN_A; and in the secrets backend VaultBackend, "
        "which finds connections only by their ID. To see one of them: airflow oauth show CONN_ID\n"
    )
    json.loads(printed.out)


def test_authorize_prints_the_redirect_uri_to_register(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(grants, "begin_authorization", lambda config, consent: "https://login.example.com/authorize")
    monkeypatch.setattr(commands.Loopback, "answer", lambda self, state: "/?error=access_denied&state=" + state)
    with pytest.raises(ConsentDenied):
        run("authorize", listen=True, redirect_uri=None)

    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"Redirect URI \(must be registered at the server\): http://127\.0\.0\.1:\d+/", lines[0])
    assert "Waiting for the browser, for 10 minutes at most …" in lines


@pytest.mark.parametrize("needs_consent", [True, False])
def test_authorize_recommends_how_to_request_a_refresh_token_if_there_is_none(
    needs_consent: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now(UTC)
    token = Token(access_token="fake-token", issued_at=now, expires_at=now + timedelta(hours=1))
    monkeypatch.setattr(grants, "begin_authorization", lambda config, consent: "https://login.example.com/authorize")
    monkeypatch.setattr(grants, "finish_authorization", lambda config, consent, answer: token)
    status = Status(
        token=token,
        usable=True,
        changed=False,
        needs_consent=needs_consent,
        consent_by=None,
        error="",
        has_refresh_token=not needs_consent,
        missing_scopes=("write",),
    )
    monkeypatch.setattr(grants, "status", lambda config: status)
    answer(monkeypatch, "https://localhost/?code=c")
    run("authorize", listen=False, redirect_uri=None)

    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("Authorized: shop.")
    assert last.endswith("Not granted: write.")
    advice = f"The server issued no refresh token, so tasks cannot renew it. {OFFLINE_ACCESS}"
    assert (advice if needs_consent else "Tasks renew it from now on.") in last
