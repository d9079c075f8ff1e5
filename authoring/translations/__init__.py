"""Collect texts into catalogues and generate the translated lessons: `make translations`."""
