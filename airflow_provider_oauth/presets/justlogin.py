"""JustLogin, human resources: https://github.com/justlogincom/public-api-docs."""

from __future__ import annotations

from airflow_provider_oauth.fields import FIELDS
from airflow_provider_oauth.presets.preset import Preset


def _at(host: str) -> dict[str, str]:
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
        "production": _at("https://apis.justlogin.com"),
        "sandbox": _at("https://apis.justloginstaging.xyz"),
    },
    fixed={"client_auth": "client_secret_post", "body_format": "form"},
    labels={"login": "Client Id", "password": "Client Secret"},
    fields={
        "refresh_token": FIELDS["refresh_token"]._replace(
            description="The refresh_token that JustLogin issued when a user consented, for example in Postman. When "
            "JustLogin replaces it, the new one is kept in an Airflow Variable. Paste a new one here to start again.",
        ),
    },
    scope="openid",
    refresh_bearer=True,
    advice={
        403: "What a token may read depends on the JustLogin roles of the user who consented: have that user's roles "
        "extended, or let a user consent who has them.",
    },
)
