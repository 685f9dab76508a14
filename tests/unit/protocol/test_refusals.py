"""Which exception classes error responses have."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from requests.structures import CaseInsensitiveDict

from airflow_provider_oauth.exceptions import (
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    OAuthError,
    TokenRequestError,
    UnauthorizedClient,
    UnrecognizedRefusal,
    UnsupportedGrantType,
    WrongPassword,
    from_event,
    to_event,
)
from airflow_provider_oauth.protocol.token_requests import (
    TokenRequest,
    code_request,
    grant_request,
    refresh_request,
    revocation_request,
)
from airflow_provider_oauth.protocol.token_responses import (
    HttpResponse,
    parse_revocation_response,
    parse_token_response,
)
from tests.connections import oauth_config
from tests.fake_clock import START

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token import Token

GRANTS = ("refresh_token", "client_credentials", "password", "authorization_code")
#: Statuses that are not about the credentials.
OTHER_STATUSES = (402, 404, 405, 406, 407, 408, 409, 410, 413, 415, 418, 421, 422, 425, 431, 451)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
HTML = {"Content-Type": "text/html"}


config = partial(
    oauth_config, revoke_url="https://login.example.com/revoke", username="anna", user_password="fake-password"
)


def request_by(grant: str, settings: OAuthConfig) -> TokenRequest:
    if grant == "refresh_token":
        return refresh_request(settings, "fake-refresh", now=START)
    if grant == "authorization_code":
        return code_request(
            settings, "fake-code", "https://airflow.example.com/oauth/callback", "fake-verifier", now=START
        )
    return grant_request(settings, now=START)


def parse(
    grant: str, status: int, content: Any = None, *, body: bytes | None = None, headers: Any = None, **changes: Any
) -> Token:
    settings = config(grant_type=grant, **changes)
    response = HttpResponse(
        status_code=status,
        headers=CaseInsensitiveDict(headers or {"Content-Type": "application/json"}),
        body=json.dumps(content).encode() if body is None else body,
        sent_at=START,
    )
    return parse_token_response(settings, request_by(grant, settings), response)


def refused(*args: Any, **kwargs: Any) -> TokenRequestError:
    with pytest.raises(TokenRequestError) as raised:
        parse(*args, **kwargs)
    assert str(raised.value).startswith("Connection 'shop': the token endpoint refused")
    assert str(raised.value).endswith(" (URL: https://login.example.com/token)")
    return raised.value


def failed(*args: Any, **kwargs: Any) -> OAuthError:
    with pytest.raises(OAuthError) as raised:
        parse(*args, **kwargs)
    return raised.value


def shown(error: OAuthError) -> str:
    """Return everything that users and Airflow can see of an error."""
    return "\n".join([str(error), repr(error), repr(vars(error)), repr(to_event(error))])


#: Status and body of a refused refresh, by vendor.
REFUSED_REFRESHES = {
    "HubSpot": (400, {"status": "BAD_REFRESH_TOKEN", "message": "missing or invalid refresh token"}),
    "HubSpot, no message": (400, {"status": "BAD_REFRESH_TOKEN"}),
    "GitHub": (200, {"error": "bad_refresh_token", "error_description": "The refresh token passed is incorrect."}),
    "Slack": (200, {"ok": False, "error": "invalid_refresh_token"}),
    "Fitbit": (400, {"errors": [{"errorType": "invalid_grant", "message": "Refresh token invalid"}]}),
    "Strava": (
        400,
        {
            "message": "Bad Request",
            "errors": [{"resource": "RefreshToken", "field": "refresh_token", "code": "invalid"}],
        },
    ),
    "Strava, as reported": (
        400,
        {"message": "Bad Request", "errors": [{"resource": "RefreshToken", "code": "invalid"}]},
    ),
    "Follow Up Boss, invalid": (400, {"error": "invalid-refresh-token"}),
    "Follow Up Boss, expired": (401, {"error": "expired-refresh-token"}),
    "Microsoft, interaction": (400, {"error": "interaction_required"}),
    "Microsoft, consent": (400, {"error": "consent_required"}),
    "Microsoft, login": (400, {"error": "login_required"}),
    "Twitch": (400, {"error": "Bad Request", "status": 400, "message": "Invalid refresh token"}),
    "Square": (401, {"message": "Invalid refresh token", "type": "service.not_authorized"}),
    "league": (400, {"error": "bad_request", "message": "The refresh token is invalid."}),
}
every_vendor = pytest.mark.parametrize(("status", "content"), REFUSED_REFRESHES.values(), ids=list(REFUSED_REFRESHES))


@every_vendor
@pytest.mark.parametrize("connection", ["refresh_token", "authorization_code", "password"])
def test_error_codes_of_vendors_for_a_refused_refresh_token_are_invalid_grant(
    status: int, content: dict[str, Any], connection: str
) -> None:
    settings = config(grant_type=connection, use_refresh=True)
    response = HttpResponse(status_code=status, headers={}, body=json.dumps(content).encode(), sent_at=START)

    with pytest.raises(InvalidGrant) as raised:
        parse_token_response(settings, refresh_request(settings, "fake-refresh", now=START), response)

    assert type(raised.value) is InvalidGrant
    assert "The refresh token is invalid, expired, revoked or already used." in str(raised.value)


@pytest.mark.parametrize("vendor", sorted(set(REFUSED_REFRESHES) - {"Fitbit"}))  # Fitbit uses the code of the RFC
@pytest.mark.parametrize("grant", ["client_credentials", "authorization_code"])
def test_error_codes_of_vendors_for_a_refused_refresh_token_are_ignored_in_other_grants(
    vendor: str, grant: str
) -> None:
    status, content = REFUSED_REFRESHES[vendor]

    assert not isinstance(refused(grant, status, content), InvalidGrant)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({"status": "BAD_REFRESH_TOKEN"}, "BAD_REFRESH_TOKEN"),
        ({"errors": [{"errorType": "invalid_grant"}]}, "invalid_grant"),
        ({"error": "Bad Request", "message": "Invalid refresh token"}, "Bad Request"),
    ],
)
def test_error_codes_of_vendors_are_part_of_the_error(content: dict[str, Any], code: str) -> None:
    error = refused("refresh_token", 400, content)

    assert error.error == code
    assert f"with status 400 and error '{code}'." in str(error)


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (200, {"ok": False, "error": "bad_client_secret"}),
        (200, {"ok": False, "error": "invalid_client_id"}),
        (200, {"error": "incorrect_client_credentials"}),
        (400, {"message": "Bad Request", "errors": [{"resource": "Application", "code": "invalid"}]}),
        (400, {"errors": [{"errorType": "invalid_client"}]}),
    ],
)
@pytest.mark.parametrize("grant", GRANTS)
def test_error_codes_of_vendors_for_a_refused_client_are_invalid_client(
    status: int, content: dict[str, Any], grant: str
) -> None:
    assert type(refused(grant, status, content)) is InvalidClient


@pytest.mark.parametrize("errors", ["text", 5, {}, [], ["text"], [None], [{"errorType": ["x"]}], [{"code": {}}]])
def test_error_codes_of_vendors_are_searched_in_any_json_without_a_crash(errors: Any) -> None:
    assert type(refused("refresh_token", 400, {"errors": errors})) is UnrecognizedRefusal


@pytest.mark.parametrize("busy", [429, 500, 503])
@every_vendor
def test_error_codes_of_vendors_are_ignored_from_a_busy_server(status: int, content: dict[str, Any], busy: int) -> None:
    error = refused("refresh_token", busy, content)

    assert type(error) is TokenRequestError
    assert error.retryable


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize("grant", ["refresh_token", "authorization_code"])
@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (b" \r\n", HTML),
        (b"null", None),
        (b"{}", None),
        (b"[]", None),
        (b'"no"', None),
        (b'{"error": "odd"}', None),
        (b'{"message": "no"}', None),
        (b"reason=no", FORM),
        (b"error=odd", FORM),
    ],
)
def test_unknown_error_codes_are_an_unrecognized_refusal(
    grant: str, status: int, body: bytes, headers: dict[str, str] | None
) -> None:
    error = refused(grant, status, body=body, headers=headers)

    assert type(error) is UnrecognizedRefusal
    assert not isinstance(error, AirflowFailException)
    assert not error.retryable
    assert type(from_event(to_event(error))) is UnrecognizedRefusal


@pytest.mark.parametrize("status", [400, 403])
@pytest.mark.parametrize("grant", ["password", "client_credentials"])
@pytest.mark.parametrize("body", [b"", b"{}", b'{"error": "odd"}'])
def test_unknown_error_codes_are_an_unrecognized_refusal_of_a_repeatable_grant_too(
    grant: str, status: int, body: bytes
) -> None:
    assert type(refused(grant, status, body=body)) is UnrecognizedRefusal


@pytest.mark.parametrize("body", [b"", b"{}", b'{"error": "odd"}', b"<h1>Unauthorized</h1>"])
def test_unknown_error_codes_with_401_are_wrong_credentials_of_a_repeatable_grant(body: bytes) -> None:
    # RFC 6749 section 5.2 has 401 for credentials only. Retrying them may lock the account.
    assert type(refused("password", 401, body=body)) is WrongPassword
    assert type(refused("client_credentials", 401, body=body)) is InvalidClient


@pytest.mark.parametrize("grant", GRANTS)
@pytest.mark.parametrize("content", [{"error": "odd"}, {"ok": False, "error": "odd"}, {"error": {"code": "odd"}}])
def test_unknown_error_codes_with_a_successful_status_are_an_unrecognized_refusal(
    grant: str, content: dict[str, Any]
) -> None:
    assert type(refused(grant, 200, content)) is UnrecognizedRefusal


@pytest.mark.parametrize("status", [400, 403])
@pytest.mark.parametrize("grant", GRANTS)
@pytest.mark.parametrize("body", [b"<!doctype html><p>No</p>", b" <p>", b"Access denied", b"\xff\xfe"])
def test_unknown_error_codes_in_an_html_page_may_be_from_a_proxy_so_airflow_retries(
    grant: str, status: int, body: bytes
) -> None:
    error = refused(grant, status, body=body, headers=HTML)

    assert type(error) is TokenRequestError
    assert str(error).endswith(
        "it may be from a proxy or a firewall. Check Token URL. (URL: https://login.example.com/token)"
    )


def test_unknown_error_codes_in_an_html_page_with_401_are_retried_for_a_refresh() -> None:
    assert type(refused("refresh_token", 401, body=b"<h1>Unauthorized</h1>", headers=HTML)) is TokenRequestError


@pytest.mark.parametrize("status", OTHER_STATUSES)
@pytest.mark.parametrize("grant", GRANTS)
@pytest.mark.parametrize("body", [b"", b"{}", b'{"error": "odd"}', b"<p>"])
def test_unknown_error_codes_with_another_status_are_retried_by_airflow(grant: str, status: int, body: bytes) -> None:
    error = refused(grant, status, body=body)

    assert type(error) is TokenRequestError
    assert not isinstance(error, AirflowFailException)


@pytest.mark.parametrize("status", [200, 400, 403, *OTHER_STATUSES])
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("invalid_request", InvalidRequest),
        ("invalid_client", InvalidClient),
        ("invalid_grant", InvalidGrant),
        ("unauthorized_client", UnauthorizedClient),
        ("unsupported_grant_type", UnsupportedGrantType),
        ("invalid_scope", InvalidScope),
    ],
)
def test_unknown_error_codes_are_ignored_if_there_is_an_error_code_of_rfc_6749(
    code: str, kind: type[OAuthError], status: int
) -> None:
    assert type(refused("refresh_token", status, {"error": code})) is kind


@pytest.mark.parametrize(
    "code",
    [
        "invalid_target",
        "server_error",
        "temporarily_unavailable",
        "slow_down",
        "use_dpop_nonce",
        "invalid_dpop_proof",
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_unknown_error_codes_do_not_include_error_codes_of_other_rfcs(code: str, status: int) -> None:
    assert type(refused("refresh_token", status, {"error": code})) is TokenRequestError


@pytest.mark.parametrize(("status", "kind"), [(400, TokenRequestError), (403, TokenRequestError), (401, InvalidClient)])
def test_unknown_error_codes_of_a_refused_revocation_are_a_token_request_error(
    status: int, kind: type[OAuthError]
) -> None:
    settings = config()
    request = revocation_request(settings, "fake-refresh", "refresh_token", now=START)
    response = HttpResponse(status_code=status, headers={}, body=b"", sent_at=START)

    with pytest.raises(TokenRequestError) as raised:
        parse_revocation_response(settings, request, response)

    assert type(raised.value) is kind
