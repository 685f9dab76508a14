"""OAuth 2.0 on the wire: requests, responses and their errors. It keeps no state and does not import Airflow."""
