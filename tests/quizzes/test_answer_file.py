"""For scripts: statuses, results, and one line for each kind of file that cannot be used."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from quizzes.questions import One, all_questions
from service.settings import ROOT

LECTURE = {
    "notebook-in-production": "stateful-and-resource-intensive",
    "why-convert": "faster-and-less-python",
    "when-to-load-weights": "at-start",
}


def run(*arguments: str, text: str | bytes = "") -> subprocess.CompletedProcess[str]:
    data = text.encode() if isinstance(text, str) else text
    done = subprocess.run(
        [sys.executable, "-m", "quizzes", *arguments], input=data, capture_output=True, cwd=ROOT
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def check(content: object) -> tuple[int, dict[str, Any], str]:
    done = run("check", "-", text=json.dumps(content))
    return done.returncode, json.loads(done.stdout), done.stderr


def test_the_lectures_three_all_right() -> None:
    status, result, said = check({"answers": {name: [key] for name, key in LECTURE.items()}})
    assert (status, said) == (0, "")
    assert (result["score"], result["correct"], result["missing"]) == (1, True, [])
    assert set(result["questions"]) == set(LECTURE)
    for judged in result["questions"].values():
        assert judged["correct"] is True
        assert judged["points"] == 1
        assert judged["feedback"]


def test_one_wrong_is_not_yet() -> None:
    answers = {name: [key] for name, key in LECTURE.items()} | {"why-convert": ["prevents-theft"]}
    status, result, said = check({"version": 1, "answers": answers})
    assert (status, said) == (1, "")
    assert result["score"] == 0.6667
    judged = result["questions"]["why-convert"]
    assert (judged["correct"], judged["points"]) == (False, 0)
    assert judged["misconceptions"] == ["conversion-protects-the-model"]


def test_a_missing_question_counts_nothing_and_is_named() -> None:
    answers = {name: [key] for name, key in list(LECTURE.items())[:2]}
    status, result, said = check({"answers": answers})
    assert status == 1
    assert result["score"] == 0.6667
    assert result["missing"] == ["when-to-load-weights"]
    assert said == "not answered, so 0 points each: when-to-load-weights\n"


def test_the_lectures_options_are_the_lectures() -> None:
    lecture = (ROOT / "quizzes/questions/lecture.toml").read_text()
    assert [name for name in LECTURE if f'id = "{name}"' in lecture] == list(LECTURE)
    for name, key in LECTURE.items():
        question = all_questions()[name].question
        assert isinstance(question, One)
        assert len(question.options) == 3
        assert [option.id for option in question.options if option.correct] == [key]


def test_every_exported_question_can_be_checked() -> None:
    done = run("export")
    assert done.returncode == 0
    exported = json.loads(done.stdout)
    assert [question["id"] for question in exported["questions"]] == list(all_questions())
    answers = {
        question["id"]: 1
        if question["kind"] == "number"
        else [option["id"] for option in question["options"]][
            : None if question["kind"] == "order" else 1
        ]
        for question in exported["questions"]
    }
    status, result, said = check({"answers": answers})
    assert (status, said, result["missing"]) == (1, "", [])


BAD: dict[str, tuple[object, str]] = {
    "empty": ("", "no JSON"),
    "no json": ("answers: 1", "no JSON"),
    "cut off": ('{"answers": {"why-convert": ["fast', "no JSON"),
    "nested too deep": ("[" * 100_000, "no JSON"),
    "not utf-8": (b'{"answers": "\xff"}', "no text in UTF-8"),
    "NaN": ('{"answers": {"why-convert": NaN}}', "NaN is not a number of JSON"),
    "same question twice": (
        '{"answers": {"why-convert": ["prevents-theft"], "why-convert": []}}',
        '"why-convert" is there twice',
    ),
    "a list": ([], 'expected an object with the key "answers"'),
    "no answers": ({}, 'expected the key "answers"'),
    "answers are a list": ({"answers": []}, 'expected the key "answers"'),
    "answers are empty": ({"answers": {}}, '"answers" is empty'),
    "another version": (
        {"version": 2, "answers": {}},
        "it is of version 2; this quiz reads version 1",
    ),
    "version as text": ({"version": "1", "answers": {}}, 'it is of version "1"'),
    "version true": ({"version": True, "answers": {}}, "it is of version true"),
    "version 1.0": ({"version": 1.0, "answers": {}}, "it is of version 1.0"),
    "unknown question": (
        {"answers": {"why-covert": ["prevents-theft"]}},
        'no question "why-covert". The nearest is "why-convert"',
    ),
    "unknown question with line breaks": (
        {"answers": {"why\n\x1b[31mconvert": ["prevents-theft"]}},
        "no question",
    ),
    "unknown option": ({"answers": {"why-convert": ["magic"]}}, "there is no option magic"),
    "option of another question": (
        {"answers": {"why-convert": ["at-start"]}},
        "question why-convert: there is no option at-start",
    ),
    "two options for one": (
        {"answers": {"why-convert": ["prevents-theft", "handles-preprocessing"]}},
        "choose one option only",
    ),
    "an option twice": (
        {"answers": {"why-convert": ["prevents-theft", "prevents-theft"]}},
        "option prevents-theft is there twice",
    ),
    "no option": ({"answers": {"why-convert": []}}, "no option is chosen"),
    "a bare text": (
        {"answers": {"why-convert": "prevents-theft"}},
        "expected a list of option ids",
    ),
    "null": ({"answers": {"why-convert": None}}, "expected a list of option ids, or a number"),
    "true": ({"answers": {"why-convert": True}}, "expected a list of option ids, or a number"),
    "numbers in a list": ({"answers": {"why-convert": [1]}}, "expected a list of option ids"),
    "a number for options": ({"answers": {"why-convert": 1}}, "expected a list of option ids"),
    "too large a number": ('{"answers": {"why-convert": 1' + "0" * 400 + "}}", "expected a list"),
}


@pytest.mark.parametrize(("content", "expected"), BAD.values(), ids=BAD)
def test_an_unusable_file_is_one_line(content: object, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "answers.json"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    done = run("check", str(path))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"error: {path}: ")
    assert expected in done.stderr


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "no.json", "No such file"), (tmp_path, "Is a directory")):
        done = run("check", str(path))
        assert (done.returncode, done.stdout) == (2, "")
        assert reason in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_byte_order_mark_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "answers.json"
    path.write_text(json.dumps({"answers": {"why-convert": ["prevents-theft"]}}), "utf-8-sig")
    assert run("check", str(path)).returncode == 1


def test_check_leaves_no_progress(learners_folder: Path) -> None:
    check({"answers": {"why-convert": ["prevents-theft"]}})
    assert not learners_folder.exists()
