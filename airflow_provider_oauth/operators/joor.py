"""Operators for JOOR (wholesale fashion). Pages: https://api-docs.jooraccess.com.

JOOR allows an account 300 credits in 300 s, whoever spends them: a read costs 1, a write 5, whatever its size. Each
task keeps to ``credits`` of its own; so put all tasks of an account into a pool of n slots, and set ``credits`` to 300
/ n. When others have spent the account's, a task waits for up to half an hour.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import AirflowTaskTimeout, BaseOperator

from airflow_provider_oauth.exceptions import ConfigurationError, PartialWriteError
from airflow_provider_oauth.extract.paginators import Page, PageNumberPaginator
from airflow_provider_oauth.extract.request import ListRequest
from airflow_provider_oauth.hooks.task import ReportsFailure
from airflow_provider_oauth.operators.extract import ExtractOperator, flattened
from airflow_provider_oauth.protocol.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from airflow.sdk import Context

    from airflow_provider_oauth.hooks.oauth import OAuthHook

#: Rows a page: no more than half of what public clients ask for, for a page with fewer is taken for the last one.
PAGE_SIZE = 100
#: IDs that are asked for at once: more would make a URL too long for many a server.
IDS_AT_ONCE = 50
#: JOOR documents no pages; public clients ask for some. What ignores that gives all it has.
PAGES = PageNumberPaginator(size_param="page_size", size=PAGE_SIZE, may_be_whole=True)
READABLE = ("products", "skus", "prices", "collections", "categories", "traits", "seasons")
#: Where items are written, below the base URL, and what can be done there.
WRITABLE = {
    "orders": ("orders", ("create", "update")),
    "order_lines": ("orders/sku_line_items", ("update",)),
    "skus": ("skus", ("create", "update")),
    "prices": ("prices", ("create", "update")),
    "products": ("products", ("create", "update")),
    "collections": ("collections", ("create", "update")),
}
#: What becomes of items that JOOR rejects.
POLICIES = ("fail", "collect", "skip")
#: Errors of items that are quoted in a message.
QUOTED = 3


class _JoorOperator(ExtractOperator):
    default_conn_name = "joor_default"
    template_fields: Sequence[str] = ("account", *ExtractOperator.template_fields)

    def __init__(self, *, account: str | int | None = None, credits: int = 300, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.account = account
        self.credits = _checked(credits)

    def make_hook(self) -> OAuthHook:
        """Return the hook, with this task's part of the budget."""
        return _paced(super().make_hook(), self.credits)

    def check(self, page: Page) -> None:
        """Raise if the answer has errors in it: with JOOR, status 200 alone is not success."""
        if errors := _errors(page):
            raise page.error(f"has {_told(page, errors)}")

    def lists(
        self, hook: OAuthHook, endpoint: str, given: bool, ids: str, params: Mapping[str, Any]
    ) -> Iterator[ListRequest]:
        """Yield a list; by some IDs at a time, where there are IDs.

        :param given: whether there are to be any. What another task has not found is nothing, not all
        :param ids: the parameter with them, here and in the request
        :param params: other parameters of the request
        """
        data = {"account": _account(hook, self.account), **params}
        if not given:
            yield ListRequest(endpoint=endpoint, data=data, paginator=PAGES, records_path="data")
            return
        for some in _batches(self.ids(ids), IDS_AT_ONCE):
            yield ListRequest(
                endpoint=endpoint, data={**data, ids: ",".join(some)}, paginator=PAGES, records_path="data"
            )


class JoorListOrdersOperator(_JoorOperator):
    """Lists orders: ``GET /orders``, all pages. Rows have id, retailer_id, price_type_id, collection_id, status, ….

    ``account`` and ``order_ids`` are documented. All other filters, and that there are pages, were **only seen in
    public clients**.

    :param order_ids: only these, a list or separated by commas (templated)
    :param status: only seen in public clients (templated)
    :param date_approved_start: only seen in public clients (templated)
    :param date_approved_end: only seen in public clients (templated)
    :param export_status: only seen in public clients (templated)
    :param last_modified: only seen in public clients (templated)
    :param sort_by: only seen in public clients (templated)
    :param sort_order: only seen in public clients (templated)
    :param account: instead of the connection's (templated)
    :param credits: what this task may spend in 300 s
    :param oauth_conn_id: the connection, of type JOOR (templated)
    :param path: see ``ExtractOperator`` (templated)
    :param xcom_fields: see ``ExtractOperator``
    :return: see ``ExtractOperator``
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
        self.by_ids = order_ids is not None  # what comes of a template or of another task may be nothing
        self.status = status
        self.date_approved_start = date_approved_start
        self.date_approved_end = date_approved_end
        self.export_status = export_status
        self.last_modified = last_modified
        self.sort_by = sort_by
        self.sort_order = sort_order

    def list_requests(self, hook: OAuthHook) -> Iterator[ListRequest]:
        """Yield the list of orders."""
        filters = {name: getattr(self, name) or None for name in self.FILTERS}
        yield from self.lists(hook, "orders", self.by_ids, "order_ids", filters)


class JoorListOrderLinesOperator(_JoorOperator):
    """Lists the lines of orders: ``GET /orders/sku_line_items``. **Only seen in public clients**, not documented.

    :param order_ids: whose lines, a list or separated by commas; 50 orders a request (templated)
    :param account: instead of the connection's (templated)
    :param credits: what this task may spend in 300 s
    :param oauth_conn_id: the connection, of type JOOR (templated)
    :param path: see ``ExtractOperator`` (templated)
    :param xcom_fields: see ``ExtractOperator``
    :return: see ``ExtractOperator``
    """

    template_fields: Sequence[str] = ("order_ids", *_JoorOperator.template_fields)

    def __init__(self, *, order_ids: str | int | Sequence[str | int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.order_ids = order_ids

    def list_requests(self, hook: OAuthHook) -> Iterator[ListRequest]:
        """Yield the lines, some orders at a time."""
        yield from self.lists(hook, "orders/sku_line_items", True, "order_ids", {})


class JoorListOperator(_JoorOperator):
    """Lists a resource: products, skus, prices, collections, categories, traits or seasons; ``GET /{resource}``.

    The resources are documented; that lists have pages was **only seen in public clients**.

    :param resource: one of those (templated)
    :param product_ids: with skus, only those of these products, a list or separated by commas (templated)
    :param data: more query parameters (templated)
    :param account: instead of the connection's (templated)
    :param credits: what this task may spend in 300 s
    :param oauth_conn_id: the connection, of type JOOR (templated)
    :param path: see ``ExtractOperator`` (templated)
    :param xcom_fields: see ``ExtractOperator``
    :return: see ``ExtractOperator``
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
        """Yield the list."""
        if self.resource not in READABLE:
            raise ConfigurationError(
                f"Connection {self.oauth_conn_id!r}: resource is {self.resource!r}; it can be {', '.join(READABLE)}."
            )
        yield from self.lists(hook, self.resource, self.by_ids, "product_ids", self.data or {})


class JoorBulkOperator(ReportsFailure, BaseOperator):
    """Writes items in batches: ``POST /{resource}/bulk_create`` or ``…/bulk_update``, documented.

    A batch costs 5 credits, whatever its size. JOOR may answer 200 and reject some items of a batch; ``on_error`` says
    what then. Once something was created, an error fails the task without Airflow's retries, which would create it
    again. (A first batch without an answer is retried as any request is: JOOR documents no way to know.)

    :param resource: orders, order_lines, skus, prices, products or collections; order_lines can only be updated
    :param items: the objects to write, a list or a single one, or the path or URL of a file with one a line, as JSON
        (templated)
    :param action: ``create`` or ``update``
    :param batch_size: how many items to send at once
    :param on_error: what becomes of rejected items: ``fail`` stops after their batch; ``collect`` goes on, and returns
        what JOOR says of them; ``skip`` goes on, and logs it
    :param account: instead of the connection's (templated)
    :param credits: what this task may spend in 300 s
    :param oauth_conn_id: the connection, of type JOOR (templated)
    :return: the numbers of ``items``, ``batches``, ``written`` and ``rejected``, and with ``collect`` the ``errors``:
        for each the ``batch``, from 1, and JOOR's ``status``, ``message`` and ``details``
    :raises PartialWriteError: if items were rejected, or a batch failed, when something had been created
    :raises ApiError: if that happened before, or when updating
    :raises OAuthError: if there is no token to be had
    """

    conn_id_field = "oauth_conn_id"
    template_fields: Sequence[str] = ("items", "account", "oauth_conn_id")
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
        self.credits = _checked(credits)
        self.oauth_conn_id = oauth_conn_id
        if action not in WRITABLE.get(resource, ("", ()))[1]:
            known = "; ".join(f"{name}: {', '.join(actions)}" for name, (_, actions) in WRITABLE.items())
            raise ValueError(f"JOOR documents no {action} of {resource}. There is {known}")
        if on_error not in POLICIES:
            raise ValueError(f"on_error is {on_error!r}; it can be {', '.join(POLICIES)}")
        if batch_size < 1:
            raise ValueError("batch_size must be at least 1")

    def execute(self, context: Context) -> dict[str, Any]:
        """Send the items, batch by batch."""
        with self.reporting_failure():
            return self._execute()

    def _execute(self) -> dict[str, Any]:
        from airflow_provider_oauth.hooks.oauth import hook_of

        hook = _paced(hook_of(self.oauth_conn_id, method="POST"), self.credits)
        done: dict[str, Any] = {"items": 0, "batches": 0, "written": 0, "rejected": 0}
        told: list[dict[str, Any]] = []
        unclear = False  # whether a batch had a good status, and an answer that does not say what became of it
        try:
            for batch in _batches(_items(self.items), self.batch_size):
                page = self._write(hook, batch)
                unclear = True
                errors = self._count(page, batch, done)
                unclear = False
                if errors and self.on_error == "fail":
                    raise page.error(f"has {_told(page, errors)}")
                if errors:
                    self.log.warning("Batch %d: %s.", done["batches"], _told(page, errors))
                    told += [{**error, "batch": done["batches"]} for error in errors]
        except (Exception, AirflowTaskTimeout) as error:  # the file of items may fail too
            if self.action == "create" and (done["written"] or unclear):  # a retry would create something twice
                raise self._partial(done, str(error), unclear) from error
            raise
        self.log.info("Wrote %(written)d of %(items)d items in %(batches)d batches.", done)
        return {**done, "errors": told} if self.on_error == "collect" else done

    def _write(self, hook: OAuthHook, batch: Sequence[Any]) -> Page:
        path, _ = WRITABLE[self.resource]
        account = quote(_account(hook, self.account), safe="")
        response = hook.run(
            f"{path}/bulk_{self.action}?account={account}",
            data=json.dumps(batch),
            headers={"Content-Type": "application/json"},
        )
        return Page(response, "data", self.oauth_conn_id)

    def _count(self, page: Page, batch: Sequence[Any], done: dict[str, Any]) -> list[dict[str, Any]]:
        """Count what became of a batch, and return what JOOR says of items that it rejected."""
        errors = _errors(page)
        written = 0 if errors and not page.content.get("data") else len(page.rows)
        done["items"] += len(batch)
        done["batches"] += 1
        done["written"] += written
        done["rejected"] += len(errors)
        return errors

    def _partial(self, done: Mapping[str, int], problem: str, unclear: bool) -> PartialWriteError:
        perhaps = ", and perhaps more," if unclear else ""
        return PartialWriteError(
            f"{problem} By then {done['written']} items were written{perhaps} in batches of {self.batch_size}; a retry "
            f"would write them again, so there is none. Send what is left, or use on_error."
        )


def _paced(hook: OAuthHook, credits: int) -> OAuthHook:
    """Give the hook its part of the budget."""
    if hook.budget:
        hook.budget = replace(hook.budget, credits=credits)
    return hook


def _account(hook: OAuthHook, account: str | int | None) -> str:
    """Return the account that every call carries: the task's, or the connection's."""
    found = account if account not in (None, "") else hook.config.api_params.get("account")
    if found is None:
        raise ConfigurationError(
            f"Connection {hook.oauth_conn_id!r}: account is missing; set it in the connection, or as a parameter of "
            "the task."
        )
    return str(found)


def _errors(page: Page) -> list[dict[str, Any]]:
    """Return the errors in JOOR's envelope, which may come with status 200."""
    errors = page.content.get("errors") if isinstance(page.content, dict) else None
    errors = errors if isinstance(errors, list) else [errors] if errors else []
    return [error if isinstance(error, dict) else {"message": str(error)} for error in errors]


def _told(page: Page, errors: Sequence[Mapping[str, Any]]) -> str:
    token = page.response.request.headers.get("Authorization", "").rpartition(" ")[2]
    some = "; ".join(f"{error.get('status', '')} {error.get('message', '')}".strip() for error in errors[:QUOTED])
    return f"{len(errors)} errors in it ({redact(some, (token,))}{'; …' if len(errors) > QUOTED else ''})"


def _items(items: Any) -> Iterable[Any]:
    """Return the items, those of a file one by one.

    :raises ValueError: if there is something else among them; of a list, before any is used
    """
    if isinstance(items, Mapping):  # a task is mapped over them
        return [items]
    if not isinstance(items, str):
        flat = flattened(items)
        if wrong := [item for item in flat if not isinstance(item, Mapping)]:
            raise ValueError(f"items has a {type(wrong[0]).__name__} among its objects; nothing was written")
        return flat
    if items.lstrip().startswith(("[", "{")):
        raise ValueError("items is a text that looks like the items; hand on a task's output itself: items=task.output")
    return _lines(items)


def _lines(path: str) -> Iterator[Any]:
    from airflow.sdk import ObjectStoragePath

    with ObjectStoragePath(path).open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                item = json.loads(line) if line.strip() else None
            except ValueError:
                item = line
            if item is not None and not isinstance(item, dict):
                raise ValueError(f"line {number} of {path} is no JSON object")
            if item is not None:
                yield item


def _checked(credits: int) -> int:
    if int(credits) < 1:
        raise ValueError(f"credits is {credits}; it must be at least 1")
    return int(credits)


def _batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Yield the items in lists of ``size``, the last one shorter; itertools has it from Python 3.12 on."""
    batch: list[Any] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
