"""Triggers that call an API with OAuth 2.0.

Their arguments contain the connection ID and no token. The token never leaves the triggerer.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from airflow.providers.http.triggers.http import HttpResponseSerializer, HttpTrigger
from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from requests import RequestException, Response
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

from airflow_provider_oauth.api.errors import phrase
from airflow_provider_oauth.api.recovery import RequestCounts
from airflow_provider_oauth.exceptions import ApiError, ConfigurationError, OAuthError, to_event
from airflow_provider_oauth.extract.condition import check_condition, is_fulfilled
from airflow_provider_oauth.runtime.metrics import reporter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import ClientResponse

    from airflow_provider_oauth.hooks.oauth import OAuthAsyncHook

#: Maximum number of seconds between two polls after errors that only a user can correct, such as refused credentials.
MAX_PAUSE = 3600.0


class OAuthHttpTrigger(HttpTrigger):
    """Sends one request and fires with the response or the error.

    :param oauth_conn_id: ID of a connection of type OAuth 2.0 API or of a vendor's type
    :param method: HTTP method
    :param endpoint: path relative to the API base URL
    :param headers: headers of the request
    :param data: query parameters of a GET request, body of other requests
    :param extra_options: options of ``HttpHook``, which replace those of the connection, and any options of aiohttp's
        request method
    :param scope: scopes to request, separated by spaces; None for the connection's scopes. Not for the grant types
        authorization_code and refresh_token
    :param json: JSON body, instead of ``data``
    """

    #: Names of the arguments that are serialized. The triggerer creates the trigger from them.
    arguments: tuple[str, ...] = (
        "oauth_conn_id",
        "method",
        "endpoint",
        "headers",
        "data",
        "extra_options",
        "scope",
        "json",
    )

    def __init__(
        self,
        oauth_conn_id: str = "oauth_default",
        method: str = "GET",
        endpoint: str | None = None,
        headers: dict[str, str] | None = None,
        data: dict[str, Any] | str | None = None,
        extra_options: dict[str, Any] | None = None,
        scope: str | None = None,
        json: Any = None,
    ) -> None:
        super().__init__(
            http_conn_id=oauth_conn_id,
            method=method,
            endpoint=endpoint,
            headers=headers,
            data=data,
            extra_options=extra_options,
        )
        self.oauth_conn_id = oauth_conn_id
        self.scope = scope
        self.json = json
        #: Shared by the hooks of all polls, so that what a rule does is logged once.
        self._counts = RequestCounts(report=reporter(oauth_conn_id))

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, which contain no token."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {name: getattr(self, name) for name in self.arguments}

    def _get_async_hook(self) -> OAuthAsyncHook:
        from airflow_provider_oauth.hooks.oauth import OAuthAsyncHook

        hook = OAuthAsyncHook(oauth_conn_id=self.oauth_conn_id, method=self.method, scope=self.scope)
        hook.counts = self._counts
        return hook

    async def _get_response(self, hook: OAuthAsyncHook) -> Response:
        response = await self._convert_response(
            await hook.run(
                endpoint=self.endpoint,
                data=self.data,
                json=self.json,
                headers=self.headers,
                extra_options=self.extra_options,
            )
        )
        _remove_params(response, hook.secret_params)
        return response

    @staticmethod
    async def _convert_response(client_response: ClientResponse) -> Response:
        """Convert an aiohttp response to one of ``requests``.

        The redirects in ``history`` have no body, because aiohttp discards it.
        """
        response = _without_body(client_response)
        response._content = await client_response.read()
        response.encoding = client_response.get_encoding()
        response.history = [_without_body(redirect) for redirect in client_response.history]
        return response

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Send the request, and fire one event with the response or the error.

        If the trigger raised the error, Airflow would replace it with ``TaskDeferralError``. The class of the error,
        which decides whether Airflow retries the task, would be lost.
        """
        try:
            response = await self._get_response(self._get_async_hook())
        except Exception as error:
            yield _failure(error)
        else:
            yield TriggerEvent({"status": "success", "response": HttpResponseSerializer.serialize(response)})


class OAuthHttpSensorTrigger(OAuthHttpTrigger):
    """Polls until the API responds without an error status, and ``until`` is true for the response.

    After a temporary error it polls again, until the sensor times out. Any other error, such as refused credentials or
    an invalid option, fires an event that ends the sensor. The event does not contain the response.

    :param oauth_conn_id: ID of a connection of type OAuth 2.0 API or of a vendor's type
    :param poke_interval: seconds between two polls
    :param until: JMESPath of a condition, such as ``status == 'done'``; None to accept each response
    :param request: the other parameters of ``OAuthHttpTrigger``
    """

    arguments = (*OAuthHttpTrigger.arguments, "poke_interval", "until")

    def __init__(
        self,
        oauth_conn_id: str = "oauth_default",
        *,
        poke_interval: float = 60.0,
        until: str | None = None,
        **request: Any,
    ) -> None:
        super().__init__(oauth_conn_id, **request)
        self.poke_interval = poke_interval
        self.until = until

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until a response fulfills the condition or an error is not temporary, then fire one event."""
        while True:
            try:
                # A new hook for each poll reads the connection again, which may have changed.
                response = await self._get_response(self._get_async_hook())
                is_done = self.until is None or is_fulfilled(self.until, response, self.oauth_conn_id)
            except Exception as error:
                if not _is_temporary(error):
                    yield _failure(error)
                    return
                # 404 means "not yet", as in HttpSensor.
                not_yet = isinstance(error, ApiError) and error.status_code == 404
                level = logging.INFO if not_yet else logging.WARNING
                self.log.log(level, "%s. Polling again in %s s.", _text(error).rstrip("."), self.poke_interval)
            else:
                if is_done:
                    yield TriggerEvent({"status": "success"})
                    return
                text = "Connection %r: until %r is not true yet. Polling again in %s s."
                self.log.log(logging.INFO, text, self.oauth_conn_id, self.until, self.poke_interval)
            await asyncio.sleep(self.poke_interval)


class OAuthHttpEventTrigger(OAuthHttpTrigger, BaseEventTrigger):
    """Polls an API for an asset watcher.

    With ``response_check_path``, it fires whenever the response passes the check. With ``until``, it fires when the
    condition becomes true, and again only after the condition was false in between. When the triggerer starts, the
    condition counts as false. Set exactly one of the two.

    :param response_check_path: dotted path of an async function; it gets the response and returns whether to fire. The
        event contains the response
    :param oauth_conn_id: ID of a connection of type OAuth 2.0 API or of a vendor's type
    :param poll_interval: seconds between two polls, also after an event
    :param until: JMESPath of a condition, such as ``status == 'done'``. The event does not contain the response
    :param request: the other parameters of ``OAuthHttpTrigger``
    :raises ConfigurationError: if both or neither of ``response_check_path`` and ``until`` are set, or ``until`` is not
        a JMESPath
    """

    arguments = (*OAuthHttpTrigger.arguments, "response_check_path", "poll_interval", "until")

    def __init__(
        self,
        response_check_path: str | None = None,
        oauth_conn_id: str = "oauth_default",
        *,
        poll_interval: float = 60.0,
        until: str | None = None,
        **request: Any,
    ) -> None:
        super().__init__(oauth_conn_id, **request)
        if (response_check_path is None) is (until is None):
            raise ConfigurationError(
                f"Connection {oauth_conn_id!r}: OAuthHttpEventTrigger needs either response_check_path or until. Set "
                "one of them."
            )
        if until is not None:
            check_condition(until, "OAuthHttpEventTrigger")
        self.response_check_path = response_check_path
        self.poll_interval = poll_interval
        self.until = until
        self._was_fulfilled = False

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll as long as the asset is watched. Two events are at least ``poll_interval`` apart."""
        pause = self.poll_interval
        while True:
            try:
                response = await self._get_response(self._get_async_hook())
                if event := await self._event(response):
                    yield TriggerEvent(event)
                pause = self.poll_interval
            except AirflowFailException as error:
                # Only a user can correct this error, for example if the server refused the credentials. An asset event
                # cannot report an error, so the trigger continues. It polls less and less often, because frequent
                # requests may lock the account.
                pause = min(pause * 2, max(MAX_PAUSE, self.poll_interval))
                self.log.error("%s. Polling again in %s s.", _text(error).rstrip("."), pause)
            except Exception as error:
                pause = self.poll_interval
                self.log.warning("%s. Polling again in %s s.", _text(error).rstrip("."), pause)
            await asyncio.sleep(pause)

    async def _event(self, response: Response) -> dict[str, Any] | None:
        """Return the event to fire; None to fire none."""
        if self.response_check_path is not None:
            is_true = await self._check(self.response_check_path, response)
            return {"status": "success", "response": HttpResponseSerializer.serialize(response)} if is_true else None
        was_fulfilled, self._was_fulfilled = self._was_fulfilled, self._is_fulfilled(response)
        return {"status": "success"} if self._was_fulfilled and not was_fulfilled else None

    def _is_fulfilled(self, response: Response) -> bool:
        return self.until is not None and is_fulfilled(self.until, response, self.oauth_conn_id)

    async def _check(self, path: str, response: Response) -> bool:
        module, _, name = path.rpartition(".")
        check = getattr(await asyncio.to_thread(import_module, module), name)
        if not inspect.iscoroutinefunction(check):
            raise AirflowException(f"{path} is not an async function. Define it with async def.")
        return bool(await check(response))


def _is_temporary(error: Exception) -> bool:
    """Return whether the same request may succeed later, for example after a network error.

    Network errors are included, because the hook converts them to ``OAuthError``, which is an ``AirflowException``.
    """
    if isinstance(error, ApiError) and error.status_code is None and not isinstance(error, RequestException):
        return False  # no request was sent, because the endpoint is a URL that does not have the API's origin
    return isinstance(error, (AirflowException, OSError)) and not isinstance(error, AirflowFailException)


def _without_body(client_response: ClientResponse) -> Response:
    response = Response()
    response.status_code = client_response.status
    response.headers = CaseInsensitiveDict(client_response.headers)
    response.url = str(client_response.url)
    response.reason = phrase(client_response.status)
    response.encoding = get_encoding_from_headers(response.headers)
    response._content = b""
    for name, morsel in client_response.cookies.items():
        response.cookies.set(name, str(morsel))  # the text includes the name and the attributes, as in HttpTrigger
    return response


def _remove_params(response: Response, names: tuple[str, ...]) -> None:
    """Remove secret parameters from the URLs of a response, because Airflow stores the event in its database."""
    for each in (response, *response.history) if names else ():
        each.url = _without_params(each.url, names)
        if location := each.headers.get("Location"):
            each.headers["Location"] = _without_params(location, names)


def _without_params(url: str, names: tuple[str, ...]) -> str:
    rest, hash_sign, fragment = url.partition("#")
    path, question_mark, query = rest.partition("?")
    kept = [pair for pair in query.split("&") if unquote_plus(pair.partition("=")[0]) not in names]
    return f"{path}{question_mark if any(kept) else ''}{'&'.join(kept)}{hash_sign}{fragment}"


def _failure(error: Exception) -> TriggerEvent:
    described = to_event(error) if isinstance(error, OAuthError) else {"type": "OAuthError", "message": _text(error)}
    return TriggerEvent({"status": "error", "error": described})


def _text(error: Exception) -> str:
    """Return the text of an error. The text of an aiohttp error contains no headers, unlike its repr."""
    return str(error) if isinstance(error, AirflowException) else f"{type(error).__name__}: {error}"
