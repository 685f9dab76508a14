"""The OAuth 2.0 client: plain Python and requests, no Airflow."""
