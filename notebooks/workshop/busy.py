"""Say when other programs took the machine, because then a measured time says little."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from learner.cpu_meter import MOST_OTHERS, CpuMeter
from learner.language import _
from quizzes.evidence.running import Service


@contextmanager
def watched(services: Sequence[Service] = ()) -> Iterator[None]:
    """Measure within the block what other programs use; print a warning if it is too much.

    Args:
        services: belong to what is measured. More can be appended within the block.
    """
    meter = CpuMeter([pid for service in services for pid in service.pids()])
    yield
    say_if_busy(meter.others([pid for service in services for pid in service.pids()]))


def say_if_busy(others: float) -> None:
    """Print a warning if other programs used more than `MOST_OTHERS` of the processor."""
    if others > MOST_OTHERS:
        print(
            _(
                "Other programs took {share:.0%} of the processor meanwhile. So these times say "
                "little about the service. Close some programs, and run this cell again."
            ).format(share=others)
        )
