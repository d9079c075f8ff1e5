"""What each criterion is called and what it asks, in the learner's language."""

from dataclasses import dataclass

from challenges.minimal_service.grading.verdict import CriterionId
from learner.language import _


@dataclass(frozen=True, slots=True)
class CriterionText:
    """The words for one criterion."""

    title: str
    """A few words, without a full stop."""
    asks: str
    """One sentence: when the criterion is met."""


def criteria_texts() -> dict[CriterionId, CriterionText]:
    """The words for every criterion, in the order in which they are graded."""
    return {
        "structure": CriterionText(
            _("Three modules"),
            _(
                "Preprocessing, model definition and inference runner are three modules. Each can "
                "be imported alone and does no work at import, and the first two hold no code of "
                "the service."
            ),
        ),
        "load-once": CriterionText(
            _("Weights loaded once"),
            _(
                "The weights are read once, before the service says that it is ready, and never "
                "again for a request."
            ),
        ),
        "artifact": CriterionText(
            _("Complete artifact"),
            _(
                "In an empty folder, offline and without the training code, the artifact gives the "
                "same answers. When one bit of it is flipped, the service refuses to start."
            ),
        ),
        "answers": CriterionText(
            _("Right answers"),
            _(
                "Photos of all formats get the answers of the research model: the same first class "
                "and probabilities within the tolerance."
            ),
        ),
        "load": CriterionText(
            _("Latency under load"),
            _(
                "Requests come at random moments at the target rate. p99 stays below 50 ms, "
                "counted from the moment a request is due, and no request fails."
            ),
        ),
        "availability": CriterionText(
            _("Availability"),
            _(
                "Killed under load, the service is soon back with right answers. After SIGTERM it "
                "still answers every request that it has accepted."
            ),
        ),
        "memory": CriterionText(
            _("One copy in memory"),
            _("All processes of the service together hold the weights in memory only once."),
        ),
        "packaging": CriterionText(
            _("Container"),
            _(
                "The container file passes the linter. Where a container engine is installed, the "
                "container image is built and run, too."
            ),
        ),
    }


def title(criterion: CriterionId) -> str:
    """A criterion's name."""
    return criteria_texts()[criterion].title


def asks(criterion: CriterionId) -> str:
    """What a criterion asks, in a sentence or two."""
    return criteria_texts()[criterion].asks
