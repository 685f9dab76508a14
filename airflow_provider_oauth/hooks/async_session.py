"""The session of ``OAuthAsyncHook``. It retries requests and raises the same errors as ``OAuthHook``."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from functools import partial
from io import IOBase
from typing import TYPE_CHECKING, Any

from airflow.providers.http.hooks.http import AsyncHttpSession

from airflow_provider_oauth.api.aiohttp_auth import translated_options
from airflow_provider_oauth.api.errors import MAX_ERROR_BODY, TRANSPORT_ERRORS, status_error, transport_error
from airflow_provider_oauth.api.request import endpoint_url, request_data

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp import ClientResponse, ClientSession
    from airflow.providers.http.hooks.http import SessionConfig

    from airflow_provider_oauth.api.policy import ApiAccess
    from airflow_provider_oauth.exceptions import ApiError
    from airflow_provider_oauth.hooks.oauth import OAuthAsyncHook

#: Methods whose ``data`` is not the body, as in ``HttpHook``: GET sends it as the query, and HEAD ignores it.
METHODS_WITHOUT_BODY = ("GET", "HEAD")


class OAuthAsyncSession(AsyncHttpSession):
    """An ``AsyncHttpSession`` that raises the same errors as ``OAuthHook``.

    :param hook: the hook, which defines the number of attempts and the delay between them
    :param session: the aiohttp session that sends the requests
    :param access: provides the token, headers and parameters that the connection adds to requests to its API
    :param config: base URL and options, from ``OAuthAsyncHook.config``
    :param method: the HTTP method; None for the method of the hook
    """

    def __init__(
        self,
        hook: OAuthAsyncHook,
        session: ClientSession,
        access: ApiAccess,
        config: SessionConfig,
        method: str | None = None,
    ) -> None:
        method = method or hook.method
        super().__init__(hook=hook, request=partial(session.request, method), config=config, method=method)
        self._access = access
        self._advice = hook.advice

    async def run(
        self,
        endpoint: str | None = None,
        data: Any = None,
        json: Any = None,
        headers: dict[str, Any] | None = None,
        extra_options: dict[str, Any] | None = None,
        *,
        read: bool = False,
    ) -> ClientResponse:
        """Send a request.

        :param endpoint: a path relative to the API's base URL, or an absolute URL with the API's origin
        :param data: query parameters of a GET request, body of other requests
        :param json: the body, to be sent as JSON
        :param headers: headers of this request
        :param extra_options: options of ``HttpHook``, which replace those of the connection, and any options of
            aiohttp's request method
        :param read: whether to read the response before it is returned
        :return: the response
        :raises ConfigurationError: if both ``data`` and ``json`` are given, or if the request is invalid
        :raises ApiError: if the API responds with an error status or does not respond, or if ``endpoint`` is a URL that
            does not have the API's origin
        :raises OAuthError: if there is no valid token and none can be obtained
        """
        arguments = self._arguments(data, json, headers)
        url = endpoint_url(self._conn_id, self.base_url, endpoint)
        arguments |= self._options(extra_options or {})
        check_response = arguments.pop("check_response", True)
        with self._errors_converted(url):
            response = await self._send(url, arguments, self.retry_limit if check_response else 1)
            if check_response and response.status >= 400:
                raise await self._status_error(response)
            if read:
                await response.read()
            return response

    @property
    def _conn_id(self) -> str:
        return self._access.config.conn_id

    def _arguments(self, data: Any, json: Any, headers: dict[str, Any] | None) -> dict[str, Any]:
        """Return the query, body and headers of a request as arguments for aiohttp."""
        data = _encoded_like_requests(request_data(self._conn_id, self.method, data, json))
        return {
            "params": data if self.method == "GET" else None,
            "data": data if self.method not in METHODS_WITHOUT_BODY else None,
            "json": json,
            "headers": {**(self.headers or {}), **(headers or {})},
        }

    def _options(self, extra_options: dict[str, Any]) -> dict[str, Any]:
        """Return the options of the connection, updated with the options of one request."""
        own = translated_options(extra_options, self._access.config, self.base_url)
        return {**(self.extra_options or {}), **own}

    async def _send(self, url: str, arguments: dict[str, Any], attempts: int) -> ClientResponse:
        """Send the request. Repeat it after a status of 500 or above, as ``HttpAsyncHook`` does."""
        for attempt in range(1, attempts):
            response: ClientResponse = await self._request(url, **arguments)
            if response.status < 500:
                return response
            response.release()
            self.log.warning(
                "Connection %r: the API responded with status %d. Repeating the request in %s s (attempt %d of %d).",
                self._conn_id,
                response.status,
                self.retry_delay,
                attempt + 1,
                attempts,
            )
            await asyncio.sleep(self.retry_delay)
        return await self._request(url, **arguments)

    async def _status_error(self, response: ClientResponse) -> ApiError:
        body = b""
        with suppress(*TRANSPORT_ERRORS):  # if reading fails, the error quotes what was read until then
            async for chunk in response.content.iter_chunked(8192):
                body += chunk
                if len(body) > MAX_ERROR_BODY:
                    break
        response.close()
        return status_error(
            self._access.config,
            self._advice,
            method=response.method,
            url=str(response.url),
            status=response.status,
            headers=response.headers,
            sent=response.request_info.headers,
            body=body,
        )

    @contextmanager
    def _errors_converted(self, url: str) -> Iterator[None]:
        """Raise this package's errors instead of those of aiohttp, which can contain secrets."""
        try:
            yield
        except TRANSPORT_ERRORS as error:
            raise transport_error(self._access.config, error, method=self.method, url=url) from None


def _encoded_like_requests(data: Any) -> Any:
    """Return a dict as the pairs that ``requests`` would send: no pair for None, one pair per item of a list."""
    # A dict that contains a file stays a dict, because aiohttp encodes uploads itself.
    if not isinstance(data, dict) or any(isinstance(value, IOBase) for value in data.values()):
        return data
    return [
        (name, value if isinstance(value, (str, bytes)) else str(value))
        for name, values in data.items()
        for value in (values if isinstance(values, (list, tuple)) else [values])
        if value is not None
    ]
