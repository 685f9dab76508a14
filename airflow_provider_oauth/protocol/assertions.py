"""Builds and signs JWTs that authenticate the client or request a token (RFC 7523). Pure functions, no I/O."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.signing_keys import SigningKey

#: The value of ``client_assertion_type`` (RFC 7523 section 2.2).
CLIENT_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#: How far ``iat`` and ``nbf`` of a client assertion are in the past, because the server's clock may be slow.
CLIENT_BACKDATED = timedelta(seconds=30)
#: How long a client assertion is valid after it was sent. With CLIENT_BACKDATED, this is less than 5 minutes, the
#: maximum of Epic (fhir.epic.com, "Creating the JWT").
CLIENT_VALIDITY = timedelta(seconds=240)
#: The same for the assertion of a JWT bearer grant. For Maskinporten, ``iat`` must differ from the server's time by
#: less than 10 s (docs.digdir.no, "JWT grant").
GRANT_BACKDATED = timedelta(seconds=5)
#: How long that assertion is valid after it was sent. With GRANT_BACKDATED, this is less than 60 s, the maximum of Box
#: (developer.box.com, "JWT without SDK"); Maskinporten's maximum is 120 s, Salesforce's is 3 minutes.
GRANT_VALIDITY = timedelta(seconds=45)
#: The time after which a token of another system is no longer masked, if it does not expire earlier.
MAX_MASKED = timedelta(days=1)


def client_assertion(config: OAuthConfig, key: SigningKey, jwt_id: str, now: datetime) -> str:
    """Return a signed JWT that authenticates the client (RFC 7523 section 3).

    Its audience is the same for all endpoints: the server's issuer or, if that is not set, the token endpoint.

    :param config: the connection
    :param key: the client's private key, or its secret
    :param jwt_id: a unique ID
    :param now: time of the request, with a time zone
    """
    claims = {
        "iss": config.client_id,
        "sub": config.client_id,
        "aud": config.assertion_audience or config.issuer or config.token_url,
        "jti": jwt_id,
        "iat": _seconds(now - CLIENT_BACKDATED),
        "nbf": _seconds(now - CLIENT_BACKDATED),
        "exp": _seconds(now + CLIENT_VALIDITY),
    }
    return _signed({**claims, **config.assertion_claims}, key)


def grant_assertion(config: OAuthConfig, key: SigningKey, jwt_id: str, now: datetime, scope: str = "") -> str:
    """Return a signed JWT that requests a token (RFC 7523 sections 2.1 and 3).

    It has no ``nbf``, because Maskinporten refuses claims that it does not define (docs.digdir.no, "JWT grant").

    :param config: a connection with the JWT bearer grant
    :param key: the private key
    :param jwt_id: a unique ID
    :param now: time of the request, with a time zone
    :param scope: the scope, if the server expects it in the assertion; it replaces that of the assertion claims
    :raises ConfigurationError: if the connection has no issuer for the assertion
    """
    issuer = config.assertion_issuer or key.issuer or config.client_id
    if not issuer:
        raise config.error(
            "assertion_issuer", "is missing, but the jwt_bearer grant requires it. Enter the issuer, or Client ID"
        )
    claims = {
        "iss": issuer,
        "sub": config.assertion_subject,
        "aud": config.assertion_audience or config.token_url,
        "jti": jwt_id,
        "iat": _seconds(now - GRANT_BACKDATED),
        "exp": _seconds(now + GRANT_VALIDITY),
    }
    added = {**config.assertion_claims, **({"scope": scope} if scope else {})}
    return _signed({name: value for name, value in claims.items() if value} | added, key)


def masked_until(token: str, now: datetime) -> datetime:
    """Return until when an assertion or another token must be masked.

    :param token: a JWT or another token
    :param now: the current time, with a time zone
    :return: when it expires, but at most MAX_MASKED from now; a token that is not a JWT may be valid for that long
    """
    import jwt

    try:
        expires = datetime.fromtimestamp(jwt.decode(token, options={"verify_signature": False})["exp"], UTC)
    except (jwt.PyJWTError, LookupError, TypeError, ValueError, OverflowError, OSError):
        return now + MAX_MASKED
    return min(expires, now + MAX_MASKED)


def _seconds(time: datetime) -> int:
    return int(time.timestamp())


def _signed(claims: dict[str, Any], key: SigningKey) -> str:
    # Imported here, because most tasks find a valid token in the store and sign nothing.
    import jwt

    return jwt.encode(claims, key.key, key.algorithm, key.headers)
