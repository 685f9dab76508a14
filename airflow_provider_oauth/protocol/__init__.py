"""The OAuth 2.0 protocol: requests, responses and errors. Nothing here keeps state or imports Airflow directly."""
