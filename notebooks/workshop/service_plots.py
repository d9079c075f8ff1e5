"""The plots of lesson 4: a service's start, its first users, its answers, an outage."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from challenges.load.observations import LOST, Observations
from learner.language import _, localise_number
from notebooks.workshop.plots import COLOURS, TARGET_COLOUR, TARGET_MS, plain_ticks, show, style
from quizzes.evidence.start_order import Step
from service.artifact.sample_photos import SamplePhoto

BLUE, ORANGE, GREEN, _PURPLE, GREY = COLOURS
PALE = "#b9cfe4"


def show_start(steps: Sequence[Step]) -> None:
    """Plot the steps of a start as bars over the time since the process began."""
    with style():
        figure = Figure(figsize=(7, 0.7 + 0.36 * len(steps)))
        axes = figure.subplots()
        said = []
        for row, step in enumerate(steps):
            milliseconds = (step.end - step.begin) * 1000
            axes.barh(row, step.end - step.begin, left=step.begin, height=0.6, color=BLUE)
            taken = localise_number(f"{milliseconds:,.0f}") + " ms"
            axes.text(step.end, row, f"  {taken}", va="center")
            said.append(f"{step.name} {taken}")
        axes.set_yticks(range(len(steps)), [step.name for step in steps])
        axes.invert_yaxis()
        axes.set_xlim(0, steps[-1].end * 1.18)
        axes.set_xlabel(_("seconds since the process was started"))
        axes.spines[["top", "right"]].set_visible(False)
    show(figure, "; ".join(said))


def show_first_users(
    seen: Mapping[str, Observations], guess: float, target_ms: float = TARGET_MS
) -> None:
    """Plot how long each of the first users waited, over the moment at which they came.

    Args:
        seen: name of a service → its first users.
        guess: for the first user, in ms.
        target_ms: a horizontal line.
    """
    with style():
        figure = Figure(figsize=(7, 3.6))
        axes = figure.subplots()
        said = []
        for (name, one), colour, marker in zip(seen.items(), COLOURS, "os^vd", strict=False):
            waited = one.latency_ms
            axes.plot(one.due, waited, marker, color=colour, label=name, markersize=4)
            late = int((~(one.ok & (waited <= target_ms))).sum())
            said.append(
                _(
                    "{name}: first user {first:,.0f} ms, last user {last:,.0f} ms, {late} of {n} "
                    "users over {target:g} ms"
                ).format(
                    name=name, first=waited[0], last=waited[-1], late=late, n=len(waited),
                    target=target_ms,
                )
            )  # fmt: skip
        axes.axhline(guess, color=GREY, linestyle=":", label=_("the guess for the first user"))
        axes.axhline(
            target_ms,
            color=TARGET_COLOUR,
            linestyle="--",
            label=_("target, {target:g} ms").format(target=target_ms),
        )
        axes.set_yscale("log")
        plain_ticks(axes.yaxis)
        axes.set_xlabel(_("moment at which the user came, s"))
        axes.set_ylabel(_("waited, ms (logarithmic)"))
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    show(figure, "; ".join(said))


def show_answers(photos: Sequence[SamplePhoto], answers: Sequence[Mapping[str, Any]]) -> None:
    """Show photos, and below each its predicted classes as bars; right classes are blue.

    Args:
        photos: the photos that were sent.
        answers: JSON of POST /predict, one per photo.
    """
    columns = len(photos)
    said = []
    with style():
        figure = Figure(figsize=(2.3 * columns, 4), layout="constrained")
        axes = figure.subplots(2, columns, squeeze=False, height_ratios=(3, 2.4))
        for column, (photo, answer) in enumerate(zip(photos, answers, strict=True)):
            axes[0, column].imshow(_square(photo.read()))
            axes[0, column].axis("off")
            _draw_answer(axes[1, column], answer["predictions"], photo.labels)
            best = answer["predictions"][0]
            said.append(f"{photo.name}: {best['label']} {best['probability']:.0%}")
    show(figure, "; ".join(said))


def _square(data: bytes, side: int = 260) -> Any:
    with Image.open(BytesIO(data)) as image:
        short = min(image.size)
        left, top = (image.width - short) // 2, (image.height - short) // 2
        square = image.convert("RGB").crop((left, top, left + short, top + short))
    return np.asarray(square.resize((side, side)))


def _draw_answer(axes: Any, predictions: Sequence[Mapping[str, Any]], right: Sequence[str]) -> None:
    for row, prediction in enumerate(predictions):
        label, probability = prediction["label"], prediction["probability"]
        axes.barh(row, probability, color=BLUE if label in right else PALE, height=0.34)
        axes.text(0, row - 0.3, f"{label}  {probability:.0%}", fontsize=9)
    axes.set(xlim=(0, 1), ylim=(len(predictions) - 0.6, -0.75))
    axes.axis("off")


def show_outage(seen: Observations, at: float, back: float) -> None:
    """Plot every request as a dot over the time: answered (height: latency) or lost (bottom).

    Args:
        seen: the requests.
        at: when the service was killed, in seconds from the first request.
        back: when it answered again, in seconds from the first request.
    """
    lost = seen.status == LOST
    answered = ~lost  # a refusal is an answer, too: it says when to try again
    floor = 1.0
    with style():
        figure = Figure(figsize=(7, 3.2))
        axes = figure.subplots()
        axes.plot(
            seen.due[answered], seen.latency_ms[answered], "o", color=BLUE, markersize=4,
            label=_("answered"),
        )  # fmt: skip
        axes.plot(
            seen.due[lost], np.full(lost.sum(), floor), "x", color=TARGET_COLOUR, markersize=6,
            label=_("lost: {n}, without a time").format(n=int(lost.sum())),
        )  # fmt: skip
        axes.axvline(at, color=TARGET_COLOUR, linestyle="--", label=_("killed"))
        axes.axvline(back, color=GREEN, linestyle="--", label=_("back"))
        axes.set_yscale("log")
        plain_ticks(axes.yaxis)
        axes.set_ylim(bottom=floor * 0.8)
        axes.set_xlabel(_("moment the request was due, s"))
        axes.set_ylabel(_("latency, ms (logarithmic)"))
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
        axes.spines[["top", "right"]].set_visible(False)
    alt = _(
        "{answered} requests answered, {lost} lost; killed after {at:.1f} s, back {seconds:.1f} s "
        "after the kill"
    )
    show(figure, alt.format(answered=answered.sum(), lost=lost.sum(), at=at, seconds=back - at))
