"""The record in MLflow: runs are a projection of files, found or rebuilt by signature."""
