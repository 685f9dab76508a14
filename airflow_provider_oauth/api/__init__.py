"""Calls the protected API: where the token is sent, errors, and rate limits. Imports no Airflow."""
