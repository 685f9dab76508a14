"""The actions on a connection's grant, for the page, the command line and DAGs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_oauth.exceptions import ConsentDenied, OAuthError
from airflow_provider_oauth.management.grant_check import GrantCheck, check_grant
from airflow_provider_oauth.management.lookup import with_looked_up_values
from airflow_provider_oauth.management.messages import not_granted, validity
from airflow_provider_oauth.management.status import ConnectionStatus
from airflow_provider_oauth.protocol.advice import OFFLINE_ACCESS
from airflow_provider_oauth.protocol.authorization import (
    authorization_url,
    check_grant_type,
    expected_nonce,
    pushed_authorization_url,
    validate_callback,
)
from airflow_provider_oauth.protocol.callback_values import stored_names, stored_values
from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.protocol.credentials import load_credentials
from airflow_provider_oauth.protocol.encryption_keys import read_file_keys
from airflow_provider_oauth.protocol.redaction import redact
from airflow_provider_oauth.protocol.token import missing_scopes
from airflow_provider_oauth.runtime.encryption import uses_data_key
from airflow_provider_oauth.runtime.token_sources import token_endpoint, token_source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_oauth.protocol.authorization import AuthorizationRequest
    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.device_authorization import DeviceAuthorization
    from airflow_provider_oauth.protocol.token import Token
    from airflow_provider_oauth.tokens.grant_state import GrantState
    from airflow_provider_oauth.tokens.source import TokenSource


def status(config: OAuthConfig) -> ConnectionStatus:
    """Return the status of a connection from the stored record, without a request to the server.

    :param config: the settings of the connection
    :raises TokenStoreError: if the record cannot be read
    """
    state = token_source(config).grant_state()
    record, token = state.record, state.token()
    # If the grant needs no user, the next task requests a new token.
    locked = record.locked if record and config.requires_refresh_token else None
    refusal = record.refused.error if record and record.refused else None
    return ConnectionStatus(
        conn_id=config.conn_id,
        config=config,
        error=str(refusal or locked or ""),
        token=token,
        usable=token is not None and token.usable(Clock().now(), config.leeway),
        changed=record is not None and not record.readable and not locked,
        locked=locked is not None,
        needs_consent=state.needs_consent,
        consent_by=state.consent_by,
        has_refresh_token=config.requires_refresh_token and not (state.needs_consent or state.never_expires or locked),
        missing_scopes=missing_scopes(config.scope, token) if token else (),
        callback=stored_values(config, state.matching_record.callback if state.matching_record else {}),
    )


def test(config: OAuthConfig) -> GrantCheck:
    """Test the connection's grant at the token endpoint, and report what is stored.

    The test stores nothing and uses no refresh token.

    :param config: the settings of the connection
    :raises OAuthError: if the server refuses the client, does not respond, or sends an invalid response
    """
    return check_grant(config, status(config))


def is_empty(config: OAuthConfig) -> bool:
    """Return whether there are no tokens to revoke or forget, neither stored nor in the connection.

    :param config: the settings of the connection
    :raises TokenStoreError: if the store cannot be read
    """
    return token_source(config).actions.is_empty()


def begin_authorization(config: OAuthConfig, request: AuthorizationRequest) -> str:
    """Return the URL to open in the user's browser, after checking that tokens can be requested and stored.

    If the connection or the server requires it, the parameters are first sent to the server (RFC 9126).

    :param config: the settings of the connection
    :param request: the authorization request
    :raises ConfigurationError: if the connection's grant type or URLs do not allow a user to authorize it, or if a key
        or a file is missing or invalid
    :raises TokenRequestError: if the issuer's metadata is needed and cannot be read, or if the server refuses the
        parameters
    :raises TokenResponseError: if the issuer's metadata or the response to the parameters is invalid
    :raises TokenStoreError: if the store cannot be read
    """
    source = token_source(config)  # this also masks the secrets of the connection in logs
    config = token_endpoint(config).with_discovered_endpoints("authorize_url")
    url = authorization_url(config, request)
    source.actions.check_can_store()
    _check_keys(config)
    if config.par_url is None:
        return url
    return pushed_authorization_url(config, request, token_endpoint(config).push_authorization(request))


def finish_authorization(config: OAuthConfig, request: AuthorizationRequest, callback: str) -> Token:
    """Exchange the code of a callback for tokens, and store them.

    :param config: the settings of the connection
    :param request: the authorization request that the callback belongs to
    :param callback: the URL that the browser was redirected to, or its query
    :raises ConsentDenied: if the user declined, the callback is invalid, the stored tokens belong to another user, or
        its callback values differ from those of the stored tokens, or the server issued no refresh token although one
        is stored. The stored tokens are kept
    :raises OAuthError: if the server refuses the code, or the tokens cannot be stored
    """
    source = token_source(config)  # this also masks the secrets of the connection in logs
    if request.conn_id != config.conn_id:
        raise ConsentDenied(
            f"Connection {config.conn_id!r}: the authorization was started for connection {request.conn_id!r}. Start "
            f"it again for this connection."
        )
    config = token_endpoint(config).with_discovered_endpoints("authorize_url", "token_url")
    valid = validate_callback(config, request, callback)
    _check_values(config, source.grant_state(), valid.values)
    nonce = expected_nonce(config, request)
    endpoint = token_endpoint(config, source.report)
    token = endpoint.exchange_code(valid.code, request.redirect_uri, request.code_verifier, nonce)
    return _store_consent(config, source, replace(token, callback=valid.values))


def begin_device_authorization(config: OAuthConfig) -> DeviceAuthorization:
    """Return the code to show to the user (RFC 8628), after checking that tokens can be requested and stored.

    :param config: the settings of the connection
    :raises ConfigurationError: if the connection's grant type or URLs do not allow a user to authorize it, or if a key
        or a file is missing or invalid
    :raises OAuthError: if the server refuses the request or does not respond, or if the store cannot be read
    """
    source = token_source(config)  # this also masks the secrets of the connection in logs
    check_grant_type(config)
    config = token_endpoint(config).with_discovered_endpoints("device_url")
    source.actions.check_can_store()
    _check_keys(config)
    return token_endpoint(config).authorize_device()


def finish_device_authorization(config: OAuthConfig, device: DeviceAuthorization) -> Token:
    """Wait until the user has authorized, and store the tokens.

    :param config: the settings of the connection
    :param device: the return value of ``begin_device_authorization``
    :raises ConsentDenied: if the user declined or did not authorize in time, the stored tokens belong to another user,
        or the server issued no refresh token although one is stored. The stored tokens are kept
    :raises OAuthError: if the server refuses the request or does not respond, or the tokens cannot be stored
    """
    source = token_source(config)
    config = token_endpoint(config).with_discovered_endpoints("token_url")
    token = token_endpoint(config, source.report).wait_for_device(device)
    return _store_consent(config, source, token)


def _check_keys(config: OAuthConfig) -> None:
    """Check that this process can authenticate the client and encrypt the tokens after a user has authorized.

    :raises ConfigurationError: if a key or a file is missing or invalid
    """
    load_credentials(config, repeats_grant=False)
    if uses_data_key(config):
        read_file_keys(config)


def _store_consent(config: OAuthConfig, source: TokenSource, token: Token) -> Token:
    """Store tokens after a consent, unless they belong to another account than the stored ones or cannot be renewed."""
    state = source.grant_state()
    try:
        _check_user(config, state, token)
    except ConsentDenied:
        with suppress(OAuthError):  # a token that cannot be revoked stays valid until it expires
            token_endpoint(config).revoke(token.refresh_token or token.access_token, "refresh_token")
        raise
    if token.refresh_token is None and not token.never_expires and not state.needs_consent:
        raise ConsentDenied(
            f"Connection {config.conn_id!r}: the server issued no refresh token, so the stored tokens were kept. Some "
            f"servers issue a refresh token only for the first consent. {OFFLINE_ACCESS} Alternatively, revoke the "
            f"earlier consent at the server, and authorize again."
        )
    looked_up = with_looked_up_values(config, token)

    def check_again(current: GrantState) -> None:
        # Another user may have authorized the connection since the first check.
        _check_user(config, current, token)
        _check_values(config, current, looked_up.callback)

    return source.actions.store_grant(looked_up, check_again)


def _check_user(config: OAuthConfig, state: GrantState, token: Token) -> None:
    """Check that a token belongs to the user who authorized the connection before.

    :raises ConsentDenied: if it belongs to another user
    """
    if state.record and state.record.subject and token.subject and token.subject != state.record.subject:
        raise ConsentDenied(
            f"Connection {config.conn_id!r}: you logged in to the server as a different user than before. The stored "
            f"tokens, which belong to the previous user, were kept. To continue with the previous user, log in to the "
            f"server as that user, and authorize again. To switch to the new user, forget the stored tokens, and "
            f"authorize again."
        )


def _check_values(config: OAuthConfig, state: GrantState, values: Mapping[str, str]) -> None:
    """Check that callback and lookup values are those of the stored grant, for example the ID of the same company.

    Otherwise, tasks would continue with the data of another account, and nobody would notice it.

    :raises ConsentDenied: if a value differs
    """
    stored = state.record.callback if state.record else {}
    for name, key in stored_names(config).items():
        if key in stored and key in values and stored[key] != values[key]:
            old, new = (redact(each, config.secrets) for each in (stored[key], values[key]))
            source = f"the callback has another {name} ({key})"
            if name not in config.callback_map:
                source = f"{config.api_name} returned another {name}"
            raise ConsentDenied(
                f"Connection {config.conn_id!r}: {source} than before: {new!r} instead of {old!r}. The stored tokens "
                f"belong to the previous account and were kept. To keep this account, authorize again and choose it at "
                f"the server. To switch to the new account, forget the stored tokens, and authorize again."
            )


def authorization_result(config: OAuthConfig, token: Token) -> tuple[bool, str]:
    """Return a report for the user after ``finish_authorization``.

    :param config: the settings of the connection
    :param token: the token that was stored
    :return: whether tasks can renew the token without a user, and a text about the token, its renewal and missing
        scopes
    """
    current = status(config)
    if current.needs_consent:
        renewal = f"The server issued no refresh token, so tasks cannot renew the token. {OFFLINE_ACCESS}"
    elif current.has_refresh_token:
        renewal = "Tasks renew the token from now on."
    else:
        renewal = "Tasks use the token until the API refuses it."
    text = f"the authorization succeeded. {validity(token)} {renewal} {not_granted(current.missing_scopes)}"
    return not current.needs_consent, text.rstrip()


def renew(config: OAuthConfig) -> Token:
    """Renew the token now, even if it is still valid.

    :param config: the settings of the connection
    :raises OAuthError: if the token cannot be renewed
    """
    return token_source(config).renew()


def revoke(config: OAuthConfig) -> int:
    """Revoke the stored tokens at the server (RFC 7009), then delete them.

    :param config: the settings of the connection
    :return: how many tokens the server revoked
    :raises OAuthError: if the tokens could not be revoked or deleted. In both cases, the stored tokens are kept
    """
    return token_source(config).actions.revoke()


def forget(config: OAuthConfig) -> None:
    """Delete the stored tokens without notifying the server.

    A refresh token in the connection's fields is not used again.

    :param config: the settings of the connection
    :raises OAuthError: if the change cannot be stored
    """
    token_source(config).actions.forget()
