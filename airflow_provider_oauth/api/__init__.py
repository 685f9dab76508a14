"""Calls the protected API: adds the token to requests, converts errors, and limits the request rate.

No module in this package imports Airflow directly.
"""
