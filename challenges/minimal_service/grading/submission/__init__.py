"""A learner's folder: its description, a clean copy, its build, its running service."""
