"""Threads meet, and mixed-up answers are counted."""

from concurrent.futures import ThreadPoolExecutor

from quizzes.evidence.shared_state import at_once, meet_after, right_answers, two_photos


def test_all_threads_have_done_the_step_before_one_goes_on() -> None:
    done: list[int] = []
    step = meet_after(done.append, callers=3)

    def call(number: int) -> int:
        step(number)
        return len(done)

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(call, range(3))) == [3, 3, 3]


def test_right_answers_are_those_of_their_own_photo() -> None:
    coffee, flower = two_photos()
    answers = [coffee.labels[0], flower.labels[0]]
    assert right_answers(answers, (coffee, flower)) == 2
    assert right_answers(answers, (flower, coffee)) == 0
    assert at_once(lambda path: str(path), (coffee, flower)) == [
        str(coffee.path),
        str(flower.path),
    ]
