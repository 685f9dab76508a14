"""The session of ``OAuthAsyncHook``. It retries requests and raises the same errors as ``OAuthHook``."""

from __future__ import annotations

from asyncio import sleep
from contextlib import contextmanager, suppress
from functools import partial
from io import IOBase
from typing import TYPE_CHECKING, Any

from airflow.providers.http.hooks.http import AsyncHttpSession

from airflow_provider_oauth.api.aiohttp_auth import (
    current_endpoint,
    replacement_token,
    translated_options,
    valid_token,
)
from airflow_provider_oauth.api.errors import MAX_ERROR_BODY, TRANSPORT_ERRORS, status_error, transport_error
from airflow_provider_oauth.api.policy import ApiRefusal
from airflow_provider_oauth.api.recovery import Recovery, Reply
from airflow_provider_oauth.api.request import endpoint_url, request_data
from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.protocol.metrics import API_WAITS, refusal_reported

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

    :param hook: the hook, which defines when requests are repeated
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
        self._policy = hook.recovery_policy(in_list=False)
        self._limiter, self._counts = hook.rate_limiter, hook.counts

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
        url = endpoint_url(self._conn_id, self.base_url, await current_endpoint(self._access, endpoint))
        arguments |= await self._options(extra_options or {})
        check_response = arguments.pop("check_response", True)
        with self._errors_converted(url):
            max_error_body = MAX_ERROR_BODY if check_response else None
            attempts = self.retry_limit if check_response else 1
            response, problem = await self._send(url, arguments, attempts, max_error_body, read=read)
            if check_response and self._policy.is_error(await self._reply(response, max_error_body)):
                raise await self._status_error(response, problem)
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

    async def _options(self, extra_options: dict[str, Any]) -> dict[str, Any]:
        """Return the options of the connection, updated with the options of one request."""
        own = await translated_options(extra_options, self._access.config, self.base_url)
        return {**(self.extra_options or {}), **own}

    async def _send(
        self, url: str, arguments: dict[str, Any], attempts: int, max_error_body: int | None, *, read: bool
    ) -> tuple[ClientResponse, str]:
        """Send the request within the budget, and repeat it as the rules say.

        :param max_error_body: as in ``_reply``
        :param read: whether to read the response, so that the request is repeated if the connection breaks meanwhile
        :return: the last response, and why the request was not repeated; "" if no rule required it
        """
        recovery = self._recovery(arguments)
        while True:
            await self._spend()
            recovery.begin_attempt()
            response = None
            try:
                response = await self._request(url, **arguments)
                reply = await self._reply(response, max_error_body)
                if read and (response.status < 400 or max_error_body is None):
                    await response.read()
                repeat = recovery.after_response(reply)
            except TRANSPORT_ERRORS as error:
                repeat = recovery.after_error(error)
                if repeat is None:
                    raise transport_error(
                        self._access.config, error, method=self.method, url=url, problem=recovery.problem
                    ) from None
            if repeat is not None and repeat.renew and response is not None:
                repeat = recovery.after_renewal(is_renewed=await self._renew(response))
            if repeat is None and response is not None:
                attempts -= 1
                if attempts < 1 or recovery.problem or not self._is_retried(reply):
                    return response, recovery.problem
                self._log_retry(response.status, attempts)
                self._counts.report(API_WAITS, "retry")
            if response is not None:
                response.release()
            if repeat is not None and repeat.hold:
                self._limiter.hold(repeat.seconds)
            else:
                await sleep(repeat.seconds if repeat else self.retry_delay)

    async def _spend(self) -> None:
        """Wait until the budget allows a request, and no limit of the API requires a wait."""
        waited_for_budget = False
        while (wait := self._limiter.try_spend(self.method)) > 0:  # noqa: ASYNC110 - waits for a time, not for an event
            waited_for_budget = waited_for_budget or not self._limiter.is_held
            await sleep(wait)
        if waited_for_budget:
            self._counts.report(API_WAITS, "budget")

    def _recovery(self, arguments: dict[str, Any]) -> Recovery:
        data = arguments["data"]
        can_resend = isinstance(data, (str, bytes, list, type(None))) and not _has_file(data)
        return Recovery(
            self._policy,
            self._conn_id,
            self.method,
            can_resend=can_resend,
            counts=self._counts,
            clock=self._limiter.clock,
        )

    def _is_retried(self, reply: Reply) -> bool:
        """Return whether the request is repeated up to ``retry_limit``, as ``HttpAsyncHook`` does."""
        rule = self._policy.rule_for(reply)
        return (
            reply.status >= 500
            and (rule is None or rule.action == "retry")
            and self._policy.can_retry(self.method)
            and not self._policy.retry_timeout
        )

    def _log_retry(self, status: int, attempts: int) -> None:
        self.log.warning(
            "Connection %r: the API responded with status %d. Repeating the request in %s s (attempt %d of %d).",
            self._conn_id,
            status,
            self.retry_delay,
            self.retry_limit - attempts + 1,
            self.retry_limit,
        )

    async def _reply(self, response: ClientResponse, max_error_body: int | None) -> Reply:
        """Return the parts of a response that rules use. The body is read only if a rule needs it.

        :param response: the response
        :param max_error_body: after how many bytes reading an error response ends; None to read all
        """
        if response._body is None and any(rule.needs_body(response.status) for rule in self._policy.rules):
            if response.status >= 400 and max_error_body is not None:
                response._body = await _start(response, max_error_body)
            else:
                await response.read()
        body = response._body or b""
        is_too_large = response.status >= 400 and len(body) > MAX_ERROR_BODY
        return Reply(response.status, response.headers, lambda: b"" if is_too_large else body)

    async def _renew(self, response: ClientResponse) -> bool:
        """Renew the token after a response, and return whether it has changed since the request was sent."""
        with refusal_reported(self._access.report) as refusal:
            refusal.is_repeated = await self._has_changed(response)
        return refusal.is_repeated

    async def _has_changed(self, response: ClientResponse) -> bool:
        """Return whether the token has changed since a request was sent; renew it if necessary."""
        token = await valid_token(self._access)
        if not self._access.is_api_url(str(response.url), token):
            return False
        name, value = self._access.token_header(token)
        if response.request_info.headers.get(name) != value:
            return True  # another task or process renewed it meanwhile
        return await replacement_token(self._access, token, ApiRefusal.INVALID_TOKEN) is not None

    async def _status_error(self, response: ClientResponse, problem: str) -> ApiError:
        body = response._body  # a rule may have read it
        if body is None:
            body = await _start(response, MAX_ERROR_BODY)
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
            problem=problem,
        )

    @contextmanager
    def _errors_converted(self, url: str) -> Iterator[None]:
        """Raise this package's errors instead of those of aiohttp, which can contain secrets."""
        try:
            yield
        except OAuthError:
            raise
        except TRANSPORT_ERRORS as error:
            raise transport_error(self._access.config, error, method=self.method, url=url) from None


async def _start(response: ClientResponse, size: int) -> bytes:
    """Read a body until more than ``size`` bytes were read. If reading fails, return what was read until then."""
    body = b""
    with suppress(*TRANSPORT_ERRORS):
        async for chunk in response.content.iter_chunked(8192):
            body += chunk
            if len(body) > size:
                break
    return body


def _encoded_like_requests(data: Any) -> Any:
    """Return a dict as the pairs that ``requests`` would send: no pair for None, one pair per item of a list."""
    # A dict that contains a file stays a dict, because aiohttp encodes uploads itself.
    if not isinstance(data, dict) or _has_file(data):
        return data
    return [
        (name, value if isinstance(value, (str, bytes)) else str(value))
        for name, values in data.items()
        for value in (values if isinstance(values, (list, tuple)) else [values])
        if value is not None
    ]


def _has_file(data: Any) -> bool:
    """Return whether a value of a dict, or of a list of pairs, is a file."""
    values = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return any(
        isinstance(part, IOBase) for value in values for part in (value if isinstance(value, tuple) else [value])
    )
