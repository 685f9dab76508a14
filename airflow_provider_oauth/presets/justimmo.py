"""Justimmo, real estate: https://api-docs.justimmo.at."""

from __future__ import annotations

from airflow_provider_oauth.fields import FIELDS, Field
from airflow_provider_oauth.presets.preset import Preset

JUSTIMMO = Preset(
    conn_type="justimmo",
    name="Justimmo",
    hook_class_name="airflow_provider_oauth.hooks.justimmo.JustimmoHook",
    grants=("client_credentials", "authorization_code", "refresh_token"),
    environments={
        "production": {
            "host": "https://api.justimmo.at",  # without /v1, for /oauth/user/current
            "grant_url": "https://auth.justimmo.at/access_token",
            "authorize_url": "https://auth.justimmo.at/authorize",
        },
    },
    fixed={"client_auth": "client_secret_post", "body_format": "form"},
    labels={"login": "Client ID", "password": "Client secret"},
    fields={
        "refresh_token": FIELDS["refresh_token"]._replace(
            description="Refresh token grant: the one that came with a user's consent. It ends a month after its last "
            "use. When Justimmo replaces it, the new one is kept in an Airflow Variable. Paste a new one here to start "
            "again.",
        ),
        "tenant_id": Field(
            "string", "Tenant ID", "Sent with every API request (X-Justimmo-TenantId). Operators can name another one."
        ),
        "user_id": Field(
            "string", "User ID", "The user to act as (X-Justimmo-UserId). Operators can name another one."
        ),
    },
    sent_as={"tenant_id": ("api_headers", "X-Justimmo-TenantId"), "user_id": ("api_headers", "X-Justimmo-UserId")},
    refresh_lifetime=30 * 24 * 3600,  # a month, says the vendor's table
    advice={
        403: "Resources of a user take a token that speaks for one: grant type Authorization code or Refresh token.",
    },
    rate_limit_timeout=300,
)
