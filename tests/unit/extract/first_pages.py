"""First pages of paginated APIs and complete lists, to measure the check "looks paginated".

Key names and nesting are those of the vendor's documentation, OpenAPI description or official SDK named in `source`.
All values are invented. Large pages are built from a few typical fields per row.

The shape of an entry with `verified=False` was not found in the documentation of the vendor. Its `note` explains
what was not found. `requested_size` is the page size that the client put into the request, or None if it sent none.
`paginator` is the class that reads the whole list. It is empty where the endpoint is not paginated.

A check that uses only body and headers sees everything in `body` and `headers`. `requested_size` is for the stricter
rule that compares the number of rows with the size the client requested.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

PAGE_NUMBER = "PageNumberPaginator"
OFFSET = "OffsetPaginator"
CURSOR = "CursorPaginator"
JSON_LINK = "JsonLinkPaginator"
HEADER_LINK = "HeaderLinkPaginator"
HEADER_JSON = "HeaderJsonPaginator"


@dataclass(frozen=True)
class FirstPage:
    """One documented first response of an API.

    :param name: API and endpoint
    :param source: address of the document that shows the shape
    :param paginated: more pages follow this one
    :param body: decoded JSON body
    :param headers: response headers that matter, spelled as documented
    :param status: status of the response
    :param requested_size: page size in the request; None if the request had none
    :param paginator: class that fits the endpoint; empty if it is not paginated
    :param rows_path: where the rows are, in the notation of `records_path`; `@` is the body itself
    :param rows: number of rows in `body`
    :param verified: the shape was found in a document
    :param note: what is special about this entry, or what could not be verified
    """

    name: str
    source: str
    paginated: bool
    body: object
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    requested_size: int | None = None
    paginator: str = ""
    rows_path: str = "@"
    rows: int = 0
    verified: bool = True
    note: str = ""


def row(row_id: int, **fields: Any) -> dict[str, Any]:
    """Return a row with an ID, a name and the given fields."""
    return {"id": row_id, "name": f"Item {row_id}", **fields}


def rows(count: int, **fields: Any) -> list[dict[str, Any]]:
    """Return `count` rows with the same extra fields."""
    return [row(row_id, **fields) for row_id in range(1, count + 1)]


GITHUB_DOCS = "https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api"
MARKETO_DOCS = "https://github.com/AdobeDocs/marketo-developer.en/blob/main/help/rest-api"
HUBSPOT_SPECS = "https://github.com/HubSpot/HubSpot-public-api-spec-collection/blob/main/PublicApiSpecs/CRM"
INTERCOM_SPEC = "https://github.com/intercom/Intercom-OpenAPI/blob/main/descriptions/2.11/api.intercom.io.yaml"
SLACK_SPEC = "https://github.com/slackapi/slack-api-specs/blob/master/web-api/slack_web_openapi_v2.json"
JIRA_SDK_DOCS = "https://mrrefactoring.github.io/jira.js/interfaces"
AMAZON_MODELS = "https://github.com/amzn/selling-partner-api-models/blob/main/models"
XERO_SPEC = "https://github.com/XeroAPI/Xero-OpenAPI/blob/master/xero_accounting.yaml"
BOX_SPEC = "https://github.com/box/box-openapi/blob/main/openapi.json"
KLAVIYO_SPEC = "https://github.com/klaviyo/openapi/blob/main/openapi/stable.json"
SPOTIFY_SPEC = "https://github.com/sonallux/spotify-web-api/blob/main/official-spotify-open-api.yml"
SQUARE_SPEC = "https://github.com/square/connect-api-specification/blob/master/api.json"
TYPEFORM_SDK = "https://github.com/Typeform/js-api-client/blob/main/src/typeform-types.ts"
POSTGREST_DOCS = "https://docs.postgrest.org/en/latest/references/api/pagination_count.html"
HEROKU_DOCS = "https://devcenter.heroku.com/articles/platform-api-reference#ranges"
GRAPH_DOCS = "https://github.com/microsoftgraph/microsoft-graph-docs/blob/main"
SURVEYMONKEY_DOCS = "https://github.com/SurveyMonkey/public_api_docs/blob/main/includes"
PAGERDUTY_SPEC = "https://github.com/PagerDuty/api-schema/blob/main/reference/REST/openapiv3.json"
TWILIO_SPEC = "https://github.com/twilio/twilio-oai/blob/main/spec/yaml/twilio_api_v2010.yaml"
X_DOCS = "https://github.com/xdevplatform/docs/blob/main/x-api"
FACEBOOK_DOCS = "https://developers.facebook.com/docs/graph-api/results/"
ZENDESK_DOCS = "https://developer.zendesk.com/api-reference/introduction/pagination/"
ZENDESK_SDK = "https://github.com/zendesk/zendesk_api_client_rb/blob/main/lib/zendesk_api/pagination.rb"
SALESFORCE_DOCS = "https://developer.salesforce.com/docs/platform/api-rest/guide/resources-query.md"
SHOPIFY_DOCS = "https://www.shopify.dev/docs/api/admin-rest/usage/pagination"
NOTION_SDK = "https://github.com/makenotion/notion-sdk-js/blob/main/src/api-endpoints/users.ts"
GOOGLE_CALENDAR_LIST = (
    "https://googleapis.dev/dotnet/Google.Apis.Calendar.v3/latest/api/Google.Apis.Calendar.v3.Data.CalendarList.html"
)
DIGITALOCEAN_SPEC = "https://github.com/digitalocean/openapi/blob/main/specification"
BIGCOMMERCE_DOCS = "https://github.com/bigcommerce/docs/blob/main/docs/store-operations/catalog/migration/guide.mdx"
PIPEDRIVE_SDK = "https://github.com/pipedrive/client-nodejs/blob/master/src/versions"
BITBUCKET_DOCS = "https://backstage.io/docs/reference/plugin-bitbucket-cloud-common.models.paginated"
DROPBOX_SPEC = "https://github.com/dropbox/dropbox-api-spec/blob/main/files.stone"
AIRTABLE_SDK = "https://github.com/gtalarico/pyairtable/blob/main/pyairtable/api/api.py"
SENTRY_DOCS = "https://docs.sentry.io/api/pagination"
WOOCOMMERCE_DOCS = (
    "https://github.com/woocommerce/woocommerce-rest-api-docs/blob/trunk/source/includes/wp-api-v3/_introduction.md"
)

PAGINATED: list[FirstPage] = [
    # Links and counts in headers
    FirstPage(
        name="GitHub issues of a repository",
        source=GITHUB_DOCS,
        paginated=True,
        body=[row(n, number=n, title=f"Issue {n}", state="open", pull_request=None) for n in range(1, 31)],
        headers={
            "link": '<https://api.github.com/repositories/71/issues?page=2>; rel="next", '
            '<https://api.github.com/repositories/71/issues?page=9>; rel="last"'
        },
        paginator=HEADER_LINK,
        rows=30,
    ),
    FirstPage(
        name="GitHub search for issues, array in an object",
        source=GITHUB_DOCS,
        paginated=True,
        body={
            "total_count": 280,
            "incomplete_results": False,
            "items": [row(n, number=n, title=f"Issue {n}", score=1.0) for n in range(1, 31)],
        },
        headers={
            "link": '<https://api.github.com/search/issues?q=bug&page=2>; rel="next", '
            '<https://api.github.com/search/issues?q=bug&page=10>; rel="last"'
        },
        paginator=HEADER_LINK,
        rows_path="items",
        rows=30,
        verified=False,
        note="total_count and incomplete_results are in the guide's sample code; the key `items` is from memory.",
    ),
    FirstPage(
        name="GitLab namespaces, offset pagination",
        source="https://github.com/gitlabhq/gitlabhq/blob/master/doc/api/rest/_index.md",
        paginated=True,
        body=[row(n, path=f"group-{n}", kind="group") for n in range(1, 21)],
        headers={
            "link": '<https://gitlab.example.com/api/v4/namespaces?page=2&per_page=20>; rel="next", '
            '<https://gitlab.example.com/api/v4/namespaces?page=1&per_page=20>; rel="first", '
            '<https://gitlab.example.com/api/v4/namespaces?page=4&per_page=20>; rel="last"',
            "x-next-page": "2",
            "x-page": "1",
            "x-per-page": "20",
            "x-prev-page": "",
            "x-total": "74",
            "x-total-pages": "4",
        },
        paginator=HEADER_LINK,
        rows=20,
    ),
    FirstPage(
        name="GitLab projects over 10,000 rows, keyset pagination",
        source="https://github.com/gitlabhq/gitlabhq/blob/master/doc/api/rest/_index.md",
        paginated=True,
        body=[row(n, path_with_namespace=f"group/project-{n}") for n in range(1, 51)],
        headers={
            "Link": "<https://gitlab.example.com/api/v4/projects?pagination=keyset&per_page=50"
            '&order_by=id&sort=asc&id_after=50>; rel="next"'
        },
        requested_size=50,
        paginator=HEADER_LINK,
        rows=50,
        note="No count in any header.",
    ),
    FirstPage(
        name="Shopify REST products",
        source=SHOPIFY_DOCS,
        paginated=True,
        body={"products": rows(50, vendor="Acme", status="active")},
        headers={
            "link": "<https://acme.myshopify.com/admin/api/2026-01/products.json?page_info=eyJsYXN0IjoxfQ&limit=50>; "
            'rel="next"'
        },
        paginator=HEADER_LINK,
        rows_path="products",
        rows=50,
        note='The guide prints "rel={next}"; the tests of shopify-api-ruby use rel="next".',
    ),
    FirstPage(
        name="WooCommerce orders",
        source=WOOCOMMERCE_DOCS,
        paginated=True,
        body=[row(n, status="completed", total="19.90") for n in range(1, 11)],
        headers={
            "X-WP-Total": "27",
            "X-WP-TotalPages": "3",
            "Link": '<https://www.example.com/wp-json/wc/v3/orders?page=2>; rel="next", '
            '<https://www.example.com/wp-json/wc/v3/orders?page=3>; rel="last"',
        },
        paginator=HEADER_LINK,
        rows=10,
        note="Each row has a field `total`, which is an amount of money.",
    ),
    FirstPage(
        name="WordPress posts, counts in headers only",
        source="https://github.com/WP-API/docs/blob/master/using-the-rest-api/pagination.md",
        paginated=True,
        body=[row(n, slug=f"post-{n}", status="publish") for n in range(1, 11)],
        headers={"X-WP-Total": "51", "X-WP-TotalPages": "6"},
        paginator=PAGE_NUMBER,
        rows=10,
        note="WordPress also sends Link. It is left out, as a proxy that strips Link would do.",
    ),
    FirstPage(
        name="Greenhouse Harvest candidates",
        source="https://github.com/grnhse/greenhouse-api-docs/blob/master/source/includes/harvest/_introduction.md",
        paginated=True,
        body=[row(n, first_name="Ada", last_name=f"Example {n}") for n in range(1, 101)],
        headers={
            "Link": '<https://harvest.greenhouse.io/v1/candidates?page=2&per_page=100>; rel="next",'
            '<https://harvest.greenhouse.io/v1/candidates?page=9&per_page=100>; rel="last"'
        },
        paginator=HEADER_LINK,
        rows=100,
    ),
    FirstPage(
        name="Okta system log",
        source="https://github.com/okta/okta-developer-docs/blob/master/packages/@okta/vuepress-site/docs/reference/"
        "core-okta-api/index.md",
        paginated=True,
        body=[{"uuid": f"event-{n}", "eventType": "user.session.start", "severity": "INFO"} for n in range(20)],
        headers={
            "link": '<https://acme.okta.com/api/v1/logs?limit=20>; rel="self", '
            '<https://acme.okta.com/api/v1/logs?limit=20&after=1627500044869_1>; rel="next"'
        },
        requested_size=20,
        paginator=HEADER_LINK,
        rows=20,
        note="Okta sends two Link header lines; HTTP clients join them with a comma.",
    ),
    FirstPage(
        name="Sentry events of an issue",
        source=SENTRY_DOCS,
        paginated=True,
        body=[{"eventID": f"{n:032x}", "title": "KeyError"} for n in range(100)],
        headers={
            "Link": '<https://sentry.io/api/0/organizations/acme/issues/9/events/?&cursor=0:0:1>; rel="previous"; '
            'results="false"; cursor="0:0:1", '
            '<https://sentry.io/api/0/organizations/acme/issues/9/events/?&cursor=0:100:0>; rel="next"; '
            'results="true"; cursor="0:100:0"'
        },
        paginator=HEADER_LINK,
        rows=100,
    ),
    FirstPage(
        name="Guru cards",
        source="https://developer.getguru.com/docs/paging",
        paginated=True,
        body=[{"id": f"card-{n}", "preferredPhrase": f"Card {n}"} for n in range(50)],
        headers={"Link": '< https://api.getguru.com/api/v1/search/query?token=xsfwsgsgi2 >; rel="next-page"'},
        paginator=HEADER_LINK,
        rows=50,
        note="The relation is `next-page`, and the URL has blanks inside the angle brackets.",
    ),
    FirstPage(
        name="ServiceNow table incident",
        source="https://github.com/ServiceNow/ServiceNowDocs/blob/main/markdown/api-reference/rest-apis/c_TableAPI.md",
        paginated=True,
        body={"result": [{"sys_id": f"{n:032x}", "number": f"INC{n:07d}", "state": "1"} for n in range(1000)]},
        headers={
            "Link": "<https://acme.service-now.com/api/now/table/incident?sysparm_offset=0&sysparm_limit=1000>;"
            'rel="first",'
            "<https://acme.service-now.com/api/now/table/incident?sysparm_offset=1000&sysparm_limit=1000>;"
            'rel="next",'
            "<https://acme.service-now.com/api/now/table/incident?sysparm_offset=2000&sysparm_limit=1000>;"
            'rel="last"',
            "X-Total-Count": "2780",
        },
        requested_size=1000,
        paginator=HEADER_LINK,
        rows_path="result",
        rows=1000,
    ),
    FirstPage(
        name="Kimai timesheets, counts in headers",
        source="https://github.com/kimai/kimai/blob/main/src/API/ViewHandler.php",
        paginated=True,
        body=[row(n, begin="2026-11-01T08:00:00+0100", duration=3600) for n in range(1, 51)],
        headers={"X-Page": "1", "X-Total-Count": "120", "X-Total-Pages": "3", "X-Per-Page": "50"},
        paginator=PAGE_NUMBER,
        rows=50,
    ),
    FirstPage(
        name="Platform API with JSON in an X-Pagination header",
        source="find_string 'X-Pagination: {\"', document id 26391663396 (the index does not name the repository)",
        paginated=True,
        body=[row(n, email=f"user{n}@example.com") for n in range(1, 21)],
        headers={"X-Pagination": '{"count":3737,"page":1,"nextPage":2,"perPage":20,"pageCount":187}'},
        paginator=HEADER_JSON,
        rows=20,
    ),
    FirstPage(
        name="ASP.NET style X-Pagination header with HasNext",
        source="find_string 'X-Pagination: {\"', document id 39894114496 (the index does not name the repository)",
        paginated=True,
        body=[row(n, title=f"Book {n}") for n in range(1, 11)],
        headers={
            "x-pagination": '{"CurrentPage":1,"TotalPage":4,"PageSize":10,"TotalCount":38,'
            '"HasPrevious":false,"HasNext":true}'
        },
        requested_size=10,
        paginator=HEADER_JSON,
        rows=10,
    ),
    FirstPage(
        name="Freshdesk tickets",
        source="https://developers.freshdesk.com/api/#pagination",
        paginated=True,
        body=[row(n, subject=f"Ticket {n}", status=2) for n in range(1, 31)],
        headers={"link": '<https://acme.freshdesk.com/api/v2/tickets?page=2>; rel="next"'},
        paginator=HEADER_LINK,
        rows=30,
        verified=False,
        note="From memory; the page was not among the stored documents. Third parties confirm a default of 30 rows.",
    ),
    # Cursors in the body
    FirstPage(
        name="HubSpot contacts",
        source=f"{HUBSPOT_SPECS}/Contacts/Rollouts/424/v3/contacts.json",
        paginated=True,
        body={
            "results": [
                {
                    "id": str(n),
                    "properties": {"email": f"contact{n}@example.com", "hs_object_id": str(n)},
                    "createdAt": "2026-01-05T10:00:00Z",
                    "updatedAt": "2026-02-05T10:00:00Z",
                    "archived": False,
                }
                for n in range(1, 11)
            ],
            "paging": {"next": {"after": "11", "link": "https://api.hubapi.com/crm/v3/objects/contacts?after=11"}},
        },
        paginator=CURSOR,
        rows_path="results",
        rows=10,
    ),
    FirstPage(
        name="HubSpot contact search (POST)",
        source=f"{HUBSPOT_SPECS}/Contacts/Rollouts/424/v3/contacts.json",
        paginated=True,
        body={
            "total": 1234,
            "results": [
                {
                    "id": str(n),
                    "properties": {"email": f"contact{n}@example.com"},
                    "createdAt": "2026-01-05T10:00:00Z",
                    "updatedAt": "2026-02-05T10:00:00Z",
                    "archived": False,
                }
                for n in range(1, 101)
            ],
            "paging": {"next": {"after": "100"}},
        },
        requested_size=100,
        paginator=CURSOR,
        rows_path="results",
        rows=100,
    ),
    FirstPage(
        name="Stripe customers",
        source="https://docs.stripe.com/api/pagination",
        paginated=True,
        body={
            "object": "list",
            "url": "/v1/customers",
            "has_more": True,
            "data": [
                {"id": f"cus_{n:06d}", "object": "customer", "balance": 0, "created": 1767225600 + n} for n in range(10)
            ],
        },
        paginator=CURSOR,
        rows_path="data",
        rows=10,
        note="The cursor is the ID of the last row.",
    ),
    FirstPage(
        name="Notion users",
        source=NOTION_SDK,
        paginated=True,
        body={
            "object": "list",
            "type": "user",
            "user": {},
            "results": [{"object": "user", "id": f"u-{n}", "type": "person", "name": f"User {n}"} for n in range(100)],
            "next_cursor": "fe2cc560-036c-44cd-90e8-294d5a74cebc",
            "has_more": True,
        },
        paginator=CURSOR,
        rows_path="results",
        rows=100,
    ),
    FirstPage(
        name="Slack conversations.list",
        source=SLACK_SPEC,
        paginated=True,
        body={
            "ok": True,
            "channels": [{"id": f"C{n:08d}", "name": f"channel-{n}", "is_archived": False} for n in range(100)],
            "response_metadata": {"next_cursor": "dGVhbTpDMDYxRkE1UEI="},
        },
        paginator=CURSOR,
        rows_path="channels",
        rows=100,
    ),
    FirstPage(
        name="Intercom contacts",
        source=INTERCOM_SPEC,
        paginated=True,
        body={
            "type": "list",
            "data": [{"type": "contact", "id": f"c{n}", "email": f"c{n}@example.com"} for n in range(50)],
            "total_count": 130,
            "pages": {
                "type": "pages",
                "next": {"per_page": 50, "starting_after": "WzE3MDI5MTMxNDEwMDAsIjY1Nz"},
                "page": 1,
                "per_page": 50,
                "total_pages": 3,
            },
        },
        paginator=CURSOR,
        rows_path="data",
        rows=50,
    ),
    FirstPage(
        name="Zendesk tickets, cursor pagination",
        source=ZENDESK_DOCS,
        paginated=True,
        body={
            "tickets": [{"id": n, "subject": f"Ticket {n}", "status": "open"} for n in range(1, 101)],
            "meta": {"has_more": True, "after_cursor": "eyJvIjoibmljZV9pZCJ9", "before_cursor": "eyJvIjoibmljZV9pZCI5"},
            "links": {
                "next": "https://example.zendesk.com/api/v2/tickets.json?page[size]=100&page[after]=eyJvIjoibmljZV9pZCJ9",
                "prev": "https://example.zendesk.com/api/v2/tickets.json?page[size]=100&page[before]=eyJvIjoibmljZV9pZCI5",
            },
        },
        requested_size=100,
        paginator=JSON_LINK,
        rows_path="tickets",
        rows=100,
    ),
    FirstPage(
        name="Zendesk incremental ticket export",
        source="https://fivetran.com/docs/connectors/applications/zendesk/troubleshooting/sync-tickets-incrementally",
        paginated=True,
        body={
            "tickets": [{"id": n, "subject": f"Ticket {n}"} for n in range(1, 1001)],
            "after_url": "https://example.zendesk.com/api/v2/incremental/tickets/cursor.json?cursor=MTU4MDc1Mzc5OC4wfHw0",
            "after_cursor": "MTU4MDc1Mzc5OC4wfHw0",
            "end_of_stream": False,
        },
        paginator=JSON_LINK,
        rows_path="tickets",
        rows=1000,
        note="The flag is inverted: `end_of_stream` is false while there is more.",
    ),
    FirstPage(
        name="Jira issue search with nextPageToken",
        source=f"{JIRA_SDK_DOCS}/Version3Models.SearchAndReconcileResults.html",
        paginated=True,
        body={
            "issues": [{"id": str(n), "key": f"DEMO-{n}", "fields": {"summary": f"Issue {n}"}} for n in range(1, 51)],
            "nextPageToken": "CAEaAggD",
        },
        paginator=CURSOR,
        rows_path="issues",
        rows=50,
    ),
    FirstPage(
        name="Google Calendar calendarList",
        source=GOOGLE_CALENDAR_LIST,
        paginated=True,
        body={
            "kind": "calendar#calendarList",
            "etag": '"p33g"',
            "nextPageToken": "EigKGnRlYW0",
            "items": [{"kind": "calendar#calendarListEntry", "id": f"cal{n}@example.com"} for n in range(100)],
        },
        paginator=CURSOR,
        rows_path="items",
        rows=100,
    ),
    FirstPage(
        name="Amazon SP-API orders",
        source=f"{AMAZON_MODELS}/orders-api-model/ordersV0.json",
        paginated=True,
        body={
            "payload": {
                "Orders": [{"AmazonOrderId": f"902-{n:07d}", "OrderStatus": "Shipped"} for n in range(100)],
                "NextToken": "2YgYW55IGNhcm5hbCBwbGVhc3VyZS4",
                "CreatedBefore": "2026-11-01T00:00:00Z",
            }
        },
        paginator=CURSOR,
        rows_path="payload.Orders",
        rows=100,
    ),
    FirstPage(
        name="Amazon SP-API FBA inventory",
        source=f"{AMAZON_MODELS}/fba-inventory-api-model/fbaInventory.json",
        paginated=True,
        body={
            "payload": {
                "granularity": {"granularityType": "Marketplace", "granularityId": "ATVPDKIKX0DER"},
                "inventorySummaries": [{"sellerSku": f"SKU-{n}", "totalQuantity": n} for n in range(50)],
            },
            "pagination": {"nextToken": "seed-token-1"},
        },
        paginator=CURSOR,
        rows_path="payload.inventorySummaries",
        rows=50,
    ),
    FirstPage(
        name="Marketo leads of a list",
        source=f"{MARKETO_DOCS}/leads.md",
        paginated=True,
        body={
            "requestId": "1184b#1706f0ec23f",
            "result": [{"id": n, "email": f"lead{n}@example.com"} for n in range(1, 301)],
            "success": True,
            "nextPageToken": "BFRV7OMVSNJWDVKVTUFS3XHT4E======",
            "moreResult": True,
        },
        paginator=CURSOR,
        rows_path="result",
        rows=300,
    ),
    FirstPage(
        name="Marketo lead changes, a short page with more to come",
        source=f"{MARKETO_DOCS}/activities.md",
        paginated=True,
        body={
            "requestId": "a9ae#148add1e53d",
            "success": True,
            "nextPageToken": "GIYDAOBNGEYS2MBWKQYDAORQGA5DAMBO===",
            "moreResult": True,
            "result": [{"id": n, "leadId": 775, "activityTypeId": 13} for n in range(1, 18)],
        },
        paginator=CURSOR,
        rows_path="result",
        rows=17,
        note="The page may have fewer rows than the page size while `moreResult` is true.",
    ),
    FirstPage(
        name="Pipedrive notes (v1)",
        source=f"{PIPEDRIVE_SDK}/v1/models/additional-data.ts",
        paginated=True,
        body={
            "success": True,
            "data": [row(n, content=f"Note {n}") for n in range(1, 101)],
            "additional_data": {
                "pagination": {"start": 0, "limit": 100, "more_items_in_collection": True, "next_start": 100}
            },
        },
        paginator=OFFSET,
        rows_path="data",
        rows=100,
    ),
    FirstPage(
        name="Pipedrive activities (v2)",
        source=f"{PIPEDRIVE_SDK}/v2/models/get-activities-response-all-of-additional-data.ts",
        paginated=True,
        body={
            "success": True,
            "data": [row(n, subject=f"Call {n}") for n in range(1, 101)],
            "additional_data": {"next_cursor": "eyJmaWVsZCI6ImlkIiwiZmllbGRWYWx1ZSI6M30"},
        },
        paginator=CURSOR,
        rows_path="data",
        rows=100,
    ),
    FirstPage(
        name="Asana tasks",
        source="https://github.com/Asana/openapi/blob/master/defs/asana_oas.yaml",
        paginated=True,
        body={
            "data": [{"gid": str(n), "name": f"Task {n}", "resource_type": "task"} for n in range(1, 21)],
            "next_page": {
                "offset": "eyJ0eXAiOJiKV1iQLCJhbGciOiJIUzI1NiJ9",
                "path": "/tasks?project=1&limit=20&offset=eyJ0eXAiOJiKV1iQLCJhbGciOiJIUzI1NiJ9",
                "uri": "https://app.asana.com/api/1.0/tasks?project=1&limit=20&offset=eyJ0eXAiOJiKV1iQLCJhbGciOiJIUzI1NiJ9",
            },
        },
        requested_size=20,
        paginator=CURSOR,
        rows_path="data",
        rows=20,
    ),
    FirstPage(
        name="Airtable records",
        source=AIRTABLE_SDK,
        paginated=True,
        body={
            "records": [
                {"id": f"rec{n:014d}", "createdTime": "2026-01-01T00:00:00.000Z", "fields": {"Name": f"Record {n}"}}
                for n in range(100)
            ],
            "offset": "itrVnKbPZ9zZ4mGcW/recNhXxuFtqOTMgvx",
        },
        paginator=CURSOR,
        rows_path="records",
        rows=100,
        note="The cursor is called `offset`. Seen in a client library, not in Airtable's own pages.",
    ),
    FirstPage(
        name="Facebook Graph albums",
        source=FACEBOOK_DOCS,
        paginated=True,
        body={
            "data": [{"id": str(1000 + n), "name": f"Album {n}"} for n in range(25)],
            "paging": {
                "cursors": {"after": "MTAxNTExOTQ1MjAwNzI5NDE=", "before": "NDMyNzQyODI3OTQw"},
                "next": "https://graph.facebook.com/4/albums?limit=25&after=MTAxNTExOTQ1MjAwNzI5NDE=",
            },
        },
        paginator=JSON_LINK,
        rows_path="data",
        rows=25,
    ),
    FirstPage(
        name="Facebook Graph page after privacy filtering",
        source=FACEBOOK_DOCS,
        paginated=True,
        body={
            "data": [{"id": str(1000 + n), "message": f"Post {n}"} for n in range(9)],
            "paging": {
                "cursors": {"after": "MTAxNTExOTQ1MjAwNzI5NDE=", "before": "NDMyNzQyODI3OTQw"},
                "next": "https://graph.facebook.com/4/posts?limit=10&after=MTAxNTExOTQ1MjAwNzI5NDE=",
            },
        },
        requested_size=10,
        paginator=JSON_LINK,
        rows_path="data",
        rows=9,
        note="Fewer rows than requested do not mean the end.",
    ),
    FirstPage(
        name="X posts of a user",
        source=f"{X_DOCS}/fundamentals/pagination.mdx",
        paginated=True,
        body={
            "data": [{"id": str(1234 + n), "text": f"Post {n}"} for n in range(10)],
            "meta": {
                "newest_id": "1243",
                "oldest_id": "1234",
                "result_count": 10,
                "next_token": "7140w9gefhslx3",
            },
        },
        paginator=CURSOR,
        rows_path="data",
        rows=10,
    ),
    FirstPage(
        name="Box users, marker pagination",
        source=BOX_SPEC,
        paginated=True,
        body={
            "limit": 100,
            "next_marker": "JV9IRGZmieiBasejOG9yDCRNgd2ymoZIbjsxbJMjIs3kioVii",
            "entries": [{"type": "user", "id": str(n), "name": f"User {n}"} for n in range(100)],
        },
        requested_size=100,
        paginator=CURSOR,
        rows_path="entries",
        rows=100,
    ),
    FirstPage(
        name="Dropbox list_folder (POST)",
        source=DROPBOX_SPEC,
        paginated=True,
        body={
            "entries": [{".tag": "file", "name": f"file-{n}.txt", "id": f"id:{n}"} for n in range(500)],
            "cursor": "ZtkX9_EHj3x7PMkVuFIhwKYXEpwpLwyxp9vMKomUhllil9q7eWiAu",
            "has_more": True,
        },
        paginator=CURSOR,
        rows_path="entries",
        rows=500,
        note="The next page has another path: list_folder/continue.",
    ),
    FirstPage(
        name="Plaid transactions/sync (POST)",
        source="https://github.com/plaid/plaid-openapi/blob/master/2020-09-14.yml",
        paginated=True,
        body={
            "transactions_update_status": "HISTORICAL_UPDATE_COMPLETE",
            "accounts": [],
            "added": [{"transaction_id": f"t{n}", "amount": 12.5} for n in range(100)],
            "modified": [],
            "removed": [],
            "next_cursor": "tVUUL15lYQN5rBnfDIc1I8xudpGdIlw9nsgeXWvhOfkECvUeR663i3Dt1uf",
            "has_more": True,
            "request_id": "Wvhy9PZHQLV8njG",
        },
        paginator=CURSOR,
        rows_path="added",
        rows=100,
    ),
    FirstPage(
        name="Square customers",
        source=SQUARE_SPEC,
        paginated=True,
        body={
            "customers": [{"id": f"CUST{n}", "given_name": "Ada"} for n in range(100)],
            "cursor": "9dpS093Uy12AzeYDrmRkGTyHGQw",
        },
        paginator=CURSOR,
        rows_path="customers",
        rows=100,
    ),
    FirstPage(
        name="Chargebee subscriptions",
        source="https://github.com/chargebee/openapi/blob/main/spec/chargebee_api_v1_spec.json",
        paginated=True,
        body={
            "list": [{"subscription": {"id": f"sub_{n}", "status": "active"}} for n in range(10)],
            "next_offset": '["1612890918000","230000000021"]',
        },
        paginator=CURSOR,
        rows_path="list",
        rows=10,
    ),
    FirstPage(
        name="Zoom participants of a past meeting",
        source="https://github.com/zoom/api/blob/master/openapi.v2.json",
        paginated=True,
        body={
            "page_count": 30,
            "page_size": 30,
            "total_records": 88,
            "next_page_token": "Tva2CuIdTgsv8wAnhyAdU3m06Y2HuLQtlh3",
            "participants": [{"id": f"p{n}", "name": f"Participant {n}"} for n in range(30)],
        },
        paginator=CURSOR,
        rows_path="participants",
        rows=30,
        note="The old description says that page_count is the number of items on the page.",
    ),
    FirstPage(
        name="PagerDuty audit records, cursor",
        source=PAGERDUTY_SPEC,
        paginated=True,
        body={
            "records": [{"id": f"PDRECORD{n}", "action": "create"} for n in range(100)],
            "limit": 100,
            "next_cursor": "dXNlcjaVMzc5V0ZYTlo=",
        },
        paginator=CURSOR,
        rows_path="records",
        rows=100,
    ),
    FirstPage(
        name="Smile.io customers",
        source="https://dev.smile.io/api/pagination/cursor-pagination",
        paginated=True,
        body={
            "customers": rows(50, state="member"),
            "metadata": {"next_cursor": "aWQ6MixkaXJlY3Rpb246bmV4dA==", "previous_cursor": None},
        },
        paginator=CURSOR,
        rows_path="customers",
        rows=50,
    ),
    FirstPage(
        name="Ashby candidates (POST)",
        source="https://developers.ashbyhq.com/docs/pagination",
        paginated=True,
        body={
            "success": True,
            "results": [{"id": f"cand-{n}", "name": f"Candidate {n}"} for n in range(100)],
            "moreDataAvailable": True,
            "nextCursor": "Rl",
        },
        paginator=CURSOR,
        rows_path="results",
        rows=100,
    ),
    FirstPage(
        name="GitHub GraphQL pull requests",
        source="https://docs.github.com/en/graphql/guides/using-pagination-in-the-graphql-api",
        paginated=True,
        body={
            "data": {
                "repository": {
                    "pullRequests": {
                        "nodes": [{"number": n, "title": f"Change {n}"} for n in range(1, 101)],
                        "pageInfo": {
                            "endCursor": "Y3Vyc29yOnYyOpHOUH8B7g==",
                            "startCursor": "Y3Vyc29yOnYyOpHOHcfoOg==",
                            "hasNextPage": True,
                            "hasPreviousPage": False,
                        },
                    }
                }
            }
        },
        requested_size=100,
        paginator=CURSOR,
        rows_path="data.repository.pullRequests.nodes",
        rows=100,
    ),
    FirstPage(
        name="Shopify GraphQL products",
        source="https://shopify.dev/docs/api/usage/pagination-graphql",
        paginated=True,
        body={
            "data": {
                "products": {
                    "edges": [
                        {"cursor": f"eyJsYXN0X2lkIjo{n}", "node": {"id": f"gid://shopify/Product/{n}"}}
                        for n in range(50)
                    ],
                    "pageInfo": {"hasNextPage": True, "endCursor": "eyJsYXN0X2lkIjo0OX0="},
                }
            },
            "extensions": {"cost": {"requestedQueryCost": 20, "actualQueryCost": 18}},
        },
        requested_size=50,
        paginator=CURSOR,
        rows_path="data.products.edges[].node",
        rows=50,
        verified=False,
        note="From memory; the page was not among the stored documents.",
    ),
    # Links in the body
    FirstPage(
        name="Salesforce query",
        source=SALESFORCE_DOCS,
        paginated=True,
        body={
            "totalSize": 3222,
            "done": False,
            "nextRecordsUrl": "/services/data/v66.0/query/01gRO0000016PIAYA2-500",
            "records": [
                {"attributes": {"type": "Contact", "url": f"/sobjects/Contact/{n}"}, "Id": f"003RO{n:013d}"}
                for n in range(500)
            ],
        },
        paginator=JSON_LINK,
        rows_path="records",
        rows=500,
        note="The flag is inverted: `done` is false while there is more. The link is relative.",
    ),
    FirstPage(
        name="Zendesk tickets, offset pagination",
        source=ZENDESK_SDK,
        paginated=True,
        body={
            "tickets": [{"id": n, "subject": f"Ticket {n}"} for n in range(1, 101)],
            "next_page": "https://example.zendesk.com/api/v2/tickets.json?page=2",
            "previous_page": None,
            "count": 1234,
        },
        paginator=JSON_LINK,
        rows_path="tickets",
        rows=100,
    ),
    FirstPage(
        name="Microsoft Graph users",
        source=f"{GRAPH_DOCS}/concepts/paging.md",
        paginated=True,
        body={
            "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users",
            "@odata.nextLink": "https://graph.microsoft.com/v1.0/users?$top=5&$skiptoken=X%274453707",
            "value": [{"displayName": f"User {n}", "mail": f"u{n}@example.com"} for n in range(5)],
        },
        requested_size=5,
        paginator=JSON_LINK,
        rows_path="value",
        rows=5,
    ),
    FirstPage(
        name="Klaviyo profiles",
        source=KLAVIYO_SPEC,
        paginated=True,
        body={
            "data": [
                {"type": "profile", "id": f"01H{n:023d}", "attributes": {"email": f"p{n}@example.com"}}
                for n in range(20)
            ],
            "links": {
                "self": "https://a.klaviyo.com/api/profiles/",
                "next": "https://a.klaviyo.com/api/profiles/?page%5Bcursor%5D=bmV4dDo6aWQ6OjAxSA",
                "prev": None,
            },
        },
        paginator=JSON_LINK,
        rows_path="data",
        rows=20,
    ),
    FirstPage(
        name="DocuSign envelopes",
        source="https://github.com/docusign/docusign-esign-python-client/blob/master/docusign_esign/models/"
        "envelopes_information.py",
        paginated=True,
        body={
            "resultSetSize": "100",
            "totalSetSize": "342",
            "startPosition": "0",
            "endPosition": "99",
            "nextUri": "/accounts/1234/envelopes?start_position=100&count=100",
            "previousUri": "",
            "envelopes": [{"envelopeId": f"env-{n}", "status": "completed"} for n in range(100)],
        },
        requested_size=100,
        paginator=JSON_LINK,
        rows_path="envelopes",
        rows=100,
        note="All counts are strings.",
    ),
    FirstPage(
        name="PayPal billing plans",
        source="https://github.com/paypal/paypal-rest-api-specifications/blob/main/openapi/"
        "billing_subscriptions_v1.json",
        paginated=True,
        body={
            "plans": [{"id": f"P-{n}", "name": f"Plan {n}", "status": "ACTIVE"} for n in range(10)],
            "links": [
                {"href": "https://api-m.paypal.com/v1/billing/plans?page_size=10&page=1", "rel": "self"},
                {"href": "https://api-m.paypal.com/v1/billing/plans?page_size=10&page=2", "rel": "next"},
                {"href": "https://api-m.paypal.com/v1/billing/plans?page_size=10&page=4", "rel": "last"},
            ],
        },
        paginator=JSON_LINK,
        rows_path="plans",
        rows=10,
        note="The description has no example of the relation `next`; the documentation of the client paypal-rest-api "
        "(rubydoc.info, PaginationHelpers) says that it follows `next` links.",
    ),
    FirstPage(
        name="novomind iSHOP items",
        source="https://apps.novomind.com/developer/ishop/rest/pagination.html",
        paginated=True,
        body={
            "links": [
                {"rel": "self", "href": "https://shop.example.com/ishop-api/shop/items/?page=0"},
                {"rel": "next", "href": "https://shop.example.com/ishop-api/shop/items/?page=1"},
            ],
            "content": rows(100),
            "page": {"size": 100, "totalElements": 9771, "totalPages": 98, "number": 0},
        },
        paginator=JSON_LINK,
        rows_path="content",
        rows=100,
    ),
    FirstPage(
        name="Recurly accounts",
        source="https://github.com/recurly/recurly-client-python/blob/v3-v2021-02-25/openapi/api.yaml",
        paginated=True,
        body={
            "object": "list",
            "has_more": True,
            "next": "/accounts?cursor=e9f8d7c6b5a4%3A1582316000&limit=20",
            "data": [{"object": "account", "id": f"acc{n}", "code": f"code-{n}"} for n in range(20)],
        },
        paginator=JSON_LINK,
        rows_path="data",
        rows=20,
    ),
    FirstPage(
        name="Discourse latest topics",
        source="find_string '\"more_topics_url\":', document id 57122910130 (recorded response)",
        paginated=True,
        body={
            "users": [],
            "topic_list": {
                "can_create_topic": True,
                "more_topics_url": "/latest?page=1",
                "per_page": 30,
                "topics": [{"id": n, "title": f"Topic {n}", "posts_count": 3} for n in range(30)],
            },
        },
        paginator=JSON_LINK,
        rows_path="topic_list.topics",
        rows=30,
        note="The official description lacks more_topics_url; Discourse's own tests have it.",
    ),
    FirstPage(
        name="Confluence content search",
        source="https://developer.atlassian.com/cloud/confluence/change-notice-moderize-search-rest-apis/",
        paginated=True,
        body={
            "results": [{"id": str(n), "type": "page", "title": f"Page {n}"} for n in range(25)],
            "limit": 25,
            "size": 25,
            "_links": {
                "base": "https://acme.atlassian.net/wiki",
                "context": "/wiki",
                "next": "/rest/api/search?limit=25&cursor=raNDoMsTRiNg&cql=space=DS",
                "self": "https://acme.atlassian.net/wiki/rest/api/search?cql=space=DS",
            },
        },
        paginator=JSON_LINK,
        rows_path="results",
        rows=25,
    ),
    FirstPage(
        name="Bitbucket repositories",
        source=BITBUCKET_DOCS,
        paginated=True,
        body={
            "size": 21,
            "page": 1,
            "pagelen": 10,
            "next": "https://api.bitbucket.org/2.0/repositories/acme?page=2",
            "values": [{"uuid": f"{{{n}}}", "slug": f"repo-{n}"} for n in range(10)],
        },
        paginator=JSON_LINK,
        rows_path="values",
        rows=10,
    ),
    FirstPage(
        name="Bitbucket pipelines, no next link",
        source="https://github.com/atlassian-api/atlassian-python-api/issues/652",
        paginated=True,
        body={
            "page": 1,
            "pagelen": 10,
            "values": [{"uuid": f"{{{n}}}", "build_number": n} for n in range(1, 11)],
            "size": 21,
        },
        paginator=PAGE_NUMBER,
        rows_path="values",
        rows=10,
        note="The only sign is that `size` is above the number of rows.",
    ),
    FirstPage(
        name="Spotify playlists",
        source=SPOTIFY_SPEC,
        paginated=True,
        body={
            "href": "https://api.spotify.com/v1/me/playlists?offset=0&limit=20",
            "limit": 20,
            "next": "https://api.spotify.com/v1/me/playlists?offset=20&limit=20",
            "offset": 0,
            "previous": None,
            "total": 45,
            "items": [{"id": f"pl{n}", "name": f"Playlist {n}"} for n in range(20)],
        },
        paginator=JSON_LINK,
        rows_path="items",
        rows=20,
    ),
    FirstPage(
        name="SurveyMonkey surveys",
        source=f"{SURVEYMONKEY_DOCS}/_overview.md",
        paginated=True,
        body={
            "data": [{"id": str(n), "title": f"Survey {n}"} for n in range(50)],
            "per_page": 50,
            "page": 1,
            "total": 132,
            "links": {
                "self": "https://api.surveymonkey.com/v3/surveys?page=1&per_page=50",
                "next": "https://api.surveymonkey.com/v3/surveys?page=2&per_page=50",
                "last": "https://api.surveymonkey.com/v3/surveys?page=3&per_page=50",
            },
        },
        paginator=JSON_LINK,
        rows_path="data",
        rows=50,
    ),
    FirstPage(
        name="Twilio accounts",
        source=TWILIO_SPEC,
        paginated=True,
        body={
            "first_page_uri": "/2010-04-01/Accounts.json?PageSize=50&Page=0",
            "end": 49,
            "previous_page_uri": None,
            "accounts": [{"sid": f"AC{n:032x}", "friendly_name": f"Account {n}"} for n in range(50)],
            "uri": "/2010-04-01/Accounts.json?PageSize=50&Page=0",
            "page_size": 50,
            "start": 0,
            "next_page_uri": "/2010-04-01/Accounts.json?PageSize=50&Page=1&PageToken=PAAC1",
            "page": 0,
        },
        paginator=JSON_LINK,
        rows_path="accounts",
        rows=50,
    ),
    FirstPage(
        name="DigitalOcean regions",
        source=f"{DIGITALOCEAN_SPEC}/resources/regions/responses/all_regions.yml",
        paginated=True,
        body={
            "regions": [{"name": "New York 1", "slug": "nyc1", "available": True}],
            "links": {
                "pages": {
                    "last": "https://api.digitalocean.com/v2/regions?page=13&per_page=1",
                    "next": "https://api.digitalocean.com/v2/regions?page=2&per_page=1",
                }
            },
            "meta": {"total": 13},
        },
        requested_size=1,
        paginator=JSON_LINK,
        rows_path="regions",
        rows=1,
    ),
    FirstPage(
        name="Django REST framework, page numbers",
        source="https://github.com/encode/django-rest-framework/blob/main/docs/api-guide/pagination.md",
        paginated=True,
        body={
            "count": 1023,
            "next": "https://api.example.org/accounts/?page=2",
            "previous": None,
            "results": rows(100, active=True),
        },
        paginator=JSON_LINK,
        rows_path="results",
        rows=100,
    ),
    FirstPage(
        name="Help Scout conversations (HAL)",
        source="https://developer.helpscout.com/mailbox-api/overview/pagination/",
        paginated=True,
        body={
            "_embedded": {"conversations": [{"id": n, "subject": f"Conversation {n}"} for n in range(25)]},
            "_links": {
                "self": {"href": "https://api.helpscout.net/v2/conversations?page=1"},
                "next": {"href": "https://api.helpscout.net/v2/conversations?page=2"},
                "first": {"href": "https://api.helpscout.net/v2/conversations?page=1"},
                "last": {"href": "https://api.helpscout.net/v2/conversations?page=11"},
                "page": {"href": "https://api.helpscout.net/v2/conversations{?page}", "templated": True},
            },
            "page": {"size": 25, "totalElements": 261, "totalPages": 11, "number": 1},
        },
        paginator=JSON_LINK,
        rows_path="_embedded.conversations",
        rows=25,
        note="The page shows _links and page; the nesting under _embedded is HAL's and was not shown.",
        verified=False,
    ),
    FirstPage(
        name="LinkedIn, paging with links",
        source="https://learn.microsoft.com/en-us/linkedin/shared/api-guide/concepts/pagination",
        paginated=True,
        body={
            "elements": [{"id": n, "status": "ACTIVE"} for n in range(10)],
            "paging": {
                "count": 10,
                "start": 0,
                "total": 37,
                "links": [{"type": "application/json", "rel": "next", "href": "/rest/adAccounts?count=10&start=10"}],
            },
        },
        paginator=JSON_LINK,
        rows_path="elements",
        rows=10,
        verified=False,
        note="The pagination page shows only count and start; the form of `links` is from memory.",
    ),
    # Totals and positions in the body
    FirstPage(
        name="LinkedIn, paging with count and start only",
        source="https://learn.microsoft.com/en-us/linkedin/shared/api-guide/concepts/pagination",
        paginated=True,
        body={"elements": [{"id": n} for n in range(10)], "paging": {"count": 10, "start": 0}},
        paginator=OFFSET,
        rows_path="elements",
        rows=10,
        note="No total and no link. The list ends with a page that has fewer rows.",
    ),
    FirstPage(
        name="Jira search with startAt",
        source=f"{JIRA_SDK_DOCS}/Version3Models.SearchResults.html",
        paginated=True,
        body={
            "expand": "schema,names",
            "startAt": 0,
            "maxResults": 50,
            "total": 310,
            "issues": [{"id": str(n), "key": f"DEMO-{n}"} for n in range(1, 51)],
        },
        paginator=OFFSET,
        rows_path="issues",
        rows=50,
    ),
    FirstPage(
        name="Jira project search",
        source=f"{JIRA_SDK_DOCS}/Version3Models.PageProject.html",
        paginated=True,
        body={
            "self": "https://acme.atlassian.net/rest/api/3/project/search?startAt=0&maxResults=50",
            "nextPage": "https://acme.atlassian.net/rest/api/3/project/search?startAt=50&maxResults=50",
            "maxResults": 50,
            "startAt": 0,
            "total": 71,
            "isLast": False,
            "values": [{"id": str(n), "key": f"P{n}", "name": f"Project {n}"} for n in range(50)],
        },
        paginator=JSON_LINK,
        rows_path="values",
        rows=50,
        note="The flag is inverted: `isLast` is false while there is more.",
    ),
    FirstPage(
        name="Mailchimp list members",
        source="https://docs.rs/mailchimp-api/0.3.1/mailchimp_api/types/struct.ListMembersDataType.html",
        paginated=True,
        body={
            "members": [{"id": f"{n:032x}", "email_address": f"m{n}@example.com"} for n in range(10)],
            "list_id": "57afe96172",
            "total_items": 250,
            "_links": [{"rel": "self", "href": "https://us1.api.mailchimp.com/3.0/lists/57/members", "method": "GET"}],
        },
        paginator=OFFSET,
        rows_path="members",
        rows=10,
        note="`_links` is a list of schema links without `next`. The default of 10 is in the SDK.",
    ),
    FirstPage(
        name="Xero invoices with page=1",
        source=XERO_SPEC,
        paginated=True,
        body={
            "Id": "900c500b-e83c-4ce2-902a-b8ba04751748",
            "Status": "OK",
            "ProviderName": "Provider Name Example",
            "DateTimeUTC": "/Date(1552326816230)/",
            "pagination": {"page": 1, "pageSize": 100, "pageCount": 3, "itemCount": 240},
            "Invoices": [{"InvoiceID": f"inv-{n}", "Type": "ACCREC"} for n in range(100)],
        },
        paginator=PAGE_NUMBER,
        rows_path="Invoices",
        rows=100,
    ),
    FirstPage(
        name="QuickBooks Online query for customers",
        source="https://developer.intuit.com/docs/00_quickbooks_online/2_build/20_explore_the_quickbooks_online_api/"
        "50_data_queries",
        paginated=True,
        body={
            "QueryResponse": {
                "Customer": [{"Id": str(n), "DisplayName": f"Customer {n}"} for n in range(1, 101)],
                "startPosition": 1,
                "maxResults": 100,
            },
            "time": "2026-11-01T08:00:00.000-07:00",
        },
        paginator=OFFSET,
        rows_path="QueryResponse.Customer",
        rows=100,
        note="maxResults is the number of rows on the page, so only the count of 100 hints at more.",
    ),
    FirstPage(
        name="Auth0 users with include_totals",
        source="https://github.com/auth0/auth0-python/blob/master/src/auth0/management/types/"
        "list_users_offset_paginated_response_content.py",
        paginated=True,
        body={
            "start": 0,
            "limit": 50,
            "length": 50,
            "total": 127,
            "users": [{"user_id": f"auth0|{n}", "email": f"u{n}@example.com"} for n in range(50)],
        },
        paginator=PAGE_NUMBER,
        rows_path="users",
        rows=50,
    ),
    FirstPage(
        name="Auth0 users without include_totals",
        source="https://auth0.com/docs/api/management/v2/users/get-users",
        paginated=True,
        body=[{"user_id": f"auth0|{n}", "email": f"u{n}@example.com"} for n in range(50)],
        paginator=PAGE_NUMBER,
        rows=50,
        verified=False,
        note="From memory: a bare array of 50 rows, no sign except the count.",
    ),
    FirstPage(
        name="Eventbrite events",
        source="https://www.eventbrite.com/developer/v3/api_overview/pagination/",
        paginated=True,
        body={
            "pagination": {
                "object_count": 63,
                "page_number": 1,
                "page_size": 50,
                "page_count": 2,
                "continuation": "dGhpcyBpcyBhIGNvbnRpbnVhdGlvbiB0b2tlbg",
            },
            "events": [{"id": str(n), "name": {"text": f"Event {n}"}} for n in range(50)],
        },
        paginator=CURSOR,
        rows_path="events",
        rows=50,
    ),
    FirstPage(
        name="Eventbrite attendees with has_more_items",
        source="find_string '\"has_more_items\": true', document ids 22180371175 and 62301499971 (client code)",
        paginated=True,
        body={
            "pagination": {
                "object_count": 430,
                "page_number": 1,
                "page_size": 50,
                "page_count": 9,
                "continuation": "eyJwYWdlIjogMn0",
                "has_more_items": True,
            },
            "attendees": [{"id": str(n), "status": "Attending"} for n in range(50)],
        },
        paginator=CURSOR,
        rows_path="attendees",
        rows=50,
        verified=False,
        note="has_more_items was found in client code only, not in Eventbrite's page.",
    ),
    FirstPage(
        name="Typeform forms",
        source=TYPEFORM_SDK,
        paginated=True,
        body={
            "total_items": 23,
            "page_count": 3,
            "items": [{"id": f"form{n}", "title": f"Form {n}"} for n in range(10)],
        },
        paginator=PAGE_NUMBER,
        rows_path="items",
        rows=10,
    ),
    FirstPage(
        name="Typeform responses",
        source=TYPEFORM_SDK,
        paginated=True,
        body={
            "total_items": 612,
            "page_count": 25,
            "items": [{"landing_id": f"l{n}", "token": f"tok{n}", "answers": []} for n in range(25)],
        },
        paginator=CURSOR,
        rows_path="items",
        rows=25,
        note="The cursor is the `token` of the last row, sent as `before`.",
    ),
    FirstPage(
        name="Zoom users, page numbers",
        source="https://github.com/zoom/api/blob/master/openapi.v2.json",
        paginated=True,
        body={
            "page_count": 4,
            "page_number": 1,
            "page_size": 30,
            "total_records": 101,
            "users": [{"id": f"u{n}", "email": f"u{n}@example.com"} for n in range(30)],
        },
        paginator=PAGE_NUMBER,
        rows_path="users",
        rows=30,
    ),
    FirstPage(
        name="PagerDuty incidents, classic pagination",
        source=PAGERDUTY_SPEC,
        paginated=True,
        body={
            "incidents": [{"id": f"P{n}", "type": "incident", "status": "resolved"} for n in range(25)],
            "limit": 25,
            "offset": 0,
            "more": True,
            "total": None,
        },
        paginator=OFFSET,
        rows_path="incidents",
        rows=25,
    ),
    FirstPage(
        name="Zoho Books contacts",
        source="https://www.zohohelp.com/books/api/v3/pagination",
        paginated=True,
        body={
            "code": 0,
            "message": "success",
            "contacts": [{"contact_id": str(n), "contact_name": f"Contact {n}"} for n in range(200)],
            "page_context": {"page": 1, "per_page": 200, "has_more_page": True},
        },
        paginator=PAGE_NUMBER,
        rows_path="contacts",
        rows=200,
    ),
    FirstPage(
        name="BigCommerce products (v3)",
        source=BIGCOMMERCE_DOCS,
        paginated=True,
        body={
            "data": rows(50, type="physical"),
            "meta": {
                "pagination": {
                    "total": 246,
                    "count": 50,
                    "per_page": 50,
                    "current_page": 1,
                    "total_pages": 5,
                    "links": {"next": "?page=2&limit=50", "current": "?page=1&limit=50"},
                }
            },
        },
        paginator=PAGE_NUMBER,
        rows_path="data",
        rows=50,
        note="`links.next` is in bigcommerce/api-specs, reference/catalog.v3.yml.",
    ),
    FirstPage(
        name="Magento 2 orders",
        source="https://github.com/magento/magento2/issues/8099",
        paginated=True,
        body={
            "items": [{"entity_id": n, "increment_id": f"{n:09d}"} for n in range(1, 101)],
            "search_criteria": {"filter_groups": [], "page_size": 100, "current_page": 1},
            "total_count": 412,
        },
        requested_size=100,
        paginator=PAGE_NUMBER,
        rows_path="items",
        rows=100,
        note="Beyond the end, most versions repeat the last page.",
    ),
    FirstPage(
        name="Livestorm events (JSON:API with page counts)",
        source="https://developers.livestorm.co/docs/pagination",
        paginated=True,
        body={
            "data": [{"id": f"ev-{n}", "type": "events", "attributes": {"title": f"Event {n}"}} for n in range(20)],
            "meta": {
                "current_page": 0,
                "previous_page": None,
                "next_page": 1,
                "record_count": 25,
                "page_count": 2,
                "items_per_page": 20,
            },
        },
        paginator=PAGE_NUMBER,
        rows_path="data",
        rows=20,
        note="Pages are numbered from 0.",
    ),
    FirstPage(
        name="Marketo emails (Asset API)",
        source=f"{MARKETO_DOCS}/emails.md",
        paginated=True,
        body={
            "success": True,
            "warnings": [],
            "errors": [],
            "requestId": "17576#14e22eb29cb",
            "result": [row(n, status="approved", url=None) for n in range(1, 21)],
        },
        paginator=OFFSET,
        rows_path="result",
        rows=20,
        note="No sign of more pages except the count, which is the default of maxReturn.",
    ),
    FirstPage(
        name="PostgREST with Prefer: count=exact",
        source=POSTGREST_DOCS,
        paginated=True,
        body=rows(15),
        headers={"Range-Unit": "items", "Content-Range": "0-14/573"},
        status=206,
        requested_size=15,
        paginator=OFFSET,
        rows=15,
    ),
    FirstPage(
        name="Piccolo API with __range_header",
        source="https://github.com/piccolo-orm/piccolo_api/blob/master/CHANGES.rst",
        paginated=True,
        body={"rows": rows(10)},
        headers={"Content-Range": "movie 0-9/100"},
        requested_size=10,
        paginator=PAGE_NUMBER,
        rows_path="rows",
        rows=10,
    ),
    FirstPage(
        name="Heroku apps",
        source=HEROKU_DOCS,
        paginated=True,
        body=rows(200),
        headers={"Content-Range": "id 01234567..89abcdef; max=200", "Next-Range": "id ]89abcdef..; max=200"},
        status=206,
        paginator=CURSOR,
        rows=200,
    ),
]

COMPLETE: list[FirstPage] = [
    FirstPage(
        name="GitHub issues, three rows and no Link header",
        source=GITHUB_DOCS,
        paginated=False,
        body=[row(n, number=n, title=f"Issue {n}", state="open") for n in range(1, 4)],
        paginator=HEADER_LINK,
        rows=3,
    ),
    FirstPage(
        name="GitHub languages of a repository",
        source="https://github.com/PyGithub/PyGithub/blob/main/tests/ReplayData/Repository.testGetLanguages.txt",
        paginated=False,
        body={"Shell": 673, "Python": 127266},
        rows=1,
        note="One object, not a list.",
    ),
    FirstPage(
        name="GitLab tags, all on one page",
        source="https://github.com/gitlabhq/gitlabhq/blob/master/doc/api/rest/_index.md",
        paginated=False,
        body=[{"name": f"v1.{n}", "message": ""} for n in range(8)],
        headers={
            "link": '<https://gitlab.example.com/api/v4/projects/1/repository/tags?page=1&per_page=20>; rel="first", '
            '<https://gitlab.example.com/api/v4/projects/1/repository/tags?page=1&per_page=20>; rel="last"',
            "x-next-page": "",
            "x-page": "1",
            "x-per-page": "20",
            "x-prev-page": "",
            "x-total": "8",
            "x-total-pages": "1",
        },
        paginator=HEADER_LINK,
        rows=8,
        note="x-next-page is present and empty.",
    ),
    FirstPage(
        name="Shopify REST, one page and no Link header",
        source=SHOPIFY_DOCS,
        paginated=False,
        body={"products": rows(7, status="active")},
        paginator=HEADER_LINK,
        rows_path="products",
        rows=7,
    ),
    FirstPage(
        name="WooCommerce orders, one page",
        source=WOOCOMMERCE_DOCS,
        paginated=False,
        body=[row(n, status="completed", total="19.90") for n in range(1, 5)],
        headers={"X-WP-Total": "4", "X-WP-TotalPages": "1"},
        paginator=HEADER_LINK,
        rows=4,
        note="Each row has a field `total`, an amount of money.",
    ),
    FirstPage(
        name="Sentry events, last page with a next link",
        source=SENTRY_DOCS,
        paginated=False,
        body=[{"eventID": f"{n:032x}", "title": "KeyError"} for n in range(12)],
        headers={
            "Link": '<https://sentry.io/api/0/organizations/acme/issues/9/events/?&cursor=0:0:1>; rel="previous"; '
            'results="false"; cursor="0:0:1", '
            '<https://sentry.io/api/0/organizations/acme/issues/9/events/?&cursor=0:100:0>; rel="next"; '
            'results="false"; cursor="0:100:0"'
        },
        paginator=HEADER_LINK,
        rows=12,
        note='`rel="next"` is always present. results="false" means that nothing follows.',
    ),
    FirstPage(
        name="Fintoc links, empty Link header",
        source="https://docs.fintoc.com/api/fintoc-api/pagination",
        paginated=False,
        body=[row(n, status="active") for n in range(1, 6)],
        headers={"Link": ""},
        paginator=HEADER_LINK,
        rows=5,
    ),
    FirstPage(
        name="Amazon SP-API getMarketplaceParticipations",
        source=f"{AMAZON_MODELS}/sellers-api-model/sellers.json",
        paginated=False,
        body={
            "payload": [
                {
                    "marketplace": {"id": f"MARKET{n}", "countryCode": "US", "defaultCurrencyCode": "USD"},
                    "storeName": "Example Store",
                    "participation": {"isParticipating": True, "hasSuspendedListings": False},
                }
                for n in range(3)
            ]
        },
        rows_path="payload",
        rows=3,
    ),
    FirstPage(
        name="Amazon SP-API orders, last page",
        source=f"{AMAZON_MODELS}/orders-api-model/ordersV0.json",
        paginated=False,
        body={
            "payload": {
                "Orders": [{"AmazonOrderId": f"902-{n:07d}"} for n in range(7)],
                "CreatedBefore": "2026-11-01T00:00:00Z",
            }
        },
        paginator=CURSOR,
        rows_path="payload.Orders",
        rows=7,
    ),
    FirstPage(
        name="Intercom admins",
        source=INTERCOM_SPEC,
        paginated=False,
        body={
            "type": "admin.list",
            "admins": [{"type": "admin", "id": str(n), "name": f"Admin {n}", "team_ids": []} for n in range(4)],
        },
        rows_path="admins",
        rows=4,
    ),
    FirstPage(
        name="Intercom companies, one page",
        source=INTERCOM_SPEC,
        paginated=False,
        body={
            "type": "list",
            "data": [{"type": "company", "id": "c1", "tags": {"type": "tag.list", "tags": []}}],
            "pages": {"type": "pages", "next": None, "page": 1, "per_page": 15, "total_pages": 1},
            "total_count": 1,
        },
        paginator=CURSOR,
        rows_path="data",
        rows=1,
    ),
    FirstPage(
        name="Intercom conversations, one page",
        source=INTERCOM_SPEC,
        paginated=False,
        body={
            "type": "conversation.list",
            "pages": {"type": "pages", "page": 1, "per_page": 20, "total_pages": 1},
            "total_count": 1,
            "conversations": [
                {
                    "type": "conversation",
                    "id": "335",
                    "linked_objects": {"type": "list", "data": [], "total_count": 0, "has_more": False},
                }
            ],
        },
        paginator=CURSOR,
        rows_path="conversations",
        rows=1,
        note="`pages.next` is absent, and a row has a key `has_more`.",
    ),
    FirstPage(
        name="Slack team.info",
        source=SLACK_SPEC,
        paginated=False,
        body={"ok": True, "team": {"id": "T12345", "name": "My Team", "domain": "example"}},
        rows_path="team",
        rows=1,
    ),
    FirstPage(
        name="Slack users.list, one page",
        source="https://docs.slack.dev/apis/web-api/pagination",
        paginated=False,
        body={
            "ok": True,
            "members": [{"id": f"W{n:08d}", "name": f"user-{n}"} for n in range(9)],
            "cache_ts": 1767225600,
            "response_metadata": {"next_cursor": ""},
        },
        paginator=CURSOR,
        rows_path="members",
        rows=9,
        note="The cursor is present and empty. Only client libraries document that it is empty rather than absent.",
    ),
    FirstPage(
        name="HubSpot owners, last page",
        source=f"{HUBSPOT_SPECS}/Crm%20Owners/Rollouts/146888/v3/crmOwners.json",
        paginated=False,
        body={"results": [{"id": str(n), "email": f"o{n}@example.com", "archived": False} for n in range(12)]},
        paginator=CURSOR,
        rows_path="results",
        rows=12,
    ),
    FirstPage(
        name="HubSpot contact properties",
        source=f"{HUBSPOT_SPECS}/Properties/Rollouts/145899/v3/properties.json",
        paginated=False,
        body={
            "results": [
                {"name": f"property_{n}", "label": f"Property {n}", "type": "string", "options": []} for n in range(250)
            ]
        },
        rows_path="results",
        rows=250,
        note="Not paginated (schema CollectionResponsePropertyNoPaging), but 250 rows is a usual page size.",
    ),
    FirstPage(
        name="HubSpot deal pipelines",
        source=f"{HUBSPOT_SPECS}/Pipelines/Rollouts/145896/v3/pipelines.json",
        paginated=False,
        body={
            "results": [
                {
                    "id": "default",
                    "label": "Sales Pipeline",
                    "displayOrder": 0,
                    "archived": False,
                    "stages": [{"id": f"s{n}", "label": f"Stage {n}", "displayOrder": n} for n in range(7)],
                }
            ]
        },
        rows_path="results",
        rows=1,
    ),
    FirstPage(
        name="Stripe country specs, has_more false",
        source="https://docs.stripe.com/api/pagination",
        paginated=False,
        body={
            "object": "list",
            "url": "/v1/country_specs",
            "has_more": False,
            "data": [{"id": code, "object": "country_spec"} for code in ("AT", "CH", "DE", "US")],
        },
        paginator=CURSOR,
        rows_path="data",
        rows=4,
    ),
    FirstPage(
        name="Stripe invoices whose rows contain lists with more",
        source="https://github.com/stripe/openapi/blob/master/openapi/fixtures3.json",
        paginated=False,
        body={
            "object": "list",
            "url": "/v1/invoices",
            "has_more": False,
            "data": [
                {
                    "id": f"in_{n}",
                    "object": "invoice",
                    "total": 1000,
                    "lines": {"object": "list", "data": [], "has_more": True, "url": f"/v1/invoices/in_{n}/lines"},
                }
                for n in range(3)
            ],
        },
        paginator=CURSOR,
        rows_path="data",
        rows=3,
        note="has_more inside a row is about another list, and `total` is an amount.",
    ),
    FirstPage(
        name="Bare array of the 50 states of the USA",
        source="made up; a typical reference list",
        paginated=False,
        body=[{"code": f"S{n:02d}", "name": f"State {n}"} for n in range(1, 51)],
        rows=50,
        verified=False,
        note="Not from a document. 50 rows is a usual page size, so a rule on counts raises a false alarm.",
    ),
    FirstPage(
        name="Jira fields",
        source="https://docs.rs/jira-api-v2/latest/jira_api_v2/apis/issue_fields_api/fn.get_fields.html",
        paginated=False,
        body=[{"id": f"customfield_{n}", "name": f"Field {n}", "custom": True} for n in range(143)],
        rows=143,
    ),
    FirstPage(
        name="Jira projects (array, /rest/api/3/project)",
        source="https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-projects/",
        paginated=False,
        body=[{"id": str(n), "key": f"P{n}", "name": f"Project {n}"} for n in range(20)],
        rows=20,
        verified=False,
        note="From memory; the page was not among the stored documents.",
    ),
    FirstPage(
        name="Jira field configuration items, isLast true",
        source="https://share.apidog.com/apidoc/docs-site/345971/api-3933402",
        paginated=False,
        body={
            "maxResults": 50,
            "startAt": 0,
            "total": 2,
            "isLast": True,
            "values": [{"id": "environment", "isHidden": False}, {"id": "description", "isHidden": False}],
        },
        paginator=OFFSET,
        rows_path="values",
        rows=2,
    ),
    FirstPage(
        name="Google Calendar colors",
        source="https://developers.google.cn/workspace/calendar/api/v3/reference/colors.md.txt",
        paginated=False,
        body={
            "kind": "calendar#colors",
            "updated": "2012-02-14T00:00:00.000Z",
            "calendar": {str(n): {"background": "#ac725e", "foreground": "#1d1d1d"} for n in range(1, 25)},
            "event": {str(n): {"background": "#a4bdfc", "foreground": "#1d1d1d"} for n in range(1, 12)},
        },
        rows_path="event.*",
        rows=11,
    ),
    FirstPage(
        name="Google Calendar calendarList, one page",
        source=GOOGLE_CALENDAR_LIST,
        paginated=False,
        body={
            "kind": "calendar#calendarList",
            "etag": '"p33g"',
            "nextSyncToken": "CPDAlvWDx70CEPDAlvWDx70CGAU=",
            "items": [{"kind": "calendar#calendarListEntry", "id": f"cal{n}@example.com"} for n in range(3)],
        },
        paginator=CURSOR,
        rows_path="items",
        rows=3,
        note="nextSyncToken is for a later run; it replaces nextPageToken on the last page.",
    ),
    FirstPage(
        name="Frankfurter exchange rates (v1)",
        source="https://github.com/lineofflight/frankfurter/blob/main/CHANGELOG.md",
        paginated=False,
        body={"base": "EUR", "date": "2026-11-27", "rates": {"CHF": 0.93, "GBP": 0.87, "USD": 1.16}},
        rows_path="rates.*",
        rows=3,
    ),
    FirstPage(
        name="Frankfurter exchange rates (v2)",
        source="https://github.com/lineofflight/frankfurter/blob/main/CHANGELOG.md",
        paginated=False,
        body=[
            {"date": "2026-11-27", "base": "EUR", "quote": quote, "rate": rate}
            for quote, rate in (("CHF", 0.93), ("GBP", 0.87), ("USD", 1.16))
        ],
        rows=3,
    ),
    FirstPage(
        name="Box collections, total_count equal to the rows",
        source=BOX_SPEC,
        paginated=False,
        body={
            "total_count": 1,
            "limit": 100,
            "offset": 0,
            "entries": [{"type": "collection", "id": "926489", "name": "Favorites"}],
        },
        paginator=OFFSET,
        rows_path="entries",
        rows=1,
    ),
    FirstPage(
        name="Spotify playlists, next null",
        source=SPOTIFY_SPEC,
        paginated=False,
        body={
            "href": "https://api.spotify.com/v1/me/playlists?offset=0&limit=20",
            "limit": 20,
            "next": None,
            "offset": 0,
            "previous": None,
            "total": 4,
            "items": [{"id": f"pl{n}", "tracks": {"href": "https://api.spotify.com/t", "total": 93}} for n in range(4)],
        },
        paginator=JSON_LINK,
        rows_path="items",
        rows=4,
        note="Each row has a `tracks.total` above the number of rows.",
    ),
    FirstPage(
        name="Spotify genre seeds",
        source=SPOTIFY_SPEC,
        paginated=False,
        body={"genres": [f"genre-{n}" for n in range(100)]},
        rows_path="genres",
        rows=100,
        note="Rows are strings; 100 of them.",
    ),
    FirstPage(
        name="Xero organisations",
        source=XERO_SPEC,
        paginated=False,
        body={
            "Id": "27b7a645-a3ee-43c8-b2c6-a2fa7b84c8c5",
            "Status": "OK",
            "ProviderName": "Provider Name Example",
            "DateTimeUTC": "/Date(1552404447003)/",
            "Organisations": [{"OrganisationID": "b2c885a9", "Name": "Example Ltd", "BaseCurrency": "NZD"}],
        },
        rows_path="Organisations",
        rows=1,
    ),
    FirstPage(
        name="Xero invoices, one page",
        source=XERO_SPEC,
        paginated=False,
        body={
            "Id": "900c500b-e83c-4ce2-902a-b8ba04751748",
            "Status": "OK",
            "pagination": {"page": 1, "pageSize": 100, "pageCount": 1, "itemCount": 3},
            "Invoices": [{"InvoiceID": f"inv-{n}", "Payments": []} for n in range(3)],
        },
        paginator=PAGE_NUMBER,
        rows_path="Invoices",
        rows=3,
        note="`pagination` is not empty although this is the only page.",
    ),
    FirstPage(
        name="Zendesk groups, next_page null",
        source=ZENDESK_SDK,
        paginated=False,
        body={"groups": rows(2, default=False), "next_page": None, "previous_page": None, "count": 2},
        paginator=JSON_LINK,
        rows_path="groups",
        rows=2,
    ),
    FirstPage(
        name="Dropbox list_folder, has_more false with a cursor",
        source=DROPBOX_SPEC,
        paginated=False,
        body={
            "entries": [{".tag": "folder", "name": "Reports", "id": "id:1"}],
            "cursor": "ZtkX9_EHj3x7PMkVuFIhwKYXEpwpLwyxp9vMKomUhllil9q7eWiAu",
            "has_more": False,
        },
        paginator=CURSOR,
        rows_path="entries",
        rows=1,
        note="The cursor is always there; only has_more decides.",
    ),
    FirstPage(
        name="Plaid transactions/sync, has_more false with a cursor",
        source="https://github.com/plaid/plaid-openapi/blob/master/2020-09-14.yml",
        paginated=False,
        body={
            "accounts": [],
            "added": [{"transaction_id": "t1", "amount": 12.5}],
            "modified": [],
            "removed": [],
            "next_cursor": "tVUUL15lYQN5rBnfDIc1I8xudpGdIlw9nsgeXWvhOfkECvUeR663i3Dt1uf",
            "has_more": False,
        },
        paginator=CURSOR,
        rows_path="added",
        rows=1,
        note="The cursor is kept for the next run.",
    ),
    FirstPage(
        name="Marketo activities, moreResult false with a token",
        source=f"{MARKETO_DOCS}/activities.md",
        paginated=False,
        body={
            "requestId": "24fd#15188a88d7f",
            "result": [{"id": 102988, "leadId": 1, "activityTypeId": 1, "attributes": []}],
            "success": True,
            "nextPageToken": "WQV2VQVPPCKHC6AQYVK7JDSA3J62DUSJ3EXJGDPTKPEBFW3SAVUA====",
            "moreResult": False,
        },
        paginator=CURSOR,
        rows_path="result",
        rows=1,
        note="This endpoint always returns nextPageToken; only moreResult decides.",
    ),
    FirstPage(
        name="Marketo leads by filter, one lead",
        source=f"{MARKETO_DOCS}/rest-api.md",
        paginated=False,
        body={
            "requestId": "c493#1511ca2b184",
            "result": [{"id": 1, "email": "ada@example.com"}],
            "success": True,
        },
        paginator=CURSOR,
        rows_path="result",
        rows=1,
    ),
    FirstPage(
        name="PagerDuty users, more false",
        source=PAGERDUTY_SPEC,
        paginated=False,
        body={
            "users": [{"id": f"P{n}", "type": "user", "teams": []} for n in range(3)],
            "limit": 25,
            "offset": 0,
            "more": False,
            "total": None,
        },
        paginator=OFFSET,
        rows_path="users",
        rows=3,
    ),
    FirstPage(
        name="PagerDuty abilities",
        source=PAGERDUTY_SPEC,
        paginated=False,
        body={"abilities": ["teams", "read_only_users", "service_support_hours", "urgencies"]},
        rows_path="abilities",
        rows=4,
    ),
    FirstPage(
        name="Twilio accounts, next_page_uri null",
        source=TWILIO_SPEC,
        paginated=False,
        body={
            "first_page_uri": "/2010-04-01/Accounts.json?PageSize=50&Page=0",
            "end": 0,
            "previous_page_uri": None,
            "accounts": [{"sid": "AC00000000000000000000000000000000", "friendly_name": "Main"}],
            "uri": "/2010-04-01/Accounts.json?PageSize=50&Page=0",
            "page_size": 50,
            "start": 0,
            "next_page_uri": None,
            "page": 0,
        },
        paginator=JSON_LINK,
        rows_path="accounts",
        rows=1,
        note="first_page_uri and uri are links, but not to a next page.",
    ),
    FirstPage(
        name="DigitalOcean droplets, empty links",
        source=f"{DIGITALOCEAN_SPEC}/resources/droplets/responses/all_droplets.yml",
        paginated=False,
        body={
            "droplets": [row(n, memory=1024, next_backup_window=None) for n in range(1, 4)],
            "links": {},
            "meta": {"total": 3},
        },
        paginator=JSON_LINK,
        rows_path="droplets",
        rows=3,
        note="Each row has a key that begins with `next`.",
    ),
    FirstPage(
        name="SurveyMonkey contact fields",
        source=f"{SURVEYMONKEY_DOCS}/_contacts.md",
        paginated=False,
        body={
            "page": 1,
            "per_page": 1,
            "total": 1,
            "data": [{"id": "1", "label": "Custom 1", "href": "https://api.surveymonkey.com/v3/contact_fields/1"}],
            "links": {"self": "https://api.surveymonkey.com/v3/contact_fields?page=1&per_page=1"},
        },
        paginator=JSON_LINK,
        rows_path="data",
        rows=1,
        note="The page is full (per_page 1), and total is 1.",
    ),
    FirstPage(
        name="BigCommerce option values, one page",
        source=BIGCOMMERCE_DOCS,
        paginated=False,
        body={
            "data": rows(2, type="swatch"),
            "meta": {
                "pagination": {
                    "total": 2,
                    "count": 2,
                    "per_page": 50,
                    "current_page": 1,
                    "total_pages": 1,
                    "links": {"current": "?page=1&limit=50"},
                }
            },
        },
        paginator=PAGE_NUMBER,
        rows_path="data",
        rows=2,
    ),
    FirstPage(
        name="BigCommerce custom fields, next link to the same page",
        source="https://github.com/bigcommerce/api-specs/blob/main/reference/catalog.v3.yml",
        paginated=False,
        body={
            "data": [{"id": 1, "name": "Release year", "value": "1987"}],
            "meta": {
                "pagination": {
                    "total": 1,
                    "count": 1,
                    "per_page": 50,
                    "current_page": 1,
                    "total_pages": 1,
                    "links": {
                        "previous": "?page=1&limit=50",
                        "current": "?page=1&limit=50",
                        "next": "?page=1&limit=50",
                    },
                }
            },
        },
        paginator=PAGE_NUMBER,
        rows_path="data",
        rows=1,
        note="The documented example has a `next` link although total_pages is 1. The link is that of the same page.",
    ),
    FirstPage(
        name="Square locations",
        source=SQUARE_SPEC,
        paginated=False,
        body={"locations": [{"id": f"L{n}", "name": f"Shop {n}", "country": "US"} for n in range(2)]},
        rows_path="locations",
        rows=2,
    ),
    FirstPage(
        name="Klaviyo accounts",
        source=KLAVIYO_SPEC,
        paginated=False,
        body={
            "data": [{"type": "account", "id": "AbC123", "attributes": {"timezone": "US/Eastern"}}],
            "links": {"self": "https://a.klaviyo.com/api/accounts/", "next": None, "prev": None},
        },
        rows_path="data",
        rows=1,
        note="The description has `next` and `prev` as optional strings; null instead of absent is from memory.",
    ),
    FirstPage(
        name="Asana workspaces, next_page null",
        source="https://github.com/Asana/openapi/blob/master/defs/asana_oas.yaml",
        paginated=False,
        body={"data": [{"gid": "1", "name": "Acme", "resource_type": "workspace"}], "next_page": None},
        requested_size=20,
        paginator=CURSOR,
        rows_path="data",
        rows=1,
    ),
    FirstPage(
        name="Notion users, has_more false",
        source=NOTION_SDK,
        paginated=False,
        body={
            "object": "list",
            "type": "user",
            "user": {},
            "results": [{"object": "user", "id": f"u-{n}", "type": "person"} for n in range(3)],
            "next_cursor": None,
            "has_more": False,
        },
        paginator=CURSOR,
        rows_path="results",
        rows=3,
    ),
    FirstPage(
        name="Microsoft Graph directoryRoles",
        source=f"{GRAPH_DOCS}/api-reference/v1.0/api/directoryrole-list.md",
        paginated=False,
        body={
            "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#directoryRoles",
            "value": [{"id": f"role-{n}", "displayName": f"Role {n}", "deletedDateTime": None} for n in range(3)],
        },
        rows_path="value",
        rows=3,
    ),
    FirstPage(
        name="BambooHR employee directory",
        source="https://github.com/BambooHR/bhr-api-php/blob/main/docs/Model/JsonDirectoryEmployee.md",
        paginated=False,
        body={
            "fields": [{"id": "displayName", "type": "text", "name": "Display Name"}],
            "employees": [{"id": str(n), "displayName": f"Employee {n}"} for n in range(86)],
        },
        rows_path="employees",
        rows=86,
    ),
    FirstPage(
        name="Salesforce query, done true",
        source=SALESFORCE_DOCS,
        paginated=False,
        body={
            "totalSize": 14,
            "done": True,
            "records": [{"attributes": {"type": "Account"}, "Name": f"Test {n}"} for n in range(14)],
        },
        paginator=JSON_LINK,
        rows_path="records",
        rows=14,
    ),
    FirstPage(
        name="Auth0 users with include_totals, one page",
        source="https://github.com/auth0/auth0-python/blob/master/src/auth0/management/types/"
        "list_users_offset_paginated_response_content.py",
        paginated=False,
        body={
            "start": 0,
            "limit": 50,
            "length": 3,
            "total": 3,
            "users": [{"user_id": f"auth0|{n}", "email": f"u{n}@example.com"} for n in range(3)],
        },
        paginator=PAGE_NUMBER,
        rows_path="users",
        rows=3,
    ),
    FirstPage(
        name="Facebook Graph accounts, cursors without next",
        source=FACEBOOK_DOCS,
        paginated=False,
        body={
            "data": [{"id": "1001", "name": "Page"}],
            "paging": {"cursors": {"before": "NDMyNzQyODI3OTQw", "after": "MTAxNTExOTQ1MjAwNzI5NDE="}},
        },
        paginator=JSON_LINK,
        rows_path="data",
        rows=1,
        note="`paging` is not empty although this is the only page; only `paging.next` decides.",
    ),
    FirstPage(
        name="Airtable records, no offset",
        source=AIRTABLE_SDK,
        paginated=False,
        body={"records": [{"id": f"rec{n:014d}", "fields": {"Name": f"Record {n}"}} for n in range(6)]},
        paginator=CURSOR,
        rows_path="records",
        rows=6,
    ),
    FirstPage(
        name="X posts, no next_token",
        source=f"{X_DOCS}/fundamentals/pagination.mdx",
        paginated=False,
        body={
            "data": [{"id": str(1234 + n), "text": f"Post {n}"} for n in range(4)],
            "meta": {"newest_id": "1237", "oldest_id": "1234", "result_count": 4},
        },
        paginator=CURSOR,
        rows_path="data",
        rows=4,
    ),
    FirstPage(
        name="Bitbucket repositories, one page",
        source=BITBUCKET_DOCS,
        paginated=False,
        body={"size": 2, "page": 1, "pagelen": 10, "values": [{"slug": "api"}, {"slug": "web"}]},
        paginator=JSON_LINK,
        rows_path="values",
        rows=2,
    ),
    FirstPage(
        name="Typeform webhooks",
        source=TYPEFORM_SDK,
        paginated=False,
        body={"items": [{"id": "w1", "tag": "orders", "enabled": True}]},
        rows_path="items",
        rows=1,
    ),
    FirstPage(
        name="DocuSign brands",
        source="https://github.com/docusign/docusign-esign-python-client/blob/master/docusign_esign/models/"
        "brands_response.py",
        paginated=False,
        body={
            "brands": [{"brandId": "b1", "brandName": "Acme"}],
            "recipientBrandIdDefault": "b1",
            "senderBrandIdDefault": "b1",
        },
        rows_path="brands",
        rows=1,
    ),
    FirstPage(
        name="Pipedrive currencies",
        source=f"{PIPEDRIVE_SDK}/v1/models/get-currencies-response.ts",
        paginated=False,
        body={
            "success": True,
            "data": [{"id": n, "code": f"C{n:02d}", "decimal_points": 2, "active_flag": True} for n in range(1, 160)],
        },
        rows_path="data",
        rows=159,
    ),
    FirstPage(
        name="GitHub GraphQL pull requests, hasNextPage false",
        source="https://docs.github.com/en/graphql/guides/using-pagination-in-the-graphql-api",
        paginated=False,
        body={
            "data": {
                "repository": {
                    "pullRequests": {
                        "nodes": [{"number": 1, "title": "Change 1"}],
                        "pageInfo": {
                            "endCursor": "Y3Vyc29yOnYyOpHOUH8B7g==",
                            "hasNextPage": False,
                            "hasPreviousPage": False,
                        },
                    }
                }
            }
        },
        requested_size=100,
        paginator=CURSOR,
        rows_path="data.repository.pullRequests.nodes",
        rows=1,
        note="endCursor is not empty although this is the only page.",
    ),
    FirstPage(
        name="PostgREST with Prefer: count=exact, all rows",
        source=POSTGREST_DOCS,
        paginated=False,
        body=rows(14),
        headers={"Range-Unit": "items", "Content-Range": "0-13/14"},
        requested_size=15,
        paginator=OFFSET,
        rows=14,
    ),
    FirstPage(
        name="PostgREST without a count, all rows",
        source=POSTGREST_DOCS,
        paginated=False,
        body=rows(14),
        headers={"Range-Unit": "items", "Content-Range": "0-13/*"},
        requested_size=15,
        paginator=OFFSET,
        rows=14,
    ),
    FirstPage(
        name="Heroku apps, one page",
        source=HEROKU_DOCS,
        paginated=False,
        body=rows(3),
        headers={"Content-Range": "id 01234567..89abcdef; max=200"},
        paginator=CURSOR,
        rows=3,
    ),
]

FIRST_PAGES: list[FirstPage] = [*PAGINATED, *COMPLETE]
