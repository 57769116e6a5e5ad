"""Fitting a network: losses, optimisers, schedules, stopping, checkpoints."""
