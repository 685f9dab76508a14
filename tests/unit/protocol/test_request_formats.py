"""Token requests with their parameters in the query, with other names for parameters, and with other grant names."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_oauth.exceptions import (
    ConfigurationError,
    InvalidClient,
    InvalidGrant,
    TokenRequestError,
    UnrecognizedRefusal,
    UnsupportedGrantType,
    WrongPassword,
)
from airflow_provider_oauth.protocol.authorization import AuthorizationRequest, authorization_url
from airflow_provider_oauth.protocol.request_formats import with_query
from airflow_provider_oauth.protocol.token_requests import (
    TokenRequest,
    code_request,
    grant_request,
    refresh_request,
    revocation_request,
)
from airflow_provider_oauth.protocol.token_responses import HttpResponse, parse_token_response
from tests.connections import oauth_config
from tests.fake_clock import START
from tests.unit.protocol.test_token_requests import multipart

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig

POST = partial(oauth_config, client_auth="client_secret_post")
BACK = "https://airflow.example.com/oauth/callback"


def parts(request: TokenRequest) -> tuple[str, str, bytes, dict[str, str]]:
    return request.method, request.url, request.body, dict(request.headers)


# --- parameters in the query


@pytest.mark.parametrize(
    ("settings", "method"),
    [({"token_method": "GET"}, "GET"), ({"token_method": "GET", "body_format": "query"}, "GET")]
    + [({"body_format": "query"}, "POST")],
)
def test_the_parameters_are_in_the_query_and_there_is_no_body(settings: dict[str, str], method: str) -> None:
    config = POST(client_id="id é", client_secret="fake/+&=%", scope="read wr:ite", **settings)

    assert parts(grant_request(config, now=START)) == (
        method,
        "https://login.example.com/token?grant_type=client_credentials&scope=read+wr%3Aite&client_id=id+%C3%A9"
        "&client_secret=fake%2F%2B%26%3D%25",
        b"",
        {"Accept": "application/json"},
    )


def test_a_refresh_and_a_code_exchange_have_their_parameters_in_the_query() -> None:
    config = oauth_config(grant_type="authorization_code", client_auth="none", client_secret=None, token_method="GET")

    assert refresh_request(config, "fake/1", now=START).url == (
        "https://login.example.com/token?grant_type=refresh_token&refresh_token=fake%2F1&client_id=app"
    )
    assert code_request(config, "fake/2", BACK, "fake-verifier", now=START).url == (
        "https://login.example.com/token?grant_type=authorization_code&code=fake%2F2"
        "&redirect_uri=https%3A%2F%2Fairflow.example.com%2Foauth%2Fcallback&code_verifier=fake-verifier&client_id=app"
    )


def test_the_parameters_follow_those_that_the_url_has() -> None:
    config = oauth_config(token_url="https://login.example.com/token?Tenant=a%20b&x=%2f", body_format="query")

    assert grant_request(config, now=START).url == (
        "https://login.example.com/token?Tenant=a%20b&x=%2f&grant_type=client_credentials"
    )


def test_added_parameters_are_in_the_query_and_a_list_is_repeated() -> None:
    config = oauth_config(token_method="GET", grant_params={"n": [1, True]}, secret_grant_params={"pin": "fake pin"})

    assert grant_request(config, now=START).url == (
        "https://login.example.com/token?grant_type=client_credentials&n=1&n=true&pin=fake+pin"
    )


@pytest.mark.parametrize("name", ["grant_type", "tenant"])
def test_a_parameter_that_the_query_of_the_url_already_has_is_an_error(name: str) -> None:
    url = f"https://login.example.com/token?a=1&{name}=fake"
    config = oauth_config(token_url=url, token_method="GET", grant_params={"tenant": "t1"})

    with pytest.raises(ConfigurationError) as caught:
        grant_request(config, now=START)

    assert str(caught.value) == (
        f"Connection 'shop': Token URL (grant_url) has {name!r} in its query, but this parameter is added to each "
        "request. Remove it from the URL."
    )


def test_a_parameter_in_the_query_of_the_refresh_url_names_that_field() -> None:
    url = "https://login.example.com/refresh?refresh_token=fake"
    config = oauth_config(grant_type="refresh_token", refresh_url=url, body_format="query")

    with pytest.raises(ConfigurationError, match=r"Refresh URL \(refresh_url\) has 'refresh_token' in its query"):
        refresh_request(config, "fake-refresh", now=START)


def test_a_form_keeps_a_parameter_in_the_query_of_the_url() -> None:
    url = "https://login.example.com/token?grant_type=other"

    assert grant_request(oauth_config(token_url=url), now=START).url == url


@pytest.mark.parametrize("settings", [{"token_method": "GET"}, {"body_format": "query"}])
def test_a_revocation_is_a_form_whatever_the_format_of_token_requests(settings: dict[str, str]) -> None:
    config = oauth_config(revoke_url="https://login.example.com/revoke", **settings)

    assert parts(revocation_request(config, "fake-token", "access_token", now=START)) == (
        "POST",
        "https://login.example.com/revoke",
        b"token=fake-token&token_type_hint=access_token",
        {
            "Accept": "application/json",
            "Authorization": "Basic YXBwOmZha2Utc2VjcmV0",
            "Content-Type": "application/x-www-form-urlencoded",
        },
    )


@pytest.mark.parametrize("body_format", ["json", "multipart"])
def test_a_get_request_with_a_body_is_an_error(body_format: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        oauth_config(token_method="GET", body_format=body_format)

    assert str(caught.value) == (
        f"Connection 'shop': Token request body (body_format) is {body_format}, but a GET request has no body. Choose "
        "query, or set Token request method to POST."
    )


def test_neither_repr_nor_shown_url_of_a_request_have_the_query() -> None:
    request = grant_request(POST(token_method="GET"), now=START)

    assert "fake-secret" in request.url
    assert request.shown_url == "https://login.example.com/token"
    assert "fake-secret" not in repr(request)
    assert "fake-secret" in request.secrets


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=8), max_size=4))
def test_a_server_reads_the_same_parameters_from_the_query_as_were_sent(parameters: dict[str, str]) -> None:
    url = with_query("https://login.example.com/token?a%20b=%2f&c", parameters)
    sent = requests.Request("GET", url).prepare().url or ""

    assert parse_qsl(urlsplit(sent).query, keep_blank_values=True) == [("a b", "/"), ("c", ""), *parameters.items()]


# --- other names for parameters

RENAMED = {"client_id": "client_key", "client_secret": "secret", "scope": "permissions", "grant_type": "type"}


@pytest.mark.parametrize("body_format", ["form", "json", "multipart", "query"])
def test_parameters_have_the_names_of_the_request_map_in_every_format(body_format: str) -> None:
    settings = {"scope": "read", "request_map": RENAMED, "grant_params": {"tenant": "t1"}}
    request = grant_request(POST(body_format=body_format, **settings), now=START)

    names = {
        "type": "client_credentials",
        "permissions": "read",
        "client_key": "app",
        "secret": "fake-secret",
        "tenant": "t1",
    }
    form = "type=client_credentials&permissions=read&client_key=app&secret=fake-secret&tenant=t1"
    assert request.url.partition("?")[2] == (form if body_format == "query" else "")
    if body_format == "multipart":
        assert request.body == multipart(request, list(names.items()))
    else:
        assert (
            request.body.decode()
            == {
                "form": form,
                "json": json.dumps(names, separators=(",", ":")),
                "query": "",
            }[body_format]
        )
    assert request.grant_type == "client_credentials"


def test_the_values_of_renamed_parameters_are_redacted() -> None:
    changed = {"refresh_token": "rt", "code": "auth_code", "code_verifier": "verifier", "token": "access"}
    config = oauth_config(
        grant_type="authorization_code", request_map=changed, revoke_url="https://login.example.com/revoke"
    )

    refresh = refresh_request(config, "fake-refresh", now=START)
    exchange = code_request(config, "fake-code", BACK, "fake-verifier", now=START)
    revocation = revocation_request(config, "fake-token", "access_token", now=START)

    assert refresh.body == b"grant_type=refresh_token&rt=fake-refresh"
    assert {"fake-refresh"} <= set(refresh.secrets)
    assert exchange.body.endswith(b"&verifier=fake-verifier")
    assert {"fake-code", "fake-verifier"} <= set(exchange.secrets)
    assert revocation.body == b"access=fake-token&token_type_hint=access_token"
    assert {"fake-token"} <= set(revocation.secrets)


def test_the_authorization_url_has_the_names_of_the_request_map() -> None:
    config = oauth_config(
        grant_type="authorization_code",
        authorize_url="https://login.example.com/authorize?lang=de",
        authorize_params={"prompt": "consent", "client_id": "other"},
        request_map={"client_id": "client_key", "code_challenge": "challenge"},
        scope="read",
    )
    authorization = AuthorizationRequest(conn_id="shop", redirect_uri=BACK, state="s", code_verifier="v" * 43)

    query = parse_qsl(urlsplit(authorization_url(config, authorization)).query)

    assert query == [
        ("lang", "de"),
        ("prompt", "consent"),
        ("client_id", "other"),
        ("response_type", "code"),
        ("client_key", "app"),
        ("redirect_uri", BACK),
        ("scope", "read"),
        ("state", "s"),
        ("challenge", "7w_YNF9DSfIdPf_pRjSq646_kPr-2-o9NAl16JGghdM"),
        ("code_challenge_method", "S256"),
    ]


# --- other names for grants


def zoom(**changes: Any) -> OAuthConfig:
    """Return a connection as Zoom documents it (developers.zoom.us/docs/internal-apps/s2s-oauth)."""
    return oauth_config(
        base_url="https://api.zoom.us/v2",
        token_url="https://zoom.us/oauth/token",
        grant_name="account_credentials",
        grant_params={"account_id": "fake-account"},
        **changes,
    )


def test_the_zoom_request_is_the_documented_one() -> None:
    # The documentation has a form: -d grant_type=account_credentials -d account_id=…, with HTTP Basic. Zoom's Postman
    # collection has the query: POST https://zoom.us/oauth/token?grant_type=account_credentials&account_id=…
    assert parts(grant_request(zoom(body_format="query"), now=START)) == (
        "POST",
        "https://zoom.us/oauth/token?grant_type=account_credentials&account_id=fake-account",
        b"",
        {"Accept": "application/json", "Authorization": "Basic YXBwOmZha2Utc2VjcmV0"},
    )
    assert grant_request(zoom(), now=START).body == b"grant_type=account_credentials&account_id=fake-account"


def test_the_request_for_an_api_key_of_ibm_is_the_documented_one() -> None:
    # curl -X POST "https://iam.cloud.ibm.com/identity/token" -d
    # "grant_type=urn:ibm:params:oauth:grant-type:apikey&apikey=MY_APIKEY"
    # (cloud.ibm.com/docs/account?topic=account-iamtoken_from_apikey)
    config = oauth_config(
        token_url="https://iam.cloud.ibm.com/identity/token",
        grant_name="urn:ibm:params:oauth:grant-type:apikey",
        secret_grant_params={"apikey": "fake-key"},
        client_auth="none",
        client_id=None,
        client_secret=None,
    )
    request = grant_request(config, now=START)

    assert parts(request) == (
        "POST",
        "https://iam.cloud.ibm.com/identity/token",
        b"grant_type=urn%3Aibm%3Aparams%3Aoauth%3Agrant-type%3Aapikey&apikey=fake-key",
        {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"},
    )
    assert "fake-key" in request.secrets


def test_the_password_grant_can_have_another_name() -> None:
    config = oauth_config(grant_type="password", username="u", user_password="fake", grant_name="legacy")

    request = grant_request(config, now=START)

    assert request.body == b"grant_type=legacy&username=u&password=fake"
    assert request.grant_type == "password"


def test_a_refresh_keeps_its_standard_name() -> None:
    config = zoom(use_refresh=True)

    assert refresh_request(config, "fake", now=START).body == (
        b"grant_type=refresh_token&refresh_token=fake&account_id=fake-account"
    )


def test_the_request_of_wechat_can_be_sent() -> None:
    # GET https://api.weixin.qq.com/cgi-bin/token?grant_type=client_credential&appid=APPID&secret=APPSECRET
    # (developers.weixin.qq.com/doc/offiaccount/Basic_Information/Get_access_token)
    config = POST(
        token_url="https://api.weixin.qq.com/cgi-bin/token",
        token_method="GET",
        grant_name="client_credential",
        request_map={"client_id": "appid", "client_secret": "secret"},
    )

    assert parts(grant_request(config, now=START)) == (
        "GET",
        "https://api.weixin.qq.com/cgi-bin/token?grant_type=client_credential&appid=app&secret=fake-secret",
        b"",
        {"Accept": "application/json"},
    )


# --- errors of a grant with another name


def ibm(**changes: Any) -> OAuthConfig:
    own: dict[str, Any] = {"client_auth": "none", "client_id": None, "client_secret": None}
    return oauth_config(**(own | {"grant_name": "apikey", "secret_grant_params": {"apikey": "fake-key"}} | changes))


def refusal(config: OAuthConfig, status: int, content: dict[str, Any]) -> TokenRequestError:
    response = HttpResponse(status_code=status, headers={}, body=json.dumps(content).encode(), sent_at=START)
    with pytest.raises(TokenRequestError) as caught:
        parse_token_response(config, grant_request(config, now=START), response)
    return caught.value


PARAMETERS = "Check Token request parameters and Secret token request parameters."


@pytest.mark.parametrize(
    ("config", "status", "content", "cls", "advice"),
    [
        (ibm(), 400, {"errorCode": "BXNIM0415E"}, UnrecognizedRefusal, PARAMETERS),
        (ibm(), 400, {"error": "invalid_grant"}, InvalidGrant, PARAMETERS),
        (ibm(), 401, {"error": "invalid_client"}, InvalidClient, PARAMETERS),
        (
            zoom(),
            400,
            {"reason": "Bad request"},
            UnrecognizedRefusal,
            "Check Client ID, Client secret and Client authentication. Also check Token request parameters and Secret "
            "token request parameters.",
        ),
        (
            zoom(),
            400,
            {"error": "unsupported_grant_type"},
            UnsupportedGrantType,
            "The server does not support this grant. Check Grant name, Token URL and Token request body.",
        ),
    ],
)
def test_the_advice_after_a_refusal_names_the_fields_of_such_a_grant(
    config: OAuthConfig, status: int, content: dict[str, Any], cls: type[TokenRequestError], advice: str
) -> None:
    error = refusal(config, status, content)

    assert type(error) is cls
    assert f"refused the {config.grant_name} grant with status {status}" in str(error)
    assert f". {advice} (URL: " in str(error)


@pytest.mark.parametrize(("status", "content"), [(400, {"error": "invalid_grant"}), (401, {})])
def test_a_wrong_password_is_recognized_with_another_grant_name(status: int, content: dict[str, Any]) -> None:
    config = oauth_config(grant_type="password", username="u", user_password="fake", grant_name="legacy")

    assert type(refusal(config, status, content)) is WrongPassword


def test_a_get_request_that_is_not_allowed_names_the_method() -> None:
    error = refusal(oauth_config(token_method="GET"), 405, {})

    assert "This URL does not accept GET requests. Check Token URL and Token request method. (URL: " in str(error)
