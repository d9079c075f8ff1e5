"""Stubs are laid out and never overwritten; whatever code does, the check ends with a sentence."""

import dataclasses
import os
import time
from pathlib import Path

import psutil
import pytest

from challenges.tasks import engine, progress
from challenges.tasks.catalogue import SOLUTIONS, STUBS, find
from challenges.tasks.engine import Outcome, check, lay_out, run
from challenges.tasks.places import is_written
from learner.errors import LearnerError
from tests.challenges.tasks.folders import solved

TASK = "latency-percentile"
FILE = "latency.py"
SOLUTION = (SOLUTIONS / FILE).read_text("utf-8")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_stubs_are_laid_out_once(own: Path) -> None:
    made = lay_out()
    assert FILE in made
    assert files(own) == files(STUBS)
    assert lay_out() == []


def test_work_is_never_overwritten(own: Path) -> None:
    own.mkdir(parents=True)
    (own / FILE).write_text("mine\n")
    (own / "server.py").mkdir()
    (own / "predict.py").symlink_to("nowhere")
    made = lay_out()
    assert not {FILE, "server.py", "predict.py"} & set(made)
    assert (own / FILE).read_text() == "mine\n"
    assert not [name for name in files(own) if name.endswith(".part")]


def test_a_disk_without_links_will_do(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr("os.link", refuse)
    lay_out()
    assert (own / FILE).read_bytes() == (STUBS / FILE).read_bytes()


def test_a_file_that_was_thrown_away_comes_again(own: Path) -> None:
    lay_out()
    (own / FILE).unlink()
    assert lay_out() == [FILE]


def test_a_file_in_the_way_is_named(own: Path) -> None:
    own.parent.mkdir(parents=True)
    own.write_text("a file")
    with pytest.raises(LearnerError, match="Cannot write to"):
        lay_out()
    assert own.read_text() == "a file"


def test_a_stub_is_not_written(own: Path) -> None:
    lay_out()
    task = find(TASK)
    assert not is_written(task, own)
    with (own / FILE).open("a") as file:
        file.write("\n# a comment\n")
    assert not is_written(task, own)
    (own / FILE).write_text(SOLUTION)
    assert is_written(task, own)


def test_a_place_of_a_shared_file_is_looked_at_alone(own: Path) -> None:
    lay_out()
    file = own / "server.py"
    text = file.read_text("utf-8").replace('{"status": "ready"}', '{"status": "well"}')
    file.write_text(text, "utf-8")
    written = [name for name in ("endpoint", "load-once", "readyz") if is_written(find(name), own)]
    assert written == ["readyz"]


CODE: dict[str, tuple[str | bytes, str]] = {
    "does not parse": ("def percentile(:\n", "cannot be read as Python"),
    "no text": (b"\xff\xfe\x00x = (", "cannot be read as Python"),
    "ends the process": ("import os\nos._exit(0)\n", "ended the whole process"),
    "exits": ("import sys\nsys.exit('bye')\n", "SystemExit: bye"),
    "raises": ("raise KeyError('x')\n", "KeyError: 'x'"),
    "no such function": ("x = 1\n", "latency.py has the name percentile"),
    "an error that cannot be printed": (
        "class Odd(BaseException):\n    def __str__(self):\n        raise ValueError\n"
        "def percentile(a, share=99):\n    raise Odd\n",
        "Odd",
    ),
    "interrupts": ("raise KeyboardInterrupt\n", "KeyboardInterrupt"),
    "asks for input": ("input('name? ')\n", "EOFError"),
    "an error of many lines": ("raise ValueError('a\\n' * 1000 + '\\x1b[2J')\n", "ValueError: a"),
    "closes its output": (
        "import os\nos.closerange(0, 256)\ndef percentile(a, share=99):\n    return 1\n",
        "`percentile` returned 1.",
    ),
    "another type": (
        "def percentile(a, share=99):\n    return 'a' * 10_000\n",
        "`percentile` returned 'aaa",
    ),
    "nothing": ("def percentile(a, share=99):\n    pass\n", "`percentile` returned None."),
    "calls itself": ("def percentile(a, share=99):\n    return percentile(a)\n", "RecursionError"),
    "other arguments": ("def percentile():\n    return 1, 2\n", "TypeError"),
    "ends its keeper": (
        "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nwhile True: pass\n",
        "ended the whole process",
    ),
    "throws everything away": (
        "import shutil, pathlib\n"
        "shutil.rmtree(pathlib.Path(__file__).parent.parent, ignore_errors=True)\n"
        "def percentile(a, share=99):\n    return 1, 2\n",
        "",
    ),
}


def wrong(outcome: Outcome, named: str) -> None:
    """One sentence for each part, and the word."""
    verdict = outcome.verdict
    assert not verdict.passed
    assert named in " ".join((verdict.expected, verdict.found, verdict.look)), verdict
    for text in (verdict.expected, verdict.found, verdict.look):
        assert text
        assert "\n" not in text
        assert len(text) < 500


@pytest.mark.parametrize("kind", CODE)
def test_bad_code_gets_a_sentence(kind: str, own: Path) -> None:
    code, named = CODE[kind]
    solved(own)
    (own / FILE).write_bytes(code if isinstance(code, bytes) else code.encode())
    before = files(own)
    wrong(check(find(TASK)), named)
    assert files(own) == before


@pytest.mark.parametrize(
    ("code", "named"),
    [
        pytest.param("while True:\n    pass\n", "still running", id="loops"),
        pytest.param("while True:\n    print('x' * 60)\n", "without end", id="prints"),
        pytest.param(
            "import sys\nwhile True:\n    sys.stdout.write('x' * 60)\n",
            "still running",
            id="prints one line",
        ),
        pytest.param("import time\ntime.sleep(1000)\n", "still running", id="sleeps"),
    ],
)
def test_what_does_not_end_is_ended(code: str, named: str, own: Path) -> None:
    solved(own)
    (own / FILE).write_text(code)
    task = dataclasses.replace(find(TASK), seconds=8)
    started = time.monotonic()
    outcome = run(task, own)
    wrong(outcome, named)
    assert time.monotonic() - started < 30
    assert all(len(line) < 600 for line in outcome.printed)


def test_nothing_is_left_running(own: Path) -> None:
    solved(own)
    start = "subprocess.Popen(['sleep', '1234567'], start_new_session=True)"
    (own / FILE).write_text(f"import subprocess\n{start}\n{SOLUTION}")
    assert run(find(TASK), own).verdict.passed
    left = [
        process
        for process in psutil.process_iter(["cmdline"])
        if "1234567" in (process.info["cmdline"] or [])
    ]
    assert left == []


def test_what_the_code_prints_is_shown(own: Path) -> None:
    solved(own)
    (own / FILE).write_text(f"print('hello')\n{SOLUTION}")
    assert run(find(TASK), own).printed == ["hello"]


def test_no_file_is_said(own: Path) -> None:
    own.mkdir(parents=True)
    wrong(run(find(TASK), own), "no such file")


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to nothing"])
def test_what_is_no_file_is_said_and_stays(kind: str, own: Path) -> None:
    solved(own)
    file = own / FILE
    file.unlink()
    if kind == "folder":
        file.mkdir()
    elif kind == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to("nothing")
    assert is_written(find(TASK), own)
    wrong(run(find(TASK), own), "it is no file")
    assert os.path.lexists(file)


def test_a_link_that_leads_out_is_named(own: Path, tmp_path: Path) -> None:
    solved(own)
    (own / "data").symlink_to(tmp_path)
    with pytest.raises(LearnerError, match="leads out of the folder"):
        run(find(TASK), own)


def test_the_artifact_is_not_copied(own: Path) -> None:
    solved(own)
    (own / "artifact").mkdir()
    (own / "artifact" / "weights").write_bytes(b"x")
    look = "from pathlib import Path\nassert not Path('artifact').exists()\n"
    (own / FILE).write_text(look + SOLUTION)
    assert run(find(TASK), own).verdict.passed


def test_a_try_counts_when_the_code_changed(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_out()
    task = find(TASK)
    verdict = progress.Verdict(passed=False, expected="a", found="b", look="c")
    monkeypatch.setattr(engine, "run", lambda *_: Outcome(verdict, [], 0.0))
    check(task)
    assert progress.load().of(task).tries == ()  # the stub as it is
    for number in (1, 1, 2, 1, 3):
        assert not progress.load().of(task).may_see_solution
        (own / FILE).write_text(f"x = {number}  # {time.monotonic()}\n")
        check(task)
    found = progress.load().of(task)
    assert len(found.tries) == 3
    assert found.may_see_solution
    assert not found.passed
    assert found.latest == verdict


def test_a_pass_stays(own: Path) -> None:
    solved(own)
    task = find(TASK)
    assert check(task).verdict.passed
    (own / FILE).write_text("x = 1\n")
    assert not check(task).verdict.passed
    found = progress.load().of(task)
    assert found.passed
    assert found.may_see_solution
    assert found.latest is not None
    assert not found.latest.passed


def test_a_task_waits_for_those_before_it(own: Path) -> None:
    solved(own)
    with pytest.raises(LearnerError, match="Do this one first: endpoint"):
        check(find("load-once"))


def test_a_damaged_file_of_progress_is_kept_aside(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_out()
    (own.parent / progress.FILE).write_text('{"version": 1, "tasks": {"drain": 7}}')
    assert progress.load().tasks == {}
    assert "It is kept as" in capsys.readouterr().out
    assert list(own.parent.glob("tasks.damaged-*.json"))
