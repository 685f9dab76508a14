"""Instructions for a vendor: what to register there, a connection as JSON, and a task."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.fields import FIELDS
from airflow_provider_oauth.management.vendor_entries import STANDARD_FIELDS, entries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_oauth.presets.vendor import Vendor

#: Number of characters of a line of code, with its line break.
MAX_LINE = 121
#: What stands for the redirect URI in the steps of a vendor file.
REDIRECT_URI = "{redirect_uri}"
#: Words at the end of an endpoint that do not describe the rows.
NOT_NAMES = ("json", "list")
#: Texts in an example connection for fields that have no example.
PLACEHOLDERS = {"login": "CLIENT_ID", "password": "CLIENT_SECRET"}


def register_steps(vendor: Vendor, redirect_uri: str) -> list[str]:
    """Return what to do at the vendor, one step each, as plain text.

    :param vendor: the vendor
    :param redirect_uri: the redirect URI to register
    """
    return [plain_text(each.replace(REDIRECT_URI, redirect_uri)) for each in vendor.register]


def https_hint(vendor: Vendor) -> str:
    """Return what to do if the vendor does not accept the default redirect URI of the command line.

    The text is "" if the vendor has no redirect URI, or if the steps at the vendor already explain it.

    :param vendor: the vendor
    """
    if "authorization_code" not in vendor.grants or any("--redirect-uri" in step for step in vendor.register):
        return ""
    return (
        f"If {vendor.label} accepts only https URLs, register https://localhost/ instead and add the option "
        "--redirect-uri https://localhost/. After the consent, paste the URL from the browser's address bar."
    )


def plain_text(markdown: str) -> str:
    """Return a text of a vendor file without its Markdown: links, ``**bold**``, ``*italic*`` and code.

    :param markdown: the text
    """
    text = re.sub(r"\[([^\]]+)\]\((\S+?)\)", r"\1 (\2)", markdown)
    marked = r"`([^`]+)`|\*\*(.+?)\*\*|\*(\S[^*]*)\*"
    return re.sub(marked, lambda found: next(filter(None, found.groups())), text)


def grant_labels(vendor: Vendor) -> dict[str, str]:
    """Return the vendor's grant types, each with its label in the form.

    :param vendor: the vendor
    """
    labels = FIELDS["grant_type"].choices or {}
    return {name: labels[name] for name in vendor.grants}


def example_connection(vendor: Vendor, grant_type: str) -> dict[str, Any]:
    """Return a connection as JSON, with examples of what users must enter.

    :param vendor: the vendor
    :param grant_type: a grant type of the vendor
    """
    required = [each for each in entries(vendor, grant_type) if each.is_required]
    values = {each.name: each.sample for each in required if each.is_value}
    fields = {
        each.name: each.default or each.example or PLACEHOLDERS.get(each.name, each.name.upper())
        for each in required
        if not each.is_value
    }
    extra: dict[str, Any] = {"vendor": vendor.name}
    if values:
        extra["vendor_values"] = values
    if grant_type != next(iter(vendor.grants), None):
        extra["grant_type"] = grant_type
    extra |= {name: text for name, text in fields.items() if name not in STANDARD_FIELDS}
    return {
        "conn_type": "oauth",
        **{name: text for name, text in fields.items() if name in STANDARD_FIELDS},
        "extra": {**extra, "leeway": 60},
    }


def example_task(vendor: Vendor, conn_id: str) -> str:
    """Return Python code that reads the vendor's typical list; "" if its file has none.

    :param vendor: the vendor
    :param conn_id: ID of the connection
    """
    example = vendor.example
    if example is None:
        return ""
    name = _list_name(example.endpoint)
    options: dict[str, Any] = {"task_id": name, "oauth_conn_id": conn_id, "endpoint": example.endpoint}
    if example.method != "GET":
        options["method"] = example.method
    optional: Mapping[str, Any] = {
        "request_params": dict(example.request_params),
        "json": example.json,
        "records_path": example.records_path,
    }
    options |= {key: value for key, value in optional.items() if value}
    options["path"] = f"/data/{name}.jsonl"
    lines = "".join(_argument(key, value) for key, value in options.items())
    return (
        f"from airflow_provider_oauth.operators.extract import OAuthExtractOperator\n\nOAuthExtractOperator(\n{lines})"
    )


def example_request(vendor: Vendor, conn_id: str) -> str:
    """Return a command that shows rows of the vendor's typical list; "" if its file has none.

    :param vendor: the vendor
    :param conn_id: ID of the connection
    """
    example = vendor.example
    if example is None:
        return ""
    words = ["airflow", "oauth", "request", conn_id, example.endpoint]
    if example.method != "GET":
        words += ["--method", example.method]
    for option, value in (("--params", example.request_params), ("--json", example.json)):
        if value:
            words += [option, json.dumps(value, ensure_ascii=False)]
    if isinstance(example.records_path, str):
        words += ["--records-path", example.records_path]
    return shlex.join(words)


def _list_name(endpoint: str) -> str:
    """Return a name for the task and the file: the last word of the path that is not a placeholder."""
    path = re.sub(r"\{[^}]*\}", "", endpoint.partition("?")[0])
    words = [each for each in re.findall(r"[A-Za-z][A-Za-z0-9_]*", path) if each not in NOT_NAMES]
    return words[-1].lower() if words else "rows"


def _argument(name: str, value: Any) -> str:
    """Return an argument as a line of code; a dict that is too long for it has a line for each key."""
    line = f"    {name}={_python(value)},\n"
    if len(line) <= MAX_LINE or not isinstance(value, dict):
        return line
    members = ",\n".join(f"        {_python(key)}: {_python(each)}" for key, each in value.items())
    return f"    {name}={{\n{members}{',' if len(value) > 1 else ''}\n    }},\n"


def _python(value: Any) -> str:
    """Return a value as Python code with double quotes."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_python(key)}: {_python(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_python, value)) + "]"
    return repr(value)
