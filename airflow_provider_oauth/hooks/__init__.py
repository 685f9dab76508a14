"""Hooks for OAuth 2.0 protected APIs."""
