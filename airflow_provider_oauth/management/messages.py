"""Sentences about a grant that the page and the command line share.

Results of actions begin with a lower-case letter, because ``Connection 'x': `` precedes them, as in error messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_oauth.runtime.encryption import is_encrypted, uses_data_key

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token import Token

NOT_ENCRYPTED = (
    "The connection has no secret, so its tokens are stored unencrypted: anyone who can read Airflow Variables can "
    "read them."
)
DEPENDS_ON_FILE = (
    "The stored tokens are encrypted with the private key in a file. If you replace the key, keep the previous key "
    "after the new one in the file until a task has run. Otherwise, a user must authorize the connection again. If you "
    "enter a random text as Client secret, the stored tokens do not depend on the file."
)
FORGOTTEN = (
    "Airflow deleted the stored tokens. The server was not notified: it accepts these tokens until they expire. "
    "Running tasks keep using the access token that they have."
)
CONSEQUENCES = {
    "revoke": "The server will make the tokens invalid, and Airflow will delete them.",
    "forget": "Airflow will delete the stored tokens. The server will not be notified: it accepts these tokens until "
    "they expire.",
}


def about(conn_id: str, text: str) -> str:
    """Return ``text`` with the connection's ID in front of it."""
    return f"Connection {conn_id!r}: {text}"


def validity(token: Token) -> str:
    """Return a sentence about when the token expires."""
    if token.expires_at is None:
        return "The token never expires."
    return f"The token is valid until {token.expires_at:%Y-%m-%d %H:%M} UTC."


def renewed(token: Token) -> str:
    """Return the text that reports a renewal."""
    return f"the token was renewed. {validity(token)}"


def revoked(count: int) -> str:
    """Return the text that reports a revocation.

    :param count: how many tokens the server revoked
    """
    return f"the server revoked {count} {'token' if count == 1 else 'tokens'}, and Airflow deleted the stored tokens."


def nothing_stored(action: str) -> str:
    """Return the text that reports that no tokens are stored.

    :param action: revoke or forget
    """
    return f"no tokens are stored, so there is nothing to {action}."


def consequences(action: str, config: OAuthConfig) -> str:
    """Return a text about the consequences of revoking or forgetting tokens.

    :param action: revoke or forget
    :param config: the settings of the connection
    """
    if not config.requires_refresh_token:
        return CONSEQUENCES[action]
    if config.grant_type == "authorization_code":
        return f"{CONSEQUENCES[action]} A user must then authorize the connection again."
    return f"{CONSEQUENCES[action]} After that, tasks fail until you enter a new refresh token in the connection."


def not_granted(scopes: tuple[str, ...]) -> str:
    """Return the sentence that lists the scopes that were requested and not granted; "" if there are none."""
    return f"The server did not grant these scopes: {', '.join(scopes)}." if scopes else ""


def remarks(config: OAuthConfig) -> list[str]:
    """Return warnings about the connection, for example that its tokens are not encrypted or a field is ignored."""
    depends_on_file = config.requires_refresh_token and uses_data_key(config)
    return [
        *([] if is_encrypted(config) else [NOT_ENCRYPTED]),
        *([DEPENDS_ON_FILE] if depends_on_file else []),
        *config.warnings,
    ]
