"""The page *OAuth connections* in Airflow's web interface."""
