"""Small experiments, each of which shows the answer to a question on the learner's machine."""
