"""Lists of well-known APIs, with the parameters with which a task reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.extract.paginators import (
    CursorPaginator,
    HeaderLinkPaginator,
    JsonLinkPaginator,
    OffsetPaginator,
    PageNumberPaginator,
)
from tests.unit.extract.known_apis import (
    airtable,
    amazon,
    asana,
    auth0,
    bigcommerce,
    clickup,
    confluence,
    datadog,
    facebook,
    freshdesk,
    github,
    gitlab,
    google,
    hubspot,
    hubspot_search,
    intercom,
    jira,
    jira_jql,
    klaviyo,
    linear,
    linkedin,
    mailchimp,
    marketo,
    microsoft_graph,
    monday,
    netsuite,
    notion,
    okta,
    pagerduty,
    pipedrive,
    salesforce,
    sendgrid,
    sentry,
    servicenow,
    shopify,
    slack,
    stripe,
    trello,
    twilio,
    woocommerce,
    xero,
    zendesk,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.unit.extract.known_apis import Call, Reply


@dataclass(frozen=True)
class KnownApi:
    """A list of an API.

    :param name: the API and the list
    :param serve: returns the response to a request
    :param paginator: the paginator that a task sets
    :param records_path: the path that a task sets
    :param size_param: the page size, as a parameter of the request, if the paginator does not have it
    :param size: the page size
    :param json: the JSON body; a list with a body is read by POST
    """

    name: str
    serve: Callable[[Call], Reply]
    paginator: Any
    records_path: str | None = None
    size_param: str = ""
    size: int = 100
    json: Any = None
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def request(self) -> dict[str, Any]:
        """The parameters of ``OAuthHook.paginate`` besides the paginator."""
        size = {self.size_param: self.size} if self.size_param else {}
        parameters = {"json": {**self.json, **size}, "method": "POST"} if self.json is not None else {}
        if self.json is None:
            parameters = {"request_params": {**self.params, **size}}
        return {"records_path": self.records_path, **parameters}


QUERY = "query ($after: String) { issues(first: $first, after: $after) { nodes { id } } }"
APIS = (
    KnownApi("GitHub", github, HeaderLinkPaginator(), None, "per_page"),
    KnownApi("GitLab", gitlab, CursorPaginator("header:X-Next-Page", "page", total="header:X-Total"), None, "per_page"),
    KnownApi("Jira", jira, OffsetPaginator("startAt", "maxResults", 100, total="total"), "issues"),
    KnownApi("Jira, JQL", jira_jql, CursorPaginator("nextPageToken", "nextPageToken"), "issues", "maxResults"),
    KnownApi("Confluence", confluence, JsonLinkPaginator("_links.next"), "results", "limit", 250),
    KnownApi("Zendesk", zendesk, JsonLinkPaginator("links.next", more="meta.has_more"), "tickets", "page[size]"),
    KnownApi("HubSpot", hubspot, CursorPaginator("paging.next.after", "after"), "results", "limit"),
    KnownApi(
        "HubSpot, search",
        hubspot_search,
        CursorPaginator("paging.next.after", "after", param_in="body", total="total"),
        "results",
        "limit",
        200,
        json={"filterGroups": []},
    ),
    KnownApi("Salesforce", salesforce, JsonLinkPaginator("nextRecordsUrl", total="totalSize"), "records", size=200),
    KnownApi("Stripe", stripe, CursorPaginator("data[-1].id", "starting_after", more="has_more"), "data", "limit"),
    KnownApi("Shopify", shopify, HeaderLinkPaginator(), "products", "limit", 250),
    KnownApi("Notion", notion, CursorPaginator("next_cursor", "start_cursor", "body"), "results", "page_size", json={}),
    KnownApi("Airtable", airtable, CursorPaginator("offset", "offset"), "records"),
    KnownApi("Slack", slack, CursorPaginator("response_metadata.next_cursor", "cursor"), "members", "limit", 200),
    KnownApi(
        "Intercom", intercom, CursorPaginator("pages.next.starting_after", "starting_after"), "data", "per_page", 150
    ),
    KnownApi("Mailchimp", mailchimp, OffsetPaginator(size_param="count", total="total_items"), "members"),
    KnownApi("SendGrid", sendgrid, OffsetPaginator()),
    KnownApi("Twilio", twilio, JsonLinkPaginator("next_page_uri"), "messages", "PageSize"),
    KnownApi("Xero", xero, PageNumberPaginator(), "Invoices"),
    KnownApi("NetSuite", netsuite, OffsetPaginator(total="totalResults"), "items"),
    KnownApi(
        "Pipedrive",
        pipedrive,
        OffsetPaginator("start", more="additional_data.pagination.more_items_in_collection"),
        "data",
    ),
    KnownApi("Asana", asana, CursorPaginator("next_page.offset", "offset"), "data", "limit"),
    KnownApi(
        "Monday",
        monday,
        CursorPaginator("data.boards[0].items_page.cursor", "variables.cursor", "body"),
        "data.boards[].items_page.items[]",
        size=100,
        json={"query": "query ($cursor: String) { boards }", "variables": {"limit": 100}},
    ),
    KnownApi("ClickUp", clickup, PageNumberPaginator(start=0, more="!last_page"), "tasks"),
    KnownApi("Trello", trello, CursorPaginator("[-1].id", "before"), None, "limit"),
    KnownApi(
        "Linear",
        linear,
        CursorPaginator(
            "data.issues.pageInfo.endCursor", "variables.after", "body", more="data.issues.pageInfo.hasNextPage"
        ),
        "data.issues.nodes",
        size=100,
        json={"query": QUERY, "variables": {"first": 100}},
    ),
    KnownApi("Google Calendar", google, CursorPaginator("nextPageToken", "pageToken"), "items", "maxResults", 250),
    KnownApi("Microsoft Graph", microsoft_graph, JsonLinkPaginator('"@odata.nextLink"'), "value", "$top"),
    KnownApi("Facebook", facebook, JsonLinkPaginator("paging.next"), "data", "limit"),
    KnownApi("LinkedIn", linkedin, OffsetPaginator("start", "count", 100), "elements"),
    KnownApi("Klaviyo", klaviyo, JsonLinkPaginator("links.next"), "data", "page[size]"),
    KnownApi("Amazon SP-API", amazon, CursorPaginator("payload.NextToken", "NextToken"), "payload.Orders"),
    KnownApi(
        "WooCommerce", woocommerce, PageNumberPaginator(size_param="per_page", size=100, last="header:X-WP-TotalPages")
    ),
    KnownApi(
        "BigCommerce",
        bigcommerce,
        PageNumberPaginator(size_param="limit", size=250, last="meta.pagination.total_pages"),
        "data",
        size=250,
    ),
    KnownApi("Freshdesk", freshdesk, HeaderLinkPaginator(), None, "per_page"),
    KnownApi(
        "ServiceNow",
        servicenow,
        OffsetPaginator("sysparm_offset", "sysparm_limit", 100, total="header:X-Total-Count"),
        "result",
    ),
    KnownApi("Okta", okta, HeaderLinkPaginator(), None, "limit", 200),
    KnownApi(
        "Auth0",
        auth0,
        PageNumberPaginator(start=0, size_param="per_page", size=100, total="total"),
        "users",
        params={"include_totals": "true"},
    ),
    KnownApi("Sentry", sentry, HeaderLinkPaginator(), None),
    KnownApi("PagerDuty", pagerduty, OffsetPaginator(more="more"), "users"),
    KnownApi(
        "Datadog",
        datadog,
        CursorPaginator("meta.page.after", "page.cursor", "body"),
        "data",
        json={"filter": {"query": "*"}, "page": {"limit": 100}},
    ),
    KnownApi(
        "Marketo", marketo, CursorPaginator("nextPageToken", "nextPageToken", more="moreResult"), "result", size=300
    ),
)
