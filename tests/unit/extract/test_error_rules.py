"""Error rules: which are valid, and which responses they match."""

from __future__ import annotations

import json
from typing import Any

import pytest
from requests.structures import CaseInsensitiveDict

from airflow_provider_oauth.api.recovery import RecoveryPolicy, Reply
from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.extract import error_rules
from airflow_provider_oauth.extract.error_rules import DEFAULT_RULES, ErrorRule


def reply(status: int = 200, body: Any = b"", **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, CaseInsensitiveDict(named), lambda: content)


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ({"action": "skip", "status": 404}, "action must be one of wait, retry, renew, ignore, stop, fail"),
        ({"action": "fail"}, "it matches every response"),
        ({"action": "fail", "status": ()}, "it matches every response"),
        ({"action": "fail", "status": 700}, "status 700 is not an HTTP status"),
        ({"action": "fail", "status": "403"}, "is not an HTTP status"),
        ({"action": "ignore", "status": 200}, "it matches successful responses"),
        ({"action": "ignore", "status": 401}, "status 401 is never the end of a list"),
        ({"action": "ignore", "status": [404, 429]}, "status 429 is never the end of a list"),
        ({"action": "stop", "status": 429}, "status 429 is never the end of a list"),
        ({"action": "wait", "header": ": 0"}, "header has no name"),
        ({"action": "fail", "status": 400, "wait_for": 3}, "wait_for has an effect only with"),
        ({"action": "wait", "status": 400, "wait_for": 0}, "wait_for must be above 0"),
        ({"action": "wait", "status": 400, "wait_for": float("inf")}, "wait_for must be above 0"),
        ({"action": "fail", "status": 400, "first_page": True}, "first_page has an effect only with"),
        ({"action": "fail", "when": "a["}, "is not a valid JMESPath"),
    ],
)
def test_an_invalid_rule_is_an_error_when_it_is_created(rule: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem.replace("(", r"\(")):
        ErrorRule(**rule)


def test_the_repr_contains_only_what_is_set_in_a_fixed_order() -> None:
    rule = ErrorRule("wait", status={503, 429, 403}, header="X-Left: 0", wait_for=3)
    assert repr(rule) == "ErrorRule('wait', status=(403, 429, 503), header='X-Left: 0', wait_for=3)"
    assert hash(rule) == hash(ErrorRule("wait", status=[403, 429, 503], header="X-Left: 0", wait_for=3))


@pytest.mark.parametrize(
    ("rule", "response", "matches"),
    [
        (ErrorRule("fail", status=404), reply(404), True),
        (ErrorRule("fail", status=(400, 404)), reply(404), True),
        (ErrorRule("fail", status=404), reply(400), False),
        (ErrorRule("wait", header="x-left"), reply(X_Left="7"), True),
        (ErrorRule("wait", header="X-Left: 0"), reply(X_Left=" 0 "), True),
        (ErrorRule("wait", header="X-Left: 0"), reply(X_Left="10"), False),
        (ErrorRule("wait", header="X-Left: 0"), reply(), False),
        (ErrorRule("wait", header="X-Left: *r=0*"), reply(X_Left="a;R=0;t=1"), True),
        (ErrorRule("wait", header="X-Left: [0]?"), reply(X_Left="[0]?"), True),
        (ErrorRule("wait", header="X-Left: [0]"), reply(X_Left="0"), False),
        (ErrorRule("ignore", when="a"), reply(401, {"a": 1}), False),
        (ErrorRule("stop", when="a"), reply(429, {"a": 1}), False),
        (ErrorRule("fail", when="a"), reply(body={"a": 0}), True),
        (ErrorRule("fail", when="a"), reply(body={"a": False}), False),
        (ErrorRule("fail", when="a"), reply(body={"a": []}), False),
        (ErrorRule("fail", when="a"), reply(body={"b": 1}), False),
        (ErrorRule("fail", when="errors[0].code == '601'"), reply(body={"errors": [{"code": "601"}]}), True),
        (ErrorRule("fail", when="[0].code == 'X'"), reply(400, [{"code": "X"}]), True),
        (ErrorRule("fail", when="code == 'X'"), reply(body=[{"code": "X"}]), False),
        (ErrorRule("fail", when="contains(message, 'x')"), reply(403, {"message": None}), False),
        (ErrorRule("fail", when="contains(message, 'x')"), reply(403, {"message": "x"}), True),
        (ErrorRule("fail", when="a"), reply(400, b"<html>"), False),
        (ErrorRule("fail", when="a"), reply(400, b"\xff"), False),
        (ErrorRule("fail", when="a"), reply(400, b'{"a": "\\ud800"}'), True),  # json accepts what msgspec rejects
        (ErrorRule("fail", when="a"), reply(body=b'{"a": 1}\n', Content_Type="application/x-ndjson"), False),
        (ErrorRule("fail", status=400, when="a"), reply(500, {"a": 1}), False),
    ],
)
def test_a_rule_matches_if_all_its_conditions_do(rule: ErrorRule, response: Reply, matches: bool) -> None:
    assert rule.matches(response) is matches


def test_only_the_members_that_when_names_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[bytes] = []
    monkeypatch.setattr(error_rules.json, "loads", lambda text: decoded.append(text))
    body = b'{"success": false, "rows": [{"id": 1}], "errors": [{"code": "601"}]}'
    ErrorRule("fail", when="success == `false` && errors[0].code").matches(reply(body=body))
    assert sorted(decoded) == [b'[{"code": "601"}]', b"false"]


def test_the_body_is_not_read_if_another_condition_does_not_match() -> None:
    def fail() -> bytes:
        raise AssertionError

    assert not ErrorRule("fail", status=400, when="a").matches(Reply(200, {}, fail))


@pytest.mark.parametrize(
    ("response", "action"),
    [
        (reply(200), None),
        (reply(404), None),
        (reply(500), None),
        (reply(429), "wait"),
        (reply(403), None),
        (reply(403, Retry_After="3"), "wait"),
        (reply(403, X_RateLimit_Remaining="0"), "wait"),
        (reply(403, X_RateLimit_Remaining="10"), None),
        (reply(403, X_Rate_Limit_Remaining="0"), "wait"),
        (reply(403, RateLimit_Remaining="0"), "wait"),
        (reply(403, RateLimit='"a";r=0;t=3'), "wait"),
        (reply(403, RateLimit="limit=10, remaining=0, reset=3"), "wait"),
        (reply(403, RateLimit='"a";r=5;t=3'), None),
        (reply(502), "retry"),
        (reply(503), "retry"),
        (reply(504), "retry"),
    ],
)
def test_the_default_rules(response: Reply, action: str | None) -> None:
    rule = RecoveryPolicy(rules=DEFAULT_RULES).rule_for(response)
    assert (rule and rule.action) == action
