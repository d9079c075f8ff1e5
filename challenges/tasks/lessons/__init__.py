"""Titles, questions and hints of the tasks, lesson by lesson."""
