"""Does a notebook's result depend on the order in which its cells were run?"""

from learner.language import _
from quizzes.evidence.base import Evidence
from quizzes.evidence.exhibit import AUTHOR, IMAGENET, run_cells


def run() -> Evidence:
    """Run the exhibit's cells in two orders, each after a restart, and one cell once more."""
    author, imagenet = run_cells(AUTHOR), run_cells(IMAGENET)
    twice = run_cells(["evaluate"], after=author)
    shares = [kernel.accuracy * 100 for kernel in (author, imagenet, twice)]
    assert len(set(shares)) == 3, "the three orders agree"
    return Evidence(
        shows=_(
            "No cell was changed. The accuracy was {author:.1f} % in the author's order, "
            "{imagenet:.1f} % where another definition came last, and {twice:.1f} % where one "
            "cell ran twice."
        ).format(author=shares[0], imagenet=shares[1], twice=shares[2]),
        values={
            _("the author's order"): shares[0],
            _("another definition last"): shares[1],
            _("evaluated twice"): shares[2],
        },
        unit="%",
    )
