"""Calls the protected API: where the token is sent, errors, and rate limits. Nothing here imports Airflow directly."""
