"""Parameters and headers that a connection adds to requests, and that this package sets itself."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.protocol.client_check import CLIENT_AUTH_METHODS
from airflow_provider_oauth.protocol.config import TransportOptions
from airflow_provider_oauth.protocol.credentials import Credentials
from airflow_provider_oauth.protocol.request_parameters import GRANT_PARAMETERS, PARAMETERS, token_parameters
from airflow_provider_oauth.protocol.signing_keys import SigningKey
from airflow_provider_oauth.protocol.token_requests import (
    TokenRequest,
    code_request,
    device_token_request,
    grant_request,
    refresh_request,
    revocation_request,
)
from tests.connections import oauth_config
from tests.fake_clock import START

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_oauth.protocol.config import OAuthConfig

KEY = SigningKey(algorithm="HS256", key="fake-key-of-32-characters-or-more")
FIELDS = ("grant_params", "secret_grant_params")
LABELS = {"grant_params": "Token request parameters", "secret_grant_params": "Secret token request parameters"}
PASSWORD = {"grant_type": "password", "username": "u", "user_password": "fake"}
POST = {"client_auth": "client_secret_post"}
CODE = {"grant_type": "authorization_code"}


def error_of(**fields: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        oauth_config(**fields)
    return str(caught.value)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    ("settings", "name", "advice"),
    [
        ({}, "grant_type", "Choose Grant type, or set Grant name"),
        ({"grant_name": "custom"}, "grant_type", "Choose Grant type, or set Grant name"),
        ({"scope": "read"}, "scope", "Enter it in Scope"),
        ({"audience": "aud"}, "audience", "Enter it in Audience"),
        ({"resource": "urn:a"}, "resource", "Enter it in Resource"),
        (PASSWORD, "username", "Enter it in User name"),
        (PASSWORD, "password", "Enter it in User password"),
        (POST, "client_id", "Enter it in Client ID"),
        (POST, "client_secret", "Enter it in Client secret"),
        ({"client_auth": "none"}, "client_id", "Enter it in Client ID"),
        ({"use_refresh": True}, "refresh_token", "Enter it in Refresh token"),
        ({"grant_type": "refresh_token"}, "refresh_token", "Enter it in Refresh token"),
        ({"grant_type": "refresh_token", "scope": "read"}, "scope", "Enter it in Scope"),
        (CODE, "refresh_token", "Enter it in Refresh token"),
        (CODE, "code", "Remove it"),
        (CODE, "code_verifier", "Remove it"),
        (CODE, "redirect_uri", "Remove it"),
        (CODE | {"resource": "urn:a"}, "resource", "Enter it in Resource"),
    ],
)
def test_a_parameter_that_the_package_sets_is_an_error(
    field: str, settings: dict[str, Any], name: str, advice: str
) -> None:
    assert error_of(**settings, **{field: {"tenant": "t1", name: "fake-value"}}) == (
        f"Connection 'shop': {LABELS[field]} ({field}) must not contain {name!r}, because this package sets it. "
        f"{advice}."
    )


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "scope"),
        ({}, "audience"),
        ({}, "resource"),
        ({}, "client_id"),  # in the body, in addition to HTTP Basic
        ({}, "client_secret"),
        ({"client_auth": "client_secret_basic_raw"}, "client_id"),
        ({"client_auth": "none"}, "client_secret"),
        ({"client_auth": "none", "client_id": None, "client_secret": None}, "client_id"),
        ({}, "username"),
        ({}, "password"),
        ({}, "refresh_token"),
        ({}, "code"),
        ({}, "token"),
        ({}, "client_assertion"),
        (CODE | {"audience": "aud"}, "audience"),  # only the authorization request has it
        (CODE | {"scope": "read"}, "scope"),
        (CODE | {"skip_pkce": True}, "code_verifier"),
        ({"resource": "urn:a"}, "Resource"),
    ],
)
def test_a_parameter_that_the_package_does_not_set_is_sent(field: str, settings: dict[str, Any], name: str) -> None:
    config = oauth_config(**settings, **{field: {name: "own"}})

    for request in requests_of(config):
        assert dict(parse_qsl(request.body.decode()))[name] == "own"


def test_a_parameter_in_both_fields_is_an_error() -> None:
    assert error_of(grant_params={"a": 1, "key": "open"}, secret_grant_params={"key": "fake"}) == (
        "Connection 'shop': Secret token request parameters (secret_grant_params) must not contain 'key', because "
        "Token request parameters (grant_params) contains it. Remove one of them."
    )


@pytest.mark.parametrize("name", ["X-Key", "x-key"])
def test_a_header_in_both_fields_is_an_error(name: str) -> None:
    assert error_of(grant_headers={"X-Key": "open"}, secret_grant_headers={name: "fake"}) == (
        f"Connection 'shop': Secret token request headers (secret_grant_headers) must not contain {name!r}, because "
        "Token request headers (grant_headers) contains it. Remove one of them."
    )


@pytest.mark.parametrize("field", ["grant_headers", "secret_grant_headers"])
@pytest.mark.parametrize("name", ["Authorization", "authorization"])
@pytest.mark.parametrize(
    "settings",
    [{}, {"client_auth": "client_secret_basic_raw"}, {"client_auth": "none", "refresh_bearer": True}],
)
def test_an_authorization_header_is_an_error_if_the_package_sets_it(
    field: str, name: str, settings: dict[str, Any]
) -> None:
    assert error_of(**settings, **{field: {name: "Basic fake"}}).endswith(
        f"({field}) must not contain 'Authorization', because this package sets it. Remove it, or set Client "
        "authentication to another method."
    )


@pytest.mark.parametrize("client_auth", ["none", "client_secret_post"])
def test_an_authorization_header_is_sent_with_other_client_authentication(client_auth: str) -> None:
    config = oauth_config(client_auth=client_auth, secret_grant_headers={"authorization": "Basic fake"})

    assert grant_request(config, now=START).headers["authorization"] == "Basic fake"


@pytest.mark.parametrize("field", ["grant_headers", "secret_grant_headers"])
@pytest.mark.parametrize(
    ("body_format", "content_type", "own"),
    [
        ("form", "application/x-www-form-urlencoded", "application/json"),
        ("json", "application/json", "application/x-www-form-urlencoded; charset=utf-8"),
        ("multipart", "multipart/form-data", "text/plain"),
    ],
)
def test_another_content_type_than_that_of_the_body_is_an_error(
    field: str, body_format: str, content_type: str, own: str
) -> None:
    assert error_of(body_format=body_format, **{field: {"content-type": own}}).endswith(
        f"({field}) must not contain a Content-Type other than {content_type}, because Token request body sets it. "
        "Remove it, or choose another Token request body (body_format)."
    )


@pytest.mark.parametrize("settings", [{"token_method": "GET"}, {"body_format": "query"}])
def test_a_request_without_a_body_may_have_any_content_type(settings: dict[str, Any]) -> None:
    config = oauth_config(grant_headers={"Content-Type": "application/json"}, **settings)

    assert grant_request(config, now=START).headers["Content-Type"] == "application/json"


# --- with other names


@pytest.mark.parametrize("field", FIELDS)
def test_with_a_request_map_the_other_name_is_an_error(field: str) -> None:
    changed = {"request_map": {"client_id": "client_key"}}

    assert "must not contain 'client_key', because this package sets it. Enter it in Client ID." in error_of(
        **POST, **changed, **{field: {"client_key": "x"}}
    )
    config = oauth_config(**POST, **changed, **{field: {"client_id": "own"}})
    assert grant_request(config, now=START).body == (
        b"grant_type=client_credentials&client_key=app&client_secret=fake-secret&client_id=own"
    )


def test_with_a_request_map_the_other_name_is_an_error_in_the_authorization_request() -> None:
    assert "(authorize_params) must not contain 'client_key', because this package sets it" in error_of(
        **CODE, request_map={"client_id": "client_key"}, authorize_params={"client_key": "x"}
    )


def test_unknown_names_in_a_request_map_are_an_error_that_lists_them() -> None:
    error = error_of(request_map={"client_id": "key", "clientid": "a", "prompt": "b"})

    assert error.startswith(
        "Connection 'shop': Request map (request_map) has unknown names: 'clientid', 'prompt'. Use names from this "
        "list: response_type, client_id, "
    )


@pytest.mark.parametrize(
    ("settings", "changed", "first", "second", "same"),
    [
        (POST, {"client_id": "key", "client_secret": "key"}, "client_id", "client_secret", "key"),
        (POST, {"client_id": "client_secret"}, "client_id", "client_secret", "client_secret"),
        (PASSWORD | {"scope": "a"}, {"scope": "username"}, "scope", "username", "username"),
        (CODE, {"state": "code_challenge"}, "code_challenge", "state", "code_challenge"),
        (CODE | POST, {"client_secret": "state"}, "client_secret", "state", "state"),  # pushed authorization request
        (POST, {"token": "client_id"}, "client_id", "token", "client_id"),  # revocation
        ({}, {"token": "token_type_hint"}, "token", "token_type_hint", "token_type_hint"),
    ],
)
def test_two_parameters_of_a_request_with_the_same_name_are_an_error(
    settings: dict[str, Any], changed: dict[str, str], first: str, second: str, same: str
) -> None:
    assert error_of(**settings, request_map=changed) == (
        f"Connection 'shop': Request map (request_map) gives {first!r} and {second!r} the same name, {same!r}. Use "
        "different names."
    )


@pytest.mark.parametrize("client_auth", ["client_secret_basic", "client_secret_post"])
def test_a_client_secret_in_the_url_of_the_browser_is_an_error(client_auth: str) -> None:
    assert error_of(**CODE, client_auth=client_auth, authorize_params={"client_secret": "fake"}) == (
        "Connection 'shop': Authorization request parameters (authorize_params) must not contain 'client_secret', "
        "because this package sets it. Enter it in Client secret."
    )


@pytest.mark.parametrize("changed", [{"client_id": "a", "username": "a"}, {"token": "code"}, {"scope": "scope"}])
def test_parameters_of_different_requests_may_have_the_same_name(changed: dict[str, str]) -> None:
    assert oauth_config(request_map=changed).request_map == changed


def test_two_parameters_may_swap_their_names() -> None:
    config = oauth_config(**POST, request_map={"client_id": "client_secret", "client_secret": "client_id"})

    assert grant_request(config, now=START).body == (
        b"grant_type=client_credentials&client_secret=app&client_id=fake-secret"
    )


# --- the table of parameters is complete


def requests_of(config: OAuthConfig) -> Iterator[TokenRequest]:
    """Yield one request of each kind that the connection needs."""
    credentials = Credentials(signing_key=KEY, subject_token="fake-subject")
    if config.grant_type in GRANT_PARAMETERS:
        yield grant_request(config, now=START, credentials=credentials)
    if config.grant_type == "authorization_code":
        uri = "https://a.example/"
        yield code_request(config, "fake-code", uri, "fake-verifier", now=START, credentials=credentials)
        yield device_token_request(config, "fake-device-code", now=START, credentials=credentials)
    if config.requires_refresh_token or config.use_refresh:
        yield refresh_request(config, "fake-refresh", now=START, credentials=credentials)


@pytest.mark.parametrize("grant", [*GRANT_PARAMETERS, "authorization_code", "refresh_token"])
@pytest.mark.parametrize("client_auth", CLIENT_AUTH_METHODS)
def test_the_parameters_that_are_checked_are_those_that_are_sent(grant: str, client_auth: str) -> None:
    for scope, audience, resource, use_refresh, skip_pkce in product((True, False), repeat=5):
        config = oauth_config(
            grant_type=grant,
            username="u",
            user_password="fake",
            client_auth=client_auth,
            scope="read" if scope else None,
            audience="aud" if audience else None,
            resource="urn:a" if resource else None,
            use_refresh=use_refresh,
            skip_pkce=skip_pkce,
            client_secret="fake-secret-of-32-characters-or-more",
            private_key="fake-key",
            subject_token_file="/fake/token",
            transport=TransportOptions(cert="/fake/client.pem"),
        )

        sent = [dict(parse_qsl(request.body.decode())).keys() for request in requests_of(config)]

        assert sent == list(token_parameters(config))


def test_every_parameter_of_a_revocation_can_be_renamed() -> None:
    config = oauth_config(**POST, revoke_url="https://login.example.com/revoke")
    request = revocation_request(config, "fake", "access_token", now=START)

    assert dict(parse_qsl(request.body.decode())).keys() <= set(PARAMETERS)
