"""Is it still the same model when one word of its preprocessing has changed?"""

from learner.language import _
from quizzes.evidence.base import Evidence
from quizzes.evidence.exhibit import AUTHOR, run_cells

FASTER = ("BICUBIC", "NEAREST")
"""One word of the exhibit's resize cell, and the word of somebody who was in a hurry."""


def run() -> Evidence:
    """Evaluate the exhibit with its resize filter and with a faster one, on the same photos."""
    before, after = run_cells(AUTHOR), run_cells(AUTHOR, change=FASTER)
    moved = int((before.answers != after.answers).sum())
    assert moved > 0, "every first class stayed"
    return Evidence(
        shows=_(
            "With the same weights, {moved} of {all} photos got another first class. "
            "The accuracy was {before:.1f} % and is {after:.1f} %."
        ).format(
            moved=moved,
            all=len(before.answers),
            before=before.accuracy * 100,
            after=after.accuracy * 100,
        ),
        values={_("photos"): len(before.answers), _("with another first class"): moved},
    )
