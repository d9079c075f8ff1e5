"""A learner's folder: its description, a clean copy of it, its build, its running service."""
