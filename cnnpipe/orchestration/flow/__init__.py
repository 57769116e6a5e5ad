"""The graph under Prefect: stages as tasks, here and on workers."""
