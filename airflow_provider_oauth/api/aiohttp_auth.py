"""Adds the token to API requests that are sent with aiohttp. The rules are in ``policy.py``."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from aiohttp import ClientTimeout, Payload
from aiohttp.http import SERVER_SOFTWARE
from asgiref.sync import sync_to_async
from requests.structures import CaseInsensitiveDict

from airflow_provider_oauth.api.policy import is_secret_header
from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.protocol.config import TransportOptions
from airflow_provider_oauth.protocol.metrics import refusal_reported
from airflow_provider_oauth.protocol.tls_files import tls_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Coroutine

    from aiohttp import ClientRequest, ClientResponse
    from aiohttp.client_middlewares import ClientHandlerType

    from airflow_provider_oauth.api.policy import ApiAccess, ApiRefusal
    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token import Token

#: Calls that are running in threads, by event loop, token source and arguments.
_calls: dict[Any, asyncio.Future[Any]] = {}

P = ParamSpec("P")
T = TypeVar("T")

#: Headers that aiohttp sets by default; the connection's headers replace them.
DEFAULT_HEADERS = CaseInsensitiveDict({"Accept": "*/*", "User-Agent": SERVER_SOFTWARE})


class OAuth2Middleware:
    """Adds the token to requests to the API, and repeats a request once if the API refuses the token.

    After a redirect, aiohttp calls the middleware again, with only the caller's headers. Therefore, nothing that the
    middleware added is sent to a different origin. Headers of the caller with secrets are not sent there either.

    :param access: provides the token, the headers and the parameters that are added to a request
    """

    def __init__(self, access: ApiAccess) -> None:
        self._access = access

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send ``request``, with the token and the connection's headers and parameters if it goes to the API."""
        token = await valid_token(self._access)
        if not self._access.is_api_url(str(request.url), token):
            for name in [name for name in request.headers if is_secret_header(name)]:
                del request.headers[name]
            return await handler(request)
        request.headers.update(self._access.headers_to_set(request.headers, DEFAULT_HEADERS, token))
        request.url = request.url.extend_query(self._access.missing_params(str(request.url), token))
        response = await handler(request)
        refusal = self._access.refusal(response.status, ", ".join(response.headers.getall("WWW-Authenticate", ())))
        if refusal is None:
            return response
        is_repeatable = not (isinstance(request.body, Payload) and request.body.consumed)
        with refusal_reported(self._access.report, response.status) as reported:
            replacement = await replacement_token(self._access, token, refusal)
            reported.is_repeated = replacement is not None and is_repeatable
        if replacement is None or not is_repeatable:
            return response  # there is no other token, or the body was consumed and cannot be sent again
        response.release()
        request.headers.update([self._access.token_header(replacement)])
        return await handler(request)


async def current_endpoint(access: ApiAccess, endpoint: str | None) -> str | None:
    """Return an endpoint with the vendor's prefix and with values, as ``ApiAccess.current_endpoint`` does.

    :param access: provides the token, whose grant has the values
    :param endpoint: a path relative to the API's base URL, or an absolute URL
    :raises OAuthError: if there is no valid token and none can be obtained
    """
    names = access.names_in(endpoint)
    return access.complete_endpoint(endpoint, await valid_token(access, names) if names else None)


async def valid_token(access: ApiAccess, names: frozenset[str] = frozenset()) -> Token:
    """Return a valid token, as ``ApiAccess.token`` does. Blocking work runs in a thread.

    While one thread renews a token before it expires, all other callers use the current token.

    :param access: provides the token
    :param names: as for ``ApiAccess.token``
    :raises OAuthError: if there is no valid token and none can be obtained
    """
    fresh = access.source.fresh(access.scope)
    if fresh and access.has_values(fresh, names):
        return fresh
    key = (asyncio.get_running_loop(), access.source, access.scope, names)
    usable = access.source.usable(access.scope) if key in _calls else None
    if usable and access.has_values(usable, names):
        return usable
    return await _shared(key, access.token, names)


async def replacement_token(access: ApiAccess, refused: Token, refusal: ApiRefusal) -> Token | None:
    """Return a token with which to repeat a refused request; None if there is no other token.

    The work is done by ``ApiAccess.replacement`` in a thread.

    :param access: provides the token
    :param refused: the token that was sent
    :param refusal: why the request was refused
    :raises OAuthError: if the token cannot be renewed
    """
    key = (asyncio.get_running_loop(), access.source, access.scope, refused.access_token, refusal)
    return await _shared(key, access.replacement, refused, refusal)


async def _shared(key: Any, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call ``function`` in a thread. Concurrent callers with the same key share one call.

    This saves threads: the event loop has few, and it also needs them for other work, such as DNS lookups.
    """
    call: asyncio.Future[T] | None = _calls.get(key)
    if call is None:
        call = _calls[key] = asyncio.ensure_future(in_thread(function)(*args, **kwargs))
        call.add_done_callback(lambda _: _calls.pop(key))
    return await asyncio.shield(call)


def in_thread(function: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Return an async function that runs ``function`` in a thread.

    asgiref provides the thread, because Airflow before 3.3 finds the event loop of the triggerer only from threads of
    asgiref.
    """
    return sync_to_async(function, thread_sensitive=False)


async def translated_options(extra_options: dict[str, Any], config: OAuthConfig, base_url: str) -> dict[str, Any]:
    """Return ``extra_options`` with aiohttp's names, so that deferred tasks accept the same options as other tasks.

    :param extra_options: options of ``HttpHook``, which replace those of the connection, and any options of aiohttp
    :param config: the settings of the connection
    :param base_url: the API's base URL
    :raises ConfigurationError: if a file in ``verify`` or ``cert`` cannot be used
    """
    names = {"verify_ssl": "verify", "proxy": "proxies"}
    options = {names.get(name, name): value for name, value in extra_options.items()}
    changes = {name: options.pop(name) for name in TransportOptions.__dataclass_fields__ if name in options}
    if isinstance(changes.get("proxies"), str):
        changes["proxies"] = {"all": changes["proxies"]}
    transport = replace(config.transport, **changes)
    if {"verify", "cert"} & changes.keys():
        options = {"ssl": await _ssl_option(config, transport, base_url), **options}
    return {**(_other_options(transport, base_url) if changes else {}), **options}


async def aiohttp_options(config: OAuthConfig, transport: TransportOptions, base_url: str) -> dict[str, Any]:
    """Return transport options as arguments for aiohttp's request method.

    :param config: the settings of the connection, for error messages
    :param transport: the transport options of the connection, or of one request
    :param base_url: the API's base URL; its scheme decides which proxy is used
    :raises ConfigurationError: if a file in ``verify`` or ``cert`` cannot be used
    """
    return {**_other_options(transport, base_url), "ssl": await _ssl_option(config, transport, base_url)}


async def _ssl_option(config: OAuthConfig, transport: TransportOptions, base_url: str) -> ssl.SSLContext | bool:
    """Return the argument ``ssl``. Files are read and keys decrypted in a thread, because both may take long."""
    if not (isinstance(transport.verify, str) or transport.cert):
        return transport.verify
    try:
        return await in_thread(tls_context)(config, transport.verify, transport.cert)
    except ConfigurationError:
        if base_url.startswith("https:"):
            raise
        return transport.verify is not False


def _other_options(transport: TransportOptions, base_url: str) -> dict[str, Any]:
    proxy = transport.proxies.get(base_url.partition(":")[0]) or transport.proxies.get("all")
    return {
        "timeout": ClientTimeout(total=transport.timeout),
        "check_response": transport.check_response,
        "allow_redirects": transport.allow_redirects,
        "max_redirects": transport.max_redirects,
        **({"proxy": proxy} if proxy else {}),
    }
