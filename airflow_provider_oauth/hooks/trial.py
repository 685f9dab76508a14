"""What the *Test* button says: whether a connection works, and if not, which field to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

from airflow_provider_oauth.exceptions import InvalidGrant
from airflow_provider_oauth.oauth.endpoint import TokenEndpoint
from airflow_provider_oauth.oauth.quoting import scrub

if TYPE_CHECKING:
    from airflow_provider_oauth.oauth.config import OAuthConfig
    from airflow_provider_oauth.oauth.token import Token


def try_grant(config: OAuthConfig) -> tuple[bool, str]:
    """Try the connection's grant at the token endpoint. Nothing is stored, and no refresh token is spent.

    :param config: the connection
    :return: whether it works, and what that proves, for a person to read
    :raises OAuthError: if the server refuses, or does not answer, or does not make sense
    """
    config = TokenEndpoint(config).completed("token_url")  # so that what is said names the server that is asked
    works, said = (
        _try_refresh(config)
        if config.lives_by_refresh
        else (True, _describe(config, TokenEndpoint(config).grant(patient=False)))
    )
    return works, " ".join([said, *config.warnings])


def _try_refresh(config: OAuthConfig) -> tuple[bool, str]:
    """Send a made-up refresh token: how the server refuses it shows whether it knows the client."""
    try:
        TokenEndpoint(config).refresh(f"made-up-{uuid4().hex}", patient=False)
    except InvalidGrant as error:
        return True, (
            f"The token endpoint at {_host(config)} accepted the client: it answered "
            f"{error.error or 'invalid_grant'} to a made-up refresh token, as it should. This proves "
            f"Token URL, Client ID, Client secret and Client authentication; it does not prove the refresh token, "
            f"which is good for one use and was not spent on a test."
        )
    return (
        False,
        "The token endpoint issued a token for a made-up refresh token. Check Token URL: that is not a safe server.",
    )


def _host(config: OAuthConfig) -> str:
    """Return which server was asked: a sandbox is easily taken for the real one."""
    return urlsplit(config.server).netloc


def _describe(config: OAuthConfig, token: Token) -> str:
    valid = f"for {round(token.lifetime.total_seconds())} s" if token.lifetime is not None else "that never expires"
    asked = config.scope or "no scope in particular"
    granted = token.scope if token.scope is not None else "the same"  # so RFC 6749 section 5.1
    words = (config.scope if token.scope is None else token.scope) or ""
    missing = sorted(set((config.scope or "").split()) - set(words.split()))
    granted = scrub(granted, (*config.secrets, token.access_token, *filter(None, [token.refresh_token])))
    lacking = f" Not granted: {', '.join(missing)}." if missing else ""
    return (
        f"The {config.grant_type} grant works: the token endpoint at {_host(config)} issued a token {valid}. "
        f"Scope asked: {asked}; granted: {granted or 'none'}.{lacking}"
    )
