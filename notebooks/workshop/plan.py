"""The plan on paper: the lecture's two planning questions; the challenge asks them, too."""

from challenges.minimal_service.planning_questions import FILE, plan

__all__ = ["FILE", "plan"]
