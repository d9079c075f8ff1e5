"""The grader: starts a submission in fresh processes, watches it, and says why it fails."""
