"""How far does a notebook get when its kernel restarts and all cells run from the top?"""

from learner.language import _
from quizzes.evidence.base import Evidence
from quizzes.evidence.exhibit import cells, run_cells


def run() -> Evidence:
    """Restart, and run the exhibit's cells as they stand on the page."""
    page = [cell.id for cell in cells()]
    kernel = run_cells(page)
    assert kernel.error, "it ran through"
    return Evidence(
        shows=_("{ran} of {all} cells ran. The next one stopped with: {error}").format(
            ran=kernel.ran, all=len(page), error=kernel.error
        ),
        values={_("cells on the page"): len(page), _("ran after a restart"): kernel.ran},
    )
