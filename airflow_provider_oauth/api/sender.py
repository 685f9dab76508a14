"""Sends requests with the library ``requests`` within the budget, and repeats them as ``recovery.py`` decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_oauth.api.errors import MAX_ERROR_BODY, TRANSPORT_ERRORS, read_error_body
from airflow_provider_oauth.api.rate_limit import pause
from airflow_provider_oauth.api.recovery import Recovery, RecoveryPolicy, Reply, RequestCounts
from airflow_provider_oauth.protocol.metrics import API_WAITS

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    import requests

    from airflow_provider_oauth.api.rate_limit import RateLimiter

#: The attribute of a response with the reason why its request was not repeated.
PROBLEM = "_oauth_problem"


class ApiSender:
    """Sends requests within the budget, and repeats them according to the rules.

    :param limiter: limits the rate of requests
    :param policy: when requests are repeated
    :param conn_id: the connection ID, for the log
    :param counts: counts the repetitions
    :param stop: ends the waits when it is set, because no response is needed any more; None if nothing ends them
    """

    def __init__(
        self,
        limiter: RateLimiter,
        policy: RecoveryPolicy,
        conn_id: str,
        counts: RequestCounts | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self._limiter = limiter
        self._policy = policy
        self._conn_id = conn_id
        self._counts = counts or RequestCounts()
        self._stop = stop

    def send(
        self,
        request: requests.PreparedRequest,
        send: Callable[[], requests.Response],
        renew: Callable[[requests.Response], bool] = lambda _: False,
        convert_error: Callable[[Exception, str], Exception] = lambda error, _: error,
    ) -> requests.Response:
        """Send a request as soon as the budget allows it, and repeat it as long as a rule requires it.

        :param request: the request; it is repeated only if its body can be sent again
        :param send: sends the request once
        :param renew: renews the token after a response, and returns whether the token has changed
        :param convert_error: converts an exception of the HTTP client to the one to raise; its second argument is the
            reason why the request was not repeated
        :return: the last response
        :raises Stopped: if the response is no longer needed and the request would have to wait
        """
        can_resend = isinstance(request.body, (str, bytes, type(None)))
        recovery = Recovery(
            self._policy,
            self._conn_id,
            request.method,
            can_resend=can_resend,
            counts=self._counts,
            clock=self._limiter.clock,
        )
        while True:
            if self._limiter.spend(request.method, self._stop):
                self._counts.report(API_WAITS, "budget")
            recovery.begin_attempt()
            response = None
            try:
                response = send()
                repeat = recovery.after_response(reply_of(response))
            except TRANSPORT_ERRORS as error:
                repeat = recovery.after_error(error)
                if repeat is None:
                    raise convert_error(error, recovery.problem) from None
            if repeat is not None and repeat.renew and response is not None:
                repeat = recovery.after_renewal(is_renewed=renew(response))
            if repeat is None and response is not None:
                setattr(response, PROBLEM, recovery.problem)
                return response
            if response is not None:
                response.close()
            if repeat is not None and repeat.hold:
                self._limiter.hold(repeat.seconds)
            elif repeat is not None and repeat.seconds:
                pause(self._limiter.clock, repeat.seconds, self._stop)


def reply_of(response: requests.Response) -> Reply:
    """Return the parts of a response that rules use. The body is read when a rule needs it."""

    def read_body() -> bytes:
        if (read_small := getattr(response, "read_small", None)) is not None:
            return bytes(read_small(MAX_ERROR_BODY))
        if response.status_code < 400:
            return response.content
        if vars(response)["_content"] is not False:
            return response.content if len(response.content) <= MAX_ERROR_BODY else b""
        # The request was sent with stream=True. The size of the response is not limited, so only its start is read.
        body = read_error_body(response)
        if len(body) > MAX_ERROR_BODY:
            vars(response)["_content_consumed"] = True  # reading the rest is an error, instead of an incomplete body
            return b""
        response._content = body
        return body

    return Reply(response.status_code, response.headers, read_body)


def problem_of(response: requests.Response) -> str:
    """Return why the request of a response was not repeated; "" if no rule required it."""
    return str(getattr(response, PROBLEM, ""))
