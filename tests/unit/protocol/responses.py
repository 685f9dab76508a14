"""Requests, responses and connections for the tests of token responses."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pytest
from requests.structures import CaseInsensitiveDict

from airflow_provider_oauth import exceptions
from airflow_provider_oauth.exceptions import (
    OAuthError,
    TokenRequestError,
    TokenResponseError,
)
from airflow_provider_oauth.protocol.token_requests import grant_request, refresh_request
from airflow_provider_oauth.protocol.token_responses import HttpResponse, parse_token_response
from tests.connections import oauth_config

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.token import Token

SENT_AT = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
SECRET = 'fake/secret+é "&<%'
USER_PASSWORD = "fake pass/word~"
REFRESH_TOKEN = "fake-refresh/token="
PARAM_SECRET = "fake-param-secret"


config = partial(
    oauth_config,
    token_url="https://login.example.com/token?key=in-the-query",
    client_secret=SECRET,
    username="anna",
    user_password=USER_PASSWORD,
)


def parse(
    content: Any = None,
    status: int = 200,
    headers: dict[str, str] | None = None,
    *,
    body: bytes | None = None,
    refresh: bool = False,
    **changes: Any,
) -> Token:
    """Parse the response to a token request, or to a refresh, of a connection with ``changes``."""
    settings = config(**changes)
    request = refresh_request(settings, REFRESH_TOKEN, now=SENT_AT) if refresh else grant_request(settings, now=SENT_AT)
    response = HttpResponse(
        status_code=status,
        headers=CaseInsensitiveDict({"Content-Type": "application/json"} | (headers or {})),
        body=json.dumps(content).encode() if body is None else body,
        sent_at=SENT_AT,
    )
    return parse_token_response(settings, request, response)


def refused(*args: Any, **kwargs: Any) -> TokenRequestError:
    with pytest.raises(TokenRequestError) as raised:
        parse(*args, **kwargs)
    return raised.value


def invalid_response(*args: Any, **kwargs: Any) -> TokenResponseError:
    with pytest.raises(TokenResponseError) as raised:
        parse(*args, **kwargs)
    return raised.value


def spellings(secret: str) -> dict[str, str]:
    """Return the representations of ``secret`` in which a server may echo it."""
    encoded = secret.encode()
    return {
        "plain": secret,
        "percent-encoded": quote(secret, safe=""),
        "percent-encoded with slashes": quote(secret),
        "form-encoded": quote_plus(secret),
        "percent-encoded in lower case": re.sub(r"%..", lambda code: code[0].lower(), quote(secret, safe="")),
        "base64": base64.b64encode(encoded).decode(),
        "base64url": base64.urlsafe_b64encode(encoded).decode(),
        "base64 without padding": base64.b64encode(encoded).decode().rstrip("="),
    }


SPELLINGS = tuple(spellings(""))


def assert_no_secret(error: OAuthError, *secrets: str) -> None:
    shown = "\n".join(
        [str(error), repr(error), repr(error.__dict__), repr(error.args), repr(exceptions.to_event(error))]
    )
    for secret in secrets:
        for form in spellings(secret).values():
            assert form not in shown
