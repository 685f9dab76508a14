"""What this package sends although vendors do not document it, and why."""

from __future__ import annotations

PKCE = "RFC 7636: servers that do not support PKCE ignore its parameters (RFC 6749 section 3.1)"

REQUIRED = "RFC 6749 requires it"
NONCE = "OpenID Connect Core 1.0 section 3.1.2.1: it binds the ID token to the request; it is sent only with openid"

#: Parameters and headers that are sent to every vendor that does not document them, with the reason.
TO_ALL = {
    "authorize: query response_type": REQUIRED,
    "authorize: query nonce": NONCE,
    "token: body grant_type": REQUIRED,
    "authorize: query code_challenge": PKCE,
    "authorize: query code_challenge_method": PKCE,
    "token: body code_verifier": PKCE,
}
#: The same for one vendor.
TO_VENDOR: dict[str, dict[str, str]] = {}


def allowed(vendor: str) -> dict[str, str]:
    """Return what may be sent to a vendor, with the reasons."""
    return TO_ALL | TO_VENDOR.get(vendor, {})
