"""Adapters to Airflow: Variables, the encryption of records, masking, and URLs of the page."""
