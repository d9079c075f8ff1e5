"""The faults. Each function injects one while load runs, and returns what became of the load."""

import io
import os
import re
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import httpx2 as httpx
import numpy as np
import numpy.typing as npt
import psutil
from PIL import Image

from challenges.load.arrivals import due_times
from challenges.load.generator import Target, generate
from challenges.load.images import distinct_images
from challenges.load.observations import Observations
from service.settings import ROOT
from tests.conftest import ServiceProcess, wait_until
from tests.faults import inputs
from tests.faults.bench import (
    LAG_S,
    Bench,
    Fault,
    Recorded,
    Row,
    balance_with_lag,
    balance_with_retries,
    port_of,
)
from tests.faults.hostile import KINDS
from tests.performance.traffic import Traffic
from tests.service.web.test_foreign_clients import free_port, run_haproxy

FloatArray = npt.NDArray[np.float64]

PATIENT = {"X-Deadline-Ms": "20000"}
"""Without a deadline a request is refused rather than late, and a busy machine refuses many."""
START_S = 30.0
"""An instance is ready again after this many seconds, beside whatever else the machine does."""
GOOD_P99_MS = 50.0


def pause(seconds: float) -> None:
    select.select([], [], [], seconds)


def kill_under_load(bench: Bench, full: bool) -> Row:
    """kill -9 of one of two instances, again and again, behind haproxy that sends again."""
    times, ports = (20 if full else 2), [free_port(), free_port()]
    instances = {port: bench.start(port=port) for port in ports}
    row, slowest = Row("kill -9", f"{times} × one of two instances behind haproxy"), 0.0
    with balance_with_retries(bench.folder, ports) as balancer:
        load = bench.send(balancer, 5.0 * times, headers=PATIENT, timeout=60)
        for number in range(times):
            pause(1.5)
            port = ports[number % 2]
            bench.stop(instances[port])
            began = time.monotonic()
            instances[port] = bench.start(port=port)
            slowest = max(slowest, time.monotonic() - began)
        row.count(load.result(), bench.recorded)
    for one in instances.values():
        row.peak_mib = max(row.peak_mib, bench.note_memory(one))
        bench.stop(one)
    row.injected += f"; ready again in {slowest:.1f} s at most"
    return row.expect_none_lost().expect(slowest < START_S, f"a start took {slowest:.1f} s")


def run_spoiled(bench: Bench, fault: str, what: str, seconds: float) -> Row:
    service = bench.start(fault=fault)
    row = Row(fault, what).count(
        bench.send(port_of(service), seconds, headers=PATIENT).result(), bench.recorded
    )
    row.peak_mib = bench.note_memory(service)
    status = service.stop(signal.SIGTERM)
    return row.expect(status == 0, f"exit status {status}")


def fail_in_the_engine(bench: Bench, full: bool) -> list[Row]:
    """Errors of the engine and of the preprocessing: each costs its own request."""
    rows = []
    for fault in ("engine:exception", "engine:memory", "worker:exception", "worker:memory"):
        row = run_spoiled(bench, fault, "each 20th call raises", 60 if full else 3)
        share = row.failed / max(1, row.sent - row.refused)
        row.expect_none_lost().expect(0 < share < 0.1, f"{share:.0%} failed")
        rows.append(row)
        if not full:
            break
    return rows


def hang_in_the_engine(bench: Bench, full: bool) -> Row:
    """A call that never returns: deadlines hold, the process notices, and can be stopped."""
    service = bench.start("--drain-seconds", "0", "--shutdown-seconds", "1", fault="engine:hang")
    seconds = 45 if full else 4
    load = bench.send(port_of(service), seconds, headers={"X-Deadline-Ms": "1000"}, rate=20)
    seen = load.result()
    row = Row("engine:hang", "each 20th call never returns").count(seen, bench.recorded)
    row.peak_mib = bench.note_memory(service)
    late = float(np.nanmax((seen.done - seen.due)[seen.status > 0]))
    row.expect(late < 2.5, f"an answer took {late:.1f} s, over its deadline of 1 s")
    row.expect(row.wrong == 0, f"{row.wrong} wrong").expect(row.right > 0, "no right answer")
    if full:
        row.expect(service.process.wait(60) != 0, "the process did not end by itself")
        return row
    began = time.monotonic()
    service.stop(signal.SIGTERM)
    took = time.monotonic() - began
    return row.expect(row.lost == 0, f"{row.lost} lost").expect(took < 20, f"stop: {took:.0f} s")


def serve_in_odd_places(bench: Bench, full: bool) -> list[Row]:
    """No room for the log, no standard files, nothing writable, a clock that jumps."""
    read_only = 'mount --bind / / && mount -o remount,bind,ro / && cd "$PWD" && exec "$@"'
    places: list[tuple[str, str, Sequence[str], dict[str, str]]] = [
        ("log to a full disk", "", ("bash", "-c", 'exec "$@" 2>/dev/full', "-"), {}),
        ("clock", "clock", (), {}),
        ("no HOME, no TMPDIR", "", (), {"HOME": "/nonexistent", "TMPDIR": "/nonexistent"}),
    ]
    private = ("unshare", "--mount", "bash", "-c", read_only, "-")
    if not subprocess.run([*private, "true"], cwd=ROOT, capture_output=True).returncode:
        places.append(("read-only folders", "", private, {}))
    rows = []
    for name, fault, wrapper, environment in places:
        row = Row(name, "all the time")
        if "/dev/full" in " ".join(wrapper):  # its log cannot be read either
            row = _serve_without_log(bench, wrapper, row, full)
        else:
            variables = {"PYTHONDONTWRITEBYTECODE": "1", **environment}
            service = bench.start(fault=fault, wrapper=wrapper, environment=variables)
            seconds = 60 if full else 3
            row.count(
                bench.send(port_of(service), seconds, headers=PATIENT).result(), bench.recorded
            )
            row.peak_mib = bench.note_memory(service)
            status = service.stop(signal.SIGTERM)
            row.expect(status == 0, f"exit status {status}")
        rows.append(row.expect_none_lost())
    return rows


def _serve_without_log(bench: Bench, wrapper: Sequence[str], row: Row, full: bool) -> Row:
    port = free_port()
    service = [sys.executable, "-m", "service.inference_service", "--port", str(port)]
    with subprocess.Popen([*wrapper, *service, "--drain-seconds", "0"], cwd=ROOT) as process:
        wait_until(lambda: is_ready(port), seconds=60)
        load = bench.send(port, 60 if full else 3, headers=PATIENT)
        row.count(load.result(), bench.recorded)
        process.terminate()
        status = process.wait(timeout=60)
    return row.expect(status == 0, f"exit status {status}")


def is_ready(port: int) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    return False


def exhaust_descriptors(bench: Bench, full: bool) -> Row:
    """No file can be opened for a while: kept connections go on, and afterwards all is well."""
    service = bench.start()
    port, seconds = port_of(service), 10 if full else 4
    row = Row("no descriptors", f"for {seconds / 2:g} s, then again")
    used = len(list(Path(f"/proc/{service.process.pid}/fd").iterdir()))
    _, hard = resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE)
    load = bench.send(port, seconds, headers=PATIENT)
    resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, (used - 2, hard))
    pause(seconds / 2)
    resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, (hard, hard))
    row.count(load.result(), bench.recorded).expect(row.wrong == 0, f"{row.wrong} wrong")
    after = Row("", "").count(bench.send(port, 3, headers=PATIENT).result(), bench.recorded)
    row.expect(after.lost == 0 and after.right > 0, f"{after.lost} lost afterwards")
    row.peak_mib = bench.note_memory(service)
    bench.stop(service)
    return row


def stop_and_continue(bench: Bench, full: bool) -> Row:
    """SIGSTOP of one of two instances: the balancer's other one answers."""
    ports, seconds = [free_port(), free_port()], 12 if full else 4
    instances = [bench.start(port=port) for port in ports]
    row = Row("SIGSTOP", f"{seconds} s, one of two instances behind haproxy")
    with balance_with_retries(bench.folder, ports, patience_s=3) as balancer:
        load = bench.send(balancer, seconds + 4, headers=PATIENT, timeout=30)
        pause(1)
        instances[0].process.send_signal(signal.SIGSTOP)
        pause(seconds)
        instances[0].process.send_signal(signal.SIGCONT)
        row.count(load.result(), bench.recorded)
    for one in instances:
        row.peak_mib = max(row.peak_mib, bench.note_memory(one))
        bench.stop(one)
    return row.expect_none_lost()


def end_process_1(bench: Bench, full: bool) -> Row:
    """SIGTERM of a container's first process, from the first moment at which it can hear it."""
    row, ignored, deaf_s = Row("SIGTERM as process 1", ""), [], []
    moments = np.linspace(0, 1, 20 if full else 3)
    for moment in moments:
        command = [sys.executable, "-m", "service.inference_service", "--port", "0"]
        began = time.monotonic()
        with subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child", *command, "--drain-seconds", "0"],
            cwd=ROOT, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            child = _find_child(process.pid)
            wait_until(lambda child=child: catches_sigterm(child))  # type: ignore[misc]
            deaf_s.append(time.monotonic() - began)
            pause(float(moment))
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                ignored.append(f"{moment:.2f} s")
                process.kill()
    row.injected = (
        f"{len(moments)} times, up to 1 s after it has a handler; that takes "
        f"{np.median(deaf_s) * 1000:.0f} ms of Python's start"
    )
    return row.expect(not ignored, f"ignored at {', '.join(ignored)}")


def catches_sigterm(process: int) -> bool:
    """Whether a process has a handler of SIGTERM (proc_pid_status(5))."""
    caught = re.search(r"SigCgt:\s+(\w+)", Path(f"/proc/{process}/status").read_text())
    return caught is not None and bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)


def _find_child(parent: int) -> int:
    children = Path(f"/proc/{parent}/task/{parent}/children")

    def is_python() -> bool:
        found = children.read_text().split()
        return bool(found) and "python" in Path(f"/proc/{found[0]}/exe").resolve().name

    wait_until(is_python)
    return int(children.read_text().split()[0])


def suffer_clients(bench: Bench, full: bool) -> list[Row]:
    """Slow and lying clients of every kind, beside good ones."""
    service = bench.start("--header-seconds", "5", "--body-seconds", "5")
    seconds = 25 if full else 3
    calm = Row("no bad client", "for comparison")
    calm.count(bench.send(port_of(service), seconds).result(), bench.recorded)
    kinds = KINDS if full else ("drip-body", "reset-in-the-body")
    rows = [calm, *(suffer_client(bench, service, kind, seconds, full) for kind in kinds)]
    bench.stop(service)
    return rows


def suffer_client(
    bench: Bench, service: ServiceProcess, kind: str, seconds: float, measures: bool
) -> Row:
    """One kind of bad client; if `measures`, the good ones' p99 must hold, on a calm machine."""
    port = port_of(service)
    command = [sys.executable, "-m", "tests.faults.hostile", kind, str(port), str(seconds + 1)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as hostile:
        pause(1)
        began = time.monotonic()
        health = httpx.get(f"http://127.0.0.1:{port}/livez", timeout=10).status_code
        health_s = time.monotonic() - began
        seen = bench.send(port, seconds, headers={} if measures else PATIENT).result()
        steps = hostile.communicate()[0].strip()
    row = Row(f"client: {kind}", f"{steps} rounds").count(seen, bench.recorded)
    row.peak_mib = bench.note_memory(service)
    row.expect(health == 200, f"/livez answers {health}")
    if measures:
        row.expect(health_s < 1, f"/livez took {health_s:.1f} s")
        row.expect(row.p99_ms < GOOD_P99_MS, f"p99 {row.p99_ms:.0f} ms (n = {row.right})")
    return row.expect_none_lost()


def upload_at_once(bench: Bench, full: bool) -> Row:
    """Valid PNG files of almost 10 MiB, all at once: memory stays below the documented 1 GiB."""
    count, file = (300 if full else 60), io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (1790, 1910, 3), np.uint8)
    Image.fromarray(noise).save(file, "PNG", compress_level=1)
    service = bench.start()
    target = Target(port_of(service), headers={"Content-Type": "image/png"})
    due = due_times("constant", 1000, count / 1000)
    seen = generate(target, due, [file.getvalue()], timeout=60)
    row = Row("large uploads", f"{count} PNG files of {len(file.getvalue()):,} bytes at once")
    row.sent, row.right = count, int(seen.ok.sum())
    row.refused, row.lost = int((seen.status == 503).sum()), int((seen.status == 0).sum())
    row.failed = count - row.right - row.refused - row.lost
    row.peak_mib = bench.note_memory(service)
    row.expect(service.process.poll() is None, "the process ended")
    row.expect(row.peak_mib < 1000, f"{row.peak_mib:.0f} MiB")
    bench.stop(service)
    return row.expect_none_lost()


def restart_behind_lag(bench: Bench, full: bool) -> Row:
    """Restarts behind a balancer of connections that learns seconds later who is ready."""
    ports = [free_port(), free_port()]
    drain = ("--drain-seconds", f"{LAG_S + 1:g}")
    instances = [bench.start(*drain, port=port) for port in ports]
    with balance_with_lag(ports) as balancer:
        return _restart(bench, f"restarts, list lags {LAG_S:g} s", full, balancer, instances, drain)


def restart_behind_haproxy(bench: Bench, full: bool) -> Row:
    """Restarts behind haproxy, which uses its connections again and sends nothing twice."""
    ports, drain = [free_port(), free_port()], ("--drain-seconds", "1")
    instances = [bench.start(*drain, port=port) for port in ports]
    with run_haproxy(bench.folder, balancer := free_port(), ports):
        return _restart(bench, "restarts behind haproxy", full, balancer, instances, drain)


def _restart(
    bench: Bench,
    name: str,
    full: bool,
    balancer: int,
    instances: list[ServiceProcess],
    options: Sequence[str],
) -> Row:
    """Restart one instance after the other while load runs, in parts of a restart each."""
    row, ports = Row(name, ""), [port_of(one) for one in instances]
    times = 100 if full else 3
    for number in range(times):
        chosen = number % 2
        done = threading.Event()
        parts = bench.pool.submit(_send_until, bench, balancer, done)
        pause(0.5)
        status = instances[chosen].stop(signal.SIGTERM)
        row.expect(status == 0, f"exit status {status}")
        instances[chosen] = bench.start(*options, port=ports[chosen])
        row.peak_mib = max(row.peak_mib, bench.note_memory(instances[chosen]))
        pause(LAG_S + 0.5 if "lag" in name else 1.0)  # until the balancer knows
        done.set()
        for seen in parts.result():
            row.count(seen, bench.recorded)
        if row.lost or row.wrong:
            break
    row.injected = f"{number + 1} restarts of two instances in turns"
    for one in instances:
        bench.stop(one)
    row.expect(row.failed == 0, f"{row.failed} failed")
    return row.expect_none_lost()


def _send_until(bench: Bench, port: int, done: threading.Event) -> list[Observations]:
    seen = []
    while not done.is_set():
        seen.append(bench.send(port, 2, headers=PATIENT, timeout=30).result())
    return seen


def soak(bench: Bench, full: bool) -> Row:
    """Hours of mixed sizes: neither memory nor descriptors nor threads grow."""
    seconds = 7200 if full else 180
    sizes = ((224, 224), (640, 480), (1920, 1080), (4000, 3000))
    counts = (20, 8, 3, 1)
    bodies = [
        body
        for size, count in zip(sizes, counts, strict=True)
        for body in distinct_images(count, size)
    ]
    np.random.default_rng(0).shuffle(bodies)
    service = bench.start()
    traffic, recorded = Traffic(bodies), Recorded(service.url, bodies)
    process, samples = psutil.Process(service.process.pid), []
    target = Target(port_of(service), headers={"Content-Type": "image/jpeg", **PATIENT})
    load = bench.pool.submit(traffic.send, target, bench.rate, seconds, timeout=30)
    began = time.monotonic()
    while not load.done():
        pause(seconds / 240)
        files, threads = process.num_fds(), process.num_threads()
        moment = (time.monotonic() - began) / 3600
        samples.append((moment, process.memory_info().rss / 2**20, files, threads))
    traffic.close()
    hours, mib, files_seen, threads_seen = np.array(samples[len(samples) // 4 : -1]).T
    slope = find_slope(hours, mib)
    row = Row(
        "soak",
        f"{seconds / 60:g} min at {bench.rate:g}/s, 224 px to 12 MP: {slope:+.1f} MiB an hour, "
        f"{files_seen.min():.0f}–{files_seen.max():.0f} files, "
        f"{threads_seen.min():.0f}–{threads_seen.max():.0f} threads",
    ).count(load.result(), recorded)
    row.peak_mib = bench.note_memory(service)
    if full:  # in minutes, the slope is that of chance
        row.expect(slope <= 1, f"memory grows by {slope:.1f} MiB an hour")
    row.expect(bool(np.ptp(mib) < 60), f"memory varies by {np.ptp(mib):.0f} MiB")
    row.expect(bool(np.ptp(threads_seen) == 0), "threads vary")
    median = [float(np.median(half)) for half in np.array_split(files_seen, 2)]
    row.expect(abs(median[1] - median[0]) <= 2, "descriptors grow")
    bench.stop(service)
    return row.expect_none_lost()


def find_slope(moments: FloatArray, values: FloatArray) -> float:
    """Return the median slope between all pairs (Theil and Sen), which single peaks do not move."""
    first, second = np.triu_indices(len(moments), 1)
    return float(np.median((values[second] - values[first]) / (moments[second] - moments[first])))


def mutate_inputs(bench: Bench, full: bool) -> Row:
    """Mutated images: pixels or a refusal, and what plain Pillow refuses is refused."""
    count = 1_000_000 if full else 3000
    result = inputs.search(count, workers=len(os.sched_getaffinity(0)) if full else 1)
    row = Row("mutated images", f"{result.describe()}")
    row.sent, row.right, row.refused = result.tried, result.accepted, result.refused
    row.wrong, row.failed = len(result.wrong), len(result.crashed)
    return row.expect(not result.wrong, "; ".join(result.wrong[:3])).expect(
        not result.crashed, "; ".join(result.crashed[:3])
    )


FAULTS: dict[str, Fault] = {
    one.__name__.replace("_", "-"): one
    for one in (
        kill_under_load, fail_in_the_engine, hang_in_the_engine, serve_in_odd_places,
        exhaust_descriptors, stop_and_continue, end_process_1, suffer_clients, upload_at_once,
        restart_behind_lag, restart_behind_haproxy, mutate_inputs, soak,
    )
}  # fmt: skip
