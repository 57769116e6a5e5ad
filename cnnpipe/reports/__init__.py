"""Plots, picture sheets and HTML; matplotlib and jinja2 are imported nowhere else."""
