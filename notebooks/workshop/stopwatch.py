"""Time one call, or several calls in turns: for lessons."""

from learner.stopwatch import medians_in_turns, times_in_turns

__all__ = ["medians_in_turns", "times_in_turns"]
