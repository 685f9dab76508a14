"""Token requests and responses of each vendor match the examples in the vendor's documentation."""

from __future__ import annotations

import email
import email.policy
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from airflow_provider_oauth.connection import read_connection
from airflow_provider_oauth.exceptions import InvalidClient, InvalidGrant, TokenRequestError, WrongPassword
from airflow_provider_oauth.presets import JOOR, JUSTIMMO, JUSTLOGIN, OAUTH, Preset
from airflow_provider_oauth.protocol.authorization import AuthorizationRequest, authorization_url
from airflow_provider_oauth.protocol.token_requests import TokenRequest, code_request, grant_request, refresh_request
from airflow_provider_oauth.protocol.token_responses import HttpResponse, parse_token_response
from tests.connections import airflow_connection

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token import Token

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def config(preset: Preset, login: str = "fake-client", password: str = "fake-secret", **fields: Any) -> OAuthConfig:
    """Return the settings of a connection of the preset's type."""
    fields = {"conn_type": preset.conn_type, "login": login, "password": password} | fields
    return read_connection(airflow_connection("vendor", **fields), preset)


def fields_of(request: TokenRequest) -> dict[str, str]:
    """Return the fields of a form body, which must not repeat any."""
    pairs = parse_qsl(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def parts_of(request: TokenRequest) -> dict[str, str]:
    """Return the fields of a multipart body, which must not repeat any or contain files."""
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + request.body, policy=email.policy.HTTP)
    parts = list(message.iter_parts())  # type: ignore[attr-defined]
    fields = {}
    for part in parts:
        assert part.get_content_disposition() == "form-data"
        assert part.get_filename() is None
        assert "Content-Type" not in part
        fields[part.get_param("name", header="Content-Disposition")] = part.get_payload(decode=True).decode()
    assert len(fields) == len(parts)
    assert not message.defects
    return fields


def token_in(settings: OAuthConfig, request: TokenRequest, status: int, body: str) -> Token:
    headers = {"Content-Type": "application/json"}
    return parse_token_response(
        settings, request, HttpResponse(status_code=status, headers=headers, body=body.encode(), sent_at=NOW)
    )


# --- JustLogin


def justlogin() -> OAuthConfig:
    return config(JUSTLOGIN, grant_type="refresh_token", refresh_token="fake-refresh")


def test_justlogin_refresh_is_the_documented_request() -> None:
    request = refresh_request(justlogin(), "fake-refresh", "fake-old-token", now=NOW)

    assert request.url == "https://apis.justlogin.com/v1/auth/connect/token"
    assert request.headers == {
        "Accept": "application/json",
        "Authorization": "Bearer fake-old-token",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    assert request.body == (
        b"grant_type=refresh_token&refresh_token=fake-refresh&client_id=fake-client&client_secret=fake-secret"
    )
    assert "fake-old-token" in request.secrets
    assert "fake" not in repr(request)


def test_justlogin_refresh_without_an_old_token_has_no_such_header() -> None:
    request = refresh_request(justlogin(), "fake-refresh", now=NOW)

    assert request.headers == {
        "Accept": "application/json",
        "Content-Type": "application/x-www-form-urlencoded",
    }


def test_no_other_vendor_receives_the_old_token() -> None:
    settings = config(JUSTIMMO, grant_type="refresh_token", refresh_token="fake-refresh")

    assert "Authorization" not in refresh_request(settings, "fake-refresh", "fake-old-token", now=NOW).headers


# --- Justimmo

JUSTIMMO_TOKEN = """{
    "token_type": "Bearer",
    "expires_in": 86400,
    "access_token": "fake-token",
    "refresh_token": "fake-refresh-2"
}"""


def justimmo(grant: str = "client_credentials") -> OAuthConfig:
    return config(
        JUSTIMMO, grant_type=grant, **({"refresh_token": "fake-refresh"} if grant != "client_credentials" else {})
    )


def test_justimmo_client_credentials_is_the_documented_request() -> None:
    request = grant_request(justimmo(), now=NOW)

    assert request.url == "https://auth.justimmo.at/access_token"
    assert request.headers == {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    assert request.body == b"grant_type=client_credentials&client_id=fake-client&client_secret=fake-secret"


@pytest.mark.parametrize("grant", ["refresh_token", "authorization_code"])
def test_justimmo_refresh_is_the_documented_request(grant: str) -> None:
    request = refresh_request(justimmo(grant), "fake-refresh", now=NOW)

    assert request.url == "https://auth.justimmo.at/access_token"
    assert request.headers == {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    assert fields_of(request) == {
        "refresh_token": "fake-refresh",
        "grant_type": "refresh_token",
        "client_id": "fake-client",
        "client_secret": "fake-secret",
    }


def test_the_response_to_a_justimmo_refresh_is_a_token() -> None:
    settings = justimmo("refresh_token")

    token = token_in(settings, refresh_request(settings, "fake-refresh", now=NOW), 200, JUSTIMMO_TOKEN)

    assert (token.access_token, token.refresh_token, token.token_type) == ("fake-token", "fake-refresh-2", "Bearer")
    assert token.expires_at == NOW + timedelta(days=1)


def test_a_justimmo_token_has_the_lifetime_in_the_response_not_the_one_in_the_documentation() -> None:
    settings = justimmo()

    body = '{"token_type":"Bearer", "expires_in":2678400, "access_token": "fake-token"}'
    token = token_in(settings, grant_request(settings, now=NOW), 200, body)

    assert token.lifetime == timedelta(days=31)
    assert token.refresh_token is None


MALFORMED = (
    "The request is missing a required parameter, includes an invalid parameter value, includes a parameter more than "
    "once, or is otherwise malformed."
)


@pytest.mark.parametrize("hint", ["Refresh token has expired", "Authorization code has expired"])
@pytest.mark.parametrize("status", [400, 401])
def test_invalid_request_of_justimmo_about_a_refresh_token_or_code_is_an_invalid_grant(hint: str, status: int) -> None:
    settings = justimmo("refresh_token")
    body = json.dumps({"error": "invalid_request", "message": MALFORMED, "hint": hint}, indent=4)

    with pytest.raises(InvalidGrant) as caught:
        token_in(settings, refresh_request(settings, "fake-refresh", now=NOW), status, body)

    assert type(caught.value) is InvalidGrant
    assert MALFORMED in str(caught.value)
    assert hint in str(caught.value)
    assert caught.value.error == "invalid_request"
    assert caught.value.error_description == f"{MALFORMED} {hint}"
    assert caught.value.status_code == status


@pytest.mark.parametrize("status", [400, 401])
def test_invalid_client_of_justimmo_is_an_invalid_client(status: int) -> None:
    settings = justimmo()
    body = '{\n    "error":"invalid_client",\n    "message":"Client authentication failed"\n}'

    with pytest.raises(InvalidClient, match="Client authentication failed") as caught:
        token_in(settings, grant_request(settings, now=NOW), status, body)

    assert "Check Client ID" in str(caught.value)


def test_invalid_request_of_justimmo_about_anything_else_is_not_an_invalid_grant() -> None:
    settings = justimmo("refresh_token")
    body = json.dumps({"error": "invalid_request", "message": MALFORMED, "hint": "Check the `grant_type` parameter"})

    with pytest.raises(TokenRequestError) as caught:
        token_in(settings, refresh_request(settings, "fake-refresh", now=NOW), 400, body)

    assert not isinstance(caught.value, InvalidGrant)


# --- JOOR


def joor(**extra: Any) -> OAuthConfig:
    return config(JOOR, environment="sandbox", username="fake@example.com", user_password="S3CUR3pa$$w0rd", **extra)


JOOR_FIELDS = {
    "client_id": "fake-client",
    "grant_type": "password",
    "client_secret": "fake-secret",
    "username": "fake@example.com",
    "password": "S3CUR3pa$$w0rd",
}


def test_the_joor_request_is_that_of_the_curl_example() -> None:
    request = grant_request(joor(), now=NOW)

    assert request.url == "https://atlas-sandbox.jooraccess.com/auth/"
    assert set(request.headers) == {"Accept", "Content-Type"}
    assert request.headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert parts_of(request) == JOOR_FIELDS


def test_the_joor_request_can_have_the_additional_field_of_the_python_example() -> None:
    request = grant_request(joor(grant_params={"g-recaptcha-response": "xxx"}), now=NOW)

    assert parts_of(request) == JOOR_FIELDS | {"g-recaptcha-response": "xxx"}


def test_production_is_the_default_environment_of_joor() -> None:
    settings = config(JOOR, username="u", user_password="p")

    assert grant_request(settings, now=NOW).url == "https://atlas.jooraccess.com/auth/"


def test_the_example_response_of_joor_is_a_token() -> None:
    body = """{
    "access_token": "aaaaaaaaaa.bbbbbbbbbb.cccccccccc-dddddddddd",
    "expires_in": 36000,
    "refresh_expires_in": 86400,
    "refresh_token": "eeeeeeeeee.ffffffffff.gggggggggg",
    "token_type": "Bearer",
    "not-before-policy": 0,
    "session_state": "hhhhhhhhhh-jjjj-kkkk-llll-mmmmmmmmmmmm",
    "scope": "email profile"
}"""
    settings = joor()

    token = token_in(settings, grant_request(settings, now=NOW), 200, body)

    assert token.access_token == "aaaaaaaaaa.bbbbbbbbbb.cccccccccc-dddddddddd"
    assert token.refresh_token == "eeeeeeeeee.ffffffffff.gggggggggg"
    assert (token.token_type, token.scope) == ("Bearer", "email profile")
    assert token.lifetime == timedelta(hours=10)
    assert not settings.use_refresh  # no refresh request is documented


def test_a_password_that_joor_refuses_is_not_retried() -> None:
    settings = joor()

    with pytest.raises(WrongPassword):
        token_in(settings, grant_request(settings, now=NOW), 401, '{"error": "invalid_grant"}')


# --- an API without preset that requires JSON bodies

CLIENT_ID = "BA779C49-4D93-4785-9596-25805A24C5DC"
CLIENT_SECRET = "4AD3CE00-8ED5-4F0A-A979-ACE64A15207C"
REFRESH_TOKEN = (
    "C0fJeyBPMXOTuSThwUh2S0Vq83ezkMTjoIDroK9LCNCy7jscLkWXCvsuidxhF9t_FGHpo-_gUgi5J7eUejpfEgw3SQXHstBaDR0eauY2s3g%3d"
)


def json_api(**extra: Any) -> OAuthConfig:
    common = {"host": "https://api.example.com", "grant_url": "/token", "client_auth": "client_secret_post"}
    return config(OAUTH, CLIENT_ID, CLIENT_SECRET, **common, body_format="json", **extra)


@pytest.mark.parametrize(
    ("extra", "fields"),
    [
        (
            {"grant_type": "password", "username": "jsmith", "user_password": "password123"},
            {"grant_type": "password", "username": "jsmith", "password": "password123"},
        ),
        ({"grant_type": "client_credentials"}, {"grant_type": "client_credentials"}),
        ({}, {"grant_type": "client_credentials"}),
    ],
)
def test_the_json_body_of_a_grant_is_that_of_the_example(extra: dict[str, Any], fields: dict[str, str]) -> None:
    request = grant_request(json_api(**extra), now=NOW)

    assert request.url == "https://api.example.com/token"
    assert request.headers == {"Accept": "application/json", "Content-Type": "application/json"}
    assert json.loads(request.body) == fields | {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}


@pytest.mark.parametrize(
    "extra",
    [
        {"grant_type": "refresh_token", "refresh_token": REFRESH_TOKEN},
        {"grant_type": "client_credentials", "use_refresh": True},
        {"grant_type": "password", "username": "jsmith", "user_password": "password123", "use_refresh": True},
    ],
)
def test_the_json_body_of_a_refresh_is_that_of_the_example(extra: dict[str, Any]) -> None:
    request = refresh_request(json_api(**extra), REFRESH_TOKEN, now=NOW)

    assert request.headers == {"Accept": "application/json", "Content-Type": "application/json"}
    assert json.loads(request.body) == {
        "grant_type": "refresh_token",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "refresh_token": REFRESH_TOKEN,
    }
    assert b"%3d" in request.body


def test_every_response_can_have_a_new_refresh_token() -> None:
    settings = json_api(use_refresh=True)

    body = json.dumps({"access_token": "fake-token", "expires_in": 60, "refresh_token": REFRESH_TOKEN})

    assert token_in(settings, grant_request(settings, now=NOW), 200, body).refresh_token == REFRESH_TOKEN


# --- authorization code: the documented parameters, plus those of RFC 6749 and PKCE

BACK = "https://airflow.example.com/oauth/callback"
CODE = "kfVaG3IPc7hb2Vi2pgOI_9GNBSJurR6PFdXF2LesNNDyiF1XDwQHgEtkMNwlH7OB9DL8k1bbWHaHab76mw6qOeM9V2sy36rRZHYSahMBXPo%3D"


@pytest.mark.parametrize(
    ("preset", "extra", "url", "shown"),
    [
        (JUSTLOGIN, {}, "https://apis.justlogin.com/v1/auth/connect/authorize", {"scope": "openid"}),
        (
            JUSTLOGIN,
            {"environment": "sandbox"},
            "https://apis.justloginstaging.xyz/v1/auth/connect/authorize",
            {"scope": "openid"},
        ),
        (JUSTIMMO, {"grant_type": "authorization_code"}, "https://auth.justimmo.at/authorize", {}),
    ],
)
def test_the_authorization_url_is_the_documented_one(
    preset: Preset, extra: dict[str, Any], url: str, shown: dict[str, str]
) -> None:
    sent_to = authorization_url(config(preset, **extra), AuthorizationRequest(conn_id="vendor", redirect_uri=BACK))
    query = dict(parse_qsl(urlsplit(sent_to).query))
    assert sent_to.partition("?")[0] == url
    shown = {"response_type": "code", "client_id": "fake-client", "redirect_uri": BACK, **shown}
    assert {name: query.pop(name) for name in shown} == shown
    nonce = {"nonce"} if "scope" in shown else set()  # the scope is openid
    assert query.keys() == {"state", "code_challenge", "code_challenge_method"} | nonce


def test_a_justlogin_refresh_has_no_scope() -> None:
    for grant in ("authorization_code", "refresh_token"):
        request = refresh_request(
            config(JUSTLOGIN, grant_type=grant, refresh_token="fake-refresh"), "fake-refresh", now=NOW
        )
        assert "scope" not in fields_of(request)


def test_justimmos_code_request_has_the_documented_fields() -> None:
    settings = config(JUSTIMMO, "your_client_id", "your_client_secret", grant_type="authorization_code")
    request = code_request(settings, "auth_code", BACK, "fake-verifier", now=NOW)
    assert request.url == "https://auth.justimmo.at/access_token"
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert fields_of(request) == {
        "code": "auth_code",
        "grant_type": "authorization_code",
        "client_id": "your_client_id",
        "client_secret": "your_client_secret",
        "redirect_uri": BACK,
        "code_verifier": "fake-verifier",
    }


def test_the_json_body_of_a_code_request_has_the_fields_of_the_example() -> None:
    client, secret = "BA779C49-4D93-4785-9596-25805A24C5DC", "4AD3CE00-8ED5-4F0A-A979-ACE64A15207C"
    extra = {"grant_url": "/token", "body_format": "json", "client_auth": "client_secret_post"}
    settings = config(OAUTH, client, secret, host="https://api.example.com", grant_type="authorization_code", **extra)
    request = code_request(settings, CODE, BACK, "fake-verifier", now=NOW)
    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(request.body) == {
        "grant_type": "authorization_code",
        "client_id": client,
        "client_secret": secret,
        "code": CODE,
        "redirect_uri": BACK,
        "code_verifier": "fake-verifier",
    }
