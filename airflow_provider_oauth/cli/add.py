"""``airflow oauth add``: creates a connection of a vendor, and asks for what is missing."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_provider_oauth.cli.authorize import CANCELED, REDIRECT_URI, authorize, authorize_device
from airflow_provider_oauth.cli.grant_check import check_and_print
from airflow_provider_oauth.cli.output import print_line
from airflow_provider_oauth.cli.questions import ask, ask_secret, choose, has_terminal
from airflow_provider_oauth.cli.vendor_options import option_for
from airflow_provider_oauth.exceptions import ConfigurationError, OAuthError
from airflow_provider_oauth.management.new_connection import (
    NewConnection,
    check_new_id,
    overriding_sources,
    store,
)
from airflow_provider_oauth.management.vendor_guide import (
    example_request,
    example_task,
    grant_labels,
    https_hint,
    register_steps,
)
from airflow_provider_oauth.presets.vendors import vendor as read_vendor
from airflow_provider_oauth.protocol.config import is_loopback
from airflow_provider_oauth.runtime.ui_urls import callback_url, connection_page_url

if TYPE_CHECKING:
    from argparse import Namespace

    from airflow_provider_oauth.management.vendor_entries import Entry
    from airflow_provider_oauth.presets.vendor import Vendor
    from airflow_provider_oauth.protocol.config import OAuthConfig

PASSPHRASE = "private_key_passphrase"  # noqa: S105 - the name of a field
#: A word in the header of an encrypted key (RFC 7468, and older formats).
ENCRYPTED = "ENCRYPTED"


def add(args: Namespace) -> None:
    """Create a connection of a vendor, then let the user authorize or test it.

    :param args: the arguments of the command
    """
    vendor = read_vendor(args.vendor)
    _check_grants(vendor)
    check_new_id(args.conn_id)
    _check_grant_type(vendor, args.grant_type)
    overriding = overriding_sources(args.conn_id)
    if overriding:
        print_line(
            f"Warning: {args.conn_id!r} is also defined elsewhere, and Airflow uses that connection instead of this "
            f"one: {', '.join(overriding)}. Remove it there, or choose another ID.\n"
        )
    new = _from_options(args, vendor)
    if has_terminal():
        new = _ask_for_the_rest(new, args)
    config = _check_complete(new)
    redirect_uri = args.redirect_uri or REDIRECT_URI
    _print_summary(vendor, config, redirect_uri)
    store(new.connection())
    print_line(f"\nThe connection {args.conn_id!r} was created.")
    done = has_terminal() and args.authorize and not overriding
    if done:
        done = _authorize_or_test(config, redirect_uri)
    if not done:
        print_line(f"Next step: {_next_command(config, redirect_uri)}")
    _print_task(vendor, config)


def _check_grants(vendor: Vendor) -> None:
    if vendor.connection_type:
        raise SystemExit(
            f"{vendor.label} has its own connection type, {vendor.connection_type!r}. Create the connection in "
            "Airflow's form, or with airflow connections add."
        )
    if not vendor.grants:
        raise SystemExit(
            f"The vendor file of {vendor.label} has no grants, so this command does not know what the connection "
            f"needs. Create a connection of type OAuth 2.0 API in Airflow's form, and set Vendor to {vendor.name}."
        )


def _check_grant_type(vendor: Vendor, grant_type: str | None) -> None:
    if grant_type is not None and grant_type not in (*vendor.grants, "refresh_token"):
        raise SystemExit(
            f"The vendor file of {vendor.label} does not have the grant type {grant_type!r}. Use one of "
            f"{', '.join(vendor.grants)}."
        )


def _from_options(args: Namespace, vendor: Vendor) -> NewConnection:
    """Return the connection with what the options specify. Missing options have no error here."""
    fields = dict(args.fields or [])
    fields |= {name: text for name, text in (("login", args.login), ("scope", args.scope)) if text}
    fields |= {name: os.environ[variable] for name, variable in args.secret_env or []}
    return NewConnection(
        conn_id=args.conn_id,
        vendor=vendor,
        grant_type=args.grant_type or next(iter(vendor.grants)),
        fields=fields,
        values=dict(args.values or []),
    )


def _check_complete(new: NewConnection) -> OAuthConfig:
    """Return the settings of the connection, if nothing is missing and everything is valid."""
    new.check()  # first, because a typo in the name of a value would only be reported as a missing value
    missing = [each for each in new.missing() if each.is_required]
    if missing:
        options = [f"{each.label} ({_option(each)})" for each in missing]
        raise SystemExit(
            f"Some values are missing, and there is no terminal to ask for them: {', '.join(options)}. Nothing was "
            "changed. Run the command again with these options."
        )
    return new.config()


def _option(entry: Entry) -> str:
    return option_for(entry.name, is_value=entry.is_value, is_secret=entry.is_secret)


# --- Questions


def _ask_for_the_rest(new: NewConnection, args: Namespace) -> NewConnection:
    """Ask the user for everything that is not in the options."""
    vendor = new.vendor
    if args.grant_type is None and len(vendor.grants) > 1:
        question = "How does Airflow obtain tokens?"
        new = replace(new, grant_type=choose(question, grant_labels(vendor), new.grant_type))
    new.check()  # the options
    _print_steps(vendor, args.redirect_uri or REDIRECT_URI)
    for entry in new.missing():
        new = _ask_for(new, entry)
    return new


def _ask_for(new: NewConnection, entry: Entry) -> NewConnection:
    """Ask for one thing until the text is valid. Return the connection with it, or unchanged if there is a default."""
    print_line(f"\n{entry.label}: {entry.description}" if entry.description else f"\n{entry.label}")
    if entry.name == "scope":
        for scope, description in new.vendor.scopes.items():
            print_line(f"  {scope}: {description}")
    while True:
        text = _answer(entry)
        if not text and not entry.is_required:
            return new
        if not text or text != text.strip():
            print_line("Enter a value. It must not begin or end with a space.")
            continue
        try:
            with_text = _with_key(new, entry, text) if entry.name == "private_key" else new.with_text(entry, text)
            with_text.check()
        except ConfigurationError as error:
            print_line(f"{error}")
        else:
            return with_text


def _answer(entry: Entry) -> str:
    if entry.choices:
        return choose("", entry.choices, entry.default)
    if entry.name == "private_key":
        return ask("Path of the file with the private key: ").strip()
    if entry.is_secret:
        return ask_secret(f"{entry.label} (not shown): ")
    hint = f" (for example {entry.example})" if entry.example else ""
    if not entry.is_required:
        hint = f" [{entry.default or 'none'}]"
    return ask(f"{entry.label}{hint}: ").strip()


def _with_key(new: NewConnection, entry: Entry, path: str) -> NewConnection:
    """Return the connection with the private key in a file, and its passphrase if the key is encrypted."""
    key = _key_in(path)
    new = new.with_text(entry, key)
    if ENCRYPTED in key and PASSPHRASE not in new.fields:
        passphrase = ask_secret("Passphrase of the private key (not shown): ")
        new = replace(new, fields={**new.fields, PASSPHRASE: passphrase})
    return new


def _key_in(path: str) -> str:
    """Return the content of a file with a private key. The connection stores it encrypted."""
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"The private key file {path} cannot be read ({type(error).__name__}). Enter the path of a text file."
        ) from None


# --- Output


def _print_steps(vendor: Vendor, redirect_uri: str) -> None:
    if steps := register_steps(vendor, redirect_uri):
        print_line(f"\nRegister Airflow at {vendor.label}:")
        for number, step in enumerate(steps, 1):
            print_line(f"  {number}. {step}")
    if redirect_uri == REDIRECT_URI and (hint := https_hint(vendor)):
        print_line(hint)
    if callback_url() and "authorization_code" in vendor.grants:
        print_line(f"To authorize on Airflow's page OAuth connections, register its redirect URI: {callback_url()}")


def _print_summary(vendor: Vendor, config: OAuthConfig, redirect_uri: str) -> None:
    """Print the settings of the connection, without secrets."""
    print_line("")
    rows = {
        "Connection": config.conn_id,
        "Vendor": vendor.label,
        "Grant type": config.grant_type,
        "API base URL": config.base_url,
        "Issuer": config.issuer,
        "Token URL": config.token_url,
        "Client ID": config.client_id,
        "Scope": config.scope,
    }
    if config.grant_type == "authorization_code":
        rows["Redirect URI"] = f"{redirect_uri} (must be registered at {vendor.label})"
    for label, text in rows.items():
        if text:
            print_line(f"{label + ':':<14}{text}")
    for warning in config.warnings:
        print_line(f"Warning: {warning}")


def _next_command(config: OAuthConfig, redirect_uri: str) -> str:
    """Return the command that authorizes or tests the connection."""
    if config.grant_type != "authorization_code":
        return f"airflow oauth test {config.conn_id}"
    option = f" --redirect-uri {shlex.quote(redirect_uri)}" if redirect_uri != REDIRECT_URI else ""
    return f"airflow oauth authorize {config.conn_id}{option}"


def _authorize_or_test(config: OAuthConfig, redirect_uri: str) -> bool:
    """Let the user authorize or test the connection. Return whether the user did."""
    try:
        if config.grant_type == "authorization_code":
            return _offer_to_authorize(config, redirect_uri)
        if ask("Test the connection now? [Y/n] ", CANCELED).strip().lower() not in ("", "y", "yes"):
            return False
        check_and_print(config)
    except (OAuthError, SystemExit) as error:
        raise SystemExit(
            f"{error}\nThe connection {config.conn_id!r} exists. If necessary, correct it in Airflow's form. Then run: "
            f"{_next_command(config, redirect_uri)}"
        ) from None
    return True


def _offer_to_authorize(config: OAuthConfig, redirect_uri: str) -> bool:
    """Let the user authorize the connection, now or later. Return whether the user did."""
    choices = {"listen": "In a browser on this machine"} if _is_local(redirect_uri) else {}
    choices["paste"] = "In a browser on any machine: you paste the URL that it opens after the consent"
    if config.device_url:
        choices["device"] = "With a code that you enter in a browser on any machine"
    page = connection_page_url(config.conn_id)
    choices["later"] = f"Later{f', or on the page {page}' if page else ''}"
    chosen = choose("\nHow do you want to authorize the connection?", choices, next(iter(choices)), CANCELED)
    if chosen == "device":
        authorize_device(config)
    elif chosen != "later":
        authorize(config, redirect_uri, listen=chosen == "listen")
    return chosen != "later"


def _is_local(redirect_uri: str) -> bool:
    """Return whether the command can listen for the redirect."""
    try:
        url = urlsplit(redirect_uri)
        return url.scheme == "http" and is_loopback(url.hostname or "") and url.port is not None
    except ValueError:
        return False


def _print_task(vendor: Vendor, config: OAuthConfig) -> None:
    if task := example_task(vendor, config.conn_id):
        print_line(f"\nTo see some rows: {example_request(vendor, config.conn_id)}")
        print_line(f"\nA task that reads a list from {vendor.label}:\n\n{task}")
    else:
        print_line(f"\nUse the connection in tasks with oauth_conn_id={config.conn_id!r}.")
