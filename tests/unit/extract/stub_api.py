"""An API without HTTP for the tests of the page reader."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import requests

from airflow_provider_oauth.extract.engine import PageReader
from airflow_provider_oauth.extract.request import ListRequest

if TYPE_CHECKING:
    from airflow_provider_oauth.extract.page_request import PageRequest
    from airflow_provider_oauth.extract.paginators import Paginator

URL = "https://api.example.com/v1/items"


def response_of(
    content: object, headers: dict[str, str] | None = None, status: int = 200, url: str = URL
) -> requests.Response:
    response = requests.Response()
    response.status_code, response.url = status, url
    response._content = content if isinstance(content, bytes) else json.dumps(content).encode()
    response.headers.update(headers or {})
    return response


class Api:
    """Returns the given responses one after the other, raises the given errors, and records the requests."""

    def __init__(self, *responses: object) -> None:
        self.responses = list(responses)
        self.requests: list[PageRequest] = []

    def __call__(self, request: PageRequest) -> requests.Response:
        self.requests.append(request)
        given = self.responses.pop(0)
        if isinstance(given, Exception):
            raise given
        return given if isinstance(given, requests.Response) else response_of(given)


def reader(api: Api, paginator: Paginator | None, **request: Any) -> PageReader:
    return PageReader(api, ListRequest(endpoint="items", paginator=paginator, **request), "my_api")


def read(api: Api, paginator: Paginator | None, **request: Any) -> list[Any]:
    return [row for page in reader(api, paginator, **request) for row in page.rows]
