"""The challenge: a minimal service for a 1 GB classifier at 50 requests a second; its grader."""
