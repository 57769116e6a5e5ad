"""The record in MLflow, which is a projection of files; mlflow is imported nowhere else."""
