"""``airflow oauth …``: what a person does with a connection's grant on the command line."""
