"""What is judged, a criterion a file, and the probes that run in the submission's own processes."""
