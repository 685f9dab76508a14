"""The nonce of an ID token (OpenID Connect Core 1.0 section 3.1.3.7)."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import TokenResponseError
from airflow_provider_oauth.management import grants
from airflow_provider_oauth.protocol.authorization import AuthorizationRequest
from airflow_provider_oauth.protocol.clock import Clock
from tests.connections import oauth_config

if TYPE_CHECKING:
    from requests_mock import Mocker

pytestmark = pytest.mark.usefixtures("variables")

BACK = "https://airflow.example.com/oauth/callback"
CONFIG = oauth_config(
    grant_type="authorization_code", authorize_url="https://login.example.com/authorize", scope="openid read"
)
REQUEST = AuthorizationRequest(conn_id="shop", redirect_uri=BACK, state="s", code_verifier="fake-verifier")
TOKEN = {"access_token": "fake-access", "refresh_token": "fake-refresh", "expires_in": 3600}


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Clock, "sleep", lambda self, seconds, stop=None: None)


def id_token(**claims: Any) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.fake-signature"


def finish(requests_mock: Mocker, response: dict[str, Any], scope: str = "openid read") -> None:
    requests_mock.post(CONFIG.token_url, json=TOKEN | response)
    grants.finish_authorization(replace(CONFIG, scope=scope), REQUEST, f"{BACK}?state=s&code=c")


def test_an_id_token_with_the_nonce_is_accepted(requests_mock: Mocker) -> None:
    finish(requests_mock, {"id_token": id_token(sub="ada", nonce=REQUEST.nonce)})

    assert grants.status(CONFIG).usable


def test_a_response_without_an_id_token_is_accepted(requests_mock: Mocker) -> None:
    finish(requests_mock, {})

    assert grants.status(CONFIG).usable


def test_the_nonce_is_not_checked_if_no_id_token_was_requested(requests_mock: Mocker) -> None:
    finish(requests_mock, {"id_token": id_token(sub="ada")}, scope="read")


@pytest.mark.parametrize(
    "invalid",
    [
        id_token(sub="ada"),
        id_token(sub="ada", nonce="another"),
        id_token(sub="ada", nonce=None),
        id_token(sub="ada", nonce=[REQUEST.nonce]),
        id_token(sub="ada", nonce=REQUEST.code_verifier),
        "not-a-jwt",
        "e30.W10.x",
        "header.key.iv.ciphertext.tag",
        {"nonce": REQUEST.nonce},
    ],
)
def test_tokens_are_not_stored_if_the_id_token_lacks_the_nonce(
    requests_mock: Mocker, variables: dict[str, str], invalid: Any
) -> None:
    with pytest.raises(TokenResponseError) as caught:
        finish(requests_mock, {"id_token": invalid})

    assert str(caught.value) == (
        "Connection 'shop': the token endpoint issued an ID token without the nonce of the authorization request, so "
        "it may belong to another login. No token was stored. Authorize again. If the server never returns the "
        "nonce, remove openid from Scope. (URL: https://login.example.com/token)"
    )
    assert not any(name.startswith("oauth_token__") for name in variables)
