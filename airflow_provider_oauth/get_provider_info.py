"""What Airflow reads about this package: connection types, form fields, operators, configuration.

Static: Airflow calls it on every ``airflow`` command and when it draws the connection form.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_oauth.presets import PRESETS

#: By connection type: name, documentation, kind.
INTEGRATIONS = {
    "oauth": ("OAuth 2.0", "https://www.rfc-editor.org/rfc/rfc6749", "protocol"),
    "justlogin": ("JustLogin", "https://github.com/justlogincom/public-api-docs", "service"),
    "justimmo": ("Justimmo", "https://api-docs.justimmo.at", "service"),
    "joor": ("JOOR", "https://api-docs.jooraccess.com", "service"),
}


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata, as Airflow's ``provider_info.schema.json`` describes it."""
    return {
        "package-name": "airflow-provider-oauth",
        "name": "OAuth 2.0",
        "description": "Any OAuth 2.0 protected HTTP API as an Airflow connection.",
        "integrations": [
            {"integration-name": name, "external-doc-url": documentation, "tags": [tag]}
            for name, documentation, tag in INTEGRATIONS.values()
        ],
        "hooks": [_modules("hooks", name) for name in PRESETS],
        "operators": [_modules("operators", name) for name in PRESETS],
        "sensors": [_modules("sensors", "oauth")],
        "triggers": [_modules("triggers", "oauth")],
        "extra-links": ["airflow_provider_oauth.hooks.task.OAuthConnectionLink"],
        "cli": ["airflow_provider_oauth.cli.definition.get_oauth_cli_commands"],
        "connection-types": [preset.connection_type() for preset in PRESETS.values()],
        "config": {
            "oauth": {
                "description": "Settings of the OAuth 2.0 provider (airflow-provider-oauth).",
                "options": {
                    "lock_folder": {
                        "description": (
                            "Folder of the files by which the processes of one host agree on who renews a token. "
                            "Every process of the host must reach the same folder, and no other host should. "
                            "If the processes run as several users, all of them must be able to write to it; that "
                            "needs filelock 4.2.5 or later. "
                            "Empty: a folder of this user's in the system's folder for temporary files."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/var/lock/airflow-oauth",
                        "default": "",
                    },
                    "allowed_hosts": {
                        "description": (
                            "Hosts of authorization servers that may receive requests, separated by commas or spaces: "
                            "names or IP addresses without scheme and port, in which * means any characters, dots "
                            "included. *.example.com does not match example.com. If this is set, all other hosts are "
                            "refused, and those that match may have any address. Empty: all hosts are allowed, except "
                            "at link-local addresses, at those of cloud metadata services, and at 0.0.0.0 and ::. A "
                            "proxy in a connection's own proxies field is checked in the same way. Behind a proxy, the "
                            "address of the server itself cannot be checked, only the host in the URL."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "login.example.com, *.auth.example.com",
                        "default": "",
                    },
                },
            }
        },
    }


def _modules(kind: str, name: str) -> dict[str, Any]:
    module = f"airflow_provider_oauth.{kind}.{name}"
    return {"integration-name": INTEGRATIONS[name][0], "python-modules": [module]}
