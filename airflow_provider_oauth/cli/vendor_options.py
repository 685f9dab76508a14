"""Options of ``airflow oauth add`` that have a name and a value. Airflow imports this module for every command."""

from __future__ import annotations

import os
from argparse import ArgumentTypeError

from airflow_provider_oauth.fields import FIELDS

#: Other names of secret fields in the option ``--secret-env``.
SECRETS = {"client_secret": "password", **{name: name for name, field in FIELDS.items() if field.secret}}
#: Fields that have their own arguments of the command.
ARGUMENTS = {"vendor": "the argument VENDOR", "vendor_values": "--value", "grant_type": "--grant-type"}

Pair = tuple[str, str]


def value_option(text: str) -> Pair:
    """Return the name and the text of ``NAME=VALUE``.

    :param text: the argument of ``--value``
    :raises ArgumentTypeError: if it has no name or no value
    """
    name, found, value = text.partition("=")
    if not (name.strip() and found and value.strip()):
        raise ArgumentTypeError("The value must have the form NAME=VALUE.")
    return name.strip(), value.strip()


def field_option(text: str) -> Pair:
    """Return the key and the text of a field that is not secret.

    :param text: the argument of ``--field``
    :raises ArgumentTypeError: if there is no such field, or it is secret. The text does not contain the value
    """
    name, value = value_option(text)
    if name in SECRETS or name == "password":
        raise ArgumentTypeError(
            f"The field {name} is secret, and other users can see command lines. Set an environment variable, and use "
            f"--secret-env {_option_name(name)}=VARIABLE."
        )
    if name in ARGUMENTS:
        raise ArgumentTypeError(f"Use {ARGUMENTS[name]} instead of --field for {name}.")
    if name not in FIELDS and name not in ("host", "login"):
        raise ArgumentTypeError(f"A connection has no field {name!r}. See the documentation of connections.")
    return name, value


def secret_option(text: str) -> Pair:
    """Return the key of a secret field, and the name of the environment variable with its value.

    :param text: the argument of ``--secret-env``
    :raises ArgumentTypeError: if there is no such secret field, or no such variable. The text does not contain the
        name of the variable
    """
    name, variable = value_option(text)
    if name not in SECRETS:
        raise ArgumentTypeError(f"{name!r} is not a secret field. Use one of {', '.join(SECRETS)}.")
    if not os.environ.get(variable):
        # The text may be the secret itself. It must be refused here, because the audit log has all valid commands.
        raise ArgumentTypeError(
            f"The environment variable for {name} in --secret-env is not set or is empty. Enter the name of the "
            "variable, not the secret. Set and export it, then run the command again."
        )
    return SECRETS[name], variable


def _option_name(name: str) -> str:
    return "client_secret" if name == "password" else name


def option_for(name: str, *, is_value: bool, is_secret: bool) -> str:
    """Return the option that sets a value or a field, for messages.

    :param name: the name of the value, or the key of the field
    :param is_value: whether it is a value of the vendor
    :param is_secret: whether it is a secret field
    """
    if is_value:
        return f"--value {name}=…"
    if is_secret:
        return f"--secret-env {_option_name(name)}=VARIABLE"
    return f"--{name} …" if name in ("login", "scope") else f"--field {name}=…"
