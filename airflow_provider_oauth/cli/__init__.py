"""The commands of ``airflow oauth``."""
