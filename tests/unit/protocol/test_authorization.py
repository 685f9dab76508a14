"""The authorization URL, and validation of the callback."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest

from airflow_provider_oauth.exceptions import ConfigurationError, ConsentDenied, InvalidGrant
from airflow_provider_oauth.protocol.authorization import AuthorizationRequest, authorization_url, validate_callback
from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.protocol.endpoint import TokenEndpoint
from airflow_provider_oauth.protocol.token_requests import code_request
from tests.connections import oauth_config
from tests.fake_clock import START

if TYPE_CHECKING:
    from requests_mock import Mocker


CONFIG = oauth_config(
    token_url="https://auth.example.com/token",
    authorize_url="https://auth.example.com/authorize?tenant=a%20b",
    grant_type="authorization_code",
    client_auth="client_secret_post",
    scope="read write",
)
BACK = "https://airflow.example.com/oauth/callback"
CONSENT = AuthorizationRequest(conn_id="shop", redirect_uri=BACK, state="fake-state", code_verifier="fake-verifier")


def callback(**values: str) -> str:
    return f"{BACK}?{urlencode({'state': 'fake-state', **values})}"


# --- the authorization request


def test_the_authorization_url_has_the_parameters_of_rfc_6749_and_pkce() -> None:
    url = urlsplit(authorization_url(CONFIG, CONSENT))
    challenge = base64.urlsafe_b64encode(hashlib.sha256(b"fake-verifier").digest()).decode().rstrip("=")
    assert (url.scheme, url.netloc, url.path) == ("https", "auth.example.com", "/authorize")
    assert dict(parse_qsl(url.query)) == {
        "tenant": "a b",
        "response_type": "code",
        "client_id": "app",
        "redirect_uri": BACK,
        "scope": "read write",
        "state": "fake-state",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }


def test_with_skip_pkce_neither_challenge_nor_verifier_is_sent() -> None:
    config = replace(CONFIG, skip_pkce=True)
    assert authorization_url(config, CONSENT) == (
        "https://auth.example.com/authorize?tenant=a+b&response_type=code&client_id=app"
        "&redirect_uri=https%3A%2F%2Fairflow.example.com%2Foauth%2Fcallback&scope=read+write&state=fake-state"
    )
    assert code_request(config, "c", BACK, "fake-verifier", now=START).body == (
        b"grant_type=authorization_code&code=c&redirect_uri=https%3A%2F%2Fairflow.example.com%2Foauth%2Fcallback"
        b"&client_id=app&client_secret=fake-secret"
    )


def test_scopes_are_joined_with_the_scope_separator() -> None:
    config = replace(CONFIG, scope_separator=",", audience="https://api", resource="urn:x")
    query = parse_qs(urlsplit(authorization_url(config, CONSENT)).query)
    assert (query["scope"], query["audience"], query["resource"]) == (["read,write"], ["https://api"], ["urn:x"])


def test_authorize_params_are_added_to_the_url() -> None:
    config = replace(
        CONFIG,
        skip_pkce=True,
        authorize_params={"access_type": "offline", "prompt": "consent", "max_age": 0, "acr_values": ["a", "b"]},
    )
    assert authorization_url(config, CONSENT) == (
        "https://auth.example.com/authorize?tenant=a+b&access_type=offline&prompt=consent&max_age=0"
        "&acr_values=a&acr_values=b&response_type=code&client_id=app"
        "&redirect_uri=https%3A%2F%2Fairflow.example.com%2Foauth%2Fcallback&scope=read+write&state=fake-state"
    )


def test_authorize_params_replace_those_in_the_authorization_url() -> None:
    config = replace(CONFIG, authorize_params={"tenant": "c"})
    query = parse_qsl(urlsplit(authorization_url(config, CONSENT)).query)
    assert [value for name, value in query if name == "tenant"] == ["c"]


def test_authorize_params_are_not_sent_with_the_code() -> None:
    config = replace(CONFIG, authorize_params={"access_type": "offline"})
    assert b"access_type" not in code_request(config, "c", BACK, "fake-verifier", now=START).body


def test_a_nonce_is_sent_if_an_id_token_is_requested() -> None:
    query = parse_qs(urlsplit(authorization_url(replace(CONFIG, scope="read openid"), CONSENT)).query)
    assert query["nonce"] == [CONSENT.nonce]
    assert re.fullmatch(r"[\w-]{43}", CONSENT.nonce)
    assert query["code_challenge"] != query["nonce"]
    assert "nonce" not in authorization_url(replace(CONFIG, scope="openid_connect"), CONSENT)


def test_the_nonce_depends_only_on_the_code_verifier() -> None:
    assert CONSENT.nonce == replace(CONSENT, state="other").nonce
    assert CONSENT.nonce != replace(CONSENT, code_verifier="other").nonce


def test_neither_client_secret_nor_code_verifier_is_in_the_authorization_url() -> None:
    url = authorization_url(CONFIG, CONSENT)
    assert "fake-secret" not in url
    assert "fake-verifier" not in url


def test_every_authorization_request_has_its_own_state_and_code_verifier() -> None:
    first, second = (AuthorizationRequest(conn_id="shop", redirect_uri=BACK) for _ in range(2))
    assert len({first.state, second.state, first.code_verifier, second.code_verifier}) == 4
    assert 43 <= len(first.code_verifier) <= 128  # RFC 7636 section 4.1
    assert first.state not in repr(first)
    assert first.code_verifier not in repr(first)


@pytest.mark.parametrize("grant", ["client_credentials", "refresh_token"])
def test_only_the_authorization_code_grant_has_an_authorization_url(grant: str) -> None:
    with pytest.raises(ConfigurationError, match=r"'shop': Grant type \(grant_type\) is"):
        authorization_url(replace(CONFIG, grant_type=grant), CONSENT)


def test_a_missing_authorization_url_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="authorize_url"):
        authorization_url(replace(CONFIG, authorize_url=None), CONSENT)


@pytest.mark.parametrize(
    ("redirect_uri", "works"),
    [
        ("http://127.0.0.1:8000/", True),
        ("http://localhost:8080/oauth/callback", True),
        ("http://[::1]:1/", True),
        ("http://airflow.example.com/oauth/callback", False),
        ("javascript://localhost/", False),
    ],
)
def test_a_redirect_uri_with_plain_http_to_another_machine_is_refused(redirect_uri: str, works: bool) -> None:
    consent = replace(CONSENT, redirect_uri=redirect_uri)
    if works:
        assert parse_qs(urlsplit(authorization_url(CONFIG, consent)).query)["redirect_uri"] == [redirect_uri]
    else:
        with pytest.raises(ConfigurationError, match="would send the code unencrypted"):
            authorization_url(CONFIG, consent)


# --- the callback


@pytest.mark.parametrize("code", ["plain", "ends-in%3D", "a+b/c=", "ümlaut"])
def test_the_code_is_decoded_once(code: str) -> None:
    assert validate_callback(CONFIG, CONSENT, callback(code=code)).code == code


@pytest.mark.parametrize(
    "query", ["code=a?b&state=fake-state", "iss=https://auth.example.com/?t=1&code=a?b&state=fake-state"]
)
def test_a_question_mark_in_the_query_belongs_to_a_value(query: str) -> None:
    assert validate_callback(CONFIG, CONSENT, f"{BACK}?{query}").code == "a?b"


def test_parameters_replace_those_of_the_same_name_in_the_authorization_url() -> None:
    config = replace(CONFIG, authorize_url="https://auth.example.com/authorize?scope=offline&prompt=consent")
    query = parse_qsl(urlsplit(authorization_url(config, CONSENT)).query)
    assert len(dict(query)) == len(query)
    assert dict(query)["scope"] == "read write"
    assert dict(query)["prompt"] == "consent"


def test_a_query_without_url_is_a_valid_callback_and_whitespace_is_ignored() -> None:
    assert validate_callback(CONFIG, CONSENT, " code=c&state=fake-state \n").code == "c"
    assert validate_callback(CONFIG, CONSENT, "/oauth/callback?code=c&state=fake-state#fragment").code == "c"


@pytest.mark.parametrize(
    "text",
    [
        f"{BACK}?code=c",
        f"{BACK}?code=c&state=",
        f"{BACK}?code=c&state=another",
        f"{BACK}?code=c&state=fake-state&state=another",
        f"{BACK}?code=c&code=d&state=fake-state",
        f"{BACK}?error=access_denied&state=another",
        f"{BACK}?state=fake-state",
        f"{BACK}?code=&state=fake-state",
        "",
        "http://[",
        f"{BACK}?code=c&state=%ff",
        f"{BACK}?code=c&state=\udcff",
        f"{BACK}?code=c\udcff&state=fake-state",
    ],
)
def test_a_callback_that_does_not_match_the_authorization_request_is_rejected(text: str) -> None:
    with pytest.raises(ConsentDenied, match="^Connection 'shop': "):
        validate_callback(CONFIG, CONSENT, text)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (
            {"error": "access_denied", "error_description": "No, thanks"},
            r"\(access_denied\)\. The user declined.* The server's message: 'No, thanks'$",
        ),
        (
            {"error": "access_denied", "message": "It was denied.", "hint": "The user denied the request"},
            r"\(access_denied\)\. .* The server's message: 'It was denied\. The user denied the request'$",
        ),
        ({"error": "invalid_scope"}, r"\(invalid_scope\)\. Check Scope\.$"),
        (
            {"error": "server_error", "error_description": "fake-secret <b>\n"},
            r"\(server_error\)\. .* The server's message: '\*\*\* <b>'$",
        ),
    ],
)
def test_an_error_callback_is_reported_with_the_servers_message_and_without_secrets(
    values: dict[str, str], text: str
) -> None:
    with pytest.raises(ConsentDenied, match=text) as caught:
        validate_callback(CONFIG, CONSENT, callback(**values))
    assert caught.value.error == values["error"]


def test_the_error_code_of_a_callback_is_redacted_and_limited() -> None:
    with pytest.raises(ConsentDenied) as caught:
        validate_callback(CONFIG, CONSENT, callback(error="fake-secret and fake-state\n" + "x" * 1000))
    assert caught.value.error.startswith("*** and *** xxx")
    assert len(caught.value.error) <= 300
    assert "fake-s" not in str(caught.value)


@pytest.mark.parametrize(
    ("iss", "works"),
    [
        ("https://auth.example.com", True),
        ("https://auth.example.com/realms/shop", True),
        ("https://evil.example", False),
        ("http://auth.example.com", False),
        ("https://auth.example.com.evil.example", False),
        ("https://[", False),
        ("", False),
    ],
)
def test_without_an_issuer_iss_must_have_the_origin_of_the_authorization_url(iss: str, works: bool) -> None:
    if works:
        assert validate_callback(CONFIG, CONSENT, callback(code="c", iss=iss)).code == "c"
    else:
        with pytest.raises(ConsentDenied, match="set Issuer to it"):
            validate_callback(CONFIG, CONSENT, callback(code="c", iss=iss))


@pytest.mark.parametrize(("iss", "works"), [("https://auth.example.com", True), ("https://evil.example", False)])
def test_a_callback_from_another_issuer_is_rejected(iss: str, works: bool) -> None:
    config = replace(CONFIG, issuer="https://auth.example.com")
    if works:
        assert validate_callback(config, CONSENT, callback(code="c", iss=iss)).code == "c"
    else:
        with pytest.raises(ConsentDenied, match="iss"):
            validate_callback(config, CONSENT, callback(code="c", iss=iss))


def test_a_callback_without_iss_is_rejected_if_the_server_always_sends_it() -> None:
    config = replace(CONFIG, issuer="https://auth.example.com", iss_required=True)
    assert validate_callback(config, CONSENT, callback(code="c", iss="https://auth.example.com")).code == "c"
    with pytest.raises(ConsentDenied, match="the parameter iss is missing, although the server"):
        validate_callback(config, CONSENT, callback(code="c"))


def test_an_error_callback_without_iss_is_reported_although_the_server_should_send_it() -> None:
    config = replace(CONFIG, issuer="https://auth.example.com", iss_required=True)
    with pytest.raises(ConsentDenied) as denied:  # as Django OAuth Toolkit 3.4 does
        validate_callback(config, CONSENT, callback(error="access_denied", code="c"))
    assert denied.value.error == "access_denied"
    with pytest.raises(ConsentDenied, match="its iss parameter names another server"):
        validate_callback(config, CONSENT, callback(error="access_denied", iss="https://evil.example"))


# --- the token request


def test_the_token_request_has_code_redirect_uri_and_verifier() -> None:
    request = code_request(CONFIG, "a code%3D", BACK, "fake-verifier", now=START)
    assert request.url == CONFIG.token_url
    assert dict(parse_qsl(request.body.decode())) == {
        "grant_type": "authorization_code",
        "code": "a code%3D",
        "redirect_uri": BACK,
        "code_verifier": "fake-verifier",
        "client_id": "app",
        "client_secret": "fake-secret",
    }
    assert {"a code%3D", "fake-verifier"} <= set(request.secrets)


def test_a_code_is_exchanged_once_even_if_the_server_is_busy(requests_mock: Mocker) -> None:
    requests_mock.post(CONFIG.token_url, status_code=503)
    with pytest.raises(Exception, match="503|busy"):
        TokenEndpoint(CONFIG, Clock()).exchange_code("c", BACK, "v")
    assert requests_mock.call_count == 1


def test_the_error_for_a_refused_code_does_not_quote_the_code(requests_mock: Mocker) -> None:
    content = {"error": "invalid_grant", "error_description": "fake-code-1 is already used"}
    requests_mock.post(CONFIG.token_url, status_code=400, json=content)
    with pytest.raises(InvalidGrant, match=r"\*\*\* is already used") as caught:
        TokenEndpoint(CONFIG).exchange_code("fake-code-1", BACK, "v")
    assert "fake-code-1" not in str(caught.value)


MAPPED = replace(CONFIG, callback_map={"realm_id": "realmId", "code": "auth_code"})


def test_callback_values_are_returned_with_the_code_whose_parameter_may_have_another_name() -> None:
    valid = validate_callback(MAPPED, CONSENT, callback(auth_code="c", code="x", realmId="12/3 é", other="y"))

    assert (valid.code, valid.values) == ("c", {"realmId": "12/3 é"})
    assert "'c'" not in repr(valid)


def test_a_code_under_its_standard_name_is_not_used_if_it_has_another_name() -> None:
    with pytest.raises(ConsentDenied, match="contains no authorization code"):
        validate_callback(MAPPED, CONSENT, callback(code="c", realmId="1"))


@pytest.mark.parametrize("values", [{}, {"realmId": ""}, {"realm_id": "1"}])
def test_a_callback_without_a_value_to_keep_is_refused(values: dict[str, str]) -> None:
    with pytest.raises(ConsentDenied) as error:
        validate_callback(MAPPED, CONSENT, callback(auth_code="c", **values))

    assert str(error.value) == (
        "Connection 'shop': the callback contains no 'realmId', but Callback values (callback_map) keeps it as "
        "'realm_id'. Choose an account at the server for which it sends this parameter, or correct the field, and "
        "authorize again."
    )


@pytest.mark.parametrize("value", ["x" * 513, "..", "a\nb"])
def test_a_callback_value_that_could_not_be_used_is_refused_without_quoting_it(value: str) -> None:
    with pytest.raises(ConsentDenied) as error:
        validate_callback(MAPPED, CONSENT, callback(auth_code="c", realmId=value))

    assert str(error.value) == (
        "Connection 'shop': the callback was rejected, because 'realmId' is longer than 512 characters, or is not a "
        "printable value. Authorize again."
    )


def test_the_state_is_checked_before_callback_values() -> None:
    with pytest.raises(ConsentDenied, match="its state does not match"):
        validate_callback(MAPPED, CONSENT, "?state=other&auth_code=c")
