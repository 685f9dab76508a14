"""The hooks for OAuth 2.0 protected APIs: an ``HttpHook`` and an ``HttpAsyncHook`` that send a token."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import ClientSession
from airflow.providers.http.hooks.http import HttpAsyncHook, HttpHook, SessionConfig

from airflow_provider_oauth.api.adapters import KeepAlive, shared_adapter
from airflow_provider_oauth.api.aiohttp_auth import OAuth2Middleware, aiohttp_options, in_thread, valid_token
from airflow_provider_oauth.api.errors import read_error_body, status_error
from airflow_provider_oauth.api.policy import ApiAccess
from airflow_provider_oauth.api.rate_limit import shared_limiter
from airflow_provider_oauth.api.request import endpoint_url, request_data
from airflow_provider_oauth.api.requests_auth import OAuthSession
from airflow_provider_oauth.api.sender import problem_of, reply_of
from airflow_provider_oauth.connection import preset_of, read_connection, vendor_of
from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.hooks.async_session import OAuthAsyncSession
from airflow_provider_oauth.hooks.lists import ReadsLists
from airflow_provider_oauth.hooks.repetition import RepeatsRequests
from airflow_provider_oauth.hooks.settings import log_warnings
from airflow_provider_oauth.presets import OAUTH
from airflow_provider_oauth.protocol.tls_files import file_versions, is_usable_client_certificate
from airflow_provider_oauth.runtime.token_sources import token_source

if TYPE_CHECKING:
    import threading
    from collections.abc import AsyncGenerator, Mapping

    import requests
    from aiohttp import ClientResponse
    from requests.adapters import HTTPAdapter
    from requests.auth import AuthBase

    from airflow_provider_oauth.api.rate_limit import RateLimiter
    from airflow_provider_oauth.api.recovery import RecoveryPolicy
    from airflow_provider_oauth.api.sender import ApiSender
    from airflow_provider_oauth.presets import Preset
    from airflow_provider_oauth.presets.vendor import Vendor
    from airflow_provider_oauth.protocol.token import Token
    from airflow_provider_oauth.tokens.source import TokenSource


class OAuthHook(ReadsLists, HttpHook):
    """Calls an HTTP API with an OAuth 2.0 token. The hook requests, stores and renews the token.

    The hook is an ``HttpHook`` and takes the same parameters, so Airflow's own ``HttpOperator`` also works with
    connections of this type. The connection is read when the hook first needs it, and nothing is sent before the first
    request. The hook of a vendor is a subclass with another ``preset``.

    The attribute ``budget`` limits how fast the hook calls the API. ``error_rules``, ``rate_limit_timeout``,
    ``retry_timeout`` and ``repeatable`` decide when it repeats requests. You can set them before the first request.

    :param oauth_conn_id: ID of a connection of type OAuth 2.0 API or of a vendor's type; None for the hook's
        ``default_conn_name``
    :param method: the HTTP method of ``run`` and ``paginate``
    :param scope: scopes to request, separated by spaces; None for the connection's scopes. Not for the grant types
        authorization_code and refresh_token
    :param auth_type: ignored; it exists only because ``HttpHook`` has it
    :param tcp_keep_alive: whether to keep idle connections to the API alive with TCP probes
    :param tcp_keep_alive_idle: seconds without traffic before the first probe
    :param tcp_keep_alive_count: number of unanswered probes after which the connection is closed
    :param tcp_keep_alive_interval: seconds between two probes
    :param adapter: a ``requests`` adapter, used instead of the one that all hooks of this process share. It cannot use
        a client certificate with an encrypted key
    """

    conn_name_attr = "oauth_conn_id"
    default_conn_name = "oauth_default"
    conn_type = "oauth"
    hook_name = "OAuth 2.0 API"

    def __init__(
        self,
        oauth_conn_id: str | None = None,
        method: str = "GET",
        scope: str | None = None,
        auth_type: type[AuthBase] | None = None,
        tcp_keep_alive: bool = True,
        tcp_keep_alive_idle: int = 120,
        tcp_keep_alive_count: int = 20,
        tcp_keep_alive_interval: int = 30,
        adapter: HTTPAdapter | None = None,
    ) -> None:
        self.oauth_conn_id = self.default_conn_name if oauth_conn_id is None else oauth_conn_id
        super().__init__(method=method, http_conn_id=self.oauth_conn_id, tcp_keep_alive=False)
        self.scope = scope
        self.adapter = adapter
        keep_alive = KeepAlive(tcp_keep_alive_idle, tcp_keep_alive_count, tcp_keep_alive_interval)
        self._keep_alive = keep_alive if tcp_keep_alive else None

    def get_token(self) -> Token:
        """Return a valid token for your own HTTP client. Airflow masks the token in logs. Do not put it into XCom.

        :return: the stored token, or a new one if none is valid
        :raises ConfigurationError: if a field of the connection is missing or invalid
        :raises OAuthError: if there is no valid token and none can be obtained
        """
        return self.access.token()

    def get_conn(
        self, headers: dict[str, Any] | None = None, extra_options: dict[str, Any] | None = None
    ) -> requests.Session:
        """Return a session that sends the token with every request to the API.

        If the API refuses a token, the session renews it and repeats the request once.

        :param headers: headers of every request of the session
        :param extra_options: transport options that replace those of the connection, as in ``run``
        :return: a session that accepts endpoints relative to the API's base URL, and absolute URLs. It sends the token
            only to the API
        :raises ConfigurationError: if a field of the connection is missing or invalid
        """
        session = self._session(self.access, extra_options, self._sender(self.recovery_policy(in_list=False)))
        session.headers.update(headers or {})
        return session

    def _list_session(
        self, extra_options: dict[str, Any] | None, policy: RecoveryPolicy, concurrency: int, stop: threading.Event
    ) -> OAuthSession:
        return self._session(self._list_access, extra_options, self._sender(policy, stop), concurrency)

    def _session(
        self, access: ApiAccess, extra_options: dict[str, Any] | None, sender: ApiSender, concurrency: int = 1
    ) -> OAuthSession:
        self.merged_extra = {**vars(self.config.transport), **(extra_options or {})}
        session = OAuthSession(access, sender)
        session.set_options(self.merged_extra)
        passphrase = self.config.private_key_passphrase
        if self.adapter is not None and session.cert and not is_usable_client_certificate(session.cert):
            raise self.config.error(
                "cert",
                "is not a client certificate with an unencrypted key, which the hook's parameter adapter requires. "
                "Remove the parameter, or decrypt the key",
            )
        session.mount_adapter(self.adapter or shared_adapter(self._keep_alive, concurrency, passphrase))
        return session

    def run(
        self,
        endpoint: str | None = None,
        data: Any = None,
        headers: dict[str, Any] | None = None,
        extra_options: dict[str, Any] | None = None,
        **request_kwargs: Any,
    ) -> Any:
        """Send a request, as ``HttpHook.run`` does.

        :param endpoint: a path relative to the API's base URL, or an absolute URL with the API's origin
        :param data: query parameters of a GET request, body of other requests
        :param headers: headers of this request
        :param extra_options: transport options that replace those of the connection, such as ``timeout`` (seconds).
            With ``stream``, the errors of reading the body are those of ``requests``
        :param request_kwargs: other arguments of ``requests.Request``, such as ``json``
        :return: the ``requests.Response``
        :raises ConfigurationError: if a field of the connection is missing or invalid, if both ``data`` and
            ``json`` are given, or if the request is invalid
        :raises ApiError: if the API responds with an error status or does not respond, or if ``endpoint`` is a URL that
            does not have the API's origin
        :raises OAuthError: if there is no valid token and none can be obtained
        """
        data = request_data(self.oauth_conn_id, self.method, data, request_kwargs.get("json"))
        return super().run(endpoint, data, headers, extra_options, **request_kwargs)

    def url_from_endpoint(self, endpoint: str | None) -> str:
        """Return the URL of ``endpoint``, with the vendor's prefix, and with callback values and lookup values.

        :param endpoint: a path relative to the API's base URL, or an absolute URL with the API's origin. Only a
            relative one gets the prefix
        :return: the absolute URL
        :raises ConsentRequired: if a user must authorize the connection, because the URL needs a value that is not
            stored
        :raises ConfigurationError: if the URL needs a value that must be entered in the connection
        :raises ApiError: if ``endpoint`` is a URL that does not have the API's origin, because no token may be sent to
            it
        """
        return self._url(self.access.current_endpoint(endpoint))

    def _url(self, endpoint: str | None) -> str:
        self.base_url = self.access.current_base_url()
        return endpoint_url(self.oauth_conn_id, self.base_url, endpoint)

    def check_response(self, response: requests.Response) -> None:
        """Raise an error if the response has an error status, or is an error according to a rule.

        The error quotes only some members of the body, such as ``message``, because the body can contain secrets.

        :param response: the response to check
        :raises ApiError: if the status is 400 or above, or a rule matches; the text of the error starts with the status
        """
        self._check(response, self.recovery_policy(in_list=False), in_list=False)

    def _check(self, response: requests.Response, policy: RecoveryPolicy, *, in_list: bool) -> None:
        reply = reply_of(response)
        if not policy.is_error(reply, in_list=in_list):
            return
        rule = policy.rule_for(reply)  # first, because it may need the body
        error = status_error(
            self.config,
            self.vendor.advice,
            method=response.request.method or self.method,
            url=response.url or "",
            status=response.status_code,
            headers=response.headers,
            sent=response.request.headers,
            body=read_error_body(response),
            problem=problem_of(response),
        )
        error.rule = rule
        raise error

    def test_connection(self) -> tuple[bool, str]:
        """Test the connection at its token endpoint. Nothing is stored, and no refresh token is used.

        :return: whether the connection passed the test, and a text about the result, without secrets. The first value
            is also True if the result is uncertain
        """
        from airflow_provider_oauth.management.grant_check import check_grant

        try:
            works, text, _ = check_grant(self.config)
            return works is not False, text  # Airflow cannot mark a result as uncertain, so only the text says so
        except OAuthError as error:
            # The ID is left out of the text, because Airflow can test a connection under a random ID.
            return False, str(error).removeprefix(f"Connection {self.oauth_conn_id!r}: ")


class OAuthAsyncHook(RepeatsRequests, HttpAsyncHook):
    """Calls an HTTP API with an OAuth 2.0 token from an event loop, as ``OAuthHook`` does from a task.

    The same error rules apply as in ``OAuthHook``. All hooks for a connection in a process share the vendor's budget.

    :param oauth_conn_id: ID of a connection of type OAuth 2.0 API or of a vendor's type
    :param method: the HTTP method of ``run``
    :param scope: scopes to request, separated by spaces; None for the connection's scopes. Not for the grant types
        authorization_code and refresh_token
    :param auth_type: ignored; it exists only because ``HttpAsyncHook`` has it
    :param retry_limit: maximum number of attempts for a request if the API responds with status 500 or above, no error
        rule applies, and the request can be repeated without harm
    :param retry_delay: seconds between two of these attempts
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
        #: The versions of the files of the client certificate that ``_config`` contains.
        self._certificate: tuple[Any, ...] = ()
        self._preset = OAUTH

    async def access(self) -> ApiAccess:
        """Return the object that provides the token, headers and parameters for requests to the API.

        The connection is read at the first call.

        :raises ConfigurationError: if a field of the connection is missing or invalid
        """
        if self._access is None:
            source, self._preset = await in_thread(self._read_connection)()
            log_warnings(self, source.config)
            self._access = ApiAccess(source, self.scope)
        return self._access

    def _read_connection(self) -> tuple[TokenSource, Preset]:
        connection = self.get_connection(self.oauth_conn_id)
        preset = preset_of(connection)
        return token_source(read_connection(connection, preset)), preset

    @property
    def _vendors(self) -> tuple[Vendor, ...]:
        return (vendor_of(self._access.config.vendor, self._preset),) if self._access else ()

    @property
    def rate_limiter(self) -> RateLimiter:
        """The rate limiter that all hooks for the connection in this process share."""
        return shared_limiter(self.oauth_conn_id, next((each.budget for each in self._vendors), None))

    @property
    def advice(self) -> Mapping[int, str]:
        """The vendor's advice about error statuses, by status; empty before the first request."""
        return next((each.advice for each in self._vendors), {})

    @property
    def secret_params(self) -> tuple[str, ...]:
        """The names of the query parameters with secret values; empty before the first request."""
        return tuple(self._access.config.secret_params) if self._access else ()

    async def config(self) -> SessionConfig:
        """Return the base URL and the options that ``HttpAsyncHook`` uses for its requests.

        The files of the client certificate are read again after they were replaced.

        :return: the base URL and the options, which include a middleware that sends the token
        :raises ConfigurationError: if a field of the connection is missing or invalid
        :raises OAuthError: if the base URL is part of the token response and no valid token can be obtained
        """
        access = await self.access()
        cert = access.config.transport.cert
        versions = await in_thread(file_versions)(cert) if cert else ()
        if self._config is None or versions != self._certificate:
            base_url = access.base_url(await valid_token(access) if access.base_url_is_in_token else None)
            options = await aiohttp_options(access.config, access.config.transport, base_url)
            self._config = SessionConfig(
                base_url=base_url, headers={}, extra_options={**options, "middlewares": (OAuth2Middleware(access),)}
            )
            self._certificate = versions
        return self._config

    async def get_token(self) -> Token:
        """Return a valid token for your own HTTP client. Airflow masks the token in logs. Do not put it into XCom.

        :return: the stored token, or a new one if none is valid
        :raises ConfigurationError: if a field of the connection is missing or invalid
        :raises OAuthError: if there is no valid token and none can be obtained
        """
        return await valid_token(await self.access())

    @asynccontextmanager
    async def session(self, method: str | None = None) -> AsyncGenerator[OAuthAsyncSession, None]:
        """Provide a session for several requests over the same connections to the API.

        :param method: the HTTP method of the session's requests; None for the method of the hook
        :return: the session
        :raises ConfigurationError: if a field of the connection is missing or invalid
        :raises OAuthError: if the base URL is part of the token response and no valid token can be obtained
        """
        async with ClientSession() as session:
            yield OAuthAsyncSession(self, session, await self.access(), await self.config(), method)

    async def run(  # type: ignore[override]  # all callers pass the other parameters as keywords
        self, session: ClientSession | None = None, endpoint: str | None = None, **kwargs: Any
    ) -> ClientResponse:
        """Send a request, as ``HttpAsyncHook.run`` does.

        :param session: the aiohttp session that sends the request; None for a new session, which is closed after the
            response was read
        :param endpoint: a path relative to the API's base URL, or an absolute URL with the API's origin
        :param kwargs: ``data``, ``json``, ``headers`` and ``extra_options``. ``extra_options`` can contain options of
            ``HttpHook``, which replace those of the connection, and any options of aiohttp's request method
        :return: the response
        :raises ConfigurationError: if a field of the connection is missing or invalid, if both ``data`` and
            ``json`` are given, or if the request is invalid
        :raises ApiError: if the API responds with an error status or does not respond, or if ``endpoint`` is a URL that
            does not have the API's origin
        :raises OAuthError: if there is no valid token and none can be obtained
        """
        if session is None:
            async with self.session() as own:
                return await own.run(endpoint, read=True, **kwargs)
        return await OAuthAsyncSession(self, session, await self.access(), await self.config()).run(endpoint, **kwargs)
