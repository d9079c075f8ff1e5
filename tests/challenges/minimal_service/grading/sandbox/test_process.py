"""Whatever a service does, the grader names it, does not hang, and leaves nothing of it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from challenges.load.client import ask
from challenges.minimal_service.grading.sandbox.process import (
    MOST_CHARACTERS,
    MOST_LINES,
    ServiceFault,
)
from challenges.minimal_service.grading.submission.running import (
    RunningService,
    free_port,
    read_predictions,
)
from challenges.minimal_service.grading.submission.submission import Submission
from learner.language import speaking
from service.settings import ROOT
from tests.challenges.minimal_service.grading.submissions import opened, write_fake

Make = Callable[..., Submission]
ESCAPED = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
"""


@pytest.fixture(autouse=True)
def _in_english() -> Iterator[None]:
    with speaking("en"):
        yield


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A fake, opened."""
    return lambda **code: opened(write_fake(tmp_path / "mine", **code), tmp_path / "grade")


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Submission:
    place = tmp_path_factory.mktemp("right")
    return opened(write_fake(place / "mine"), place / "grade")


def fault_of(submission: Submission, seconds: float = 20, **options: int) -> ServiceFault:
    """What is wrong with it; nothing of it may be left."""
    with RunningService(submission, **options) as service:  # type: ignore[arg-type]
        with pytest.raises(ServiceFault) as raised:
            service.wait_until_ready(seconds)
        assert_gone(service)
    return raised.value


def assert_gone(service: RunningService) -> None:
    assert service.pids() == []
    assert not psutil.pid_exists(service.group)
    assert not service.home.exists()


def gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


def test_a_right_service_gets_ready_answers_and_stops(right: Submission) -> None:
    with RunningService(right) as service:
        assert 0 < service.wait_until_ready() <= service.seconds
        assert service.listening_ports() == [service.port]
        one, other = (service.predict(body) for body in (b"one", b"other"))
        assert one != other
        assert len(one or []) == 5
        assert service.stop() == 0
        assert service.left_behind == []
        assert "ready" in [line.text for line in service.lines]
        assert_gone(service)
    assert service.fault is None


def test_a_second_service_takes_the_port_of_a_killed_one(right: Submission) -> None:
    with RunningService(right) as service:
        service.wait_until_ready()
        service.kill()
        assert_gone(service)
    with RunningService(right, port=service.port) as again:
        again.wait_until_ready()
        assert again.port == service.port


def test_the_environment_is_clean(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("SERVICE_PORT", "1")
    submission = make(before="print(sorted(os.environ)); print(os.environ['HOME'], os.getcwd())")
    with RunningService(submission) as service:
        service.wait_until_ready()
        names, places = (line.text for line in service.lines[:2])
    assert set(eval(names)) - {"LC_CTYPE"} <= {
        *("HOME", "LANG", "PATH", "PYTHONUNBUFFERED", "TMPDIR"),
        *("CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH", "NVIDIA_VISIBLE_DEVICES"),
    }
    home, folder = map(Path, places.split())
    assert folder == submission.folder
    assert home.parent == folder.parent
    assert not home.exists()


def test_a_service_that_ends(make: Make) -> None:
    fault = fault_of(make(ready="sys.exit('no memory for me')"))
    assert fault.kind == "ended"
    assert "exit status 1" in str(fault)
    assert "no memory for me" in str(fault)


def test_a_service_that_dies_of_a_signal(make: Make) -> None:
    fault = fault_of(make(ready="os.kill(os.getpid(), signal.SIGKILL)"))
    assert "exit status 137" in str(fault)


def test_a_command_that_does_not_exist(make: Make, tmp_path: Path) -> None:
    submission = make()
    submission.start[0] = "no-such-program"
    with RunningService(submission) as service, pytest.raises(ServiceFault) as raised:
        service.wait_until_ready(20)
    assert raised.value.kind == "cannot-start"
    assert "no-such-program" in str(raised.value)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ({"before": "print('one moment'); time.sleep(600)"}, "does not listen on port"),
        ({"get": "return self.answer(503, b'')"}, "answered with 503 instead of 200"),
        ({"get": "return self.answer(404, b'<!doctype html><html>')"}, "404 instead of 200"),
        ({"get": "time.sleep(600)"}, "is not answered"),
        ({"get": "self.wfile.write(bytes(range(256)) * 9); return"}, "is not HTTP"),
        ({"get": "self.wfile.write(b'x' * (1 << 26)); return"}, "is not HTTP"),
    ],
)
def test_a_service_that_is_never_ready(make: Make, code: dict[str, str], words: str) -> None:
    fault = fault_of(make(**code), 1.5)
    assert fault.kind == "not-ready"
    assert words in str(fault)


def test_an_answer_that_trickles_in_holds_nobody_up(make: Make) -> None:
    drip = "while True: self.wfile.write(b'H'); time.sleep(0.05)"
    assert fault_of(make(get=drip), 1.5).kind == "not-ready"


def test_a_page_of_html(make: Make) -> None:
    page = "return self.answer(200, b'\\n<!DOCTYPE html><html></html>', 'text/html')"
    assert fault_of(make(get=page)).kind == "html"


def test_another_port(make: Make) -> None:
    other = free_port()
    fault = fault_of(make(before=f"options.port = {other}"))
    assert fault.kind == "other-port"
    assert f"port {other} instead of" in str(fault)


def test_another_program_on_the_port_is_not_taken_for_the_service(right: Submission) -> None:
    with RunningService(right) as first:
        first.wait_until_ready()
        port = first.port
        # The second one must neither be graded by the first one's answers nor end it.
        fault = fault_of(right, port=port)
        assert fault.kind in ("wrong-service", "ended")
        assert ask(port).status == 200


def test_a_stranger_who_answers_for_a_service_that_waits(make: Make, right: Submission) -> None:
    submission = make(before="time.sleep(600)")
    with RunningService(right) as stranger:
        stranger.wait_until_ready()
        assert fault_of(submission, port=stranger.port).kind == "wrong-service"


@pytest.mark.parametrize("print_", ["os.write(1, bytes(range(256)) * 64)", "print('yes')"])
def test_endless_and_binary_output_is_bounded(make: Make, print_: str) -> None:
    flood = f"""
    def flood():
        while True:
            {print_}
    threading.Thread(target=flood, daemon=True).start()
    """
    with RunningService(make(before=flood)) as service:
        service.wait_until_ready()
        assert eventually(lambda: service.said > 2 * MOST_LINES)
        lines = service.lines
    assert len(lines) <= MOST_LINES
    assert max(len(line.text) for line in lines) <= MOST_CHARACTERS
    assert all(line.text.isprintable() or "\t" in line.text for line in lines)


def test_a_line_without_end_is_bounded(make: Make) -> None:
    flood = "threading.Thread(target=lambda: [os.write(1, b'x' * 65536) for _ in range(800)])"
    with RunningService(make(before=flood + ".start()")) as service:
        service.wait_until_ready()
        assert eventually(lambda: not service.running or service.said >= 0)
        service.kill()
    assert sum(len(line.text) for line in service.lines) < 10_000


@pytest.mark.skipif(sys.platform != "linux", reason="needs a subreaper")
def test_a_daemon_in_its_own_session_is_found_and_ended(make: Make) -> None:
    with RunningService(make(before=ESCAPED)) as service:
        service.wait_until_ready()
        assert eventually(lambda: len(service.pids()) == 2)
        pids = service.pids()
        assert service.stop() == 0
        assert len(service.left_behind) == 1
        assert all(gone(pid) for pid in pids)


def test_a_service_that_ignores_sigterm_is_killed(make: Make) -> None:
    with RunningService(make(ready="signal.signal(15, signal.SIG_IGN)")) as service:
        service.wait_until_ready()
        assert service.stop(0.5) is None
        assert_gone(service)


def test_a_grader_that_is_killed_leaves_no_service(right: Submission, tmp_path: Path) -> None:
    script = f"""
import subprocess, sys, time
from pathlib import Path
from challenges.minimal_service.grading.sandbox.process import Contained
nest = "import subprocess, sys; print('up', flush=True); "
nest += "subprocess.run(['sleep', '600'], start_new_session=True)"
held = Contained([sys.executable, "-c", nest], {{}}, Path({str(tmp_path)!r}))
while len(held.pids()) < 2: time.sleep(0.02)
print(*held.pids(), held.group, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        pids = [int(word) for word in owner.stdout.readline().split()]
        assert len(pids) == 3
        owner.kill()
        owner.wait()
        assert eventually(lambda: all(gone(pid) for pid in pids))


def test_a_full_disk_is_named(make: Make) -> None:
    fill = """
    def fill():
        for number in range(20):
            Path(os.environ["TMPDIR"], str(number)).write_bytes(bytes(1 << 20))
            time.sleep(0.01)
    fill()
    time.sleep(600)
    """
    fault = fault_of(make(before=fill), most_bytes=4 << 20)
    assert fault.kind == "disk"
    assert "disk was being filled" in str(fault)


def test_no_file_can_grow_without_bound(make: Make) -> None:
    submission = make(before="Path('big').write_bytes(bytes(5 << 20))")
    fault = fault_of(submission, most_bytes=4 << 20)
    assert "File too large" in str(fault)
    assert (submission.folder / "big").stat().st_size <= 4 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/shm")
def test_shared_memory_of_a_killed_service_is_taken_away(make: Make) -> None:
    name = f"test-{os.getpid()}-{free_port()}"
    code = "from multiprocessing.shared_memory import SharedMemory; "
    code += f"held = SharedMemory('{name}', create=True, size=4096)"
    with RunningService(make(before=code)) as service:
        service.wait_until_ready()
        assert Path("/dev/shm", name).exists()
        service.kill()
    assert not Path("/dev/shm", name).exists()


def test_what_is_no_answer() -> None:
    for body in (b"", b"{}", b"[]", b'{"predictions": []}', b'{"predictions": [{"class_id": 1}]}'):
        assert read_predictions(body) is None
    nan = b'{"predictions": [{"class_id": 1, "probability": NaN}]}'
    assert read_predictions(nan) is None
    assert read_predictions(nan.replace(b"NaN", b"0.5")) == [(1, 0.5)]


def test_nobody_listening_is_an_error_of_the_system() -> None:
    with pytest.raises(OSError, match="refused"):
        ask(free_port())
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TimeoutError):
        ask(silent.getsockname()[1], seconds=0.2)
