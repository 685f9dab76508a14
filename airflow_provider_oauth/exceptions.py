"""The exceptions of this package.

::

    OAuthError (an AirflowException)
    ├── ConfigurationError *      a field of the connection is missing or invalid
    ├── TokenRequestError         the authorization server refused a request or did not respond
    │   ├── InvalidRequest        invalid_request: a parameter is missing, repeated or malformed
    │   ├── InvalidClient *       invalid_client: client ID, client secret or client authentication is wrong
    │   ├── InvalidGrant          invalid_grant: refresh token, code or assertion is invalid, expired, revoked or used
    │   │   └── WrongPassword *   invalid_grant in the password grant: user name or password is wrong
    │   ├── UnauthorizedClient    unauthorized_client: the client may not use this grant type
    │   ├── UnsupportedGrantType  unsupported_grant_type: the server does not support this grant type
    │   ├── InvalidScope          invalid_scope: the scope is unknown, malformed or not allowed
    │   └── UnrecognizedRefusal   the server refused the request with an unknown error code, or without one
    ├── TokenResponseError        the response of the authorization server is invalid
    ├── TokenStoreError           the Variable with the token could not be read or written
    │   ├── Overtaken             this process was suspended, so it did not write an outdated token
    │   └── RecordLocked          the key file does not have the key that decrypts the stored tokens
    ├── RenewalTimeout            another process did not finish renewing the token in time
    ├── ConsentRequired *         a user must authorize again, or enter a new refresh token
    ├── ConsentDenied             a user or the server declined the authorization, or its callback is invalid
    └── ApiError                  the API responded with an error status, or in an unexpected way
        ├── ApiConnectionError    no response from the API; also a requests.ConnectionError
        │   └── ApiConnectTimeout no connection to the API in time; also an ApiTimeout
        ├── ApiTimeout            no response from the API in time; also a requests.Timeout
        └── PartialWriteError *   a bulk write failed after some items were written

    * also an AirflowFailException: Airflow does not retry the task, because a retry cannot succeed, or could lock
      an account or write data twice. Airflow retries the task after all other exceptions.
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
    """Base class of the errors that this package raises because of a connection, a server or the API.

    The text contains no secret, and it names the connection if the connection is known.
    """

    #: Whether a token or revocation request may have reached the server before this was raised. False means that no
    #: refresh token or code was used.
    request_sent: bool = False


class ConfigurationError(OAuthError, AirflowFailException):
    """A field of the connection is missing or invalid. Airflow does not retry the task."""


class TokenRequestError(OAuthError):
    """The authorization server refused a request (RFC 6749 section 5.2) or did not respond. Airflow retries the task.

    :param message: what happened, to which connection, and what to do
    :param error: the server's error code
    :param error_description: the server's message
    :param error_uri: URL of the server's documentation of the error
    :param status_code: HTTP status; None if there was no response
    :param retryable: whether the same request may succeed later
    :param retry_after: delay before the next request in seconds, if the server sent one
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
        self.status_code = status_code  # type: ignore[assignment]  # AirflowException's is for Airflow's web server
        self.retryable = retryable
        self.retry_after = retry_after


class InvalidRequest(TokenRequestError):
    """``invalid_request``: a parameter is missing, repeated or malformed. Airflow retries the task."""


class InvalidClient(TokenRequestError, AirflowFailException):
    """``invalid_client``: client ID, secret or client authentication is wrong. Airflow does not retry the task."""


class InvalidGrant(TokenRequestError):
    """``invalid_grant``: the refresh token, code or assertion is invalid, expired, revoked or already used.

    Airflow retries the task. If a user must authorize the connection again, ``ConsentRequired`` is raised instead.
    """


class WrongPassword(InvalidGrant, AirflowFailException):
    """``invalid_grant`` in the password grant: the user name or password is wrong. Airflow does not retry the task."""


class UnauthorizedClient(TokenRequestError):
    """``unauthorized_client``: the client may not use this grant type. Airflow retries the task."""


class UnsupportedGrantType(TokenRequestError):
    """``unsupported_grant_type``: the server does not support this grant type. Airflow retries the task."""


class InvalidScope(TokenRequestError):
    """``invalid_scope``: the scope is unknown, malformed or not allowed for this client. Airflow retries the task."""


class UnrecognizedRefusal(TokenRequestError):
    """The server refused the request with an unknown error code, or without one. Airflow retries the task.

    The response does not show whether the client, the credentials or the refresh token is the reason.
    """


class TokenResponseError(OAuthError):
    """The authorization server sent neither a valid response nor an error response. Airflow retries the task."""


class TokenStoreError(OAuthError):
    """The Variable with the token could not be read or written. Airflow retries the task."""


class Overtaken(TokenStoreError):
    """The process was suspended, and another one may have renewed the token, so nothing was written.

    Airflow retries the task.
    """


class RecordLocked(TokenStoreError):
    """The stored tokens cannot be decrypted, because the file with the private key was replaced or cannot be read.

    Airflow retries the task, because other processes may have the key.
    """


class RenewalTimeout(OAuthError):
    """Another process did not finish renewing the token in time. Airflow retries the task."""


class ConsentRequired(OAuthError, AirflowFailException):
    """A user must authorize again, or enter a new refresh token. Airflow does not retry the task."""


class ConsentDenied(OAuthError):
    """A user or the server declined the authorization, or the callback is invalid. No task raises this error.

    :param message: what happened, to which connection, and what to do
    :param error: the server's error code (RFC 6749 section 4.1.2.1), if it sent one
    """

    def __init__(self, message: str, *, error: str | None = None) -> None:
        super().__init__(message)
        self.error = error


class ApiError(OAuthError):
    """The API responded with an error status, or in an unexpected way. Airflow retries the task.

    :param message: what happened; for an error status it starts with the status, as in the errors of ``HttpHook``
    :param status_code: HTTP status; None if there was no response
    """

    #: The error rule that matches the response; None if no rule does.
    rule: Any = None

    def __init__(self, message: str, status_code: int | None = None) -> None:
        super().__init__(message)
        self.status_code = status_code  # type: ignore[assignment]  # AirflowException's is for Airflow's web server


class ApiConnectionError(ApiError, requests.ConnectionError):
    """The API could not be reached, or its response was incomplete or not HTTP. Airflow retries the task.

    It is also a ``requests.ConnectionError``, so an ``except`` clause for that class catches it.
    """


class ApiTimeout(ApiError, requests.Timeout):
    """The API did not respond within the connection's timeout. Airflow retries the task.

    It is also a ``requests.Timeout``, so an ``except`` clause for that class catches it.
    """


class ApiConnectTimeout(ApiConnectionError, ApiTimeout):
    """No connection to the API was established within the connection's timeout. Airflow retries the task."""


class PartialWriteError(ApiError, AirflowFailException):
    """A bulk write failed after some items were written. Airflow does not retry the task, to avoid duplicates."""


@contextmanager
def errors_converted(conn_id: str, failed: str) -> Iterator[None]:
    """Convert exceptions of other classes to ``OAuthError``, so that callers need to handle only one class.

    The text of the original exception is not quoted, because it may contain a secret.

    :param conn_id: ID of the connection
    :param failed: what failed, as a clause: "the token could not be renewed"
    :raises OAuthError: instead of any other ``Exception``
    """
    try:
        yield
    except OAuthError:
        raise
    except Exception as error:
        *_, frame = traceback.extract_tb(error.__traceback__)
        raise OAuthError(
            f"Connection {conn_id!r}: {failed}, because of an unexpected error. Try again. If it happens again, report "
            f"it to the maintainers of this provider. ({type(error).__name__} at line {frame.lineno} of "
            f"{frame.filename})"
        ) from None


def to_event(error: OAuthError) -> dict[str, Any]:
    """Return ``error`` as a dict that can be stored as JSON: in the event of a trigger, or in a stored record.

    A trigger must not raise the error: Airflow would raise a ``TaskDeferralError`` in the task instead, so the class of
    ``error`` would not decide whether Airflow retries the task.
    """
    fields = ("status_code", "error", "error_description", "error_uri", "retryable", "retry_after")
    return {
        "type": type(error).__name__,
        "message": str(error),
        **{name: value for name, value in vars(error).items() if name in fields},
    }


def from_event(event: dict[str, Any]) -> OAuthError:
    """Return the exception for a dict from ``to_event``."""
    classes: dict[str, type[OAuthError]] = {}
    pending: list[type[OAuthError]] = [OAuthError]
    while pending:
        cls = pending.pop()
        classes[cls.__name__] = cls
        pending.extend(cls.__subclasses__())
    error = classes.get(event["type"], OAuthError)(event["message"])
    vars(error).update({name: value for name, value in event.items() if name in vars(error)})
    return error
