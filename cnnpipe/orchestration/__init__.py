"""DVC's graph and lock; dvc is imported nowhere else."""
