"""Requests and paginators for fetching lists from an API."""
