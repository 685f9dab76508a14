"""Prepares and sends the requests for the pages of a list."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import requests

from airflow_provider_oauth.extract.paginator_options import PaginatorOptions
from airflow_provider_oauth.extract.spool import HEADERS, spooler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_oauth.api.requests_auth import OAuthSession
    from airflow_provider_oauth.extract.page_request import PageRequest
    from airflow_provider_oauth.extract.request import ListRequest

#: Bytes to read at a time. The library requests reads 10 kB at a time, which is slower for pages of usual size.
CHUNK_SIZE = 2**20


class PageRequests:
    """Prepares the requests for the pages of a list. All of them use one session, so that cookies persist.

    :param session: the session
    :param request: the list
    :param url_of: returns the URL of an endpoint
    :param options: the options of the HTTP client, such as ``timeout`` (seconds)
    :param conn_id: the connection ID, for errors
    """

    def __init__(
        self,
        session: OAuthSession,
        request: ListRequest,
        url_of: Callable[[str], str],
        options: Mapping[str, Any],
        conn_id: str,
    ) -> None:
        self._session = session
        self._request = request
        paginator = request.paginator
        self._sent_query = (paginator if isinstance(paginator, PaginatorOptions) else PaginatorOptions()).sent_query
        self._url_of = url_of
        self._options = options
        self._is_spooled = request.response_format != "json"
        self._read = spooler(conn_id) if self._is_spooled else read_body
        self._previous: tuple[PageRequest, requests.PreparedRequest] | None = None

    def prepare(self, page: PageRequest, *, is_ahead: bool) -> Callable[[], requests.Response]:
        """Return a function that sends the request for a page.

        :param page: the request
        :param is_ahead: whether the request is sent ahead, in another thread. The function then raises
            ``RenewalNeeded`` if the API refuses the token
        :raises ConfigurationError: if the request cannot be sent
        :raises OAuthError: if there is no valid token and none can be obtained
        """
        prepared = self._prepared(page, self._url_of(page.url or self._request.endpoint))
        self._previous = (page, prepared)
        # Without stream, send reads the body, so that the request is repeated if the connection breaks.
        settings = self._session.merge_environment_settings(prepared.url, {}, self._is_spooled, None, None)
        send = self._session.send_ahead if is_ahead else self._session.send
        return partial(send, prepared, **self._options, **settings)

    def _prepared(self, page: PageRequest, url: str) -> requests.PreparedRequest:
        if self._previous is not None and not self._session.cookies:
            previous, prepared = self._previous
            if (page.headers, page.json, page.data) == (previous.headers, previous.json, previous.data):
                return self._session.prepare_next(prepared, url, self._sent_query(page.query))
        return self._session.prepare_request(
            requests.Request(
                self._request.method,
                url,
                params=dict(self._sent_query(page.query)),
                data=page.data,
                json=page.json,
                headers={**(HEADERS if self._is_spooled else {}), **page.headers},
                hooks={"response": self._read},
            )
        )


def read_body(response: requests.Response, **_: Any) -> None:
    """Read the body of a response in large pieces. It is a response hook of the library requests."""
    if vars(response)["_content"] is False:
        vars(response)["_content"] = b"".join(response.iter_content(CHUNK_SIZE))
