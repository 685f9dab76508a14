"""Adapters to Airflow: Variables, encryption of what is stored, masking, and URLs of its UI."""
