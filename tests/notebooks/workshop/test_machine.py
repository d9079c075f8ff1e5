"""A busy machine is named, an idle one is not."""

import subprocess
import sys
import time

import pytest

from learner.cpu_meter import CpuMeter
from notebooks.workshop.machine import watch_machine


@pytest.mark.parametrize(("others", "words"), [(0.5, "Other programs used 50%"), (0.1, "")])
def test_other_programs_are_named(
    others: float, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("notebooks.workshop.machine.CpuMeter.others", lambda _meter: others)
    with watch_machine():
        pass
    assert capsys.readouterr().out.startswith(words)
    assert bool(words) == (others > 0.2)


def test_a_child_that_has_ended_is_not_another_program() -> None:
    meter = CpuMeter()
    before = meter._used_s()
    busy = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", busy], check=True)
    time.sleep(0.05)
    assert meter._used_s() - before > 0.2
