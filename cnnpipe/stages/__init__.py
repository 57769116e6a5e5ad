"""One module per stage of dvc.yaml, independent of each other."""
