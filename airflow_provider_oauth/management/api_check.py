"""Sends the vendor's harmless request with a token, for the action *Test*."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_oauth.api.additions import ApiAdditions
from airflow_provider_oauth.api.single_request import API, get_request, send_once
from airflow_provider_oauth.connection import vendor_of
from airflow_provider_oauth.exceptions import ApiError, OAuthError
from airflow_provider_oauth.extract.error_rules import DEFAULT_RULES
from airflow_provider_oauth.presets import OAUTH
from airflow_provider_oauth.protocol.field_labels import field_name
from airflow_provider_oauth.runtime import masking

if TYPE_CHECKING:
    from airflow_provider_oauth.presets.vendor import VendorTest
    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token import Token

OTHER_SCOPES = "Tasks that need only other permissions can still work."


class ApiCheck(NamedTuple):
    """The result of the request.

    :param works: whether the API accepts the token; None if the response does not show it
    :param text: the result as a text without secrets; "" if no request was sent
    :param is_refused: whether the API refused the token itself
    """

    works: bool | None
    text: str
    is_refused: bool = False


def check_api(config: OAuthConfig, token: Token) -> ApiCheck:
    """Send the vendor's test request with a token. This stores nothing and never renews the token.

    :param config: the settings of the connection
    :param token: a valid token
    """
    vendor = vendor_of(config.vendor, OAUTH)
    if vendor.test is None or not _is_for(vendor.test, config.grant_type):
        return ApiCheck(True, "")
    additions = ApiAdditions(config)
    if missing := additions.missing_names(token, additions.names_in(vendor.test.endpoint)):
        return ApiCheck(False, _missing(config, sorted(missing)))
    masking.mask(token.access_token, token.expires_at)
    server = f"The {API.name_in(config)}"
    try:
        request = get_request(config, token, vendor.test.endpoint, vendor.test.params)
        response = send_once(config, request, (*vendor.error_rules, *DEFAULT_RULES), vendor.advice)
    except ApiError as error:
        return _refused(config, server, error)
    except OAuthError as error:
        return ApiCheck(None, f"{server} was not tested: {_reason(config, error)}")
    target = f"{request.method} {request.shown_url}, status {response.status_code}"
    return ApiCheck(True, f"{server} accepted the token ({target}).")


def _is_for(test: VendorTest, grant_type: str) -> bool:
    """Return whether the request can be sent with a token of this grant type.

    A refresh token that was obtained elsewhere (grant type refresh_token) comes from a user's consent.
    """
    types = {grant_type, "authorization_code"} if grant_type == "refresh_token" else {grant_type}
    return not test.grants or not types.isdisjoint(test.grants)


def _refused(config: OAuthConfig, server: str, error: ApiError) -> ApiCheck:
    action = error.rule.action if error.rule else None
    status = error.status_code or 0
    reason = _reason(config, error)
    if action in ("wait", "retry") or status >= 500:
        return ApiCheck(None, f"{server} could not answer the test request now: {reason}")
    if status == 403:
        return ApiCheck(None, f"{server} did not permit the test request: {reason} {OTHER_SCOPES}")
    is_refused = status == 401 or status in config.renew_on or action == "renew"
    return ApiCheck(False, f"{server} refused the test request: {reason}", is_refused)


def _reason(config: OAuthConfig, error: OAuthError) -> str:
    """Return the text of an error without the connection's ID, which is random in Airflow's form."""
    text = str(error).removeprefix(f"Connection {config.conn_id!r}: ")
    return text.replace(f"(connection {config.conn_id!r}, ", "(", 1)


def _missing(config: OAuthConfig, names: list[str]) -> str:
    needed = " and ".join(names)
    advice = f"Enter it in {field_name('vendor_values')}"
    if config.grant_type == "authorization_code":
        advice = f"Authorize the connection again, or enter it in {field_name('vendor_values')}"
    return f"Requests to {config.api_name} need a value of {needed}, and there is none. {advice}."
