"""A tap of the Singer SDK, which writes Singer messages to stdout."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import BearerTokenAuthenticator
from singer_sdk.pagination import BasePageNumberPaginator

from benchmarks.peers.worker import Job, serve

if TYPE_CHECKING:
    from typing import Any

    import requests


class Pages(BasePageNumberPaginator):
    """Counts pages up to the last one."""

    def has_more(self, response: requests.Response) -> bool:
        body = response.json()
        return body["page"] < body["pages"]


class Items(RESTStream):
    """The list."""

    name = "items"
    path = "/items"
    records_jsonpath = "$.data[*]"
    primary_keys = ("id",)
    schema = th.PropertiesList(
        th.Property("id", th.IntegerType),
        th.Property("name", th.StringType),
        th.Property("email", th.StringType),
        th.Property("created_at", th.DateTimeType),
        th.Property("amount", th.NumberType),
        th.Property("quantity", th.IntegerType),
        th.Property("active", th.BooleanType),
        th.Property("city", th.StringType),
        th.Property("comment", th.StringType),
        th.Property("url", th.StringType),
    ).to_dict()

    @property
    def url_base(self) -> str:
        return self.config["url"]

    @property
    def authenticator(self) -> BearerTokenAuthenticator:
        return BearerTokenAuthenticator(token="fake-access-token")

    def get_new_paginator(self) -> Pages:
        return Pages(start_value=1)

    def get_url_params(self, context: Any, next_page_token: int | None) -> dict[str, Any]:
        return {"page": next_page_token}


class TapItems(Tap):
    """The tap."""

    name = "tap-items"
    config_jsonschema = th.PropertiesList(th.Property("url", th.StringType)).to_dict()

    def discover_streams(self) -> list[Items]:
        return [Items(self)]


def pull(job: Job) -> None:
    with open(job.path, "w") as file, contextlib.redirect_stdout(file):
        TapItems(config={"url": job.url}).sync_all()


if __name__ == "__main__":
    serve(pull)
