"""The quiz in a terminal or a pipe: with and without colours, in any encoding, interrupted."""

import os
import pty
import select
import subprocess
import time
from pathlib import Path

import pytest

from learner.language import LANGUAGES
from learner.terminal import width
from quizzes import terminal
from quizzes.evidence import Evidence
from quizzes.questions import One, Question, all_questions, option_order
from service.settings import ROOT
from tests.quizzes.conftest import LECTURE, QUIZ, count_attempts, pipe_in


@pytest.mark.parametrize("code", LANGUAGES)
def test_in_a_pipe(code: str, learners_folder: Path) -> None:
    done = pipe_in("1\n2\n3\nq\n", WORKSHOP_LANGUAGE=code)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert count_attempts(learners_folder) == 3


def test_the_end_of_input_is_one_line_and_loses_nothing(learners_folder: Path) -> None:
    done = pipe_in("1\n2")
    assert (done.returncode, done.stderr) == (0, "")
    assert count_attempts(learners_folder) == 2
    assert "Stopped. Answers given: 2. They are kept" in done.stdout


def test_empty_input(learners_folder: Path) -> None:
    done = pipe_in("")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Answers given: 0" in done.stdout


def test_an_answer_of_no_meaning_is_asked_again(learners_folder: Path) -> None:
    done = pipe_in("0\n4\nx\n-1\n1 2\n12\n1.5\n\x00\n³\n1\nq\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert count_attempts(learners_folder) == 1
    assert done.stdout.count("Answer with numbers from 1 to 3") == 7
    assert done.stdout.count("choose one option only") == 2


def test_full_width_digits_are_digits(learners_folder: Path) -> None:
    pipe_in("\N{FULLWIDTH DIGIT TWO}\nq\n")
    assert count_attempts(learners_folder) == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "shift_jis"])
def test_any_encoding_does(encoding: str, learners_folder: Path) -> None:
    for code in LANGUAGES:
        done = subprocess.run(
            [*QUIZ, *LECTURE, "--all"],
            input=b"1\n2\n\xff\xfe\n3\n",
            capture_output=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONIOENCODING": encoding, "WORKSHOP_LANGUAGE": code},
        )
        assert (done.returncode, done.stderr) == (0, b"")
    assert count_attempts(learners_folder) == 9


FIRST, SECOND, THIRD = (
    entry.question for entry in all_questions().values() if entry.lesson == "05_quiz"
)


def key(question: Question, time: int, right: bool) -> str:
    """Return what to type for the `time`-th answer, right or wrong, if the seed is 7."""
    assert isinstance(question, One)
    correct = {option.id: option.correct for option in question.options}
    order = option_order(question, f"7/{time}")
    return str(next(at for at, name in enumerate(order, 1) if correct[name] == right)) + "\n"


def test_a_missed_question_comes_back_and_is_first_next_time(
    learners_folder: Path,
) -> None:
    learners_folder.mkdir()
    (learners_folder / "quiz.json").write_text('{"version": 1, "seed": 7, "attempts": []}')
    done = pipe_in(key(FIRST, 0, False) + key(SECOND, 0, True) + key(THIRD, 0, True) + "q\n")
    assert done.stdout.count(FIRST.text[:40]) == 2
    assert count_attempts(learners_folder) == 3
    done = pipe_in("q\n")
    assert FIRST.text[:40] in done.stdout
    assert SECOND.text[:40] not in done.stdout
    assert "latest 67 %" in done.stdout
    assert "Done: 1 of 1 answers right." in pipe_in(key(FIRST, 1, True)).stdout
    assert "Nothing is due" in pipe_in("").stdout
    done = pipe_in("q\n", "--all")
    assert "2 more after this one" in done.stdout
    assert "first 67 %, latest 100 %, gain +33" in done.stdout


def test_a_question_missed_three_times_waits_for_next_time(learners_folder: Path) -> None:
    learners_folder.mkdir()
    (learners_folder / "quiz.json").write_text('{"version": 1, "seed": 7, "attempts": []}')
    wrong = [key(question, n, False) for n in range(3) for question in (FIRST, SECOND, THIRD)]
    assert "Done: 0 of 9 answers right." in pipe_in("".join(wrong)).stdout


class Terminal:
    """A real terminal (pty) with the quiz in it."""

    def __init__(self, **variables: str) -> None:
        self.screen = ""
        self.process, self._file = pty.fork()
        if self.process == 0:
            os.chdir(ROOT)
            os.execve(QUIZ[0], [*QUIZ, *LECTURE], {**os.environ, "TERM": "xterm", **variables})

    def type(self, text: str) -> None:
        os.write(self._file, text.encode())

    def read_until(self, words: str, times: int = 1, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while self.screen.count(words) < times:
            assert time.monotonic() < deadline, self.screen
            if select.select([self._file], [], [], 0.1)[0]:
                try:
                    self.screen += os.read(self._file, 65536).decode(errors="replace")
                except OSError:  # it ended
                    break

    def status(self) -> int:
        self.read_until("\0never")
        status = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
        os.close(self._file)
        return status


def test_in_a_terminal_with_colours_and_control_c(learners_folder: Path) -> None:
    shown = Terminal()
    shown.read_until("q ends")
    shown.type("1\r")
    shown.read_until(SECOND.text[:40])
    shown.read_until("q ends", times=2)
    shown.type("\x03")
    assert shown.status() == 130
    assert "\x1b[" in shown.screen
    assert "Traceback" not in shown.screen
    assert shown.screen.rstrip().endswith(
        "Stopped. Answers given: 1. They are kept; go on whenever you like."
    )
    assert count_attempts(learners_folder) == 1


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_in_a_terminal_without_colours_and_control_d(
    variables: dict[str, str], learners_folder: Path
) -> None:
    shown = Terminal(**variables)
    shown.read_until("q ends")
    shown.type("\x04")
    assert shown.status() == 0
    assert "\x1b[1m" not in shown.screen
    assert "Answers given: 0" in shown.screen


def test_lines_break_where_each_script_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "_columns", lambda: 20)
    assert terminal.wrap("one two three four five", "  1  ") == (
        "  1  one two three\n     four five"
    )
    japanese = "重みは、サービスが始まるときに一度だけ読み込みます。"
    lines = terminal.wrap(japanese).splitlines()
    assert "".join(lines) == japanese
    assert all(width(line) <= 22 and line[0] not in "、。" for line in lines)
    assert terminal.wrap("x" * 50).splitlines() == ["x" * 20, "x" * 20, "x" * 10]


def test_a_text_plot(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "_columns", lambda: 60)
    values = {"short": 1.0, "最初の人": 2000.0, "none": 0.0}
    terminal.show_evidence(Evidence("It shows.", values, "ms", 50))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "It shows."
    assert lines[3].endswith(" 2,000 ms")
    assert lines[3].count("█") == 36
    assert lines[4] == "none       0 ms"
    assert lines[5].endswith("^ 50 ms")
    terminal.show_evidence(Evidence("Nothing to draw."))
    assert capsys.readouterr().out == "Nothing to draw.\n"
