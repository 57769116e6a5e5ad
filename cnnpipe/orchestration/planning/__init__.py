"""What a run would do with each stage, and why."""
