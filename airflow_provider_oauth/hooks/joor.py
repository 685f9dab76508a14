"""The hook for JOOR."""

from __future__ import annotations

from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.presets import JOOR


class JoorHook(OAuthHook):
    """Calls the API of JOOR. The parameters are those of ``OAuthHook``.

    The hook spends at most JOOR's budget of 300 credits in 300 s. A request that gets status 429 (Too Many Requests) is
    repeated for up to 30 minutes. If several tasks share the budget, set ``budget`` of each hook to a part of it (see
    ``operators.joor``).
    """

    default_conn_name = "joor_default"
    conn_type = "joor"
    hook_name = "JOOR"
    preset = JOOR
