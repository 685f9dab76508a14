"""Calls of the protected API: where a token may go, what a refusal means, errors and rate limits. No Airflow."""
