"""Discovery of endpoints from the metadata of an issuer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_provider_oauth.exceptions import (
    ConfigurationError,
    InvalidGrant,
    OAuthError,
    TokenRequestError,
    TokenResponseError,
)
from airflow_provider_oauth.protocol.config import TransportOptions
from airflow_provider_oauth.protocol.endpoint import EXCHANGE_TIMEOUT, TokenEndpoint
from airflow_provider_oauth.protocol.http_transport import MAX_RESPONSE_SIZE
from tests.connections import oauth_config
from tests.fake_clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from requests_mock import Mocker

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from tests.certificates import Certificates


ISSUER = "https://auth.test"
OIDC = f"{ISSUER}/.well-known/openid-configuration"
OAUTH = f"{ISSUER}/.well-known/oauth-authorization-server"
METADATA = {
    "issuer": ISSUER,
    "token_endpoint": "https://auth.test/found/token",
    "authorization_endpoint": "https://auth.test/found/authorize",
    "revocation_endpoint": "https://auth.test/found/revoke",
}
TOKEN = {"access_token": "fake-token", "expires_in": 60}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def endpoint(clock: FakeClock) -> Callable[..., TokenEndpoint]:
    def make(**values: Any) -> TokenEndpoint:
        return TokenEndpoint(config(**values), clock)

    return make


config = partial(oauth_config, token_url=None, issuer=ISSUER)


def requested(requests_mock: Mocker) -> list[tuple[str, str]]:
    return [(request.method, request.url) for request in requests_mock.request_history]


def urls_of(settings: OAuthConfig) -> tuple[str | None, str | None, str | None]:
    return settings.token_url, settings.authorize_url, settings.revoke_url


# --- where the metadata is requested


def test_the_metadata_url_of_openid_connect_is_requested_first(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker
) -> None:
    requests_mock.get(OIDC, json=METADATA)
    found = endpoint().with_discovered_endpoints("token_url")
    assert urls_of(found) == (
        "https://auth.test/found/token",
        "https://auth.test/found/authorize",
        "https://auth.test/found/revoke",
    )
    assert requested(requests_mock) == [("GET", OIDC)]
    (request,) = requests_mock.request_history
    assert request.headers["Accept"] == "application/json"
    assert request.headers["User-Agent"].startswith("airflow-provider-oauth/")
    assert request.body is None
    assert "Authorization" not in request.headers
    assert request.timeout == (5.0, EXCHANGE_TIMEOUT)


@pytest.mark.parametrize(
    ("issuer", "first", "second"),
    [
        (ISSUER, OIDC, OAUTH),
        (f"{ISSUER}/", OIDC, OAUTH),
        (f"{ISSUER}/t/1", f"{ISSUER}/t/1/.well-known/openid-configuration", f"{OAUTH}/t/1"),
        (f"{ISSUER}/t/1/", f"{ISSUER}/t/1/.well-known/openid-configuration", f"{OAUTH}/t/1"),
        (
            "http://localhost:8080",
            "http://localhost:8080/.well-known/openid-configuration",
            "http://localhost:8080/.well-known/oauth-authorization-server",
        ),
    ],
)
def test_after_a_404_the_metadata_url_of_rfc_8414_is_requested(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker, issuer: str, first: str, second: str
) -> None:
    requests_mock.get(first, status_code=404)
    requests_mock.get(second, json=METADATA | {"issuer": issuer})
    assert endpoint(issuer=issuer).with_discovered_endpoints("token_url").token_url == "https://auth.test/found/token"
    assert requested(requests_mock) == [("GET", first), ("GET", second)]


def test_an_issuer_with_a_query_is_refused(endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker) -> None:
    with pytest.raises(ConfigurationError, match=r"'shop': Issuer \(issuer\) must not have a query"):
        endpoint(issuer=f"{ISSUER}/?tenant=1").with_discovered_endpoints("token_url")
    assert not requests_mock.called


def test_transport_options_are_used_but_not_netrc(
    endpoint: Callable[..., TokenEndpoint],
    requests_mock: Mocker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tls: Certificates,
) -> None:
    (tmp_path / "netrc").write_text("machine auth.test login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    requests_mock.get(OIDC, json=METADATA)
    transport = TransportOptions(verify=tls.ca, cert=tls.client, proxies={"https": "http://proxy.test:3128"})
    endpoint(transport=transport, grant_headers={"X-Key": "fake"}).with_discovered_endpoints("token_url")
    request = requests_mock.last_request
    assert (request.verify, request.cert) == (tls.ca, tls.client)
    assert dict(request.proxies) == {"https": "http://proxy.test:3128"}
    assert not {"Authorization", "X-Key"} & set(request.headers)


# --- when the metadata is requested


@pytest.mark.parametrize(
    ("urls", "needed"),
    [
        ({"token_url": "https://auth.test/own"}, ["token_url"]),
        ({"token_url": "https://auth.test/own", "authorize_url": "https://auth.test/a"}, ["authorize_url"]),
        ({"token_url": "https://auth.test/own", "issuer": None}, ["token_url", "authorize_url", "revoke_url"]),
    ],
)
def test_no_metadata_is_requested_if_urls_are_set_or_there_is_no_issuer(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker, urls: dict[str, Any], needed: list[str]
) -> None:
    known = endpoint(**urls)
    assert known.with_discovered_endpoints(*needed) is known._config
    assert not requests_mock.called


def test_the_connections_urls_are_kept_and_missing_ones_discovered(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker
) -> None:
    requests_mock.get(OIDC, json=METADATA)
    found = endpoint(token_url="https://auth.test/own").with_discovered_endpoints("revoke_url")
    assert urls_of(found) == (
        "https://auth.test/own",
        "https://auth.test/found/authorize",
        "https://auth.test/found/revoke",
    )


def test_urls_that_are_not_in_the_metadata_stay_missing(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker
) -> None:
    requests_mock.get(OIDC, json={name: METADATA[name] for name in ("issuer", "token_endpoint")})
    assert urls_of(endpoint().with_discovered_endpoints("revoke_url")) == ("https://auth.test/found/token", None, None)


@pytest.mark.parametrize(("value", "required"), [({}, False), (True, True), (False, False), ("true", False)])
def test_whether_callbacks_must_have_iss_is_read_from_the_metadata(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker, value: Any, required: bool
) -> None:
    more = {"authorization_response_iss_parameter_supported": value} if value != {} else {}
    requests_mock.get(OIDC, json=METADATA | more)
    assert endpoint().with_discovered_endpoints("token_url").iss_required is required


# --- the exchange


@pytest.mark.parametrize(
    ("call", "body"),
    [
        (lambda endpoint: endpoint.grant("read"), b"grant_type=client_credentials&scope=read"),
        (lambda endpoint: endpoint.refresh("fake-r"), b"grant_type=refresh_token&refresh_token=fake-r"),
        (
            lambda endpoint: endpoint.exchange_code("c", "https://a.test/", "v"),
            b"grant_type=authorization_code&code=c&redirect_uri=https%3A%2F%2Fa.test%2F&code_verifier=v",
        ),
    ],
)
def test_each_exchange_requests_the_metadata_again(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker, call: Callable[..., Any], body: bytes
) -> None:
    moved = METADATA | {"token_endpoint": "https://auth.test/moved/token"}
    requests_mock.get(OIDC, [{"json": METADATA}, {"json": moved}])
    for url in (METADATA["token_endpoint"], moved["token_endpoint"]):
        requests_mock.post(url, json=TOKEN)
    token_endpoint = endpoint()
    assert [call(token_endpoint).access_token for _ in range(2)] == ["fake-token"] * 2
    assert requested(requests_mock) == [
        ("GET", OIDC),
        ("POST", "https://auth.test/found/token"),
        ("GET", OIDC),
        ("POST", "https://auth.test/moved/token"),
    ]
    assert requests_mock.last_request.body == body


def test_a_retried_exchange_does_not_request_the_metadata_again(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker
) -> None:
    requests_mock.get(OIDC, json=METADATA)
    requests_mock.post(METADATA["token_endpoint"], [{"status_code": 503}, {"json": TOKEN}])
    endpoint().grant()
    assert [method for method, _ in requested(requests_mock)] == ["GET", "POST", "POST"]


def test_a_refresh_url_needs_no_metadata(endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker) -> None:
    requests_mock.post("https://auth.test/refresh", json=TOKEN)
    assert endpoint(refresh_url="https://auth.test/refresh").refresh("fake-r").access_token == "fake-token"
    assert requests_mock.call_count == 1


def test_a_token_is_revoked_at_the_discovered_endpoint(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker
) -> None:
    requests_mock.get(OIDC, json=METADATA)
    requests_mock.post(METADATA["revocation_endpoint"])
    assert endpoint(token_url="https://auth.test/own").revoke("fake-r", "refresh_token")
    assert requested(requests_mock) == [("GET", OIDC), ("POST", METADATA["revocation_endpoint"])]


def test_revocation_is_an_error_if_the_metadata_has_no_revocation_endpoint(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker
) -> None:
    requests_mock.get(OIDC, json=METADATA | {"revocation_endpoint": None})
    with pytest.raises(ConfigurationError, match=r"Revocation URL \(revoke_url\) is missing"):
        endpoint().revoke("fake-r", "refresh_token")


@pytest.mark.parametrize("failure", [{"status_code": 503}, {"status_code": 429}, {"exc": requests.ConnectTimeout}])
def test_a_temporary_error_of_the_metadata_endpoint_is_retried(
    endpoint: Callable[..., TokenEndpoint], clock: FakeClock, requests_mock: Mocker, failure: dict[str, Any]
) -> None:
    requests_mock.get(OIDC, [failure, {"json": METADATA}])
    requests_mock.post(METADATA["token_endpoint"], json=TOKEN)
    assert endpoint().grant().access_token == "fake-token"
    assert len(clock.slept) == 1


def test_without_retry_the_metadata_is_requested_once(
    endpoint: Callable[..., TokenEndpoint], clock: FakeClock, requests_mock: Mocker
) -> None:
    requests_mock.get(OIDC, status_code=503)
    with pytest.raises(TokenRequestError):
        endpoint().grant(retry=False)
    assert (requests_mock.call_count, clock.slept) == (1, [])


def test_discovery_and_exchange_share_one_timeout(
    endpoint: Callable[..., TokenEndpoint], clock: FakeClock, requests_mock: Mocker
) -> None:
    requests_mock.get(OIDC, [{"status_code": 429, "headers": {"Retry-After": "15"}}, {"json": METADATA}])
    requests_mock.post(METADATA["token_endpoint"], status_code=503)
    with pytest.raises(TokenRequestError, match="token endpoint"):
        endpoint().grant()
    assert clock.seconds < EXCHANGE_TIMEOUT
    posted = [request for request in requests_mock.request_history if request.method == "POST"]
    assert all(request.timeout[1] <= 5 for request in posted)


def test_no_refresh_token_is_sent_if_discovery_took_the_whole_timeout(
    endpoint: Callable[..., TokenEndpoint], clock: FakeClock, requests_mock: Mocker
) -> None:
    def slow(request: Any, context: Any) -> dict[str, str]:
        clock.seconds += EXCHANGE_TIMEOUT
        return METADATA

    requests_mock.get(OIDC, json=slow)
    posted = requests_mock.post(METADATA["token_endpoint"], json=TOKEN)
    with pytest.raises(TokenRequestError, match="no response from the (metadata|token) endpoint") as caught:
        endpoint().refresh("fake-r")
    assert caught.value.retryable
    assert not posted.called


def test_a_refusal_names_the_discovered_token_endpoint(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker
) -> None:
    requests_mock.get(OIDC, json=METADATA)
    requests_mock.post(METADATA["token_endpoint"], status_code=400, json={"error": "invalid_grant"})
    with pytest.raises(InvalidGrant, match=r"the token endpoint refused.* \(URL: https://auth.test/found/token\)$"):
        endpoint().refresh("fake-r")


# --- URLs for clients with a certificate (RFC 8705 section 5)

ALIASES = {
    "token_endpoint": "https://mtls.auth.test/token",
    "revocation_endpoint": "https://mtls.auth.test/revoke",
    "authorization_endpoint": "https://mtls.auth.test/authorize",
    "userinfo_endpoint": 5,
}
BOUND = {"tls_client_certificate_bound_access_tokens": True}
TLS_CLIENT: dict[str, Any] = {"client_auth": "tls_client_auth", "client_secret": None}


@pytest.fixture
def certificate(tls: Certificates) -> dict[str, Any]:
    return {"transport": TransportOptions(cert=tls.client)}


@pytest.mark.parametrize(
    ("values", "has_certificate", "bound", "uses_aliases"),
    [
        (TLS_CLIENT, True, {}, True),
        ({}, True, BOUND, True),
        ({}, True, {}, False),
        ({}, True, {"tls_client_certificate_bound_access_tokens": "true"}, False),
        ({}, False, BOUND, False),
    ],
)
def test_a_client_with_a_certificate_uses_the_aliases(
    endpoint: Callable[..., TokenEndpoint],
    requests_mock: Mocker,
    certificate: dict[str, Any],
    values: dict[str, Any],
    has_certificate: bool,
    bound: dict[str, Any],
    uses_aliases: bool,
) -> None:
    values = {**values, **(certificate if has_certificate else {})}
    requests_mock.get(OIDC, json={**METADATA, "mtls_endpoint_aliases": ALIASES, **bound})
    token, authorize, revoke = urls_of(endpoint(**values).with_discovered_endpoints("token_url"))
    host = "https://mtls.auth.test" if uses_aliases else "https://auth.test/found"
    assert (token, revoke) == (f"{host}/token", f"{host}/revoke")
    assert authorize == "https://auth.test/found/authorize"  # the browser has no certificate


@pytest.mark.parametrize("aliases", [None, {}, {"token_endpoint": None}])
def test_an_endpoint_without_an_alias_is_used_with_a_certificate(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker, certificate: dict[str, Any], aliases: Any
) -> None:
    requests_mock.get(OIDC, json={**METADATA, "mtls_endpoint_aliases": aliases})
    assert (
        endpoint(**TLS_CLIENT, **certificate).with_discovered_endpoints("token_url").token_url
        == METADATA["token_endpoint"]
    )


def test_an_alias_is_sufficient_without_the_usual_endpoint(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker, certificate: dict[str, Any]
) -> None:
    requests_mock.get(OIDC, json={"issuer": ISSUER, "mtls_endpoint_aliases": ALIASES})
    assert (
        endpoint(**TLS_CLIENT, **certificate).with_discovered_endpoints("token_url").token_url
        == ALIASES["token_endpoint"]
    )


def test_an_alias_does_not_replace_a_url_of_the_connection(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker, certificate: dict[str, Any]
) -> None:
    requests_mock.get(OIDC, json={**METADATA, "mtls_endpoint_aliases": ALIASES})
    found = endpoint(**TLS_CLIENT, **certificate, token_url="https://auth.test/own").with_discovered_endpoints(
        "revoke_url"
    )
    assert (found.token_url, found.revoke_url) == ("https://auth.test/own", ALIASES["revocation_endpoint"])


@pytest.mark.parametrize("url", ["http://mtls.auth.test/x", "http://127.0.0.1/x", 5, "https://user:fake@auth.test/x"])
def test_an_unsafe_alias_is_rejected(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker, certificate: dict[str, Any], url: Any
) -> None:
    requests_mock.get(OIDC, json={**METADATA, "mtls_endpoint_aliases": {"token_endpoint": url}})
    error = refused(endpoint, **TLS_CLIENT, **certificate)
    assert isinstance(error, ConfigurationError)
    assert "cannot be used: the mtls_endpoint_aliases.token_endpoint in the server's metadata" in str(error)
    assert "Set Token URL. (URL: " in str(error)


@pytest.mark.parametrize("aliases", ["fake-secret", ["token_endpoint"], 5])
def test_aliases_that_are_not_an_object_are_rejected(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker, certificate: dict[str, Any], aliases: Any
) -> None:
    requests_mock.get(OIDC, json={**METADATA, "mtls_endpoint_aliases": aliases})
    assert "the mtls_endpoint_aliases in the server's metadata is not an object" in str(
        refused(endpoint, **TLS_CLIENT, **certificate)
    )


def test_the_metadata_of_another_issuer_is_rejected_before_its_aliases_are_used(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker, certificate: dict[str, Any]
) -> None:
    requests_mock.get(OIDC, json={**METADATA, "issuer": "https://evil.test", "mtls_endpoint_aliases": ALIASES})
    assert "metadata is for 'https://evil.test'" in str(refused(endpoint, **TLS_CLIENT, **certificate))


# --- rejected metadata


def refused(endpoint: Callable[..., TokenEndpoint], **values: Any) -> OAuthError:
    """Request a token, and return the error, which must not contain the secret."""
    with pytest.raises(OAuthError) as caught:
        endpoint(**values).grant(retry=False)
    text = str(caught.value)
    assert text.startswith("Connection 'shop': ")
    assert "fake-secret" not in text + repr(vars(caught.value))
    assert caught.value.__cause__ is None
    return caught.value


@pytest.mark.parametrize(
    "issuer",
    [f"{ISSUER}/", "https://AUTH.test", "https://evil.test", "http://auth.test", "", "fake-secret"],
)
def test_metadata_of_another_issuer_is_rejected(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker, issuer: str
) -> None:
    requests_mock.get(OIDC, json=METADATA | {"issuer": issuer})
    error = refused(endpoint)
    assert isinstance(error, ConfigurationError)
    assert f"Issuer (issuer) is '{ISSUER}', but the server's metadata is for '" in str(error)
    assert f"set Issuer to exactly this value. (URL: {OIDC})" in str(error)
    assert [method for method, _ in requested(requests_mock)] == ["GET"]


def test_the_error_names_both_issuers(endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker) -> None:
    requests_mock.get(OIDC, json=METADATA | {"issuer": f"{ISSUER}/"})
    assert "metadata is for 'https://auth.test/'. If" in str(refused(endpoint))


@pytest.mark.parametrize("name", ["token_endpoint", "authorization_endpoint", "revocation_endpoint"])
@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://auth.test/x", "uses plain http to auth.test"),
        (f"http://{'a' * 2000}/", "is longer than 2000 characters"),
        (f"https://auth.test/{'a' * 2000}", "is longer than 2000 characters"),
        ("http://auth\u202e.test/x", "is not a URL"),
        ("/relative", "is not an http"),
        ("javascript:alert(1)", "is not an http"),
        ("https://user:fake@auth.test/x", "must not contain a user name"),
        ("https://auth.test/x#y", "must not have a fragment"),
        (5, "is not a URL"),
        ("https://auth.test/\ud800", "is not a URL"),
        ("http://127.0.0.1:8080/x", "uses plain http, unlike the issuer"),
        (["https://auth.test/x"], "is not a URL"),
    ],
)
def test_an_unsafe_url_in_the_metadata_is_rejected(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker, name: str, url: Any, problem: str
) -> None:
    requests_mock.get(OIDC, json=METADATA | {name: url})
    error = refused(endpoint)
    assert isinstance(error, ConfigurationError)
    assert f"Issuer (issuer) cannot be used: the {name} in the server's metadata {problem}" in str(error)
    assert str(error).endswith(f" (URL: {OIDC})")


def test_allow_http_permits_plain_http_in_the_metadata(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker
) -> None:
    requests_mock.get(OIDC, json=METADATA | {"token_endpoint": "http://auth.test/t"})
    assert endpoint(allow_http=True).with_discovered_endpoints("token_url").token_url == "http://auth.test/t"


@pytest.mark.parametrize("metadata", [{"issuer": ISSUER}, METADATA | {"token_endpoint": None}])
def test_metadata_without_a_token_endpoint_is_an_error(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker, metadata: dict[str, Any]
) -> None:
    requests_mock.get(OIDC, json=metadata)
    error = refused(endpoint)
    assert isinstance(error, ConfigurationError)
    assert str(error).endswith(f"has no token_endpoint. Set Token URL. (URL: {OIDC})")


def test_a_server_without_metadata_is_an_error_with_advice(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker
) -> None:
    requests_mock.get(OIDC, status_code=404)
    requests_mock.get(OAUTH, status_code=404)
    error = refused(endpoint)
    assert (type(error), error.status_code, error.retryable) == (TokenRequestError, 404, False)
    assert "the metadata endpoint responded with status 404. Check Issuer. If the server has no metadata" in str(error)
    assert str(error).endswith(f" (URL: {OAUTH})")


@pytest.mark.parametrize("status", [400, 401, 403, 418])
def test_an_error_status_of_the_metadata_endpoint_is_not_invalid_client(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker, status: int
) -> None:
    requests_mock.get(OIDC, status_code=status, json={"error": "invalid_client"})
    error = refused(endpoint)
    assert (type(error), error.status_code, error.retryable) == (TokenRequestError, status, False)
    assert str(error).endswith(f"Check Issuer. (URL: {OIDC})")
    assert requests_mock.call_count == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_metadata_endpoint_is_a_retryable_error(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker, status: int
) -> None:
    requests_mock.get(OIDC, status_code=status, headers={"Retry-After": "7"})
    error = refused(endpoint)
    assert (error.status_code, error.retryable, error.retry_after) == (status, True, 7)


def test_an_unreachable_server_is_a_retryable_error(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker
) -> None:
    requests_mock.get(OIDC, exc=requests.ConnectionError(OSError("refused while sending fake-secret")))
    error = refused(endpoint)
    assert error.retryable
    assert "no response from the metadata endpoint: ConnectionError" in str(error)
    assert f"Check Issuer, and that this machine can reach the server. (URL: {OIDC})" in str(error)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker, status: int) -> None:
    requests_mock.get(OIDC, status_code=status, headers={"Location": "https://evil.test/m?a=1"})
    elsewhere = requests_mock.get("https://evil.test/m", json=METADATA)
    error = refused(endpoint)
    assert isinstance(error, TokenResponseError)
    assert "redirected to https://evil.test/m?…, which may be another server. Check Issuer." in str(error)
    assert not elsewhere.called


@pytest.mark.parametrize("issuer", [None, 5, [ISSUER], ["AAAA"], {"token": "AAAA"}])
def test_metadata_without_issuer_is_rejected_without_quoting_it(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker, issuer: Any
) -> None:
    requests_mock.get(OIDC, json=METADATA | {"issuer": issuer})
    error = refused(endpoint)
    assert isinstance(error, ConfigurationError)
    assert str(error).endswith(f"metadata has no issuer. Check Issuer. (URL: {OIDC})")
    assert "AAAA" not in str(error)


@pytest.mark.parametrize(
    "content", [b"", b"<h1>Welcome</h1>", b"[]", b'"text"', b"null", b"\xff\xfe", b"[" * 100_000, b'{"issuer":']
)
def test_a_response_that_is_not_a_json_object_is_rejected(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker, content: bytes
) -> None:
    requests_mock.get(OIDC, content=content)
    error = refused(endpoint)
    assert isinstance(error, TokenResponseError)
    assert str(error).endswith(
        f"the metadata endpoint responded with status 200 but without a JSON object. Check Issuer. (URL: {OIDC})"
    )


def test_a_response_that_is_too_large_is_rejected(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker
) -> None:
    requests_mock.get(OIDC, text="x" * (MAX_RESPONSE_SIZE + 1))
    error = refused(endpoint)
    assert isinstance(error, TokenResponseError)
    assert str(error).endswith(f"bytes. Check Issuer. (URL: {OIDC})")


def test_the_endpoints_of_pushed_requests_and_devices_have_aliases_too(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker, certificate: dict[str, Any]
) -> None:
    own = {"pushed_authorization_request_endpoint": "https://mtls.auth.test/par"}
    own |= {"device_authorization_endpoint": "https://mtls.auth.test/device"}
    found = {name: url.replace("mtls.", "") for name, url in own.items()}
    metadata = {**METADATA, **found, "require_pushed_authorization_requests": True}
    requests_mock.get(OIDC, json={**metadata, "mtls_endpoint_aliases": own})
    for values, host in ((TLS_CLIENT, "https://mtls.auth.test"), ({}, "https://auth.test")):
        settings = endpoint(**values, **certificate).with_discovered_endpoints("authorize_url", "device_url")
        assert (settings.par_url, settings.device_url) == (f"{host}/par", f"{host}/device")


@pytest.mark.parametrize("name", ["token_url", "authorize_url", "refresh_url"])
def test_the_device_endpoint_is_ignored_if_it_is_not_needed(
    endpoint: Callable[..., TokenEndpoint], requests_mock: Mocker, name: str
) -> None:
    requests_mock.get(OIDC, json={**METADATA, "device_authorization_endpoint": "http://unsafe.test/device"})
    assert endpoint().with_discovered_endpoints(name).device_url is None
    with pytest.raises(ConfigurationError, match="Set Device authorization URL"):
        endpoint().with_discovered_endpoints("device_url")
