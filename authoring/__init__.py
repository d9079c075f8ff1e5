"""Tools for authors, teachers and translators, which the Makefile calls."""
