"""Decides after each attempt to send a request to the API whether and when the request is repeated.

Nothing here sends or sleeps. ``sender.py`` and the asynchronous session act on the decisions.
"""

from __future__ import annotations

import logging
import random
import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol

from airflow_provider_oauth.api.wait_time import LimitHeaders, requested_wait
from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.protocol.metrics import API_REQUESTS, API_WAITS, no_report, status_outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow_provider_oauth.protocol.metrics import Report

log = logging.getLogger(__name__)

#: What to do after a response: see ``ErrorRule``.
Action = Literal["wait", "retry", "renew", "ignore", "stop", "fail"]
#: Maximum wait in seconds, if the API does not name one: before the first repetition, and before later ones.
FIRST_PAUSE, MAX_PAUSE = 1.0, 60.0
#: Methods that can be repeated without harm (RFC 9110 section 9.2.2).
IDEMPOTENT = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE")


@dataclass(frozen=True)
class Reply:
    """The parts of an API response that rules use.

    :param status: the HTTP status
    :param headers: the headers, with case-insensitive names
    :param read_body: reads the body; it is called only if a rule needs the body. It returns no body if an error
        response has more than ``MAX_ERROR_BODY`` bytes
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    read_body: Callable[[], bytes] = field(repr=False)

    @cached_property
    def body(self) -> bytes:
        """The body of the response."""
        return self.read_body()


class Rule(Protocol):
    """Defines what to do after certain responses. ``extract.error_rules.ErrorRule`` implements it."""

    @property
    def action(self) -> Action:
        """What to do."""

    @property
    def wait_for(self) -> float | None:
        """Seconds to wait before the request is repeated, if the response does not name a time."""

    def needs_body(self, status: int) -> bool:
        """Return whether the rule may read the body of a response with this status."""

    def matches(self, reply: Reply) -> bool:
        """Return whether the rule applies to a response."""


@dataclass(frozen=True, kw_only=True)
class RecoveryPolicy:
    """When requests are repeated.

    :param rules: the rules; the first one that matches a response is used
    :param rate_limit_timeout: how long to wait for the API's limits, in seconds, for each request
    :param retry_timeout: how long to retry a request after temporary errors, in seconds
    :param repeatable: whether requests of any method can be retried without harm. If false, only GET, HEAD, OPTIONS,
        PUT and DELETE requests are
    :param limit_headers: the vendor's own headers of its rate limit; None if it has none
    """

    rules: Sequence[Rule] = ()
    rate_limit_timeout: float = 0
    retry_timeout: float = 0
    repeatable: bool = False
    limit_headers: LimitHeaders | None = None

    def rule_for(self, reply: Reply) -> Rule | None:
        """Return the rule for a response; None if no rule matches."""
        return next((rule for rule in self.rules if rule.matches(reply)), None)

    def is_error(self, reply: Reply, *, in_list: bool = False) -> bool:
        """Return whether a response is an error, if its request is not repeated.

        :param reply: the response
        :param in_list: whether it is a page of a list, so that rules can ignore it or end the list
        """
        if reply.status >= 400:
            return True
        rule = self.rule_for(reply)
        return rule is not None and (in_list or rule.action not in ("ignore", "stop"))

    def can_retry(self, method: str | None) -> bool:
        """Return whether requests of a method can be retried without harm."""
        return self.repeatable or (method or "").upper() in IDEMPOTENT


@dataclass
class RequestCounts:
    """Counts the waits, retries and other repetitions of the requests of a hook.

    :param waits: how many times a request waited for a limit of the API
    :param waited: the seconds of these waits and of the waits before retries, in total
    :param retries: how many requests were retried after a temporary error
    :param renewals: how many requests were repeated with a renewed token because of a rule
    :param ignored: how many responses were treated as lists without rows
    :param report: reports metrics of the connection
    """

    waits: int = 0
    waited: float = 0.0
    retries: int = 0
    renewals: int = 0
    ignored: int = 0
    report: Report = field(default=no_report, repr=False, compare=False)
    #: The rules that have been logged.
    logged: set[Any] = field(default_factory=set, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, **numbers: float) -> None:
        """Add to the counts. Several threads can do this at the same time.

        :param numbers: what to add, by the name of the count
        """
        with self._lock:
            for name, number in numbers.items():
                setattr(self, name, getattr(self, name) + number)

    def summary(self) -> dict[str, float]:
        """Return the counts that are not 0."""
        names = ("waits", "waited", "retries", "renewals", "ignored")
        return {name: round(value, 1) for name in names if (value := getattr(self, name))}

    def is_first(self, rule: Any) -> bool:
        """Return whether a rule is applied for the first time, and remember the rule."""
        with self._lock:
            is_first = rule not in self.logged
            self.logged.add(rule)
        return is_first


@dataclass(frozen=True)
class Repeat:
    """The decision to send the request again.

    :param seconds: how long to wait before the request is sent, in seconds
    :param renew: whether to renew the token before the request is sent
    :param hold: whether other requests must wait too, because a limit of the API is reached
    """

    seconds: float = 0.0
    renew: bool = False
    hold: bool = False


class Recovery:
    """Decides after each attempt to send one request whether and when it is repeated.

    :param policy: when requests are repeated
    :param conn_id: the connection ID, for the log
    :param method: the HTTP method of the request
    :param can_resend: whether the body of the request can be sent again
    :param counts: counts the repetitions
    :param clock: measures time; tests replace it
    """

    def __init__(
        self,
        policy: RecoveryPolicy,
        conn_id: str,
        method: str | None,
        *,
        can_resend: bool = True,
        counts: RequestCounts | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._policy = policy
        self._conn_id = conn_id
        self._method = method
        self._can_resend = can_resend
        self._counts = counts or RequestCounts()
        self._clock = clock or Clock()
        self._attempt_at = self._clock.monotonic()
        self._waiting_since: float | None = None
        self._retrying_since: float | None = None
        self._pause = FIRST_PAUSE
        self._is_renewed = False
        #: Why the request is not repeated, and what to do, for the error; "" if no rule requires a repetition.
        self.problem = ""

    def begin_attempt(self) -> None:
        """Record that the request is sent now. Call this after the wait for the budget."""
        self._attempt_at = self._clock.monotonic()

    def after_response(self, reply: Reply) -> Repeat | None:
        """Return how to repeat the request; None if it is not repeated."""
        self.problem = ""
        rule = self._policy.rule_for(reply)  # this can read the body, and fail
        self._counts.report(API_REQUESTS, status_outcome(reply.status))
        if rule is None or rule.action in ("ignore", "stop", "fail"):
            return None
        if not self._can_resend:
            self.problem = body_problem()
            return None
        what = f"the API responded with status {reply.status}"
        if rule.action == "renew":
            return self._renew(rule, what)
        requested = requested_wait(reply.headers, self._clock.now(), self._policy.limit_headers)
        if rule.action == "wait":
            return self._wait(rule, what, requested)
        return self._retry(rule, what, requested, rule.wait_for)

    def after_error(self, error: Exception) -> Repeat | None:
        """Return how to repeat the request after an exception of the HTTP client; None if it is not repeated."""
        self._counts.report(API_REQUESTS, "failed")
        self.problem = ""
        from airflow_provider_oauth.api.errors import is_broken_connection  # only here: it imports aiohttp

        if not is_broken_connection(error) or not self._can_resend:
            return None
        return self._retry("broken connection", f"the connection broke ({type(error).__name__})", None, None)

    def after_renewal(self, *, is_renewed: bool) -> Repeat | None:
        """Return how to repeat the request after the token was renewed; None if it is not repeated.

        :param is_renewed: whether the token has changed
        """
        if not is_renewed:
            self.problem = token_problem(is_renewed=False)
            return None
        self._counts.add(renewals=1)
        return Repeat()

    def _renew(self, rule: Rule, what: str) -> Repeat | None:
        if self._is_renewed:
            self.problem = token_problem(is_renewed=True)
            return None
        self._is_renewed = True
        self._report(rule, "%s. Renewing the token and repeating the request.", what)
        return Repeat(renew=True)

    def _wait(self, rule: Rule, what: str, requested: float | None) -> Repeat | None:
        if self._waiting_since is None:  # the timeout includes the time of responses
            self._waiting_since = self._attempt_at
        seconds = requested or rule.wait_for or self._backoff()
        permitted, elapsed = self._policy.rate_limit_timeout, self._clock.monotonic() - self._waiting_since
        if elapsed + seconds > permitted:
            if permitted or requested:
                self.problem = limit_problem(seconds, permitted, elapsed)
            return None
        self._counts.add(waits=1, waited=seconds)
        self._report(rule, "%s. Repeating the request in %.0f s.", what, seconds)
        self._counts.report(API_WAITS, "limit")
        return Repeat(seconds, hold=True)

    def _retry(self, rule: Any, what: str, requested: float | None, wait_for: float | None) -> Repeat | None:
        permitted = self._policy.retry_timeout
        if not self._policy.can_retry(self._method):
            if permitted:
                self.problem = method_problem(self._method)
            return None
        now = self._clock.monotonic()
        if self._retrying_since is None:
            self._retrying_since = now
        seconds, elapsed = requested or wait_for or self._backoff(), now - self._retrying_since
        if elapsed + seconds > permitted:
            if permitted or requested:
                self.problem = retry_problem(seconds, permitted, elapsed)
            return None
        self._counts.add(retries=1, waited=seconds)
        self._report(rule, "%s. Repeating the request in %.0f s.", what, seconds)
        self._counts.report(API_WAITS, "retry")
        return Repeat(seconds)

    def _backoff(self) -> float:
        pause = random.uniform(self._pause / 2, self._pause)  # noqa: S311 - spreads load
        self._pause = min(2 * self._pause, MAX_PAUSE)
        return pause

    def _report(self, rule: Any, text: str, *args: Any) -> None:
        """Log what a rule does: at level INFO when the rule is applied for the first time, then at level DEBUG."""
        level = logging.INFO if self._counts.is_first(rule) else logging.DEBUG
        done = text % args
        log.log(
            level, "Connection %r: %s Rule: %s. Later repetitions are logged at level DEBUG.", self._conn_id, done, rule
        )


def body_problem() -> str:
    """Return why a request is not repeated if its body cannot be read again, for example because it is a file."""
    return "The request was not repeated, because its body cannot be read again. Pass the body as text or bytes"


def method_problem(method: str | None) -> str:
    """Return why a request that may change data is not repeated."""
    return (
        f"The {method} request was not repeated, because the API may have carried it out. If it can be carried out "
        "twice without harm, set repeatable=True"
    )


def token_problem(*, is_renewed: bool) -> str:
    """Return why a request is not repeated with another token.

    :param is_renewed: whether it was repeated with another token before
    """
    if is_renewed:
        return "The request was repeated with another token, which the API does not accept either. Check the error rule"
    return "The token was not renewed, because this process renewed it less than a minute ago. Check the error rule"


def limit_problem(seconds: float, permitted: float, elapsed: float) -> str:
    """Return why a request does not wait for a limit of the API.

    :param seconds: the wait that the API requires
    :param permitted: ``rate_limit_timeout``
    :param elapsed: the seconds since the first attempt
    """
    return (
        f"The API requires a wait of {_number(seconds)} s, but rate_limit_timeout permits {_number(permitted)} s for "
        f"each request, of which {elapsed:.0f} s have passed. Increase rate_limit_timeout, or send fewer requests"
    )


def retry_problem(seconds: float, permitted: float, elapsed: float) -> str:
    """Return why a request is not retried.

    :param seconds: the wait before the next attempt
    :param permitted: ``retry_timeout``
    :param elapsed: the seconds since the first failure
    """
    return (
        f"The next attempt would be in {_number(seconds)} s, but retry_timeout permits {_number(permitted)} s, of "
        f"which {elapsed:.0f} s have passed. Increase retry_timeout if the API needs longer to recover"
    )


def _number(seconds: float) -> str:
    return f"{seconds:.1f}".removesuffix(".0")
