"""The connection types of this package, as data."""

from __future__ import annotations

from airflow_provider_oauth.presets.joor import JOOR
from airflow_provider_oauth.presets.justimmo import JUSTIMMO
from airflow_provider_oauth.presets.justlogin import JUSTLOGIN
from airflow_provider_oauth.presets.oauth import OAUTH
from airflow_provider_oauth.presets.preset import Preset, provider_info

__all__ = ["JOOR", "JUSTIMMO", "JUSTLOGIN", "OAUTH", "PRESETS", "Preset", "provider_info"]

#: The presets by connection type.
PRESETS = {preset.conn_type: preset for preset in (OAUTH, JUSTLOGIN, JUSTIMMO, JOOR)}
