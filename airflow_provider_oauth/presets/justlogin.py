"""The connection type for JustLogin (HR). API documentation: https://github.com/justlogincom/public-api-docs."""

from __future__ import annotations

from airflow_provider_oauth.fields import FIELDS
from airflow_provider_oauth.presets.preset import Preset


def _urls(host: str) -> dict[str, str]:
    return {
        "host": host,
        "grant_url": f"{host}/v1/auth/connect/token",
        "authorize_url": f"{host}/v1/auth/connect/authorize",
    }


JUSTLOGIN = Preset(
    conn_type="justlogin",
    name="JustLogin",
    hook_class_name="airflow_provider_oauth.hooks.justlogin.JustLoginHook",
    grants=("authorization_code", "refresh_token"),
    environments={
        "production": _urls("https://apis.justlogin.com"),
        "sandbox": _urls("https://apis.justloginstaging.xyz"),
    },
    fixed={"client_auth": "client_secret_post", "body_format": "form"},
    fields={
        "refresh_token": FIELDS["refresh_token"]._replace(
            description="The refresh token that JustLogin issued when a user consented, for example in Postman. Only "
            "for grant type Refresh token. If JustLogin replaces it, Airflow stores the new one in a Variable. To "
            "start again, paste a new one here.",
        ),
    },
    scope="openid",
    refresh_bearer=True,
    vendor="justlogin",
)
