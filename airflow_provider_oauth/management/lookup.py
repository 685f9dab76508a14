"""The lookup after a consent: requests values from the API that are kept with the grant, such as Jira's cloud ID."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import jmespath
from jmespath.exceptions import JMESPathError

from airflow_provider_oauth.api.single_request import get_request, send_once
from airflow_provider_oauth.connection import vendor_of
from airflow_provider_oauth.exceptions import ConsentDenied, OAuthError
from airflow_provider_oauth.extract.error_rules import DEFAULT_RULES
from airflow_provider_oauth.extract.records_path import records_paths
from airflow_provider_oauth.extract.rows import InvalidPage, slice_rows
from airflow_provider_oauth.presets import OAUTH
from airflow_provider_oauth.protocol.callback_values import is_valid, names_in
from airflow_provider_oauth.protocol.field_labels import field_name
from airflow_provider_oauth.protocol.redaction import redact
from airflow_provider_oauth.runtime import masking

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.lookup import Lookup
    from airflow_provider_oauth.protocol.token import Token
    from airflow_provider_oauth.protocol.token_requests import Request
    from airflow_provider_oauth.protocol.token_responses import HttpResponse

#: Maximum number of rows that an error lists.
MAX_LISTED = 20
#: The fields whose values are sent with each request to the API.
ADDITIONS = ("api_params", "secret_params", "api_headers", "secret_headers")


class _Row(NamedTuple):
    """A row of the lookup's response.

    :param values: the values by name
    :param description: a text that tells users the rows apart; "" if there is none
    """

    values: Mapping[str, str]
    description: str


def with_looked_up_values(config: OAuthConfig, token: Token) -> Token:
    """Return the token of a new grant with the values that the vendor's lookup finds.

    :param config: the settings of the connection
    :param token: the token that was just issued
    :raises ConsentDenied: if the API does not return exactly one row, or the row lacks a valid value
    """
    lookup = config.lookup
    if lookup is None or not lookup.values:
        return token
    masking.mask(token.access_token, token.expires_at)
    request, response = _send(config, lookup, token)
    rows = _distinct_rows(config, lookup, request, response)
    if not rows:
        raise _refused(
            config,
            f"{config.api_name} returned no {_named(lookup)} for this user. Check Scope, and the user's permissions at "
            f"the server. You can also enter {_named(lookup)} in {field_name('vendor_values')}. Then authorize again",
        )
    if len(rows) > 1:
        _refuse_several(config, rows, request)
    return replace(token, callback={**token.callback, **rows[0].values})


def _send(config: OAuthConfig, lookup: Lookup, token: Token) -> tuple[Request, HttpResponse]:
    """Send the request, without the parameters and headers that contain a value which is not known yet."""
    names = frozenset(lookup.values)
    additions: dict[str, Any] = {
        field: {name: value for name, value in getattr(config, field).items() if not names & names_in(value, config)}
        for field in ADDITIONS
    }
    vendor = vendor_of(config.vendor, OAUTH)
    try:
        request = get_request(replace(config, endpoint_prefix="", **additions), token, lookup.endpoint)
        return request, send_once(config, request, (*vendor.error_rules, *DEFAULT_RULES), vendor.advice)
    except OAuthError as error:
        reason = str(error).removeprefix(f"Connection {config.conn_id!r}: ")
        raise _refused(
            config, f"{_named(lookup)} could not be read from {config.api_name}: {reason} Then authorize again"
        ) from None


def _distinct_rows(config: OAuthConfig, lookup: Lookup, request: Request, response: HttpResponse) -> list[_Row]:
    """Return the rows of a response, without rows whose values another row has, too.

    Jira, for example, returns a site twice if it has two products.
    """
    try:
        text = response.body.decode(json.detect_encoding(response.body)).encode()
        lines = slice_rows(text, records_paths(lookup.records_path)).lines
        rows = [json.loads(line) for line in lines]
    except (InvalidPage, ValueError, RecursionError):
        raise _refused(
            config,
            f"{config.api_name} responded with status {response.status_code} but without rows at "
            f"{lookup.records_path!r}. Check API base URL, and authorize again. (URL: {request.shown_url})",
        ) from None
    found: dict[tuple[str, ...], _Row] = {}
    for row in rows:
        values = {name: _text(_search(path, row)) for name, path in lookup.values.items()}
        if invalid := [name for name, value in values.items() if not is_valid(value)]:
            raise _refused(
                config,
                f"a row in the response of {config.api_name} has no valid {' and no valid '.join(invalid)}. Enter it "
                f"in {field_name('vendor_values')}, and authorize again. (URL: {request.shown_url})",
            )
        description = _text(_search(lookup.describe, row)) if lookup.describe else ""
        found.setdefault(tuple(values.values()), _Row(values, description))
    return list(found.values())


def _refuse_several(config: OAuthConfig, rows: list[_Row], request: Request) -> NoReturn:
    """Raise the error for a user who has access to several accounts."""
    listed = ", ".join(_listed(row, request.secrets) for row in rows[:MAX_LISTED])
    more = f" and {len(rows) - MAX_LISTED} more" if len(rows) > MAX_LISTED else ""
    shown = {name: redact(value, request.secrets) for name, value in rows[0].values.items()}
    example = json.dumps(shown, ensure_ascii=False)
    raise _refused(
        config,
        f"the user has access to {len(rows)} accounts of {config.api_name}: {listed}{more}. Enter one in "
        f"{field_name('vendor_values')}, for example {example}, and authorize again",
    )


def _listed(row: _Row, secrets: tuple[str, ...]) -> str:
    description = redact(row.description, secrets)
    values = redact(", ".join(row.values.values()), secrets)
    return f"{description} ({values})" if description else values


def _refused(config: OAuthConfig, reason: str) -> ConsentDenied:
    return ConsentDenied(f"Connection {config.conn_id!r}: no tokens were stored, because {reason}.")


def _named(lookup: Lookup) -> str:
    return " and ".join(lookup.values)


def _search(path: str, row: Any) -> Any:
    try:
        return jmespath.search(path, row)
    except (JMESPathError, RecursionError, TypeError, ValueError):
        return None  # a function, comparison or slice that does not fit the row


def _text(value: Any) -> str:
    """Return a string or an integer as text; "" for any other value."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return ""
    try:
        return str(value)
    except ValueError:  # an integer with more than 4300 digits
        return ""
