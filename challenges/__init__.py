"""Challenges: what the learner builds, and what loads and grades it."""
