"""The sandbox's servers behave like the vendors, as far as the vendors document it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.server import Sandbox
    from tests.fake_clock import FakeClock


ID = "reports"
SECRET = "fake-secret-:/+%&é 1"
USERS = {"ada@example.com": "fake-password-:/+%&é 1"}
TOKEN_PATHS = {
    "jsonbody": "token",
    "justlogin": "v1/auth/connect/token",
    "justimmo": "access_token",
    "joor": "auth/",
}
SCOPES = {"justlogin": ["openid"], "joor": ["email", "profile"]}
WITH_CODES = ["jsonbody", "justimmo", "justlogin"]


@pytest.fixture(autouse=True)
def clients(sandbox: Sandbox) -> None:
    for server in TOKEN_PATHS:
        for client_id in (ID, "other"):
            sandbox.state.add_client(server, client_id, SECRET, scopes=SCOPES.get(server, ["read"]), users=USERS)


def request_token(
    sandbox: Sandbox, server: str, _headers: dict[str, str] | None = None, _as: str | None = None, **parameters: Any
) -> requests.Response:
    """Request a token in the format of the server, or in another format."""
    url = f"{sandbox.url}/{server}/{TOKEN_PATHS[server]}"
    parameters = {"client_id": ID, "client_secret": SECRET, **parameters}
    how = _as or {"jsonbody": "json", "joor": "files"}.get(server, "data")
    body = {name: (None, value) for name, value in parameters.items()} if how == "files" else parameters
    return requests.post(url, headers=_headers, timeout=10, allow_redirects=False, **{how: body})


def refresh(sandbox: Sandbox, server: str, refresh_token: str, **more: Any) -> requests.Response:
    return request_token(sandbox, server, grant_type="refresh_token", refresh_token=refresh_token, **more)


def exchange(sandbox: Sandbox, server: str, code: str, **more: Any) -> requests.Response:
    return request_token(sandbox, server, grant_type="authorization_code", code=code, **more)


def control(sandbox: Sandbox, path: str, **body: Any) -> requests.Response:
    return requests.post(f"{sandbox.url}/_control/{path}", json=body, timeout=10)


def issue_code(sandbox: Sandbox, server: str, **more: Any) -> str:
    return control(sandbox, "codes", server=server, client_id=ID, **more).json()["code"]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def call(
    sandbox: Sandbox,
    path: str,
    token: str,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    json: Any = None,
    **params: Any,
) -> requests.Response:
    headers = bearer(token) | (headers or {})
    return requests.request(method, f"{sandbox.url}/{path}", headers=headers, json=json, params=params, timeout=10)


def counts(sandbox: Sandbox) -> dict[str, Any]:
    return sandbox.state.counts()[ID]


def refused(response: requests.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]


# --- authorization codes


@pytest.mark.parametrize("server", WITH_CODES)
def test_a_code_returns_tokens_of_the_user_who_consented(sandbox: Sandbox, server: str) -> None:
    content = exchange(sandbox, server, issue_code(sandbox, server, username="ada")).json()
    assert sandbox.state.issued() == [content["access_token"], content["refresh_token"]]
    assert sandbox.state.token("access", server, content["access_token"]).username == "ada"
    assert refresh(sandbox, server, content["refresh_token"]).status_code == 200


@pytest.mark.parametrize("server", ["jsonbody", "justlogin"])
def test_a_code_used_twice_revokes_its_tokens(sandbox: Sandbox, server: str) -> None:
    code = issue_code(sandbox, server)
    content = exchange(sandbox, server, code).json()
    assert refused(exchange(sandbox, server, code)) == (400, "invalid_grant")
    assert refused(refresh(sandbox, server, content["refresh_token"])) == (400, "invalid_grant")
    access_token = sandbox.state.token("access", server, content["access_token"])
    assert not sandbox.state.is_valid(access_token)
    assert (counts(sandbox)["code_reused"], counts(sandbox)["refresh_reused"]) == (1, 0)


@pytest.mark.parametrize(("server", "lifetime"), [("jsonbody", 600), ("justlogin", 600), ("justimmo", 60)])
def test_a_code_is_valid_until_it_expires(
    sandbox: Sandbox, sandbox_clock: FakeClock, server: str, lifetime: int
) -> None:
    in_time, late = issue_code(sandbox, server), issue_code(sandbox, server)
    sandbox_clock.advance(lifetime - 1)
    assert exchange(sandbox, server, in_time).status_code == 200
    sandbox_clock.advance(1)
    assert exchange(sandbox, server, late).status_code == 400


def test_a_code_requires_its_redirect_uri_and_stays_valid_after_a_wrong_one(sandbox: Sandbox) -> None:
    code = issue_code(sandbox, "jsonbody", redirect_uri="http://localhost/callback")
    for wrong in ({}, {"redirect_uri": "http://localhost/elsewhere"}):
        assert refused(exchange(sandbox, "jsonbody", code, **wrong)) == (400, "invalid_grant")
    assert exchange(sandbox, "jsonbody", code, redirect_uri="http://localhost/callback").status_code == 200


def test_a_code_without_a_redirect_uri_is_accepted_with_any_redirect_uri(sandbox: Sandbox) -> None:
    code = issue_code(sandbox, "jsonbody")
    assert exchange(sandbox, "jsonbody", code, redirect_uri="http://localhost/callback").status_code == 200


@pytest.mark.parametrize("client_id", ["other", "nobody"])
def test_a_code_of_another_client_is_refused(sandbox: Sandbox, client_id: str) -> None:
    code = issue_code(sandbox, "jsonbody")
    assert exchange(sandbox, "jsonbody", code, client_id=client_id).status_code in (400, 401)
    assert exchange(sandbox, "jsonbody", code).status_code == 200


@pytest.mark.parametrize("server", WITH_CODES)
def test_codes_and_refresh_tokens_contain_percent_signs(sandbox: Sandbox, server: str) -> None:
    code = issue_code(sandbox, server)
    assert code.endswith("%3D")
    assert exchange(sandbox, server, unquote(code)).status_code == 400
    refresh_token = exchange(sandbox, server, code).json()["refresh_token"]
    assert refresh_token.endswith("%3d")
    assert refresh(sandbox, server, unquote(refresh_token)).status_code == 400
    assert refresh(sandbox, server, refresh_token).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"server": "nowhere", "client_id": ID}, 404),
        ({"server": "jsonbody", "client_id": "nobody"}, 404),
        ({"server": "joor", "client_id": ID}, 409),
        ({"server": "jsonbody", "client_id": ID, "redirect": "x"}, 422),
    ],
)
def test_an_invalid_request_for_a_code_is_refused(sandbox: Sandbox, body: dict[str, str], status: int) -> None:
    assert control(sandbox, "codes", **body).status_code == status


@pytest.mark.parametrize(
    ("server", "grant"),
    [
        ("jsonbody", "implicit"),
        ("justlogin", "client_credentials"),
        ("justlogin", "password"),
        ("justimmo", "password"),
        ("joor", "refresh_token"),
        ("joor", "client_credentials"),
        ("joor", "authorization_code"),
    ],
)
def test_a_grant_type_that_the_vendor_does_not_support_is_refused(sandbox: Sandbox, server: str, grant: str) -> None:
    assert refused(request_token(sandbox, server, grant_type=grant)) == (400, "unsupported_grant_type")


def test_a_code_that_is_missing_or_in_the_url_is_refused(sandbox: Sandbox) -> None:
    assert refused(request_token(sandbox, "jsonbody", grant_type="authorization_code")) == (400, "invalid_request")
    url = f"{sandbox.url}/jsonbody/token"
    assert refused(requests.post(url, params={"code": "x"}, json={}, timeout=10)) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("server", "other"), [("justlogin", "json"), ("justimmo", "files"), ("joor", "data"), ("joor", "json")]
)
def test_a_body_in_another_format_is_refused(sandbox: Sandbox, server: str, other: str) -> None:
    assert refused(request_token(sandbox, server, _as=other, grant_type="password")) == (415, "invalid_request")


@pytest.mark.parametrize("server", ["justlogin", "justimmo", "joor"])
def test_http_basic_and_a_wrong_secret_are_refused(sandbox: Sandbox, server: str) -> None:
    basic = requests.auth._basic_auth_str(ID, "fake")
    for request in ({"_headers": {"Authorization": basic}, "client_secret": ""}, {"client_secret": "wrong"}):
        response = request_token(sandbox, server, grant_type="refresh_token", **request)
        assert refused(response) == (401, "invalid_client")


# --- JustLogin


def justlogin(sandbox: Sandbox, username: str | None = None) -> dict[str, Any]:
    """Use a refresh token that was obtained without a consent page, and return the token response."""
    grant = {"server": "justlogin", "client_id": ID, "username": username}
    return refresh(sandbox, "justlogin", control(sandbox, "grants", **grant).json()["refresh_token"]).json()


@pytest.fixture
def user_token(sandbox: Sandbox) -> str:
    return justlogin(sandbox)["access_token"]


def users(sandbox: Sandbox, token: str, **params: Any) -> requests.Response:
    return call(sandbox, "justlogin/membership/v3/users", token, **params)


def test_justlogin_replaces_refresh_tokens_and_its_access_tokens_are_valid_for_an_hour(
    sandbox: Sandbox, sandbox_clock: FakeClock
) -> None:
    content = justlogin(sandbox)
    assert content["expires_in"] == 3600
    again = refresh(sandbox, "justlogin", content["refresh_token"], scope="openid").json()
    assert again["refresh_token"] != content["refresh_token"]
    assert users(sandbox, again["access_token"]).status_code == 200
    sandbox_clock.advance(3600)
    assert users(sandbox, again["access_token"]).status_code == 401
    assert refused(refresh(sandbox, "justlogin", content["refresh_token"])) == (400, "invalid_grant")
    assert refused(refresh(sandbox, "justlogin", again["refresh_token"])) == (400, "invalid_grant")


def test_justlogin_accepts_only_the_scope_openid(sandbox: Sandbox) -> None:
    content = justlogin(sandbox)
    response = refresh(sandbox, "justlogin", content["refresh_token"], scope="openid profile")
    assert refused(response) == (400, "invalid_scope")
    sandbox.state.add_client("justlogin", ID, SECRET, scopes=["read"])
    pasted = sandbox.state.issue_refresh_token("justlogin", ID)
    assert refused(refresh(sandbox, "justlogin", pasted)) == (400, "invalid_scope")


@pytest.mark.parametrize("age", [0, 4000])
def test_a_justlogin_refresh_request_can_contain_the_old_access_token(
    sandbox: Sandbox, sandbox_clock: FakeClock, age: int
) -> None:
    old = justlogin(sandbox)
    sandbox_clock.advance(age)
    response = refresh(sandbox, "justlogin", old["refresh_token"], _headers=bearer(old["access_token"]))
    assert response.status_code == 200
    assert (counts(sandbox)["refresh_with_bearer"], counts(sandbox)["token_requests"]) == (1, 2)


def test_a_justlogin_refresh_request_with_another_bearer_token_does_not_use_the_refresh_token(sandbox: Sandbox) -> None:
    old = justlogin(sandbox)
    others = sandbox.state.issue_refresh_token("justlogin", "other")
    others = refresh(sandbox, "justlogin", others, client_id="other").json()["access_token"]
    for wrong in (others, "made-up", "", old["refresh_token"]):
        response = refresh(sandbox, "justlogin", old["refresh_token"], _headers=bearer(wrong))
        assert refused(response) == (401, "invalid_client")
    assert counts(sandbox)["refresh_with_bearer"] == 0
    assert refresh(sandbox, "justlogin", old["refresh_token"]).status_code == 200


def test_only_a_justlogin_refresh_request_can_contain_a_bearer_token(sandbox: Sandbox) -> None:
    first = exchange(sandbox, "jsonbody", issue_code(sandbox, "jsonbody")).json()
    response = refresh(sandbox, "jsonbody", first["refresh_token"], _headers=bearer(first["access_token"]))
    assert refused(response) == (401, "invalid_client")
    old = justlogin(sandbox)["access_token"]
    response = exchange(sandbox, "justlogin", issue_code(sandbox, "justlogin"), _headers=bearer(old))
    assert refused(response) == (401, "invalid_client")


def test_justlogin_sends_the_pagination_in_a_header(sandbox: Sandbox, user_token: str) -> None:
    first, last = users(sandbox, user_token), users(sandbox, user_token, limit=100, page=2)
    assert json.loads(first.headers["x-pagination"]) == {
        "TotalCount": 117,
        "PageSize": 50,
        "CurrentPage": 1,
        "TotalPages": 3,
        "HasNext": True,
        "HasPrevious": False,
    }
    assert json.loads(last.headers["x-pagination"]) == {
        "TotalCount": 117,
        "PageSize": 17,
        "CurrentPage": 2,
        "TotalPages": 2,
        "HasNext": False,
        "HasPrevious": True,
    }
    assert (len(first.json()), len(last.json())) == (50, 17)
    assert users(sandbox, user_token, page=9).json() == []
    assert counts(sandbox)["rows"] == 67


@pytest.mark.parametrize(("status", "active", "inactive"), [("", 50, 0), ("inactive", 0, 13), ("all", 45, 5)])
def test_justlogin_returns_active_users_by_default(
    sandbox: Sandbox, user_token: str, status: str, active: int, inactive: int
) -> None:
    rows = users(sandbox, user_token, **({"activeStatus": status} if status else {})).json()
    assert [sum(row["isActive"] is state for row in rows) for state in (True, False)] == [active, inactive]


@pytest.mark.parametrize(
    ("include", "more"),
    [
        ("", set()),
        ("manager,employment", {"manager", "employment"}),
        ("department,company", {"department", "company"}),
        ("profile", {"residency", "passport", "governmentId"}),
    ],
)
def test_justlogin_returns_the_included_members_of_a_user(
    sandbox: Sandbox, user_token: str, include: str, more: set[str]
) -> None:
    row = users(sandbox, user_token, include=include, limit=1).json()[0]
    assert set(row) == more | {
        "userGuid",
        "companyGuid",
        "employeeId",
        "userName",
        "email",
        "fullName",
        "createdDate",
        "modifiedDate",
        "joinDate",
        "isActive",
    }
    assert call(sandbox, f"justlogin/membership/v3/users/{row['userGuid']}", user_token, include=include).json() == row


@pytest.mark.parametrize(("text", "found"), [("made-up PERSON 99", 1), ("person 1", 42), ("tony", 0)])
def test_justlogin_finds_users_by_name(sandbox: Sandbox, user_token: str, text: str, found: int) -> None:
    rows = users(sandbox, user_token, query=f"name[=]{text}", activeStatus="all").json()
    assert len(rows) == found
    assert all(text.casefold() in row["fullName"].casefold() for row in rows)


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 0},
        {"limit": 101},
        {"page": 0},
        {"include": "salary"},
        {"activeStatus": "maybe"},
        {"query": "name=ada"},
        {"query": "email[=]ada"},
    ],
)
def test_justlogin_refuses_invalid_parameters_without_a_body(
    sandbox: Sandbox, user_token: str, params: dict[str, Any]
) -> None:
    response = users(sandbox, user_token, **params)
    assert (response.status_code, response.content) == (400, b"")


def test_justlogin_errors_have_no_body(sandbox: Sandbox, user_token: str) -> None:
    responses = [
        users(sandbox, "made-up"),
        call(sandbox, "justlogin/membership/v3/users/0000", user_token),
        users(sandbox, user_token, access_token=user_token),
    ]
    assert [(response.status_code, response.content) for response in responses] == [(401, b""), (404, b""), (400, b"")]


PAYROLL = {
    "payinfo": {"companyGUID", "userGUID", "payPeriod", "payMethod", "basicPay"},
    "bankinfo": {
        *("companyGUID", "userGUID", "bankGUID", "branchGUID", "bankName", "branchNo", "branchName", "accountNo"),
    },
}


@pytest.mark.parametrize("info", PAYROLL)
def test_the_justlogin_payroll_requires_a_role(sandbox: Sandbox, user_token: str, info: str) -> None:
    user = users(sandbox, user_token, limit=1).json()[0]["userGuid"]
    path = f"justlogin/payroll/employee-management/v1/users/{user}/{info}"
    assert set(call(sandbox, path, user_token).json()) == PAYROLL[info]
    assert call(sandbox, path, justlogin(sandbox, "hr-manager")["access_token"]).status_code == 200
    denied = call(sandbox, path, justlogin(sandbox, "employee")["access_token"])
    assert (denied.status_code, denied.content) == (403, b"")
    assert call(sandbox, path.replace(user, "0000"), user_token).status_code == 404


def test_justlogin_returns_the_leave_of_a_user(sandbox: Sandbox, user_token: str) -> None:
    user = users(sandbox, user_token, limit=1).json()[0]
    base = f"justlogin/leave/setup/leave/v2/companies/{user['companyGuid']}/users/{user['userGuid']}"
    types = call(sandbox, f"{base}/assignedleavetypes", user_token, whichyear="2026").json()["leaveTypes"]
    assert types[0] == {"leaveType": 1, "leaveName": "Annual"}
    for wrong in ({}, {"whichyear": "26"}, {"whichyear": "next"}):
        assert call(sandbox, f"{base}/assignedleavetypes", user_token, **wrong).status_code == 400
    summary = f"{base}/leavetypes/1/leavesummary"
    assert call(sandbox, summary, user_token, baseondate="2026-02-28").json()["leaveType"] == 1
    for wrong in ({}, {"baseondate": "20260228"}, {"baseondate": "2026-02-30"}):
        assert call(sandbox, summary, user_token, **wrong).status_code == 400
    for missing in (summary.replace("leavetypes/1", "leavetypes/9"), summary.replace(user["companyGuid"], "0000")):
        assert call(sandbox, missing, user_token, baseondate="2026-02-28").status_code == 404


# --- Justimmo

PAGE_ERROR = {
    "error": "invalid_request",
    "message": "The request is missing a required parameter, includes an invalid parameter value, includes a"
    " parameter more than once, or is otherwise malformed.",
}
DAY = 86400


def justimmo_of_client(sandbox: Sandbox) -> dict[str, Any]:
    return request_token(sandbox, "justimmo", grant_type="client_credentials").json()


def justimmo_of_user(sandbox: Sandbox) -> dict[str, Any]:
    return exchange(sandbox, "justimmo", issue_code(sandbox, "justimmo")).json()


def realties(sandbox: Sandbox, headers: dict[str, str] | None = None, **params: Any) -> requests.Response:
    headers = {"X-Justimmo-TenantId": "5678"} if headers is None else headers
    token = justimmo_of_client(sandbox)["access_token"]
    return call(sandbox, "justimmo/v1/realties", token, headers=headers, **params)


def test_justimmo_client_credentials_return_a_token_for_a_month_and_no_refresh_token(sandbox: Sandbox) -> None:
    content = justimmo_of_client(sandbox)
    assert set(content) == {"access_token", "token_type", "expires_in"}
    assert content["expires_in"] == 31 * DAY


def test_a_justimmo_user_gets_a_token_for_a_day_and_a_refresh_token_for_a_month(
    sandbox: Sandbox, sandbox_clock: FakeClock
) -> None:
    first = justimmo_of_user(sandbox)
    assert set(first) == {"access_token", "token_type", "expires_in", "refresh_token"}
    sandbox_clock.advance(30 * DAY - 1)
    second = refresh(sandbox, "justimmo", first["refresh_token"]).json()
    assert (first["expires_in"], second["expires_in"]) == (DAY, DAY)
    assert second["refresh_token"] != first["refresh_token"]
    sandbox_clock.advance(30 * DAY)
    expired = refresh(sandbox, "justimmo", second["refresh_token"])
    assert (expired.status_code, expired.json()) == (400, PAGE_ERROR | {"hint": "Refresh token has expired"})


def test_a_justimmo_refresh_token_obtained_elsewhere_is_valid_for_a_month(
    sandbox: Sandbox, sandbox_clock: FakeClock
) -> None:
    pasted = control(sandbox, "grants", server="justimmo", client_id=ID).json()["refresh_token"]
    sandbox_clock.advance(30 * DAY)
    assert refresh(sandbox, "justimmo", pasted).status_code == 400


def test_justimmo_reports_an_invalid_refresh_token_or_code_as_invalid_request(sandbox: Sandbox) -> None:
    first = justimmo_of_user(sandbox)
    refresh(sandbox, "justimmo", first["refresh_token"])
    for invalid in ("made-up", first["refresh_token"]):
        response = refresh(sandbox, "justimmo", invalid)
        assert (response.status_code, response.json()) == (400, PAGE_ERROR | {"hint": "Refresh token has expired"})
    response = exchange(sandbox, "justimmo", "made-up")
    assert (response.status_code, response.json()) == (400, PAGE_ERROR | {"hint": "Authorization code has expired"})
    assert counts(sandbox)["token_errors"] == {"invalid_request": 3}


def test_justimmo_errors_have_message_and_hint(sandbox: Sandbox) -> None:
    response = request_token(sandbox, "justimmo", grant_type="client_credentials", client_secret="wrong")
    assert response.json() == {"error": "invalid_client", "message": "Client authentication failed"}
    assert set(request_token(sandbox, "justimmo", grant_type="nonsense").json()) == {"error", "message", "hint"}


def test_justimmo_returns_the_current_user_only_for_a_token_of_a_user(sandbox: Sandbox) -> None:
    path = "justimmo/oauth/user/current"
    response = call(sandbox, path, justimmo_of_user(sandbox)["access_token"])
    assert response.json() == {"id": 1234, "tenant": {"id": 5678}}
    denied = call(sandbox, path, justimmo_of_client(sandbox)["access_token"])
    assert refused(denied) == (403, "access_denied")
    assert set(denied.json()) == {"error", "message", "hint"}


@pytest.mark.parametrize(("envelope", "key"), [({}, "items"), ({"envelope": "data"}, "data")])
def test_justimmo_realties_come_in_an_envelope_with_the_total(
    sandbox: Sandbox, envelope: dict[str, Any], key: str
) -> None:
    page = realties(sandbox, offset=200, **envelope).json()
    assert page["pagination"] == {"total": 250}
    assert [page[key][0]["id"], page[key][-1]["id"]] == [201, 250]
    assert counts(sandbox)["rows"] == 50


def test_justimmo_realties_can_be_an_array(sandbox: Sandbox) -> None:
    assert len(realties(sandbox, envelope="bare").json()) == 100
    assert [row["id"] for row in realties(sandbox, envelope="bare", limit=2, offset=3).json()] == [4, 5]
    assert realties(sandbox, envelope="bare", offset=250).json() == []


@pytest.mark.parametrize("params", [{"limit": 101}, {"limit": 0}, {"offset": -1}, {"envelope": "xml"}])
def test_justimmo_refuses_an_invalid_page(sandbox: Sandbox, params: dict[str, Any]) -> None:
    response = realties(sandbox, **params)
    assert (response.status_code, set(response.json())) == (400, {"error", "message"})


def test_justimmo_requires_the_tenant(sandbox: Sandbox) -> None:
    missing = realties(sandbox, headers={})
    assert (missing.status_code, set(missing.json())) == (400, {"error", "message"})
    assert realties(sandbox, headers={"X-Justimmo-TenantId": "1"}).status_code == 403
    impersonating = {"X-Justimmo-TenantId": "5678", "X-Justimmo-UserId": "77"}
    response = realties(sandbox, headers=impersonating)
    assert response.status_code == 200
    assert "77" not in response.headers.values()


# --- JOOR


def joor_token(sandbox: Sandbox, client_id: str = ID) -> requests.Response:
    user, secret = next(iter(USERS.items()))
    parameters = {"grant_type": "password", "username": user, "password": secret, "g-recaptcha-response": "xxx"}
    return request_token(sandbox, "joor", client_id=client_id, **parameters)


@pytest.fixture
def buyer(sandbox: Sandbox) -> str:
    return joor_token(sandbox).json()["access_token"]


def joor(
    sandbox: Sandbox, path: str, token: str, method: str = "GET", json: Any = None, **params: Any
) -> requests.Response:
    return call(sandbox, f"joor/v4/{path}", token, method, json=json, **{"account": "7", **params})


def ids(response: requests.Response) -> list[Any]:
    assert response.status_code == 200, response.text
    assert response.json()["errors"] == []
    return [row["id"] for row in response.json()["data"]]


def test_a_joor_token_response_has_the_documented_members(sandbox: Sandbox) -> None:
    content = joor_token(sandbox).json()
    assert set(content) == {
        "access_token",
        "expires_in",
        "refresh_expires_in",
        "refresh_token",
        "token_type",
        "not-before-policy",
        "session_state",
        "scope",
    }
    assert (content["expires_in"], content["refresh_expires_in"]) == (36000, 86400)
    assert (content["scope"], content["not-before-policy"]) == ("email profile", 0)


def test_several_joor_tokens_are_valid_at_the_same_time_and_cannot_be_refreshed(sandbox: Sandbox) -> None:
    first, second = joor_token(sandbox).json(), joor_token(sandbox).json()
    assert {joor(sandbox, "seasons", each["access_token"]).status_code for each in (first, second)} == {200}
    assert refused(refresh(sandbox, "joor", first["refresh_token"])) == (400, "unsupported_grant_type")


@pytest.mark.parametrize(("account", "message"), [("", "account is required"), ("seven", "account must be a number")])
@pytest.mark.parametrize(("method", "path"), [("GET", "orders"), ("POST", "skus/bulk_update")])
def test_every_joor_request_requires_an_account(
    sandbox: Sandbox, buyer: str, method: str, path: str, account: str, message: str
) -> None:
    response = joor(sandbox, path, buyer, method, account=account)
    assert response.status_code == 400
    content = response.json()
    assert content["data"] == []
    assert [(error["status"], error["message"]) for error in content["errors"]] == [(400, message)]
    assert set(content["errors"][0]) == {"status", "message", "details"}


def test_joor_reports_an_invalid_token_in_its_envelope(sandbox: Sandbox) -> None:
    response = joor(sandbox, "orders", "made-up")
    assert (response.status_code, response.json()["errors"][0]["status"]) == (401, 401)
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
    assert sandbox.state.counts()["?"]["api_401"] == 1


@pytest.mark.parametrize(
    ("path", "rows"),
    [
        ("orders", 230),
        ("products", 60),
        ("skus", 180),
        ("prices", 180),
        ("collections", 8),
        ("categories", 12),
        ("traits", 10),
        ("seasons", 6),
    ],
)
def test_joor_resources_have_pages_without_a_total(sandbox: Sandbox, buyer: str, path: str, rows: int) -> None:
    first = joor(sandbox, path, buyer)
    assert set(first.json()) == {"data", "errors"}
    assert len(ids(first)) == min(rows, 50)
    pages = [ids(joor(sandbox, path, buyer, page=page, page_size=200)) for page in (1, 2, 3)]
    assert [len(page) for page in pages] == [min(rows, 200), max(rows - 200, 0), 0]
    assert sum(pages, []) == list(range(1, rows + 1))


def test_joor_orders_have_the_documented_members(sandbox: Sandbox, buyer: str) -> None:
    row = joor(sandbox, "orders", buyer, order_ids="5").json()["data"][0]
    assert {"id", "retailer_id", "price_type_id", "collection_id", "status", "date_approved"} <= set(row)


@pytest.mark.parametrize(
    ("params", "matches"),
    [
        ({"order_ids": "3,7"}, lambda row: row["id"] in (3, 7)),
        ({"status": "pending"}, lambda row: row["status"] == "pending"),
        ({"status": "pending,shipped"}, lambda row: row["status"] in ("pending", "shipped")),
        ({"export_status": "exported"}, lambda row: row["export_status"] == "exported"),
        (
            {"date_approved_start": "2026-02-01", "date_approved_end": "2026-02-10"},
            lambda row: "2026-02-01" <= (row["date_approved"] or "") <= "2026-02-10",
        ),
        ({"last_modified": "2026-04-01T08:00:00Z"}, lambda row: row["last_modified"] >= "2026-04-01T08:00:00Z"),
    ],
)
def test_joor_orders_can_be_filtered(
    sandbox: Sandbox, buyer: str, params: dict[str, str], matches: Callable[..., Any]
) -> None:
    everything = joor(sandbox, "orders", buyer, page_size=200).json()["data"]
    everything += joor(sandbox, "orders", buyer, page_size=200, page=2).json()["data"]
    wanted = [row["id"] for row in everything if matches(row)]
    assert 0 < len(wanted) < 200
    assert ids(joor(sandbox, "orders", buyer, page_size=200, **params)) == wanted


def test_joor_orders_can_be_sorted(sandbox: Sandbox, buyer: str) -> None:
    assert ids(joor(sandbox, "orders", buyer, sort_order="desc", page_size=2)) == [230, 229]
    assert ids(joor(sandbox, "orders", buyer, sort_by="date_approved", page_size=2)) == [1, 2]
    assert ids(joor(sandbox, "orders", buyer, sort_by="last_modified", sort_order="desc", page_size=1)) == [230]


@pytest.mark.parametrize(
    "params",
    [
        {"page": 0},
        {"page": "x"},
        {"page_size": 201},
        {"page_size": 0},
        {"order_ids": "1,x"},
        {"last_modified": "yesterday"},
        {"sort_by": "nonsense"},
        {"sort_order": "up"},
    ],
)
def test_joor_refuses_invalid_parameters(sandbox: Sandbox, buyer: str, params: dict[str, Any]) -> None:
    response = joor(sandbox, "orders", buyer, **params)
    assert (response.status_code, response.json()["errors"][0]["status"]) == (400, 400)


def test_joor_returns_skus_by_product_and_lines_only_by_order(sandbox: Sandbox, buyer: str) -> None:
    assert ids(joor(sandbox, "skus", buyer, product_ids="2,60")) == [4, 5, 6, 178, 179, 180]
    assert ids(joor(sandbox, "orders/sku_line_items", buyer, order_ids="4,9")) == [41, 42, 91, 92]
    assert joor(sandbox, "orders/sku_line_items", buyer).status_code == 400


def test_joor_stores_lines_per_account(sandbox: Sandbox, buyer: str) -> None:
    body = [{"id": 41, "quantity": 99}, {"id": 42, "quantity": 0}]
    response = joor(sandbox, "orders/sku_line_items/bulk_update", buyer, "POST", json=body)
    assert ids(response) == [41, 42]
    for account, quantities in (("7", [99, 0]), ("8", [1, 2])):
        rows = joor(sandbox, "orders/sku_line_items", buyer, order_ids="4", account=account).json()["data"]
        assert [row["quantity"] for row in rows] == quantities
    assert counts(sandbox)["rows_written"] == 2


def test_a_changed_joor_order_has_a_new_last_modified(sandbox: Sandbox, sandbox_clock: FakeClock, buyer: str) -> None:
    sandbox_clock.advance(1)
    joor(sandbox, "orders/bulk_update", buyer, "POST", json=[{"id": 5, "status": "shipped"}])
    changed = joor(sandbox, "orders", buyer, last_modified="2027-01-15T08:00:01Z")
    assert ids(changed) == [5]
    assert changed.json()["data"][0]["retailer_id"] == 1005


@pytest.mark.parametrize(
    ("path", "valid"),
    [
        ("orders", {"retailer_id": 1}),
        ("products", {"name": "Made-up shoe"}),
        ("collections", {"name": "Made-up summer"}),
        ("skus", {"product_id": 1}),
        ("prices", {"sku_id": 1}),
    ],
)
def test_joor_writes_valid_items_and_reports_the_others_as_errors(
    sandbox: Sandbox, buyer: str, path: str, valid: dict[str, Any]
) -> None:
    body = [valid, {}, valid | {"reject": True}, valid]
    response = joor(sandbox, f"{path}/bulk_create", buyer, "POST", json=body)
    content = response.json()
    first, second = (row["id"] for row in content["data"])
    assert (response.status_code, second) == (200, first + 1)
    assert [(error["status"], error["details"]) for error in content["errors"]] == [
        (422, {"index": 1}),
        (422, {"index": 2}),
    ]
    body = [{"id": first, "note": "made-up"}, {"note": "no id"}, {"id": 10**6}, {"id": second, "reject": True}]
    content = joor(sandbox, f"{path}/bulk_update", buyer, "POST", json=body).json()
    assert [(row["id"], row["note"]) for row in content["data"]] == [(first, "made-up")]
    assert valid.items() <= content["data"][0].items()
    assert [error["details"] for error in content["errors"]] == [
        {"index": 1},
        {"index": 2, "id": 10**6},
        {"index": 3, "id": second},
    ]
    assert counts(sandbox)["rows_written"] == 3


@pytest.mark.parametrize("body", [{"id": 1}, [1], "text", None])
def test_joor_requires_an_array_of_objects(sandbox: Sandbox, buyer: str, body: Any) -> None:
    response = joor(sandbox, "products/bulk_update", buyer, "POST", json=body)
    assert (response.status_code, response.json()["data"]) == (400, [])


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "categories/bulk_create"), ("POST", "orders/sku_line_items/bulk_create")]
)
def test_joor_refuses_to_write_read_only_resources(sandbox: Sandbox, buyer: str, method: str, path: str) -> None:
    assert joor(sandbox, path, buyer, method, json=[]).status_code in (404, 405)


def spend_credits(sandbox: Sandbox, token: str, account: str = "7") -> None:
    """Spend 300 credits: 59 writes of 5 credits, and 5 reads of 1 credit."""
    for number in range(59):
        assert sandbox.state.charge("joor", account, 5, limit=300, window=300.0), number
    for _ in range(5):
        assert joor(sandbox, "seasons", token, account=account).status_code == 200


def test_joor_refuses_requests_without_credits_until_the_window_ends(
    sandbox: Sandbox, sandbox_clock: FakeClock, buyer: str
) -> None:
    spend_credits(sandbox, buyer)
    refused = joor(sandbox, "seasons", buyer)
    assert (refused.status_code, refused.json()["data"]) == (429, [])
    assert refused.json()["errors"][0]["status"] == 429
    assert "Retry-After" not in refused.headers
    assert joor(sandbox, "seasons", buyer, account="8").status_code == 200
    sandbox_clock.advance(299)
    assert joor(sandbox, "seasons", buyer).status_code == 429
    sandbox_clock.advance(1)
    assert joor(sandbox, "seasons", buyer).status_code == 200
    assert counts(sandbox)["rate_limited"] == 2


def test_a_joor_write_costs_five_credits_and_a_read_costs_one(sandbox: Sandbox, sandbox_clock: FakeClock) -> None:
    client = {"server": "joor", "client_id": "small", "client_secret": SECRET, "scopes": ["email"], "users": USERS}
    assert control(sandbox, "clients", **client, credits=7, credit_window=2.5).status_code == 204
    token = joor_token(sandbox, "small").json()["access_token"]

    def statuses() -> list[int]:
        methods = [("GET", "orders"), ("POST", "orders/bulk_update"), ("POST", "orders/bulk_update")]
        return [joor(sandbox, path, token, method, json=[]).status_code for method, path in methods]

    assert statuses() == [200, 200, 429]
    # The refused request cost nothing, so one credit is left.
    assert [joor(sandbox, "orders", token).status_code for _ in range(2)] == [200, 429]
    sandbox_clock.advance(2.5)
    assert statuses() == [200, 200, 429]


def test_a_fault_of_joor_can_have_retry_after(sandbox: Sandbox, buyer: str) -> None:
    sandbox.state.inject_fault("joor", "api", status=429, headers={"Retry-After": "3"})
    assert joor(sandbox, "orders", buyer).headers["Retry-After"] == "3"
    assert counts(sandbox)["rate_limited"] == 1
