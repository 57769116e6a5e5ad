"""What `cnnpipe doctor` looks at: one module per subject, and nothing of it writes."""
