"""Lets a user authorize a connection: in a browser, or with a code (RFC 8628)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from airflow_provider_oauth.cli.loopback import LISTEN_TIMEOUT, Loopback
from airflow_provider_oauth.cli.output import print_line
from airflow_provider_oauth.cli.questions import ask
from airflow_provider_oauth.management import grants, messages
from airflow_provider_oauth.protocol.authorization import AuthorizationRequest

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token import Token

#: The default redirect URI if the user pastes the callback URL. No server listens there, so no log contains the code.
REDIRECT_URI = "http://127.0.0.1:8765/"
CANCELED = "Canceled. No tokens were stored."


def authorize(config: OAuthConfig, redirect_uri: str | None, *, listen: bool) -> None:
    """Let a user authorize the connection in a browser, and store the tokens.

    :param config: the settings of the connection
    :param redirect_uri: the redirect URI that is registered at the server; None for the default
    :param listen: whether to wait for a browser on this machine, instead of asking the user to paste the callback URL
    """
    if listen:
        with Loopback(redirect_uri) as loopback:
            request = AuthorizationRequest(conn_id=config.conn_id, redirect_uri=loopback.redirect_uri)
            _print_url("Open this URL in a browser on this machine", config, request)
            print_line(f"Waiting for the browser, for at most {LISTEN_TIMEOUT / 60:.0f} minutes …")
            callback = loopback.wait_for_callback(request.state)
    else:
        request = AuthorizationRequest(conn_id=config.conn_id, redirect_uri=redirect_uri or REDIRECT_URI)
        _print_url("Open this URL in a browser", config, request)
        print_line(
            "Log in and consent. The browser then opens a URL that begins with the redirect URI, and usually shows an "
            "error: this is expected. Copy the URL from the address bar and paste it here:"
        )
        callback = ask("", CANCELED)
        if "state=" not in callback:
            raise SystemExit(
                "This text is not the URL that the browser opened after the consent. No tokens were stored. Run the "
                "command again, and paste the whole URL from the address bar."
            )
    print_line("Storing the tokens. This usually takes a few seconds …")
    _print_result(config, grants.finish_authorization(config, request, callback))


def authorize_device(config: OAuthConfig) -> None:
    """Let a user authorize the connection with a code (RFC 8628).

    :param config: the settings of the connection
    """
    device = grants.begin_device_authorization(config)
    print_line(f"Open this URL in a browser on any machine:\n\n{device.verification_uri}\n")
    print_line(f"Enter this code, log in and consent: {device.user_code}\n")
    if device.verification_uri_complete:
        print_line(f"This URL already contains the code:\n\n{device.verification_uri_complete}\n")
    minutes = max(round(device.expires_in / 60), 1)
    print_line(f"Waiting for your consent, for at most {minutes} {'minute' if minutes == 1 else 'minutes'} …")
    _print_result(config, grants.finish_device_authorization(config, device))


def _print_result(config: OAuthConfig, token: Token) -> None:
    """Print the result of an authorization."""
    _, text = grants.authorization_result(config, token)
    print_line(messages.about(config.conn_id, text))


def _print_url(instruction: str, config: OAuthConfig, request: AuthorizationRequest) -> None:
    url = grants.begin_authorization(config, request)
    print_line(f"Redirect URI (must be registered at the server): {request.redirect_uri}")
    print_line(f"{instruction}:\n\n{url}\n")
    if "request_uri" in parse_qs(urlsplit(url).query):  # a pushed authorization request
        print_line("Open it now: the server accepts it for a short time only, usually one or two minutes.")
