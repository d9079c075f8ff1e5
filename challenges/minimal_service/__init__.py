"""The challenge: a minimal service for a 1 GB classifier, 50 requests a second, graded by a load."""
