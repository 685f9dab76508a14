"""The hook for JustLogin."""

from __future__ import annotations

from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.presets import JUSTLOGIN


class JustLoginHook(OAuthHook):
    """Calls the API of JustLogin. The parameters are those of ``OAuthHook``.

    JustLogin supports two grant types: authorization_code, for which a user authorizes the connection, and
    refresh_token.
    """

    default_conn_name = "justlogin_default"
    conn_type = "justlogin"
    hook_name = "JustLogin"
    preset = JUSTLOGIN
