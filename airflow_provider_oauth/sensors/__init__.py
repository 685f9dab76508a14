"""Sensors for APIs with OAuth 2.0."""
