"""What errors quote from a response, and which tokens are rejected."""

from __future__ import annotations

import base64

import pytest

from airflow_provider_oauth.exceptions import (
    TokenResponseError,
)
from tests.unit.protocol.test_refusals import FORM, GRANTS, HTML, failed, parse, refused, shown

#: Bodies that contain a token in an unknown place.
BODIES = {
    "XML": (b"<Access_Token><Token>AAAA-token</Token></Access_Token>", "text/xml"),
    "HTML": (b'<pre>{"access_token":"AAAA-token"}</pre>', "text/html"),
    "text": (b"AAAA-token", "text/plain"),
    "form as text": (b"oauth_token=AAAA-token", "text/plain"),
    "form": (b"token=AAAA-token&message=AAAA-token&error_description=AAAA-token", FORM["Content-Type"]),
    "JSON": (b'{"token": "AAAA-token"}', "application/json"),
    "nested": (b'{"data": {"access_token": "AAAA-token"}}', "application/json"),
    "list": (b'["AAAA-token"]', "application/json"),
    "string": (b'"AAAA-token"', "application/json"),
    "message": (b'{"message": "AAAA-token", "detail": "AAAA-token", "hint": "AAAA-token"}', "application/json"),
    "description": (b'{"error_description": "AAAA-token", "title": "AAAA-token"}', "application/json"),
    "error object": (b'{"error": {"code": "AAAA-token", "message": "AAAA-token"}}', "application/json"),
    "error list": (b'{"error": ["AAAA-token"], "error_description": "AAAA-token"}', "application/json"),
    "form error": (b"error=AAAA-token&error_description=AAAA-token", FORM["Content-Type"]),
    "form error as text": (b"error=AAAA-token&error_description=AAAA-token", "text/plain"),
    "error": (b'{"error": "odd", "message": "AAAA-token", "error_uri": "AAAA-token"}', "application/json"),
    "content type": (b"{}", "AAAA-token"),
    "parameter": (b"{}", "text/plain; a=AAAA-token"),
}
every_body = pytest.mark.parametrize(("body", "content_type"), BODIES.values(), ids=list(BODIES))


@every_body
@pytest.mark.parametrize("status", [200, 201, 206])
@pytest.mark.parametrize("grant", ["client_credentials", "authorization_code"])
def test_quotes_of_a_successful_response_never_contain_a_possible_token(
    body: bytes, content_type: str, status: int, grant: str
) -> None:
    error = failed(grant, status, body=body, headers={"Content-Type": content_type})

    assert "AAAA" not in shown(error)


@pytest.mark.parametrize(
    ("content_type", "named"),
    [
        ("text/csv; charset=utf-8", "text/csv"),
        ("application/vnd.api+json", "application/vnd.api+json"),
        ("", "missing or invalid"),
        ("text", "missing or invalid"),
        ("a b/c", "missing or invalid"),
        ("x" * 61 + "/y", "missing or invalid"),
    ],
)
def test_quotes_of_a_successful_response_contain_its_content_type(content_type: str, named: str) -> None:
    error = failed("client_credentials", 200, body=b"<a/>", headers={"Content-Type": content_type})

    assert type(error) is TokenResponseError
    assert "responded with status 200 but without an access token." in str(error)
    assert f"(Content type: {named}, URL: https://login.example.com/token)" in str(error)


def test_quotes_of_a_successful_response_contain_error_and_error_description() -> None:
    error = refused(
        "refresh_token", 200, {"error": "odd", "error_description": "Words.", "message": "m", "error_uri": "u"}
    )

    assert (error.error, error.error_description, error.error_uri) == ("odd", "Words.", None)
    assert "with status 200 and error 'odd'." in str(error)
    assert "The server's message: 'Words.'" in str(error)


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("member", ["access_token", "refresh_token", "id_token"])
def test_quotes_never_contain_a_token_of_the_same_response(member: str, status: int) -> None:
    error = refused("refresh_token", status, {"error": "odd", "error_description": "AAAA-token!", member: "AAAA-token"})

    assert error.error_description == "***!"
    assert "AAAA" not in shown(error)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 500])
@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"<html><p>AAAA</p></html>", HTML),
        (b"AAAA", {"Content-Type": "text/plain"}),
        (b'{"data": "AAAA", "errors": [{"message": "AAAA"}], "error": {"data": "AAAA"}}', None),
        (b'{"error": "x", "reason": "AAAA", "message": {"text": "AAAA"}, "detail": ["AAAA"]}', None),
        (b'{"error": ["AAAA"]}', None),
        (b'["AAAA"]', None),
        (b"data=AAAA", FORM),
        (b'{"error": "x", "data": "AAAA"', None),
    ],
)
def test_quotes_of_an_error_response_contain_no_unknown_member(
    status: int, body: bytes, headers: dict[str, str] | None
) -> None:
    assert "AAAA" not in shown(refused("refresh_token", status, body=body, headers=headers))


@pytest.mark.parametrize("name", ["error_description", "message", "detail", "title", "hint"])
def test_quotes_of_an_error_response_contain_the_known_members(name: str) -> None:
    assert refused("refresh_token", 400, {name: "Words."}).error_description == "Words."
    assert refused("refresh_token", 400, {"error": {name: "Words."}}).error_description == "Words."
    body = f"error=odd&{name}=Words.".encode()
    assert refused("refresh_token", 400, body=body, headers=FORM).error_description == "Words."


def test_quotes_of_a_redirect_contain_only_http_urls() -> None:
    text = str(failed("client_credentials", 307, headers={"Location": "data:text/plain,AAAA"}))

    assert text.endswith("redirected to an invalid URL. Check Token URL. (URL: https://login.example.com/token)")


def test_quotes_of_a_redirect_to_the_same_url_contain_no_advice_to_set_it() -> None:
    text = str(failed("client_credentials", 307, headers={"Location": "/token"}))

    assert text.endswith(
        "redirected to https://login.example.com/token. Check Token URL. (URL: https://login.example.com/token)"
    )


@pytest.mark.parametrize("member", ["access_token", "refresh_token", "id_token"])
@pytest.mark.parametrize("grant", GRANTS)
def test_tokens_of_more_than_64_kb_are_rejected(grant: str, member: str) -> None:
    longest = "a" * 65536

    assert parse(grant, 200, {"access_token": "fake", member: longest})
    error = failed(grant, 200, {"access_token": "fake", member: longest + "a"})

    assert type(error) is TokenResponseError
    assert str(error).partition(". ")[0].endswith("token that is longer than 64 kB")
    assert "aaa" not in str(error)


@pytest.mark.parametrize("token", ["\ud800", "fake-\udfff-token", "\udc00\ud800"])
@pytest.mark.parametrize("grant", GRANTS)
def test_tokens_with_an_unpaired_surrogate_are_rejected(grant: str, token: str) -> None:
    error = failed(grant, 200, {"access_token": "fake", "refresh_token": token})

    assert type(error) is TokenResponseError
    assert str(error) == (
        "Connection 'shop': the token endpoint issued a refresh token that contains an unpaired surrogate (\\ud800 "
        "to \\udfff), so it cannot be stored or sent. Report this to the server's operator. (URL: https://login.example.com/token)"
    )


def test_tokens_with_a_surrogate_pair_are_accepted() -> None:
    body = b'{"access_token": "fake", "refresh_token": "fake-\\ud83d\\ude00"}'

    assert parse("refresh_token", 200, body=body).refresh_token == "fake-\U0001f600"


def test_an_unpaired_surrogate_in_an_access_token_is_rejected() -> None:
    assert "cannot be sent in a header" in str(failed("client_credentials", 200, {"access_token": "fake-\ud800"}))


def test_an_unpaired_surrogate_in_the_subject_is_replaced() -> None:
    claims = base64.urlsafe_b64encode(b'{"sub": "anna\\ud800"}').decode().rstrip("=")

    token = parse("authorization_code", 200, {"access_token": "fake", "id_token": f"h.{claims}.s"})

    assert token.subject == "anna\ufffd"


def test_unpaired_surrogates_outside_of_tokens_are_replaced() -> None:
    token = parse(
        "refresh_token", 200, {"access_token": "fake", "token_type": "Bearer\ud800", "scope": "read\udfff write"}
    )

    assert (token.token_type, token.scope) == ("Bearer\ufffd", "read\ufffd write")
    assert parse("refresh_token", 200, {"access_token": "fake", "scope": ["a\ud800"]}).scope == "a\ufffd"


@pytest.mark.parametrize("member", ["error", "error_description", "message", "error_uri"])
@pytest.mark.parametrize("status", [200, 400])
def test_unpaired_surrogates_in_an_error_are_not_quoted(member: str, status: int) -> None:
    error = refused("refresh_token", status, {"error": "odd", member: "a\ud800b"})

    shown(error).encode()


@pytest.mark.parametrize("path", ["sum(a)", "a[0] < a[1]", "a[::0]"])
def test_a_response_map_that_fails_on_a_response_finds_nothing(path: str) -> None:
    content = {"access_token": "fake", "a": [1, "x", None]}

    assert parse("client_credentials", 200, content, response_map={"base_url": path}).base_url is None
