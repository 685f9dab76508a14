"""Rules that decide what the responses of an API mean: wait, retry, renew the token, ignore, stop or fail."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from airflow_provider_oauth.api.recovery import Action
from airflow_provider_oauth.exceptions import ApiError, ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_oauth.api.recovery import Reply, RequestCounts

log = logging.getLogger(__name__)

#: Statuses that never end a list and never count as an empty page, because the token or a limit causes them.
NEVER_IGNORED = (401, 429)
#: Content types of rows that are not in one JSON document. ``when`` is not evaluated for them.
NOT_JSON = ("text/csv", "application/csv", "application/x-ndjson", "application/jsonl", "application/json-seq")

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, repr=False)
class ErrorRule:
    """What to do after a response that matches all conditions of the rule.

    The rules are tried in this order: those of the task, those of the vendor, :data:`DEFAULT_RULES`. The first one that
    matches is used. If none matches, a response with a status of 400 or above is an error.

    :param action: ``wait`` repeats the request after the time that the response names, until ``rate_limit_timeout``
        ends. ``retry`` does so until ``retry_timeout`` ends, but only if the request can be repeated without harm.
        ``renew`` renews the token and repeats the request once. ``ignore`` treats the first page as a list without
        rows. ``stop`` treats the previous page as the last one. ``fail`` fails the task. ``ignore`` and ``stop``
        have an effect only when a list is read
    :param status: the status, or several
    :param header: a header that the response must have, such as ``Retry-After``, or its name and value, such as
        ``X-RateLimit-Remaining: 0``. In the value, ``*`` stands for any text. Upper and lower case are not
        distinguished
    :param when: JMESPath that must find something in the JSON of the response: a value other than null, false and
        empty, for example ``code == 'invalid_page'``. Only the members at the root that it names are decoded. A
        response that is not JSON does not match. A response to which a function in the JMESPath cannot be applied does
        not match either, nor does an error response, or a response in JSON Lines or CSV, of more than 64 kB
    :param wait_for: seconds to wait before the request is repeated, if the response does not name a time. None for a
        wait of up to 1 second, which doubles with each repetition, up to 60 seconds
    :param first_page: whether ``stop`` may end the list before its first page, so that it has no rows
    :raises ConfigurationError: if the rule is invalid
    """

    action: Action
    status: int | Sequence[int] | None = None
    header: str | None = None
    when: str | None = None
    wait_for: float | None = None
    first_page: bool = False

    def __post_init__(self) -> None:
        """Check the rule when it is created."""
        if isinstance(self.status, Iterable) and not isinstance(self.status, str):
            # A list, for example from a file, has no hash, and the order of a set changes between processes.
            object.__setattr__(self, "status", tuple(sorted(self.status)))
        if problem := self._problem():
            raise ConfigurationError(f"{self!r} is not a valid error rule: {problem}.")
        if self.when is not None:
            from airflow_provider_oauth.extract.jmes import compiled  # only here: it is slow to import

            compiled(self.when, "ErrorRule: when")

    def __repr__(self) -> str:
        """Return the parameters that are set. Airflow stores this text with the DAG."""
        values = ((each.name, getattr(self, each.name), each.default) for each in fields(self)[1:])
        given = [f"{name}={value!r}" for name, value, default in values if value != default]
        return f"ErrorRule({', '.join([repr(self.action), *given])})"

    @cached_property
    def statuses(self) -> tuple[int, ...]:
        """The statuses that match; none if all match."""
        if self.status is None:
            return ()
        return (self.status,) if isinstance(self.status, int) else tuple(self.status)

    def needs_body(self, status: int) -> bool:
        """Return whether the rule may read the body of a response with this status."""
        return self.when is not None and (not self.statuses or status in self.statuses)

    def matches(self, reply: Reply) -> bool:
        """Return whether a response matches all conditions of the rule."""
        if self.statuses and reply.status not in self.statuses:
            return False
        if self.action in ("ignore", "stop") and reply.status in NEVER_IGNORED:
            return False
        if self.header is not None and not self._has_header(reply):
            return False
        return self.when is None or self._finds_something(reply, self.when)

    def _problem(self) -> str | None:
        """Return what is wrong with the rule, and what to do; None if nothing is."""
        if self.action not in get_args(Action):
            return f"action must be one of {', '.join(get_args(Action))}"
        if not self.statuses and self.header is None and self.when is None:
            return "it matches every response. Set status, header or when"
        if wrong := [each for each in self.statuses if type(each) is not int or not 100 <= each <= 599]:
            return f"status {wrong[0]!r} is not an HTTP status. Set it to a number from 100 to 599"
        if min(self.statuses, default=400) < 400 and self.header is None and self.when is None:
            return "it matches successful responses. Set header or when too"
        if self.action in ("ignore", "stop") and (found := set(NEVER_IGNORED) & set(self.statuses)):
            return f"status {min(found)} is never the end of a list. Use action 'wait', 'renew' or 'fail'"
        if self.header is not None and not self.header.partition(":")[0].strip():
            return "header has no name. Set it to a name, or to a name and a value, as in 'X-RateLimit-Remaining: 0'"
        if self.wait_for is not None and self.action not in ("wait", "retry"):
            return "wait_for has an effect only with action 'wait' or 'retry'. Remove it"
        if self.wait_for is not None and not (self.wait_for > 0 and math.isfinite(self.wait_for)):
            return "wait_for must be above 0 seconds"
        if self.first_page and self.action != "stop":
            return "first_page has an effect only with action 'stop'. Remove it"
        return None

    def _has_header(self, reply: Reply) -> bool:
        name, colon, pattern = (self.header or "").partition(":")
        value = reply.headers.get(name.strip())
        if value is None:
            return False
        # Only * has a special meaning, so [ and ? are escaped.
        escaped = pattern.strip().lower().replace("[", "[[]").replace("?", "[?]")
        return not colon or fnmatchcase(value.strip().lower(), escaped)

    def _finds_something(self, reply: Reply, when: str) -> bool:
        content_type = reply.headers.get("Content-Type", "")
        if reply.status < 400 and content_type.partition(";")[0].strip().lower() in NOT_JSON:
            return False
        from jmespath.exceptions import JMESPathError

        from airflow_provider_oauth.extract.jmes import compiled, root_members
        from airflow_provider_oauth.extract.rows import InvalidPage
        from airflow_provider_oauth.extract.text import utf8

        try:
            document = _document(utf8(reply.body, content_type), root_members(compiled(when, "when")))
            found = compiled(when, "when").search(document)
        except (InvalidPage, ValueError, RecursionError, JMESPathError):
            return False
        return found is not None and found is not False and found not in ("", [], {})


def follow_rule(error: ApiError, conn_id: str, counts: RequestCounts, *, is_first_page: bool) -> None:
    """End a list after a response to which a rule with the action ``ignore`` or ``stop`` applies.

    :param error: the error for the response
    :param conn_id: the connection ID, for the log
    :param counts: counts the responses that are ignored
    :param is_first_page: whether it is the response for the first page
    :raises ApiError: if rows could be lost
    """
    rule: ErrorRule = error.rule
    if rule.action == "ignore" and not is_first_page:
        raise ApiError(
            f"{error} {rule} applies only to the first page of a list. On a later page, it would lose the pages after "
            "that page. If this response is the end of the list, use action 'stop'.",
            error.status_code,
        ) from None
    if rule.action == "stop" and is_first_page and not rule.first_page:
        raise ApiError(
            f"{error} {rule} ends a list only after its first page. Correct the endpoint, or set first_page=True if "
            "this response means that the list has no rows.",
            error.status_code,
        ) from None
    if rule.action == "ignore":
        counts.ignored += 1
        log.warning("Connection %r: %s The response counts as a list without rows. Rule: %s.", conn_id, error, rule)
    else:
        log.info("Connection %r: %s The list ends here. Rule: %s.", conn_id, error, rule)


def _document(text: bytes, names: frozenset[str] | None) -> Any:
    """Return the members ``names`` of a JSON object; the whole JSON if ``names`` is None.

    :raises ValueError: if it is not JSON
    """
    start = text.lstrip()[:1]
    if names is not None and start == b"[":
        return []  # an array has no members, so its elements, which can be rows, need not be decoded
    if names is None or start != b"{":
        return json.loads(text)
    try:
        members = _members.decode(text)
    except (msgspec.DecodeError, RecursionError):  # msgspec rejects some valid JSON, see slice_rows
        return json.loads(text)
    return {name: json.loads(bytes(members[name])) for name in names if name in members}


#: The rules that are tried after those of the task and the vendor. After a broken connection, requests are repeated as
#: with ``retry``.
DEFAULT_RULES: tuple[ErrorRule, ...] = (
    ErrorRule("wait", status=429),
    ErrorRule("wait", status=403, header="Retry-After"),
    ErrorRule("wait", status=403, header="X-RateLimit-Remaining: 0"),
    ErrorRule("wait", status=403, header="X-Rate-Limit-Remaining: 0"),
    ErrorRule("wait", status=403, header="RateLimit-Remaining: 0"),
    ErrorRule("wait", status=403, header="RateLimit: *;r=0*"),
    ErrorRule("wait", status=403, header="RateLimit: *remaining=0*"),
    ErrorRule("retry", status=(502, 503, 504)),
)
