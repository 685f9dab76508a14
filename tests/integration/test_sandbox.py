"""The sandbox accepts and refuses the same requests as the real servers, over a real socket."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import pytest
import requests

from sandbox.server import SandboxProcess, serve
from sandbox.server_config import ServerConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.server import Sandbox
    from tests.fake_clock import FakeClock


ROOT = Path(__file__).parents[2]
ID = "reports:/+%&é client"
SECRET = "fake-secret-:/+%&é 1"
USERS = {"ada@example.com": "fake-password-:/+%&é 1"}
SCOPES = ["read", "write"]


@pytest.fixture(autouse=True)
def clients(sandbox: Sandbox) -> None:
    for server in ("standard", "multipart", "jsonbody"):
        sandbox.state.add_client(server, ID, SECRET, scopes=SCOPES, users=USERS)
    sandbox.state.add_client("standard", "public", None, users=USERS)


def basic(client_id: str = ID, secret: str = SECRET, encode: Callable[[str], str] = quote_plus) -> dict[str, str]:
    pair = f"{encode(client_id)}:{encode(secret)}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def request_token(
    sandbox: Sandbox | SandboxProcess,
    _server: str = "standard",
    _headers: dict[str, str] | None = None,
    **parameters: Any,
) -> requests.Response:
    """Send a token request in the server's format: HTTP Basic for standard, credentials in the body for the others."""
    url = f"{sandbox.url}/{_server}/token"
    if _server == "standard":
        headers = basic() if _headers is None else _headers
        return requests.post(url, data=parameters, headers=headers, timeout=10)
    parameters = {"client_id": ID, "client_secret": SECRET, **parameters}
    if _server == "jsonbody":
        return requests.post(url, json=parameters, headers=_headers, timeout=10)
    files = {name: (None, value) for name, value in parameters.items()}
    return requests.post(url, files=files, headers=_headers, timeout=10)


def password(sandbox: Sandbox, server: str = "standard", **more: Any) -> requests.Response:
    user, secret = next(iter(USERS.items()))
    return request_token(sandbox, server, grant_type="password", username=user, password=secret, **more)


def call(
    sandbox: Sandbox | SandboxProcess,
    path: str,
    token: str | None = None,
    method: str = "GET",
    server: str = "standard",
    **options: Any,
) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    headers |= options.pop("headers", {})
    url = f"{sandbox.url}/{server}/api/{path}"
    return requests.request(method, url, headers=headers, timeout=10, allow_redirects=False, **options)


@pytest.fixture
def token(sandbox: Sandbox) -> str:
    return request_token(sandbox, grant_type="client_credentials").json()["access_token"]


def assert_refused(response: requests.Response, error: str, status: int = 400, text: str = "") -> None:
    assert (response.status_code, response.json()["error"]) == (status, error), response.text
    assert text in response.json()["error_description"]
    assert response.headers["Cache-Control"] == "no-store"


# --- grants


def test_client_credentials_return_an_access_token_and_no_refresh_token(sandbox: Sandbox) -> None:
    response = request_token(sandbox, grant_type="client_credentials", scope="read write")
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    assert response.json() == {
        "access_token": sandbox.state.issued()[0],
        "token_type": "Bearer",
        "expires_in": 3600,
    }


def test_the_password_grant_returns_a_refresh_token_too(sandbox: Sandbox) -> None:
    tokens = password(sandbox).json()
    assert tokens["refresh_token"] in sandbox.state.issued()
    assert call(sandbox, "whoami", tokens["access_token"]).json()["username"] == "ada@example.com"


def test_multipart_responds_with_the_documented_fields(sandbox: Sandbox) -> None:
    tokens = password(sandbox, "multipart").json()
    assert set(tokens) == {
        "access_token",
        "expires_in",
        "refresh_expires_in",
        "refresh_token",
        "token_type",
        "not-before-policy",
        "session_state",
        "scope",
    }
    assert (tokens["expires_in"], tokens["refresh_expires_in"], tokens["scope"]) == (36000, 86400, "read write")


@pytest.mark.parametrize("grant", ["client_credentials", "password"])
def test_jsonbody_returns_a_new_refresh_token_with_every_grant_and_every_refresh(sandbox: Sandbox, grant: str) -> None:
    if grant == "password":
        tokens = password(sandbox, "jsonbody").json()
    else:
        tokens = request_token(sandbox, "jsonbody", grant_type=grant).json()
    refresh_tokens = [tokens["refresh_token"]]
    for _ in range(2):
        tokens = request_token(
            sandbox, "jsonbody", grant_type="refresh_token", refresh_token=tokens["refresh_token"]
        ).json()
        refresh_tokens.append(tokens["refresh_token"])
    assert len(set(refresh_tokens)) == 3
    assert call(sandbox, "items", tokens["access_token"], server="jsonbody").status_code == 200


@pytest.mark.parametrize("server", ["standard", "jsonbody"])
def test_a_refresh_token_that_is_used_twice_revokes_its_whole_family(sandbox: Sandbox, server: str) -> None:
    first = password(sandbox, server).json()
    second = request_token(sandbox, server, grant_type="refresh_token", refresh_token=first["refresh_token"]).json()
    reused = request_token(sandbox, server, grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert_refused(reused, "invalid_grant")
    after = request_token(sandbox, server, grant_type="refresh_token", refresh_token=second["refresh_token"])
    assert_refused(after, "invalid_grant")
    assert call(sandbox, "items", second["access_token"], server=server).status_code == 401
    assert sandbox.state.counts()[ID]["refresh_reused"] == 1


def test_a_refused_refresh_request_does_not_use_up_the_refresh_token(sandbox: Sandbox) -> None:
    refresh_token = password(sandbox, scope="read").json()["refresh_token"]
    wider = request_token(sandbox, grant_type="refresh_token", refresh_token=refresh_token, scope="read write")
    assert_refused(wider, "invalid_scope")
    assert request_token(sandbox, grant_type="refresh_token", refresh_token=refresh_token).status_code == 200


def test_a_refresh_can_reduce_the_scope_and_the_next_one_can_have_the_full_scope_again(sandbox: Sandbox) -> None:
    first = password(sandbox, scope="read write").json()
    narrow = request_token(
        sandbox, grant_type="refresh_token", refresh_token=first["refresh_token"], scope="read"
    ).json()
    assert call(sandbox, "whoami", narrow["access_token"]).json()["scope"] == "read"
    wide = request_token(sandbox, grant_type="refresh_token", refresh_token=narrow["refresh_token"]).json()
    assert call(sandbox, "whoami", wide["access_token"]).json()["scope"] == "read write"


def test_a_refresh_token_of_another_client_or_server_is_refused(sandbox: Sandbox) -> None:
    sandbox.state.add_client("standard", "other", "fake-secret-2")
    for server, client_id in (("standard", "other"), ("jsonbody", ID)):
        stolen = sandbox.state.issue_refresh_token(server, client_id)
        assert_refused(request_token(sandbox, grant_type="refresh_token", refresh_token=stolen), "invalid_grant")


def test_a_refresh_token_issued_by_the_control_route_works(sandbox: Sandbox) -> None:
    first = sandbox.state.issue_refresh_token("standard", ID, scope="read", username="ada")
    tokens = request_token(sandbox, grant_type="refresh_token", refresh_token=first).json()
    who = call(sandbox, "whoami", tokens["access_token"]).json()
    assert (who["username"], who["scope"]) == ("ada", "read")


def test_no_refresh_token_is_issued_to_an_unregistered_client(sandbox: Sandbox) -> None:
    with pytest.raises(KeyError, match="nobody"):
        sandbox.state.issue_refresh_token("standard", "nobody")


def test_a_server_can_keep_refresh_tokens_and_let_them_expire(tmp_path: Path, sandbox_clock: FakeClock) -> None:
    keeps = ServerConfig("keeps", ("password", "refresh_token"), rotates_refresh_tokens=False, refresh_lifetime=100)
    with serve(tmp_path / "keeps", clock=sandbox_clock.timestamp, servers=[keeps]) as sandbox:
        sandbox.state.add_client("keeps", "public", None, users={"ada": "fake-password"})

        def post(**parameters: Any) -> requests.Response:
            data = {"client_id": "public", **parameters}
            return requests.post(f"{sandbox.url}/keeps/token", data=data, timeout=10)

        refresh_token = post(grant_type="password", username="ada", password="fake-password").json()["refresh_token"]
        for _ in range(2):
            assert "refresh_token" not in post(grant_type="refresh_token", refresh_token=refresh_token).json()
        sandbox_clock.advance(100)
        assert_refused(post(grant_type="refresh_token", refresh_token=refresh_token), "invalid_grant")


# --- scopes


def test_the_response_has_a_scope_only_if_it_differs_from_the_requested_one(sandbox: Sandbox) -> None:
    assert "scope" not in request_token(sandbox, grant_type="client_credentials", scope="write read").json()
    assert request_token(sandbox, grant_type="client_credentials", scope="read admin").json()["scope"] == "read"
    assert request_token(sandbox, grant_type="client_credentials").json()["scope"] == "read write"


@pytest.mark.parametrize("scope", ["read nonsense", "admin"])
def test_a_scope_that_is_unknown_or_not_allowed_for_the_client_is_refused(sandbox: Sandbox, scope: str) -> None:
    assert_refused(request_token(sandbox, grant_type="client_credentials", scope=scope), "invalid_scope")


# --- client authentication


def test_basic_credentials_are_form_decoded(sandbox: Sandbox) -> None:
    assert request_token(sandbox, grant_type="client_credentials").status_code == 200


def test_basic_credentials_that_were_not_form_encoded_are_refused(sandbox: Sandbox) -> None:
    raw = basic(encode=str)
    response = request_token(sandbox, _headers=raw, grant_type="client_credentials")
    assert_refused(response, "invalid_client", 401)


def test_a_server_can_require_basic_credentials_without_form_encoding(tmp_path: Path) -> None:
    raw = ServerConfig("raw", ("client_credentials",), client_auth=("client_secret_basic_raw",))
    with serve(tmp_path / "raw", servers=[raw]) as sandbox:
        sandbox.state.add_client("raw", "a+b", "fake%20secret:é")
        url, data = f"{sandbox.url}/raw/token", {"grant_type": "client_credentials"}
        good = requests.post(url, data=data, headers=basic("a+b", "fake%20secret:é", str), timeout=10)
        encoded = requests.post(url, data=data, headers=basic("a+b", "fake%20secret:é"), timeout=10)
    assert (good.status_code, encoded.status_code) == (200, 401)


def test_the_secret_can_be_in_the_body_instead(sandbox: Sandbox) -> None:
    response = request_token(sandbox, _headers={}, grant_type="client_credentials", client_id=ID, client_secret=SECRET)
    assert response.status_code == 200


def test_a_secret_in_the_header_and_in_the_body_is_refused(sandbox: Sandbox) -> None:
    response = request_token(sandbox, grant_type="client_credentials", client_id=ID, client_secret=SECRET)
    assert_refused(response, "invalid_request", text="not both")


def test_a_client_id_in_the_body_must_equal_the_one_in_the_header(sandbox: Sandbox) -> None:
    assert request_token(sandbox, grant_type="client_credentials", client_id=ID).status_code == 200
    other = request_token(sandbox, grant_type="client_credentials", client_id="public")
    assert_refused(other, "invalid_request", text="client_id")


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(basic(secret="wrong")["Authorization"], id="wrong secret"),
        pytest.param(basic(client_id="nobody")["Authorization"], id="unknown client"),
        pytest.param("Basic !!!", id="not base64"),
        pytest.param("Basic " + base64.b64encode(b"no-colon").decode(), id="no colon"),
        pytest.param("Bearer something", id="not Basic"),
    ],
)
def test_invalid_credentials_in_the_header_get_a_401_with_a_challenge(sandbox: Sandbox, header: str) -> None:
    response = request_token(sandbox, _headers={"Authorization": header}, grant_type="client_credentials")
    assert_refused(response, "invalid_client", 401)
    assert response.headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize("server", ["standard", "multipart", "jsonbody"])
def test_a_wrong_secret_in_the_body_gets_a_401_without_a_challenge(sandbox: Sandbox, server: str) -> None:
    response = request_token(sandbox, server, {}, grant_type="password", client_id=ID, client_secret="wrong")
    assert_refused(response, "invalid_client", 401)
    assert "WWW-Authenticate" not in response.headers


@pytest.mark.parametrize("server", ["multipart", "jsonbody"])
def test_servers_that_require_credentials_in_the_body_refuse_basic(sandbox: Sandbox, server: str) -> None:
    url = f"{sandbox.url}/{server}/token"
    body = (
        {"json": {"grant_type": "password"}} if server == "jsonbody" else {"files": {"grant_type": (None, "password")}}
    )
    response = requests.post(url, headers=basic(), timeout=10, **body)
    assert_refused(response, "invalid_client", 401, text="not an authentication method")


def test_a_request_without_a_client_is_refused(sandbox: Sandbox) -> None:
    response = request_token(sandbox, _headers={}, grant_type="client_credentials")
    assert_refused(response, "invalid_client", 401, text="client_id is missing")


def test_a_confidential_client_must_send_its_secret(sandbox: Sandbox) -> None:
    response = request_token(sandbox, _headers={}, grant_type="client_credentials", client_id=ID)
    assert_refused(response, "invalid_client", 401)


def test_a_public_client_must_not_send_a_secret(sandbox: Sandbox) -> None:
    public = {"_headers": {}, "client_id": "public", "grant_type": "password"}
    user = {"username": "ada@example.com", "password": USERS["ada@example.com"]}
    assert request_token(sandbox, **public, **user).status_code == 200
    assert_refused(request_token(sandbox, **public, **user, client_secret="made-up"), "invalid_client", 401)


def test_a_public_client_cannot_use_client_credentials(sandbox: Sandbox) -> None:
    response = request_token(sandbox, _headers={}, grant_type="client_credentials", client_id="public")
    assert_refused(response, "unauthorized_client")


# --- what the token endpoint refuses otherwise


@pytest.mark.parametrize(
    ("server", "body"),
    [
        ("standard", {"json": {"grant_type": "client_credentials"}}),
        ("standard", {"files": {"grant_type": (None, "client_credentials")}}),
        ("standard", {"data": b"grant_type=client_credentials"}),
        ("multipart", {"data": {"grant_type": "password"}}),
        ("multipart", {"json": {"grant_type": "password"}}),
        ("jsonbody", {"data": {"grant_type": "password"}}),
    ],
)
def test_a_body_in_another_format_is_refused(sandbox: Sandbox, server: str, body: dict[str, Any]) -> None:
    response = requests.post(f"{sandbox.url}/{server}/token", timeout=10, **body)
    assert_refused(response, "invalid_request", 415, text="content type")


@pytest.mark.parametrize(
    ("server", "content_type", "body"),
    [
        ("standard", "application/x-www-form-urlencoded", b"grant_type=%ff"),
        ("standard", "application/x-www-form-urlencoded", "grant_type=é".encode()),
        ("multipart", "multipart/form-data", b"no boundary"),
        ("jsonbody", "application/json", b"{not json"),
        ("jsonbody", "application/json", b'["a list"]'),
        ("jsonbody", "application/json", b'{"grant_type": 1}'),
        ("jsonbody", "application/json", b'{"grant_type": {"inner": "object"}}'),
    ],
)
def test_a_malformed_body_is_refused(sandbox: Sandbox, server: str, content_type: str, body: bytes) -> None:
    url, headers = f"{sandbox.url}/{server}/token", {"Content-Type": content_type}
    assert_refused(requests.post(url, data=body, headers=headers, timeout=10), "invalid_request")


def test_a_file_instead_of_a_field_is_refused(sandbox: Sandbox) -> None:
    files = {"grant_type": ("grant.txt", "password")}
    response = requests.post(f"{sandbox.url}/multipart/token", files=files, timeout=10)
    assert_refused(response, "invalid_request", text="not a file")


@pytest.mark.parametrize(
    ("server", "body"),
    [
        ("standard", {"data": [("scope", "read"), ("scope", "write")]}),
        ("multipart", {"files": [("scope", (None, "read")), ("scope", (None, "write"))]}),
        ("jsonbody", {"data": '{"scope": "read", "scope": "write"}', "headers": {"Content-Type": "application/json"}}),
    ],
)
def test_a_repeated_parameter_is_refused(sandbox: Sandbox, server: str, body: dict[str, Any]) -> None:
    response = requests.post(f"{sandbox.url}/{server}/token", timeout=10, **body)
    assert_refused(response, "invalid_request", text="scope is repeated")


@pytest.mark.parametrize("name", ["grant_type", "client_secret", "refresh_token"])
def test_a_parameter_in_the_url_is_refused(sandbox: Sandbox, name: str) -> None:
    data = {"grant_type": "client_credentials"}
    response = requests.post(
        f"{sandbox.url}/standard/token", params={name: "x"}, data=data, headers=basic(), timeout=10
    )
    assert_refused(response, "invalid_request", text=f"{name} must be in the body")


@pytest.mark.parametrize(
    ("missing", "parameters"),
    [
        ("grant_type", {"scope": "read"}),
        ("username", {"grant_type": "password", "password": "x"}),
        ("password", {"grant_type": "password", "username": "x"}),
        ("password", {"grant_type": "password", "username": "x", "password": ""}),
        ("refresh_token", {"grant_type": "refresh_token"}),
    ],
)
@pytest.mark.parametrize("server", ["standard", "jsonbody"])
def test_the_error_names_a_missing_parameter(
    sandbox: Sandbox, server: str, missing: str, parameters: dict[str, str]
) -> None:
    assert_refused(request_token(sandbox, server, **parameters), "invalid_request", text=f"{missing} is missing")


@pytest.mark.parametrize(
    ("server", "grant"),
    [
        ("multipart", "authorization_code"),
        ("multipart", "client_credentials"),
        ("multipart", "refresh_token"),
    ],
)
def test_an_unsupported_grant_type_is_refused(sandbox: Sandbox, server: str, grant: str) -> None:
    assert_refused(request_token(sandbox, server, grant_type=grant), "unsupported_grant_type")


@pytest.mark.parametrize("server", ["standard", "multipart", "jsonbody"])
@pytest.mark.parametrize(
    "user", [{"username": "ada@example.com", "password": "wrong"}, {"username": "nobody", "password": "x"}]
)
def test_a_wrong_password_is_an_invalid_grant(sandbox: Sandbox, server: str, user: dict[str, str]) -> None:
    assert_refused(request_token(sandbox, server, grant_type="password", **user), "invalid_grant")


def test_an_unknown_refresh_token_is_an_invalid_grant(sandbox: Sandbox, token: str) -> None:
    for value in ("made-up", token):
        response = request_token(sandbox, grant_type="refresh_token", refresh_token=value)
        assert_refused(response, "invalid_grant")


def test_the_token_endpoint_accepts_only_post(sandbox: Sandbox) -> None:
    response = requests.get(f"{sandbox.url}/standard/token", timeout=10)
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")


def test_the_token_endpoint_does_not_redirect_a_trailing_slash(sandbox: Sandbox) -> None:
    url = f"{sandbox.url}/standard/token/"
    assert requests.post(url, allow_redirects=False, timeout=10).status_code == 404


def test_errors_can_have_the_format_of_the_php_league(tmp_path: Path) -> None:
    league = ServerConfig("league", ("client_credentials",), error_style="league")
    with serve(tmp_path / "league", servers=[league]) as sandbox:
        sandbox.state.add_client("league", "public", None)
        data, url = {"grant_type": "x", "client_id": "public"}, f"{sandbox.url}/league/token"
        response = requests.post(url, data=data, timeout=10)
        nobody = requests.post(url, data=data | {"client_id": "nobody"}, timeout=10)
    assert response.status_code == 400
    assert set(response.json()) == {"error", "message", "hint"}
    assert (nobody.status_code, set(nobody.json())) == (401, {"error", "message"})


# --- the API


def test_an_access_token_is_valid_until_the_second_it_expires(
    sandbox: Sandbox, sandbox_clock: FakeClock, token: str
) -> None:
    sandbox_clock.advance(3599)
    assert call(sandbox, "items", token).status_code == 200
    sandbox_clock.advance(1)
    response = call(sandbox, "items", token)
    assert response.status_code == 401
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]


def test_a_client_can_have_a_shorter_lifetime_of_tokens(sandbox: Sandbox, sandbox_clock: FakeClock) -> None:
    sandbox.state.add_client("standard", ID, SECRET, access_lifetime=5)
    tokens = request_token(sandbox, grant_type="client_credentials").json()
    sandbox_clock.advance(5)
    assert tokens["expires_in"] == 5
    assert call(sandbox, "items", tokens["access_token"]).status_code == 401


@pytest.mark.parametrize("value", ["Bearer made-up", "Bearer None"])
def test_a_made_up_token_is_an_invalid_token(sandbox: Sandbox, value: str) -> None:
    response = call(sandbox, "items", headers={"Authorization": value})
    assert response.status_code == 401
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]


@pytest.mark.parametrize("headers", [{}, basic()])
def test_without_a_bearer_token_the_challenge_has_no_error(sandbox: Sandbox, headers: dict[str, str]) -> None:
    response = call(sandbox, "items", headers=headers)
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, 'Bearer realm="sandbox"')


def test_the_api_refuses_a_token_of_another_server_and_a_refresh_token(sandbox: Sandbox, token: str) -> None:
    assert call(sandbox, "items", token, server="jsonbody").status_code == 401
    refresh_token = password(sandbox).json()["refresh_token"]
    assert call(sandbox, "items", refresh_token).status_code == 401


@pytest.mark.parametrize(
    "location",
    [
        lambda token: {"params": {"access_token": token}},
        lambda token: {"data": {"access_token": token}, "method": "POST"},
        lambda token: {"json": {"access_token": token}, "method": "POST"},
    ],
)
def test_a_token_in_the_query_or_the_body_is_refused(
    sandbox: Sandbox, token: str, location: Callable[..., Any]
) -> None:
    for in_header in (None, token):
        response = call(sandbox, "items", in_header, **location(token))
        assert response.status_code == 400
        assert 'error="invalid_request"' in response.headers["WWW-Authenticate"]


def test_items_are_returned_in_pages_and_their_rows_are_counted(sandbox: Sandbox, token: str) -> None:
    first = call(sandbox, "items", token).json()
    assert (len(first["data"]), first["page"], first["pages"], first["total"]) == (50, 1, 5, 250)
    last = call(sandbox, "items", token, params={"page": 3, "limit": 100}).json()
    assert [last["data"][0]["id"], last["data"][-1]["id"], last["pages"]] == [201, 250, 3]
    assert call(sandbox, "items", token, params={"page": 99}).json()["data"] == []
    assert sandbox.state.counts()[ID]["rows"] == 100


def test_an_invalid_page_number_is_refused(sandbox: Sandbox, token: str) -> None:
    assert call(sandbox, "items", token, params={"page": 0}).status_code == 422


def test_an_item_can_be_read_by_its_number(sandbox: Sandbox, token: str) -> None:
    assert call(sandbox, "items/250", token).json() == {"id": 250, "name": "Item 250"}
    assert call(sandbox, "items/251", token).status_code == 404


@pytest.mark.parametrize("body", [{"json": {"name": "é"}}, {"data": {"name": "é"}}])
def test_a_posted_item_is_returned(sandbox: Sandbox, token: str, body: dict[str, Any]) -> None:
    response = call(sandbox, "items", token, "POST", **body)
    assert (response.status_code, response.json()) == (201, {"name": "é"})


def test_an_unreadable_item_is_refused(sandbox: Sandbox, token: str) -> None:
    headers = {"Content-Type": "application/json"}
    assert call(sandbox, "items", token, "POST", data=b"{not json", headers=headers).status_code == 400


@pytest.mark.parametrize(("method", "path", "scope"), [("POST", "items", "write"), ("GET", "admin", "admin")])
def test_a_missing_scope_gets_a_403_that_names_the_scope(sandbox: Sandbox, method: str, path: str, scope: str) -> None:
    token = request_token(sandbox, grant_type="client_credentials", scope="read").json()["access_token"]
    response = call(sandbox, path, token, method, json={} if method == "POST" else None)
    assert response.status_code == 403
    challenge = response.headers["WWW-Authenticate"]
    assert 'error="insufficient_scope"' in challenge
    assert f'scope="{scope}"' in challenge


def test_a_token_with_scope_admin_can_read_admin(sandbox: Sandbox) -> None:
    sandbox.state.add_client("standard", ID, SECRET, scopes=["admin"])
    token = request_token(sandbox, grant_type="client_credentials").json()["access_token"]
    assert call(sandbox, "admin", token).json() == {"admin": True}


def test_a_job_is_running_until_it_was_requested_often_enough(sandbox: Sandbox, token: str) -> None:
    found = [call(sandbox, "jobs/export", token).json() for _ in range(3)]
    assert found == [{"status": "running"}, {"status": "running"}, {"status": "done"}]


def test_a_search_returns_pages_with_a_cursor(sandbox: Sandbox, token: str) -> None:
    body: dict[str, Any] = {"min_id": 149, "limit": 100}
    first = call(sandbox, "items/search", token, "POST", json=body).json()
    assert (len(first["results"]), first["total"], first["next_cursor"]) == (100, 102, "after-248")
    last = call(sandbox, "items/search", token, "POST", json={**body, "cursor": "after-248"}).json()
    assert ([row["id"] for row in last["results"]], last["next_cursor"]) == ([249, 250], None)
    assert call(sandbox, "items/search", token, "POST", json={"cursor": 2}).status_code == 400


def test_ready_returns_404_until_it_was_requested_often_enough(sandbox: Sandbox, token: str) -> None:
    statuses = [call(sandbox, "ready/file", token).status_code for _ in range(3)]
    assert statuses == [404, 404, 200]
    assert call(sandbox, "ready/file", token).json() == {"ready": True}
    assert call(sandbox, "ready/other", token, params={"after": 0}).status_code == 200


@pytest.mark.parametrize("status", [302, 307])
def test_the_redirect_leads_to_the_requested_url(sandbox: Sandbox, token: str, status: int) -> None:
    target = "http://localhost:1/elsewhere?a=b"
    response = call(sandbox, "redirect", token, params={"to": target, "status": status})
    assert (response.status_code, response.headers["Location"]) == (status, target)


def test_whoami_returns_the_request_without_the_token(sandbox: Sandbox, token: str) -> None:
    response = call(sandbox, "whoami", token, headers={"X-Tenant": "7"}, params={"account": "9"})
    who = response.json()
    assert (who["client_id"], who["username"], who["scope"]) == (ID, None, "read write")
    assert (who["headers"]["x-tenant"], who["query"]) == ("7", {"account": "9"})
    assert token not in response.text


# --- control


def control(sandbox: Sandbox, path: str, body: Any = None) -> requests.Response:
    method = "GET" if body is None else "POST"
    return requests.request(method, f"{sandbox.url}/_control/{path}", json=body, timeout=10)


def test_clients_and_grants_can_be_registered_over_http(sandbox: Sandbox) -> None:
    client = {"server": "standard", "client_id": "new", "client_secret": "fake-secret-3", "scopes": ["read"]}
    assert control(sandbox, "clients", client).status_code == 204
    grant = control(sandbox, "grants", {"server": "standard", "client_id": "new"}).json()
    response = request_token(sandbox, _headers=basic("new", "fake-secret-3"), grant_type="refresh_token", **grant)
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("clients", {"server": "standrad", "client_id": "x"}, 404),
        ("clients", {"server": "standard", "client_id": "x", "scope": "read"}, 422),
        ("grants", {"server": "standard", "client_id": "nobody"}, 404),
        ("faults", {"server": "nowhere", "endpoint": "api"}, 404),
        ("faults", {"server": "standard", "endpoint": "nowhere"}, 422),
        ("revoke", {"server": "nowhere"}, 404),
    ],
)
def test_an_invalid_control_request_is_refused(sandbox: Sandbox, path: str, body: dict[str, str], status: int) -> None:
    assert control(sandbox, path, body).status_code == status


def test_a_replaced_client_has_the_new_secret_and_its_tokens_stay_valid(sandbox: Sandbox, token: str) -> None:
    sandbox.state.add_client("standard", ID, "fake-secret-new")
    assert_refused(request_token(sandbox, grant_type="client_credentials"), "invalid_client", 401)
    assert call(sandbox, "items", token).status_code == 200


def test_requests_are_counted_by_client_and_outcome(sandbox: Sandbox, token: str) -> None:
    request_token(sandbox, grant_type="password", username="ada@example.com", password="wrong")
    request_token(sandbox, _headers=basic("nobody"), grant_type="client_credentials")
    requests.post(f"{sandbox.url}/standard/token", json={}, timeout=10)
    call(sandbox, "items", token, params={"limit": 7})
    call(sandbox, "items", "made-up")
    sandbox.state.revoke("standard")
    call(sandbox, "items", token)
    zeros = dict.fromkeys(
        (
            *("refresh_reused", "code_reused", "refresh_with_bearer", "api_401", "rate_limited"),
            *("rows", "rows_written", "revocation_requests", "pushed_requests"),
        ),
        0,
    )
    assert control(sandbox, "counts").json() == {
        ID: zeros
        | {
            "token_requests": 2,
            "token_requests_by_grant": {"client_credentials": 1, "password": 1},
            "token_errors": {"invalid_grant": 1},
            "api_calls": 2,
            "api_401": 1,
            "rows": 7,
        },
        "?": zeros
        | {
            "token_requests": 2,
            "token_requests_by_grant": {"client_credentials": 1, "?": 1},
            "token_errors": {"invalid_client": 1, "invalid_request": 1},
            "api_calls": 1,
            "api_401": 1,
        },
        "public": zeros | {"token_requests": 0, "token_requests_by_grant": {}, "token_errors": {}, "api_calls": 0},
    }
    assert control(sandbox, "counts/reset", {}).status_code == 204
    assert control(sandbox, "counts").json()[ID]["token_requests"] == 0


def test_all_issued_tokens_are_listed(sandbox: Sandbox) -> None:
    tokens = password(sandbox).json()
    assert control(sandbox, "issued").json() == [tokens["access_token"], tokens["refresh_token"]]


def test_a_fault_replaces_the_next_responses_and_the_requests_have_no_effect(sandbox: Sandbox) -> None:
    refresh_token = sandbox.state.issue_refresh_token("standard", ID)
    body = {
        "server": "standard",
        "endpoint": "token",
        "times": 2,
        "status": 503,
        "body": "<p>busy",
        "content_type": "text/html",
    }
    assert control(sandbox, "faults", {**body, "headers": {"Retry-After": "1"}}).status_code == 204
    for _ in range(2):
        response = request_token(sandbox, grant_type="refresh_token", refresh_token=refresh_token)
        assert (response.status_code, response.text) == (503, "<p>busy")
        assert response.headers["Retry-After"] == "1"
        assert response.headers["Content-Type"].startswith("text/html")
    assert request_token(sandbox, grant_type="refresh_token", refresh_token=refresh_token).status_code == 200
    assert sandbox.state.counts()[ID]["token_requests"] == 3


@pytest.mark.parametrize(("share", "status"), [(0.0, 200), (1.0, 503)])
def test_a_fault_can_apply_to_a_share_of_the_requests(sandbox: Sandbox, share: float, status: int) -> None:
    sandbox.state.inject_fault("standard", "token", share=share, status=503)
    assert request_token(sandbox, grant_type="client_credentials").status_code == status


def test_a_response_can_be_lost_after_the_refresh_token_was_used(sandbox: Sandbox) -> None:
    refresh_token = sandbox.state.issue_refresh_token("standard", ID)
    sandbox.state.inject_fault("standard", "token", status=500, after_processing=True)
    assert request_token(sandbox, grant_type="refresh_token", refresh_token=refresh_token).status_code == 500
    again = request_token(sandbox, grant_type="refresh_token", refresh_token=refresh_token)
    assert_refused(again, "invalid_grant")


@pytest.mark.parametrize("after_processing", [False, True])
def test_a_connection_can_be_dropped_without_a_response(sandbox: Sandbox, after_processing: bool) -> None:
    refresh_token = sandbox.state.issue_refresh_token("standard", ID)
    sandbox.state.inject_fault("standard", "token", drop=True, after_processing=after_processing)
    with pytest.raises(requests.ConnectionError):
        request_token(sandbox, grant_type="refresh_token", refresh_token=refresh_token)
    again = request_token(sandbox, grant_type="refresh_token", refresh_token=refresh_token)
    assert again.status_code == (400 if after_processing else 200)


def test_faults_apply_to_the_api_too_until_they_are_cleared(sandbox: Sandbox, token: str) -> None:
    sandbox.state.inject_fault("standard", "api", status=401)
    sandbox.state.inject_fault("standard", "api", times=5, drop=True)
    assert call(sandbox, "items", token).status_code == 401
    with pytest.raises(requests.ConnectionError):
        call(sandbox, "items", token)
    assert control(sandbox, "faults/clear", {}).status_code == 204
    assert call(sandbox, "items", token).status_code == 200
    assert sandbox.state.counts()[ID]["api_401"] == 1


@pytest.mark.parametrize("after_processing", [False, True])
def test_the_real_response_can_be_delayed(sandbox: Sandbox, token: str, after_processing: bool) -> None:
    sandbox.state.inject_fault("standard", "api", delay=0.2, after_processing=after_processing)
    response = call(sandbox, "items", token)
    assert response.status_code == 200
    assert response.elapsed.total_seconds() >= 0.2


@pytest.mark.parametrize(
    ("what", "access", "refresh"), [("access", 401, 200), ("refresh", 200, 400), ("all", 401, 400)]
)
def test_tokens_can_be_revoked_by_kind_and_client(sandbox: Sandbox, what: str, access: int, refresh: int) -> None:
    tokens = password(sandbox).json()
    assert control(sandbox, "revoke", {"server": "standard", "client_id": "public"}).json() == {"revoked": 0}
    control(sandbox, "revoke", {"server": "standard", "client_id": ID, "what": what})
    assert call(sandbox, "items", tokens["access_token"]).status_code == access
    renewed = request_token(sandbox, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert renewed.status_code == refresh


# --- processes


def test_state_and_port_survive_a_kill_and_a_restart(tmp_path: Path) -> None:
    client = {"server": "standard", "client_id": ID, "client_secret": SECRET}
    with SandboxProcess(tmp_path) as first:
        first.control("clients", client)
        token = request_token(first, grant_type="client_credentials").json()["access_token"]
        call(first, "ready/file", token, params={"after": 1})
        first.process.send_signal(signal.SIGKILL)
        first.process.wait(10)
    with SandboxProcess(tmp_path) as second:
        assert second.url == first.url
        assert call(second, "ready/file", token, params={"after": 1}).status_code == 200
        assert second.control("counts")[ID]["token_requests"] == 1
        process = second.process
    assert process.returncode == 0


def test_another_port_is_used_if_the_last_one_is_not_free(tmp_path: Path) -> None:
    with serve(tmp_path / "one") as first:
        (tmp_path / "two").mkdir()
        (tmp_path / "two" / "port").write_text(first.url.rpartition(":")[2])
        with serve(tmp_path / "two") as second:
            assert second.url != first.url
            assert control(second, "issued").json() == []


def test_a_requested_port_that_is_not_free_is_an_error(tmp_path: Path, sandbox: Sandbox) -> None:
    port = int(sandbox.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"), serve(tmp_path / "other", port=port):
        pass


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])  # noqa: S104 - refused
def test_a_host_that_is_not_loopback_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(ValueError, match="loopback only"), serve(tmp_path / "other", host=host):
        pass


def test_the_command_line_refuses_a_host_that_is_not_loopback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sandbox", "--state", str(tmp_path / "state"), "--host", "0.0.0.0"]  # noqa: S104 - refused
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "loopback only" in done.stderr


def test_the_error_of_a_failed_start_names_the_log(tmp_path: Path, sandbox: Sandbox) -> None:
    port = int(sandbox.url.rpartition(":")[2])
    with pytest.raises(RuntimeError, match=r"sandbox\.log"):
        SandboxProcess(tmp_path / "other", port).__enter__()
