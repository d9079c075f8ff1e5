"""Each change of the code is graded once."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from challenges.minimal_service import watch
from challenges.minimal_service.learner_service import code_digest, fingerprints
from tests.challenges.minimal_service.own_service import change

pytestmark = pytest.mark.usefixtures("own")


def test_watch_grades_each_change_of_code_once(own: Path) -> None:
    graded = []

    def changes() -> Iterator[None]:
        yield  # nothing changed
        change(1)
        yield
        yield
        (own / "notes.md").write_text("no code")
        yield
        change(2)
        change(3)
        yield

    def note() -> int:
        graded.append((own / "server.py").read_text())
        return 1

    watch.watch(own, note, changes(), graded=code_digest(fingerprints(own)))
    assert graded == ["version = 1\n", "version = 3\n"]


def test_watch_grades_what_was_saved_during_a_grade(own: Path) -> None:
    graded = []

    def note() -> int:
        graded.append((own / "server.py").read_text())
        if len(graded) < 3:
            change(len(graded))
        return 1

    watch.watch(own, note, iter([None]))
    assert len(graded) == 3
    assert graded[1:] == ["version = 1\n", "version = 2\n"]


@pytest.mark.parametrize("poll", [False, True])
def test_a_saved_file_is_noticed(own: Path, poll: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "POLL_S", 0.05)
    monkeypatch.setattr(watch, "CALM_MS", 50)
    changes = watch.changes_in(own, poll)
    done = threading.Event()

    def save() -> None:
        number = 0
        while not done.wait(0.1):
            number += 1
            change(number)

    saver = threading.Thread(target=save)
    saver.start()
    try:
        before = code_digest(fingerprints(own))
        assert any(code_digest(fingerprints(own)) != before for _change in changes)
    finally:
        done.set()
        saver.join()


def test_where_the_system_does_not_tell_the_folder_is_polled(
    own: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: object, **__: object) -> Iterator[None]:
        raise OSError(28, "No space left on device")  # inotify's limit of watches
        yield

    monkeypatch.setattr("watchfiles.watch", refused)
    monkeypatch.setattr(watch, "POLL_S", 0.01)
    changes = watch.changes_in(own)
    assert [next(changes) for _ in range(2)] == [None, None]
    assert "polled" in capsys.readouterr().out


def test_an_interrupted_grade_may_end_what_it_started(tmp_path: Path) -> None:
    """Ctrl+C reaches both processes; the grader takes its time, and is not killed."""
    grader = tmp_path / "challenges" / "__main__.py"
    grader.parent.mkdir()
    grader.write_text(
        "import signal, sys, time\n"
        "def end(*_):\n"
        "    time.sleep(0.6)\n"
        "    print('ended in order', flush=True)\n"
        "    sys.exit(130)\n"
        "signal.signal(signal.SIGINT, end)\n"
        "print('started', sys.argv[1:], flush=True)\n"
        "time.sleep(60)\n"
    )
    script = (
        "import pathlib, signal, sys\n"
        "from challenges.minimal_service import watch\n"
        # A shell's background jobs ignore Ctrl+C, and what they start does too.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "watch.ROOT = pathlib.Path(sys.argv[1])\n"
        "try:\n"
        "    watch.grade_quickly(pathlib.Path('folder'))\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    watcher = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert watcher.stdout is not None
    assert watcher.stdout.readline() == "started ['grade', 'folder', '--quick']\n"
    os.killpg(watcher.pid, signal.SIGINT)
    assert watcher.communicate(timeout=60)[0] == "ended in order\ninterrupted\n"
