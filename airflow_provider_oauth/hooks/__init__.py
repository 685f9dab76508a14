"""Hooks for APIs behind OAuth 2.0."""
