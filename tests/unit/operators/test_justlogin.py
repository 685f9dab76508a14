"""The operators for JustLogin: the documented requests, and no identity documents or pay in XCom."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import ApiError, ConfigurationError
from airflow_provider_oauth.operators.justlogin import (
    JustLoginExtractPayrollOperator,
    JustLoginGetLeaveSummaryOperator,
    JustLoginGetUserOperator,
    JustLoginListLeaveTypesOperator,
    JustLoginListUsersOperator,
)
from airflow_provider_oauth.protocol.clock import Clock
from tests.unit.operators.results import counts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from requests_mock import Mocker
    from requests_mock.adapter import _Matcher

    from airflow_provider_oauth.operators.extract import ExtractOperator

API = "https://apis.justlogin.com"
USERS = f"{API}/membership/v3/users"
PAYROLL = f"{API}/payroll/employee-management/v1/users"
LEAVE = f"{API}/leave/setup/leave/v2/companies/c%2F1/users/u%201"

DOCUMENTS = {
    "residency": {"number": "fake-residency"},
    "passport": {"number": "fake-passport"},
    "governmentId": {"number": "fake-government-id"},
}
USER = {"userGuid": "u1", "companyGuid": "c1", "fullName": "Ann", "manager": {"userGuid": "u2"}}


@pytest.fixture(autouse=True)
def connection(
    define_connection: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    requests_mock: Mocker,
) -> _Matcher:
    # Before a refresh token is used, other processes get time to renew. There are none here.
    monkeypatch.setattr(Clock, "sleep", lambda self, seconds: None)
    define_connection(
        "justlogin_default", conn_type="justlogin", grant_type="refresh_token", refresh_token="fake-refresh"
    )
    return requests_mock.post(
        f"{API}/v1/auth/connect/token", json={"access_token": "fake-token", "expires_in": 3600, "refresh_token": "r2"}
    )


def sent(requests_mock: Mocker) -> list[str]:
    """Return the URLs of the requests to the API, which are all GET requests with the token."""
    requests = [request for request in requests_mock.request_history if "/connect/token" not in request.path]
    assert {(request.method, request.headers["Authorization"]) for request in requests} == {
        ("GET", "Bearer fake-token")
    }
    return [request.url for request in requests]


def page(rows: object, number: int, more: bool) -> dict[str, Any]:
    pagination = {"TotalCount": 3, "PageSize": 100, "CurrentPage": number, "TotalPages": 2, "HasNext": more}
    return {"json": rows, "headers": {"x-pagination": json.dumps(pagination | {"HasPrevious": number > 1})}}


def execute(cls: type[ExtractOperator], **parameters: Any) -> Any:
    return cls(task_id="read", **parameters).execute({})


# --- users


@pytest.mark.parametrize("wrap", [lambda rows: rows, lambda rows: {"users": rows, "count": len(rows)}])
def test_users_are_found_in_every_envelope_and_end_with_the_header(
    requests_mock: Mocker, tmp_path: Path, wrap: Callable[[list[Any]], Any]
) -> None:
    path = tmp_path / "users.jsonl"
    requests_mock.get(
        USERS, [page(wrap([USER, {"userGuid": "u2"}]), 1, True), page(wrap([{"userGuid": "u3"}]), 2, False)]
    )
    assert counts(execute(JustLoginListUsersOperator, path=str(path))) == {"rows": 3, "pages": 2, "path": str(path)}
    assert sent(requests_mock) == [f"{USERS}?page={number}&limit=100" for number in (1, 2)]
    assert [json.loads(line)["userGuid"] for line in path.read_text().splitlines()] == ["u1", "u2", "u3"]


@pytest.mark.parametrize(
    ("parameters", "query"),
    [
        ({"active_status": "active"}, ""),
        ({"active_status": "inactive"}, "activeStatus=inactive&"),
        ({"active_status": "all"}, "activeStatus=all&"),
        ({"include": ["manager", "employment"]}, "include=manager%2Cemployment&"),
        ({"include": "department,company"}, "include=department%2Ccompany&"),
        ({"include": []}, ""),
        ({"query": "name[=]tony"}, "query=name%5B%3D%5Dtony&"),
    ],
)
def test_users_are_filtered_as_documented(requests_mock: Mocker, parameters: dict[str, Any], query: str) -> None:
    requests_mock.get(USERS, **page([], 1, False))
    execute(JustLoginListUsersOperator, **parameters)
    assert sent(requests_mock) == [f"{USERS}?page=1&{query}limit=100"]


def test_a_missing_header_is_an_error(requests_mock: Mocker, tmp_path: Path) -> None:
    requests_mock.get(USERS, json=[USER])
    with pytest.raises(ApiError, match="x-pagination"):
        execute(JustLoginListUsersOperator, path=str(tmp_path / "users.jsonl"))
    assert list(tmp_path.glob("*.jsonl")) == []


def test_the_ids_for_mapped_operators_can_be_returned(requests_mock: Mocker) -> None:
    requests_mock.get(USERS, **page([USER], 1, False))
    returned = execute(JustLoginListUsersOperator, xcom_fields="{user_guid: userGuid, company_guid: companyGuid}")
    assert returned == [{"user_guid": "u1", "company_guid": "c1"}]


@pytest.mark.parametrize(
    ("parameters", "query"), [({}, ""), ({"include": ["manager", "profile"]}, "?include=manager%2Cprofile")]
)
def test_the_guid_of_a_user_is_url_encoded(
    requests_mock: Mocker, tmp_path: Path, parameters: dict[str, Any], query: str
) -> None:
    path = tmp_path / "user.jsonl"
    requests_mock.get(f"{USERS}/u%2F1", json=USER | {"list": [1]})
    returned = execute(JustLoginGetUserOperator, user_guid="u/1", path=str(path), **parameters)
    assert counts(returned) == {"rows": 1, "pages": 1, "path": str(path)}
    assert sent(requests_mock) == [f"{USERS}/u%2F1{query}"]
    assert json.loads(path.read_text()) == USER | {"list": [1]}


# --- identity documents


@pytest.mark.parametrize(
    "xcom_fields",
    ["@", "passport", "[@]", "*", "*.number", "{a: passport, b: governmentId.number}", "values(@)", "to_string(@)",
     "merge(@, {x: residency})", "[passport, residency, governmentId]", "keys(@)"],
)  # fmt: skip
def test_identity_documents_are_written_to_the_file_and_never_returned(
    requests_mock: Mocker, tmp_path: Path, xcom_fields: str
) -> None:
    requests_mock.get(USERS, **page([USER | DOCUMENTS], 1, False))
    requests_mock.get(f"{USERS}/u1", json=USER | DOCUMENTS)
    for cls, parameters in ((JustLoginListUsersOperator, {}), (JustLoginGetUserOperator, {"user_guid": "u1"})):
        path = tmp_path / "users.jsonl"
        try:
            returned = execute(cls, include="profile", path=str(path), xcom_fields=xcom_fields, **parameters)
        except Exception as error:
            returned = str(error)
        assert "fake" not in json.dumps(returned)
        assert not any(name in json.dumps(returned) for name in DOCUMENTS) or returned == [None]
    execute(JustLoginListUsersOperator, include="profile", path=str(path))
    assert json.loads(path.read_text()) == USER | DOCUMENTS


@pytest.mark.parametrize(
    "body",
    [
        {"data": USER | DOCUMENTS},
        [USER | DOCUMENTS],
        {"user": {"profile": [DOCUMENTS]}},
        {"manager": {"profile": DOCUMENTS}},
    ],
)
@pytest.mark.parametrize(
    "xcom_fields", ["@", "*", "*.*", "data.passport", "[0].passport", "user.profile", "manager.profile"]
)
def test_identity_documents_are_never_returned_in_any_envelope(
    requests_mock: Mocker, body: dict[str, Any] | list[Any], xcom_fields: str
) -> None:
    requests_mock.get(f"{USERS}/u1", json=body)
    assert "fake" not in json.dumps(execute(JustLoginGetUserOperator, user_guid="u1", xcom_fields=xcom_fields))


@pytest.mark.parametrize("guid", ["", " ", ".", "..", None, ["u1"], {"userGuid": "u1"}])
def test_an_invalid_guid_is_refused_before_a_request_is_sent(requests_mock: Mocker, guid: object) -> None:
    with pytest.raises(ConfigurationError, match="Connection 'justlogin_default': user_guid is"):
        execute(JustLoginGetUserOperator, user_guid=guid, xcom_fields="@")
    assert requests_mock.call_count == 0


@pytest.mark.parametrize("name", ["dateOfBirth", "gender", "images", "password", "Passport", "governmentID"])
def test_private_members_of_a_profile_are_never_returned(requests_mock: Mocker, name: str) -> None:
    requests_mock.get(f"{USERS}/u1", json={"userGuid": "u1", name: "fake-private"})
    assert execute(JustLoginGetUserOperator, user_guid="u1", xcom_fields="@") == [{"userGuid": "u1"}]


@pytest.mark.parametrize(("include", "mode"), [("profile", 0o600), (["manager", "profile"], 0o600), (None, 0o644)])
def test_only_the_owner_can_read_a_file_with_identity_documents(
    requests_mock: Mocker, tmp_path: Path, include: list[str] | str | None, mode: int
) -> None:
    requests_mock.get(f"{USERS}/u1", json=USER)
    old = os.umask(0o022)
    try:
        execute(JustLoginGetUserOperator, user_guid="u1", include=include, path=str(tmp_path / "user.jsonl"))
    finally:
        os.umask(old)
    assert (tmp_path / "user.jsonl").stat().st_mode & 0o777 == mode


# --- leave


def test_the_leave_types_of_a_user_are_fetched(requests_mock: Mocker) -> None:
    types = [{"leaveType": 7, "leaveName": "Annual"}]
    requests_mock.get(f"{LEAVE}/assignedleavetypes", json={"leaveTypes": types, "other": []})
    parameters = {"user_guid": "u 1", "company_guid": "c/1", "year": 2026}
    assert execute(JustLoginListLeaveTypesOperator, **parameters, xcom_fields="leaveType") == [7]
    assert sent(requests_mock) == [f"{LEAVE}/assignedleavetypes?whichyear=2026"]


@pytest.mark.parametrize(("leave_type_id", "quoted"), [(7, "7"), ("a/b", "a%2Fb")])
def test_the_leave_summary_of_a_date_is_fetched(requests_mock: Mocker, leave_type_id: int | str, quoted: str) -> None:
    requests_mock.get(f"{LEAVE}/leavetypes/{quoted}/leavesummary", json={"balance": 12.5, "days": [1]})
    parameters = {"user_guid": "u 1", "company_guid": "c/1", "leave_type_id": leave_type_id, "date": "2026-01-31"}
    assert execute(JustLoginGetLeaveSummaryOperator, **parameters, xcom_fields="balance") == [12.5]
    assert sent(requests_mock) == [f"{LEAVE}/leavetypes/{quoted}/leavesummary?baseondate=2026-01-31"]


# --- pay


def test_pay_is_written_to_the_file_and_only_counts_are_returned_and_logged(
    requests_mock: Mocker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    path = tmp_path / "pay.jsonl"
    for user in ("u1", "u2"):
        requests_mock.get(f"{PAYROLL}/{user}/payinfo", json={"userGUID": user, "basicPay": 98765.5})
        requests_mock.get(f"{PAYROLL}/{user}/bankinfo", json={"userGUID": user, "accountNo": "fake-account"})
    parameters = {"user_guids": ["u1", "u2"], "include": ["payinfo", "bankinfo"], "path": str(path)}
    returned = execute(JustLoginExtractPayrollOperator, **parameters)
    assert counts(returned) == {"rows": 4, "pages": 4, "path": str(path)}
    kinds = [(user, kind) for user in ("u1", "u2") for kind in ("payinfo", "bankinfo")]
    assert sent(requests_mock) == [f"{PAYROLL}/{user}/{kind}" for user, kind in kinds]
    assert [json.loads(line)["userGUID"] for line in path.read_text().splitlines()] == ["u1", "u1", "u2", "u2"]
    assert "98765" not in caplog.text
    assert "fake-account" not in caplog.text


def test_one_user_and_one_kind_can_be_strings(requests_mock: Mocker, tmp_path: Path) -> None:
    requests_mock.get(f"{PAYROLL}/u%3F1/payinfo", json={})
    path = str(tmp_path / "pay.jsonl")
    assert execute(JustLoginExtractPayrollOperator, user_guids="u?1", include="payinfo", path=path)["rows"] == 1


@pytest.mark.parametrize(
    "how", [{"xcom_fields": "@"}, {"default_args": {"xcom_fields": "@"}}], ids=["given", "default_args"]
)
def test_pay_refuses_xcom_fields(how: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="never stored in XCom"):
        JustLoginExtractPayrollOperator(task_id="pay", user_guids="u", include="payinfo", path="x", **how)


@pytest.mark.parametrize("include", ["", [], "salary", ["payinfo", "salary"], "payinfo,bankinfo"])
def test_pay_requires_a_valid_include(include: list[str] | str) -> None:
    with pytest.raises(ValueError, match="include is"):
        JustLoginExtractPayrollOperator(task_id="pay", user_guids="u", include=include, path="x")


def test_pay_requires_a_path() -> None:
    with pytest.raises(TypeError, match="path"):
        JustLoginExtractPayrollOperator(task_id="pay", user_guids="u", include="payinfo")


def test_a_missing_role_leaves_no_file_and_is_an_error_about_roles(requests_mock: Mocker, tmp_path: Path) -> None:
    requests_mock.get(f"{PAYROLL}/u1/payinfo", json={"basicPay": 1})
    requests_mock.get(f"{PAYROLL}/u2/payinfo", status_code=403, text="fake-body")
    path = str(tmp_path / "pay.jsonl")
    with pytest.raises(ApiError, match="user who consented lacks a JustLogin role") as caught:
        execute(JustLoginExtractPayrollOperator, user_guids=["u1", "u2"], include="payinfo", path=path)
    assert "fake" not in str(caught.value)
    assert list(tmp_path.glob("*.jsonl")) == []
