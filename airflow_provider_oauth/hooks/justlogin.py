"""The hook for JustLogin."""

from __future__ import annotations

from typing import Any

from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.presets import JUSTLOGIN


class JustLoginHook(OAuthHook):
    """Calls the API of JustLogin: ``OAuthHook`` with the preset of that vendor.

    Its grants are authorization_code, for which ``airflow oauth authorize`` asks a user's consent, and refresh_token.

    :param oauth_conn_id: the connection, of type JustLogin
    :param kwargs: as for ``OAuthHook``
    """

    default_conn_name = "justlogin_default"
    conn_type = "justlogin"
    hook_name = "JustLogin"
    preset = JUSTLOGIN

    def __init__(self, oauth_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(oauth_conn_id, **kwargs)
