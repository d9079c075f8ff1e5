"""Names of the criteria, what they ask, and names of their figures, in the learner's language."""

from dataclasses import dataclass

from challenges.minimal_service.grading.verdict import CriterionId
from learner.language import _


@dataclass(frozen=True, slots=True)
class CriterionText:
    """The words for one criterion."""

    title: str
    """A few words without a full stop."""
    asks: str
    """When the criterion is met, in a sentence or two."""


def criteria_texts() -> dict[CriterionId, CriterionText]:
    """Return the words for every criterion, in the order of grading."""
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
    """Return a criterion's name."""
    return criteria_texts()[criterion].title


def asks(criterion: CriterionId) -> str:
    """Return what a criterion asks, in a sentence or two."""
    return criteria_texts()[criterion].asks


def figure_names() -> dict[str, str]:
    """Return the name of each figure in `CriterionResult.measured`, by its key.

    They are shown in this order; the table has room for the first two of a criterion.
    """
    return {
        "p99_ms": _("p99 latency"),
        "held_per_s": _("highest rate with p99 below 50 ms"),
        "p50_ms": _("median latency"),
        "p90_ms": _("p90 latency"),
        "answered_per_s": _("throughput"),
        "rate_per_s": _("requests sent"),
        "agreement": _("same first class"),
        "formats_right": _("photo formats answered right"),
        "median_difference": _("median difference of probabilities"),
        "p95_difference": _("p95 difference of probabilities"),
        "read_per_request_mb": _("read for a request"),
        "read_before_ready_mb": _("read before ready"),
        "weights_mb": _("size of the weights"),
        "back_s": _("right again after"),
        "drain_s": _("ended after SIGTERM within"),
        "memory_mib": _("memory of all processes"),
        "allowed_mib": _("most accepted"),
        "weights_mib": _("size of the weights"),
        "build_s": _("build of the container"),
        "image_mb": _("size of the container image"),
        "container_ready_s": _("container ready after"),
    }
