"""The lecture's two planning questions, under the name that lesson 6 imports."""

from challenges.minimal_service.planning_questions import plan

__all__ = ["plan"]
