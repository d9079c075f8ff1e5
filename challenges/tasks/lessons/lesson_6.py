"""Tasks of lesson 6: the service becomes fast."""

from challenges.tasks.catalogue import Task
from learner.language import _


def tasks() -> list[Task]:
    """The lesson's tasks, in order."""
    return [_runner(), _classifier()]


def _runner() -> Task:
    return Task(
        id="runner",
        lesson=6,
        file="inference_runner.py",
        title=_("A queue and two threads"),
        ask=_(
            "Write `InferenceRunner`: callers put their photos into a queue, a few threads take "
            "one each. A bad photo fails alone, and a full queue is told at once."
        ),
        minutes=25,
        hints=(
            _(
                "The event loop must only wait. Threads compute: while they are inside ONNX "
                "Runtime, Python can do other things. The queue keeps the order, and bounds it."
            ),
            _(
                "`Notes`, above it, has the form. Yours has more threads, a queue with a bound, "
                "and `asyncio.wrap_future` where `Notes` leaves the waiting to its caller."
            ),
            _("Nearly the code:")
            + """
    self.waiting = queue.Queue(...)
    self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(threads)]
    for thread in self.threads:
        thread.start()

    answer = Future()
    try:
        self.waiting.put_nowait((data, ...))
    except queue.Full:
        raise BusyError("...") from None
    return await asyncio.wrap_future(...)

    while (job := self.waiting.get()) is not None:
        data, answer = job
        if not answer.set_running_or_notify_cancel():
            continue
        try:
            answer.set_result(...)
        except Exception as error:
            answer.set_exception(...)

    for _ in self.threads:
        self.waiting.put(...)
    for thread in self.threads:
        thread....()""",
        ),
    )


def _classifier() -> Task:
    return Task(
        id="classifier",
        lesson=6,
        file="classifier.py",
        title=_("Search roughly, rank again"),
        ask=_(
            "Change `Classifier`: it scores all classes roughly, along 256 directions, and only "
            "the best 1,024 exactly. The probabilities are still shares of all classes."
        ),
        minutes=25,
        seconds=180,
        hints=(
            _(
                "A score is a sum of 1,280 products. A few hundred directions hold most of it. "
                "That is too little to name the best class, and enough to leave most classes out."
            ),
            _(
                "Roughly: `(features @ self.directions) @ self.rough + self.bias`. Exactly: "
                "`self.rows[best.indices].float()` times `features[:, :, None]`, times the scale "
                "of each row, plus its bias."
            ),
            _("Nearly the code:")
            + """
    rough = (features @ self.directions) @ self.rough + self.bias
    best = rough.topk(AGAIN, dim=1)
    rows = self.rows[best.indices].float()
    exact = (rows @ features[:, :, None])[:, :, 0] * self.scale[...] + self.bias[...]
    top = exact.topk(TOP, dim=1)
    highest = best.values[:, :1]
    total = torch.exp(rough - highest).sum(1, keepdim=True)
    total = total - torch.exp(... - highest).sum(1, keepdim=True)
    total = total + torch.exp(... - highest).sum(1, keepdim=True)
    return best.indices.gather(1, top.indices), torch.exp(top.values - highest) / total""",
        ),
    )
