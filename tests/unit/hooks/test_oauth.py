"""``OAuthHook``, which behaves like ``HttpHook`` and sends a token."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
import requests
from airflow.providers.common.compat.sdk import AirflowException, BaseHook
from airflow.providers.http.operators.http import HttpOperator
from requests.adapters import HTTPAdapter
from requests_mock import ANY

from airflow_provider_oauth.exceptions import (
    ApiConnectionError,
    ApiError,
    ConfigurationError,
    OAuthError,
    WrongPassword,
)
from airflow_provider_oauth.hooks import settings
from airflow_provider_oauth.hooks.lookup import hook_of
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.runtime import airflow_variables, masking, token_sources
from airflow_provider_oauth.tokens.source import TokenSource
from tests.connections import TOKEN_URL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from requests.adapters import BaseAdapter
    from requests_mock import Mocker
    from requests_mock.adapter import _Matcher
    from requests_mock.request import Request
    from requests_mock.response import Context

    from tests.certificates import Certificates

# The HTTP provider causes this warning when an operator processes a response.
pytestmark = pytest.mark.filterwarnings("ignore:The `airflow.utils.operator_helpers.determine_kwargs` attribute")

API = "https://api.example.com/v1"


@pytest.fixture(autouse=True)
def variables(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """Variables as a dict, without the environment and log settings of the user."""
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    # caplog does not see Airflow's own logger.
    monkeypatch.setattr(OAuthHook, "log", logging.getLogger("airflow.task.hooks"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    return variables


@pytest.fixture
def connect(define_connection: Callable[..., None]) -> Callable[..., None]:
    """Define the connection ``my_api``, or another one."""

    def define(conn_id: str = "my_api", **fields: Any) -> None:
        define_connection(conn_id, **({"host": API, "login": "reports"} | fields))

    return define


@pytest.fixture
def endpoint(requests_mock: Mocker) -> _Matcher:
    """A token endpoint that issues fake-token-1, fake-token-2, …."""
    issued: list[str] = []

    def response(request: Request, context: Context) -> dict[str, Any]:
        issued.append(f"fake-token-{len(issued) + 1}")
        return {"access_token": issued[-1], "expires_in": 3600}

    return requests_mock.post(TOKEN_URL, json=response)


@pytest.fixture
def api(requests_mock: Mocker, endpoint: _Matcher, connect: Callable[..., None]) -> _Matcher:
    connect()
    return requests_mock.register_uri(ANY, f"{API}/items", text="answer")


# --- constructor


def test_the_constructor_uses_no_connection_variable_or_network(
    monkeypatch: pytest.MonkeyPatch, requests_mock: Mocker
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("unexpected call")

    monkeypatch.setattr(BaseHook, "get_connection", refuse)
    for name in ("get_variable", "set_variable", "is_listed"):
        monkeypatch.setattr(airflow_variables, name, refuse)
    OAuthHook("no_such_connection", method="POST", scope="read", adapter=HTTPAdapter())
    assert requests_mock.call_count == 0


def test_the_first_parameters_are_connection_method_and_scope() -> None:
    hook = OAuthHook("my_api", "put", "read write")
    assert (hook.oauth_conn_id, hook.http_conn_id, hook.method, hook.scope) == ("my_api", "my_api", "PUT", "read write")
    assert (OAuthHook().oauth_conn_id, OAuthHook().method) == ("oauth_default", "GET")


# --- run, get_conn, get_token


def test_run_sends_the_query_of_a_get_with_the_token(api: _Matcher) -> None:
    assert OAuthHook("my_api").run("items", {"page": 2}, {"X-Mine": "1"}).text == "answer"
    assert api.last_request.url == f"{API}/items?page=2"
    assert api.last_request.headers["Authorization"] == "Bearer fake-token-1"
    assert api.last_request.headers["X-Mine"] == "1"


def test_run_sends_the_body_of_a_post_and_passes_arguments_to_requests(api: _Matcher) -> None:
    hook = OAuthHook("my_api", method="POST")
    hook.run("items", "text")
    assert api.last_request.text == "text"
    hook.run("items", json={"a": 1})
    assert api.last_request.json() == {"a": 1}


def test_run_adds_the_parameters_and_headers_of_the_connection(api: _Matcher, connect: Callable[..., None]) -> None:
    connect(api_params={"account": "7"}, secret_params={"key": "fake-key"}, api_headers={"X-Tenant": "t"})
    OAuthHook("my_api").run("items", {"page": 1})
    assert api.last_request.url == f"{API}/items?page=1&account=7&key=fake-key"
    assert api.last_request.headers["X-Tenant"] == "t"


def test_no_extra_field_is_sent_as_a_header(api: _Matcher, connect: Callable[..., None]) -> None:
    connect(scope="read", username="fake-user", audience="fake-audience", timeout=5, no_such_field="fake-value")
    OAuthHook("my_api").run("items")
    sent = {name.lower(): value for name, value in api.last_request.headers.items()}
    assert set(sent) <= {"user-agent", "accept", "accept-encoding", "connection", "authorization"}


def test_get_conn_returns_an_authenticated_session(api: _Matcher) -> None:
    session = OAuthHook("my_api").get_conn(headers={"X-Mine": "1"})
    assert isinstance(session, requests.Session)
    session.get(f"{API}/items")
    assert api.last_request.headers["Authorization"] == "Bearer fake-token-1"
    assert api.last_request.headers["X-Mine"] == "1"


def test_get_token_returns_the_token_that_run_sends(api: _Matcher, endpoint: _Matcher) -> None:
    hook = OAuthHook("my_api")
    token = hook.get_token()
    hook.run("items")
    assert api.last_request.headers["Authorization"] == f"Bearer {token.access_token}"
    assert token.lifetime == timedelta(hours=1)
    assert "fake-token-1" not in repr(token)
    assert endpoint.call_count == 1


def test_a_hook_with_another_scope_uses_another_token(api: _Matcher, endpoint: _Matcher) -> None:
    OAuthHook("my_api").run("items")
    OAuthHook("my_api", scope="write").run("items")
    assert api.last_request.headers["Authorization"] == "Bearer fake-token-2"
    assert "scope=write" in endpoint.last_request.text
    OAuthHook("my_api").run("items")
    assert api.last_request.headers["Authorization"] == "Bearer fake-token-1"


def test_a_401_renews_the_token_once_for_all_hooks(api: _Matcher, endpoint: _Matcher, requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/items", [{"status_code": 401}, {"text": "ok"}, {"text": "again"}])
    assert OAuthHook("my_api").run("items").text == "ok"
    assert OAuthHook("my_api").run("items").text == "again"
    assert requests_mock.last_request.headers["Authorization"] == "Bearer fake-token-2"
    assert endpoint.call_count == 2


# --- URLs


@pytest.mark.parametrize("host", ["https://api.example.com/v1", "https://api.example.com/v1/", "api.example.com/v1"])
@pytest.mark.parametrize("endpoint_", ["items", "/items"])
def test_host_and_endpoint_are_joined_by_one_slash(
    api: _Matcher, connect: Callable[..., None], host: str, endpoint_: str
) -> None:
    connect(host=host)
    hook = OAuthHook("my_api")
    hook.run(endpoint_)
    assert api.last_request.url == f"{API}/items"
    assert hook.url_from_endpoint(endpoint_) == f"{API}/items"


@pytest.mark.parametrize("endpoint_", [None, ""])
def test_without_an_endpoint_the_request_goes_to_the_base_url(
    api: _Matcher, requests_mock: Mocker, endpoint_: str | None
) -> None:
    base = requests_mock.get(API, text="base")
    assert OAuthHook("my_api").run(endpoint_).text == "base"
    assert base.called


def test_url_from_endpoint_works_before_the_first_request(api: _Matcher) -> None:
    assert OAuthHook("my_api").url_from_endpoint("items") == f"{API}/items"
    assert not api.called


def test_an_absolute_url_of_the_api_is_used_unchanged(api: _Matcher, requests_mock: Mocker) -> None:
    other = requests_mock.get("https://api.example.com/v2/items?page=2")
    OAuthHook("my_api").run("https://api.example.com/v2/items?page=2")
    assert other.last_request.headers["Authorization"] == "Bearer fake-token-1"


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example.net/items",
        "http://api.example.com/v1/items",
        "https://api.example.com:8443/items",
        "https://api.example.com@elsewhere.example.net/",
        "https://elsewhere.example.net\\@api.example.com/",
    ],
)
def test_an_absolute_url_of_another_origin_is_refused_before_anything_is_sent(
    api: _Matcher, requests_mock: Mocker, url: str
) -> None:
    requests_mock.get(ANY)
    with pytest.raises(ApiError, match="not part of the API"):
        OAuthHook("my_api").run(url)
    assert requests_mock.request_history == []


def test_a_refused_url_is_named_without_its_query(api: _Matcher) -> None:
    with pytest.raises(ApiError) as caught:
        OAuthHook("my_api").run("https://elsewhere.example.net/items?key=fake-key")
    assert "fake-key" not in str(caught.value)


def test_an_endpoint_with_a_url_in_its_query_is_relative(api: _Matcher) -> None:
    OAuthHook("my_api").run("items?next=https://elsewhere.example.net/")
    assert api.last_request.hostname == "api.example.com"


@pytest.mark.parametrize("endpoint_", ["//elsewhere.example.net/x", "@elsewhere.example.net/x", ":1@elsewhere/x"])
def test_a_relative_endpoint_cannot_lead_to_another_host(api: _Matcher, requests_mock: Mocker, endpoint_: str) -> None:
    requests_mock.get(ANY)
    OAuthHook("my_api").run(endpoint_)
    assert requests_mock.last_request.hostname == "api.example.com"


def test_the_base_url_in_the_token_response_is_used(connect: Callable[..., None], requests_mock: Mocker) -> None:
    connect(response_map="base_url=instance_url")
    response = {"access_token": "fake-token", "expires_in": 60, "instance_url": "https://eu7.example.com/base/"}
    requests_mock.post(TOKEN_URL, json=response)
    item = requests_mock.get("https://eu7.example.com/base/items")
    OAuthHook("my_api").run("items")
    assert item.last_request.headers["Authorization"] == "Bearer fake-token"


@pytest.mark.parametrize("base_url", ["http://eu7.example.com", "eu7.example.com", "ftp://eu7.example.com", "https://"])
def test_a_base_url_in_the_token_response_is_checked_like_host(
    connect: Callable[..., None], requests_mock: Mocker, base_url: str
) -> None:
    connect(response_map="base_url=instance_url")
    response = {"access_token": "fake-token", "expires_in": 60, "instance_url": base_url}
    requests_mock.post(TOKEN_URL, json=response)
    requests_mock.get(ANY)
    with pytest.raises(OAuthError):
        OAuthHook("my_api").run("items")
    assert [sent.url for sent in requests_mock.request_history] == [TOKEN_URL]


# --- error statuses


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
def test_an_error_status_is_an_api_error_that_starts_with_the_status(
    api: _Matcher, requests_mock: Mocker, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    caplog.set_level(logging.DEBUG)
    requests_mock.get(f"{API}/items", status_code=status, reason="Because", text="fake-body-of-the-answer")
    with pytest.raises(ApiError) as caught:
        OAuthHook("my_api").run("items?key=fake-key")
    assert str(caught.value).startswith(f"{status}:{HTTPStatus(status).phrase} (connection 'my_api', GET ")
    assert "Because" not in str(caught.value) + caplog.text
    assert caught.value.status_code == status
    assert isinstance(caught.value, AirflowException)
    assert "'my_api'" in str(caught.value)
    assert "GET https://api.example.com/v1/items" in str(caught.value)
    assert "fake-body" not in str(caught.value) + caplog.text
    assert "fake-key" not in str(caught.value)


def test_the_error_of_a_401_after_a_renewal_names_the_fields_to_check(api: _Matcher, requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/items", status_code=401)
    with pytest.raises(ApiError, match="Scope"):
        OAuthHook("my_api").run("items")


def test_the_error_of_a_403_names_the_fields_to_check_and_claims_nothing_about_the_token(
    api: _Matcher, requests_mock: Mocker
) -> None:
    requests_mock.get(f"{API}/items", status_code=403)
    with pytest.raises(ApiError, match="Check Scope.*add 403 to Renew token on") as caught:
        OAuthHook("my_api").run("items")
    assert "lacks a scope" not in str(caught.value)
    assert "good" not in str(caught.value)


def test_the_error_of_a_403_with_insufficient_scope_reports_the_scope(api: _Matcher, requests_mock: Mocker) -> None:
    challenge = {"WWW-Authenticate": 'Bearer error="insufficient_scope", scope="admin"'}
    requests_mock.get(f"{API}/items", status_code=403, headers=challenge)
    with pytest.raises(ApiError, match="lacks a scope"):
        OAuthHook("my_api").run("items")


@pytest.mark.parametrize("status", [200, 204, 302, 304])
def test_a_status_below_400_is_not_an_error(api: _Matcher, requests_mock: Mocker, status: int) -> None:
    requests_mock.get(f"{API}/items", status_code=status)
    assert OAuthHook("my_api").run("items").status_code == status


def test_an_error_status_is_returned_if_check_response_is_off(
    api: _Matcher, connect: Callable[..., None], requests_mock: Mocker
) -> None:
    requests_mock.get(f"{API}/items", status_code=500)
    assert OAuthHook("my_api").run("items", extra_options={"check_response": False}).status_code == 500
    connect(check_response=False)
    assert OAuthHook("my_api").run("items").status_code == 500
    with pytest.raises(ApiError):
        OAuthHook("my_api").run("items", extra_options={"check_response": True})


def test_without_a_response_no_secret_parameter_is_in_the_error_or_the_log(
    api: _Matcher, connect: Callable[..., None], requests_mock: Mocker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    connect(secret_params={"key": "fake-secret-param"})

    def fail(request: Request, context: Context) -> str:
        # The text of urllib3.
        raise requests.ConnectionError(f"Max retries exceeded with url: {request.path_url} (Caused by …)")

    requests_mock.get(f"{API}/items", text=fail)
    with pytest.raises((requests.ConnectionError, AirflowException)) as caught:
        OAuthHook("my_api").run("items")
    assert "fake-secret-param" not in str(caught.value) + caplog.text


def test_a_wrong_password_raises_its_own_error(connect: Callable[..., None], requests_mock: Mocker) -> None:
    connect(grant_type="password", username="fake-user", user_password="fake-password")
    requests_mock.post(TOKEN_URL, status_code=400, json={"error": "invalid_grant"})
    with pytest.raises(WrongPassword):
        OAuthHook("my_api").run("items")
    assert requests_mock.call_count == 1


# --- transport options

SENT = {
    "verify": (requests.certs.where(), "verify"),
    "cert": ("/fake/cert.pem", "cert"),
    "timeout": (7, "timeout"),
    "stream": (True, "stream"),
    "proxies": ({"https": "http://proxy.example.com:3128"}, "proxies"),
}


@pytest.mark.parametrize("name", SENT)
def test_a_transport_option_of_the_connection_is_passed_to_requests(
    api: _Matcher, connect: Callable[..., None], name: str, tls: Certificates
) -> None:
    value, attribute = SENT[name]
    if name == "cert":
        value = tls.client
    connect(**{name: value})
    OAuthHook("my_api").run("items")
    assert getattr(api.last_request, attribute) == value


@pytest.mark.parametrize("name", SENT)
def test_an_extra_option_of_the_call_replaces_the_one_of_the_connection(
    api: _Matcher, connect: Callable[..., None], name: str
) -> None:
    other = {"verify": False, "cert": None, "timeout": 70, "stream": False, "proxies": {"https": "http://fake.test"}}
    connect(**{name: other[name]})
    value, attribute = SENT[name]
    OAuthHook("my_api").run("items", extra_options={name: value})
    assert getattr(api.last_request, attribute) == value


@pytest.mark.parametrize(
    ("alias", "value", "attribute"),
    [("verify_ssl", False, "verify"), ("proxy", {"https": "http://proxy.example.com:3128"}, "proxies")],
)
def test_option_names_of_http_hook_are_accepted(
    api: _Matcher, connect: Callable[..., None], alias: str, value: bool | dict[str, Any], attribute: str
) -> None:
    OAuthHook("my_api").run("items", extra_options={alias: value})
    assert getattr(api.last_request, attribute) == value
    connect(**{alias: value})
    OAuthHook("my_api").run("items")
    assert getattr(api.last_request, attribute) == value


def test_the_transport_options_of_the_connection_apply_to_the_token_request(
    api: _Matcher, connect: Callable[..., None], endpoint: _Matcher, tls: Certificates
) -> None:
    connect(verify=tls.ca, cert=tls.client, proxies={"https": "http://proxy.example.com:3128"})
    OAuthHook("my_api").run("items")
    sent = endpoint.last_request
    assert (sent.verify, sent.cert) == (tls.ca, tls.client)
    assert sent.proxies == {"https": "http://proxy.example.com:3128"}


def test_a_request_has_a_timeout_by_default(api: _Matcher) -> None:
    OAuthHook("my_api").run("items")
    assert api.last_request.timeout == 60
    OAuthHook("my_api").run("items", extra_options={"timeout": None})
    assert api.last_request.timeout == 60


def test_redirects_are_followed_unless_the_connection_or_the_call_forbids_them(
    api: _Matcher, connect: Callable[..., None], requests_mock: Mocker
) -> None:
    requests_mock.get(f"{API}/moved", status_code=302, headers={"Location": f"{API}/items"})
    assert OAuthHook("my_api").run("moved").text == "answer"
    assert OAuthHook("my_api").run("moved", extra_options={"allow_redirects": False}).status_code == 302
    connect(allow_redirects=False)
    assert OAuthHook("my_api").run("moved").status_code == 302


def test_redirects_are_followed_up_to_max_redirects(
    api: _Matcher, connect: Callable[..., None], requests_mock: Mocker
) -> None:
    requests_mock.get(f"{API}/moved", status_code=302, headers={"Location": f"{API}/moved"})
    connect(max_redirects=2)
    with pytest.raises(ApiConnectionError, match="max_redirects"):
        OAuthHook("my_api").run("moved")
    assert len([sent for sent in requests_mock.request_history if sent.path == "/v1/moved"]) == 3


def test_proxies_of_the_environment_are_used_unless_trust_env_is_off(
    api: _Matcher, connect: Callable[..., None], endpoint: _Matcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://environment.example.com:3128")
    OAuthHook("my_api").run("items")
    assert api.last_request.proxies.get("https") == "http://environment.example.com:3128"
    token_sources._sources.clear()
    connect(trust_env=False, password="another-fake-secret")
    OAuthHook("my_api").run("items")
    assert not api.last_request.proxies.get("https")
    assert not endpoint.last_request.proxies.get("https")


def test_the_proxies_of_the_environment_are_looked_up_once_per_origin(
    api: _Matcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://environment.example.com:3128")
    monkeypatch.setenv("NO_PROXY", "direct.example.com")
    session = OAuthHook("my_api").get_conn()

    def proxy_of(url: str) -> str | None:
        found: str | None = session.merge_environment_settings(url, {}, None, None, None)["proxies"].get("https")
        return found

    urls = [f"{API}/items", "https://direct.example.com/items", f"{API}/items?page=2"]
    assert [proxy_of(url) for url in urls] == [
        "http://environment.example.com:3128",
        None,
        "http://environment.example.com:3128",
    ]
    monkeypatch.delenv("HTTPS_PROXY")
    assert proxy_of(urls[0]) == "http://environment.example.com:3128"
    given = session.merge_environment_settings(urls[0], {"https": "http://mine.example.com"}, None, None, None)
    assert given["proxies"]["https"] == "http://mine.example.com"


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_certificates_of_the_environment_are_used_unless_the_connection_has_others(
    connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch, name: str, tls: Certificates
) -> None:
    monkeypatch.setenv(name, "/etc/environment.pem")

    def verify() -> object:
        session = OAuthHook("my_api").get_conn()
        return session.merge_environment_settings(f"{API}/items", {}, None, None, None)["verify"]

    connect()
    assert verify() == "/etc/environment.pem"
    connect(verify=False)
    assert verify() is False
    connect(verify=tls.ca)
    assert verify() == tls.ca


# --- sockets


def adapters(session: requests.Session) -> dict[str, BaseAdapter]:
    return {prefix: session.adapters[prefix] for prefix in ("https://", "http://")}


@pytest.mark.parametrize("url", ["items?a=1", "/items?a=1", f"{API}/items?a=1"])
def test_a_session_takes_relative_endpoints_and_absolute_urls(api: _Matcher, url: str) -> None:
    OAuthHook("my_api").get_conn().get(url)
    assert api.last_request.url == f"{API}/items?a=1"
    assert api.last_request.headers["Authorization"] == "Bearer fake-token-1"


def test_a_session_does_not_change_the_request_that_it_prepares(api: _Matcher) -> None:
    request = requests.Request("GET", "items")
    assert OAuthHook("my_api").get_conn().prepare_request(request).url == f"{API}/items"
    assert request.url == "items"


def test_two_hooks_share_their_sockets(api: _Matcher) -> None:
    one, two = OAuthHook("my_api").get_conn(), OAuthHook("my_api", method="POST").get_conn()
    assert one is not two
    assert adapters(one) == adapters(two)
    assert one.headers is not two.headers


def test_hooks_with_different_keep_alive_options_do_not_share_sockets(api: _Matcher) -> None:
    kinds: list[dict[str, Any]] = [
        {},
        {"tcp_keep_alive": False},
        {"tcp_keep_alive_idle": 9},
        {"tcp_keep_alive_count": 9},
        {"tcp_keep_alive_interval": 9},
    ]
    found = [OAuthHook("my_api", **kind).get_conn().adapters["https://"] for kind in kinds]
    assert len({id(adapter) for adapter in found}) == 5
    options = [set(adapter.poolmanager.connection_pool_kw.get("socket_options") or []) for adapter in found]
    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in options[0]
    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) not in options[1]
    assert (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 9) in options[2]
    assert (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 9) in options[3]
    assert (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 9) in options[4]


def test_an_adapter_that_is_passed_is_used_instead(api: _Matcher) -> None:
    own = HTTPAdapter()
    assert set(adapters(OAuthHook("my_api", adapter=own).get_conn()).values()) == {own}
    assert own not in adapters(OAuthHook("my_api").get_conn()).values()


def test_closing_a_session_does_not_close_the_shared_sockets(api: _Matcher, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = OAuthHook("my_api")
    shared = hook.get_conn().adapters["https://"]
    closed = []
    monkeypatch.setattr(type(shared), "close", lambda self: closed.append(self))
    with hook.get_conn():
        pass
    assert closed == []


# --- the connection


def test_a_changed_connection_gets_a_new_token_source(
    api: _Matcher, connect: Callable[..., None], endpoint: _Matcher
) -> None:
    OAuthHook("my_api").run("items")
    first = token_sources.token_source(OAuthHook("my_api").config)
    connect(password="another-fake-secret")
    OAuthHook("my_api").run("items")
    assert token_sources.token_source(OAuthHook("my_api").config) is not first
    assert endpoint.call_count == 2
    assert api.last_request.headers["Authorization"] == "Bearer fake-token-2"


def test_an_unchanged_connection_keeps_its_token_source(api: _Matcher) -> None:
    assert token_sources.token_source(OAuthHook("my_api").config) is token_sources.token_source(
        OAuthHook("my_api").config
    )


def test_threads_get_the_same_token_source_at_the_same_time(api: _Matcher, monkeypatch: pytest.MonkeyPatch) -> None:
    config = OAuthHook("my_api").config
    both = threading.Barrier(2)

    def slow(*args: Any, **kwargs: Any) -> TokenSource:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.5)  # passed only if two threads are in here at the same time
        return TokenSource(*args, **kwargs)

    monkeypatch.setattr(token_sources, "TokenSource", slow)
    found = []
    threads = [threading.Thread(target=lambda: found.append(token_sources.token_source(config))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] is found[1]


def test_every_secret_is_masked_once_before_the_first_request(
    api: _Matcher, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    masked: list[str] = []
    monkeypatch.setattr(masking, "mask_secret", masked.append)
    connect(password="fake secret+1", secret_headers={"X-Key": "fake-key"}, secret_params={"k": "fake-param"})
    hook = OAuthHook("my_api")
    hook.run("items")
    wanted = {"fake secret+1", "fake%20secret%2B1", "fake+secret%2B1", "fake-key", "fake-param", "fake-token-1"}
    assert wanted <= set(masked)
    OAuthHook("my_api").run("items")
    assert len(masked) == len(set(masked))


def test_warnings_about_the_connection_are_logged_once_per_hook(
    api: _Matcher, connect: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    connect(no_such_field="fake-value")
    hook = OAuthHook("my_api")
    hook.run("items")
    hook.run("items")
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "'my_api'" in warnings[0]
    assert "no_such_field" in warnings[0]
    assert "fake-value" not in warnings[0]


def test_the_error_of_an_invalid_connection_names_the_field(
    connect: Callable[..., None], requests_mock: Mocker
) -> None:
    connect(grant_type="implicit")
    with pytest.raises(ConfigurationError, match=r"'my_api'.*grant_type"):
        OAuthHook("my_api").run("items")
    assert requests_mock.call_count == 0


@pytest.mark.parametrize("conn_type", ["http", "postgres", "sqlite", "no_such_type", ""])
def test_a_connection_of_another_type_is_refused_before_its_secret_is_sent(
    connect: Callable[..., None], requests_mock: Mocker, conn_type: str
) -> None:
    connect(conn_type=conn_type)
    with pytest.raises(ConfigurationError, match="OAuth 2.0 API"):
        hook_of("my_api", method="GET")
    assert requests_mock.call_count == 0


def test_hook_of_returns_the_hook_of_the_connection_type_with_scope_and_parameters(
    connect: Callable[..., None],
) -> None:
    connect()
    hook = hook_of("my_api", "write", method="PUT", tcp_keep_alive=False)
    assert type(hook) is OAuthHook
    assert (hook.oauth_conn_id, hook.scope, hook.method, hook._keep_alive) == ("my_api", "write", "PUT", None)


@pytest.mark.parametrize("make", [hook_of, OAuthHook])
def test_the_connection_is_read_and_parsed_once(
    api: _Matcher, monkeypatch: pytest.MonkeyPatch, make: Callable[[str], OAuthHook]
) -> None:
    calls = []

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args: calls.append(function.__name__) or function(*args)

    monkeypatch.setattr(BaseHook, "get_connection", staticmethod(counted(BaseHook.get_connection)))
    monkeypatch.setattr(settings, "read_connection", counted(settings.read_connection))
    hook = make("my_api")
    hook.run("items")
    hook.get_conn().get(f"{API}/items")
    hook.get_token()
    assert (hook.budget, hook.rate_limit_timeout) == (None, 0)
    hook.test_connection()
    assert calls == ["get_connection", "read_connection"]


# --- the stock operator


def test_the_stock_operator_works_unchanged(api: _Matcher) -> None:
    operator = HttpOperator(task_id="stock", http_conn_id="my_api", method="GET", endpoint="items", data={"page": 1})
    assert operator.execute({}) == "answer"
    assert api.last_request.url == f"{API}/items?page=1"
    assert api.last_request.headers["Authorization"] == "Bearer fake-token-1"


def test_the_stock_operator_paginates_with_one_token_and_the_same_sockets(
    api: _Matcher, endpoint: _Matcher, requests_mock: Mocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = []
    real = OAuthHook.get_conn
    monkeypatch.setattr(OAuthHook, "get_conn", lambda self, *args: used.append(real(self, *args)) or used[-1])
    requests_mock.get(f"{API}/items", text=lambda request, context: request.qs["page"][0])
    operator = HttpOperator(
        task_id="stock",
        http_conn_id="my_api",
        method="GET",
        endpoint="items",
        data={"page": "1"},
        pagination_function=lambda page: {"data": {"page": int(page.text) + 1}} if page.text != "3" else None,
    )
    assert operator.execute({}) == ["1", "2", "3"]
    assert endpoint.call_count == 1
    assert len({id(session.adapters["https://"]) for session in used}) == 1
    assert len(used) == 3


def test_the_stock_operator_retries_according_to_its_retry_args(api: _Matcher, requests_mock: Mocker) -> None:
    import tenacity

    requests_mock.get(f"{API}/items", [{"status_code": 500}, {"text": "ok"}])
    retry = {"stop": tenacity.stop_after_attempt(2), "retry": tenacity.retry_if_exception_type(AirflowException)}
    operator = HttpOperator(task_id="stock", http_conn_id="my_api", method="GET", endpoint="items", retry_args=retry)
    assert operator.execute({}) == "ok"
