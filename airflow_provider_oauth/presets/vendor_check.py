"""Checks the parts of a vendor file that become fields of a connection."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_oauth.coercion import InvalidField, coerce
from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.fields import ALIASES, FIELDS
from airflow_provider_oauth.presets.placeholders import LABEL, URL_FIELDS, filled, names_in, template_problem

if TYPE_CHECKING:
    from airflow_provider_oauth.presets.vendor import Vendor
    from airflow_provider_oauth.protocol.lookup import Lookup

#: Fields of a connection that are secret, or that only the person who fills in the connection can know.
NOT_IN_FILES = frozenset(
    [
        "vendor",
        "vendor_values",
        "grant_type",
        "leeway",
        "timeout",
        "allow_http",
        "private_key_file",
        "assertion_file",
        "subject_token_file",
        "username",
        "proxies",
        "proxy",
        "verify",
        "verify_ssl",
        "cert",
        *ALIASES,
    ]
)
#: Standard fields of a connection, besides ``host``, that users can be asked for.
STANDARD = ("host", "login", "password")

#: The placeholder for the scope of the connection, in ``grant_params``: some servers need it in token requests.
SCOPE = "scope"
#: The lowest number of labels in ``api_hosts``.
MIN_LABELS = 2


def check_vendor(vendor: Vendor, place: str) -> None:
    """Check the fields, placeholders and hosts of a vendor.

    :param vendor: the vendor
    :param place: the file, for errors
    :raises ConfigurationError: if one of them is invalid or unsafe
    """
    for name in vendor.values:
        _check_value(vendor, name, place)
    tables = {"fields": vendor.fields, **{f"grants.{name}": table for name, table in vendor.grants.items()}}
    for grant_type in vendor.grants:
        if grant_type not in (FIELDS["grant_type"].choices or ()):
            known = ", ".join(FIELDS["grant_type"].choices or ())
            _refuse_file(f"{place}: grants.{grant_type}", f"is not a grant type. Use one of {known}")
    for table, fields in tables.items():
        for key, value in fields.items():
            _check_field(vendor, key, value, f"{place}: {table}.{key}")
    for key in vendor.ask:
        if key not in FIELDS and key not in STANDARD:
            _refuse_file(f"{place}: ask", f"has {key!r}, which is not a field of a connection")
    if unknown := sorted(names_in(vendor.endpoint_prefix) - {*vendor.values, *runtime_names(vendor)}):
        _refuse_file(f"{place}: endpoint_prefix", f"contains {{{unknown[0]}}}, which is not in values")
    _check_api_hosts(vendor, place)
    if vendor.lookup:
        _check_lookup(vendor, vendor.lookup, f"{place}: lookup")


def _check_lookup(vendor: Vendor, lookup: Lookup, place: str) -> None:
    from airflow_provider_oauth.extract.jmes import compiled  # here, because few files have a lookup

    from_callback = runtime_names(replace(vendor, lookup=None))
    if unknown := sorted(names_in(lookup.endpoint) - from_callback):
        _refuse_file(f"{place}.endpoint", f"contains {{{unknown[0]}}}, which is not a callback value")
    for name, path in lookup.values.items():
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in from_callback:
            _refuse_file(f"{place}.values.{name}", "is not a valid name. Use lower case letters, digits and _")
        compiled(path, f"{place}.values.{name}")
    if lookup.describe:
        compiled(lookup.describe, f"{place}.describe")


def _check_api_hosts(vendor: Vendor, place: str) -> None:
    for host in vendor.api_hosts:
        labels = host.removeprefix("*.").split(".")
        if len(labels) < MIN_LABELS or not all(map(LABEL.fullmatch, labels)):
            _refuse_file(f"{place}: api_hosts", f"has {host!r}. Use a host, or *. and a domain, such as *.example.com")
    for fields in (vendor.fields, *vendor.grants.values()):
        pairs = coerce("response_map", FIELDS["response_map"], fields.get("response_map", ""))
        if "base_url" in pairs and not vendor.api_hosts:
            _refuse_file(
                f"{place}: response_map", "has base_url, so the file needs api_hosts: the hosts that are allowed"
            )


def _check_value(vendor: Vendor, name: str, place: str) -> None:
    value = vendor.values[name]
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name == SCOPE:
        _refuse_file(f"{place}: values.{name}", "is not a valid name. Use lower case letters, digits and _")
    for text in value.choices.values():
        if not all(map(LABEL.fullmatch, text.split("."))):
            _refuse_file(f"{place}: values.{name}.choices", f"has {text!r}, which cannot be part of a host name")
    for key, entered in (("default", value.default), ("example", value.example or None)):
        if entered is not None and value.choices and entered not in value.choices:
            _refuse_file(f"{place}: values.{name}.{key}", f"is {entered!r}, which is not one of the choices")
    if not value.sample:
        _refuse_file(f"{place}: values.{name}", "needs an example")


def _check_field(vendor: Vendor, key: str, value: Any, place: str) -> None:
    """Check one field of the file, with samples instead of its placeholders."""
    if key != "host" and (key not in FIELDS or key in NOT_IN_FILES or FIELDS[key].secret):
        raise ConfigurationError(f"{place} is not a field that a vendor file can have.{_question(key)}")
    known = {*vendor.values, *runtime_names(vendor), *([SCOPE] if key == "grant_params" else [])}
    if unknown := sorted(names_in(value) - known):
        _refuse_file(place, f"contains {{{unknown[0]}}}, which is not in values")
    if key in URL_FIELDS:
        _check_url(vendor, value, place)
        if key == "host" and "://" not in value:
            _refuse_file(place, "is not an https URL")
        return
    if (choices := FIELDS[key].choices) and not (isinstance(value, str) and value in choices):
        _refuse_file(place, f"is {value!r}, which is not one of the choices: {', '.join(choices)}")
    samples = {name: each.sample for name, each in vendor.values.items()}
    try:
        coerce(key, FIELDS[key], filled(value, samples, is_url=False))
    except InvalidField as error:
        raise ConfigurationError(f"{place}: the values are invalid: {error}") from None


def _question(key: str) -> str:
    """Return a question about a key that may be a typo; empty if no field has a similar name."""
    import difflib  # only for this error

    known = ["host", *(name for name, field in FIELDS.items() if name not in NOT_IN_FILES and not field.secret)]
    similar = [] if key in FIELDS else difflib.get_close_matches(key, known, n=1)
    return f" Did you mean {similar[0]}?" if similar else ""


def _check_url(vendor: Vendor, url: Any, place: str) -> None:
    if not isinstance(url, str):
        _refuse_file(place, "is not a string")
    if names_in(url) & runtime_names(vendor):
        _refuse_file(place, "contains a callback or lookup value, which cannot be part of a URL")
    choices = {name: tuple(value.choices.values()) for name, value in vendor.values.items()}
    if problem := template_problem(url, choices):
        _refuse_file(place, problem)


def runtime_names(vendor: Vendor) -> set[str]:
    """Return the names of the callback and lookup values of a vendor."""
    names = set(vendor.lookup.values) if vendor.lookup else set()
    for fields in (vendor.fields, *vendor.grants.values()):
        if pairs := fields.get("callback_map"):
            names |= set(coerce("callback_map", FIELDS["callback_map"], pairs)) - {"code"}
    return names


def _refuse_file(place: str, problem: str) -> NoReturn:
    raise ConfigurationError(f"{place} {problem}.")
