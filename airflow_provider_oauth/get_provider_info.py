"""What Airflow reads about this package: connection types, form fields, operators, configuration.

Static: Airflow calls it on every ``airflow`` command and when it draws the connection form.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_oauth.fields import FIELDS, Field


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata, as Airflow's ``provider_info.schema.json`` describes it."""
    return {
        "package-name": "airflow-provider-oauth",
        "name": "OAuth 2.0",
        "description": "Any OAuth 2.0 protected HTTP API as an Airflow connection.",
        "integrations": [
            {
                "integration-name": "OAuth 2.0",
                "external-doc-url": "https://www.rfc-editor.org/rfc/rfc6749",
                "tags": ["protocol"],
            }
        ],
        "hooks": [_modules("hooks")],
        "operators": [_modules("operators")],
        "sensors": [_modules("sensors")],
        "triggers": [_modules("triggers")],
        "connection-types": [
            {
                "connection-type": "oauth",
                "hook-name": "OAuth 2.0 API",
                "hook-class-name": "airflow_provider_oauth.hooks.oauth.OAuthHook",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "port"],
                    "relabeling": {"host": "API base URL", "login": "Client ID", "password": "Client secret"},
                    "placeholders": {"host": "https://api.example.com/v1"},
                },
                "conn-fields": {name: _form_field(field) for name, field in FIELDS.items() if field.shown},
            }
        ],
        "config": {
            "oauth": {
                "description": "Settings of the OAuth 2.0 provider (airflow-provider-oauth).",
                "options": {
                    "lock_folder": {
                        "description": (
                            "Folder of the files by which the processes of one host agree on who renews a token. "
                            "Every process of the host must reach the same folder, and no other host should. "
                            "Empty: a folder of this user's in the system's folder for temporary files."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/var/lock/airflow-oauth",
                        "default": "",
                    }
                },
            }
        },
    }


def _modules(kind: str) -> dict[str, Any]:
    return {"integration-name": "OAuth 2.0", "python-modules": [f"airflow_provider_oauth.{kind}.oauth"]}


def _form_field(field: Field) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": field.type if field.required else [field.type, "null"]}
    if field.default is not None:
        schema["default"] = field.default
    if field.choices:
        schema["enum"] = list(field.choices)
        schema["values_display"] = field.choices
    if field.secret and field.type == "string":
        schema["format"] = "password"
    if field.minimum is not None:
        schema["minimum"] = field.minimum
    return {"label": field.label, "description": field.description, "schema": schema}
