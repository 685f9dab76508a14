"""The undocumented parameters and headers that this package sends, with the reasons."""

from __future__ import annotations

PKCE = "RFC 7636: servers that do not support PKCE ignore its parameters (RFC 6749 section 3.1)"
REQUIRED = "RFC 6749 requires it"
REPEATED = "RFC 6749 section 4.1.3 requires it, because it was in the authorization request"
PAGE_SIZE = "documented: the size of a page; the example has the default size"
VERSION = "documented and recommended by GitHub for every request; the example does not require it"
NONCE = "OpenID Connect Core 1.0 section 3.1.2.1: it binds the ID token to the request; it is sent only with openid"

#: Parameters and headers that are sent to every vendor that does not document them, with the reason.
TO_ALL = {
    "authorize: query response_type": REQUIRED,
    "authorize: query nonce": NONCE,
    "token: body grant_type": REQUIRED,
    "token: body redirect_uri": REPEATED,
    "authorize: query code_challenge": PKCE,
    "authorize: query code_challenge_method": PKCE,
    "token: body code_verifier": PKCE,
}
#: The same for one vendor.
TO_VENDOR: dict[str, dict[str, str]] = {
    "amazon_selling_partner": {"authorize: query client_id": REQUIRED},
    "github": {"page 1: header x-github-api-version": VERSION, "page 2: header x-github-api-version": VERSION},
    "hubspot": {"page 1: query limit": PAGE_SIZE, "page 2: query limit": PAGE_SIZE},
    "shopify": {"refresh: body expiring": "grant_params are sent with all token requests; Shopify ignores it here"},
    "stripe_connect": {"token: body client_id": REQUIRED, "refresh: body client_id": REQUIRED},
    "zendesk": {"refresh: body scope": "RFC 6749 section 6 permits it; grant_params are sent with all token requests"},
}


def allowed(vendor: str) -> dict[str, str]:
    """Return the undocumented parameters and headers that may be sent to a vendor, with the reasons."""
    return TO_ALL | TO_VENDOR.get(vendor, {})
