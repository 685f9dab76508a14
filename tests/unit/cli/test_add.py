"""``airflow oauth add``: what it asks for, what it stores, and that no secret is printed."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from airflow_provider_oauth.cli import add as add_module
from airflow_provider_oauth.cli import questions
from airflow_provider_oauth.exceptions import ConfigurationError, TokenRequestError
from airflow_provider_oauth.management import grants
from airflow_provider_oauth.management.grant_check import GrantCheck

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.models import Connection

    from tests.unit.cli.terminal import Terminal

SECRET = "not-a-real-secret+/="  # noqa: S105 - invented

pytestmark = pytest.mark.usefixtures("vendors")


@pytest.fixture(autouse=True)
def stored(monkeypatch: pytest.MonkeyPatch) -> list[Connection]:
    """The connections that were stored in the database."""
    stored: list[Connection] = []
    monkeypatch.setattr(add_module, "check_new_id", lambda conn_id: None)
    monkeypatch.setattr(add_module, "overriding_sources", lambda conn_id: [])
    monkeypatch.setattr(add_module, "store", stored.append)
    return stored


def add(vendor: str = "acme", **options: Any) -> None:
    values = {
        "vendor": vendor, "conn_id": "my_acme", "grant_type": None, "values": None, "login": None, "secret_env": None,
        "scope": None, "fields": None, "redirect_uri": None, "authorize": True,
    }  # fmt: skip
    add_module.add(Namespace(**{**values, **options}))


def extra_of(connection: Connection) -> dict[str, Any]:
    return dict(json.loads(connection.extra or ""))


def test_a_user_answers_the_questions_and_the_connection_is_stored(
    terminal: Terminal, stored: list[Connection], capsys: pytest.CaptureFixture[str]
) -> None:
    terminal.answers = ["", "acme", "2", "my-client", SECRET, "", "later"]
    add()

    (connection,) = stored
    assert (connection.conn_id, connection.conn_type, connection.host) == ("my_acme", "oauth", None)
    assert (connection.login, connection.password) == ("my-client", SECRET)
    assert extra_of(connection) == {
        "vendor": "acme",
        "vendor_values": {"subdomain": "acme", "region": "america"},
        "grant_type": "authorization_code",
        "leeway": 60,
    }
    assert terminal.shown == [
        "Number [1]: ", "Subdomain (for example acme): ", "Number [1]: ", "Client ID: ",
        "Scope [contacts.read]: ", "Number [1]: ",
    ]  # fmt: skip
    assert terminal.hidden == ["Client secret (not shown): "]
    assert SECRET not in capsys.readouterr().out


def test_the_output_has_the_steps_the_summary_and_the_next_step(
    terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal.answers = ["", "acme", "", "my-client", SECRET, "contacts.write", "later"]
    add()

    printed = capsys.readouterr().out
    for part in (
        "Register Airflow at Acme CRM:\n  1. Open Settings → Apps and add an app.\n  2. Enter http://127.0.0.1:8765/ "
        "as Redirect URL. See the guide (https://docs.acme.test/guide).\n"
        "If Acme CRM accepts only https URLs, register https://localhost/",
        "  contacts.read: Contacts, read only\n  contacts.write: Contacts\n",
        "Connection:   my_acme\nVendor:       Acme CRM\nGrant type:   authorization_code\n"
        "API base URL: https://acme.eu.acme.test\nToken URL:    https://acme.eu.acme.test/token\n"
        "Client ID:    my-client\nScope:        contacts.write\n"
        "Redirect URI: http://127.0.0.1:8765/ (must be registered at Acme CRM)\n\n"
        "The connection 'my_acme' was created.\n",
        "Next step: airflow oauth authorize my_acme\n",
        """To see some rows: airflow oauth request my_acme v2/contacts.json --params '{"sort": "id"}'\n""",
        'OAuthExtractOperator(\n    task_id="contacts",\n    oauth_conn_id="my_acme",\n'
        '    endpoint="v2/contacts.json",\n    request_params={"sort": "id"},\n    path="/data/contacts.jsonl",\n)\n',
    ):
        assert part in printed


def test_an_invalid_answer_is_reported_immediately_and_the_question_is_repeated(
    terminal: Terminal, stored: list[Connection], capsys: pytest.CaptureFixture[str]
) -> None:
    terminal.answers = ["client_credentials", "evil.com/", "", "acme", "9", "europe", "my-client", f" {SECRET}", SECRET]
    terminal.answers += ["", "n"]
    add()

    printed = capsys.readouterr().out
    assert "Subdomain (subdomain) in Vendor values (vendor_values) is 'evil.com/'" in printed
    assert "Enter a number from 1 to 2." in printed
    assert "Enter a value. It must not begin or end with a space." in printed
    assert SECRET not in printed
    assert extra_of(stored[0])["vendor_values"] == {"subdomain": "acme", "region": "europe"}


def test_a_user_name_is_only_asked_for_if_the_grant_needs_it(terminal: Terminal, stored: list[Connection]) -> None:
    terminal.answers = ["3", "acme", "", "my-client", SECRET, "reports", "fake-password", "", "n"]
    add()

    assert terminal.hidden == ["Client secret (not shown): ", "User password (not shown): "]
    assert extra_of(stored[0])["username"] == "reports"


def test_options_are_not_asked_for(
    terminal: Terminal, stored: list[Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SECRET", SECRET)
    add(
        grant_type="client_credentials",
        values=[("subdomain", "acme"), ("region", "europe")],
        login="my-client",
        secret_env=[("password", "MY_SECRET")],
        scope="contacts.read",
        fields=[("timeout", "30"), ("api_headers", '{"X-Team": "sales"}')],
        authorize=False,
    )

    assert (terminal.shown, terminal.hidden) == ([], [])
    assert stored[0].password == SECRET
    assert extra_of(stored[0]) == {
        "vendor": "acme",
        "vendor_values": {"subdomain": "acme", "region": "europe"},
        "grant_type": "client_credentials",
        "leeway": 60,
        "timeout": 30,
        "api_headers": {"X-Team": "sales"},
        "scope": "contacts.read",
    }


def test_without_a_terminal_the_error_names_what_is_missing(stored: list[Connection]) -> None:
    with pytest.raises(SystemExit) as caught:
        add(login="my-client")

    assert str(caught.value) == (
        "Some values are missing, and there is no terminal to ask for them: Subdomain (--value subdomain=…), Client "
        "secret (--secret-env client_secret=VARIABLE). Nothing was changed. Run the command again with these options."
    )
    assert stored == []


def test_without_a_terminal_a_typo_in_the_name_of_a_value_is_reported(stored: list[Connection]) -> None:
    with pytest.raises(ConfigurationError, match="has 'subdomian', which Acme CRM does not use. It uses "):
        add(values=[("subdomian", "acme")], login="my-client")

    assert stored == []


def test_without_a_terminal_nothing_is_authorized(
    stored: list[Connection], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_SECRET", SECRET)
    add(values=[("subdomain", "acme")], login="my-client", secret_env=[("password", "MY_SECRET")])

    assert len(stored) == 1
    assert "Next step: airflow oauth authorize my_acme" in capsys.readouterr().out


def test_an_invalid_option_is_an_error(stored: list[Connection], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET", SECRET)
    with pytest.raises(ConfigurationError, match="'shop', which Acme CRM does not use. It uses subdomain, region."):
        add(values=[("subdomain", "acme"), ("shop", "x")], login="my-client", secret_env=[("password", "MY_SECRET")])
    assert stored == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, EOFError])
@pytest.mark.parametrize("before", [[], ["", "acme"], ["", "acme", "", "my-client"], ["", "acme", "", "c", SECRET]])
def test_ctrl_c_at_a_question_stores_nothing(
    error: type[BaseException], before: list[str], terminal: Terminal, stored: list[Connection]
) -> None:
    terminal.answers = [*before, error]
    with pytest.raises(SystemExit, match="^Canceled. Nothing was changed.$"):
        add()
    assert stored == []


def test_after_ctrl_c_the_text_says_that_the_connection_exists(terminal: Terminal, stored: list[Connection]) -> None:
    terminal.answers = ["", "acme", "", "my-client", SECRET, "", KeyboardInterrupt]
    with pytest.raises(SystemExit) as caught:
        add()

    assert len(stored) == 1
    assert str(caught.value) == (
        "Canceled. No tokens were stored.\nThe connection 'my_acme' exists. If necessary, correct it in Airflow's form."
        " Then run: airflow oauth authorize my_acme"
    )


@pytest.mark.parametrize(
    ("redirect_uri", "answer", "used"),
    [
        (None, "", ("http://127.0.0.1:8765/", True)),
        (None, "paste", ("http://127.0.0.1:8765/", False)),
        ("https://localhost/callback", "1", ("https://localhost/callback", False)),
    ],
)
def test_the_user_chooses_how_to_authorize(
    redirect_uri: str | None, answer: str, used: tuple[str, bool], terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, bool]] = []
    monkeypatch.setattr(add_module, "authorize", lambda config, uri, listen: calls.append((uri, listen)))
    terminal.answers = ["", "acme", "", "my-client", SECRET, "", answer]
    add(redirect_uri=redirect_uri)

    assert calls == [used]


def test_the_next_step_has_the_redirect_uri(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.acme.test")
    terminal.answers = ["", "acme", "", "my-client", SECRET, "", "later"]
    add(redirect_uri="https://localhost/")

    printed = capsys.readouterr().out
    assert "OAuth connections, register its redirect URI: https://airflow.acme.test/oauth/callback\n" in printed
    assert "  2. Later, or on the page https://airflow.acme.test/oauth/?conn_id=my_acme\n" in printed
    assert "Next step: airflow oauth authorize my_acme --redirect-uri https://localhost/\n" in printed


def test_an_optional_scope_without_a_default_says_so(terminal: Terminal, vendors: Path) -> None:
    text = 'label = "No Default"\ndocumentation = []\n[fields]\nhost = "https://a.acme.test"\n'
    text += 'grant_url = "https://a.acme.test/token"\n[grants.client_credentials]\n[scopes]\nread = "All"\n'
    (vendors / "no_default.toml").write_text(text)
    terminal.answers = ["my-client", SECRET, "", "n"]
    add("no_default")

    assert "Scope [none]: " in terminal.shown


def test_a_failed_authorization_says_that_the_connection_exists(
    terminal: Terminal, stored: list[Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(config: Any, uri: str, listen: bool) -> None:
        raise TokenRequestError("The server refused the client.")

    monkeypatch.setattr(add_module, "authorize", fail)
    terminal.answers = ["", "acme", "", "my-client", SECRET, "", ""]
    with pytest.raises(SystemExit, match="^The server refused the client.\nThe connection 'my_acme' exists"):
        add()
    assert len(stored) == 1


@pytest.mark.parametrize(("answer", "tests"), [("", 1), ("n", 0)])
def test_the_user_decides_whether_to_test(
    answer: str, tests: int, terminal: Terminal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tested: list[Any] = []
    monkeypatch.setattr(grants, "test", lambda config: tested.append(config) or GrantCheck(True, "it works."))
    terminal.answers = ["2", "acme", "", "my-client", SECRET, "", answer]
    add()

    assert len(tested) == tests
    printed = capsys.readouterr().out
    assert ("Connection 'my_acme': it works." in printed) is (tests == 1)
    assert ("Next step: airflow oauth test my_acme" in printed) is (tests == 0)


def test_a_private_key_is_read_from_a_file_and_checked(
    terminal: Terminal, stored: list[Connection], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    (tmp_path / "key.pem").write_text(pem)
    (tmp_path / "wrong.pem").write_text("not a key")
    terminal.answers = ["http://login.keys.test", "https://login.keys.test", "https://api.keys.test", "my-client"]
    terminal.answers += [str(tmp_path / "nothing"), str(tmp_path / "wrong.pem"), str(tmp_path / "key.pem"), "n"]
    add("key_works")

    printed = capsys.readouterr().out
    assert "Issuer (issuer) uses plain http" in printed
    assert f"The private key file {tmp_path / 'nothing'} cannot be read (FileNotFoundError)." in printed
    assert "a JWK set or a Google service account" in printed
    assert pem.splitlines()[1] not in printed
    assert stored[0].host == "https://api.keys.test"
    assert extra_of(stored[0]) == {
        "vendor": "key_works",
        "grant_type": "client_credentials",
        "leeway": 60,
        "issuer": "https://login.keys.test",
        "private_key": pem.strip(),
    }


def test_the_passphrase_of_an_encrypted_key_is_asked_for(
    terminal: Terminal, stored: list[Connection], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(SECRET.encode()))
    (tmp_path / "key.pem").write_bytes(pem)
    path = str(tmp_path / "key.pem")
    terminal.answers = ["https://login.keys.test", "https://api.keys.test", "my-client", path, "wrong", path, SECRET]
    terminal.answers += ["n"]
    add("key_works")

    assert terminal.hidden == ["Passphrase of the private key (not shown): "] * 2
    assert extra_of(stored[0])["private_key_passphrase"] == SECRET
    assert SECRET not in capsys.readouterr().out


def test_a_key_file_replaces_the_private_key(terminal: Terminal, stored: list[Connection]) -> None:
    terminal.answers = ["https://login.keys.test", "https://api.keys.test", "my-client", "n"]
    add("key_works", fields=[("private_key_file", "/etc/airflow-oauth/client.pem")])

    assert extra_of(stored[0])["private_key_file"] == "/etc/airflow-oauth/client.pem"


def test_a_connection_that_is_defined_elsewhere_is_not_authorized(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(add_module, "overriding_sources", lambda conn_id: ["the environment variable AIRFLOW_CONN_X"])
    terminal.answers = ["", "acme", "", "my-client", SECRET, ""]
    add()

    assert (
        "Warning: 'my_acme' is also defined elsewhere, and Airflow uses that connection instead of this one: the "
        "environment variable AIRFLOW_CONN_X."
    ) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("acmee", "Did you mean acme? "),
        ("Acme", "Did you mean acme? "),
        ("HubSpot", "Did you mean hubspot (HubSpot)? "),
        ("works", "Did you mean key_works? "),
        ("qqqq", ""),
        ("", ""),
    ],
)
def test_an_unknown_vendor_is_an_error_with_similar_names(name: str, text: str, stored: list[Connection]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        add(name)
    end = "To see all vendors, run: airflow oauth vendors"
    assert str(caught.value) == f"The vendor {name!r} is not in the catalogue. {text}{end}"
    assert stored == []


def test_a_vendor_with_its_own_connection_type_is_refused() -> None:
    with pytest.raises(SystemExit, match="^Own Type has its own connection type, 'joor'. Create the connection in"):
        add("own_type")


def test_a_vendor_without_grants_is_refused() -> None:
    with pytest.raises(SystemExit, match="^The vendor file of Lists Only has no grants"):
        add("lists_only")


def test_an_unsupported_grant_type_is_refused() -> None:
    with pytest.raises(SystemExit, match="Use one of authorization_code, client_credentials, password.$"):
        add(grant_type="token_exchange")


def test_a_closed_standard_input_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert questions.has_terminal() is False
