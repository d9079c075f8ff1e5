"""Tasks of lesson 1: from names of a notebook to functions, and to a measure that is honest."""

from challenges.tasks.catalogue import Task
from learner.language import _


def tasks() -> list[Task]:
    """The lesson's tasks, in order."""
    return [
        Task(
            id="repair-predict",
            lesson=1,
            file="predict.py",
            title=_("Repair predict"),
            ask=_(
                "The notebook's `predict` leans on names of other cells. Make it a function of its "
                "arguments: `predict(file, model, transform, labels)`. No global is left."
            ),
            minutes=10,
            seconds=120,
            hints=(
                _(
                    "A global is a name that a function reads but does not get. Two users share "
                    "it. What belongs to one request belongs into local names."
                ),
                _(
                    "Put the lines of `load` and `classify` into `predict`. Then delete both. "
                    "`transform` takes the place of four names, `labels` of CLASSES."
                ),
                _("Nearly the code:")
                + """
    image = Image.open(file).convert("RGB")
    x = transform(...)
    with torch.no_grad():
        p = model(...).softmax(1)[0]
    return labels[...]""",
            ),
        ),
        Task(
            id="latency-percentile",
            lesson=1,
            file="latency.py",
            title=_("A p99 over all requests"),
            ask=_(
                "Write `percentile`: requests that failed count as infinitely late, the number of "
                "requests is told, and too few are refused."
            ),
            minutes=10,
            hints=(
                _(
                    "A p99 of 50 ms says: of 100 users, 99 were answered within 50 ms. A user who "
                    "got an error was not answered, so that request belongs into the list."
                ),
                _(
                    "Make a new, sorted list in which `math.inf` stands for None. A place that is "
                    "counted from 1 is one more than Python's index."
                ),
                _("Nearly the code:")
                + """
    needed = math.ceil(LEAST_BEYOND * 100 / (100 - share))
    if len(latencies_ms) < needed:
        raise ValueError(f"... {needed} ...")
    waits = sorted(... if one is None else one for one in latencies_ms)
    return waits[math.ceil(share * len(waits) / 100) - ...], len(...)""",
            ),
        ),
    ]
