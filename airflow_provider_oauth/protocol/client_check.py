"""Checks the fields for client authentication and assertions. Pure functions, no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_oauth.protocol.field_labels import field_name

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig

#: The client authentication methods; ``client_auth`` has a class for each.
CLIENT_AUTH_METHODS = (
    "client_secret_basic",
    "client_secret_basic_raw",
    "client_secret_post",
    "private_key_jwt",
    "client_secret_jwt",
    "tls_client_auth",
    "none",
)
#: Claims that the assertion claims of a connection cannot replace.
RESERVED_CLAIMS = ("iss", "sub", "jti", "iat", "nbf", "exp")
#: Fields about the key that signs JWTs.
KEY_FIELDS = ("private_key", "private_key_file", "certificate")
#: Fields about the assertion of the JWT bearer grant.
GRANT_FIELDS = ("assertion_issuer", "assertion_subject")
#: Fields about signed JWTs, for both kinds of keys.
JWT_FIELDS = ("key_id", "signing_algorithm", "assertion_audience", "assertion_claims")


def check_client(config: OAuthConfig) -> None:
    """Raise an error if a field for client authentication or assertions is missing or contradicts another one.

    :param config: the connection; the values of fields with choices are known ones
    :raises ConfigurationError: if a field is missing or invalid
    """
    _check_client_fields(config)
    if sends_assertion(config, config.grant_type) and not config.assertion_file and not has_private_key(config):
        reason = config.client_auth if config.client_auth == "private_key_jwt" else f"the {config.grant_type} grant"
        raise config.error(
            "private_key",
            f"is missing, but {reason} requires it. Enter Private key, Private key file or Assertion file",
        )
    if config.assertion_file and config.grant_type == "jwt_bearer" and config.client_auth == "private_key_jwt":
        raise config.error(
            "assertion_file",
            "is ambiguous, because the jwt_bearer grant and private_key_jwt each send a JWT. Choose another Client "
            "authentication, or enter a private key instead of Assertion file",
        )
    if config.grant_type == "token_exchange" and not config.subject_token_file:
        raise config.error(
            "subject_token_file",
            "is missing, but the token_exchange grant requires it. Enter the path of the file with the token",
        )
    if config.grant_type == "jwt_bearer" and config.scope and "scope" in config.assertion_claims:
        raise config.error("assertion_claims", "must not contain 'scope', because Scope is set. Remove one of them")
    for name in filter(config.assertion_claims.__contains__, RESERVED_CLAIMS):
        advice = {"iss": "Use Assertion issuer", "sub": "Use Assertion subject"}.get(name, "Remove it")
        raise config.error("assertion_claims", f"must not contain {name!r}, because this package sets it. {advice}")


def unused_fields(config: OAuthConfig) -> list[str]:
    """Return a warning for each field about assertions that has a value and is not used.

    :param config: a valid connection
    """
    has_file = config.assertion_file is not None
    has_key = sends_assertion(config, config.grant_type) and not has_file
    is_grant = config.grant_type == "jwt_bearer"
    used = {
        **dict.fromkeys(KEY_FIELDS, has_key),
        "private_key_passphrase": has_key or config.transport.cert is not None,
        **dict.fromkeys(JWT_FIELDS, has_key or config.client_auth == "client_secret_jwt"),
        **dict.fromkeys(GRANT_FIELDS, has_key and is_grant),
        "assertion_file": sends_assertion(config, config.grant_type),
        "subject_token_file": config.grant_type == "token_exchange",
    }
    warnings = []
    for name in (each for each, is_used in used.items() if getattr(config, each) and not is_used):
        reason = "the connection's Client authentication and Grant type do not use it"
        if used["assertion_file"] and has_file and name != "subject_token_file":
            reason = "Assertion file is set"
        warnings.append(f"{field_name(name)} was ignored, because {reason}. Remove it.")
    return warnings


def has_private_key(config: OAuthConfig) -> bool:
    """Return whether a connection has a private key or the path of one."""
    return bool(config.private_key or config.private_key_file)


def sends_assertion(config: OAuthConfig, grant_type: str) -> bool:
    """Return whether a request contains a JWT that a private key or another system has signed.

    :param config: the connection
    :param grant_type: the grant that the request repeats; "" for other requests
    """
    return config.client_auth == "private_key_jwt" or grant_type == "jwt_bearer"


def _check_client_fields(config: OAuthConfig) -> None:
    if config.client_auth == "none":
        return
    is_optional = config.grant_type in ("jwt_bearer", "token_exchange")
    if not config.client_id:
        advice = "Enter the client ID that the vendor issued"
        if is_optional:
            advice += ", or set Client authentication (client_auth) to None (none)"
        raise config.error("client_id", f"is missing. {advice}")
    if config.client_auth == "tls_client_auth" and config.transport.cert is None:
        raise config.error(
            "cert",
            "is missing, but Client authentication (client_auth) is tls_client_auth, which requires a client "
            "certificate. Add cert to the extra fields: the path of a PEM file with the certificate and its key, or a "
            "list of two paths",
        )
    if config.client_auth.startswith("client_secret_") and config.client_secret is None:
        problem = "is missing. If the client has no secret, set Client authentication (client_auth) to None (none)"
        raise config.error("client_secret", problem)
