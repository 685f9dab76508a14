"""Reads the claims of ID tokens (OpenID Connect Core 1.0 section 2).

The token comes directly from the token endpoint, so its signature need not be validated (section 3.1.3.7).
"""

from __future__ import annotations

import base64
import json
from typing import Any


def id_token_claims(id_token: Any) -> dict[str, Any]:
    """Return the claims of an ID token; an empty dict if it cannot be read, for example because it is encrypted.

    :param id_token: the member ``id_token`` of a token response
    """
    try:
        payload = str(id_token).split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}
