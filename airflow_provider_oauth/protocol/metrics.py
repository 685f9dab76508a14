"""The metrics of this package, and how the lower layers report them. ``runtime/metrics.py`` sends them to Airflow."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from airflow_provider_oauth.exceptions import TokenRequestError

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Metric:
    """A metric, with the tags ``conn_id`` and ``outcome``.

    :param name: its name in Airflow
    :param outcomes: the possible values of the tag ``outcome``
    :param is_duration: whether it measures a time in seconds; otherwise it counts
    """

    name: str
    outcomes: tuple[str, ...]
    is_duration: bool = False


#: Attempts to send a request to the token endpoint.
TOKEN_REQUESTS = Metric("oauth.token_requests", ("success", "refused", "failed"))
#: Renewals: the token request with all its attempts, and storing the token. The first token is counted too.
RENEWALS = Metric("oauth.renewals", ("success", "refused", "failed", "not_stored"))
#: How long this process waited for the renewal of another process.
RENEWAL_WAIT = Metric("oauth.renewal_wait", ("success", "timeout", "failed"), is_duration=True)
#: Responses of the API that refuse the token.
REFUSALS = Metric("oauth.refusals", ("repeated", "returned", "failed"))
#: Requests to the API.
API_REQUESTS = Metric(
    "oauth.api.requests", ("success", "unauthorized", "limited", "client_error", "server_error", "failed")
)
#: Waits before requests to the API.
API_WAITS = Metric("oauth.api.waits", ("limit", "retry", "budget"))
#: Rows that an extract has fetched.
EXTRACT_ROWS = Metric("oauth.extract.rows", ("success", "failed"))

METRICS = (TOKEN_REQUESTS, RENEWALS, RENEWAL_WAIT, REFUSALS, API_REQUESTS, API_WAITS, EXTRACT_ROWS)


class Report(Protocol):
    """Reports metrics of one connection. It never raises an ``Exception``."""

    def __call__(self, metric: Metric, outcome: str, value: float = 1) -> None:
        """Report that something happened.

        :param metric: the metric
        :param outcome: one of its outcomes
        :param value: how many times it happened; for a duration, the seconds
        """


def no_report(metric: Metric, outcome: str, value: float = 1) -> None:
    """Report nothing."""


@dataclass
class Refusal:
    """What happens after the API has refused a token.

    :param is_repeated: whether the request is repeated with another token
    """

    is_repeated: bool = False


@contextmanager
def refusal_reported(report: Report, status: int | None = None) -> Iterator[Refusal]:
    """Report what happens after the API has refused a token.

    :param report: reports metrics of the connection
    :param status: the status of the response that refused the token. Its request is counted here if the caller never
        sees this response. None if the caller counts each request
    """
    refusal, outcome = Refusal(), "failed"
    try:
        yield refusal
        outcome = "repeated" if refusal.is_repeated else "returned"
    finally:
        report(REFUSALS, outcome)
        if status is not None and outcome != "returned":
            report(API_REQUESTS, status_outcome(status))


def failure_outcome(error: BaseException | None) -> str:
    """Return the outcome of a token request or a renewal that failed.

    :param error: why it failed
    :return: ``refused`` if the server refused the request and would refuse it again, otherwise ``failed``
    """
    if error is None or not isinstance(error, TokenRequestError):
        return "failed"
    return "failed" if error.retryable or error.status_code is None else "refused"


def status_outcome(status: int) -> str:
    """Return the outcome of an API request by the status of its response."""
    if status < 400:
        return "success"
    if status >= 500:
        return "server_error"
    return {401: "unauthorized", 429: "limited"}.get(status, "client_error")
