"""The criteria, one per file, and the probes that run in the submission's own processes."""
