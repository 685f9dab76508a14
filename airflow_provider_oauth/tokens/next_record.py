"""Creates the record to store after a renewal, a new grant, *Forget* or a failure. No I/O."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_oauth.tokens.record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_provider_oauth.protocol.token import Token
    from airflow_provider_oauth.tokens.grant_state import GrantState
    from airflow_provider_oauth.tokens.lease import Claim
    from airflow_provider_oauth.tokens.record import Refusal


def after_renewal(
    state: GrantState, token: Token, nonce: str, now: datetime, *, key: str = "", used_refresh_token: str | None = None
) -> Record:
    """Return the record to store after a renewal.

    :param state: the connection, and the record that the new one replaces
    :param token: the issued token, with its refresh token if there is one
    :param nonce: the nonce of the claim
    :param now: the current time, with a time zone
    :param key: the scope; "" for the scope of the connection
    :param used_refresh_token: the refresh token that was used; None if the grant was repeated
    """
    record = state.record
    refresh_token, refresh_expires_at = _refresh_token(state, token, now, key, used_refresh_token)
    return Record(
        generation=record.generation + 1 if record else 1,
        nonce=nonce,
        used_refresh_tokens=state.used_refresh_tokens,
        tokens=_tokens(state, token, now, key),
        refresh_token=refresh_token,
        refresh_expires_at=refresh_expires_at,
        # A refresh does not change the user (OpenID Connect Core 1.0 section 12.2), whatever the response contains.
        subject=(record.subject if record else None) or token.subject,
        # Not those of a record that does not match: the connection may have a refresh token of another account now.
        callback=state.matching_record.callback if state.matching_record else {},
    )


def after_new_grant(state: GrantState, token: Token, claim: Claim, now: datetime) -> Record:
    """Return the record to store after a user has authorized the connection.

    :param state: the connection, and the record that the new one replaces
    :param token: the issued token, with its refresh token if there is one
    :param claim: the claim under which the record is stored
    :param now: the current time, with a time zone
    """
    record = after_renewal(state, token, claim.nonce, now)
    return replace(record, generation=first_generation(claim), subject=token.subject, callback=token.callback)


def after_forget(state: GrantState, claim: Claim) -> Record:
    """Return the record to store when a user forgets the tokens. It contains no tokens.

    The record is not deleted instead, because then a refresh token that was entered in the connection would seem
    unused, and a process that could not store a renewed record would store it later.

    :param state: the connection, and the record that the new one replaces
    :param claim: the claim under which the record is stored
    """
    return Record(generation=first_generation(claim), nonce=claim.nonce, used_refresh_tokens=state.used_refresh_tokens)


def after_failure(claim: Claim, refused: Refusal | None) -> Record:
    """Return the record that ends a claim under which no token was stored.

    :param claim: the claim
    :param refused: the refusal to store, if the server has refused the credentials
    """
    record = claim.record if claim.record and not claim.record.corrupt else Record()
    return replace(record, nonce=claim.nonce, refused=refused)


def first_generation(claim: Claim) -> int:
    """Return the first generation of a new grant: the time of the claim, in seconds.

    It is higher than any generation that earlier grants have reached or can still reach, even if their record was
    deleted. So a process that could not store a renewed record does not replace the new grant with it later. A process
    that was suspended compares the stored generation with the time of its claim, to see whether another grant was
    stored after this claim.
    """
    return max(int(claim.made_at.timestamp()), claim.record.generation + 1 if claim.record else 1)


def without_refresh_token(token: Token, callback: Mapping[str, str]) -> Token:
    """Return the token without its refresh token and user, which are stored in the record itself.

    :param token: the token
    :param callback: the callback values that the record keeps
    """
    return replace(token, refresh_token=None, refresh_expires_at=None, subject=None, callback=callback)


def _tokens(state: GrantState, token: Token, now: datetime, key: str) -> dict[str, Token]:
    """Return the access tokens to store: the new one, and those of other scopes that have not expired."""
    earlier = state.matching_record.tokens if state.matching_record else {}
    tokens = {scope: old for scope, old in earlier.items() if scope != key and old.usable(now, 0)}
    return tokens if token.is_single_use else {**tokens, key: without_refresh_token(token, {})}


def _refresh_token(
    state: GrantState, token: Token, now: datetime, key: str, used: str | None
) -> tuple[str | None, datetime | None]:
    """Return the refresh token for the next renewal, and when it expires if it is not used; None if not known."""
    if not (state.config.requires_refresh_token or state.config.use_refresh):
        return None, None
    record = state.record
    old, old_expires_at = (record.refresh_token, record.refresh_expires_at) if record else (None, None)
    if key:  # a token with another scope does not change the stored refresh token
        return old, old_expires_at
    new, expires_at = token.refresh_token or used, token.refresh_expires_at
    # If the stored time has passed, it was wrong: the server has just accepted the refresh token.
    if expires_at is None and new == old and old_expires_at and now < old_expires_at:
        expires_at = old_expires_at
    return new, expires_at
