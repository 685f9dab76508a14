"""What a person does with a connection's grant: look, consent, renew, revoke, forget; for all that people use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import conf

from airflow_provider_oauth.exceptions import TokenStoreError
from airflow_provider_oauth.hooks.sources import token_source
from airflow_provider_oauth.oauth.clock import Clock
from airflow_provider_oauth.oauth.consent import code_of
from airflow_provider_oauth.oauth.endpoint import TokenEndpoint
from airflow_provider_oauth.variable_store import VariableTokenStore

if TYPE_CHECKING:
    from airflow_provider_oauth.oauth.config import OAuthConfig
    from airflow_provider_oauth.oauth.consent import Consent
    from airflow_provider_oauth.oauth.store import Record
    from airflow_provider_oauth.oauth.token import Token

#: Where Airflow's own page takes the browser back, below ``[api] base_url``.
CALLBACK = "/oauth/callback"


@dataclass(frozen=True, kw_only=True)
class Status:
    """What is known of a connection's grant.

    :param token: the one that is stored, if there is one for the connection as it is now
    :param usable: whether it may be sent still
    :param changed: whether what is stored was granted to another client, secret, user, URL or scope
    :param needs_consent: whether only a person can go on from here
    :param error: what the server said, if it has refused the credentials and nobody asks again for a while
    """

    token: Token | None
    usable: bool
    changed: bool
    needs_consent: bool
    error: str


def status(config: OAuthConfig) -> Status:
    """Return what is known of a connection's grant. Asks nobody.

    :raises TokenStoreError: if the record cannot be read
    """
    record = VariableTokenStore(config).read()
    now = Clock().now()
    token = _stored(record)
    ours = record is not None and record.readable
    renews = bool(record and ours and record.refresh_token) or (not ours and config.refresh_token is not None)
    refused = record.refused if record else None
    return Status(
        token=token,
        usable=token is not None and token.usable(now, config.leeway),
        changed=record is not None and not record.readable,
        needs_consent=config.lives_by_refresh and not renews,
        error=str(refused.error) if refused and now < refused.until else "",
    )


def redirect_uri() -> str:
    """Return where the browser comes back to: built from ``[api] base_url``, not from what a request says."""
    return f"{conf.get('api', 'base_url').rstrip('/')}{CALLBACK}"


def finish(config: OAuthConfig, consent: Consent, answer: str) -> Token:
    """Trade what the browser brought back for tokens, and keep them.

    :param config: the connection
    :param consent: what was asked for
    :param answer: the URL that the browser was sent to
    :raises ConsentDenied: if no consent was given, or the answer cannot be believed
    :raises OAuthError: if the server refuses the code, or the tokens cannot be stored
    """
    source = token_source(config)  # which masks the connection's secrets
    code = code_of(config, consent, answer)
    token = TokenEndpoint(config).trade(code, consent.redirect_uri, consent.code_verifier)
    return source.adopt(token)


def renew(config: OAuthConfig) -> Token:
    """Renew the token now, by whatever the grant lives by, though it may be good still.

    :raises OAuthError: as a task would
    """
    record = VariableTokenStore(config).read()
    return token_source(config).token(rejected=_stored(record))


def revoke(config: OAuthConfig) -> None:
    """Have the server revoke what is stored (RFC 7009), the refresh token first, and forget it.

    :raises TokenStoreError: if nothing is stored that could be revoked
    :raises OAuthError: if the server refuses, or the connection has no revocation URL; then nothing is forgotten
    """
    record = VariableTokenStore(config).read()
    token = _stored(record)
    if record is None or not record.readable or not (token or record.refresh_token):
        raise TokenStoreError(f"Connection {config.conn_id!r}: there is no token stored that could be revoked.")
    endpoint = TokenEndpoint(config)
    if record.refresh_token:
        endpoint.revoke(record.refresh_token, "refresh_token")
    if token:
        endpoint.revoke(token.access_token, "access_token")
    forget(config)


def forget(config: OAuthConfig) -> None:
    """Delete what is stored. The server is not told.

    :raises TokenStoreError: if it cannot be deleted
    """
    VariableTokenStore(config).forget()


def _stored(record: Record | None) -> Token | None:
    return record.tokens.get("") if record and record.readable else None
