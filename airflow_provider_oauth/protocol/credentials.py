"""What a client needs to authenticate, besides the connection's own fields: its signing key, and tokens from files."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_oauth.protocol.client_check import sends_assertion
from airflow_provider_oauth.protocol.client_files import read_client_file
from airflow_provider_oauth.protocol.signing_keys import SigningKey, signing_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_oauth.protocol.config import OAuthConfig

Credential = TypeVar("Credential")


def new_jwt_id() -> str:
    """Return a random ``jti`` (RFC 7519 section 4.1.7)."""
    return secrets.token_urlsafe(24)


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """The credentials for one request to the authorization server. They are read again for every request.

    :param signing_key: the private key that signs JWTs; None if the connection needs none
    :param assertion: the content of ``assertion_file``; None if the connection has no such file
    :param subject_token: the content of ``subject_token_file``; None if the connection has no such file
    :param new_jwt_id: returns the ``jti`` of a JWT; tests replace it
    """

    signing_key: SigningKey | None = field(default=None, repr=False)
    assertion: str | None = field(default=None, repr=False)
    subject_token: str | None = field(default=None, repr=False)
    new_jwt_id: Callable[[], str] = new_jwt_id


NO_CREDENTIALS = Credentials()


def load_credentials(config: OAuthConfig, *, repeats_grant: bool = True) -> Credentials:
    """Return the credentials for a request. This reads the files that the connection names.

    :param config: the connection
    :param repeats_grant: whether the request repeats the connection's grant. Other requests, such as revocations, do
        not fail because a file that only the grant needs is missing
    :raises ConfigurationError: if a key or a file is missing or invalid
    """
    grant = config.grant_type if repeats_grant else ""
    needs_assertion = sends_assertion(config, grant)
    has_file = config.assertion_file is not None
    return Credentials(
        signing_key=signing_key(config) if needs_assertion and not has_file else None,
        assertion=_token(config, "assertion_file") if needs_assertion and has_file else None,
        subject_token=_token(config, "subject_token_file") if grant == "token_exchange" else None,
    )


def loaded(credential: Credential | None) -> Credential:
    """Return a credential of ``Credentials`` that a request needs.

    :raises ValueError: if it was not loaded
    """
    if credential is None:
        raise ValueError
    return credential


def _token(config: OAuthConfig, name: str) -> str:
    """Return the token in a file that another system writes, without line breaks at its end."""
    content = read_client_file(config, name).rstrip(b"\r\n")
    if not re.fullmatch(rb"[\x21-\x7e]+", content):
        raise config.error(
            name,
            "is a file whose content is not a token: one line of visible ASCII characters. Check the path, and the "
            "system that writes the file",
        )
    return content.decode("ascii")
