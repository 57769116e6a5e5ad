"""Prefect flows: thin, and the same in every project."""
