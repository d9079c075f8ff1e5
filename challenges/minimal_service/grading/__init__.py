"""The grader: it starts a submission in fresh processes, watches it from outside, and says why."""
