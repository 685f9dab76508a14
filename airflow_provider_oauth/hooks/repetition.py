"""The settings of a hook that decide when it repeats requests."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from airflow_provider_oauth.api.recovery import RecoveryPolicy, RequestCounts
from airflow_provider_oauth.extract.error_rules import DEFAULT_RULES
from airflow_provider_oauth.runtime.metrics import reporter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_oauth.extract.error_rules import ErrorRule
    from airflow_provider_oauth.presets.vendor import Vendor

#: Defaults of ``rate_limit_timeout`` and ``retry_timeout``, in seconds, if a list is read: starting again would cost
#: more than waiting.
LIST_RATE_LIMIT_TIMEOUT, LIST_RETRY_TIMEOUT = 300.0, 120.0


class RepeatsRequests:
    """Decides when a hook repeats requests. Its attributes can be set before the first request.

    The hook sets ``oauth_conn_id``.
    """

    oauth_conn_id: str

    @property
    def _vendors(self) -> Iterable[Vendor]:
        """The vendors whose values are the defaults; the first one that has a value is used."""
        raise NotImplementedError

    #: Rules for the API's responses. They are tried before those of the vendor's preset and the default ones.
    error_rules: Sequence[ErrorRule] = ()
    #: Whether a request of any method can be retried without harm. None: only if a list is read.
    repeatable: bool | None = None

    @property
    def rate_limit_timeout(self) -> float:
        """How long a request waits for limits of the API, for example after status 429, in seconds.

        Default: the vendor's value, otherwise 0, or 300 if a list is read.
        """
        return self._timeout("rate_limit_timeout", 0)

    @rate_limit_timeout.setter
    def rate_limit_timeout(self, seconds: float) -> None:
        self._timeouts["rate_limit_timeout"] = seconds

    @property
    def retry_timeout(self) -> float:
        """How long a request is retried after status 502, 503 or 504 or a broken connection, in seconds.

        Default: the vendor's value, otherwise 0, or 120 if a list is read.
        """
        return self._timeout("retry_timeout", 0)

    @retry_timeout.setter
    def retry_timeout(self, seconds: float) -> None:
        self._timeouts["retry_timeout"] = seconds

    def _timeout(self, name: str, default: float) -> float:
        value = self._timeouts.get(name)
        if value is not None:
            return value
        return next((float(value) for each in self._vendors if (value := getattr(each, name))), default)

    @cached_property
    def _timeouts(self) -> dict[str, float]:
        """The timeouts that were set on this hook."""
        return {}

    def recovery_policy(self, *, in_list: bool) -> RecoveryPolicy:
        """Return when requests of this hook are repeated.

        :param in_list: whether the requests read a list. Repeating them is then safe, and the pages that were read
            before are not lost
        """
        defaults = (LIST_RATE_LIMIT_TIMEOUT, LIST_RETRY_TIMEOUT) if in_list else (0, 0)
        vendor_rules = next((each.error_rules for each in self._vendors if each.error_rules), ())
        return RecoveryPolicy(
            rules=(*self.error_rules, *vendor_rules, *DEFAULT_RULES),
            rate_limit_timeout=self._timeout("rate_limit_timeout", defaults[0]),
            retry_timeout=self._timeout("retry_timeout", defaults[1]),
            repeatable=in_list if self.repeatable is None else self.repeatable,
            limit_headers=next((each.limit_headers for each in self._vendors if each.limit_headers), None),
        )

    @cached_property
    def counts(self) -> RequestCounts:
        """Counts how often requests of this hook waited for limits or were repeated."""
        return RequestCounts(report=reporter(self.oauth_conn_id))
