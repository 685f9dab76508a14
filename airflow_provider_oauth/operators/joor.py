"""Operators for JOOR (wholesale fashion). API documentation: https://api-docs.jooraccess.com.

JOOR allows 300 credits in 300 s per account. A read request costs 1 credit and a write request 5, whatever its size. A
task does not know what other tasks spend, so put all tasks of an account into a pool, and set ``credits`` of each task
to 300 divided by the number of slots in the pool. If the account has no credits left, a task repeats its request for up
to 30 minutes.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import AirflowTaskTimeout, BaseOperator

from airflow_provider_oauth.exceptions import ConfigurationError, PartialWriteError
from airflow_provider_oauth.extract.page import Page
from airflow_provider_oauth.extract.request import ListRequest
from airflow_provider_oauth.hooks.task import ReportsFailure
from airflow_provider_oauth.hooks.templates import HiddenField, RendersValues
from airflow_provider_oauth.operators.extract import ExtractOperator
from airflow_provider_oauth.operators.items import batches, read_items
from airflow_provider_oauth.presets.vendors import vendor
from airflow_provider_oauth.protocol.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow.sdk import Context

    from airflow_provider_oauth.hooks.oauth import OAuthHook

#: Maximum number of IDs per request. With more IDs, the URL would be too long for many servers.
IDS_PER_REQUEST = 50
READABLE = ("products", "skus", "prices", "collections", "categories", "traits", "seasons")
#: Endpoint and actions of each resource that can be written.
WRITABLE = {
    "orders": ("orders", ("create", "update")),
    "order_lines": ("orders/sku_line_items", ("update",)),
    "skus": ("skus", ("create", "update")),
    "prices": ("prices", ("create", "update")),
    "products": ("products", ("create", "update")),
    "collections": ("collections", ("create", "update")),
}
#: What to do with items that JOOR rejects.
ERROR_POLICIES = ("fail", "collect", "skip")
#: Maximum number of item errors that a message quotes.
MAX_QUOTED_ERRORS = 3


class _JoorOperator(ExtractOperator):
    default_conn_name = "joor_default"
    template_fields: Sequence[str] = ("account", *ExtractOperator.template_fields)

    def __init__(self, *, account: str | int | None = None, credits: int = 300, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.account = account
        self.credits = _checked_credits(credits)

    def make_hook(self) -> OAuthHook:
        """Return the hook of the connection, limited to the credits of this task."""
        return _with_credits(super().make_hook(), self.credits)

    def check(self, page: Page) -> None:
        """Raise an ``ApiError`` if the response contains errors, because JOOR can send them with status 200.

        :param page: the page that was read
        """
        if errors := _errors(page):
            raise page.error(f"reports {_quoted(page, errors)}. Check the parameters of the task")

    def requests_of(
        self, hook: OAuthHook, endpoint: str, by_ids: bool, ids_param: str, params: Mapping[str, Any]
    ) -> Iterator[ListRequest]:
        """Yield the requests for a list: one, or one per batch of IDs.

        :param hook: the hook of the connection
        :param endpoint: path relative to the API base URL
        :param by_ids: whether to request only the IDs in a parameter of this operator. If that parameter is empty, for
            example because another task found no IDs, no request is sent
        :param ids_param: name of that parameter, and of the query parameter for the IDs
        :param params: other query parameters
        """
        data = {"account": _account(hook, self.account), **params}
        joor = vendor("joor")
        if not by_ids:
            yield joor.with_paginator(ListRequest(endpoint=endpoint, data=data), "lists")
            return
        for batch in batches(self.ids(ids_param), IDS_PER_REQUEST):
            request = ListRequest(endpoint=endpoint, data={**data, ids_param: ",".join(batch)})
            yield joor.with_paginator(request, "lists")


class JoorListOrdersOperator(_JoorOperator):
    """Fetches all pages of orders: ``GET /orders`` of https://api-docs.jooraccess.com.

    Each row has ``id``, ``retailer_id``, ``price_type_id``, ``collection_id``, ``status`` and more.

    JOOR documents ``account`` and ``order_ids``. All other filters, and the pagination, are **known only from published
    client code**.

    :param order_ids: fetch only these orders; a list of IDs, or IDs separated by commas (templated)
    :param status: status of the orders; known only from published client code (templated)
    :param date_approved_start: first date of approval; known only from published client code (templated)
    :param date_approved_end: last date of approval; known only from published client code (templated)
    :param export_status: export status of the orders; known only from published client code (templated)
    :param last_modified: time of the last modification; known only from published client code (templated)
    :param sort_by: field to sort by; known only from published client code (templated)
    :param sort_order: direction to sort in; known only from published client code (templated)
    :param account: ID of the JOOR account; None for the account in the connection (templated)
    :param credits: credits that this task may spend in 300 s
    :param oauth_conn_id: ID of a connection of type JOOR (templated)
    :param path: file to write, in JSON Lines, CSV or Parquet; see ``ExtractOperator`` (templated)
    :param xcom_fields: JMESPath of the fields of each row to return; see ``ExtractOperator``
    :return: the ``xcom_fields`` of each row; without ``xcom_fields``, a dict with ``rows``, ``pages`` and ``path``
    :raises ApiError: if JOOR responds with an error status, or with errors in a response with status 200
    :raises OAuthError: if no valid token can be obtained
    """

    FILTERS = (
        "status",
        "date_approved_start",
        "date_approved_end",
        "export_status",
        "last_modified",
        "sort_by",
        "sort_order",
    )
    template_fields: Sequence[str] = ("order_ids", *FILTERS, *_JoorOperator.template_fields)

    def __init__(
        self,
        *,
        order_ids: str | Sequence[str | int] | None = None,
        status: str | None = None,
        date_approved_start: str | None = None,
        date_approved_end: str | None = None,
        export_status: str | None = None,
        last_modified: str | None = None,
        sort_by: str | None = None,
        sort_order: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.order_ids = order_ids
        # This is checked before templates are rendered, because a template can be rendered to an empty value.
        self.by_ids = order_ids is not None
        self.status = status
        self.date_approved_start = date_approved_start
        self.date_approved_end = date_approved_end
        self.export_status = export_status
        self.last_modified = last_modified
        self.sort_by = sort_by
        self.sort_order = sort_order

    def list_requests(self, hook: OAuthHook) -> Iterator[ListRequest]:
        """Yield the requests for orders."""
        filters = {name: getattr(self, name) or None for name in self.FILTERS}
        yield from self.requests_of(hook, "orders", self.by_ids, "order_ids", filters)


class JoorListOrderLinesOperator(_JoorOperator):
    """Fetches the lines of orders: ``GET /orders/sku_line_items``.

    JOOR does not document this endpoint; it is **known only from published client code**. API documentation:
    https://api-docs.jooraccess.com.

    :param order_ids: the orders; a list of IDs, or IDs separated by commas. 50 orders are fetched per request
        (templated)
    :param account: ID of the JOOR account; None for the account in the connection (templated)
    :param credits: credits that this task may spend in 300 s
    :param oauth_conn_id: ID of a connection of type JOOR (templated)
    :param path: file to write, in JSON Lines, CSV or Parquet; see ``ExtractOperator`` (templated)
    :param xcom_fields: JMESPath of the fields of each row to return; see ``ExtractOperator``
    :return: the ``xcom_fields`` of each row; without ``xcom_fields``, a dict with ``rows``, ``pages`` and ``path``
    :raises ApiError: if JOOR responds with an error status, or with errors in a response with status 200
    :raises OAuthError: if no valid token can be obtained
    """

    template_fields: Sequence[str] = ("order_ids", *_JoorOperator.template_fields)

    def __init__(self, *, order_ids: str | int | Sequence[str | int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.order_ids = order_ids

    def list_requests(self, hook: OAuthHook) -> Iterator[ListRequest]:
        """Yield the requests for lines, one per batch of orders."""
        yield from self.requests_of(hook, "orders/sku_line_items", True, "order_ids", {})


class JoorListOperator(_JoorOperator):
    """Fetches a resource: ``GET /products`` and others of https://api-docs.jooraccess.com.

    JOOR documents the resources and ``product_ids``. The pagination is **known only from published client code**.

    :param resource: products, skus, prices, collections, categories, traits or seasons (templated)
    :param product_ids: for the resource skus: fetch only the SKUs of these products; a list of IDs, or IDs separated by
        commas (templated)
    :param data: more query parameters (templated)
    :param account: ID of the JOOR account; None for the account in the connection (templated)
    :param credits: credits that this task may spend in 300 s
    :param oauth_conn_id: ID of a connection of type JOOR (templated)
    :param path: file to write, in JSON Lines, CSV or Parquet; see ``ExtractOperator`` (templated)
    :param xcom_fields: JMESPath of the fields of each row to return; see ``ExtractOperator``
    :return: the ``xcom_fields`` of each row; without ``xcom_fields``, a dict with ``rows``, ``pages`` and ``path``
    :raises ConfigurationError: if ``resource`` is not in the list of resources above
    :raises ApiError: if JOOR responds with an error status, or with errors in a response with status 200
    :raises OAuthError: if no valid token can be obtained
    """

    template_fields: Sequence[str] = ("resource", "product_ids", "data", *_JoorOperator.template_fields)

    def __init__(
        self,
        *,
        resource: str,
        product_ids: str | Sequence[str | int] | None = None,
        data: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.resource = resource
        self.product_ids = product_ids
        self.by_ids = product_ids is not None
        self.data = data

    def list_requests(self, hook: OAuthHook) -> Iterator[ListRequest]:
        """Yield the requests for the resource."""
        if self.resource not in READABLE:
            raise ConfigurationError(
                f"Connection {self.oauth_conn_id!r}: resource is {self.resource!r}, which is not supported. Set it to "
                f"one of {', '.join(READABLE)}."
            )
        yield from self.requests_of(hook, self.resource, self.by_ids, "product_ids", self.data or {})


class JoorBulkOperator(RendersValues, ReportsFailure, BaseOperator):
    """Writes items in batches: ``POST /{resource}/bulk_create`` or ``…/bulk_update``, as JOOR documents.

    API documentation: https://api-docs.jooraccess.com.

    A batch costs 5 credits, whatever its size. JOOR can respond with status 200 and reject some items of a batch;
    ``on_error`` decides what happens then. After items were created, an error fails the task without Airflow's retries,
    because a retry would create them again. If there is no response to the first batch, Airflow retries the task,
    although the items may have been created: JOOR documents no way to find out.

    :param resource: orders, order_lines, skus, prices, products or collections; order_lines can only be updated
    :param items: the objects to write: a list, a single object, or the path or URL of a file with one object per line
        as JSON (templated)
    :param action: ``create`` or ``update``
    :param batch_size: number of items per request
    :param on_error: what to do if JOOR rejects items: ``fail`` stops after the batch, ``collect`` continues and returns
        JOOR's errors, ``skip`` continues and logs them
    :param account: ID of the JOOR account; None for the account in the connection (templated)
    :param credits: credits that this task may spend in 300 s
    :param oauth_conn_id: ID of a connection of type JOOR (templated)
    :return: a dict with the numbers of ``items``, ``batches``, ``written`` and ``rejected``; with ``collect`` also the
        ``errors``, each with its ``batch`` (the first one is 1) and JOOR's ``status``, ``message`` and ``details``
    :raises ValueError: if a parameter is invalid, or an item is not an object
    :raises PartialWriteError: if items were created, and then others were rejected or a batch failed
    :raises ApiError: if items are rejected or a batch fails, and no items were created before
    :raises OAuthError: if no valid token can be obtained
    """

    conn_id_field = "oauth_conn_id"
    template_fields: Sequence[str] = ("items", "account", "oauth_conn_id")
    items: Any = HiddenField()
    ui_color = "#e4f0ee"

    def __init__(
        self,
        *,
        resource: str,
        items: Sequence[Mapping[str, Any]] | Mapping[str, Any] | str,
        action: str,
        batch_size: int = 100,
        on_error: str = "fail",
        account: str | int | None = None,
        credits: int = 300,
        oauth_conn_id: str = "joor_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.resource = resource
        self.items = items
        self.action = action
        self.batch_size = batch_size
        self.on_error = on_error
        self.account = account
        self.credits = _checked_credits(credits)
        self.oauth_conn_id = oauth_conn_id
        if action not in WRITABLE.get(resource, ("", ()))[1]:
            documented = "; ".join(f"{name}: {', '.join(actions)}" for name, (_, actions) in WRITABLE.items())
            raise ValueError(
                f"JOOR does not document the action {action!r} for {resource!r}. Use one of these: {documented}."
            )
        if on_error not in ERROR_POLICIES:
            raise ValueError(
                f"on_error is {on_error!r}, which is not supported. Set it to one of {', '.join(ERROR_POLICIES)}."
            )
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}. It must be at least 1.")

    def execute(self, context: Context) -> dict[str, Any]:
        """Write the items, batch by batch."""
        with self.reporting_failure():
            return self._execute()

    def _execute(self) -> dict[str, Any]:
        from airflow_provider_oauth.hooks.lookup import hook_of

        hook = _with_credits(hook_of(self.oauth_conn_id, method="POST"), self.credits)
        done: dict[str, Any] = {"items": 0, "batches": 0, "written": 0, "rejected": 0}
        collected: list[dict[str, Any]] = []
        unclear = False  # True after a batch with a success status whose response does not show what was written
        try:
            for batch in batches(read_items(self.items), self.batch_size):
                page = self._write(hook, batch)
                unclear = True
                errors = self._count(page, batch, done)
                unclear = False
                if errors and self.on_error == "fail":
                    advice = "Correct the rejected items, or set on_error to collect or skip"
                    raise page.error(f"reports {_quoted(page, errors)}. {advice}")
                if errors:
                    text = "Connection %r: JOOR rejected items of batch %d: %s."
                    self.log.warning(text, self.oauth_conn_id, done["batches"], _quoted(page, errors))
                    collected += [{**error, "batch": done["batches"]} for error in errors]
        except (Exception, AirflowTaskTimeout) as error:  # any error, because reading the file can fail as well
            if self.action == "create" and (done["written"] or unclear):  # a retry would create items again
                raise self._partial_write(done, str(error), unclear) from error
            raise
        self.log.info("Wrote %(written)d of %(items)d items in %(batches)d batches.", done)
        return {**done, "errors": collected} if self.on_error == "collect" else done

    def _write(self, hook: OAuthHook, batch: Sequence[Any]) -> Page:
        endpoint, _ = WRITABLE[self.resource]
        account = quote(_account(hook, self.account), safe="")
        response = hook.run(
            f"{endpoint}/bulk_{self.action}?account={account}",
            data=json.dumps(batch),
            headers={"Content-Type": "application/json"},
        )
        return Page(response, "data", self.oauth_conn_id)

    def _count(self, page: Page, batch: Sequence[Any], done: dict[str, Any]) -> list[dict[str, Any]]:
        """Add the result of a batch to ``done``, and return the errors of rejected items."""
        if page.is_blank:
            raise page.error(
                "has no body, so it is unknown which items were written. Check in JOOR which of them exist"
            )
        errors = _errors(page)
        written = 0 if errors and not page.content.get("data") else len(page.rows)
        done["items"] += len(batch)
        done["batches"] += 1
        done["written"] += written
        done["rejected"] += len(errors)
        return errors

    def _partial_write(self, done: Mapping[str, int], problem: str, unclear: bool) -> PartialWriteError:
        reason = problem.removeprefix(f"Connection {self.oauth_conn_id!r}: ")
        return PartialWriteError(
            f"Connection {self.oauth_conn_id!r}: the bulk write failed after {done['written']}"
            f"{' or more' if unclear else ''} items were written in batches of {self.batch_size}. Write the remaining "
            "items with another task. Airflow does not retry this task, because a retry would write the same items "
            f"again. Reason: {reason}"
        )


def _with_credits(hook: OAuthHook, credits: int) -> OAuthHook:
    """Limit the hook's budget to the credits of one task."""
    if hook.budget:
        hook.budget = replace(hook.budget, credits=credits)
    return hook


def _checked_credits(credits: int) -> int:
    if int(credits) < 1:
        raise ValueError(f"credits is {credits}. It must be at least 1.")
    return int(credits)


def _account(hook: OAuthHook, account: str | int | None) -> str:
    """Return the account that every request needs: from the task, otherwise from the connection."""
    found = account if account not in (None, "") else hook.config.api_params.get("account")
    if found is None:
        raise ConfigurationError(
            f"Connection {hook.oauth_conn_id!r}: Account (account) is missing. Set it in the connection, or pass "
            "account to the operator. Example: 1234"
        )
    return str(found)


def _errors(page: Page) -> list[dict[str, Any]]:
    """Return the errors in a response, which can have status 200."""
    errors = page.content.get("errors") if isinstance(page.content, dict) else None
    errors = errors if isinstance(errors, list) else [errors] if errors else []
    return [error if isinstance(error, dict) else {"message": str(error)} for error in errors]


def _quoted(page: Page, errors: Sequence[Mapping[str, Any]]) -> str:
    """Return the number of errors and the texts of the first ones, with the token redacted."""
    token = page.response.request.headers.get("Authorization", "").rpartition(" ")[2]
    first = [f"{error.get('status', '')} {error.get('message', '')}".strip() for error in errors[:MAX_QUOTED_ERRORS]]
    text = redact("; ".join(first), (token,)) + ("; …" if len(errors) > MAX_QUOTED_ERRORS else "")
    return f"{len(errors)} error{'' if len(errors) == 1 else 's'} ({text})"
