"""The hook for Justimmo."""

from __future__ import annotations

from typing import Any

from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.presets import JUSTIMMO


class JustimmoHook(OAuthHook):
    """Calls the API of Justimmo: ``OAuthHook`` with the preset of that vendor.

    Endpoints begin with ``v1/``, but for ``oauth/user/current``.

    :param oauth_conn_id: the connection, of type Justimmo
    :param kwargs: as for ``OAuthHook``
    """

    default_conn_name = "justimmo_default"
    conn_type = "justimmo"
    hook_name = "Justimmo"
    preset = JUSTIMMO

    def __init__(self, oauth_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(oauth_conn_id, **kwargs)
