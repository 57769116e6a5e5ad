"""What a clone needs before its first command: the environment and the lock file."""
