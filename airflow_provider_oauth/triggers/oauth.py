"""Triggers that call an API behind OAuth 2.0. They know the connection's id; the token never leaves the triggerer."""

from __future__ import annotations

import asyncio
import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any

from aiohttp import ClientSession
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from airflow.providers.http.triggers.http import HttpResponseSerializer, HttpTrigger
from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

from airflow_provider_oauth.exceptions import OAuthError, to_event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from requests import Response

    from airflow_provider_oauth.hooks.oauth import OAuthAsyncHook

#: Seconds at most between two polls of a watcher whose credentials are refused.
LONGEST_PAUSE = 3600.0


class OAuthHttpTrigger(HttpTrigger):
    """Sends one request and fires with the response, or with the error.

    :param oauth_conn_id: the connection, of type OAuth 2.0 API
    :param method: the HTTP method
    :param endpoint: relative to the API's base URL
    :param headers: for this request
    :param data: the query of a GET, the body of any other request
    :param extra_options: more arguments for aiohttp's request method
    :param scope: as for ``OAuthHook``
    :param json: instead of ``data``, to be sent as JSON
    """

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

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments; no token is among them."""
        names = ("oauth_conn_id", "method", "endpoint", "headers", "data", "extra_options", "scope", "json")
        return _path(self), {name: getattr(self, name) for name in names}

    def _get_async_hook(self) -> OAuthAsyncHook:
        return _hook(self)

    async def _get_response(self, hook: OAuthAsyncHook) -> Response:
        async with ClientSession() as session:
            response = await hook.run(
                session=session,
                endpoint=self.endpoint,
                data=self.data,
                json=self.json,
                headers=self.headers,
                extra_options=self.extra_options,
            )
            return await self._convert_response(response)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Send the request. An error becomes an event, because a trigger that raises is run again, and again."""
        try:
            response = await self._get_response(self._get_async_hook())
        except Exception as error:
            yield _failure(error)
        else:
            yield TriggerEvent({"status": "success", "response": HttpResponseSerializer.serialize(response)})


class OAuthHttpSensorTrigger(BaseTrigger):
    """Polls until the API answers without an error status.

    After any error it waits for ``poke_interval`` and polls on, until the sensor times out; only what polling cannot
    mend, such as refused credentials, ends it.

    :param oauth_conn_id: the connection, of type OAuth 2.0 API
    :param method: the HTTP method
    :param endpoint: relative to the API's base URL
    :param headers: for every request
    :param data: the query of a GET, the body of any other request
    :param extra_options: more arguments for aiohttp's request method
    :param poke_interval: seconds between two polls
    :param scope: as for ``OAuthHook``
    """

    def __init__(
        self,
        oauth_conn_id: str = "oauth_default",
        method: str = "GET",
        endpoint: str | None = None,
        headers: dict[str, str] | None = None,
        data: dict[str, Any] | str | None = None,
        extra_options: dict[str, Any] | None = None,
        poke_interval: float = 60.0,
        scope: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.oauth_conn_id = oauth_conn_id
        self.method = method
        self.endpoint = endpoint
        self.headers = headers
        self.data = data
        self.extra_options = extra_options
        self.poke_interval = poke_interval
        self.scope = scope

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments; no token is among them."""
        names = ("oauth_conn_id", "method", "endpoint", "headers", "data", "extra_options", "poke_interval", "scope")
        return _path(self), {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll, and fire once."""
        hook = _hook(self)
        while True:
            try:
                response = await hook.run(
                    endpoint=self.endpoint, data=self.data, headers=self.headers, extra_options=self.extra_options
                )
            except AirflowFailException as error:
                yield _failure(error)
                return
            except Exception as error:
                self.log.info("Polling again in %s s: %s", self.poke_interval, _text(error))
                await asyncio.sleep(self.poke_interval)
            else:
                response.release()
                yield TriggerEvent({"status": "success"})
                return


class OAuthHttpEventTrigger(OAuthHttpTrigger, BaseEventTrigger):
    """Watches an API for an asset: fires whenever the response passes a check.

    :param response_check_path: path of an async function of the response that tells whether it is an event
    :param oauth_conn_id: the connection, of type OAuth 2.0 API
    :param method: the HTTP method
    :param endpoint: relative to the API's base URL
    :param headers: for every request
    :param data: the query of a GET, the body of any other request
    :param extra_options: more arguments for aiohttp's request method
    :param poll_interval: seconds between two polls, after an event too
    :param scope: as for ``OAuthHook``
    :param json: instead of ``data``, to be sent as JSON
    """

    def __init__(
        self,
        response_check_path: str,
        oauth_conn_id: str = "oauth_default",
        method: str = "GET",
        endpoint: str | None = None,
        headers: dict[str, str] | None = None,
        data: dict[str, Any] | str | None = None,
        extra_options: dict[str, Any] | None = None,
        poll_interval: float = 60.0,
        scope: str | None = None,
        json: Any = None,
    ) -> None:
        super().__init__(oauth_conn_id, method, endpoint, headers, data, extra_options, scope, json)
        self.response_check_path = response_check_path
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments; no token is among them."""
        path, arguments = super().serialize()
        own = {"response_check_path": self.response_check_path, "poll_interval": self.poll_interval}
        return path, {**arguments, **own}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll for as long as the asset is watched; an event may follow another only after ``poll_interval``."""
        hook = self._get_async_hook()
        pause = self.poll_interval
        while True:
            try:
                response = await self._get_response(hook)
                if await self._check(response):
                    yield TriggerEvent({"status": "success", "response": HttpResponseSerializer.serialize(response)})
                pause = self.poll_interval
            except AirflowFailException as error:
                # Nobody can be told by an event, and asking on and on locks accounts: ask ever more rarely.
                pause = min(pause * 2, max(LONGEST_PAUSE, self.poll_interval))
                self.log.error("Polling again in %s s: %s", pause, _text(error))
            except Exception as error:
                pause = self.poll_interval
                self.log.warning("Polling again in %s s: %s", pause, _text(error))
            await asyncio.sleep(pause)

    async def _check(self, response: Any) -> bool:
        module, _, name = self.response_check_path.rpartition(".")
        check = getattr(await asyncio.to_thread(import_module, module), name)
        if not inspect.iscoroutinefunction(check):
            raise AirflowException(f"{self.response_check_path} is not an async function")
        return bool(await check(response))


def _hook(trigger: OAuthHttpTrigger | OAuthHttpSensorTrigger) -> OAuthAsyncHook:
    from airflow_provider_oauth.hooks.oauth import OAuthAsyncHook

    return OAuthAsyncHook(oauth_conn_id=trigger.oauth_conn_id, method=trigger.method, scope=trigger.scope)


def _path(trigger: BaseTrigger) -> str:
    return f"{type(trigger).__module__}.{type(trigger).__qualname__}"


def _failure(error: Exception) -> TriggerEvent:
    described = to_event(error) if isinstance(error, OAuthError) else {"type": "OAuthError", "message": _text(error)}
    return TriggerEvent({"status": "error", "error": described})


def _text(error: Exception) -> str:
    """Return what may be shown of ``error``. aiohttp's texts name address and reason; their reprs hold headers."""
    return str(error) if isinstance(error, AirflowException) else f"{type(error).__name__}: {error}"
