"""Measures the machine, makes special photos, and knows the right answers."""
