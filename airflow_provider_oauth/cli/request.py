"""Sends one request to the API and describes the response, for ``airflow oauth request``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, urlsplit

from airflow_provider_oauth.cli.output import print_line
from airflow_provider_oauth.extract.completeness import error_of, is_usual_size, looks_paginated, member_paths
from airflow_provider_oauth.extract.inspection import find_arrays
from airflow_provider_oauth.extract.page import Page
from airflow_provider_oauth.extract.records_path import records_paths
from airflow_provider_oauth.extract.request import ListRequest
from airflow_provider_oauth.hooks.lookup import hook_of

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    import requests

    from airflow_provider_oauth.protocol.config import OAuthConfig

#: The paginators whose parameters can be in the body of the request.
PARAM_PAGINATORS = ("PageNumberPaginator", "OffsetPaginator", "CursorPaginator")
#: Maximum number of characters of a row that are printed.
MAX_ROW = 2000
#: Shorter secrets are not replaced, because they would also be replaced inside of other words.
MIN_SECRET = 5


def json_object(text: str | None, option: str) -> dict[str, Any] | None:
    """Return the JSON object in an option; None if the option is not set.

    :param text: the value of the option
    :param option: the name of the option, for the error
    """
    value = json_value(text, option)
    if value is not None and not isinstance(value, dict):
        raise SystemExit(f"{option} is not a JSON object. Write it like this: {option} '{{\"limit\": 5}}'")
    return value


def json_value(text: str | None, option: str) -> Any:
    """Return the JSON in an option; None if the option is not set."""
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        raise SystemExit(f"{option} is not valid JSON. Write it like this: {option} '{{\"limit\": 5}}'") from None


def request_and_print(args: Namespace, config: OAuthConfig) -> None:
    """Send the request, and print what the response contains.

    :param args: the arguments of the command
    :param config: the settings of the connection
    :raises OAuthError: if the API responds with an error status or does not respond, or if the response is not JSON
    """
    _check(args.records_path)
    method, params = args.method.upper(), json_object(args.params, "--params")
    body = json_value(args.json, "--json")
    hook = hook_of(args.conn_id, method=method)
    others = {} if method == "GET" else {"params": params}
    response = hook.run(args.endpoint, params if method == "GET" else None, json=body, **others)
    vendor, url = hook.vendor, hook.list_url(ListRequest(endpoint=args.endpoint, method=method))
    known = vendor.list_at(method, urlsplit(url).path)
    paginator = f"{type(known.paginator).__name__}, from {vendor.label}'s vendor file. Tasks need none" if known else ""
    secrets = (*config.secrets, response.request.headers.get(config.header_name, "").rpartition(" ")[2])
    for line in describe(response, args.conn_id, max(args.rows, 0), args.records_path, paginator):
        print_line(_redacted(line, secrets))
    if member := error_of(Page(response, args.records_path, args.conn_id)):
        raise SystemExit(f"The member {member} of the response reports an error.")


def describe(
    response: requests.Response, conn_id: str, rows: int, records_path: str | None = None, paginator: str = ""
) -> Iterator[str]:
    """Yield lines about a response: status, keys, rows, and the paginator that fits.

    :param response: the response
    :param conn_id: the connection ID, for errors
    :param rows: the number of rows to show
    :param records_path: the path of the rows; None for the array with the most objects
    :param paginator: the known paginator; empty to suggest one
    :raises ApiError: if the response is not JSON, or has no rows at ``records_path``
    """
    kind = response.headers.get("Content-Type", "no Content-Type")
    yield f"Status: {response.status_code}, {kind}, {len(response.content)} bytes"
    arrays = find_arrays(Page(response, "@", conn_id).content)
    found = arrays[0].records_path if arrays else "@"
    page = Page(response, records_path or found, conn_id)
    yield f"Keys: {', '.join(member_paths(page)) or 'none'}"
    if page.is_blank:
        yield "Rows: none. The response has no body."
        return
    if arrays or records_path:
        yield f'Rows: {page.count} in records_path="{_escaped(records_path or found)}"'
    else:
        yield 'Rows: no array. To use the response itself as the row, set records_path="@"'
    others = [f"{each.records_path} ({each.count})" for each in arrays if each.records_path != (records_path or found)]
    if others:
        yield f"Other arrays: {', '.join(others)}"
    yield from (_shortened(row.decode()) for row in page.sliced.lines[:rows])
    if rows and not page.count:
        yield f"Response: {_shortened(json.dumps(page.content, ensure_ascii=False))}"
    yield f"Paginator: {paginator}" if paginator else _paginator(page)


def _check(records_path: str | None) -> None:
    """Check the option before the request is sent."""
    try:
        records_paths(records_path)
    except ValueError as error:
        raise SystemExit(f"--records-path: {error}") from None


def _paginator(page: Page) -> str:
    if sign := looks_paginated(page):
        paginator = sign.paginator
        is_in_body = page.response.request.method != "GET" and page.response.request.body
        if is_in_body and paginator.startswith(PARAM_PAGINATORS) and "param_in" not in paginator:
            paginator = paginator.removesuffix(")") + (', param_in="body")' if "=" in paginator else 'param_in="body")')
        return f"Paginator: {paginator}, because the response has {sign.found}"
    if is_usual_size(page.count):
        return (
            f"Paginator: unknown. The response has no sign of a next page, but {page.count} rows can be a full page. "
            "See the documentation of the API"
        )
    return "Paginator: none. The response has no sign of a next page"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _shortened(row: str) -> str:
    return row if len(row) <= MAX_ROW else row[:MAX_ROW] + "…"


def _redacted(line: str, secrets: tuple[str, ...]) -> str:
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        if len(secret) >= MIN_SECRET:
            for spelling in (json.dumps(secret)[1:-1], quote(secret, safe=""), quote_plus(secret), secret):
                line = line.replace(spelling, "***")
    return line
