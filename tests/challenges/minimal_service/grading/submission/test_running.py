"""A service is started cleanly; whatever it does wrong is named, and nothing of it is left."""

from pathlib import Path

import pytest

from challenges.load.client import ask
from challenges.minimal_service.grading.sandbox.process import (
    ServiceFault,
)
from challenges.minimal_service.grading.submission.running import (
    RunningService,
    free_port,
    read_predictions,
)
from challenges.minimal_service.grading.submission.submission import Submission
from service.settings import ROOT
from tests.challenges.minimal_service.grading.submissions import Make, assert_gone, find_fault


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
    fault = find_fault(make(ready="sys.exit('no memory for me')"))
    assert fault.kind == "ended"
    assert "exit status 1" in str(fault)
    assert "no memory for me" in str(fault)


def test_a_service_that_dies_of_a_signal(make: Make) -> None:
    fault = find_fault(make(ready="os.kill(os.getpid(), signal.SIGKILL)"))
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
        ({"before": "print('one moment'); signal.pause()"}, "does not listen on port"),
        ({"get": "return self.answer(503, b'')"}, "answered with 503 instead of 200"),
        ({"get": "return self.answer(404, b'<!doctype html><html>')"}, "404 instead of 200"),
        ({"get": "signal.pause()"}, "is not answered"),
        ({"get": "self.wfile.write(bytes(range(256)) * 9); return"}, "is not HTTP"),
        ({"get": "self.wfile.write(b'x' * (1 << 26)); return"}, "is not HTTP"),
    ],
)
def test_a_service_that_is_never_ready(make: Make, code: dict[str, str], words: str) -> None:
    fault = find_fault(make(**code), 1.5)
    assert fault.kind == "not-ready"
    assert words in str(fault)


def test_an_answer_that_trickles_in_holds_nobody_up(make: Make) -> None:
    drip = "while True: self.wfile.write(b'H'); threading.Event().wait(0.05)"
    assert find_fault(make(get=drip), 1.5).kind == "not-ready"


def test_a_page_of_html(make: Make) -> None:
    page = "return self.answer(200, b'\\n<!DOCTYPE html><html></html>', 'text/html')"
    assert find_fault(make(get=page)).kind == "html"


def test_another_port(make: Make) -> None:
    other = free_port()
    fault = find_fault(make(before=f"options.port = {other}"))
    assert fault.kind == "other-port"
    assert f"port {other} instead of" in str(fault)


def test_another_program_on_the_port_is_not_the_service(right: Submission) -> None:
    with RunningService(right) as first:
        first.wait_until_ready()
        port = first.port
        # The second one must neither be graded by the first one's answers nor end it.
        fault = find_fault(right, port=port)
        assert fault.kind in ("wrong-service", "ended")
        assert ask(port).status == 200


def test_a_program_that_answers_for_a_waiting_service(make: Make, right: Submission) -> None:
    submission = make(before="signal.pause()")
    with RunningService(right) as stranger:
        stranger.wait_until_ready()
        assert find_fault(submission, port=stranger.port).kind == "wrong-service"


def test_what_is_no_answer() -> None:
    for body in (b"", b"{}", b"[]", b'{"predictions": []}', b'{"predictions": [{"class_id": 1}]}'):
        assert read_predictions(body) is None
    nan = b'{"predictions": [{"class_id": 1, "probability": NaN}]}'
    assert read_predictions(nan) is None
    assert read_predictions(nan.replace(b"NaN", b"0.5")) == [(1, 0.5)]
