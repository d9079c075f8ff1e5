"""Runs a submission's processes apart: watched, bounded, and ended with all that they started."""
