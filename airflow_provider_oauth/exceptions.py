"""The errors of this package.

::

    OAuthError (an AirflowException)
    ├── ConfigurationError *      the connection does not say what it must, or says what it must not
    ├── TokenRequestError         the authorization server refused, or could not be reached
    │   ├── InvalidClient *       client ID, secret or the way they are sent
    │   ├── InvalidGrant          the refresh token or code is spent, revoked or expired
    │   │   └── WrongPassword *   the user name or password of the password grant
    │   ├── UnrecognizedRefusal   refused in words that this package does not recognize
    │   ├── InvalidRequest  UnauthorizedClient  UnsupportedGrantType  InvalidScope
    ├── TokenResponseError        it answered, but not with a token, or whatever was asked for
    ├── TokenStoreError           the token could not be read from, or kept in, its Variable
    │   └── Overtaken             this process was suspended for too long, so it wrote nothing
    ├── RenewalTimeout            another process renews the token and has not finished
    ├── ConsentRequired *         nothing but a person's consent, or a new refresh token, helps
    ├── ConsentDenied             a person was asked for consent, and it was not given
    └── ApiError                  the API answered with an error status, or not as it should
        ├── ApiConnectionError    no response from the API; also a requests.ConnectionError
        │   └── ApiConnectTimeout no connection in time; also an ApiTimeout
        ├── ApiTimeout            no response in time; also a requests.Timeout
        └── PartialWriteError *   it did after something had been written

    * also an AirflowFailException: the task fails without Airflow's retries, which could lock an account or write twice
"""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import requests
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

if TYPE_CHECKING:
    from collections.abc import Iterator


class OAuthError(AirflowException):
    """Base of all errors of this package. Its text names the connection and holds no secret."""

    #: Whether a request that uses the grant (token or revocation request) may have reached the server before this was
    #: raised. False: it is certain that no attempt was sent, so no refresh token or code was used.
    request_sent: bool = False


class ConfigurationError(OAuthError, AirflowFailException):
    """The connection's fields do not make sense; the text names the connection and the field."""


class TokenRequestError(OAuthError):
    """The token endpoint, or another one of its server, refused the request (RFC 6749 section 5.2) or did not answer.

    :param message: what happened, to which connection, and what to do
    :param error: the server's error code
    :param error_description: its explanation
    :param error_uri: its page about the error
    :param status_code: the HTTP status; None if there was no answer
    :param retryable: whether the same request may succeed later
    :param retry_after: seconds after which the server wants to be asked again, if it said so
    """

    def __init__(
        self,
        message: str,
        *,
        error: str | None = None,
        error_description: str | None = None,
        error_uri: str | None = None,
        status_code: int | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.error = error
        self.error_description = error_description
        self.error_uri = error_uri
        self.status_code = status_code  # type: ignore[assignment]  # Airflow's own is for its web server
        self.retryable = retryable
        self.retry_after = retry_after


class InvalidRequest(TokenRequestError):
    """``invalid_request``: a parameter is missing, repeated or malformed."""


class InvalidClient(TokenRequestError, AirflowFailException):
    """``invalid_client``: the server does not accept the client ID, the secret or the way they are sent."""


class InvalidGrant(TokenRequestError):
    """``invalid_grant``: the refresh token or authorization code is invalid, expired, revoked or spent."""


class WrongPassword(InvalidGrant, AirflowFailException):
    """``invalid_grant`` in answer to the password grant: the user name or password is wrong."""


class UnauthorizedClient(TokenRequestError):
    """``unauthorized_client``: the client may not use this grant type."""


class UnsupportedGrantType(TokenRequestError):
    """``unsupported_grant_type``: the server does not know this grant type."""


class InvalidScope(TokenRequestError):
    """``invalid_scope``: the scope is unknown, malformed or more than the client may have."""


class UnrecognizedRefusal(TokenRequestError):
    """The server refused the request in words that this package does not recognize.

    The client, the credentials or the refresh token may be the reason: the response does not show which.
    """


class TokenResponseError(OAuthError):
    """The token endpoint, or another one of its server, answered, but neither with what was asked for nor an error."""


class TokenStoreError(OAuthError):
    """The token's Variable could not be read or written."""


class Overtaken(TokenStoreError):
    """The process was suspended for so long that another one may be renewing the token. It wrote nothing."""


class RenewalTimeout(OAuthError):
    """Another process is renewing the token and has not finished in time."""


class ConsentRequired(OAuthError, AirflowFailException):
    """The grant is gone: a person has to consent again, or to paste a new refresh token."""


class ConsentDenied(OAuthError):
    """A person was asked for consent, and it was not given, or the answer cannot be believed.

    :param message: what happened, to which connection, and what to do
    :param error: the server's error code (RFC 6749 section 4.1.2.1), if it gave one
    """

    def __init__(self, message: str, *, error: str | None = None) -> None:
        super().__init__(message)
        self.error = error


class ApiError(OAuthError):
    """The API answered with an error status.

    :param message: what happened; starts with the status, as HttpHook's errors do
    :param status_code: the HTTP status
    """

    def __init__(self, message: str, status_code: int | None = None) -> None:
        super().__init__(message)
        self.status_code = status_code  # type: ignore[assignment]  # Airflow's own is for its web server


class ApiConnectionError(ApiError, requests.ConnectionError):
    """The API could not be reached, or its response ended early or was not HTTP.

    It is a ``requests.ConnectionError`` too, so that code written for requests still catches it.
    """


class ApiTimeout(ApiError, requests.Timeout):
    """The API did not respond within the connection's timeout.

    It is a ``requests.Timeout`` too, so that code written for requests still catches it.
    """


class ApiConnectTimeout(ApiConnectionError, ApiTimeout):
    """No connection to the API within the connection's timeout."""


class PartialWriteError(ApiError, AirflowFailException):
    """Some of what was to be written was not, after something had been: a retry would write that again."""


@contextmanager
def errors_converted(conn_id: str, failed: str) -> Iterator[None]:
    """Raise an ``OAuthError`` instead of any other exception, so that callers need to handle only one kind.

    The text of the other exception is not quoted, because it may hold a secret.

    :param conn_id: the connection
    :param failed: what failed
    :raises OAuthError: instead of another ``Exception``
    """
    try:
        yield
    except OAuthError:
        raise
    except Exception as error:
        *_, place = traceback.extract_tb(error.__traceback__)
        raise OAuthError(
            f"Connection {conn_id!r}: {failed}, because of an unexpected error ({type(error).__name__} at line "
            f"{place.lineno} of {place.filename}). Try again; if it happens again, report it."
        ) from None


def to_event(error: OAuthError) -> dict[str, Any]:
    """Describe ``error`` in JSON, for a trigger's event: a trigger that raises is only run again."""
    fields = ("status_code", "error", "error_description", "error_uri", "retryable", "retry_after")
    return {
        "type": type(error).__name__,
        "message": str(error),
        **{name: value for name, value in vars(error).items() if name in fields},
    }


def from_event(event: dict[str, Any]) -> OAuthError:
    """Return the error that ``to_event`` described."""
    classes: dict[str, type[OAuthError]] = {}
    pending: list[type[OAuthError]] = [OAuthError]
    while pending:
        cls = pending.pop()
        classes[cls.__name__] = cls
        pending.extend(cls.__subclasses__())
    error = classes.get(event["type"], OAuthError)(event["message"])
    vars(error).update({name: value for name, value in event.items() if name in vars(error)})
    return error
