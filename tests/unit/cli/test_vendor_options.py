"""The options of ``airflow oauth add`` with a name and a value, as argparse reads them."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError

import pytest

from airflow_provider_oauth.cli.definition import get_oauth_cli_commands
from airflow_provider_oauth.cli.vendor_options import field_option, option_for, secret_option, value_option
from airflow_provider_oauth.fields import FIELDS

SECRET = "not-a-real-secret"  # noqa: S105 - invented


def parse(*arguments: str) -> dict[str, object]:
    """Return what the command ``add`` gets."""
    parser = ArgumentParser()
    (add,) = [each for each in get_oauth_cli_commands()[0].subcommands if each.name == "add"]
    for arg in add.args:
        arg.add_to_parser(parser)
    return vars(parser.parse_args(["acme", "my_acme", *arguments]))


def test_a_value_may_contain_an_equals_sign() -> None:
    assert value_option(" filter = a=b ") == ("filter", "a=b")


def test_options_can_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X", SECRET)
    found = parse("--value", "a=1", "--value", "b=2", "--secret-env", "client_secret=X", "--field", "timeout=30")

    assert found["values"] == [("a", "1"), ("b", "2")]
    assert found["secret_env"] == [("password", "X")]
    assert found["fields"] == [("timeout", "30")]
    assert found["authorize"] is True
    assert parse("--no-authorize")["authorize"] is False


@pytest.mark.parametrize("text", ["", "a", "a=", "=b", " = "])
def test_a_value_without_a_name_or_a_text_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="NAME=VALUE"):
        value_option(text)


@pytest.mark.parametrize("name", ["password", "client_secret", *(name for name, each in FIELDS.items() if each.secret)])
def test_a_secret_in_an_option_is_refused_before_the_audit_log_and_not_printed(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse("--field", f"{name}={SECRET}")

    printed = capsys.readouterr().err
    assert "is secret, and other users can see command lines" in printed
    assert SECRET not in printed


def test_a_secret_instead_of_a_variable_is_refused_before_the_audit_log_and_not_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMPTY", "")
    for text in (SECRET, "EMPTY"):
        with pytest.raises(SystemExit):
            parse("--secret-env", f"client_secret={text}")

        printed = capsys.readouterr().err
        assert "variable for client_secret in --secret-env is not set or is empty. Enter the name" in printed
        assert SECRET not in printed


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("vendor=x", "Use the argument VENDOR instead of --field for vendor."),
        ("grant_type=x", "Use --grant-type instead of --field for grant_type."),
        ("isuer=x", "A connection has no field 'isuer'."),
    ],
)
def test_other_fields_that_the_option_cannot_set_are_refused(text: str, error: str) -> None:
    with pytest.raises(ArgumentTypeError, match=error):
        field_option(text)


def test_only_secret_fields_can_come_from_the_environment() -> None:
    assert secret_option("user_password=HOME") == ("user_password", "HOME")
    with pytest.raises(ArgumentTypeError, match="'scope' is not a secret field. Use one of client_secret, "):
        secret_option("scope=X")


@pytest.mark.parametrize(
    ("name", "is_value", "is_secret", "option"),
    [
        ("subdomain", True, False, "--value subdomain=…"),
        ("password", False, True, "--secret-env client_secret=VARIABLE"),
        ("user_password", False, True, "--secret-env user_password=VARIABLE"),
        ("login", False, False, "--login …"),
        ("issuer", False, False, "--field issuer=…"),
    ],
)
def test_messages_name_the_option(name: str, is_value: bool, is_secret: bool, option: str) -> None:
    assert option_for(name, is_value=is_value, is_secret=is_secret) == option
