"""Operators for JustLogin (human resources). API documentation: https://github.com/justlogincom/public-api-docs.

JustLogin documents all endpoints used here. What a token can read depends on the roles of the user who consented.
JustLogin does not document rate limits, write requests, or a filter for changed rows. To find changes, fetch all rows
and compare ``modifiedDate``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.extract.request import ListRequest
from airflow_provider_oauth.operators.extract import WHOLE_RESPONSE, ExtractOperator
from airflow_provider_oauth.operators.ids import joined
from airflow_provider_oauth.presets.vendors import vendor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_oauth.hooks.oauth import OAuthHook

#: Members that ``include=profile`` adds to a user: identity documents and other private data. They are never stored in
#: XCom.
PRIVATE_MEMBERS = {
    *("residency", "passport", "governmentid", "gender", "images", "password"),
    *("dateofbirth", "dayofbirth", "monthofbirth", "yearofbirth"),
}


class _JustLoginOperator(ExtractOperator):
    default_conn_name = "justlogin_default"
    include: str | Sequence[str] | None = None

    @property
    def private(self) -> bool:
        """Whether only the owner may read a local file, because it contains identity documents."""
        return "profile" in (joined(self.include) or "")

    def redact_row(self, row: Any) -> Any:
        """Return the row without private members at any depth, because JustLogin does not document their depth.

        :param row: the row as it is written
        """
        if isinstance(row, list):
            return [self.redact_row(each) for each in row]
        if isinstance(row, dict):
            return {name: self.redact_row(value) for name, value in row.items() if name.lower() not in PRIVATE_MEMBERS}
        return row


class JustLoginListUsersOperator(_JustLoginOperator):
    """Fetches all pages of the company's users: ``GET /membership/v3/users``.

    The endpoint is documented at https://github.com/justlogincom/public-api-docs. Each row has ``userGuid``,
    ``companyGuid``, ``employeeId``, ``userName``, ``email``, ``fullName``, ``createdDate``, ``modifiedDate``,
    ``joinDate`` and ``isActive``, and the members that ``include`` adds. To map other operators over the users, set
    ``xcom_fields`` to ``{user_guid: userGuid, company_guid: companyGuid}``.

    :param include: members to add to each user; a list, or names separated by commas: manager, department, employment,
        company, profile. ``profile`` adds passport, government ID and other private data, which is written to the file
        but never returned (templated)
    :param active_status: ``active``, ``inactive`` or ``all`` (templated)
    :param query: filter in JustLogin's query language, such as ``name[=]tony`` (templated)
    :param oauth_conn_id: ID of a connection of type JustLogin (templated)
    :param path: file to write, in JSON Lines, CSV or Parquet; see ``ExtractOperator`` (templated)
    :param xcom_fields: JMESPath of the fields of each row to return; see ``ExtractOperator``
    :return: the ``xcom_fields`` of each row; without ``xcom_fields``, a dict with ``rows``, ``pages`` and ``path``
    :raises ApiError: if JustLogin responds with an error status, or without the header ``x-pagination``
    :raises OAuthError: if no valid token can be obtained
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
        """Yield the request for users."""
        request = ListRequest(
            endpoint="membership/v3/users",
            data={
                "include": joined(self.include),
                "activeStatus": None if self.active_status == "active" else self.active_status,  # active is the default
                "query": self.query,
            },
        )
        yield vendor("justlogin").with_paginator(request, "users")


class JustLoginGetUserOperator(_JustLoginOperator):
    """Fetches one user: ``GET /membership/v3/users/{userGuid}``.

    The endpoint is documented at https://github.com/justlogincom/public-api-docs. The row has the members of
    ``JustLoginListUsersOperator``.

    :param user_guid: GUID of the user (templated)
    :param include: members to add to the user, as in ``JustLoginListUsersOperator`` (templated)
    :param oauth_conn_id: ID of a connection of type JustLogin (templated)
    :param path: file to write, with the user as its only row; see ``ExtractOperator`` (templated)
    :param xcom_fields: JMESPath of the fields to return; see ``ExtractOperator``
    :return: a list with the ``xcom_fields`` of the user; without ``xcom_fields``, a dict with ``rows``, ``pages`` and
        ``path``
    :raises ConfigurationError: if ``user_guid`` is not an ID
    :raises ApiError: if JustLogin responds with an error status
    :raises OAuthError: if no valid token can be obtained
    """

    template_fields: Sequence[str] = ("user_guid", "include", *ExtractOperator.template_fields)

    def __init__(self, *, user_guid: str, include: str | Sequence[str] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.user_guid = user_guid
        self.include = include

    def list_requests(self, hook: OAuthHook) -> Iterator[ListRequest]:
        """Yield the request for the user."""
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
        """Return the row with the GUID of the user.

        :param row: the row as JustLogin sent it
        """
        return {"userGuid": self.user_guid, **row} if isinstance(row, dict) else row

    def endpoint(self, path: str) -> str:
        """Return the endpoint for a path below the user."""
        company, user = self.segment("company_guid"), self.segment("user_guid")
        return f"leave/setup/leave/v2/companies/{company}/users/{user}/{path}"


class JustLoginListLeaveTypesOperator(_JustLoginLeaveOperator):
    """Fetches the leave types of a user.

    The endpoint is ``GET /leave/setup/leave/v2/companies/{companyGuid}/users/{userGuid}/assignedleavetypes``. It
    is documented at https://github.com/justlogincom/public-api-docs. Each row has ``userGuid``, ``leaveType`` (the ID)
    and ``leaveName``.

    :param user_guid: GUID of the user (templated)
    :param company_guid: GUID of the user's company, ``companyGuid`` in the row of the user (templated)
    :param year: the year, such as 2026 or ``{{ ds[:4] }}`` (templated)
    :param oauth_conn_id: ID of a connection of type JustLogin (templated)
    :param path: file to write, in JSON Lines, CSV or Parquet; see ``ExtractOperator`` (templated)
    :param xcom_fields: JMESPath of the fields of each row to return; see ``ExtractOperator``
    :return: the ``xcom_fields`` of each row; without ``xcom_fields``, a dict with ``rows``, ``pages`` and ``path``
    :raises ConfigurationError: if a GUID is not an ID
    :raises ApiError: if JustLogin responds with an error status
    :raises OAuthError: if no valid token can be obtained
    """

    template_fields: Sequence[str] = ("year", *_JustLoginLeaveOperator.template_fields)

    def __init__(self, *, year: int | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.year = year

    def list_requests(self, hook: OAuthHook) -> Iterator[ListRequest]:
        """Yield the request for leave types."""
        yield ListRequest(
            endpoint=self.endpoint("assignedleavetypes"), data={"whichyear": self.year}, records_path="leaveTypes"
        )


class JustLoginGetLeaveSummaryOperator(_JustLoginLeaveOperator):
    """Fetches a user's summary of one leave type on a date.

    The endpoint is ``…/users/{userGuid}/leavetypes/{leaveTypeId}/leavesummary``, below the same path as the endpoint of
    ``JustLoginListLeaveTypesOperator``. It is documented at https://github.com/justlogincom/public-api-docs.

    :param user_guid: GUID of the user (templated)
    :param company_guid: GUID of the user's company, ``companyGuid`` in the row of the user (templated)
    :param leave_type_id: ID of the leave type, ``leaveType`` of ``JustLoginListLeaveTypesOperator`` (templated)
    :param date: the date as YYYY-MM-DD, such as ``{{ ds }}`` (templated)
    :param oauth_conn_id: ID of a connection of type JustLogin (templated)
    :param path: file to write, with the summary as its only row; see ``ExtractOperator`` (templated)
    :param xcom_fields: JMESPath of the fields to return; see ``ExtractOperator``
    :return: a list with the ``xcom_fields`` of the summary; without ``xcom_fields``, a dict with ``rows``, ``pages``
        and ``path``
    :raises ConfigurationError: if a GUID or the leave type is not an ID
    :raises ApiError: if JustLogin responds with an error status
    :raises OAuthError: if no valid token can be obtained
    """

    template_fields: Sequence[str] = ("leave_type_id", "date", *_JustLoginLeaveOperator.template_fields)

    def __init__(self, *, leave_type_id: int | str, date: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.leave_type_id = leave_type_id
        self.date = date

    def list_requests(self, hook: OAuthHook) -> Iterator[ListRequest]:
        """Yield the request for the summary."""
        endpoint = self.endpoint(f"leavetypes/{self.segment('leave_type_id')}/leavesummary")
        yield ListRequest(endpoint=endpoint, data={"baseondate": self.date}, records_path=WHOLE_RESPONSE)


class JustLoginExtractPayrollOperator(_JustLoginOperator):
    """Fetches pay and bank information of users into a file.

    The endpoints are ``GET /payroll/employee-management/v1/users/{userGuid}/payinfo`` and ``…/bankinfo``, documented at
    https://github.com/justlogincom/public-api-docs. The rows are never stored in XCom or logged, so there is no
    ``xcom_fields``. Only the owner may read a local file; restrict access to other storages yourself.

    :param user_guids: GUIDs of the users: one or a list (templated)
    :param include: ``payinfo`` (payPeriod, payMethod, basicPay), ``bankinfo`` (bankName, branchName, accountNo and
        more), or a list of both
    :param path: file to write, in JSON Lines, CSV or Parquet; each row has ``userGUID`` (templated)
    :param oauth_conn_id: ID of a connection of type JustLogin (templated)
    :return: a dict with the numbers of ``rows`` and ``pages``, and the ``path``
    :raises ValueError: if ``include`` is invalid, or ``xcom_fields`` is set
    :raises ConfigurationError: if ``user_guids`` contains values that are not IDs
    :raises ApiError: if JustLogin responds with an error status, for example 403 if the user who consented lacks a role
    :raises OAuthError: if no valid token can be obtained
    """

    template_fields: Sequence[str] = ("user_guids", *ExtractOperator.template_fields)
    KINDS = ("payinfo", "bankinfo")
    private = True

    def __init__(
        self, *, user_guids: str | Sequence[str], include: str | Sequence[str], path: str, **kwargs: Any
    ) -> None:
        super().__init__(path=path, **kwargs)
        if self.xcom_fields is not None:  # it can also come from default_args
            raise ValueError(
                "xcom_fields is set, but pay and bank information is never stored in XCom. Remove xcom_fields."
            )
        self.user_guids = user_guids
        self.include = include
        self.kinds = [include] if isinstance(include, str) else list(include)
        if not self.kinds or set(self.kinds) - set(self.KINDS):
            raise ValueError(
                f"include is {include!r}, which is not supported. Set it to {' or '.join(self.KINDS)}, or to a list of "
                f"both."
            )

    def list_requests(self, hook: OAuthHook) -> Iterator[ListRequest]:
        """Yield the requests for pay and bank information of each user."""
        for user_guid in self.ids("user_guids"):
            user = self.segment("user_guids", user_guid)
            for kind in self.kinds:
                yield ListRequest(
                    endpoint=f"payroll/employee-management/v1/users/{user}/{kind}", records_path=WHOLE_RESPONSE
                )
