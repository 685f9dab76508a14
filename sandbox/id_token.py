"""ID tokens (OpenID Connect Core 1.0 §2), unsigned: clients get them directly from the token endpoint (§3.1.3.7)."""

from __future__ import annotations

import base64
import json
from typing import Any


def id_token(issuer: str, client_id: str, username: str, nonce: str | None, now: float) -> str:
    """Return an ID token that is valid for ten minutes.

    :param issuer: The issuer of the server.
    :param client_id: The client that the token is for.
    :param username: The user.
    :param nonce: The nonce of the authorization request; ``None`` if it had none.
    :param now: The time in seconds since the epoch.
    """
    claims: dict[str, Any] = {"iss": issuer, "sub": username, "aud": client_id, "iat": int(now), "exp": int(now) + 600}
    if nonce is not None:
        claims["nonce"] = nonce
    return ".".join([_encode({"alg": "none"}), _encode(claims), ""])


def _encode(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
