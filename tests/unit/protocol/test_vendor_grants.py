"""Requests of vendors' own grants, and with tokens from files, are those that the vendor's documentation describes.

The connections are those of ``docs/connections``. What is expected was written down from the vendor's page, whose
address is above each test.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from airflow_provider_oauth.protocol.authorization import AuthorizationRequest, authorization_url
from airflow_provider_oauth.protocol.credentials import load_credentials
from airflow_provider_oauth.protocol.device_authorization import (
    device_request,
    parse_device_response,
    parse_poll_response,
)
from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.protocol.token_requests import TokenRequest, code_request, device_token_request
from airflow_provider_oauth.protocol.token_responses import HttpResponse, parse_token_response
from tests.vendor_connections import documented, sent

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FORM = "application/x-www-form-urlencoded"
GITHUB_TOKEN = b"access_token=fake-token&token_type=bearer&scope=repo%2Cgist"
REDIRECT_URI = "https://airflow.example.com/oauth/callback"


def response(body: bytes, content_type: str = "application/json") -> HttpResponse:
    return HttpResponse(status_code=200, headers={"Content-Type": content_type}, body=body, sent_at=NOW)


# https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token
# The form and its names are those of RFC 8693 section 2.1, as in google-auth (google/oauth2/sts.py).
def test_google_workload_identity_federation(tmp_path: Path) -> None:
    config = documented("token_exchange.md", "Google", tmp_path, "fake-subject-token\n")

    found = sent(config, NOW)

    assert found.request.url == "https://sts.googleapis.com/v1/token"
    # "do not send the Authorization HTTP header in the request"
    assert "Authorization" not in found.request.headers
    assert found.params == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": "//iam.googleapis.com/projects/PROJECT_NUMBER/locations/global/workloadIdentityPools/POOL/providers"
        "/PROVIDER",
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "subject_token": "fake-subject-token",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    }
    assert "fake-subject-token" in found.request.secrets


# https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
# ("Third case: Access token request with a federated credential")
def test_entra_workload_identity_federation(tmp_path: Path) -> None:
    heading = "Without a key: workload identity federation"
    config = documented("private_key_jwt.md", heading, tmp_path, "fake-platform-token\n")

    found = sent(config, NOW)

    assert found.request.url == "https://login.microsoftonline.com/TENANT_ID/oauth2/v2.0/token"
    assert "Authorization" not in found.request.headers
    assert found.params == {
        "scope": "https://graph.microsoft.com/.default",
        "client_id": "APPLICATION_ID",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": "fake-platform-token",
        "grant_type": "client_credentials",
    }
    assert "fake-platform-token" in found.request.secrets


# RFC 7523 section 2.1
def test_an_assertion_from_a_file(tmp_path: Path) -> None:
    found = sent(documented("jwt_bearer.md", "An assertion from a file", tmp_path, "fake-assertion\n"), NOW)

    assert found.request.url == "https://auth.example.com/oauth/token"
    assert found.params == {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": "fake-assertion",
    }
    assert "fake-assertion" in found.request.secrets


# https://developers.zoom.us/docs/internal-apps/s2s-oauth/
def test_zoom(tmp_path: Path) -> None:
    found = sent(documented("token_requests.md", "Zoom", tmp_path), NOW)

    assert (found.request.method, found.request.url) == ("POST", "https://zoom.us/oauth/token")
    # Base64 of "CLIENT_ID:CLIENT_SECRET"
    assert found.request.headers["Authorization"] == "Basic Q0xJRU5UX0lEOkNMSUVOVF9TRUNSRVQ="
    assert found.request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert found.params == {"grant_type": "account_credentials", "account_id": "ACCOUNT_ID"}


# https://cloud.ibm.com/docs/iam?topic=iam-iamtoken_from_apikey
def test_ibm_cloud(tmp_path: Path) -> None:
    found = sent(documented("token_requests.md", "IBM Cloud", tmp_path), NOW)

    assert (found.request.method, found.request.url) == ("POST", "https://iam.cloud.ibm.com/identity/token")
    assert "Authorization" not in found.request.headers
    assert found.request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert found.params == {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": "API_KEY"}
    assert "API_KEY" in found.request.secrets


# https://developers.tiktok.com/doc/oauth-user-access-token-management
# https://developers.tiktok.com/doc/login-kit-web
def test_tiktok_which_calls_the_client_id_client_key(tmp_path: Path) -> None:
    config = documented("token_requests.md", "Parameters with other names", tmp_path)

    request = code_request(config, "fake-code", REDIRECT_URI, "", now=NOW)

    assert request.url == "https://open.tiktokapis.com/v2/oauth/token/"
    assert "Authorization" not in request.headers
    assert dict(parse_qsl(request.body.decode())) == {
        "client_key": "CLIENT_KEY",
        "client_secret": "CLIENT_SECRET",
        "code": "fake-code",
        "grant_type": "authorization_code",
        "redirect_uri": REDIRECT_URI,
    }
    started = AuthorizationRequest(conn_id="vendor", redirect_uri=REDIRECT_URI)
    url, _, query = authorization_url(config, started).partition("?")
    assert url == "https://www.tiktok.com/v2/auth/authorize/"
    assert dict(parse_qsl(query)) == {
        "client_key": "CLIENT_KEY",
        "response_type": "code",
        "scope": "user.info.basic,video.list",
        "redirect_uri": REDIRECT_URI,
        "state": started.state,
    }


# https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_jwt_flow.htm ("Access Token Response")
def test_the_response_of_salesforce_has_no_lifetime(tmp_path: Path) -> None:
    config = documented("jwt_bearer.md", "Salesforce", tmp_path)
    body = b"""{"access_token": "fake-token", "scope": "web openid api id",
        "instance_url": "https://example.my.salesforce.com", "id": "https://login.salesforce.com/id/1/2",
        "token_type": "Bearer"}"""

    request = TokenRequest(
        url="https://login.salesforce.com/services/oauth2/token", headers={}, grant_type="jwt_bearer"
    )

    token = parse_token_response(config, request, response(body))

    assert (token.access_token, token.refresh_token) == ("fake-token", None)
    assert token.expires_at == NOW + timedelta(seconds=3600)


# https://docs.github.com/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps#device-flow
def test_the_device_flow_of_github(tmp_path: Path) -> None:
    config = documented("authorization_code.md", "Without a browser on the same machine", tmp_path)
    credentials = load_credentials(config)

    start = device_request(config, now=NOW, credentials=credentials)

    assert (start.method, start.url) == ("POST", "https://github.com/login/device/code")
    assert dict(parse_qsl(start.body.decode())) == {
        "client_id": "CLIENT_ID",
        "scope": "repo read:org",
        "client_secret": "CLIENT_SECRET",  # not in GitHub's table, because it is not needed
    }
    body = (  # the response in the documentation
        b"device_code=3584d83530557fdd1f46af8289938c8ef79f9dc5&expires_in=900&interval=5&user_code=WDJB-MJHT"
        b"&verification_uri=https%3A%2F%2Fgithub.com%2Flogin%2Fdevice"
    )
    device = parse_device_response(config, start, response(body, FORM))
    assert (device.user_code, device.verification_uri) == ("WDJB-MJHT", "https://github.com/login/device")
    assert (device.expires_in, device.interval) == (900, 5)

    poll = device_token_request(config, device.device_code, now=NOW, credentials=credentials)

    assert (poll.method, poll.url) == ("POST", "https://github.com/login/oauth/access_token")
    assert dict(parse_qsl(poll.body.decode())) == {
        "client_id": "CLIENT_ID",
        "device_code": "3584d83530557fdd1f46af8289938c8ef79f9dc5",
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "client_secret": "CLIENT_SECRET",  # not in GitHub's table
    }
    # GitHub sends errors with status 200.
    for error in (b"authorization_pending", b"slow_down"):
        assert parse_poll_response(config, poll, response(b'{"error": "%b"}' % error)) == error.decode()
    token = parse_poll_response(config, poll, response(GITHUB_TOKEN, FORM))
    assert isinstance(token, Token)
    assert token.access_token == "fake-token"
