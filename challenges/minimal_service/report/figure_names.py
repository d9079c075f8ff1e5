"""What the figures that criteria measure are called; their unit is added from their key."""

from learner.language import _


def figure_names() -> dict[str, str]:
    """A figure's key in `CriterionResult.measured` → its name in the learner's language.

    In the order in which a criterion's figures are shown: the table has room for the first two.
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
