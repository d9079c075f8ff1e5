"""Which questions are due, and how the gain is computed."""

from datetime import UTC, datetime, timedelta

from quizzes.progress import TIME, Attempt
from quizzes.questions import Entry, all_questions
from quizzes.schedule import find_box, select_due, summarise_lessons
from tests.quizzes.conftest import SAMPLES

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ENTRIES = list(all_questions(SAMPLES).values())
ONE, SEVERAL, NUMBER, ORDER = ENTRIES


def attempt(entry: Entry, points: float, ago: timedelta = timedelta(0)) -> Attempt:
    return Attempt(
        question=entry.question.id,
        answer=("apple",),
        points=points,
        correct=points == 1,
        at=(NOW - ago).strftime(TIME),
    )


def test_boxes() -> None:
    assert find_box([]) == 0
    assert find_box([attempt(ONE, 0)]) == 1
    assert find_box([attempt(ONE, 1)]) == 2
    assert find_box([attempt(ONE, 1)] * 9) == 4
    assert find_box([attempt(ONE, 1), attempt(ONE, 1), attempt(ONE, 0.5)]) == 1
    assert find_box([attempt(ONE, 0), attempt(ONE, 1)]) == 2


def test_missed_come_first_then_new_then_rested_ones() -> None:
    day, hour = timedelta(days=1), timedelta(hours=1)
    attempts = [attempt(ONE, 1, 2 * day), attempt(NUMBER, 1, hour), attempt(ORDER, 0.0, hour)]
    assert select_due(ENTRIES, attempts, NOW) == [ORDER, SEVERAL, ONE]
    assert select_due(ENTRIES, attempts, NOW, everything=True) == [ORDER, SEVERAL, ONE, NUMBER]


def test_what_was_missed_longest_ago_comes_first() -> None:
    hour = timedelta(hours=1)
    attempts = [attempt(NUMBER, 0, 3 * hour), attempt(ONE, 0, hour), attempt(SEVERAL, 0, 2 * hour)]
    assert select_due(ENTRIES, attempts, NOW) == [NUMBER, SEVERAL, ONE, ORDER]


def test_the_more_often_right_the_longer_it_rests() -> None:
    for times, days in ((1, 1), (2, 3), (3, 7), (6, 7)):
        for ago, expected in ((timedelta(days=days, hours=-1), []), (timedelta(days=days), [ONE])):
            assert select_due([ONE], [attempt(ONE, 1, ago)] * times, NOW) == expected


def test_a_clock_set_back_blocks_no_question() -> None:
    assert select_due([ONE], [attempt(ONE, 1, timedelta(days=-30))], NOW) == [ONE]


def test_the_gain_is_the_latest_answers_minus_the_first_ones() -> None:
    attempts = [attempt(ONE, 0), attempt(SEVERAL, 0.5), attempt(ONE, 1), attempt(SEVERAL, 1)]
    (lesson,) = summarise_lessons(ENTRIES, attempts)
    assert (lesson.questions, lesson.answered) == (4, 2)
    assert (lesson.before, lesson.after, lesson.gain) == (0.25, 1, 0.75)
    (nothing,) = summarise_lessons(ENTRIES, [])
    assert (nothing.answered, nothing.before, nothing.after, nothing.gain) == (0, 0, 0, 0)


def test_attempts_at_deleted_questions_are_ignored() -> None:
    gone = Attempt(question="gone", answer=1.0, points=1, correct=True, at=NOW.strftime(TIME))
    assert select_due(ENTRIES, [gone], NOW) == ENTRIES
    assert summarise_lessons(ENTRIES, [gone])[0].answered == 0
