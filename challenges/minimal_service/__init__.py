"""The challenge: serve a 1 GB classifier at 50 requests per second."""
