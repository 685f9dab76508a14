"""JustLogin (human resources): pagination in a response header, and error responses without a body."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import NAMESPACE_OID, uuid5

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import JSONResponse, Response

from sandbox.server_config import ServerConfig

if TYPE_CHECKING:
    from sandbox.state import State

#: The user whose tokens may not read the payroll.
EMPLOYEE = "employee"

_INCLUDES: dict[str, tuple[str, ...]] = {
    "manager": ("manager",),
    "department": ("department",),
    "employment": ("employment",),
    "company": ("company",),
    "profile": ("residency", "passport", "governmentId"),
}
_BASE = (
    *("userGuid", "companyGuid", "employeeId", "userName", "email", "fullName"),
    *("createdDate", "modifiedDate", "joinDate", "isActive"),
)
_LEAVE_TYPES = [{"leaveType": 1, "leaveName": "Annual"}, {"leaveType": 2, "leaveName": "Sick"}]


def _guid(name: str) -> str:
    """Return a GUID in JustLogin's format."""
    return uuid5(NAMESPACE_OID, name).hex.upper()


COMPANY_GUID = _guid("company")


def _user(number: int) -> dict[str, Any]:
    """Return a made-up user with all fields. Every tenth user is inactive."""
    day = date(2024, 1, 1) + timedelta(days=number)
    return {
        "userGuid": _guid(f"user {number}"),
        "companyGuid": COMPANY_GUID,
        "employeeId": f"E{number:04}",
        "userName": f"person{number}@example.com",
        "email": f"person{number}@example.com",
        "fullName": f"Made-up Person {number}",
        "createdDate": day.isoformat(),
        "modifiedDate": (day + timedelta(days=365)).isoformat(),
        "joinDate": day.isoformat(),
        "isActive": number % 10 != 0,
        "manager": {
            "userGuid": _guid("user 1"),
            "email": "person1@example.com",
            "fullName": "Made-up Person 1",
            "employeeId": "E0001",
        },
        "department": {"departmentGuid": _guid("department"), "name": "Imaginary Affairs"},
        "employment": {"designation": "Placeholder", "designationCode": "PH", "employmentStatus": "Full Time"},
        "company": {"name": "Example Company", "companyGuid": COMPANY_GUID},
        "residency": {"name": "Citizen", "startDate": "", "endDate": ""},
        "passport": {"passportNo": f"FAKE{number:04}", "issueDate": "2020-01-01", "expiryDate": "2030-01-01"},
        "governmentId": {"value": f"FAKE-ID-{number:04}"},
    }


USERS = {user["userGuid"]: user for user in map(_user, range(1, 131))}


def _refused(status: int) -> HTTPException:
    return HTTPException(status, {})


def _fields(include: str) -> list[str]:
    """Return the names of a user's fields for a value of the parameter ``include``.

    :raises HTTPException: 400, when the value is unknown
    """
    names = [name.strip() for name in include.split(",")] if include else []
    if not set(names) <= _INCLUDES.keys():
        raise _refused(400)
    return [*_BASE, *(field for name in names for field in _INCLUDES[name])]


def _matches(query: str | None, user: dict[str, Any]) -> bool:
    """Return whether the user matches the query, ``name[=]text``, ignoring case."""
    if query is None:
        return True
    name, operator, text = query.partition("[=]")
    if name != "name" or not operator:
        raise _refused(400)
    return text.casefold() in user["fullName"].casefold()


def _find(user_guid: str, company_guid: str = COMPANY_GUID) -> dict[str, Any]:
    user = USERS.get(user_guid.upper())
    if user is None or company_guid.upper() != COMPANY_GUID:
        raise _refused(404)
    return user


def _check_date(text: str | None, pattern: str, ending: str = "") -> None:
    try:
        date.fromisoformat((text or "") + ending)
    except ValueError:
        raise _refused(400) from None
    if not re.fullmatch(pattern, text or ""):
        raise _refused(400)


def _add_api(router: APIRouter, server: ServerConfig, state: State) -> None:
    _add_users(router, state)
    _add_payroll(router)
    _add_leave(router)


def _add_users(router: APIRouter, state: State) -> None:
    @router.get("/membership/v3/users")
    async def list_users(
        request: Request,
        include: str = "",
        active_status: Annotated[Literal["active", "inactive", "all"], Query(alias="activeStatus")] = "active",
        query: str | None = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
        page: Annotated[int, Query(ge=1)] = 1,
    ) -> Response:
        fields = _fields(include)
        active = {"active": {True}, "inactive": {False}, "all": {True, False}}[active_status]
        users = [user for user in USERS.values() if user["isActive"] in active and _matches(query, user)]
        rows = [{field: user[field] for field in fields} for user in users[(page - 1) * limit : page * limit]]
        state.count(request.state.token.client_id, "rows", n=len(rows))
        pages = -(-len(users) // limit)
        pagination = {
            "TotalCount": len(users),
            # "The total number of objects returned in the current response": less than the limit on the last page.
            "PageSize": len(rows),
            "CurrentPage": page,
            "TotalPages": pages,
            "HasNext": page < pages,
            "HasPrevious": page > 1,
        }
        return JSONResponse(rows, headers={"x-pagination": json.dumps(pagination)})

    @router.get("/membership/v3/users/{user_guid}")
    async def get_user(user_guid: str, include: str = "") -> dict[str, Any]:
        fields, user = _fields(include), _find(user_guid)
        return {field: user[field] for field in fields}


def _add_payroll(router: APIRouter) -> None:
    def pay_roll_of(request: Request, user_guid: str) -> dict[str, Any]:
        # The user's roles limit what the token may read.
        if request.state.token.username == EMPLOYEE:
            raise _refused(403)
        return {"companyGUID": COMPANY_GUID, "userGUID": _find(user_guid)["userGuid"]}

    @router.get("/payroll/employee-management/v1/users/{user_guid}/payinfo")
    async def pay_info(request: Request, user_guid: str) -> dict[str, Any]:
        pay = {"payPeriod": "Monthly", "payMethod": "cash", "basicPay": 1.0}
        return pay_roll_of(request, user_guid) | pay

    @router.get("/payroll/employee-management/v1/users/{user_guid}/bankinfo")
    async def bank_info(request: Request, user_guid: str) -> dict[str, Any]:
        bank = {"bankGUID": _guid("bank"), "branchGUID": _guid("branch"), "bankName": "Example Bank"}
        branch = {"branchNo": "000", "branchName": "Nowhere Branch", "accountNo": "0000000000"}
        return pay_roll_of(request, user_guid) | bank | branch


def _add_leave(router: APIRouter) -> None:
    base = "/leave/setup/leave/v2/companies/{company_guid}/users/{user_guid}"

    @router.get(base + "/assignedleavetypes")
    async def leave_types(company_guid: str, user_guid: str, whichyear: str | None = None) -> dict[str, Any]:
        user = _find(user_guid, company_guid)
        _check_date(whichyear, r"\d{4}", "-01-01")
        return {"companyGuid": COMPANY_GUID, "userGuid": user["userGuid"], "leaveTypes": _LEAVE_TYPES}

    @router.get(base + "/leavetypes/{leave_type}/leavesummary")
    async def leave_summary(
        company_guid: str, user_guid: str, leave_type: int, baseondate: str | None = None
    ) -> dict[str, Any]:
        user = _find(user_guid, company_guid)
        if leave_type not in {each["leaveType"] for each in _LEAVE_TYPES}:
            raise _refused(404)
        _check_date(baseondate, r"\d{4}-\d\d-\d\d")
        # The vendor documents no response. This one contains only the values of the request.

        return {
            "companyGuid": COMPANY_GUID,
            "userGuid": user["userGuid"],
            "leaveType": leave_type,
            "basedOnDate": baseondate,
        }


SERVER = ServerConfig(
    name="justlogin",
    grants=("authorization_code", "refresh_token"),
    client_auth=("client_secret_post",),
    scopes=("openid",),
    bearer_with_refresh=True,
    token_path="/v1/auth/connect/token",
    authorize_path="/v1/auth/connect/authorize",
    api_path="",
    add_api=_add_api,
    api_error=lambda status, detail: Response(status_code=status),
)
