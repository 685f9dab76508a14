from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.protocol.client_check import CLIENT_AUTH_METHODS
from airflow_provider_oauth.protocol.config import MAPPABLE, TransportOptions, is_loopback, normalize_scope
from airflow_provider_oauth.protocol.field_labels import field_name
from tests.connections import oauth_config

# How errors name each field.
URLS = {
    "base_url": "API base URL (host)",
    "token_url": "Token URL (grant_url)",
    "refresh_url": "Refresh URL (refresh_url)",
    "authorize_url": "Authorization URL (authorize_url)",
    "revoke_url": "Revocation URL (revoke_url)",
    "issuer": "Issuer (issuer)",
}


def refusal(**changes: Any) -> str:
    with pytest.raises(ConfigurationError) as raised:
        oauth_config(**changes)
    assert isinstance(raised.value, AirflowFailException)
    assert str(raised.value).startswith("Connection 'shop': ")
    return str(raised.value).removeprefix("Connection 'shop': ")


@pytest.mark.parametrize("grant_type", ["client_credentials", "authorization_code", "refresh_token"])
def test_grants_other_than_password_need_no_user_name(grant_type: str) -> None:
    assert oauth_config(grant_type=grant_type).grant_type == grant_type


@pytest.mark.parametrize("grant_type", ["", "Password", "device", "code"])
def test_an_unknown_grant_type_is_refused_with_a_list_of_known_ones(grant_type: str) -> None:
    assert refusal(grant_type=grant_type) == (
        f"Grant type (grant_type) is {grant_type!r}, which is not supported. Use client_credentials, password, "
        f"jwt_bearer, token_exchange, authorization_code or refresh_token."
    )


def test_the_implicit_grant_is_refused_with_an_alternative() -> None:
    message = refusal(grant_type="implicit")

    assert message.startswith("Grant type (grant_type) is 'implicit', which is not supported.")
    assert "RFC 9700" in message
    assert "authorization_code" in message


@pytest.mark.parametrize("missing", ["username", "user_password"])
def test_the_password_grant_needs_user_name_and_password(missing: str) -> None:
    user = {"username": "anna", "user_password": "fake"}
    assert oauth_config(grant_type="password", **user)

    assert refusal(grant_type="password", **(user | {missing: None})) == (
        f"{field_name(missing)} is missing, but the password grant requires it. Enter it, or choose another Grant type."
    )


@pytest.mark.parametrize(
    ("grant_type", "requires_refresh_token"),
    [("client_credentials", False), ("password", False), ("authorization_code", True), ("refresh_token", True)],
)
def test_a_grant_requires_a_refresh_token_if_it_cannot_be_repeated(
    grant_type: str, requires_refresh_token: bool
) -> None:
    settings = oauth_config(grant_type=grant_type, username="anna", user_password="fake", use_refresh=True)

    assert settings.requires_refresh_token is requires_refresh_token


@pytest.mark.parametrize("client_auth", ["client_secret_basic", "client_secret_basic_raw", "client_secret_post"])
def test_a_confidential_client_needs_client_id_and_client_secret(client_auth: str) -> None:
    assert oauth_config(client_auth=client_auth)
    assert (
        refusal(client_auth=client_auth, client_id=None)
        == "Client ID (login) is missing. Enter the client ID that the vendor issued."
    )
    assert (
        refusal(client_auth=client_auth, client_id="")
        == "Client ID (login) is missing. Enter the client ID that the vendor issued."
    )
    assert refusal(client_auth=client_auth, client_secret=None).startswith("Client secret (password) is missing. ")


def test_a_client_with_a_certificate_needs_client_id_and_certificate_but_no_secret() -> None:
    certificate = {"transport": TransportOptions(cert="/etc/ssl/client.pem")}
    oauth_config(client_auth="tls_client_auth", client_secret=None, **certificate)
    for client_id in (None, ""):
        text = refusal(client_auth="tls_client_auth", client_id=client_id, **certificate)
        assert text.startswith("Client ID (login) is missing.")
    assert refusal(client_auth="tls_client_auth", client_secret=None).startswith(
        "cert is missing, but Client authentication (client_auth) is tls_client_auth"
    )


def test_a_public_client_needs_neither_client_id_nor_client_secret() -> None:
    assert oauth_config(client_auth="none", client_id=None, client_secret=None).client_id is None


@pytest.mark.parametrize("client_auth", ["", "basic", "self_signed", "None"])
def test_an_unknown_client_authentication_is_refused(client_auth: str) -> None:
    *others, last = CLIENT_AUTH_METHODS
    assert refusal(client_auth=client_auth) == (
        f"Client authentication (client_auth) is {client_auth!r}, which is not supported. Use {', '.join(others)} or "
        f"{last}."
    )


@pytest.mark.parametrize("body_format", ["", "xml", "JSON"])
def test_an_unknown_body_format_is_refused(body_format: str) -> None:
    assert refusal(body_format=body_format) == (
        f"Token request body (body_format) is {body_format!r}, which is not supported. Use form, json, multipart or "
        "query."
    )


@pytest.mark.parametrize("field", URLS)
@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/x",
        "http://LOCALHOST:8080/x",
        "http://api.localhost/x",
        "http://127.0.0.1/x",
        "http://127.9.8.7:1/x",
        "http://[::1]:8080/x",
        "https://api.example.com:8443/x?y=z",
        "HTTPS://api.example.com",
        "https://[2001:db8::1]/x",
        "https://10.0.0.1/x",
    ],
)
def test_urls_with_https_or_on_this_machine_are_accepted(field: str, url: str) -> None:
    assert getattr(oauth_config(**{field: url}), field) == url


@pytest.mark.parametrize("field", URLS)
@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://api.example.com/x", "api.example.com"),
        ("HTTP://api.example.com/x", "api.example.com"),
        ("http://localhost.example.com", "localhost.example.com"),
        ("http://notlocalhost", "notlocalhost"),
        ("http://127.0.0.1.example.com", "127.0.0.1.example.com"),
        ("http://128.0.0.1", "128.0.0.1"),
        ("http://0.0.0.0", "0.0.0.0"),  # noqa: S104
        ("http://10.0.0.1", "10.0.0.1"),
        ("http://[::2]", "::2"),
        ("http://[2001:db8::1]:8080", "2001:db8::1"),
        ("http://2130706433", "2130706433"),
    ],
)
def test_urls_with_plain_http_to_another_machine_require_allow_http(field: str, url: str, host: str) -> None:
    message = refusal(**{field: url})

    assert message.startswith(f"{URLS[field]} uses plain http to {host}. ")
    assert "allow_http" in message
    assert getattr(oauth_config(**{field: url}, allow_http=True), field) == url


@pytest.mark.parametrize("field", URLS)
@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.com",
        "/token",
        "//api.example.com",
        "ftp://api.example.com",
        "file:///etc/passwd",
        "https://",
        "https:///token",
        "https://:8080/",
        "javascript://api.example.com/%0aalert(1)",
        "https://[::1",
        "https://api.example.com:port/",
        "https://api.example.com:99999/",
        "https://api example.com/",
    ],
)
@pytest.mark.parametrize("allow_http", [False, True])
def test_urls_that_are_malformed_are_refused(field: str, url: str, allow_http: bool) -> None:
    assert refusal(**{field: url}, allow_http=allow_http).startswith(f"{URLS[field]} is not a")


@pytest.mark.parametrize("field", URLS)
@pytest.mark.parametrize("user", ["anna:fake-secret", "anna", ":fake-secret", ":", ""])
def test_urls_with_user_information_are_refused_and_not_quoted(field: str, user: str) -> None:
    message = refusal(**{field: f"https://{user}@api.example.com/"})

    assert message == f"{URLS[field]} must not contain a user name or password."


@pytest.mark.parametrize("field", ["token_url", "refresh_url", "authorize_url", "revoke_url"])
def test_urls_of_endpoints_must_not_have_a_fragment(field: str) -> None:
    # RFC 6749 sections 3.1 and 3.2: the endpoint URI MUST NOT include a fragment component.
    assert refusal(**{field: "https://login.example.com/token#part"}).startswith(URLS[field])


@pytest.mark.parametrize("name", ["token", "Access_Token", "expires_at", ""])
def test_response_map_with_an_unknown_name_is_refused(name: str) -> None:
    message = refusal(response_map={name: "data"})

    assert message == (
        f"Token response map (response_map) has the unknown name {name!r}. Use access_token, token_type, expires_in, "
        f"refresh_token, scope, base_url, error or error_description."
    )


@pytest.mark.parametrize("name", MAPPABLE)
def test_response_map_with_a_known_name_is_accepted(name: str) -> None:
    assert oauth_config(response_map={name: "data"}).response_map == {name: "data"}


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("127.0.0.1", True),
        ("127.255.255.255", True),
        ("::1", True),
        ("126.255.255.255", False),
        ("128.0.0.0", False),
        ("::", False),
        ("localhost.example.com", False),
        ("xlocalhost", False),
        ("", False),
    ],
)
def test_loopback_names_and_addresses_are_this_machine(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("scope", "normal"), [(None, ""), ("", ""), ("  ", ""), ("b a", "a b"), (" a\t b\n", "a b"), ("a", "a")]
)
def test_the_order_of_scopes_has_no_meaning(scope: str | None, normal: str) -> None:
    assert normalize_scope(scope) == normal


PASSWORD_GRANT: dict[str, Any] = {
    "grant_type": "password",
    "username": "anna",
    "user_password": "fake-1",
    "scope": "a b",
    "audience": "aud",
    "resource": "res",
    "grant_params": {"tenant": "t1"},
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("client_id", "other"),
        ("token_url", "https://other.example.com/token"),
        ("grant_type", "client_credentials"),
        ("username", "berta"),
        ("scope", "a"),
        ("scope", None),
        ("audience", None),
        ("resource", "other"),
        ("grant_params", {}),
        ("grant_params", {"tenant": "t2"}),
    ],
)
def test_the_identity_changes_with_values_that_a_token_depends_on(name: str, value: Any) -> None:
    assert oauth_config(**(PASSWORD_GRANT | {name: value})).identity != oauth_config(**PASSWORD_GRANT).identity


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scope", "b  a"),
        ("leeway", 5),
        ("default_lifetime", 5),
        ("authorize_params", {"prompt": "consent"}),
        ("api_headers", {"X": "1"}),
        ("client_auth", "client_secret_post"),
        ("body_format", "json"),
        ("transport", TransportOptions(timeout=5)),
        ("warnings", ("w",)),
    ],
)
def test_the_identity_does_not_change_with_other_values(name: str, value: Any) -> None:
    assert oauth_config(**(PASSWORD_GRANT | {name: value})).identity == oauth_config(**PASSWORD_GRANT).identity


def test_the_identity_has_the_json_form_that_stored_records_depend_on() -> None:
    # Stored records contain a hash of it.
    assert json.dumps(oauth_config(**PASSWORD_GRANT).identity, sort_keys=True) == (
        '{"audience": "aud", "client_id": "app", "grant_headers": {}, "grant_params": {"tenant": "t1"}, '
        '"grant_type": "password", "resource": "res", "scope": "a b", '
        '"token_url": "https://login.example.com/token", "username": "anna"}'
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"assertion_issuer": "b"},
        {"assertion_subject": "b"},
        {"assertion_claims": {"box_sub_type": "user"}},
        {"private_key_file": "/b"},
        {"private_key_file": None, "assertion_file": "/a"},
    ],
)
def test_the_identity_of_a_jwt_bearer_grant_changes_with_the_account(changes: dict[str, Any]) -> None:
    values: dict[str, Any] = {"grant_type": "jwt_bearer", "private_key_file": "/a"}

    assert oauth_config(**values | changes).identity != oauth_config(**values).identity


def test_the_identity_changes_with_the_key_id_if_a_token_can_be_requested_again() -> None:
    """NetSuite issues an ID of the key for each user and role. Otherwise a stored refresh token would be lost."""
    key = {"client_auth": "private_key_jwt", "private_key_file": "/a"}
    client, other = (oauth_config(key_id=each, **key).identity for each in ("1", "2"))
    assert client != other
    client, other = (oauth_config(grant_type="authorization_code", key_id=i, **key).identity for i in ("1", "2"))
    assert client == other


@pytest.mark.parametrize(
    "values",
    [{"private_key_file": "/a"}, {"private_key_file": "/b"}, {"private_key": "fake"}, {"assertion_file": "/a"}],
)
def test_the_identity_of_a_client_does_not_change_with_its_key(values: dict[str, Any]) -> None:
    # Otherwise a stored refresh token would be lost when the key is replaced.
    client = oauth_config(grant_type="authorization_code", client_auth="private_key_jwt", **values)

    assert client.identity == oauth_config(grant_type="authorization_code").identity


def test_the_identity_contains_the_issuer_if_there_is_no_token_url() -> None:
    issuer = "https://login.example.com"
    settings = oauth_config(token_url=None, issuer=issuer)

    assert settings.identity["token_url"] == issuer
    assert oauth_config(issuer=issuer).identity["token_url"] == "https://login.example.com/token"


def test_the_identity_contains_no_secret() -> None:
    settings = oauth_config(**PASSWORD_GRANT, refresh_token="fake-2", secret_grant_params={"k": "fake-3"})

    assert "fake" not in repr(settings.identity)


@pytest.mark.parametrize(
    "name",
    ["response_type", "redirect_uri", "state", "code_challenge", "code_challenge_method"],
)
@pytest.mark.parametrize("value", ["x", "", None, ["x"]])
def test_authorize_params_must_not_contain_a_parameter_that_this_package_sets(name: str, value: Any) -> None:
    assert refusal(authorize_params={"prompt": "consent", name: value}) == (
        f"Authorization request parameters (authorize_params) must not contain {name!r}, because this "
        f"package sets it. Remove it."
    )


@pytest.mark.parametrize(
    ("name", "label"),
    [("scope", "Scope"), ("audience", "Audience"), ("resource", "Resource"), ("client_id", "Client ID")],
)
def test_authorize_params_must_not_contain_a_parameter_that_has_its_own_field(name: str, label: str) -> None:
    assert refusal(authorize_params={name: "x"}) == (
        f"Authorization request parameters (authorize_params) must not contain {name!r}, because this "
        f"package sets it. Enter it in {label}."
    )


def test_authorize_params_are_not_in_the_repr() -> None:
    assert "anna" not in repr(oauth_config(authorize_params={"login_hint": "anna"}))


def test_either_token_url_or_issuer_is_required() -> None:
    assert refusal(token_url=None) == ("Token URL (grant_url) is missing. Set Token URL, or set Issuer to discover it.")
    assert oauth_config(token_url=None, issuer="https://login.example.com").token_url is None


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        oauth_config().scope = "more"  # type: ignore[misc]


def test_an_error_names_connection_and_field() -> None:
    assert str(oauth_config().error("scope", "is odd")) == "Connection 'shop': Scope (scope) is odd."


DEEPLY_NESTED: list[Any] = []
for _ in range(100_000):  # Python 3.13 allows 10,000 levels
    DEEPLY_NESTED = [DEEPLY_NESTED]


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("client_id", "Client ID (login)", "fake-\ud800"),
        ("client_secret", "Client secret (password)", "fake-\udfff"),
        ("scope", "Scope (scope)", "fake-\ud800"),
        ("grant_params", "Token request parameters (grant_params)", {"key": ["fake-\ud800"]}),
        ("secret_grant_params", "Secret token request parameters (secret_grant_params)", {"fake-\ud800": 1}),
        ("api_headers", "API headers (api_headers)", {"X-Key": "fake-\ud800"}),
        ("transport", "proxies", TransportOptions(proxies={"https": "http://fake-\ud800"})),
    ],
)
def test_an_unpaired_surrogate_is_refused(name: str, field: str, value: object) -> None:
    with pytest.raises(
        ConfigurationError, match=f"'shop': {re.escape(field)} contains an unpaired surrogate"
    ) as caught:
        oauth_config(**{name: value})

    assert "fake" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_value_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(
        ConfigurationError, match=r"'shop': Token request parameters \(grant_params\) is nested too deeply"
    ):
        oauth_config(grant_params={"key": DEEPLY_NESTED})


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_does_not_allow_is_refused(number: float) -> None:
    with pytest.raises(
        ConfigurationError, match=r"'shop': Assertion claims \(assertion_claims\) contains NaN or Infinity"
    ):
        oauth_config(assertion_claims={"n": [number]})
