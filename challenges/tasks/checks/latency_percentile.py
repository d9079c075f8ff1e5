"""Task latency-percentile: all requests count, and few requests are refused."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from challenges.tasks.checking import Wrong, own_module, place_of, said
from learner.language import _

LOOK = "latency.py, percentile"


def check(folder: Path) -> None:
    """Ask for percentiles of lists whose answers are known.

    Raises:
        Wrong: one is another.
    """
    percentile = own_module(folder, "latency").percentile
    random = np.random.default_rng(1)
    thousand = random.permutation(np.arange(1.0, 1001)).tolist()
    _demand(percentile, thousand, 99, 990.0, _("The latencies are 1, 2 … 1,000 ms, mixed."), folder)
    _demand(percentile, thousand, 50, 500.0, _("The latencies are 1, 2 … 1,000 ms, mixed."), folder)
    failed = [*thousand[:980], *[None] * 20]
    _demand(percentile, failed, 99, math.inf, _("20 of 1,000 requests failed."), folder)
    quick = [*[0.0] * 990, *[None] * 10]
    _demand(percentile, quick, 99, 0.0, _("990 requests took 0.0 ms, 10 of 1,000 failed."), folder)
    _demand(percentile, [7.0] * 20, 50, 7.0, _("20 requests are enough for p50."), folder)
    for count, share, needed in ((999, 99, 1000), (100, 99, 1000), (19, 50, 20), (0, 99, 1000)):
        _demand_refusal(percentile, thousand[:count], share, needed, folder)


def _demand(
    percentile: Callable[..., Any],
    latencies: Sequence[float | None],
    share: int,
    value: float,
    which: str,
    folder: Path,
) -> None:
    expected = _("{which} Then p{share} is ({value}, {n}).").format(
        which=which, share=share, value=value, n=len(latencies)
    )
    given = list(latencies)
    try:
        answer = percentile(given, share)
    except NotImplementedError:
        raise
    except Exception as error:
        raise Wrong(expected=expected, found=said(error), look=place_of(error, folder)) from error
    right = isinstance(answer, tuple | list) and len(answer) == 2
    if not right or answer[0] != value or answer[1] != len(latencies):
        found = _("`percentile` returned {answer}.").format(answer=repr(answer)[:150])
        raise Wrong(expected=expected, found=found, look=LOOK)
    if given != list(latencies):
        raise Wrong(
            expected=_("The list that is given stays as it is; `sorted` makes a new one."),
            found=_("After the call its order was another."),
            look=LOOK,
        )


def _demand_refusal(
    percentile: Callable[..., Any],
    latencies: Sequence[float],
    share: int,
    needed: int,
    folder: Path,
) -> None:
    expected = _(
        "For {n} requests and p{share} a ValueError is raised, which names the {needed} that are "
        "needed."
    ).format(n=len(latencies), share=share, needed=needed)
    try:
        answer = percentile(list(latencies), share)
    except ValueError as error:
        if str(needed) in str(error).replace(",", ""):
            return
        raise Wrong(expected=expected, found=said(error), look=LOOK) from error
    except Exception as error:
        raise Wrong(expected=expected, found=said(error), look=place_of(error, folder)) from error
    found = _("`percentile` returned {answer}.").format(answer=repr(answer)[:150])
    raise Wrong(expected=expected, found=found, look=LOOK)
