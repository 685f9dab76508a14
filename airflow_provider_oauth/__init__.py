"""Any OAuth 2.0 protected HTTP API as a first-class Apache Airflow connection."""

__version__ = "0.1.0"
