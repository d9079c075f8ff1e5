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
    ]
