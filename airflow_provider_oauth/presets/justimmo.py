"""The connection type for Justimmo (real estate). API documentation: https://api-docs.justimmo.at."""

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
            "host": "https://api.justimmo.at",  # without /v1, because /oauth/user/current is not under /v1
            "grant_url": "https://auth.justimmo.at/access_token",
            "authorize_url": "https://auth.justimmo.at/authorize",
        },
    },
    fixed={"client_auth": "client_secret_post", "body_format": "form"},
    fields={
        "refresh_token": FIELDS["refresh_token"]._replace(
            description="The refresh token that Justimmo issued when a user consented. Only for grant type Refresh "
            "token. It expires a month after its last use. If Justimmo replaces it, Airflow stores the new one in a "
            "Variable. To start again, paste a new one here.",
        ),
        "tenant_id": Field(
            "string",
            "Tenant ID",
            "The ID of the tenant. It is sent with every API request (header X-Justimmo-TenantId). Operators can "
            "override it.",
            example="5678",
        ),
        "user_id": Field(
            "string",
            "User ID",
            "The ID of the user to act as. It is sent with every API request (header X-Justimmo-UserId). Operators "
            "can override it.",
            example="1234",
        ),
    },
    field_targets={
        "tenant_id": ("api_headers", "X-Justimmo-TenantId"),
        "user_id": ("api_headers", "X-Justimmo-UserId"),
    },
    refresh_lifetime=30 * 24 * 3600,  # a month, according to the table of tokens in Justimmo's documentation
    vendor="justimmo",
)
