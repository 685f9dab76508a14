"""JOOR, wholesale fashion: https://api-docs.jooraccess.com."""

from __future__ import annotations

from airflow_provider_oauth.api.rate_limit import Budget
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
    # Its answers have a refresh token, but its documents no request to use it with: the password grant is repeated.
    fixed={"client_auth": "client_secret_post", "body_format": "multipart", "use_refresh": False},
    fields={
        "username": FIELDS["username"]._replace(description="As provided by JOOR.", required=True),
        "user_password": FIELDS["user_password"]._replace(
            label="Password", description="As provided by JOOR.", required=True
        ),
        "account": Field(
            "string", "Account", "ID of the JOOR account; every call carries one. Operators can name another one."
        ),
    },
    sent_as={"account": ("api_params", "account")},
    error_path="errors[].message",
    advice={429: "JOOR allows an account 300 credits in 300 s; tasks can share them by a pool: docs/vendors.md."},
    budget=Budget(credits=300, seconds=300, read=1, write=5),
    rate_limit_timeout=1800,
)
