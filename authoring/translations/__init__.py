"""Lessons and texts to catalogues and back: `python -m authoring.translations`."""
