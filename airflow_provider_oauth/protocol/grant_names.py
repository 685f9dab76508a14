"""The names of grants on the wire, and the grants that this package refuses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_provider_oauth.protocol.field_labels import field_name

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig

#: The ``grant_type`` that is sent for each grant whose name is a URN.
GRANT_NAMES = {
    "jwt_bearer": "urn:ietf:params:oauth:grant-type:jwt-bearer",  # RFC 7523 section 2.1
    "token_exchange": "urn:ietf:params:oauth:grant-type:token-exchange",  # RFC 8693 section 2.1
    "device_code": "urn:ietf:params:oauth:grant-type:device_code",  # RFC 8628 section 3.4
}
#: The grants whose name ``grant_name`` can replace.
RENAMABLE_GRANTS = ("client_credentials", "password")
#: The grant type of a connection for each standard name.
STANDARD_GRANTS = {
    **{name: name for name in (*RENAMABLE_GRANTS, "authorization_code", "refresh_token", *GRANT_NAMES)},
    **{urn: name for name, urn in GRANT_NAMES.items()},
}
#: Matches the names of the SAML bearer grant (RFC 7522 section 2.1) in connections.
SAML = re.compile(r"saml2?[-_]bearer$", re.IGNORECASE)
#: Matches the names of the device authorization grant (RFC 8628 section 3.4). It is not a grant type of connections.
DEVICE = re.compile(r"device[-_]code$", re.IGNORECASE)


def check_grant_name(config: OAuthConfig) -> None:
    """Check ``grant_name``, and refuse the SAML bearer grant and the device authorization grant.

    :raises ConfigurationError: if the grant is not supported, or ``grant_name`` does not fit the grant type
    """
    for field in ("grant_type", "grant_name"):
        name = getattr(config, field) or ""
        if SAML.search(name):
            raise config.error(
                field,
                f"is {name!r}, which is not supported: Airflow cannot create SAML assertions. Use jwt_bearer or "
                "client_credentials if the server supports one of them",
            )
        if DEVICE.search(name):
            advice = "Set" if field == "grant_type" else "Remove it, set"
            raise config.error(
                field,
                f"is {name!r}, which needs a user. {advice} Grant type to authorization_code, and run airflow oauth "
                "authorize CONN_ID --device",
            )
    if config.grant_name is None:
        return
    if grant := STANDARD_GRANTS.get(config.grant_name):
        problem = f"is {config.grant_name!r}, which is a standard grant. Remove it, and set Grant type to {grant}"
        raise config.error("grant_name", problem)
    if config.grant_type not in RENAMABLE_GRANTS:
        raise config.error(
            "grant_name",
            f"can replace only {' or '.join(RENAMABLE_GRANTS)}, but {field_name('grant_type')} is "
            f"{config.grant_type}. Remove it, or choose another Grant type",
        )
    if not re.fullmatch(r"[\x21-\x7e]+", config.grant_name):
        problem = "contains spaces or characters that are not allowed in the name of a grant. Enter only the name"
        raise config.error("grant_name", problem)
