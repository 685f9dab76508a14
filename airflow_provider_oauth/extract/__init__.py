"""Pulling lists from an API: requests and paginators."""
