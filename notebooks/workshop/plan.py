"""The plan of lesson 6: the lecture's two questions, and the p99 that the plan predicts."""

from challenges.minimal_service.planning_questions import keep_prediction, plan

__all__ = ["keep_prediction", "plan"]
