"""Errors that a learner sees: one message, never a traceback."""


class LearnerError(Exception):
    """An error with a message in the learner's language: what is wrong, and what to do.

    A notebook shows it as one paragraph (IPython calls `_render_traceback_`). A command line prints
    it after "error:" and exits with a non-zero status.
    """

    def _render_traceback_(self) -> list[str]:
        """Return what IPython prints instead of a traceback."""
        return [str(self)]
