"""The lessons in JupyterLab: the learner's copies, the interface's language, the start."""
