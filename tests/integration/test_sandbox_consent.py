"""The consent page, revocation endpoints and metadata of the sandbox, over a real socket."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
import requests

from sandbox.user_agent import PageError, UserAgent

if TYPE_CHECKING:
    from sandbox.server import Sandbox


SECRET = "fake-secret+/%="
BACK = "https://airflow.example.com/oauth/callback?kept=1"
STATE = "fake-state+/%="
VERIFIER = "fake-verifier-" * 4
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
OWN = {"client_id": "app", "client_secret": SECRET}
SERVERS = ["standard", "jsonbody"]
WITHOUT = ["multipart", "justlogin", "justimmo", "joor"]


@pytest.fixture(autouse=True)
def clients(sandbox: Sandbox) -> None:
    for server in SERVERS:
        sandbox.state.add_client(server, "app", SECRET, scopes=["read", "write"])
        sandbox.state.add_client(server, "other", SECRET)


def request_url(sandbox: Sandbox, server: str = "standard", **more: str) -> str:
    parameters = {"response_type": "code", "client_id": "app", "redirect_uri": BACK, "state": STATE, **more}
    return f"{sandbox.url}/{server}/authorize?{urlencode(parameters)}"


def post_token(sandbox: Sandbox, server: str = "standard", **parameters: Any) -> requests.Response:
    parameters |= OWN
    body = {"json": parameters} if server == "jsonbody" else {"data": parameters}
    return requests.post(f"{sandbox.url}/{server}/token", timeout=10, **body)


def exchange_code(sandbox: Sandbox, callback: str, server: str = "standard", **more: Any) -> requests.Response:
    code = parse_qs(urlsplit(callback).query)["code"][0]
    parameters = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, **more}
    return post_token(sandbox, server, **parameters)


def grant(sandbox: Sandbox, server: str = "standard") -> dict[str, Any]:
    """Return the tokens that a consent issues."""
    return exchange_code(sandbox, UserAgent().consent(request_url(sandbox, server)), server).json()


def post_revoke(sandbox: Sandbox, token: str | None = None, server: str = "standard", **more: str) -> requests.Response:
    data = {**OWN, **({"token": token} if token else {}), **more}
    return requests.post(f"{sandbox.url}/{server}/revoke", data=data, timeout=10)


def status(sandbox: Sandbox, token: str, server: str = "standard") -> int:
    """Return the status of an API request with ``token``."""
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(f"{sandbox.url}/{server}/api/items", headers=headers, timeout=10).status_code


def renew(sandbox: Sandbox, token: str, server: str = "standard") -> requests.Response:
    return post_token(sandbox, server, grant_type="refresh_token", refresh_token=token)


# --- the page, and the user agent


def test_the_callback_has_a_code_for_the_user_who_logged_in(sandbox: Sandbox) -> None:
    url = request_url(sandbox, code_challenge=CHALLENGE, code_challenge_method="S256")
    callback = UserAgent().consent(url, "grace")
    fields = parse_qsl(urlsplit(callback).query)
    assert callback.startswith("https://airflow.example.com/oauth/callback?")
    assert [name for name, _ in fields] == ["kept", "code", "state", "iss"]
    assert dict(fields).items() >= {"kept": "1", "state": STATE, "iss": f"{sandbox.url}/standard"}.items()
    tokens = exchange_code(sandbox, callback, code_verifier=VERIFIER).json()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert requests.get(f"{sandbox.url}/standard/api/whoami", headers=headers, timeout=10).json()["username"] == "grace"


def test_a_user_can_decline(sandbox: Sandbox) -> None:
    fields = parse_qs(urlsplit(UserAgent().consent(request_url(sandbox), allow=False)).query)
    assert (fields["error"], fields["state"], fields["iss"]) == (
        ["access_denied"],
        [STATE],
        [f"{sandbox.url}/standard"],
    )
    assert "code" not in fields


def test_errors_that_need_no_user_are_sent_to_the_redirect_uri(sandbox: Sandbox) -> None:
    fields = parse_qs(urlsplit(UserAgent().consent(request_url(sandbox, scope="no-such"))).query)
    assert (fields["error"], fields["iss"]) == (["invalid_scope"], [f"{sandbox.url}/standard"])


def test_a_page_without_the_form_is_an_error(sandbox: Sandbox) -> None:
    with pytest.raises(PageError, match=r"\(400\) has no form with username and 'Allow'"):
        UserAgent().consent(request_url(sandbox, client_id="nobody"))


def test_jsonbody_does_not_send_iss(sandbox: Sandbox) -> None:
    assert "iss" not in parse_qs(urlsplit(UserAgent().consent(request_url(sandbox, "jsonbody"))).query)


def test_a_wrong_code_verifier_is_refused(sandbox: Sandbox) -> None:
    url = request_url(sandbox, code_challenge=CHALLENGE, code_challenge_method="S256")
    refused = exchange_code(sandbox, UserAgent().consent(url), code_verifier=VERIFIER[::-1])
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


def test_codes_of_a_client_can_be_configured_to_be_expired(sandbox: Sandbox) -> None:
    client = {"server": "standard", **OWN, "code_lifetime": 0}
    assert requests.post(f"{sandbox.url}/_control/clients", json=client, timeout=10).status_code == 204
    refused = exchange_code(sandbox, UserAgent().consent(request_url(sandbox)))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


# --- revocation


@pytest.mark.parametrize("server", SERVERS)
def test_revoking_a_refresh_token_ends_the_grant(sandbox: Sandbox, server: str) -> None:
    first = grant(sandbox, server)
    second = renew(sandbox, first["refresh_token"], server).json()
    response = post_revoke(sandbox, second["refresh_token"], server, token_type_hint="refresh_token")
    assert (response.status_code, response.content) == (200, b"")
    assert [status(sandbox, each["access_token"], server) for each in (first, second)] == [401, 401]
    assert renew(sandbox, second["refresh_token"], server).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("hint", [{}, {"token_type_hint": "refresh_token"}])
def test_revoking_an_access_token_does_not_revoke_the_refresh_token(
    sandbox: Sandbox, server: str, hint: dict[str, Any]
) -> None:
    tokens, others = grant(sandbox, server), grant(sandbox, server)
    assert post_revoke(sandbox, tokens["access_token"], server, **hint).status_code == 200
    assert [status(sandbox, each["access_token"], server) for each in (tokens, others)] == [401, 200]
    assert renew(sandbox, tokens["refresh_token"], server).status_code == 200


def test_the_revocation_endpoint_accepts_basic_authentication(sandbox: Sandbox) -> None:
    tokens = grant(sandbox)
    url, own = f"{sandbox.url}/standard/revoke", ("app", "fake-secret%2B%2F%25%3D")
    assert requests.post(url, data={"token": tokens["refresh_token"]}, auth=own, timeout=10).status_code == 200
    assert status(sandbox, tokens["access_token"]) == 401


def test_revoking_an_unknown_token_succeeds(sandbox: Sandbox) -> None:
    tokens = grant(sandbox)
    for _ in range(2):
        assert post_revoke(sandbox, tokens["refresh_token"]).status_code == 200
    assert post_revoke(sandbox, "made-up").status_code == 200


def test_a_token_of_another_client_is_not_revoked(sandbox: Sandbox) -> None:
    tokens = grant(sandbox)
    for value in (tokens["access_token"], tokens["refresh_token"]):
        refused = post_revoke(sandbox, value, client_id="other")
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert status(sandbox, tokens["access_token"]) == 200


@pytest.mark.parametrize(
    ("options", "code", "error"),
    [
        ({"data": {**OWN, "client_secret": "wrong", "token": "x"}}, 401, "invalid_client"),
        ({"data": {"token": "x"}}, 401, "invalid_client"),
        ({"data": OWN}, 400, "invalid_request"),
        ({"json": {**OWN, "token": "x"}}, 415, "invalid_request"),
        ({"data": OWN, "params": {"token": "x"}}, 400, "invalid_request"),
    ],
)
@pytest.mark.parametrize("server", SERVERS)
def test_an_invalid_revocation_request_is_refused(
    sandbox: Sandbox, server: str, options: dict[str, Any], code: int, error: str
) -> None:
    refused = requests.post(f"{sandbox.url}/{server}/revoke", timeout=10, **options)
    assert (refused.status_code, refused.json()["error"]) == (code, error)


def test_revocations_are_counted(sandbox: Sandbox) -> None:
    tokens = grant(sandbox)
    before = sandbox.state.counts()["app"]
    post_revoke(sandbox, tokens["refresh_token"])
    assert sandbox.state.counts()["app"] == before | {"revocation_requests": 1}


def test_the_revocation_endpoint_can_simulate_faults(sandbox: Sandbox) -> None:
    tokens = grant(sandbox)
    sandbox.state.inject_fault("standard", "revoke", status=503)
    assert post_revoke(sandbox, tokens["refresh_token"]).status_code == 503
    assert status(sandbox, tokens["access_token"]) == 200
    assert post_revoke(sandbox, tokens["refresh_token"]).status_code == 200


# --- metadata


def test_standard_has_its_endpoints_in_its_metadata(sandbox: Sandbox) -> None:
    url = f"{sandbox.url}/standard"
    assert requests.get(f"{url}/.well-known/openid-configuration", timeout=10).json() == {
        "issuer": url,
        "authorization_endpoint": f"{url}/authorize",
        "token_endpoint": f"{url}/token",
        "pushed_authorization_request_endpoint": f"{url}/par",
        "require_pushed_authorization_requests": False,
        "device_authorization_endpoint": f"{url}/device_authorization",
        "revocation_endpoint": f"{url}/revoke",
        "response_types_supported": ["code"],
        "grant_types_supported": [
            *("authorization_code", "client_credentials", "password", "refresh_token"),
            "urn:ietf:params:oauth:grant-type:device_code",
        ],
        "scopes_supported": ["read", "write", "admin", "openid"],
        "token_endpoint_auth_methods_supported": [
            *("client_secret_basic", "client_secret_post", "private_key_jwt", "client_secret_jwt", "none"),
        ],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
    }


def test_the_metadata_of_jsonbody_does_not_announce_iss(sandbox: Sandbox) -> None:
    metadata = requests.get(f"{sandbox.url}/jsonbody/.well-known/openid-configuration", timeout=10).json()
    assert metadata["revocation_endpoint"] == f"{sandbox.url}/jsonbody/revoke"
    assert "authorization_response_iss_parameter_supported" not in metadata


@pytest.mark.parametrize("server", WITHOUT)
def test_a_server_can_have_neither_metadata_nor_revocation(sandbox: Sandbox, server: str) -> None:
    assert requests.get(f"{sandbox.url}/{server}/.well-known/openid-configuration", timeout=10).status_code == 404
    assert post_revoke(sandbox, "x", server).status_code == 404
