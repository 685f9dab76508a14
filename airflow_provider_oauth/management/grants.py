"""What a person does with a connection's grant: look, consent, renew; for all that people use."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_oauth.exceptions import ConsentDenied, OAuthError
from airflow_provider_oauth.management.grant_check import GrantCheck, check_grant, not_granted
from airflow_provider_oauth.protocol.advice import OFFLINE_ACCESS
from airflow_provider_oauth.protocol.authorization import authorization_url, validate_callback
from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.protocol.endpoint import TokenEndpoint
from airflow_provider_oauth.protocol.token import missing_scopes
from airflow_provider_oauth.runtime.token_sources import token_source

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_oauth.protocol.authorization import AuthorizationRequest
    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token import Token


@dataclass(frozen=True, kw_only=True)
class Status:
    """What is known of a connection's grant.

    :param token: the one that is stored, if there is one for the connection as it is now
    :param usable: whether it may be sent still
    :param changed: whether what is stored was granted to another client, secret, user, URL or scope
    :param needs_consent: whether only a person can renew it
    :param consent_by: when a person will have to, unless it is renewed before; None: not known, not so, or already so
    :param error: what the server said, if it has refused the credentials at the last renewal
    :param has_refresh_token: whether the next renewal uses a refresh token
    :param missing_scopes: the scopes that were requested and not granted to the stored token
    """

    token: Token | None
    usable: bool
    changed: bool
    needs_consent: bool
    consent_by: datetime | None
    error: str
    has_refresh_token: bool = False
    missing_scopes: tuple[str, ...] = ()


def status(config: OAuthConfig) -> Status:
    """Return what is known of a connection's grant. Asks nobody.

    :raises TokenStoreError: if the record cannot be read
    """
    stored = token_source(config).grant_state()
    record, token = stored.record, stored.token()
    return Status(
        token=token,
        usable=token is not None and token.usable(Clock().now(), config.leeway),
        changed=record is not None and not record.readable,
        needs_consent=stored.needs_consent,
        consent_by=stored.consent_by,
        error=str(record.refused.error) if record and record.refused else "",
        has_refresh_token=config.requires_refresh_token
        and not stored.needs_consent
        and not (token is not None and token.never_expires),
        missing_scopes=missing_scopes(config.scope, token) if token else (),
    )


def test(config: OAuthConfig) -> GrantCheck:
    """Try the connection's grant at the token endpoint, and report what is stored for it.

    Nothing is stored, and no refresh token is used.

    :raises OAuthError: if the server refuses the client, does not answer, or sends an invalid response
    """
    return check_grant(config, status(config))


def is_empty(config: OAuthConfig) -> bool:
    """Tell whether there is nothing to revoke and nothing to forget, in the store and in the connection.

    :raises TokenStoreError: if the store cannot be read
    """
    return token_source(config).actions.is_empty()


def begin_authorization(config: OAuthConfig, consent: AuthorizationRequest) -> str:
    """Return where to send the browser, once it is sure that what comes of it can be kept.

    :param config: the connection
    :param consent: what is asked for
    :raises ConfigurationError: if the connection cannot be consented to
    :raises TokenRequestError: if its issuer's metadata is needed, and cannot be read
    :raises TokenResponseError: if that is no metadata
    :raises TokenStoreError: if the store cannot be read
    """
    source = token_source(config)  # which masks the connection's secrets
    url = authorization_url(TokenEndpoint(config).with_discovered_endpoints("authorize_url"), consent)
    source.actions.check_can_store()
    return url


def finish_authorization(config: OAuthConfig, consent: AuthorizationRequest, answer: str) -> Token:
    """Trade what the browser brought back for tokens, and keep them.

    :param config: the connection
    :param consent: what was asked for
    :param answer: the URL that the browser was sent to
    :raises ConsentDenied: if no consent was given, the answer cannot be believed, another account than before has
        given it, or the server has given no refresh token; what is stored is kept then
    :raises OAuthError: if the server refuses the code, or the tokens cannot be stored
    """
    source = token_source(config)  # which masks the connection's secrets
    if consent.conn_id != config.conn_id:
        raise ConsentDenied(f"Connection {config.conn_id!r}: this consent was for {consent.conn_id!r}.")
    asked = TokenEndpoint(config).with_discovered_endpoints("authorize_url", "token_url")
    code = validate_callback(asked, consent, answer)
    token = TokenEndpoint(asked).exchange_code(code, consent.redirect_uri, consent.code_verifier)
    stored = source.grant_state()
    if stored.record and stored.record.subject and token.subject and token.subject != stored.record.subject:
        with suppress(OAuthError):  # where it cannot be taken back, it ends by itself
            TokenEndpoint(asked).revoke(token.refresh_token or token.access_token, "refresh_token")
        raise ConsentDenied(
            f"Connection {config.conn_id!r}: wrong account. Another user of the server has consented than the one "
            f"that this connection speaks for. What is stored was kept. Log in there as that one and authorize again; "
            f"to change the account, first forget the tokens here."
        )
    if token.refresh_token is None and not token.never_expires and not stored.needs_consent:
        raise ConsentDenied(
            f"Connection {config.conn_id!r}: the server issued no refresh token, as some do for a second consent. The "
            f"stored tokens were kept. {OFFLINE_ACCESS} Or first revoke the earlier consent at the server."
        )
    return source.actions.store_grant(token)


def authorization_result(config: OAuthConfig) -> tuple[bool, str]:
    """Return what a person has to know after ``finish_authorization``.

    :return: whether tasks can go on without a person, and sentences about renewal and about scopes that are missing
    """
    now = status(config)
    if now.needs_consent:
        text = f"The server issued no refresh token, so tasks cannot renew it. {OFFLINE_ACCESS}"
    elif now.has_refresh_token:
        text = "Tasks renew it from now on."
    else:
        text = "Tasks use it until the API refuses it."
    return not now.needs_consent, f"{text} {not_granted(now.missing_scopes)}".rstrip()


def revoke(config: OAuthConfig) -> int:
    """Have the server take back what is stored (RFC 7009), then forget it.

    :return: how many tokens the server has taken back
    :raises OAuthError: if it has not; nothing is forgotten then
    """
    return token_source(config).actions.revoke()


def forget(config: OAuthConfig) -> None:
    """Forget what is stored, a refresh token of the connection itself included. The server does not learn of it.

    :raises OAuthError: if that cannot be stored
    """
    token_source(config).actions.forget()


def renew(config: OAuthConfig) -> Token:
    """Renew the token now, by whatever the grant lives by, though it may be good still.

    :raises OAuthError: as a task would
    """
    return token_source(config).renew()
