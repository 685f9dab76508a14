"""Finds the hook of a connection. While the modules of the hook are imported, a thread reads the stored token."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_oauth.connection import read_connection, wrong_type
from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.presets import PRESETS
from airflow_provider_oauth.runtime.compat import hook_class
from airflow_provider_oauth.runtime.token_sources import token_source

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_provider_oauth.hooks.oauth import OAuthHook


def hook_of(oauth_conn_id: str, scope: str | None = None, **hook_params: Any) -> OAuthHook:
    """Return the hook for the type of a connection. The connection is read only once.

    :param oauth_conn_id: ID of the connection
    :param scope: as in ``OAuthHook``
    :param hook_params: other parameters of ``HttpHook``
    :return: an ``OAuthHook``, or a vendor's subclass of it
    :raises ConfigurationError: if the connection is not of an OAuth 2.0 type, because the hook of another type could
        send the client secret to the API
    """
    connection = BaseHook.get_connection(oauth_conn_id)
    _preload_token(connection, scope)

    from airflow_provider_oauth.hooks.oauth import OAuthHook  # only now, because this import is slow

    cls = hook_class(connection.conn_type)
    if not (isinstance(cls, type) and issubclass(cls, OAuthHook)):
        raise wrong_type(connection)
    hook: OAuthHook = cls(**{cls.conn_name_attr: oauth_conn_id, **hook_params})
    hook.scope = scope
    hook._connection = connection
    return hook


def _preload_token(connection: Connection, scope: str | None) -> None:
    """Start to read the stored token, unless the connection type belongs to another package.

    The preset of such a type is known only after its hook has been imported.
    """
    preset = PRESETS.get(connection.conn_type or "")
    if preset is not None:
        with suppress(ConfigurationError):  # the hook raises it when it reads the connection
            token_source(read_connection(connection, preset)).preload(scope)
