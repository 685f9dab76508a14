"""The hook for Justimmo."""

from __future__ import annotations

from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.presets import JUSTIMMO


class JustimmoHook(OAuthHook):
    """Calls the API of Justimmo. The parameters are those of ``OAuthHook``.

    Endpoints start with ``v1/``, except ``oauth/user/current``.
    """

    default_conn_name = "justimmo_default"
    conn_type = "justimmo"
    hook_name = "Justimmo"
    preset = JUSTIMMO
