"""Task runner: a queue and a few threads, for many callers at once."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import ModuleType
from typing import Any

from challenges.tasks.checking import Wrong, own_module, place_of, said
from learner.language import _

LOOK = "inference_runner.py, InferenceRunner"
THREADS = 2
PATIENCE_S = 8.0
"""An answer that takes longer does not come any more."""
END_S = 5.0


def check(folder: Path) -> None:
    """Give the runner work whose every step is seen.

    Raises:
        Wrong: it computes on the event loop, loses a job, or does not end.
    """
    module = own_module(folder, "inference_runner")
    for part in (
        _check_answers,
        _check_side_by_side,
        _check_order,
        _check_bad_image,
        _check_full,
        _check_gone,
        _check_close,
    ):
        _run(folder, module, part)


class _Work:
    """Stands in for the model; notes who did what, and can be held up."""

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.done: list[bytes] = []
        self.open = threading.Event()
        self.open.set()
        self.at_once = self.most = 0
        self._lock = threading.Lock()

    def __call__(self, data: bytes) -> list[dict[str, Any]]:
        with self._lock:
            self.threads.add(threading.get_ident())
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        try:
            self.open.wait(PATIENCE_S)
            if data.startswith(b"bad"):
                raise ValueError("no image")
            with self._lock:
                self.done.append(data)
            return [{"class_id": len(data), "label": data.decode(), "probability": 1.0}]
        finally:
            with self._lock:
                self.at_once -= 1


Part = Callable[[ModuleType, _Work], Coroutine[Any, Any, None]]


def _run(folder: Path, module: ModuleType, part: Part) -> None:
    work = _Work()
    try:
        asyncio.run(part(module, work))
    except (Wrong, NotImplementedError):
        raise
    except TimeoutError as error:
        raise Wrong(
            expected=_("Every caller gets an answer."),
            found=_("After {seconds:g} s one was still waiting.").format(seconds=PATIENCE_S),
            look=LOOK,
        ) from error
    except Exception as error:
        raise Wrong(
            expected=_("`classify` gives what the work gives, or raises what it raises."),
            found=said(error),
            look=place_of(error, folder),
        ) from error
    finally:
        work.open.set()


async def _all(runner: Any, jobs: list[bytes]) -> list[Any]:
    asked = (runner.classify(data) for data in jobs)
    return await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), PATIENCE_S)


async def _check_answers(module: ModuleType, work: _Work) -> None:
    runner = module.InferenceRunner(work, threads=THREADS)
    jobs = [b"photo %d" % number for number in range(20)]
    found = await _all(runner, jobs)
    for data, answer in zip(jobs, found, strict=True):
        if isinstance(answer, Exception):
            raise answer
        if not isinstance(answer, list) or answer[0]["label"] != data.decode():
            raise Wrong(
                expected=_("Each caller gets the answer to its own photo."),
                found=_('"{photo}" was answered with {answer}.').format(
                    photo=data.decode(), answer=repr(answer)[:150]
                ),
                look=LOOK,
            )
    if threading.get_ident() in work.threads:
        raise Wrong(
            expected=_("The work is done in other threads than that of the event loop."),
            found=_("It is done on the event loop: nobody else is served meanwhile."),
            look=LOOK,
        )
    runner.close()


async def _check_side_by_side(module: ModuleType, work: _Work) -> None:
    runner = module.InferenceRunner(work, threads=THREADS)
    work.open.clear()
    asked = asyncio.ensure_future(_all(runner, [b"photo"] * 6))
    deadline = time.monotonic() + END_S
    while work.at_once < THREADS and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    work.open.set()
    await asked
    if work.most != THREADS:
        raise Wrong(
            expected=_("{n} threads work side by side, not more: one a core.").format(n=THREADS),
            found=_("At most {n} photos were worked on at once.").format(n=work.most),
            look=LOOK,
        )
    runner.close()


async def _check_order(module: ModuleType, work: _Work) -> None:
    runner = module.InferenceRunner(work, threads=1)
    jobs = [b"photo %d" % number for number in range(10)]
    await _all(runner, jobs)
    if work.done != jobs:
        raise Wrong(
            expected=_("Who came first is served first."),
            found=_("The order was {order}.").format(
                order=", ".join(data.decode() for data in work.done)[:200]
            ),
            look=LOOK,
        )
    runner.close()


async def _check_bad_image(module: ModuleType, work: _Work) -> None:
    runner = module.InferenceRunner(work, threads=THREADS)
    found = await _all(runner, [b"bad"] * (2 * THREADS))
    if not all(isinstance(one, ValueError) for one in found):
        raise Wrong(
            expected=_("The error of a bad image, ValueError, goes to its own caller."),
            found=_("The caller got {found}.").format(found=repr(found[0])[:150]),
            look=LOOK,
        )
    try:
        (answer,) = await _all(runner, [b"photo"])
    except TimeoutError:
        answer = None
    if not isinstance(answer, list):
        raise Wrong(
            expected=_("After a bad image the threads live on, and answer the next photo."),
            found=_("After {n} bad images a photo got no answer.").format(n=2 * THREADS),
            look=LOOK,
        )
    runner.close()


async def _check_full(module: ModuleType, work: _Work) -> None:
    most, busy = int(module.MOST_WAITING), module.BusyError
    runner = module.InferenceRunner(work, threads=THREADS)
    work.open.clear()
    first = [asyncio.ensure_future(runner.classify(b"photo")) for _n in range(THREADS)]
    deadline = time.monotonic() + END_S
    while work.at_once < THREADS and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    more = [asyncio.ensure_future(runner.classify(b"photo")) for _n in range(most + 3)]
    await asyncio.sleep(0.3)
    refused = [one for one in more if one.done() and isinstance(one.exception(), busy)]
    work.open.set()
    await asyncio.wait_for(asyncio.gather(*first, *more, return_exceptions=True), PATIENCE_S)
    if len(refused) != 3:
        raise Wrong(
            expected=_("MOST_WAITING jobs wait. Who comes then gets BusyError, at once."),
            found=_("Of the {n} callers beyond the limit, {refused} got it.").format(
                n=3, refused=len(refused)
            ),
            look="inference_runner.py, InferenceRunner.classify",
        )
    runner.close()


async def _check_gone(module: ModuleType, work: _Work) -> None:
    """Callers who leave, while their job waits and while it is worked on."""
    runner = module.InferenceRunner(work, threads=THREADS)
    work.open.clear()
    leaving = [asyncio.ensure_future(runner.classify(b"left")) for _n in range(2 * THREADS)]
    await asyncio.sleep(0.2)
    for one in leaving:
        one.cancel()
    await asyncio.gather(*leaving, return_exceptions=True)
    work.open.set()
    try:
        found = await _all(runner, [b"photo"] * 2 * THREADS)
    except TimeoutError:
        found = [None]
    if not all(isinstance(one, list) for one in found):
        raise Wrong(
            expected=_("A caller may leave before its answer comes; the others are served."),
            found=_("After callers had left, photos got no answer: the threads had ended."),
            look="inference_runner.py, InferenceRunner.run",
        )
    if work.done.count(b"left") > THREADS:
        raise Wrong(
            expected=_("The job of a caller who has left the queue is not done."),
            found=_("It was done, while others waited."),
            look="inference_runner.py, InferenceRunner.run",
        )
    runner.close()


async def _check_close(module: ModuleType, work: _Work) -> None:
    before = set(threading.enumerate())
    runner = module.InferenceRunner(work, threads=THREADS)
    work.open.clear()
    asked = [asyncio.ensure_future(runner.classify(b"photo")) for _n in range(8)]
    await asyncio.sleep(0.1)
    threading.Timer(0.2, work.open.set).start()
    await asyncio.wait_for(asyncio.to_thread(runner.close), PATIENCE_S)
    left = [one for one in set(threading.enumerate()) - before if one.ident in work.threads]
    answers = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), PATIENCE_S)
    if not all(isinstance(one, list) for one in answers):
        raise Wrong(
            expected=_("`close` lets the threads finish what waits in the queue."),
            found=_("The jobs that waited were not done."),
            look="inference_runner.py, InferenceRunner.close",
        )
    if left:
        raise Wrong(
            expected=_("When `close` returns, the threads have ended."),
            found=_("{n} of them still run.").format(n=len(left)),
            look="inference_runner.py, InferenceRunner.close",
        )
