"""Say when other programs took the machine, because then a measured time says little."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from learner.cpu_meter import MOST_OTHERS, CpuMeter
from learner.language import _
from quizzes.evidence.running import Service

SAMPLE_S = 0.5
"""Seconds of a sample before and after a block that starts processes."""


@dataclass
class Machine:
    """What is known of it after a block that was watched."""

    quiet: bool = True


@contextmanager
def watched(services: Sequence[Service] = ()) -> Iterator[Machine]:
    """Measure within the block what other programs use; print a warning if it is too much.

    Args:
        services: belong to what is measured. More can be appended within the block.
    """
    machine = Machine()
    meter = CpuMeter([pid for service in services for pid in service.pids()])
    yield machine
    others = meter.others([pid for service in services for pid in service.pids()])
    machine.quiet = others <= MOST_OTHERS
    say_if_busy(others)


def say_if_busy(others: float) -> None:
    """Print a warning if other programs used more than `MOST_OTHERS` of the processor."""
    if others > MOST_OTHERS:
        print(
            _(
                "Other programs took {share:.0%} of the processor meanwhile. So these times say "
                "little about the service. Close some programs, and run this cell again."
            ).format(share=others)
        )


@contextmanager
def watched_around() -> Iterator[None]:
    """Measure what other programs use just before and just after the block, and warn likewise.

    For a block whose processes end within it: what they used cannot be told from the others' use.
    """
    before = _sample()
    yield
    say_if_busy(max(before, _sample()))


def _sample() -> float:
    """Return the others' share of all cores' time while this program only waits."""
    meter = CpuMeter()
    time.sleep(SAMPLE_S)
    return meter.others()
