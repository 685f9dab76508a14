"""Conditions of the sensor and of the triggers."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from airflow_provider_oauth.exceptions import ApiError, ConfigurationError
from airflow_provider_oauth.extract.condition import check_condition, is_fulfilled


def response(body: bytes, content_type: str = "application/json") -> requests.Response:
    made = requests.Response()
    made.status_code, made._content, made.url = 200, body, "https://api.example.com/x?key=fake"
    made.headers["Content-Type"] = content_type
    return made


@pytest.mark.parametrize(
    ("until", "body", "expected"),
    [
        ("status == 'done'", {"status": "done"}, True),
        ("status == 'done'", {"status": "Done"}, False),
        ("status == 'done'", {}, False),
        ("status == 'done'", [], False),
        ("jobs[-1].state == 'ok' && !error", {"jobs": [{"state": "ok"}], "error": None}, True),
        ("contains(['done', 'failed'], status)", {"status": "failed"}, True),
        ("count > `0`", {"count": 1}, True),
        ("count > `0`", {}, False),
        # An absent member is false as the argument of a function too.
        ("length(items) > `0`", {}, False),
        ("starts_with(status, 'do')", {"status": None}, False),
        # Null, 0 and empty values are false. All other values are true.
        ("count", {"count": 0}, False),
        ("count", {"count": 2}, True),
        ("items", {"items": []}, False),
        ("items", {"items": [0]}, True),
        ("url", {"url": ""}, False),
        ("url", {"url": "https://…"}, True),
        ("job", {"job": {}}, False),
        ("missing", {}, False),
        ("ready", {"ready": False}, False),
    ],
)
def test_null_0_and_empty_values_are_false(until: str, body: Any, expected: bool) -> None:
    assert is_fulfilled(until, response(json.dumps(body).encode()), "my_api") is expected


@pytest.mark.parametrize("body", [b"", b" \r\n"])
def test_an_empty_response_fulfills_no_condition(body: bytes) -> None:
    assert is_fulfilled("!error", response(body), "my_api") is False


def test_the_encoding_is_that_of_json_and_not_that_of_a_web_page() -> None:
    assert is_fulfilled("stadt == 'Zürich'", response('{"stadt": "Zürich"}'.encode(), "text/html"), "my_api")
    assert is_fulfilled("stadt == 'Zürich'", response('\ufeff{"stadt": "Zürich"}'.encode()), "my_api")


def test_a_response_that_is_not_json_is_an_error_without_its_content() -> None:
    with pytest.raises(ApiError, match="is not JSON") as caught:
        is_fulfilled("a", response(b"<html>private</html>"), "my_api")
    assert "private" not in str(caught.value)


def test_a_function_of_a_wrong_type_is_an_error_without_the_value() -> None:
    with pytest.raises(ConfigurationError, match="^Connection 'my_api': until 'abs") as caught:
        is_fulfilled("abs(name)", response(b'{"name": "private"}'), "my_api")
    assert "private" not in str(caught.value)


@pytest.mark.parametrize(
    ("until", "problem"),
    [
        ("status = 'done'", "is not a valid JMESPath"),
        ("@odata.state", r'Write keys with special characters in quotes: "@odata.state"'),
        ("lenght(items) > `0`", "uses the function lenght, which JMESPath does not have"),
        ("a && b[?foo(@)]", "uses the function foo,"),
    ],
)
def test_an_invalid_condition_is_an_error_before_a_request(until: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        check_condition(until, "OAuthHttpSensor")
