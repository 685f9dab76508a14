"""Requests to the API over an aiohttp session: retries, and the same errors as in the synchronous hook."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from functools import partial
from io import IOBase
from typing import TYPE_CHECKING, Any

from airflow.providers.http.hooks.http import AsyncHttpSession

from airflow_provider_oauth.api.aiohttp_auth import translated_options
from airflow_provider_oauth.api.errors import MAX_ERROR_BODY, TRANSPORT_ERRORS, status_error, transport_error
from airflow_provider_oauth.api.request import request_data, whole_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp import ClientResponse, ClientSession
    from airflow.providers.http.hooks.http import SessionConfig

    from airflow_provider_oauth.api.policy import ApiAccess
    from airflow_provider_oauth.exceptions import ApiError
    from airflow_provider_oauth.hooks.oauth import OAuthAsyncHook

#: Methods whose ``data`` is not the body, as in ``HttpHook``: it is the query of a GET, and a HEAD has neither.
METHODS_WITHOUT_BODY = ("GET", "HEAD")


class OAuthAsyncSession(AsyncHttpSession):
    """An ``AsyncHttpSession`` whose errors are those of ``OAuthHook``.

    :param hook: its retries are used
    :param session: where requests are sent
    :param access: what the connection adds to requests to its API
    :param config: the hook's
    :param method: the HTTP method, if not the hook's
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
        """Perform a request; parameters and errors as for ``OAuthAsyncHook.run``.

        :param read: whether to read the response
        """
        conn_id = self._access.config.conn_id
        data = _as_requests_sends(request_data(conn_id, self.method, data, json))
        url = whole_url(conn_id, self.base_url, endpoint) or _joined(self.base_url, endpoint)
        options = {
            **(self.extra_options or {}),
            **translated_options(extra_options or {}, self._access.config, self.base_url),
        }
        check_response = options.pop("check_response", True)
        request = {
            "params": data if self.method == "GET" else None,
            "data": data if self.method not in METHODS_WITHOUT_BODY else None,
            "json": json,
            "headers": {**(self.headers or {}), **(headers or {})},
            **options,
        }
        with self._converted(url):
            response = await self._send(url, request, self.retry_limit if check_response else 1)
            if check_response and response.status >= 400:
                raise await self._status_error(response)
            if read:
                await response.read()
            return response

    async def _send(self, url: str, request: dict[str, Any], attempts: int) -> ClientResponse:
        """Send the request, again if the API answers 500 or above, as ``HttpAsyncHook`` does."""
        for attempt in range(1, attempts):
            response: ClientResponse = await self._request(url, **request)
            if response.status < 500:
                return response
            response.release()
            self.log.warning(
                "The API answered %d; sending the request again in %s s (attempt %d of %d).",
                response.status,
                self.retry_delay,
                attempt + 1,
                attempts,
            )
            await asyncio.sleep(self.retry_delay)
        return await self._request(url, **request)

    async def _status_error(self, response: ClientResponse) -> ApiError:
        body = b""
        with suppress(*TRANSPORT_ERRORS):  # then there is nothing to quote
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
    def _converted(self, url: str) -> Iterator[None]:
        """Raise this package's errors instead of aiohttp's, which can contain a secret."""
        try:
            yield
        except TRANSPORT_ERRORS as error:
            raise transport_error(self._access.config, error, method=self.method, url=url) from None


def _as_requests_sends(data: Any) -> Any:
    """Return ``data`` with the values that requests sends for a dict: none for None, a repeated name for a list."""
    if not isinstance(data, dict) or any(isinstance(value, IOBase) for value in data.values()):  # a file is uploaded
        return data
    return [
        (name, value if isinstance(value, (str, bytes)) else str(value))
        for name, values in data.items()
        for value in (values if isinstance(values, (list, tuple)) else [values])
        if value is not None
    ]


def _joined(base_url: str, endpoint: str | None) -> str:
    if not endpoint:
        return base_url
    return base_url + endpoint if endpoint.startswith("/") else f"{base_url}/{endpoint}"
