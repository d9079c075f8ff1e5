"""The plan on paper: the lecture's two planning questions; the challenge asks them, too."""

from challenges.minimal_service.plan import FILE, plan

__all__ = ["FILE", "plan"]
