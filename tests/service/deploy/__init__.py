"""The container, really built and run, and what stands beside it."""
