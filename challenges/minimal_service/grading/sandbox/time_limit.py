"""No step of a grade goes on for ever."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from learner.errors import LearnerError
from learner.language import _


class TookTooLong(LearnerError):  # noqa: N818
    """A step was ended; the message says after how long."""


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Within the block, raise `TookTooLong` after so many seconds, whatever it is doing.

    By the alarm signal, which only the main thread receives; in another thread nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(_number: int, _frame: FrameType | None) -> None:
        sentence = _("This part of the grade took more than {seconds:g} s and was ended.")
        raise TookTooLong(sentence.format(seconds=seconds))

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
