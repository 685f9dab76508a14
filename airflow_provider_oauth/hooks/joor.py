"""The hook for JOOR."""

from __future__ import annotations

from typing import Any

from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.presets import JOOR


class JoorHook(OAuthHook):
    """Calls the API of JOOR: ``OAuthHook`` with the preset of that vendor.

    It keeps to JOOR's budget of 300 credits in 300 s, and waits for up to half an hour when others have spent it: set
    ``budget`` to a part of it where several tasks share it (see ``operators.joor``).

    :param oauth_conn_id: the connection, of type JOOR
    :param kwargs: as for ``OAuthHook``
    """

    default_conn_name = "joor_default"
    conn_type = "joor"
    hook_name = "JOOR"
    preset = JOOR

    def __init__(self, oauth_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(oauth_conn_id, **kwargs)
