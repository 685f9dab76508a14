"""Valid tokens, renewed once for all threads, processes and hosts. No Airflow imports."""
