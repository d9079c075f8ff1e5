"""The engineer's own answers: read from files and functions, and what counts as the same model."""

import json
from pathlib import Path

import numpy as np
import pytest

from service.artifact.answers import Answers, compare, read_answers
from service.errors import OperatorError
from tests.service.artifact.conftest import write_photos

Given = dict[int, float] | int

LABELS = ["cat", "dog"]
NAMES = ["chelsea.png", "china.jpg", "coffee.png", "flower.jpg"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("answers") / "photos")


@pytest.mark.parametrize(
    ("suffix", "text", "expected"),
    [
        (".json", json.dumps({name: [0.25, 0.75] for name in NAMES}), {0: 0.25, 1: 0.75}),
        (".json", json.dumps({name: {"dog": 0.75} for name in NAMES}), {1: 0.75}),
        (".json", json.dumps(dict.fromkeys(NAMES, "dog")), 1),
        (".json", json.dumps(dict.fromkeys(NAMES, 0)), 0),
        (".csv", "".join(f"{name},0.25,0.75\n" for name in NAMES), {0: 0.25, 1: 0.75}),
        (".csv", "photo;dog;cat\r\n" + "".join(f"{name};0.75;0.25\r\n" for name in NAMES),
         {0: 0.25, 1: 0.75}),
        (".csv", "\ufeffphoto,label\n" + "".join(f"{name}, dog \n" for name in NAMES), 1),
    ],
)  # fmt: skip
def test_answers_of_files(
    suffix: str, text: str, expected: object, photos: Path, tmp_path: Path
) -> None:
    path = (tmp_path / "answers").with_suffix(suffix)
    path.write_text(text, "utf-8")
    answers = read_answers(str(path), photos, LABELS)
    assert list(answers.photos) == [photos / name for name in NAMES]
    assert list(answers.photos.values()) == [expected] * 4
    assert len(answers.take(2).photos) == 2


FUNCTIONS = """
import numpy as np
def of_image(image):
    assert image.mode == "RGB"
    return np.array([[0.25, 0.75]], np.float32)
def of_path(path):
    return [0.25, 0.75] if path.is_file() else None
def logits(image):
    return [-3.0, 4.0]
def broken(image):
    return 1 / 0
def few(image):
    return [1.0]
"""


@pytest.mark.parametrize("function", ["of_image", "of_path"])
def test_answers_of_a_function(function: str, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FUNCTIONS)
    answers = read_answers(f"{tmp_path / 'mine.py'}:{function}", photos, LABELS)
    assert len(answers.photos) == 7
    assert answers.have_probabilities
    assert next(iter(answers.photos.values())) == {0: 0.25, 1: 0.75}


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("logits", "chelsea.png: expected probabilities from 0 to 1, found -3 to 4. Apply softmax"),
        ("broken", "raised ZeroDivisionError for camera.png: division by zero. It must take a PIL"),
        ("few", "expected 2 probabilities, one a label, or a label; found 1 values"),
        ("missing", "expected a file, or module:function that can be imported from here"),
    ],
)
def test_bad_functions_are_named(function: str, words: str, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FUNCTIONS)
    with pytest.raises(OperatorError) as fault:
        read_answers(f"{tmp_path / 'mine.py'}:{function}", photos, LABELS)
    assert words.replace("chelsea", "camera") in str(fault.value)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "expected JSON (an object of photos)"),
        ("{", "expected JSON (an object of photos)"),
        (json.dumps({"other.png": "cat"}), "other.png is no file of"),
        (json.dumps({"coffee.png": "horse"}), "expected one of the 2 labels (cat, dog …), found"),
        (json.dumps({"coffee.png": 2}), "expected a class id below 2, the number of labels, found"),
        (json.dumps({"coffee.png": [0.1, 0.2, 0.7]}), "found 3 values"),
        (json.dumps({"coffee.png": "cat"}), "answers to at least 4 photos, found 1"),
    ],
)
def test_bad_files_are_named(text: str, words: str, photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "answers.json"
    path.write_text(text)
    with pytest.raises(OperatorError) as fault:
        read_answers(str(path), photos, LABELS)
    assert words in str(fault.value)


def given(*rows: dict[int, float] | int) -> Answers:
    return Answers("test", {Path(f"{number}.png"): row for number, row in enumerate(rows)})


def softmax(*logits: float) -> np.ndarray:
    exponentials = np.exp(np.array(logits, np.float32))
    return np.asarray(exponentials / exponentials.sum(), np.float32)


def test_equal_answers_have_no_difference() -> None:
    row = softmax(9, 1.2, -3)
    found = compare(given(dict(enumerate(row.tolist())), 0), np.stack([row, row]))
    assert found.is_none
    assert found.is_close
    assert "2 of 2 photos" in str(found)


def test_logits_show_what_sure_answers_hide() -> None:
    """A model that is sure of everything has the same probabilities with a wrong filter."""
    one, other = softmax(15, 2, -1), softmax(15, 1.4, -0.2)
    found = compare(given(dict(enumerate(one.tolist()))), other[None])
    assert found.largest < 1e-5
    assert found.skew > 0.03
    assert not found.is_none


def test_rounded_answers_are_compared_by_probability_only() -> None:
    row = softmax(3, 1.2, -3)
    rounded = {number: round(float(value), 3) for number, value in enumerate(row)}
    assert compare(given(rounded), row[None]).is_none
    far = {0: 0.9, 1: 0.06, 2: 0.04}
    assert not compare(given(far), row[None]).is_none


def test_another_first_class_counts_unless_it_is_close() -> None:
    found = compare(given(1, 0, 0), np.array([[0.9, 0.1], [0.49, 0.51], [0.8, 0.2]], np.float32))
    assert found.other_first == (Path("0.png"),)
    assert not found.is_none


def test_classes_by_themselves_are_compared_one_by_one() -> None:
    row = np.array([[0.97, 0.8]], np.float32)
    assert compare(given({0: 0.97, 1: 0.8}), row, exclusive=False).is_none
    other = compare(given({0: 0.97, 1: 0.2}), row, exclusive=False)
    assert other.other_first == (Path("0.png"),)
    assert compare(given({0: 0.97, 1: 0.2}), row, exclusive=True).other_first == ()


def test_nan_is_a_difference() -> None:
    row = np.array([[np.nan, np.nan]], np.float32)
    assert not compare(given({0: 0.9, 1: 0.1}), row).is_none


@pytest.mark.parametrize(
    ("given", "alike"),
    [
        ([{0: 0.1, 1: 0.9}, {0: 0.1002, 1: 0.8998}], True),
        ([{0: 0.1, 1: 0.9}, {0: 0.2, 1: 0.8}], False),
        ([{0: 0.1}, {1: 0.1}], False),
        ([3, 3], True),
        ([3, 4], False),
        ([{0: 0.1, 1: 0.9}, 1], False),
    ],
)
def test_answers_that_say_nothing_of_the_photos(given: list[Given], alike: bool) -> None:
    photos = {Path(str(number)): one for number, one in enumerate(given)}
    assert Answers("code", photos).are_all_alike is alike
