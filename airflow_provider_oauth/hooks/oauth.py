"""Hooks for APIs behind OAuth 2.0: ``HttpHook`` and ``HttpAsyncHook``, authenticated."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from aiohttp import ClientSession
from airflow.providers.common.compat.sdk import BaseHook
from airflow.providers.http.hooks.http import HttpAsyncHook, HttpHook, SessionConfig
from requests.adapters import HTTPAdapter
from requests_toolbelt.adapters.socket_options import TCPKeepAliveAdapter

from airflow_provider_oauth.api.aiohttp_auth import OAuth2Middleware, aiohttp_options, in_thread, valid_token
from airflow_provider_oauth.api.errors import read_error_body, status_error
from airflow_provider_oauth.api.policy import ApiAccess
from airflow_provider_oauth.api.rate_limit import RateLimiter
from airflow_provider_oauth.api.request import request_data, whole_url
from airflow_provider_oauth.api.requests_auth import OAuthSession
from airflow_provider_oauth.connection import preset_of, read_connection, wrong_type
from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.extract.paginators import pages
from airflow_provider_oauth.hooks.async_session import OAuthAsyncSession
from airflow_provider_oauth.management.grant_check import check_grant
from airflow_provider_oauth.presets import OAUTH
from airflow_provider_oauth.runtime.compat import hook_class
from airflow_provider_oauth.runtime.token_sources import token_source

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping

    import requests
    from aiohttp import ClientResponse
    from requests.auth import AuthBase

    from airflow_provider_oauth.api.rate_limit import Budget
    from airflow_provider_oauth.extract.paginators import Page, Paginator
    from airflow_provider_oauth.presets import Preset
    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token import Token


class OAuthHook(HttpHook):
    """Calls an HTTP API with a token that is fetched, kept and renewed behind the scenes.

    It is a ``HttpHook`` and takes what that takes, so the stock ``HttpOperator`` works with a connection of this type
    as it is. Nothing is read or sent before the first call. A vendor's hook is this one with another ``preset``.

    Two attributes say how fast it calls the API; they are the vendor's, and may be set before the first call:
    ``budget``, and ``rate_limit_timeout``, the seconds for which a request is sent again that was answered 429.

    :param oauth_conn_id: the connection, of type OAuth 2.0 API or one made from it
    :param method: the HTTP method of ``run`` and ``paginate``
    :param scope: a scope of its own instead of the connection's, separated by spaces; only for the client_credentials
        and password grants
    :param auth_type: ignored but for ``HttpHook``'s sake: the token is the authentication
    :param tcp_keep_alive: keep idle connections alive by TCP
    :param tcp_keep_alive_idle: seconds of silence before the first probe
    :param tcp_keep_alive_count: probes without an answer before the connection is given up
    :param tcp_keep_alive_interval: seconds between probes
    :param adapter: instead of the one that all hooks of this process share
    """

    conn_name_attr = "oauth_conn_id"
    default_conn_name = "oauth_default"
    conn_type = "oauth"
    hook_name = "OAuth 2.0 API"
    preset: Preset = OAUTH

    def __init__(
        self,
        oauth_conn_id: str = default_conn_name,
        method: str = "GET",
        scope: str | None = None,
        auth_type: type[AuthBase] | None = None,
        tcp_keep_alive: bool = True,
        tcp_keep_alive_idle: int = 120,
        tcp_keep_alive_count: int = 20,
        tcp_keep_alive_interval: int = 30,
        adapter: HTTPAdapter | None = None,
    ) -> None:
        super().__init__(method=method, http_conn_id=oauth_conn_id, tcp_keep_alive=False)
        self.oauth_conn_id = oauth_conn_id
        self.scope = scope
        self.adapter = adapter
        self.budget: Budget | None = self.preset.budget
        self.rate_limit_timeout: float = self.preset.rate_limit_timeout
        self._keep_alive = (
            (tcp_keep_alive_idle, tcp_keep_alive_count, tcp_keep_alive_interval) if tcp_keep_alive else None
        )

    @cached_property
    def config(self) -> OAuthConfig:
        """What the connection says; read once, at first use.

        :raises ConfigurationError: if it makes no sense
        """
        connection = self.get_connection(self.oauth_conn_id)
        preset = preset_of(connection, self.preset)
        if preset is not self.preset:  # a hook of another type is as good: it does as the connection's own would
            self.budget, self.rate_limit_timeout = (
                self.budget or preset.budget,
                self.rate_limit_timeout or preset.rate_limit_timeout,
            )
            self.preset = preset
        config = read_connection(connection, preset)
        for warning in config.warnings:
            self.log.warning("Connection %r: %s", config.conn_id, warning)
        return config

    @cached_property
    def _pace(self) -> RateLimiter:
        """One for all sessions of this hook."""
        return RateLimiter(self.budget, self.rate_limit_timeout)

    @property
    def access(self) -> ApiAccess:
        """What the connection adds to requests to its API."""
        return ApiAccess(token_source(self.config), self.scope)

    def get_token(self) -> Token:
        """Return a token that may be sent now, for a client of your own. It is masked in logs; keep it out of XCom.

        :raises OAuthError: one of its subclasses, see ``exceptions``
        """
        return self.access.token()

    def get_conn(
        self, headers: dict[str, Any] | None = None, extra_options: dict[str, Any] | None = None
    ) -> requests.Session:
        """Return a session that is authenticated at the API, renews its token, and retries a 401 once.

        :param headers: for every request of the session
        :param extra_options: as for ``run``; they win over the connection's
        """
        transport = self.config.transport
        self.merged_extra = {**vars(transport), **(extra_options or {})}
        session = OAuthSession(self.access, self._pace)
        options = self.merged_extra
        session.verify = options.get("verify_ssl", options["verify"])
        session.proxies = dict(options.get("proxy") or options["proxies"])
        session.cert, session.stream = options["cert"], options["stream"]
        session.trust_env, session.max_redirects = options["trust_env"], options["max_redirects"]
        adapter = self.adapter or _shared_adapter(os.getpid(), self._keep_alive)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        session.headers.update(headers or {})
        return session

    def run(
        self,
        endpoint: str | None = None,
        data: Any = None,
        headers: dict[str, Any] | None = None,
        extra_options: dict[str, Any] | None = None,
        **request_kwargs: Any,
    ) -> Any:
        """Send a request; as in ``HttpHook``.

        :param endpoint: relative to the API's base URL, or a whole URL of the API's own origin
        :param data: the query of a GET, the body of any other request
        :param headers: for this request
        :param extra_options: transport options, instead of the connection's
        :param request_kwargs: other arguments of ``requests.Request``, such as ``json``
        :raises ConfigurationError: if there is both ``data`` and ``json``, or the request cannot be sent
        :raises ApiError: if the API answers with an error status, or does not answer
        :raises OAuthError: if there is no token
        """
        data = request_data(self.oauth_conn_id, self.method, data, request_kwargs.get("json"))
        return super().run(endpoint, data, headers, extra_options, **request_kwargs)

    def paginate(
        self,
        endpoint: str | None = None,
        paginator: Paginator | None = None,
        data: Mapping[str, Any] | None = None,
        headers: dict[str, Any] | None = None,
        extra_options: dict[str, Any] | None = None,
        records_path: str | None = None,
    ) -> Iterator[Page]:
        """Yield the pages of a list, one in memory at a time; each has ``rows``, ``content`` and ``response``.

        :param endpoint: relative to the API's base URL
        :param paginator: how the API hands out the list, one of ``paging``; None: as a whole
        :param data: query parameters; they win over the paginator's
        :param headers: for every request
        :param extra_options: as for ``run``
        :param records_path: where the rows are, as JMESPath; None: the answer is an array, or has a single one
        :raises ApiError: if the API answers with an error status, or not with a page
        :raises OAuthError: if there is no token to be had
        """

        def get(url: str | None, params: Mapping[str, Any]) -> requests.Response:
            response: requests.Response = self.run(url or endpoint, dict(params), headers, extra_options)
            self.check_response(response)  # whatever the connection says: an error is no page
            return response

        return pages(get, paginator, data or {}, records_path, self.oauth_conn_id)

    def url_from_endpoint(self, endpoint: str | None) -> str:
        """Return the URL of ``endpoint``: relative to the API's base URL, or a whole URL of the API's own origin.

        :raises ApiError: if it is a whole URL of another origin, where no token would go
        """
        access = self.access
        self.base_url = access.base_url(access.token() if access.base_url_is_in_token else None)
        self._base_url_initialized = True
        return whole_url(self.oauth_conn_id, self.base_url, endpoint) or super().url_from_endpoint(endpoint)

    def check_response(self, response: requests.Response) -> None:
        """Raise for an error status. Of the body, which can contain anything, only known error members are quoted.

        :raises ApiError: if the status is 400 or above; its text starts with the status
        """
        if response.status_code >= 400:
            raise status_error(
                self.config,
                self.preset.advice,
                method=response.request.method or self.method,
                url=response.url or "",
                status=response.status_code,
                headers=response.headers,
                sent=response.request.headers,
                body=read_error_body(response),
            )

    def test_connection(self) -> tuple[bool, str]:
        """Ask the token endpoint, keep nothing, and tell a person what came of it.

        :return: whether it works, and one or more sentences without a secret
        """
        try:
            works, text = check_grant(self.config)
            return works is not False, text  # Airflow has no third result: the text says that nothing was proven
        except OAuthError as error:
            # Airflow may test under a made-up name, and who tests knows which connection it is.
            return False, str(error).removeprefix(f"Connection {self.oauth_conn_id!r}: ")


def hook_of(oauth_conn_id: str, scope: str | None = None, **hook_params: Any) -> OAuthHook:
    """Return the hook of the connection's own type.

    :param oauth_conn_id: the connection
    :param scope: as for ``OAuthHook``
    :param hook_params: what ``HttpHook`` takes
    :raises ConfigurationError: if its type is not one of ours: another hook would send the client's secret to the API
    """
    connection = BaseHook.get_connection(oauth_conn_id)
    cls = hook_class(connection.conn_type)
    if not (isinstance(cls, type) and issubclass(cls, OAuthHook)):
        raise wrong_type(connection)
    hook = cls(oauth_conn_id, **hook_params)
    hook.scope = scope
    return hook


class OAuthAsyncHook(HttpAsyncHook):
    """Calls an HTTP API from the event loop, as ``OAuthHook`` does from a task.

    :param oauth_conn_id: the connection, of type OAuth 2.0 API
    :param method: the HTTP method of ``run``
    :param scope: as for ``OAuthHook``
    :param auth_type: ignored but for ``HttpAsyncHook``'s sake
    :param retry_limit: how often a request is sent at most when the API answers 500 or above
    :param retry_delay: seconds between those
    """

    conn_name_attr = "oauth_conn_id"
    default_conn_name = "oauth_default"
    conn_type = "oauth"
    hook_name = "OAuth 2.0 API"

    def __init__(
        self,
        oauth_conn_id: str = default_conn_name,
        method: str = "GET",
        scope: str | None = None,
        auth_type: Any = None,
        retry_limit: int = 3,
        retry_delay: float = 1.0,
    ) -> None:
        super().__init__(method=method, http_conn_id=oauth_conn_id, retry_limit=retry_limit, retry_delay=retry_delay)
        self.oauth_conn_id = oauth_conn_id
        self.scope = scope
        self._access: ApiAccess | None = None
        #: What the vendor's error statuses mean, by status.
        self.advice: Mapping[int, str] = {}

    async def access(self) -> ApiAccess:
        """Return what the connection adds to requests to its API; it is read once, at first use.

        :raises ConfigurationError: if a field is missing or invalid
        """
        if self._access is None:
            config = await in_thread(self._config_of_connection)()
            for warning in config.warnings:
                self.log.warning("Connection %r: %s", config.conn_id, warning)
            self._access = ApiAccess(await in_thread(token_source)(config), self.scope)
        return self._access

    def _config_of_connection(self) -> OAuthConfig:
        connection = self.get_connection(self.oauth_conn_id)
        preset = preset_of(connection, OAUTH)
        self.advice = preset.advice
        return read_connection(connection, preset)

    @property
    def secret_params(self) -> tuple[str, ...]:
        """Names of the query parameters that are secret; none before the first request."""
        return tuple(self._access.config.secret_params) if self._access else ()

    async def config(self) -> SessionConfig:
        """Return what ``HttpAsyncHook`` sends requests by.

        :raises OAuthError: if a field of the connection is missing or invalid, or there is no token
        """
        if self._config is None:
            access = await self.access()
            base_url = access.base_url(await valid_token(access) if access.base_url_is_in_token else None)
            options = aiohttp_options(access.config, access.config.transport, base_url)
            self._config = SessionConfig(
                base_url=base_url, headers={}, extra_options={**options, "middlewares": (OAuth2Middleware(access),)}
            )
        return self._config

    async def get_token(self) -> Token:
        """Return a token that may be sent now; errors as for ``OAuthHook.get_token``."""
        return await valid_token(await self.access())

    @asynccontextmanager
    async def session(self, method: str | None = None) -> AsyncGenerator[OAuthAsyncSession, None]:
        """Provide a session for several requests over the same connections.

        :param method: the HTTP method, if not the hook's
        :raises OAuthError: if a field of the connection is missing or invalid, or there is no token
        """
        async with ClientSession() as session:
            yield OAuthAsyncSession(self, session, await self.access(), await self.config(), method)

    async def run(  # type: ignore[override]  # the others by name, as everybody passes them
        self, session: ClientSession | None = None, endpoint: str | None = None, **kwargs: Any
    ) -> ClientResponse:
        """Perform a request; parameters as for ``HttpAsyncHook.run``.

        :param session: where it is sent; None: a session of its own, and the response is read before that is closed
        :param endpoint: relative to the API's base URL, or a whole URL of the API's own origin
        :param kwargs: ``data``, ``json``, ``headers`` and ``extra_options``: those of ``HttpHook``, which win over the
            connection's, and any others of aiohttp
        :raises ApiError: if the API answers with an error status, or does not answer; for a status, its text is the
            same as that of ``OAuthHook``
        :raises ConfigurationError: if the request cannot be sent
        :raises OAuthError: if there is no token
        """
        if session is None:
            async with self.session() as own:
                return await own.run(endpoint, read=True, **kwargs)
        return await OAuthAsyncSession(self, session, await self.access(), await self.config()).run(endpoint, **kwargs)


@lru_cache(maxsize=16)
def _shared_adapter(pid: int, keep_alive: tuple[int, int, int] | None) -> HTTPAdapter:
    """Return the adapter, and with it the open sockets, that the hooks of one process share.

    The stock operator makes a new hook a page, and a new hook with an adapter of its own connects anew.
    """
    adapter = HTTPAdapter()
    if keep_alive is not None:
        idle, count, interval = keep_alive
        adapter = TCPKeepAliveAdapter(idle=idle, count=count, interval=interval)
    return adapter
