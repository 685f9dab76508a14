"""The connection type for any OAuth 2.0 API. Its form has all fields."""

from __future__ import annotations

from airflow_provider_oauth.fields import FIELDS
from airflow_provider_oauth.presets.preset import Preset

OAUTH = Preset(
    conn_type="oauth",
    name="OAuth 2.0 API",
    hook_class_name="airflow_provider_oauth.hooks.oauth.OAuthHook",
    grants=tuple(FIELDS["grant_type"].choices or ()),
    fields=FIELDS,
    labels={"host": "API base URL"},
)
