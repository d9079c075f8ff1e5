"""Simulates the queue of a service request by request, with measured times of batches.

The way to a lane (sender, HTTP, event loop) is added where it was measured (way.py).
Other programs are left out: beside them a real service is slower.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from challenges.load.arrivals import due_times
from learner.language import _
from notebooks.workshop.plots import COLOURS, TARGET_COLOUR, TARGET_MS, plain_ticks, show, style

BatchTimes = Mapping[int, Sequence[float]]
"""Images in a batch → measured times in ms of a batch of that size."""
Milliseconds = npt.NDArray[np.float64]


NO_WAY: Sequence[float] = (0.0,)


def simulate(
    due_s: npt.ArrayLike,
    batch_ms: BatchTimes,
    seed: int = 0,
    lanes: int = 1,
    way_ms: Sequence[float] = NO_WAY,
) -> Milliseconds:
    """Simulate a service with one queue, first come first served; return the latencies.

    An idle lane starts at once. A lane that was busy then takes all requests that wait, up to the
    largest size in `batch_ms`, as one batch. A batch takes one of the measured times of its size,
    drawn at random; between two measured sizes the time is interpolated.

    Args:
        due_s: arrival times of the requests in seconds, ascending.
        batch_ms: measured times; it must contain the size 1.
        seed: of the random draws.
        lanes: number of workers that take from the queue; each needs `batch_ms` for itself.
        way_ms: measured milliseconds of requests for which nothing is computed; each latency is
            longer by one of them, drawn at random.

    Returns:
        float64, one per request: milliseconds from its arrival to its answer.

    Raises:
        ValueError: there is no time for a batch of 1, or a list of times is empty.
    """
    due = np.asarray(due_s, dtype=float).tolist()
    sizes = sorted(batch_ms)
    if not sizes or sizes[0] != 1 or not all(len(batch_ms[size]) for size in sizes):
        raise ValueError("batch_ms must have at least one time for each size, and the size 1")
    measured = [np.sort(np.asarray(batch_ms[size], dtype=float)) for size in sizes]
    random = np.random.default_rng(seed)
    done = np.empty(len(due))
    first, free = 0, [0.0] * lanes
    while first < len(due):
        lane = free.index(min(free))
        start = max(free[lane], due[first])
        waiting = bisect_right(due, start, lo=first) - first
        count = min(waiting, sizes[-1])
        # The same quantile of each size's times, so that a slow draw is slow for all sizes.
        share = random.random()
        drawn = [times[int(share * len(times))] for times in measured]
        free[lane] = start + float(np.interp(count, sizes, drawn)) / 1000
        done[first : first + count] = free[lane]
        first += count
    on_the_way = np.random.default_rng([seed, 1]).choice(way_ms, len(due))
    latency: Milliseconds = (done - np.asarray(due)) * 1000 + on_the_way
    return latency


def p99_ms(
    batch_ms: BatchTimes,
    rate: float,
    seconds: float = 60,
    seed: int = 0,
    lanes: int = 1,
    way_ms: Sequence[float] = NO_WAY,
) -> float:
    """Return the 99th percentile of the latency in ms; Poisson arrivals, `rate` per second."""
    due = due_times("poisson", rate, seconds, seed)
    return float(np.percentile(simulate(due, batch_ms, seed, lanes, way_ms), 99, method="higher"))


def p99_band(
    batch_ms: BatchTimes,
    rate: float,
    seconds: float = 60,
    lanes: int = 1,
    runs: int = 40,
    way_ms: Sequence[float] = NO_WAY,
) -> tuple[float, float, float]:
    """Return how much p99 scatters by chance: the 5 %, 50 % and 95 % points of many runs, in ms."""
    drawn = [p99_ms(batch_ms, rate, seconds, seed, lanes, way_ms) for seed in range(runs)]
    low, middle, high = np.percentile(drawn, (5, 50, 95))
    return float(low), float(middle), float(high)


def saturation(batch_ms: BatchTimes, lanes: int = 1) -> float:
    """Return the requests per second of lanes that are always busy, at their best batch size."""
    return lanes * max(1000 * size / float(np.mean(times)) for size, times in batch_ms.items())


def tails(
    services: Mapping[str, BatchTimes],
    rate: float,
    title: str = "",
    target_ms: float = TARGET_MS,
    seconds: float = 30,
) -> None:
    """Plot p99 in ms (vertical) over the rate (horizontal), a line per service; mark `rate`."""
    with style():
        figure = Figure(figsize=(7, 3.4))
        axes = figure.subplots()
        said = []
        for (name, times), colour in zip(services.items(), COLOURS, strict=False):
            limit = saturation(times)
            rates = np.linspace(0.05, 1, 20) * limit
            p99 = np.array([p99_ms(times, float(one), seconds) for one in rates])
            axes.plot(rates, p99, ".-", color=colour, label=name)
            kept = max(rates[p99 < target_ms], default=0.0)
            said.append(
                _("{name}: saturated at {limit:.0f} a second, p99 under {target:g} ms up to "
                  "{kept:.0f}").format(name=name, limit=limit, target=target_ms, kept=kept)
            )  # fmt: skip
        axes.axhline(target_ms, color=TARGET_COLOUR, linestyle="--")
        axes.axvline(rate, color=COLOURS[4], linestyle=":")
        axes.annotate(
            _("{rate:g}/s").format(rate=rate),
            (rate, 1),
            xycoords=("data", "axes fraction"),
            xytext=(3, -12),
            textcoords="offset points",
        )
        axes.set_yscale("log")
        plain_ticks(axes.yaxis)
        axes.set_xlim(left=0)
        axes.set_xlabel(_("requests a second"))
        axes.set_ylabel(_("p99, ms (logarithmic)"))
        axes.set_title(title, loc="left")
        axes.grid(alpha=0.3)
        axes.legend(loc="best")
        axes.spines[["top", "right"]].set_visible(False)
    show(figure, "; ".join([title, *said] if title else said))
