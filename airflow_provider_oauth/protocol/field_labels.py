"""The names of a connection's fields in errors: the label in the connection form and the key."""

from __future__ import annotations

#: The key in the connection of each field that has a different name in ``OAuthConfig``, by that name.
KEYS = {"base_url": "host", "token_url": "grant_url", "client_id": "login", "client_secret": "password"}
#: Labels in the connection form, by name in ``OAuthConfig``. Fields that the form does not show have none.
LABELS = {
    "base_url": "API base URL",
    "token_url": "Token URL",
    "client_id": "Client ID",
    "client_secret": "Client secret",
    "vendor": "Vendor",
    "vendor_values": "Vendor values",
    "grant_type": "Grant type",
    "grant_name": "Grant name",
    "private_key": "Private key",
    "private_key_file": "Private key file",
    "private_key_passphrase": "Private key passphrase",
    "key_id": "Key ID",
    "certificate": "Certificate",
    "signing_algorithm": "Signing algorithm",
    "assertion_issuer": "Assertion issuer",
    "assertion_subject": "Assertion subject",
    "assertion_audience": "Assertion audience",
    "assertion_claims": "Assertion claims",
    "assertion_file": "Assertion file",
    "subject_token_file": "Subject token file",
    "subject_token_type": "Subject token type",
    "par_url": "Pushed authorization request URL",
    "device_url": "Device authorization URL",
    "callback_map": "Callback values",
    "refresh_url": "Refresh URL",
    "authorize_url": "Authorization URL",
    "authorize_params": "Authorization request parameters",
    "skip_pkce": "Skip PKCE",
    "revoke_url": "Revocation URL",
    "issuer": "Issuer",
    "scope": "Scope",
    "scope_separator": "Scope separator",
    "audience": "Audience",
    "resource": "Resource",
    "username": "User name",
    "user_password": "User password",
    "refresh_token": "Refresh token",
    "use_refresh": "Renew with refresh tokens",
    "client_auth": "Client authentication",
    "body_format": "Token request body",
    "token_method": "Token request method",
    "request_map": "Request map",
    "grant_params": "Token request parameters",
    "grant_headers": "Token request headers",
    "secret_grant_params": "Secret token request parameters",
    "secret_grant_headers": "Secret token request headers",
    "api_headers": "API headers",
    "api_params": "API parameters",
    "secret_headers": "Secret API headers",
    "secret_params": "Secret API parameters",
    "auth_scheme": "Authorization scheme",
    "header_name": "Authorization header",
    "renew_on": "Renew token on",
    "error_path": "Error message path",
    "response_map": "Token response map",
    "leeway": "Leeway",
    "default_lifetime": "Default lifetime",
    "timeout": "Timeout",
    "allow_http": "Allow plain http",
}


def field_name(name: str) -> str:
    """Return the label of a field and its key: ``Token URL (grant_url)``. A field without a label has only its key.

    :param name: name in ``OAuthConfig`` or ``TransportOptions``
    """
    key = KEYS.get(name, name)
    return label_and_key(LABELS[name], key) if name in LABELS else key


def label_and_key(label: str, key: str) -> str:
    """Return the label in the form, without its unit, and the key: ``Leeway (leeway)``."""
    return f"{label.partition(' (')[0]} ({key})"
