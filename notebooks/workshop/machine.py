"""Says in a lesson when other programs took the machine while something was measured."""

from collections.abc import Iterator
from contextlib import contextmanager

from learner.cpu_meter import MOST_OTHERS, CpuMeter
from learner.language import _


@contextmanager
def watch_machine() -> Iterator[None]:
    """Measure what other programs use within the block, and say it if it is too much.

    Processes that are started and have ended within the block count as this program's own.
    """
    meter = CpuMeter()
    yield
    others = meter.others()
    if others > MOST_OTHERS:
        print(
            _(
                "Other programs used {share:.0%} of this machine meanwhile, so these times are "
                "longer than on an idle machine. Close some programs, and run this cell again."
            ).format(share=others)
        )
