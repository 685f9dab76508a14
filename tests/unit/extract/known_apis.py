"""Servers that split a list as well-known APIs do. The parameters of the tasks are in ``known_lists.py``.

The shapes are those of the vendors' documentation. All values are invented.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.extract.body import value_at

if TYPE_CHECKING:
    from collections.abc import Mapping

ORIGIN = "https://api.example.com"
URL = f"{ORIGIN}/v1/items"


@dataclass(frozen=True)
class Call:
    """A request to an API with a list.

    :param rows: all rows of the list
    :param query: the query parameters
    :param body: the JSON body
    """

    rows: list[Any]
    query: Mapping[str, str]
    body: Any = None

    def number(self, name: str, default: int, maximum: int = 10_000) -> int:
        return min(int(self.value(name) or default), maximum)

    def value(self, name: str) -> Any:
        return self.query.get(name) if self.body is None else value_at(self.body, name)


@dataclass(frozen=True)
class Slice:
    """The rows of one page.

    :param rows: the rows
    :param start: the number of rows before them
    :param size: the page size
    :param total: the number of all rows
    """

    rows: list[Any]
    start: int
    size: int
    total: int

    @property
    def end(self) -> int:
        return self.start + len(self.rows)

    @property
    def has_more(self) -> bool:
        return self.end < self.total

    @property
    def pages(self) -> int:
        return -(-self.total // self.size)

    @property
    def page(self) -> int:
        return self.start // self.size + 1


#: What an API sends: the JSON and the headers.
Reply = tuple[Any, dict[str, str]]


def by_cursor(call: Call, param: str, size_param: str, size: int, maximum: int) -> Slice:
    """Return the page after a cursor such as ``c100``. An API ignores parameters that it does not know."""
    size = call.number(size_param, size, maximum)
    start = int(str(call.value(param) or "c0").removeprefix("c"))
    return Slice(call.rows[start : start + size], start, size, len(call.rows))


def by_offset(call: Call, param: str, size_param: str, size: int, maximum: int, first: int = 0) -> Slice:
    size = call.number(size_param, size, maximum)
    start = max(int(call.value(param) or first) - first, 0)
    return Slice(call.rows[start : start + size], start, size, len(call.rows))


def by_page(call: Call, param: str, size_param: str, size: int, maximum: int, first: int = 1) -> Slice:
    size = call.number(size_param, size, maximum)
    start = max(int(call.value(param) or first) - first, 0) * size
    return Slice(call.rows[start : start + size], start, size, len(call.rows))


def after_id(call: Call, param: str, size_param: str, size: int, maximum: int) -> Slice:
    size = call.number(size_param, size, maximum)
    after = call.value(param)
    start = next((i + 1 for i, row in enumerate(call.rows) if str(row["id"]) == str(after)), 0)
    return Slice(call.rows[start : start + size], start, size, len(call.rows))


def link(path: str, **params: object) -> str:
    return path + "?" + "&".join(f"{name}={value}" for name, value in params.items())


def github(call: Call) -> Reply:
    page = by_page(call, "page", "per_page", 30, 100)
    url = link("https://api.example.com/repositories/1/items", per_page=page.size, page=page.page + 1)
    last = link("https://api.example.com/repositories/1/items", per_page=page.size, page=page.pages)
    return page.rows, {"Link": f'<{url}>; rel="next", <{last}>; rel="last"'} if page.has_more else {}


def gitlab(call: Call) -> Reply:
    page = by_page(call, "page", "per_page", 20, 100)
    return page.rows, {
        "X-Next-Page": str(page.page + 1) if page.has_more else "",
        "X-Page": str(page.page),
        "X-Per-Page": str(page.size),
        "X-Total": str(page.total),
        "X-Total-Pages": str(page.pages),
    }


def jira(call: Call) -> Reply:
    page = by_offset(call, "startAt", "maxResults", 50, 100)
    return {"startAt": page.start, "maxResults": page.size, "total": page.total, "issues": page.rows}, {}


def jira_jql(call: Call) -> Reply:
    page = by_cursor(call, "nextPageToken", "maxResults", 50, 100)
    token = {"nextPageToken": f"c{page.end}"} if page.has_more else {}
    return {"issues": page.rows, **token, "isLast": not page.has_more}, {}


def confluence(call: Call) -> Reply:
    page = by_cursor(call, "cursor", "limit", 25, 250)
    following = {"next": link("/v1/items", limit=page.size, cursor=f"c{page.end}")} if page.has_more else {}
    return {"results": page.rows, "_links": {**following, "base": "https://example.com/wiki"}}, {}


def zendesk(call: Call) -> Reply:
    page = by_cursor(call, "page[after]", "page[size]", 100, 100)
    following = link(URL, **{"page[size]": page.size, "page[after]": f"c{page.end}"})
    meta = {"has_more": page.has_more, "after_cursor": f"c{page.end}", "before_cursor": "x"}
    return {"tickets": page.rows, "meta": meta, "links": {"prev": None, "next": following}}, {}


def hubspot(call: Call) -> Reply:
    page = by_cursor(call, "after", "limit", 10, 100)
    paging = {"paging": {"next": {"after": f"c{page.end}", "link": link(URL, after=f"c{page.end}")}}}
    return {"results": page.rows, **(paging if page.has_more else {})}, {}


def hubspot_search(call: Call) -> Reply:
    page = by_cursor(call, "after", "limit", 10, 200)
    paging = {"paging": {"next": {"after": f"c{page.end}"}}} if page.has_more else {}
    return {"total": page.total, "results": page.rows, **paging}, {}


def salesforce(call: Call) -> Reply:
    page = by_cursor(call, "locator", "batch", 200, 200)
    following = {"nextRecordsUrl": link("/v1/items", locator=f"c{page.end}")} if page.has_more else {}
    return {"totalSize": page.total, "done": not page.has_more, **following, "records": page.rows}, {}


def stripe(call: Call) -> Reply:
    page = after_id(call, "starting_after", "limit", 10, 100)
    return {"object": "list", "url": "/v1/items", "has_more": page.has_more, "data": page.rows}, {}


def shopify(call: Call) -> Reply:
    page = by_cursor(call, "page_info", "limit", 50, 250)
    url = link(URL, limit=page.size, page_info=f"c{page.end}")
    return {"products": page.rows}, {"Link": f"<{url}>; rel=next"} if page.has_more else {}


def notion(call: Call) -> Reply:
    page = by_cursor(call, "start_cursor", "page_size", 100, 100)
    cursor = f"c{page.end}" if page.has_more else None
    return {"object": "list", "results": page.rows, "next_cursor": cursor, "has_more": page.has_more}, {}


def airtable(call: Call) -> Reply:
    page = by_cursor(call, "offset", "pageSize", 100, 100)
    return {"records": page.rows, **({"offset": f"c{page.end}"} if page.has_more else {})}, {}


def slack(call: Call) -> Reply:
    page = by_cursor(call, "cursor", "limit", 100, 1000)
    cursor = f"c{page.end}" if page.has_more else ""
    return {"ok": True, "members": page.rows, "cache_ts": 1, "response_metadata": {"next_cursor": cursor}}, {}


def intercom(call: Call) -> Reply:
    page = by_cursor(call, "starting_after", "per_page", 50, 150)
    following = {"next": {"page": page.page + 1, "starting_after": f"c{page.end}"}} if page.has_more else {}
    pages = {"type": "pages", "page": page.page, **following, "per_page": page.size, "total_pages": page.pages}
    return {"type": "list", "data": page.rows, "total_count": page.total, "pages": pages}, {}


def mailchimp(call: Call) -> Reply:
    page = by_offset(call, "offset", "count", 10, 1000)
    return {"members": page.rows, "list_id": "x", "total_items": page.total, "_links": [{"rel": "self"}]}, {}


def sendgrid(call: Call) -> Reply:
    return by_offset(call, "offset", "limit", 500, 500).rows, {}


def twilio(call: Call) -> Reply:
    page = by_cursor(call, "PageToken", "PageSize", 50, 1000)
    uri = link("/v1/items", PageSize=page.size, Page=page.page, PageToken=f"c{page.end}") if page.has_more else None
    position = {"page": page.page - 1, "page_size": page.size, "start": page.start, "end": page.end - 1}
    return {**position, "previous_page_uri": None, "next_page_uri": uri, "messages": page.rows}, {}


def xero(call: Call) -> Reply:
    page = by_page(call, "page", "pageSize", 100, 1000)
    return {"Id": "x", "Status": "OK", "ProviderName": "me", "Invoices": page.rows}, {}


def netsuite(call: Call) -> Reply:
    page = by_offset(call, "offset", "limit", 1000, 1000)
    links = [{"rel": "self", "href": URL}]
    if page.has_more:
        links.insert(0, {"rel": "next", "href": link(URL, limit=page.size, offset=page.end)})
    position = {"count": len(page.rows), "hasMore": page.has_more, "offset": page.start, "totalResults": page.total}
    return {"links": links, "items": page.rows, **position}, {}


def pipedrive(call: Call) -> Reply:
    page = by_offset(call, "start", "limit", 100, 500)
    following = {"next_start": page.end} if page.has_more else {}
    pagination = {"start": page.start, "limit": page.size, "more_items_in_collection": page.has_more, **following}
    return {"success": True, "data": page.rows, "additional_data": {"pagination": pagination}}, {}


def asana(call: Call) -> Reply:
    page = by_cursor(call, "offset", "limit", 100, 100)
    url = link(URL, limit=page.size, offset=f"c{page.end}")
    following = {"offset": f"c{page.end}", "path": "/items", "uri": url} if page.has_more else None
    return {"data": page.rows, "next_page": following}, {}


def monday(call: Call) -> Reply:
    page = by_cursor(call, "variables.cursor", "variables.limit", 25, 500)
    items = {"cursor": f"c{page.end}" if page.has_more else None, "items": page.rows}
    return {"data": {"boards": [{"items_page": items}]}, "account_id": 1}, {}


def clickup(call: Call) -> Reply:
    page = by_page(call, "page", "", 100, 100, first=0)
    return {"tasks": page.rows, "last_page": not page.has_more}, {}


def trello(call: Call) -> Reply:
    return after_id(call, "before", "limit", 50, 1000).rows, {}


def linear(call: Call) -> Reply:
    page = by_cursor(call, "variables.after", "variables.first", 50, 250)
    info = {"hasNextPage": page.has_more, "endCursor": f"c{page.end}"}
    return {"data": {"issues": {"nodes": page.rows, "pageInfo": info}}}, {}


def google(call: Call) -> Reply:
    page = by_cursor(call, "pageToken", "maxResults", 250, 2500)
    token = {"nextPageToken": f"c{page.end}"} if page.has_more else {"nextSyncToken": "x"}
    return {"kind": "calendar#events", **token, "items": page.rows}, {}


def microsoft_graph(call: Call) -> Reply:
    page = by_cursor(call, "$skiptoken", "$top", 100, 999)
    url = link(URL, **{"$top": page.size, "$skiptoken": f"c{page.end}"})
    return {"@odata.context": "x", **({"@odata.nextLink": url} if page.has_more else {}), "value": page.rows}, {}


def facebook(call: Call) -> Reply:
    page = by_cursor(call, "after", "limit", 25, 100)
    following = {"next": link(URL, limit=page.size, after=f"c{page.end}")} if page.has_more else {}
    return {"data": page.rows, "paging": {"cursors": {"before": "x", "after": f"c{page.end}"}, **following}}, {}


def linkedin(call: Call) -> Reply:
    page = by_offset(call, "start", "count", 10, 100)
    return {"paging": {"start": page.start, "count": page.size, "links": []}, "elements": page.rows}, {}


def klaviyo(call: Call) -> Reply:
    page = by_cursor(call, "page[cursor]", "page[size]", 20, 100)
    following = link(URL, **{"page[size]": page.size, "page[cursor]": f"c{page.end}"}) if page.has_more else None
    return {"data": page.rows, "links": {"self": URL, "next": following, "prev": None}}, {}


def amazon(call: Call) -> Reply:
    page = by_cursor(call, "NextToken", "MaxResultsPerPage", 100, 100)
    token = {"NextToken": f"c{page.end}"} if page.has_more else {}
    return {"payload": {"Orders": page.rows, **token, "CreatedBefore": "x"}}, {}


def woocommerce(call: Call) -> Reply:
    page = by_page(call, "page", "per_page", 10, 100)
    headers = {"X-WP-Total": str(page.total), "X-WP-TotalPages": str(page.pages)}
    following = {"Link": f'<{link(URL, per_page=page.size, page=page.page + 1)}>; rel="next"'} if page.has_more else {}
    return page.rows, {**headers, **following}


def bigcommerce(call: Call) -> Reply:
    page = by_page(call, "page", "limit", 50, 250)
    following = {"next": f"?page={page.page + 1}&limit={page.size}"} if page.has_more else {}
    numbers = {"total": page.total, "count": len(page.rows), "per_page": page.size, "current_page": page.page}
    pagination = {**numbers, "total_pages": page.pages, "links": {**following, "current": "?page=1"}}
    return {"data": page.rows, "meta": {"pagination": pagination}}, {}


def freshdesk(call: Call) -> Reply:
    page = by_page(call, "page", "per_page", 30, 100)
    url = link(URL, per_page=page.size, page=page.page + 1)
    return page.rows, {"Link": f'<{url}>;rel="next"'} if page.has_more else {}


def servicenow(call: Call) -> Reply:
    page = by_offset(call, "sysparm_offset", "sysparm_limit", 10_000, 10_000)
    return {"result": page.rows}, {"X-Total-Count": str(page.total)}


def okta(call: Call) -> Reply:
    page = by_cursor(call, "after", "limit", 200, 200)
    links = f'<{URL}>; rel="self"'
    if page.has_more:
        links += f', <{link(URL, after=f"c{page.end}", limit=page.size)}>; rel="next"'
    return page.rows, {"Link": links}


def auth0(call: Call) -> Reply:
    page = by_page(call, "page", "per_page", 50, 100, first=0)
    if call.value("include_totals") != "true":
        return page.rows, {}
    position = {"start": page.start, "limit": page.size, "length": len(page.rows), "total": page.total}
    return {**position, "users": page.rows}, {}


def sentry(call: Call) -> Reply:
    page = by_cursor(call, "cursor", "per_page", 100, 100)
    url = link(URL, cursor=f"c{page.end}")
    results = str(page.has_more).lower()
    before = f'<{link(URL, cursor="c0")}>; rel="previous"; results="false"; cursor="c0"'
    return page.rows, {"Link": f'{before}, <{url}>; rel="next"; results="{results}"; cursor="c{page.end}"'}


def pagerduty(call: Call) -> Reply:
    page = by_offset(call, "offset", "limit", 25, 100)
    return {"users": page.rows, "limit": page.size, "offset": page.start, "total": None, "more": page.has_more}, {}


def datadog(call: Call) -> Reply:
    page = by_cursor(call, "page.cursor", "page.limit", 10, 5000)
    meta = {"page": {"after": f"c{page.end}"}} if page.has_more else {}
    return {"data": page.rows, "meta": {**meta, "status": "done", "request_id": "x"}}, {}


def marketo(call: Call) -> Reply:
    page = by_cursor(call, "nextPageToken", "batchSize", 300, 300)
    paging = {"nextPageToken": f"c{page.end}", "moreResult": page.has_more}
    return {"requestId": "x", "success": True, "result": page.rows, **paging}, {}
