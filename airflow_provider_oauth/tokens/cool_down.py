"""The cool-down: how long refused credentials and refresh tokens are not sent again. No I/O."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_oauth.exceptions import (
    ConsentRequired,
    InvalidClient,
    InvalidGrant,
    OAuthError,
    TokenRequestError,
    UnrecognizedRefusal,
    from_event,
    to_event,
)
from airflow_provider_oauth.tokens.record import Refusal

if TYPE_CHECKING:
    from datetime import datetime

#: Minimum cool-down in seconds, even if Retry-After is shorter. In this time, no process sends the refused credentials.
COOL_DOWN = 60.0
#: Longest cool-down that the server can request with Retry-After, in seconds: a day.
MAX_COOL_DOWN = 24 * 3600.0
#: Errors after which the same request must not be repeated soon, because that could lock the account.
REFUSALS = (InvalidClient, InvalidGrant, ConsentRequired, UnrecognizedRefusal)


def cool_down_error(refused: Refusal | None, now: datetime) -> OAuthError | None:
    """Return the error for a token request during the cool-down after a refusal; None if the request may be sent.

    A stored end that is more than MAX_COOL_DOWN ahead was written by a host whose clock is wrong. It is ignored, so
    that such a host cannot block the others. The next token request replaces it.

    :param refused: the stored refusal, if there is one
    :param now: the current time, with a time zone
    """
    if refused is None or not now < refused.until <= now + timedelta(seconds=MAX_COOL_DOWN):
        return None
    event = to_event(refused.error)
    event["message"] += (
        f" No request is sent until {refused.until:%Y-%m-%d %H:%M:%S} UTC, unless you change the connection."
    )
    return from_event(event)


def refusal_after(error: OAuthError, before: Refusal | None, now: datetime) -> Refusal | None:
    """Return the refusal to store after a failed token request.

    :param error: why it failed
    :param before: the stored refusal, if there is one
    :param now: the current time, with a time zone
    :return: the new refusal; the stored one if the server did not evaluate the request; None if the server evaluated it
        and reported another error
    """
    if not isinstance(error, REFUSALS):
        is_evaluated = isinstance(error, TokenRequestError) and error.error is not None and not error.retryable
        return None if is_evaluated else before
    requested = error.retry_after if isinstance(error, TokenRequestError) else None
    seconds = max(COOL_DOWN, min(requested or 0.0, MAX_COOL_DOWN))
    is_unrecognized = isinstance(error, UnrecognizedRefusal) or isinstance(error.__cause__, UnrecognizedRefusal)
    return Refusal(
        error=error,
        until=now + timedelta(seconds=seconds),
        unrecognized_since=min(_unrecognized_since(before) or now, now) if is_unrecognized else None,
    )


def is_repeated(before: Refusal | None, now: datetime) -> bool:
    """Return whether an unrecognized refusal comes COOL_DOWN or more after the first unrecognized refusal.

    :param before: the refusal that is stored when the new one comes, if there is one
    :param now: the current time, with a time zone
    """
    since = _unrecognized_since(before)
    return since is not None and now - since >= timedelta(seconds=COOL_DOWN)


def _unrecognized_since(refused: Refusal | None) -> datetime | None:
    return refused.unrecognized_since if refused else None
