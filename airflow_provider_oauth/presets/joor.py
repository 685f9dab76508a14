"""The connection type for JOOR (wholesale fashion). API documentation: https://api-docs.jooraccess.com."""

from __future__ import annotations

from airflow_provider_oauth.fields import FIELDS, Field
from airflow_provider_oauth.presets.preset import Preset

JOOR = Preset(
    conn_type="joor",
    name="JOOR",
    hook_class_name="airflow_provider_oauth.hooks.joor.JoorHook",
    grants=("password",),
    environments={
        "production": {
            "host": "https://api.jooraccess.com/v4",
            "grant_url": "https://atlas.jooraccess.com/auth/",
        },
        "sandbox": {
            "host": "https://apisandbox.jooraccess.com/v4",
            "grant_url": "https://atlas-sandbox.jooraccess.com/auth/",
        },
    },
    # Token responses contain a refresh token, but JOOR documents no refresh request, so the password grant is repeated.
    fixed={"client_auth": "client_secret_post", "body_format": "multipart", "use_refresh": False},
    fields={
        "username": FIELDS["username"]._replace(
            description="The user name that JOOR gave you.", required=True, example=None
        ),
        "user_password": FIELDS["user_password"]._replace(description="The password of that user.", required=True),
        "account": Field(
            "string",
            "Account",
            "The ID of the JOOR account, which is sent with every request. Operators can override it.",
            example="1234",
        ),
    },
    field_targets={"account": ("api_params", "account")},
    vendor="joor",
)
