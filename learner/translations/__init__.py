"""Lessons and texts to catalogues and back: `python -m learner.translations`."""
