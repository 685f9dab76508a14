"""Describes this package to Airflow: connection types, form fields, operators and configuration.

Airflow loads this module on every ``airflow`` command and when it shows the connection form, so it must be fast.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_oauth.presets import OAUTH, PRESETS
from airflow_provider_oauth.presets.vendor_choices import vendor_choices

#: Name, documentation and tag of each integration, by connection type.
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
        "connection-types": [
            preset.connection_type({"vendor": vendor_choices()} if preset is OAUTH else {})
            for preset in PRESETS.values()
        ],
        "config": {
            "oauth": {
                "description": "Settings of the OAuth 2.0 provider (airflow-provider-oauth).",
                "options": {
                    "lock_folder": {
                        "description": (
                            "Folder for the lock files with which the processes of one host coordinate renewals. "
                            "All processes of the host must use the same folder, and no other host should use it. "
                            "If the processes run as several users, all of these users need write access; this "
                            "requires filelock 4.2.5 or later. "
                            "If it is empty, Airflow uses a folder of the current user in the system's folder for "
                            "temporary files."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/var/lock/airflow-oauth",
                        "default": "",
                    },
                    "allowed_hosts": {
                        "description": (
                            "Hosts of authorization servers that may receive requests, separated by commas or spaces. "
                            "The setting also applies to the requests to a vendor's API after a consent and of Test. "
                            "Enter names or IP addresses without scheme and port. * matches any characters, including "
                            "dots. *.example.com does not match example.com. If this is set, requests to all other "
                            "hosts are refused, and hosts that match may have any address. If this is empty, all "
                            "hosts are allowed, except link-local addresses, addresses of cloud metadata services, "
                            "0.0.0.0 and ::. A proxy in a connection's proxies field is checked in the same way. "
                            "Behind a proxy, only the host in the URL can be checked, not the server's address."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "login.example.com, *.auth.example.com",
                        "default": "",
                    },
                    "file_folder": {
                        "description": (
                            "Folder of the files that connections may name in private_key_file, assertion_file and "
                            "subject_token_file. Files outside this folder are refused. Everyone who can edit "
                            "connections can send a file in this folder to a server, so put only files for OAuth 2.0 "
                            "connections into it. If it is empty, connections cannot use such files."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/etc/airflow-oauth",
                        "default": "",
                    },
                    "vendor_folder": {
                        "description": (
                            "Folder of your own vendor files. Each file describes a vendor's authorization server and "
                            "API, and connections use it by its name: acme for acme.toml. A file must not have the "
                            "name of a vendor of this package. Vendor files decide where secrets are sent, so only "
                            "administrators should be able to write to this folder."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/etc/airflow-oauth/vendors",
                        "default": "",
                    },
                },
            }
        },
    }


def _modules(kind: str, name: str) -> dict[str, Any]:
    module = f"airflow_provider_oauth.{kind}.{name}"
    return {"integration-name": INTEGRATIONS[name][0], "python-modules": [module]}
