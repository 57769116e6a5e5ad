"""params.yaml: one module per section, checked whole before anything runs."""
