"""Inference runner: the one owner of the device, and of the threads that feed it.

Event loop → one queue → a few worker threads. A worker takes the most advanced work there is: a
forward pass if images are ready and a lane is free, else the next image to prepare. So an idle
device never waits for a batch to fill, and images gather while it is busy. Where images run side by
side (a lane a core) each stays on its thread, from its bytes to its answer. Where a model comes in
parts, all workers share them (shared_scan.py).
"""

import asyncio
import math
import threading
import time
from bisect import bisect_right, insort
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from service.admission import LENIENT, Admission
from service.counters import Counters
from service.engines.base import Engine, Probabilities, SplitEngine, WholeEngine
from service.errors import OverloadedError
from service.job import Inference, Job, order_of, settle
from service.layout import Layout
from service.machine import let_others_go_first
from service.preprocessing import Pixels
from service.shared_scan import SharedScan, Step

DEADLINE_S = 1.0
"""Of a request that names none. Who names a later one may fill half of the queue only."""
URGENT = 0.7
"""Of the target: an image that old is finished before another is prepared. Earlier would waste what
a batch shares, later would be too late."""


class InferenceRunner:
    """Runs one engine, for as many concurrent callers as can be answered in time."""

    def __init__(
        self,
        engine: Engine,
        preprocess: Callable[[bytes], Pixels],
        layout: Layout,
        admission: Admission,
        queue_limit: int = 256,
        dedicated: bool = False,
    ) -> None:
        """Start the threads.

        Args:
            engine: what runs a forward pass, from `layout.lanes` threads at once.
            preprocess: an image file's bytes to pixels; from any thread.
            layout: how the machine is divided.
            admission: who may enter.
            queue_limit: most requests inside, whatever their deadlines: each holds its image.
            dedicated: of `machine.let_others_go_first`.
        """
        self.engine = engine
        self._stages = engine if isinstance(engine, SplitEngine) else WholeEngine(engine)
        self.layout = layout
        self.counters = Counters()
        self._preprocess = preprocess
        self._admission = admission
        self._queue_limit = queue_limit
        self._condition = threading.Condition()
        self._waiting: list[Job] = []
        """To be preprocessed, the earliest order first."""
        self._scan = SharedScan[Job](self._stages)
        """Those that are prepared: on their way through the model, or about to be."""
        self._steps = 0
        """Under way in the model."""
        self._steps_begun = 0
        self._closed = False
        self._workers = [
            threading.Thread(
                target=self._work, args=(dedicated,), name=f"worker-{number}", daemon=True
            )
            for number in range(layout.workers)
        ]
        for worker in self._workers:
            worker.start()

    def check_admission(self, deadline_s: float | None = None) -> None:
        """Raise what `classify` would raise now, without the image: ask before reading it.

        Raises:
            OverloadedError: it could not be answered in time; says when to try again.
        """
        now = time.perf_counter()
        with self._condition:
            self._check(now, self._order(now, deadline_s), deadline_s)

    async def classify(self, image: bytes, deadline_s: float | None = None) -> Inference:
        """Preprocess one image file and run it through the model; the event loop only waits.

        Cancelled while it waits (because the client left), it costs no more work.

        Args:
            image: a file's bytes.
            deadline_s: seconds that the answer may take; if it cannot be met the request is
                refused at once, and if it passes before the forward pass there will be none.

        Raises:
            OverloadedError: refused, or expired while waiting.
            ImageError: as `preprocessing.preprocess`.
        """
        now = time.perf_counter()
        order = self._order(now, deadline_s)
        deadline = now + (DEADLINE_S if deadline_s is None else deadline_s)
        future: asyncio.Future[Inference] = asyncio.get_running_loop().create_future()
        job = Job(image, future, now, order, deadline, deadline_s is not None)
        with self._condition:
            self._check(now, order, deadline_s)
            self.counters.admitted += 1
            insort(self._waiting, job, key=order_of)
            self._condition.notify()
        return await future

    def close(self) -> None:
        """Finish what is inside and let go of threads and device."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
        for worker in self._workers:
            worker.join()

    def _order(self, now: float, deadline_s: float | None) -> float:
        """Earliest deadline first; who names none is counted on to mean the target."""
        return now + (LENIENT * self._admission.target_s if deadline_s is None else deadline_s)

    def _check(self, now: float, order: float, deadline_s: float | None) -> None:
        inside = self.counters.inside
        later = len(self._waiting) - bisect_right(self._waiting, order, key=order_of)
        seconds = self._admission.retry_after(inside - later, now, deadline_s)
        patient = deadline_s is not None and deadline_s > DEADLINE_S
        limit = self._queue_limit // 2 if patient else self._queue_limit
        if seconds is None and (inside >= limit or self._closed):
            seconds = math.ceil(inside * self._admission.interval_s) or 1
        if seconds is not None:
            self.counters.refused += 1
            raise OverloadedError(
                f"{inside} requests are inside, this one could not be answered in time; "
                f"try again in {seconds} s",
                seconds,
            )

    def _work(self, dedicated: bool) -> None:
        """One worker thread: the most advanced step that there is, again and again."""
        let_others_go_first(dedicated)
        while True:
            with self._condition:
                step = self._next_step()
                if step is None:
                    if self._closed:
                        return
                    self._condition.wait()
                    continue
            step()

    def _next_step(self) -> Callable[[], None] | None:
        # Where all cores share the parts, an image is prepared first: it then joins what is read
        # for others. But one that is nearly late goes before it, if few are inside.
        if self._stages.parts > 1 and not self._is_urgent() and (step := self._take_waiting()):
            return step
        return self._take_part() or self._take_waiting()

    def _is_urgent(self) -> bool:
        first = next(self._scan.waiting(), None)
        if first is None or self.counters.inside > self.layout.max_batch + self.layout.lanes:
            return False
        return time.perf_counter() - first.arrived > URGENT * self._admission.target_s

    def _take_part(self) -> Callable[[], None] | None:
        """A part of the model for a free lane, or nothing."""
        if self._steps >= self.layout.lanes:
            return None
        for job in self._scan.not_begun():
            if not self._is_alive(job):
                self._scan.drop(job)
        computing = self.layout.lanes - self.layout.overlapping
        if self._steps >= computing and self._scan.wanting < self.layout.max_batch:
            return None
        step = self._scan.take(self.layout.max_batch)
        if step is None:
            return None
        if self._steps_begun % self._stages.parts == 0:
            self.counters.batches += 1  # all parts are read once for one
        self._steps += 1
        self._steps_begun += 1
        now = time.perf_counter()
        for job in step.riders:
            if not job.began:
                job.began = now
                self.counters.images += 1
        return partial(self._run_part, step)

    def _take_waiting(self) -> Callable[[], None] | None:
        """The next image to prepare, unless enough are ready for the device."""
        while self._waiting and self._scan.wanting < 2 * self.layout.max_batch:
            job = self._waiting.pop(0)
            if self._is_alive(job):
                return partial(self._prepare, job)
        return None

    def _is_alive(self, job: Job) -> bool:
        """Whether its answer is still wanted; if not, the job ends here, without a forward pass."""
        if job.future.cancelled():
            self.counters.left += 1
            return False
        late = time.perf_counter() - job.deadline
        if late > 0:
            self.counters.expired += 1
            waited = (job.deadline + late - job.arrived) * 1000
            self._leave(job, OverloadedError(f"waited {waited:.0f} ms, over its deadline", 1))
            return False
        return True

    def _prepare(self, job: Job) -> None:
        started = time.perf_counter()
        try:
            pixels = self._preprocess(job.image)
            job.preprocess_s = time.perf_counter() - started
            prepared = self._stages.prepare(pixels)
        except Exception as error:
            with self._condition:
                self.counters.failed += 1
                self._leave(job, error)
            return
        job.prepare_s = time.perf_counter() - started - job.preprocess_s
        job.image = b""  # it is not needed any more, and may be large
        if not job.strict:
            job.deadline += job.preprocess_s  # it bounds the waiting; a large image is no fault
        with self._condition:
            self._scan.join(job, prepared)
            if self._stages.parts > 1:
                self._condition.notify_all()  # there is something for everybody

    def _run_part(self, step: Step[Job]) -> None:
        outcomes = self._scan.run(step)
        with self._condition:
            finished = self._scan.put(step, outcomes)
            if not finished:
                self._steps -= 1
                return
        answers = [(job, self._scan.combine(found)) for job, found in finished]
        ended = time.perf_counter()
        with self._condition:
            self._steps -= 1
            service_s = max(
                job.preprocess_s + job.prepare_s + ended - job.began for job, _ in answers
            )
            requests_wait = bool(self._waiting or self._scan.wanting)
            # An image costs less in a fuller batch: only full ones tell how fast a line shrinks.
            full = len(step.riders) == self.layout.max_batch
            self._admission.answered(ended, service_s, len(answers), requests_wait and full)
            for job, answer in answers:
                self._settle(job, answer, ended)
            if requests_wait:
                self._condition.notify_all()  # the lane is free again, and there is room before it

    def _settle(self, job: Job, answer: Probabilities | Exception, ended: float) -> None:
        if isinstance(answer, Exception):
            self.counters.failed += 1
            self._leave(job, answer)
            return
        self.counters.answered += 1
        self.counters.latency.observe(ended - job.arrived)
        forward_s = job.prepare_s + ended - job.began
        queue_s = ended - job.arrived - job.preprocess_s - forward_s
        seconds = {"queue": queue_s, "preprocess": job.preprocess_s, "forward": forward_s}
        timing_ms = {name: value * 1000 for name, value in seconds.items()}
        self._leave(job, Inference(answer, timing_ms))

    def _leave(self, job: Job, result: Inference | Exception) -> None:
        """Hand the result to the event loop."""
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            job.future.get_loop().call_soon_threadsafe(settle, job.future, result)
