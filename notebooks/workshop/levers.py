"""Ways to make a service faster, to be timed one by one; a plot of where the time goes."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

from learner.language import _
from learner.numbers import format_number
from notebooks.workshop.plots import COLOURS, TARGET_COLOUR, show, style
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.machine import available_cores
from service.preprocessing import PreprocessingSettings

PHONE = (4000, 3000)
"""Width and height in pixels of a phone's photo: 12 megapixels."""
FULL_DECODE = PreprocessingSettings(reducing_gap=1e6)
"""The service's preprocessing, but without a reduced decoding of large JPEG files."""


def phone_photo(number: int = 0) -> bytes:
    """Return a sample photo as a JPEG file, enlarged to the size of a phone's photo."""
    photo = Image.open(BytesIO(SAMPLE_PHOTOS[number].read())).convert("RGB")
    file = BytesIO()
    photo.resize(PHONE, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


def decoders() -> ThreadPoolExecutor:
    """Return a pool with one thread per core: decoding releases the GIL, so it runs in parallel."""
    return ThreadPoolExecutor(available_cores())


def batches_of(
    sizes: Iterable[int], call: Callable[[Any], object], items: Any
) -> dict[int, Callable[[], object]]:
    """Return a call by batch size: it passes the first N of `items` to `call`, as one batch."""
    return {size: lambda size=size: call(items[:size]) for size in sizes}  # type: ignore[misc]


def stacked(
    steps: Mapping[str, Mapping[str, float]], title: str, target: float, rule: float | None = None
) -> None:
    """Plot the ms per image of each service as a bar, divided into modules; mark `target`.

    Args:
        steps: name of a service → module → milliseconds per image.
        title: of the plot.
        target: milliseconds an image at which one lane is always busy.
        rule: milliseconds an image at which one lane also answers in time; not drawn if None.
    """
    modules = list(dict.fromkeys(module for parts in steps.values() for module in parts))
    with style():
        figure = Figure(figsize=(7, 0.9 + 0.42 * len(steps)))
        axes = figure.subplots()
        names = list(steps)
        left = [0.0] * len(names)
        for module, colour in zip(modules, COLOURS, strict=False):
            widths = [steps[name].get(module, 0.0) for name in names]
            drawn = axes.barh(names, widths, left=left, color=colour, height=0.6, label=module)
            left = [before + width for before, width in zip(left, widths, strict=True)]
        axes.bar_label(drawn, [_total(total) for total in left], padding=4)
        axes.axvline(target, color=TARGET_COLOUR, linestyle="--", label=f"{target:g} ms")
        if rule is not None:
            axes.axvline(rule, color=TARGET_COLOUR, linestyle=":", label=f"{rule:g} ms")
        axes.invert_yaxis()
        axes.margins(x=0.3)
        axes.set_title(title, loc="left")
        axes.xaxis.set_visible(False)
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        axes.legend(loc="lower right", frameon=False)
    said = [
        f"{name}: {_total(total)} ({_parts(steps[name])})"
        for name, total in zip(names, left, strict=True)
    ]
    show(figure, "; ".join([title, *said]))


def _parts(parts: Mapping[str, float]) -> str:
    return ", ".join(f"{module} {format_number(ms, 'ms')}" for module, ms in parts.items() if ms)


def _total(milliseconds: float) -> str:
    return _("{time:,.0f} ms = {rate:,.1f}/s").format(time=milliseconds, rate=1000 / milliseconds)
