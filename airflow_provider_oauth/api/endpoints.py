"""Joins endpoints with the API's base URL, and adds the vendor's prefix to them."""

from __future__ import annotations

#: What can follow a part of a path.
ENDS = ("", "/", "?", "#")


def is_absolute(endpoint: str) -> bool:
    """Return whether ``endpoint`` is an absolute URL, not a path. A URL in its query does not count."""
    return "://" in endpoint.partition("?")[0]


def joined_url(base_url: str, endpoint: str | None) -> str:
    """Return the URL of a relative endpoint."""
    if not endpoint:
        return base_url
    return base_url + endpoint if endpoint.startswith("/") else f"{base_url}/{endpoint}"


def with_prefix(endpoint: str | None, prefix: str) -> str | None:
    """Return a relative endpoint with the vendor's prefix.

    Absolute URLs, and endpoints that already begin with the prefix, are returned without a change.

    :param endpoint: a path relative to the API's base URL, with or without a slash at its beginning, or an absolute URL
    :param prefix: the prefix, without slashes around it; "" if there is none
    """
    if not prefix or (endpoint and is_absolute(endpoint)):
        return endpoint
    path = endpoint or ""
    without_slash = path.removeprefix("/")
    rest = without_slash.removeprefix(prefix)
    if rest != without_slash and rest[:1] in ENDS:
        return endpoint
    return prefix + path if path[:1] in ENDS else f"{prefix}/{path}"
