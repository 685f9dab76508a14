"""The token on API requests of the event loop: what ``auth.py`` does for requests, for aiohttp."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from aiohttp import ClientTimeout, Payload
from aiohttp.http import SERVER_SOFTWARE
from asgiref.sync import sync_to_async

from airflow_provider_oauth.oauth.config import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from aiohttp import ClientRequest, ClientResponse
    from aiohttp.client_middlewares import ClientHandlerType

    from airflow_provider_oauth.oauth.auth import ApiAccess
    from airflow_provider_oauth.oauth.token import Token

#: Who asks a source for a token just now.
_asking: dict[Any, asyncio.Future[Token]] = {}

P = ParamSpec("P")
T = TypeVar("T")

#: What aiohttp sets where the caller sets nothing; what the connection says replaces it.
AUTOMATIC = {"accept": "*/*", "user-agent": SERVER_SOFTWARE}


class OAuth2Middleware:
    """Sends the token with requests to the API, and renews it once if the API answers 401.

    aiohttp calls it for every hop of a redirect with the headers that the caller set, so what it adds stays behind.

    :param access: what to add
    """

    def __init__(self, access: ApiAccess) -> None:
        self._access = access

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send ``request``, with the token if it goes to the API's own origin."""
        token = await good_token(self._access)
        if not self._access.owns(str(request.url), token):
            return await handler(request)
        for name, value in self._access.headers.items():
            if name not in request.headers or request.headers[name] == AUTOMATIC.get(name.lower()):
                request.headers[name] = value
        request.url = request.url.extend_query(self._access.missing_params(str(request.url)))
        self._authorize(request, token)
        response = await handler(request)
        if response.status != 401:
            return response
        renewed = await good_token(self._access, rejected=token)
        if isinstance(request.body, Payload) and request.body.consumed:
            return response  # it cannot be sent again
        response.release()
        self._authorize(request, renewed)
        return await handler(request)

    def _authorize(self, request: ClientRequest, token: Token) -> None:
        name, value = self._access.header(token)
        request.headers[name] = value


async def good_token(access: ApiAccess, rejected: Token | None = None) -> Token:
    """Return a token to send. The event loop waits for nothing: what may block is done in a thread.

    It is one thread, however many ask: the loop has few, and needs them for other things, such as looking up names.
    """
    source, scope = access.source, access.scope
    if rejected is None and (fresh := source.fresh(scope)):
        return fresh
    key = (asyncio.get_running_loop(), source, scope, rejected.access_token if rejected else None)
    asking = _asking.get(key)
    if asking is None:
        asking = _asking[key] = asyncio.ensure_future(in_thread(access.token)(rejected))
        asking.add_done_callback(lambda _: _asking.pop(key))
    elif rejected is None and (usable := source.usable(scope)):
        return usable
    return await asyncio.shield(asking)


def in_thread(function: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Return ``function`` as a coroutine that runs it in a thread.

    asgiref's thread, not asyncio's: it lets Airflow before 3.3 find its way back to the triggerer's event loop.
    """
    return sync_to_async(function, thread_sensitive=False)


def translated_options(extra_options: dict[str, Any], transport: Transport, base_url: str) -> dict[str, Any]:
    """Return ``extra_options`` in aiohttp's words, so that a deferred task may have those of one that is not."""
    names = {"verify_ssl": "verify", "proxy": "proxies"}
    options = {names.get(name, name): value for name, value in extra_options.items()}
    own = {name: options.pop(name) for name in Transport.__dataclass_fields__ if name in options}
    if isinstance(own.get("proxies"), str):
        own["proxies"] = {"all": own["proxies"]}
    return {**(aiohttp_options(replace(transport, **own), base_url) if own else {}), **options}


def aiohttp_options(transport: Transport, base_url: str) -> dict[str, Any]:
    """Return what aiohttp calls the options of the connection."""
    ssl_context: ssl.SSLContext | bool = transport.verify is not False
    if isinstance(transport.verify, str) or transport.cert:
        ssl_context = ssl.create_default_context(cafile=transport.verify if isinstance(transport.verify, str) else None)
        if transport.cert:
            ssl_context.load_cert_chain(*([transport.cert] if isinstance(transport.cert, str) else transport.cert))
    proxy = transport.proxies.get(base_url.partition(":")[0]) or transport.proxies.get("all")
    return {
        "timeout": ClientTimeout(total=transport.timeout),
        "ssl": ssl_context,
        "check_response": transport.check_response,
        "allow_redirects": transport.allow_redirects,
        "max_redirects": transport.max_redirects,
        **({"proxy": proxy} if proxy else {}),
    }
