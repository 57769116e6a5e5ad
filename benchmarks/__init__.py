"""Side-by-side measurements with peers: one command each, results as JSON in benchmarks/results/."""
