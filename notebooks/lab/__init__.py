"""Lessons in JupyterLab: reads them, copies them for the learner, starts JupyterLab."""
