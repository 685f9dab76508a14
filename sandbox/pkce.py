"""Proof Key for Code Exchange (RFC 7636), method S256."""

from __future__ import annotations

import base64
import hashlib
import secrets


def matches_challenge(verifier: str | None, challenge: str) -> bool:
    """Return whether the code challenge was made from this code verifier (RFC 7636 §4.6)."""
    digest = hashlib.sha256((verifier or "").encode()).digest()
    return secrets.compare_digest(base64.urlsafe_b64encode(digest).decode().rstrip("="), challenge)
