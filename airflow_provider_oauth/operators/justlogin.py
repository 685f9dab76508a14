"""Operators for JustLogin (human resources): https://github.com/justlogincom/public-api-docs documents all of them.

What an operator may read depends on the roles of the user who consented. Nothing is known of rate limits, of writing,
or of a way to ask for what has changed: read all, and compare ``modifiedDate``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.extract.paginators import HeaderJsonPaginator
from airflow_provider_oauth.extract.request import ListRequest
from airflow_provider_oauth.operators.extract import WHOLE_RESPONSE, ExtractOperator, joined

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_oauth.hooks.oauth import OAuthHook

#: What ``include=profile`` adds to a user: identity papers, and what else is nobody's business. It goes to no XCom.
PROFILE = {
    *("residency", "passport", "governmentid", "gender", "images", "password"),
    *("dateofbirth", "dayofbirth", "monthofbirth", "yearofbirth"),
}
#: The most that a page can have.
PAGE_SIZE = 100


class _JustLoginOperator(ExtractOperator):
    default_conn_name = "justlogin_default"
    include: str | Sequence[str] | None = None

    @property
    def private(self) -> bool:
        """Whether a local file is for its owner alone: one with identity papers."""
        return "profile" in (joined(self.include) or "")

    def redact_row(self, row: Any) -> Any:
        """Return the row without identity papers, wherever in it: how JustLogin wraps a user is not documented."""
        if isinstance(row, list):
            return [self.redact_row(each) for each in row]
        if isinstance(row, dict):
            return {name: self.redact_row(value) for name, value in row.items() if name.lower() not in PROFILE}
        return row


class JustLoginListUsersOperator(_JustLoginOperator):
    """Lists the company's users: ``GET /membership/v3/users``, all pages, by the ``x-pagination`` header.

    Rows have userGuid, companyGuid, employeeId, userName, email, fullName, createdDate, modifiedDate, joinDate,
    isActive, and what ``include`` names. They are written to ``path``. Only ``xcom_fields`` go to XCom, such as
    ``{user_guid: userGuid, company_guid: companyGuid}``, over which other operators can be expanded.

    :param include: what to add, a list or separated by commas: manager, department, employment, company, profile. The
        last one adds passport, government ID and such, which go to the file alone (templated)
    :param active_status: ``active``, ``inactive`` or ``all`` (templated)
    :param query: JustLogin's query language, such as ``name[=]tony`` (templated)
    :param oauth_conn_id: the connection, of type JustLogin (templated)
    :param path: see ``ExtractOperator`` (templated)
    :param xcom_fields: see ``ExtractOperator``
    :return: see ``ExtractOperator``
    """

    template_fields: Sequence[str] = ("include", "active_status", "query", *ExtractOperator.template_fields)

    def __init__(
        self,
        *,
        include: str | Sequence[str] | None = None,
        active_status: str = "active",
        query: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.include = include
        self.active_status = active_status
        self.query = query

    def list_requests(self, hook: OAuthHook) -> Iterator[ListRequest]:
        """Yield the list of users."""
        yield ListRequest(
            endpoint="membership/v3/users",
            data={
                "include": joined(self.include),
                "activeStatus": None if self.active_status == "active" else self.active_status,  # active is the default
                "query": self.query,
                "limit": PAGE_SIZE,
            },
            paginator=HeaderJsonPaginator(header="x-pagination"),
        )


class JustLoginGetUserOperator(_JustLoginOperator):
    """Reads one user: ``GET /membership/v3/users/{userGuid}``; the fields are those of the list.

    :param user_guid: whose (templated)
    :param include: as in ``JustLoginListUsersOperator`` (templated)
    :param oauth_conn_id: the connection, of type JustLogin (templated)
    :param path: see ``ExtractOperator`` (templated)
    :param xcom_fields: see ``ExtractOperator``
    :return: see ``ExtractOperator``; there is one row
    """

    template_fields: Sequence[str] = ("user_guid", "include", *ExtractOperator.template_fields)

    def __init__(self, *, user_guid: str, include: str | Sequence[str] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.user_guid = user_guid
        self.include = include

    def list_requests(self, hook: OAuthHook) -> Iterator[ListRequest]:
        """Yield the user."""
        yield ListRequest(
            endpoint=f"membership/v3/users/{self.segment('user_guid')}",
            data={"include": joined(self.include)},
            records_path=WHOLE_RESPONSE,
        )


class _JustLoginLeaveOperator(_JustLoginOperator):
    template_fields: Sequence[str] = ("user_guid", "company_guid", *ExtractOperator.template_fields)

    def __init__(self, *, user_guid: str, company_guid: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.user_guid = user_guid
        self.company_guid = company_guid

    def transform_row(self, row: Any) -> Any:
        """Return the row with whose it is."""
        return {"userGuid": self.user_guid, **row} if isinstance(row, dict) else row

    def endpoint(self, below: str) -> str:
        company, user = self.segment("company_guid"), self.segment("user_guid")
        return f"leave/setup/leave/v2/companies/{company}/users/{user}/{below}"


class JustLoginListLeaveTypesOperator(_JustLoginLeaveOperator):
    """Lists the types of leave that a user has: ``GET …/assignedleavetypes``.

    Rows have ``leaveType`` (its ID) and ``leaveName``.

    :param user_guid: whose (templated)
    :param company_guid: of which company; a user's row names it (templated)
    :param year: the year to look at, such as 2026 or ``{{ ds[:4] }}`` (templated)
    :param oauth_conn_id: the connection, of type JustLogin (templated)
    :param path: see ``ExtractOperator`` (templated)
    :param xcom_fields: see ``ExtractOperator``
    :return: see ``ExtractOperator``
    """

    template_fields: Sequence[str] = ("year", *_JustLoginLeaveOperator.template_fields)

    def __init__(self, *, year: int | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.year = year

    def list_requests(self, hook: OAuthHook) -> Iterator[ListRequest]:
        """Yield the list of leave types."""
        yield ListRequest(
            endpoint=self.endpoint("assignedleavetypes"), data={"whichyear": self.year}, records_path="leaveTypes"
        )


class JustLoginGetLeaveSummaryOperator(_JustLoginLeaveOperator):
    """Reads what a user has of one type of leave on a day: ``GET …/leavetypes/{leaveTypeId}/leavesummary``.

    :param user_guid: whose (templated)
    :param company_guid: of which company; a user's row names it (templated)
    :param leave_type_id: the ``leaveType`` of ``JustLoginListLeaveTypesOperator`` (templated)
    :param date: the day, YYYY-MM-DD, such as ``{{ ds }}`` (templated)
    :param oauth_conn_id: the connection, of type JustLogin (templated)
    :param path: see ``ExtractOperator`` (templated)
    :param xcom_fields: see ``ExtractOperator``
    :return: see ``ExtractOperator``; there is one row
    """

    template_fields: Sequence[str] = ("leave_type_id", "date", *_JustLoginLeaveOperator.template_fields)

    def __init__(self, *, leave_type_id: int | str, date: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.leave_type_id = leave_type_id
        self.date = date

    def list_requests(self, hook: OAuthHook) -> Iterator[ListRequest]:
        """Yield the summary."""
        endpoint = self.endpoint(f"leavetypes/{self.segment('leave_type_id')}/leavesummary")
        yield ListRequest(endpoint=endpoint, data={"baseondate": self.date}, records_path=WHOLE_RESPONSE)


class JustLoginExtractPayrollOperator(_JustLoginOperator):
    """Writes users' pay and bank information to a file: ``GET …/users/{userGuid}/payinfo`` and ``…/bankinfo``.

    Nothing of it goes to XCom, nor into a log; so there is no ``xcom_fields``. Say what you need, and where it goes. A
    local file is readable by its owner alone; see to the same elsewhere.

    :param user_guids: whose, one or a list (templated)
    :param include: ``payinfo`` (payPeriod, payMethod, basicPay), ``bankinfo`` (bankName, branchName, accountNo, …), or
        both
    :param path: the file (templated)
    :param oauth_conn_id: the connection, of type JustLogin (templated)
    :return: the numbers of ``rows`` and ``pages``, and the ``path``; each row has the ``userGUID``
    """

    template_fields: Sequence[str] = ("user_guids", *ExtractOperator.template_fields)
    KINDS = ("payinfo", "bankinfo")
    private = True

    def __init__(
        self, *, user_guids: str | Sequence[str], include: str | Sequence[str], path: str, **kwargs: Any
    ) -> None:
        super().__init__(path=path, **kwargs)
        if self.xcom_fields is not None:  # it may come from default_args, too
            raise ValueError("pay and bank information goes to no XCom: leave xcom_fields out")
        self.user_guids = user_guids
        self.include = include
        self.kinds = [include] if isinstance(include, str) else list(include)
        if not self.kinds or set(self.kinds) - set(self.KINDS):
            raise ValueError(f"include is {include!r}; it can be {', '.join(self.KINDS)}, or both")

    def list_requests(self, hook: OAuthHook) -> Iterator[ListRequest]:
        """Yield what each user has, kind by kind."""
        for user_guid in self.ids("user_guids"):
            user = self.segment("user_guids", user_guid)
            for kind in self.kinds:
                yield ListRequest(
                    endpoint=f"payroll/employee-management/v1/users/{user}/{kind}", records_path=WHOLE_RESPONSE
                )
