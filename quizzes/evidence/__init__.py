"""Small experiments: each shows the answer to a question on the learner's own machine."""

from quizzes.evidence.base import Evidence

__all__ = ["Evidence"]
