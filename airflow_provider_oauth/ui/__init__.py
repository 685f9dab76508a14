"""Airflow's page *OAuth connections*: what a person does with a connection's grant in a browser."""
