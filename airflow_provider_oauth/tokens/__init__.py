"""Provides valid tokens. One renewal serves all threads, processes and hosts. Nothing here imports Airflow directly."""
