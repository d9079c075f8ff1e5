"""Challenges: what learners build, and the programs that load and grade it."""
