"""Tasks of lesson 8: what a service counts, what it may spend, and when it wakes somebody."""

from challenges.tasks.catalogue import Task
from learner.language import _


def tasks() -> list[Task]:
    """The lesson's tasks, in order."""
    return [_counter(), _error_budget(), _skew_alert()]


def _counter() -> Task:
    return Task(
        id="counter",
        lesson=8,
        file="metrics.py",
        title=_("A counter for Prometheus"),
        ask=_(
            "Write `add_metrics`: it counts each request by its status, and GET /metrics answers "
            "with the counts, in the text format of Prometheus."
        ),
        minutes=15,
        hints=(
            _(
                "Counting must not change an answer, and must not miss one. The requests that "
                "matter most are those whose handler fails, and they come back as an error."
            ),
            _(
                "The middleware begins with `status = 500`. In `try` it awaits `call_next` and "
                "takes the status of the response; in `finally` it counts, but not for /metrics."
            ),
            _("Nearly the code:")
            + """
    counts = Counter()

    @app.middleware("http")
    async def count(request: Request, call_next):
        status = 500
        try:
            response = await call_next(...)
            status = ...
            return response
        finally:
            if request.url.path != ...:
                counts[...] += 1

    @app.get("/metrics")
    async def metrics() -> PlainTextResponse:
        lines = ["# HELP ...", "# TYPE service_requests_total counter"]
        for status, number in sorted(counts.items()):
            lines.append(f'service_requests_total{{status="{status}"}} {...}')
        return PlainTextResponse("\\n".join(lines) + "\\n")""",
        ),
    )


def _error_budget() -> Task:
    return Task(
        id="error-budget",
        lesson=8,
        file="budget.py",
        title=_("An error budget"),
        ask=_(
            "Write `burn_rate`: how many times as fast as allowed late requests use the budget up. "
            "And `days_left`: how long the rest of it lasts at that rate."
        ),
        minutes=10,
        hints=(
            _(
                "99 % in time means that 1 % may be late. If 5 % are late, the budget of 30 days "
                "is empty after 6: the rate is 5."
            ),
            _(
                "Count those that are None or took longer than `in_time_ms`. Divide by the number "
                "of all requests, then by 1 - objective. Check first for the two values "
                "that are refused."
            ),
            _("Nearly the code:")
            + """
    if not latencies_ms:
        raise ValueError("...")
    if objective >= 1:
        raise ValueError("...")
    late = [one for one in latencies_ms if one is None or one > ...]
    return len(late) / len(...) / (1 - ...)

    return left * period_days / ... if rate else float("inf")""",
        ),
    )


def _skew_alert() -> Task:
    return Task(
        id="skew-alert",
        lesson=8,
        file="alert.py",
        title=_("An alert that can be trusted"),
        ask=_(
            "Write `should_fire`: it notices that a model is less sure than when it was validated. "
            "The check plants a skew, and lets ten clean runs pass, with real photos."
        ),
        minutes=15,
        seconds=240,
        hints=(
            _(
                "Means scatter by chance, those of few answers more. An alert that fires by chance "
                "is soon switched off. So measure the distance in units of that scatter."
            ),
            _(
                "`pstdev(validated) / math.sqrt(len(recent))` is the standard error. Compare "
                "`abs(fmean(recent) - fmean(validated))` with LIMIT times it."
            ),
            _("Nearly the code:")
            + """
    if len(recent) < ...:
        return False
    error = pstdev(validated) / math.sqrt(...)
    return abs(fmean(...) - fmean(...)) > ... * error""",
        ),
    )
