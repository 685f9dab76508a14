"""How refusals are classified, what is quoted from them, and which advice they carry."""

from __future__ import annotations

import base64
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from requests.structures import CaseInsensitiveDict

from airflow_provider_oauth.exceptions import (
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    OAuthError,
    TokenRequestError,
    TokenResponseError,
    UnauthorizedClient,
    UnrecognizedRefusal,
    UnsupportedGrantType,
    WrongPassword,
    from_event,
    to_event,
)
from airflow_provider_oauth.protocol.token_requests import (
    TokenRequest,
    code_request,
    grant_request,
    refresh_request,
    revocation_request,
)
from airflow_provider_oauth.protocol.token_responses import (
    HttpResponse,
    parse_revocation_response,
    parse_token_response,
)
from tests.connections import oauth_config
from tests.fake_clock import START

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token import Token

GRANTS = ("refresh_token", "client_credentials", "password", "authorization_code")
#: Statuses that say nothing about the credentials.
OTHER_STATUSES = (402, 404, 405, 406, 407, 408, 409, 410, 413, 415, 418, 421, 422, 425, 431, 451)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
HTML = {"Content-Type": "text/html"}


config = partial(
    oauth_config, revoke_url="https://login.example.com/revoke", username="anna", user_password="fake-password"
)


def request_by(grant: str, settings: OAuthConfig) -> TokenRequest:
    if grant == "refresh_token":
        return refresh_request(settings, "fake-refresh", now=START)
    if grant == "authorization_code":
        return code_request(
            settings, "fake-code", "https://airflow.example.com/oauth/callback", "fake-verifier", now=START
        )
    return grant_request(settings, now=START)


def parse(
    grant: str, status: int, content: Any = None, *, body: bytes | None = None, headers: Any = None, **changes: Any
) -> Token:
    settings = config(grant_type=grant, **changes)
    answer = HttpResponse(
        status_code=status,
        headers=CaseInsensitiveDict(headers or {"Content-Type": "application/json"}),
        body=json.dumps(content).encode() if body is None else body,
        sent_at=START,
    )
    return parse_token_response(settings, request_by(grant, settings), answer)


def refused(*args: Any, **kwargs: Any) -> TokenRequestError:
    with pytest.raises(TokenRequestError) as raised:
        parse(*args, **kwargs)
    assert str(raised.value).startswith("Connection 'shop': the token endpoint refused")
    assert str(raised.value).endswith(" (URL: https://login.example.com/token)")
    return raised.value


def failed(*args: Any, **kwargs: Any) -> OAuthError:
    with pytest.raises(OAuthError) as raised:
        parse(*args, **kwargs)
    return raised.value


def shown(error: OAuthError) -> str:
    """Return all that people and Airflow can see of an error."""
    return "\n".join([str(error), repr(error), repr(vars(error)), repr(to_event(error))])


class TestVendorsWords:
    #: Status and body of a refused refresh, by vendor, and the code that is shown.
    REFRESH = {  # noqa: RUF012
        "HubSpot": (400, {"status": "BAD_REFRESH_TOKEN", "message": "missing or invalid refresh token"}),
        "HubSpot, no message": (400, {"status": "BAD_REFRESH_TOKEN"}),
        "GitHub": (200, {"error": "bad_refresh_token", "error_description": "The refresh token passed is incorrect."}),
        "Slack": (200, {"ok": False, "error": "invalid_refresh_token"}),
        "Fitbit": (400, {"errors": [{"errorType": "invalid_grant", "message": "Refresh token invalid"}]}),
        "Strava": (
            400,
            {
                "message": "Bad Request",
                "errors": [{"resource": "RefreshToken", "field": "refresh_token", "code": "invalid"}],
            },
        ),
        "Strava, as reported": (
            400,
            {"message": "Bad Request", "errors": [{"resource": "RefreshToken", "code": "invalid"}]},
        ),
        "Follow Up Boss, invalid": (400, {"error": "invalid-refresh-token"}),
        "Follow Up Boss, expired": (401, {"error": "expired-refresh-token"}),
        "Microsoft, interaction": (400, {"error": "interaction_required"}),
        "Microsoft, consent": (400, {"error": "consent_required"}),
        "Microsoft, login": (400, {"error": "login_required"}),
        "Twitch": (400, {"error": "Bad Request", "status": 400, "message": "Invalid refresh token"}),
        "Square": (401, {"message": "Invalid refresh token", "type": "service.not_authorized"}),
        "league": (400, {"error": "bad_request", "message": "The refresh token is invalid."}),
    }
    every_vendor = pytest.mark.parametrize(("status", "content"), REFRESH.values(), ids=list(REFRESH))

    @every_vendor
    @pytest.mark.parametrize("connection", ["refresh_token", "authorization_code", "password"])
    def test_for_a_refused_refresh_token_are_an_invalid_grant(
        self, status: int, content: dict[str, Any], connection: str
    ) -> None:
        settings = config(grant_type=connection, use_refresh=True)
        answer = HttpResponse(status_code=status, headers={}, body=json.dumps(content).encode(), sent_at=START)

        with pytest.raises(InvalidGrant) as raised:
            parse_token_response(settings, refresh_request(settings, "fake-refresh", now=START), answer)

        assert type(raised.value) is InvalidGrant
        assert "The refresh token is invalid, expired, revoked or already used." in str(raised.value)

    @pytest.mark.parametrize("vendor", sorted(set(REFRESH) - {"Fitbit"}))  # whose word is that of the RFC
    @pytest.mark.parametrize("grant", ["client_credentials", "authorization_code"])
    def test_for_a_refused_refresh_token_mean_nothing_without_one(self, vendor: str, grant: str) -> None:
        status, content = self.REFRESH[vendor]

        assert not isinstance(refused(grant, status, content), InvalidGrant)

    @pytest.mark.parametrize(
        ("content", "code"),
        [
            ({"status": "BAD_REFRESH_TOKEN"}, "BAD_REFRESH_TOKEN"),
            ({"errors": [{"errorType": "invalid_grant"}]}, "invalid_grant"),
            ({"error": "Bad Request", "message": "Invalid refresh token"}, "Bad Request"),
        ],
    )
    def test_are_shown(self, content: dict[str, Any], code: str) -> None:
        error = refused("refresh_token", 400, content)

        assert error.error == code
        assert f"with status 400 and error '{code}'." in str(error)

    @pytest.mark.parametrize(
        ("status", "content"),
        [
            (200, {"ok": False, "error": "bad_client_secret"}),
            (200, {"ok": False, "error": "invalid_client_id"}),
            (200, {"error": "incorrect_client_credentials"}),
            (400, {"message": "Bad Request", "errors": [{"resource": "Application", "code": "invalid"}]}),
            (400, {"errors": [{"errorType": "invalid_client"}]}),
        ],
    )
    @pytest.mark.parametrize("grant", GRANTS)
    def test_for_a_refused_client_are_an_invalid_client(self, status: int, content: dict[str, Any], grant: str) -> None:
        assert type(refused(grant, status, content)) is InvalidClient

    @pytest.mark.parametrize("errors", ["text", 5, {}, [], ["text"], [None], [{"errorType": ["x"]}], [{"code": {}}]])
    def test_are_looked_for_in_every_shape_without_a_crash(self, errors: Any) -> None:
        assert type(refused("refresh_token", 400, {"errors": errors})) is UnrecognizedRefusal

    @pytest.mark.parametrize("busy", [429, 500, 503])
    @every_vendor
    def test_mean_nothing_from_a_busy_server(self, status: int, content: dict[str, Any], busy: int) -> None:
        error = refused("refresh_token", busy, content)

        assert type(error) is TokenRequestError
        assert error.retryable


class TestUnknownWords:
    @pytest.mark.parametrize("status", [400, 401, 403])
    @pytest.mark.parametrize("grant", ["refresh_token", "authorization_code"])
    @pytest.mark.parametrize(
        ("body", "headers"),
        [
            (b"", {}),
            (b" \r\n", HTML),
            (b"null", None),
            (b"{}", None),
            (b"[]", None),
            (b'"no"', None),
            (b'{"error": "odd"}', None),
            (b'{"message": "no"}', None),
            (b"reason=no", FORM),
            (b"error=odd", FORM),
        ],
    )
    def test_are_an_unrecognized_refusal(
        self, grant: str, status: int, body: bytes, headers: dict[str, str] | None
    ) -> None:
        error = refused(grant, status, body=body, headers=headers)

        assert type(error) is UnrecognizedRefusal
        assert not isinstance(error, AirflowFailException)
        assert not error.retryable
        assert type(from_event(to_event(error))) is UnrecognizedRefusal

    @pytest.mark.parametrize("status", [400, 403])
    @pytest.mark.parametrize("grant", ["password", "client_credentials"])
    @pytest.mark.parametrize("body", [b"", b"{}", b'{"error": "odd"}'])
    def test_are_an_unrecognized_refusal_of_a_repeatable_grant_too(self, grant: str, status: int, body: bytes) -> None:
        assert type(refused(grant, status, body=body)) is UnrecognizedRefusal

    @pytest.mark.parametrize("body", [b"", b"{}", b'{"error": "odd"}', b"<h1>Unauthorized</h1>"])
    def test_with_401_are_the_credentials_of_a_repeatable_grant(self, body: bytes) -> None:
        # RFC 6749 section 5.2: 401 is about credentials. To try them again may lock the account.
        assert type(refused("password", 401, body=body)) is WrongPassword
        assert type(refused("client_credentials", 401, body=body)) is InvalidClient

    @pytest.mark.parametrize("grant", GRANTS)
    @pytest.mark.parametrize("content", [{"error": "odd"}, {"ok": False, "error": "odd"}, {"error": {"code": "odd"}}])
    def test_with_a_successful_status_are_an_unrecognized_refusal(self, grant: str, content: dict[str, Any]) -> None:
        assert type(refused(grant, 200, content)) is UnrecognizedRefusal

    @pytest.mark.parametrize("status", [400, 403])
    @pytest.mark.parametrize("grant", GRANTS)
    @pytest.mark.parametrize("body", [b"<!doctype html><p>No</p>", b" <p>", b"Access denied", b"\xff\xfe"])
    def test_in_a_page_may_be_from_a_proxy_so_airflow_retries(self, grant: str, status: int, body: bytes) -> None:
        error = refused(grant, status, body=body, headers=HTML)

        assert type(error) is TokenRequestError
        assert str(error).endswith(
            "it may be from a proxy or a firewall. Check Token URL. (URL: https://login.example.com/token)"
        )

    def test_in_a_page_with_401_are_retried_for_a_refresh(self) -> None:
        assert type(refused("refresh_token", 401, body=b"<h1>Unauthorized</h1>", headers=HTML)) is TokenRequestError

    @pytest.mark.parametrize("status", OTHER_STATUSES)
    @pytest.mark.parametrize("grant", GRANTS)
    @pytest.mark.parametrize("body", [b"", b"{}", b'{"error": "odd"}', b"<p>"])
    def test_with_another_status_are_retried_by_airflow(self, grant: str, status: int, body: bytes) -> None:
        error = refused(grant, status, body=body)

        assert type(error) is TokenRequestError
        assert not isinstance(error, AirflowFailException)

    @pytest.mark.parametrize("status", [200, 400, 403, *OTHER_STATUSES])
    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            ("invalid_request", InvalidRequest),
            ("invalid_client", InvalidClient),
            ("invalid_grant", InvalidGrant),
            ("unauthorized_client", UnauthorizedClient),
            ("unsupported_grant_type", UnsupportedGrantType),
            ("invalid_scope", InvalidScope),
        ],
    )
    def test_are_not_looked_for_where_there_is_a_code_of_rfc_6749(
        self, code: str, kind: type[OAuthError], status: int
    ) -> None:
        assert type(refused("refresh_token", status, {"error": code})) is kind

    @pytest.mark.parametrize(
        "code",
        [
            "invalid_target",
            "server_error",
            "temporarily_unavailable",
            "slow_down",
            "use_dpop_nonce",
            "invalid_dpop_proof",
        ],
    )
    @pytest.mark.parametrize("status", [200, 400])
    def test_are_not_the_codes_of_other_rfcs(self, code: str, status: int) -> None:
        assert type(refused("refresh_token", status, {"error": code})) is TokenRequestError

    @pytest.mark.parametrize(
        ("status", "kind"), [(400, TokenRequestError), (403, TokenRequestError), (401, InvalidClient)]
    )
    def test_of_a_refused_revocation_are_an_error(self, status: int, kind: type[OAuthError]) -> None:
        settings = config()
        request = revocation_request(settings, "fake-refresh", "refresh_token", now=START)
        answer = HttpResponse(status_code=status, headers={}, body=b"", sent_at=START)

        with pytest.raises(TokenRequestError) as raised:
            parse_revocation_response(settings, request, answer)

        assert type(raised.value) is kind


class TestQuotes:
    #: Bodies with a token of a kind that this package does not know.
    BODIES = {  # noqa: RUF012
        "XML": (b"<Access_Token><Token>AAAA-token</Token></Access_Token>", "text/xml"),
        "HTML": (b'<pre>{"access_token":"AAAA-token"}</pre>', "text/html"),
        "text": (b"AAAA-token", "text/plain"),
        "form as text": (b"access_token=AAAA-token", "text/plain"),
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
        "error": (b'{"error": "odd", "message": "AAAA-token", "error_uri": "AAAA-token"}', "application/json"),
        "content type": (b"{}", "AAAA-token"),
        "parameter": (b"{}", "text/plain; a=AAAA-token"),
    }
    every_body = pytest.mark.parametrize(("body", "content_type"), BODIES.values(), ids=list(BODIES))

    @every_body
    @pytest.mark.parametrize("status", [200, 201, 206])
    @pytest.mark.parametrize("grant", ["client_credentials", "authorization_code"])
    def test_from_a_successful_response_never_contain_what_may_be_a_token(
        self, body: bytes, content_type: str, status: int, grant: str
    ) -> None:
        error = failed(grant, status, body=body, headers={"Content-Type": content_type})

        assert "AAAA" not in shown(error)

    @pytest.mark.parametrize(
        ("content_type", "named"),
        [
            ("text/xml; charset=utf-8", "text/xml"),
            ("application/vnd.api+json", "application/vnd.api+json"),
            ("", "missing or invalid"),
            ("text", "missing or invalid"),
            ("a b/c", "missing or invalid"),
            ("x" * 61 + "/y", "missing or invalid"),
        ],
    )
    def test_from_a_successful_response_contain_its_content_type(self, content_type: str, named: str) -> None:
        error = failed("client_credentials", 200, body=b"<a/>", headers={"Content-Type": content_type})

        assert type(error) is TokenResponseError
        assert "responded with status 200 but without an access token." in str(error)
        assert f"(Content type: {named}, URL: https://login.example.com/token)" in str(error)

    def test_from_a_successful_response_contain_error_and_error_description(self) -> None:
        error = refused(
            "refresh_token", 200, {"error": "odd", "error_description": "Words.", "message": "m", "error_uri": "u"}
        )

        assert (error.error, error.error_description, error.error_uri) == ("odd", "Words.", None)
        assert "with status 200 and error 'odd'." in str(error)
        assert "The server's message: 'Words.'" in str(error)

    @pytest.mark.parametrize("status", [200, 400])
    @pytest.mark.parametrize("member", ["access_token", "refresh_token", "id_token"])
    def test_never_contain_a_token_of_the_same_response(self, member: str, status: int) -> None:
        error = refused(
            "refresh_token", status, {"error": "odd", "error_description": "AAAA-token!", member: "AAAA-token"}
        )

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
    def test_from_an_error_response_contain_no_unknown_member(
        self, status: int, body: bytes, headers: dict[str, str] | None
    ) -> None:
        assert "AAAA" not in shown(refused("refresh_token", status, body=body, headers=headers))

    @pytest.mark.parametrize("name", ["error_description", "message", "detail", "title", "hint"])
    def test_from_an_error_response_contain_the_known_members(self, name: str) -> None:
        assert refused("refresh_token", 400, {name: "Words."}).error_description == "Words."
        assert refused("refresh_token", 400, {"error": {name: "Words."}}).error_description == "Words."
        body = f"error=odd&{name}=Words.".encode()
        assert refused("refresh_token", 400, body=body, headers=FORM).error_description == "Words."

    def test_of_a_redirect_contain_no_other_scheme(self) -> None:
        said = str(failed("client_credentials", 307, headers={"Location": "data:text/plain,AAAA"}))

        assert said.endswith("redirected to an invalid URL. Check Token URL. (URL: https://login.example.com/token)")

    def test_of_a_redirect_to_itself_contain_no_advice_to_enter_it(self) -> None:
        said = str(failed("client_credentials", 307, headers={"Location": "/token"}))

        assert said.endswith(
            "redirected to https://login.example.com/token. Check Token URL. (URL: https://login.example.com/token)"
        )


class TestTokensThatCannotBeKept:
    @pytest.mark.parametrize("member", ["access_token", "refresh_token", "id_token"])
    @pytest.mark.parametrize("grant", GRANTS)
    def test_of_more_than_64_kb_are_refused(self, grant: str, member: str) -> None:
        longest = "a" * 65536

        assert parse(grant, 200, {"access_token": "fake", member: longest})
        error = failed(grant, 200, {"access_token": "fake", member: longest + "a"})

        assert type(error) is TokenResponseError
        assert str(error).partition(". ")[0].endswith("token that is longer than 64 kB")
        assert "aaa" not in str(error)

    @pytest.mark.parametrize("token", ["\ud800", "fake-\udfff-token", "\udc00\ud800"])
    @pytest.mark.parametrize("grant", GRANTS)
    def test_with_an_unpaired_surrogate_are_refused(self, grant: str, token: str) -> None:
        error = failed(grant, 200, {"access_token": "fake", "refresh_token": token})

        assert type(error) is TokenResponseError
        assert str(error) == (
            "Connection 'shop': the token endpoint issued a refresh token that contains an unpaired surrogate (\\ud800 "
            "to \\udfff), so it cannot be stored or sent. Report this to the server's operator. (URL: https://login.example.com/token)"
        )

    def test_with_a_pair_of_surrogates_are_characters(self) -> None:
        body = b'{"access_token": "fake", "refresh_token": "fake-\\ud83d\\ude00"}'

        assert parse("refresh_token", 200, body=body).refresh_token == "fake-\U0001f600"

    def test_an_unpaired_surrogate_in_an_access_token_is_refused(self) -> None:
        assert "cannot be sent in a header" in str(failed("client_credentials", 200, {"access_token": "fake-\ud800"}))

    def test_an_unpaired_surrogate_in_the_subject_is_replaced(self) -> None:
        claims = base64.urlsafe_b64encode(b'{"sub": "anna\\ud800"}').decode().rstrip("=")

        token = parse("authorization_code", 200, {"access_token": "fake", "id_token": f"h.{claims}.s"})

        assert token.subject == "anna\ufffd"

    def test_unpaired_surrogates_elsewhere_are_replaced(self) -> None:
        token = parse(
            "refresh_token", 200, {"access_token": "fake", "token_type": "Bearer\ud800", "scope": "read\udfff write"}
        )

        assert (token.token_type, token.scope) == ("Bearer\ufffd", "read\ufffd write")
        assert parse("refresh_token", 200, {"access_token": "fake", "scope": ["a\ud800"]}).scope == "a\ufffd"

    @pytest.mark.parametrize("member", ["error", "error_description", "message", "error_uri"])
    @pytest.mark.parametrize("status", [200, 400])
    def test_unpaired_surrogates_in_an_error_are_not_shown(self, member: str, status: int) -> None:
        error = refused("refresh_token", status, {"error": "odd", member: "a\ud800b"})

        shown(error).encode()

    @pytest.mark.parametrize("path", ["sum(a)", "a[0] < a[1]", "a[::0]"])
    def test_a_response_map_that_fails_on_a_response_finds_nothing(self, path: str) -> None:
        content = {"access_token": "fake", "a": [1, "x", None]}

        assert parse("client_credentials", 200, content, response_map={"base_url": path}).base_url is None
