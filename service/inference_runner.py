"""Inference runner: the one owner of the device, and of the threads that feed it.

Event loop → one queue → a few worker threads. A worker takes the most advanced work there is: a
forward pass if images are ready and a lane is free, else the next image to preprocess. So an idle
device never waits for a batch to fill, and images gather while it is busy. Where images run side by
side (a lane a core) each stays on its thread, from its bytes to its answer.
"""

import asyncio
import math
import threading
import time
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

import numpy as np

from service.engines.base import Engine, Image, Probabilities
from service.errors import OverloadedError
from service.runner.admission import LENIENT, Admission
from service.runner.jobs import RECORD, Counters, Inference, Job, Outcome, settle, sort_key
from service.runner.plan import Layout

DEADLINE_S = 1.0
"""Default deadline in seconds. Requests with a later one may use at most half of the queue."""
WORK_S = 10.0
"""Longest time after the default deadline, in seconds, if work on the request has begun by then."""
STUCK_S = 30.0
"""A worker that is busy with one step for this many seconds is stuck, and the service must end."""
CLOSE_S = 10.0
"""Longest time, in seconds, that `close` waits for the workers."""


class InferenceRunner:
    """Runs one engine, for as many concurrent callers as can be answered in time."""

    def __init__(
        self,
        engine: Engine,
        prepare: Callable[[bytes], Image],
        layout: Layout,
        admission: Admission,
        queue_limit: int = 256,
        dedicated: bool = False,
    ) -> None:
        """Start the threads.

        Args:
            engine: runs a forward pass, from `layout.lanes` threads at once.
            prepare: an image file's bytes to what the engine takes; from any thread.
            layout: how the machine is divided.
            admission: decides who may enter.
            queue_limit: most requests inside, whatever their deadlines: each holds its image.
            dedicated: see `tuning.let_others_go_first`.
        """
        self.engine = engine
        self.layout = layout
        self.counters = Counters()
        self.observe_batch: Callable[[list[Job], float, float], None] | None = None
        """Called after each forward pass with its jobs and the times of its start and end."""
        self._prepare = prepare
        self.admission = admission
        self._queue_limit = queue_limit
        self._places_taken = 0
        self._condition = threading.Condition()
        self._waiting: list[Job] = []
        """Jobs to be prepared, sorted."""
        self._ready: deque[Job] = deque()
        """Jobs to go through the model."""
        self._forwards = 0
        """Forward passes under way."""
        self._closed = False
        self._busy_since: list[float | None] = [None] * layout.workers
        self._workers = [
            threading.Thread(
                target=self._work, args=(number, dedicated), name=f"worker-{number}", daemon=True
            )
            for number in range(layout.workers)
        ]
        for worker in self._workers:
            worker.start()

    @contextmanager
    def admit(self, deadline_s: float | None = None) -> Iterator[None]:
        """Hold a place for one request, from before its body is read until its answer is there.

        Raises:
            OverloadedError: all places are taken, or `check_admission` refuses it.
        """
        if self._places_taken >= self._queue_limit:
            self.refuse(f"{self._queue_limit} requests are inside, the most", 1)
        self.check_admission(deadline_s)
        self._places_taken += 1
        try:
            yield
        finally:
            self._places_taken -= 1

    def refuse(self, message: str, retry_after: int) -> NoReturn:
        """Count a request that is not let in, and raise OverloadedError."""
        with self._condition:
            self.counters.refused += 1
        raise OverloadedError(message, retry_after)

    def check_admission(self, deadline_s: float | None = None) -> None:
        """Raise what `classify` would raise now, without the image: ask before reading it.

        `classify` asks again, because others may have entered while the body was on its way.

        Raises:
            OverloadedError: it could not be answered in time; says when to try again.
        """
        now = time.perf_counter()
        with self._condition:
            self._check(now, self._order(now, deadline_s), deadline_s)

    async def classify(self, data: bytes, deadline_s: float | None = None) -> Inference:
        """Preprocess one image file and run it through the model; the event loop only waits.

        Cancelled while it waits (because the client left), it costs no more work.

        Args:
            data: an image file.
            deadline_s: seconds that the answer may take; if it cannot be met the request is
                refused at once, and if it passes the request ends, whatever the workers do.

        Raises:
            OverloadedError: refused, or expired.
            ImageError: as `preprocessing.preprocess`.
        """
        now = time.perf_counter()
        order = self._order(now, deadline_s)
        deadline = now + (DEADLINE_S if deadline_s is None else deadline_s)
        loop = asyncio.get_running_loop()
        job = Job(data, loop.create_future(), now, order, deadline, deadline_s is not None)
        job.record = RECORD.get()
        if job.record is not None:
            job.record.read = job.record.read or now
        del data  # it may be large; the job gives it to the worker
        with self._condition:
            self._check(now, order, deadline_s)
            self.counters.admitted += 1
            self.counters.image_bytes.observe(len(job.data))
            insort(self._waiting, job, key=sort_key)
            self._condition.notify()
        job.timer = loop.call_later(deadline - now, self._expire, job)
        try:
            return await job.future
        finally:
            job.timer.cancel()
            job.data = b""  # the client may have left before a worker took it
            del job  # see `_prepare_one`

    def check_health(self) -> str | None:
        """Return why answers may never come, or None: a worker is stuck in one step. Cheap."""
        now = time.perf_counter()
        longest = max(now - (since or now) for since in self._busy_since)
        if longest <= STUCK_S:
            return None
        return f"a worker has been busy with one step for {longest:.0f} s"

    def close(self) -> None:
        """Finish what is inside, then release the threads. A stuck one is left behind."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
        until = time.perf_counter() + CLOSE_S
        for worker in self._workers:
            worker.join(max(0.0, until - time.perf_counter()))

    def _order(self, now: float, deadline_s: float | None) -> float:
        """Sort key: earliest deadline first. Without one we assume LENIENT times the target."""
        return now + (LENIENT * self.admission.target_s if deadline_s is None else deadline_s)

    def _check(self, now: float, order: float, deadline_s: float | None) -> None:
        inside = self.counters.inside
        later = len(self._waiting) - bisect_right(self._waiting, order, key=sort_key)
        seconds = self.admission.retry_after(inside - later, now, deadline_s)
        patient = deadline_s is not None and deadline_s > DEADLINE_S
        limit = self._queue_limit // 2 if patient else self._queue_limit
        if seconds is None and (inside >= limit or self._closed):
            seconds = math.ceil(inside * self.admission.interval_s) or 1
        if seconds is not None:
            self.refuse(
                f"{inside} requests are inside, this one could not be answered in time; "
                f"try again in {seconds} s",
                seconds,
            )

    def _work(self, number: int, dedicated: bool) -> None:
        """Run one worker thread: take the most advanced step that there is, again and again."""
        from service.runner.tuning import let_others_go_first

        let_others_go_first(dedicated)
        while True:
            with self._condition:
                batch = self._take_ready()
                job = None if batch else self._take_waiting()
                if not batch and job is None:
                    if self._closed:
                        return
                    self._condition.wait()
                    continue
            self._busy_since[number] = time.perf_counter()
            if job is not None:
                self._prepare_one(job)
            else:
                self._forward(batch)
            self._busy_since[number] = None

    def _take_ready(self) -> list[Job]:
        """Take a batch for a free lane; empty if no lane is free or no image is ready."""
        if self._forwards >= self.layout.lanes:
            return []
        self._ready = deque(job for job in self._ready if self._is_alive(job))
        computing = self.layout.lanes - self.layout.overlapping
        if self._forwards >= computing and len(self._ready) < self.layout.max_batch:
            return []
        size = min(len(self._ready), self.layout.max_batch)
        batch = [self._ready.popleft() for _ in range(size)]
        if batch:
            self._forwards += 1
            self.counters.batches += 1
            self.counters.images += size
            self.counters.batch_sizes.observe(size)
        return batch

    def _take_waiting(self) -> Job | None:
        """Take the next image to prepare, unless enough are ready for the device."""
        while self._waiting and len(self._ready) < 2 * self.layout.max_batch:
            job = self._waiting.pop(0)
            if self._is_alive(job):
                job.begun = True
                return job
        return None

    def _is_alive(self, job: Job) -> bool:
        """Return whether the answer is still wanted; if not, the job ends here."""
        if job.future.cancelled():
            self._end(job, "left")
        elif time.perf_counter() > job.deadline:
            self._end_late(job)
        return not job.ended

    def _expire(self, job: Job) -> None:
        """End a job whose deadline has passed. Runs in the event loop, which no worker blocks."""
        with self._condition:
            # It bounds the waiting: a large image is no fault, unless the client cannot wait.
            patience = WORK_S if job.begun and not job.strict else 0.0
            left_s = job.deadline + patience - time.perf_counter()
            if left_s > 0:
                job.timer = job.future.get_loop().call_later(left_s, self._expire, job)
            else:
                self._end_late(job)

    def _end_late(self, job: Job) -> None:
        waited_ms = (time.perf_counter() - job.arrived) * 1000
        late = OverloadedError(f"waited {waited_ms:.0f} ms, over its deadline", 1, "deadline")
        self._end(job, "expired", late)
        if not job.begun:
            with suppress(ValueError):  # a worker has just taken it
                self._waiting.remove(job)

    def _prepare_one(self, job: Job) -> None:
        started = time.perf_counter()
        data, job.data = job.data, b""  # it is not needed any more, and may be large
        try:
            job.image = self._prepare(data)
        except Exception as error:
            with self._condition:
                self._end(job, "failed", error)
            del job, data  # the error's traceback must not keep them
            return
        job.preprocess_s = time.perf_counter() - started
        if not job.strict:
            job.deadline += job.preprocess_s  # it bounds the waiting; a large image is no fault
        with self._condition:
            self._ready.append(job)

    def _forward(self, batch: list[Job]) -> None:
        started = time.perf_counter()
        answers = self._classify_or_isolate(batch)
        ended = time.perf_counter()
        forward_s = ended - started
        if self.observe_batch is not None:
            self.observe_batch(batch, started, ended)
        with self._condition:
            self._forwards -= 1
            service_s = forward_s + max(job.preprocess_s for job in batch)
            requests_wait = bool(self._waiting or self._ready)
            # An image costs less in a fuller batch: only full ones tell how fast a line shrinks.
            full = len(batch) == self.layout.max_batch
            self.admission.answered(ended, service_s, len(batch), requests_wait and full)
            for job, answer in zip(batch, answers, strict=True):
                self._settle(job, answer, ended, forward_s)
            if requests_wait:
                self._condition.notify_all()  # the lane is free again, and there is room before it

    def _classify_or_isolate(self, batch: list[Job]) -> list[Probabilities | Exception]:
        """Answer each job; if the batch fails, each is tried alone, and fails alone."""
        try:
            probabilities = self.engine([job.image for job in batch])
        except Exception as error:
            if len(batch) == 1:
                return [error]
            return [self._classify_or_isolate([job])[0] for job in batch]
        return [
            row if np.isfinite(row[0]) else FloatingPointError("the model answered not a number")
            for row in probabilities
        ]

    def _settle(
        self, job: Job, answer: Probabilities | Exception, ended: float, forward_s: float
    ) -> None:
        if isinstance(answer, Exception):
            self._end(job, "failed", answer)
            return
        queue_s = ended - job.arrived - job.preprocess_s - forward_s
        seconds = {"queue": queue_s, "preprocess": job.preprocess_s, "forward": forward_s}
        if not job.ended:
            self.counters.latency.observe(ended - job.arrived)
            for stage, value in seconds.items():
                self.counters.stages[stage].observe(value)
        if job.record is not None:
            job.record.forwarded = ended
        timing_ms = {name: value * 1000 for name, value in seconds.items()}
        self._end(job, "answered", Inference(answer, timing_ms))

    def _end(self, job: Job, outcome: Outcome, result: Inference | Exception | None = None) -> None:
        """Count what became of a job, once, and hand its result to the event loop."""
        if job.ended:
            return
        job.ended = True
        setattr(self.counters, outcome, getattr(self.counters, outcome) + 1)
        if result is not None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                job.future.get_loop().call_soon_threadsafe(settle, job.future, result)
