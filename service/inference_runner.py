"""Inference runner: the one owner of the device, and of the threads that feed it.

Event loop → one queue → a few worker threads. A worker takes the most advanced work there is: a
part of a forward pass under way, else a new one if images are ready and a lane is free, else the
next image to prepare. So an idle device never waits for a batch to fill, and images gather while it
is busy. Where images run side by side (a lane a core) each stays on its thread, from its bytes to
its answer. Where a forward pass comes in parts, all workers share them; and since it then needs the
very cores that prepare images, it waits for those that are already inside.
"""

import asyncio
import math
import threading
import time
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from service.admission import LENIENT, Admission
from service.counters import Counters
from service.engines.base import Engine, Prepared, Probabilities, SplitEngine, WholeEngine
from service.errors import OverloadedError
from service.forward_pass import ForwardPass
from service.layout import Layout
from service.machine import let_others_go_first
from service.preprocessing import Pixels

DEADLINE_S = 1.0
"""Of a request that names none. Who names a later one may fill half of the queue only."""


@dataclass(frozen=True, slots=True)
class Inference:
    """The answer for one image, and where its time went."""

    probabilities: Probabilities
    """float32, classes."""
    timing_ms: dict[str, float]
    """"queue": waiting, "preprocess": bytes to pixels, "forward": on the device."""


@dataclass(slots=True, eq=False)
class _Job:
    """One request inside the runner. Times are perf_counter's, in seconds."""

    image: bytes
    future: "asyncio.Future[Inference]"
    arrived: float
    order: float
    """The earliest first."""
    deadline: float
    strict: bool
    """The deadline is the client's own: it holds whatever the time was spent on."""
    prepared: Prepared = field(init=False)
    """For the forward pass: pixels, or what a split engine made of them."""
    preprocess_s: float = 0.0
    prepare_s: float = 0.0
    """Of a split engine's first stage; counts as forward pass."""


@dataclass(slots=True, eq=False)
class _Batch:
    jobs: list[_Job]
    forward: ForwardPass


class InferenceRunner:
    """Runs one engine, for as many concurrent callers as can be answered in time."""

    def __init__(
        self,
        engine: Engine,
        preprocess: Callable[[bytes], Pixels],
        layout: Layout,
        admission: Admission,
        queue_limit: int = 256,
    ) -> None:
        """Start the threads.

        Args:
            engine: what runs a forward pass, from `layout.lanes` threads at once.
            preprocess: an image file's bytes to pixels; from any thread.
            layout: how the machine is divided.
            admission: who may enter.
            queue_limit: most requests inside, whatever their deadlines: each holds its image.
        """
        self.engine = engine
        self._stages = engine if isinstance(engine, SplitEngine) else WholeEngine(engine)
        self.layout = layout
        self.counters = Counters()
        self._preprocess = preprocess
        self._admission = admission
        self._queue_limit = queue_limit
        self._condition = threading.Condition()
        self._waiting: list[_Job] = []
        """To be preprocessed, the earliest order first."""
        self._preparing = 0
        self._ready: deque[_Job] = deque()
        """To go through the model."""
        self._batches: list[_Batch] = []
        """In the model."""
        self._closed = False
        self._workers = [
            threading.Thread(target=self._work, name=f"worker-{number}", daemon=True)
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
        job = _Job(image, future, now, order, deadline, deadline_s is not None)
        with self._condition:
            self._check(now, order, deadline_s)
            self.counters.admitted += 1
            insort(self._waiting, job, key=_order)
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
        later = len(self._waiting) - bisect_right(self._waiting, order, key=_order)
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

    def _work(self) -> None:
        """One worker thread: the most advanced step that there is, again and again."""
        let_others_go_first()
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
        for batch in self._batches:
            if (part := batch.forward.take()) is not None:
                return partial(self._run_part, batch, part)
        gathers = self._stages.parts > 1 and len(self._ready) < self.layout.max_batch
        if gathers and (step := self._prepare_next()):
            return step
        wait = gathers and self._preparing  # who prepares will come back here
        if not wait and (new := self._take_ready()) and (part := new.forward.take()) is not None:
            return partial(self._run_part, new, part)
        return self._prepare_next()

    def _prepare_next(self) -> Callable[[], None] | None:
        job = self._take_waiting()
        if job is None:
            return None
        self._preparing += 1
        return partial(self._prepare, job)

    def _take_ready(self) -> _Batch | None:
        """A new forward pass for a free lane, or nothing."""
        if len(self._batches) >= self.layout.lanes:
            return None
        jobs: list[_Job] = []
        while self._ready and len(jobs) < self.layout.max_batch:
            job = self._ready.popleft()
            if self._is_alive(job):
                jobs.append(job)
        if not jobs:
            return None
        batch = _Batch(jobs, ForwardPass(self._stages, [job.prepared for job in jobs]))
        self._batches.append(batch)
        self.counters.batches += 1
        self.counters.images += len(jobs)
        if self._stages.parts > 1:
            self._condition.notify_all()  # there is something for everybody
        return batch

    def _take_waiting(self) -> _Job | None:
        """The next image to prepare, unless enough are ready for the device."""
        while self._waiting and len(self._ready) < 2 * self.layout.max_batch:
            job = self._waiting.pop(0)
            if self._is_alive(job):
                return job
        return None

    def _is_alive(self, job: _Job) -> bool:
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

    def _prepare(self, job: _Job) -> None:
        started = time.perf_counter()
        fault: Exception | None = None
        try:
            pixels = self._preprocess(job.image)
            job.preprocess_s = time.perf_counter() - started
            job.prepared = self._stages.prepare(pixels)
            job.prepare_s = time.perf_counter() - started - job.preprocess_s
        except Exception as error:
            fault = error
        job.image = b""  # it is not needed any more, and may be large
        if not job.strict:
            job.deadline += job.preprocess_s  # it bounds the waiting; a large image is no fault
        with self._condition:
            self._preparing -= 1
            if fault is None:
                self._ready.append(job)
            else:
                self.counters.failed += 1
                self._leave(job, fault)

    def _run_part(self, batch: _Batch, part: int) -> None:
        found = batch.forward.run(part)
        with self._condition:
            if not batch.forward.put(part, found):
                return
        answers = batch.forward.answers()
        ended = time.perf_counter()
        batch_s = ended - batch.forward.started
        with self._condition:
            self._batches.remove(batch)
            service_s = batch_s + max(job.preprocess_s + job.prepare_s for job in batch.jobs)
            requests_wait = bool(self._waiting or self._ready)
            # An image costs less in a fuller batch: only full ones tell how fast a line gets shorter.
            full = len(batch.jobs) == self.layout.max_batch
            self._admission.answered(ended, service_s, len(batch.jobs), requests_wait and full)
            for job, answer in zip(batch.jobs, answers, strict=True):
                if isinstance(answer, Exception):
                    self.counters.failed += 1
                    self._leave(job, answer)
                    continue
                self.counters.answered += 1
                self.counters.latency.observe(ended - job.arrived)
                forward_s = job.prepare_s + batch_s
                queue_s = ended - job.arrived - job.preprocess_s - forward_s
                seconds = {"queue": queue_s, "preprocess": job.preprocess_s, "forward": forward_s}
                timing_ms = {name: value * 1000 for name, value in seconds.items()}
                self._leave(job, Inference(answer, timing_ms))
            if requests_wait:
                self._condition.notify_all()  # the lane is free again, and there is room before it

    def _leave(self, job: _Job, result: Inference | Exception) -> None:
        """Hand the result to the event loop."""
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            job.future.get_loop().call_soon_threadsafe(_settle, job.future, result)


def _order(job: _Job) -> float:
    return job.order


def _settle(future: "asyncio.Future[Inference]", result: Inference | Exception) -> None:
    if future.done():
        return  # cancelled: the client left
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
