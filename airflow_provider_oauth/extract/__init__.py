"""Fetching lists from an API: requests and paginators."""
