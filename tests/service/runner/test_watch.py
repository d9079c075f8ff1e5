"""The watch: stops a service that cannot answer any more, and ends one that does not stop."""

import threading

from service.runner.watch import EXIT_STATUS, HealthWatch


class BreakableEngine:
    """An engine whose device is lost as soon as there is a reason."""

    def __init__(self) -> None:
        self.reason: str | None = None

    def check_health(self) -> str | None:
        return self.reason


def test_the_watch_stops_a_service_without_device() -> None:
    engine, stopped, exits = BreakableEngine(), threading.Event(), list[int]()
    watch = HealthWatch(engine.check_health, stopped.set, 30, exits.append, interval_s=0.001)
    assert not stopped.wait(0.05)
    engine.reason = "cuda:0 failed"
    assert stopped.wait(10)
    watch.close()
    assert watch.reason == "cuda:0 failed"
    assert not exits  # it stopped by itself in time


def test_the_watch_ends_a_process_that_does_not_stop() -> None:
    engine, ended, exits = BreakableEngine(), threading.Event(), list[int]()
    engine.reason = "cuda:0 did not finish a batch"

    def end(status: int) -> None:
        exits.append(status)
        ended.set()

    watch = HealthWatch(engine.check_health, lambda: None, 0.01, end, interval_s=0.001)
    assert ended.wait(10)
    watch.close()
    assert exits == [EXIT_STATUS]
    assert EXIT_STATUS != 0


def test_a_watch_of_a_healthy_device_ends_with_the_service() -> None:
    stopped = threading.Event()
    HealthWatch(
        BreakableEngine().check_health, stopped.set, 30, lambda _: None, interval_s=0.001
    ).close()
    assert not stopped.is_set()
