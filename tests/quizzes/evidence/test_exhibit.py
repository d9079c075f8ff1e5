"""The exhibit's stored outputs are real: its cells give them in the order of their numbers."""

from pathlib import Path

from quizzes.evidence.exhibit import cells, run_cells


def test_the_stored_accuracy_is_that_of_its_own_order() -> None:
    by_number = sorted(cells(), key=lambda cell: cell.count)
    numbers = [cell.count for cell in by_number]
    assert len(set(numbers)) == len(numbers)
    kernel = run_cells(cell.id for cell in by_number if cell.id != "normalise-imagenet")
    assert not kernel.error
    stored = {cell.id: cell.output for cell in by_number}
    assert stored["evaluate"] == f"accuracy {kernel.accuracy:.1%} on 42 photos\n"
    wrong = [line.split(":")[0].strip() for line in stored["mistakes"].splitlines()]
    right = kernel.names["right"]
    assert [int(number) for number in wrong] == [i for i, good in enumerate(right) if not good]
    sample = kernel.names["SAMPLE_PHOTOS"][0]
    assert stored["try-it"] == repr(kernel.predict(Path(sample.path)))


def test_a_later_run_does_not_change_an_earlier_one() -> None:
    before = run_cells(["imports", "seed"])
    after = run_cells(["normalise-lite"], after=before)
    assert "normalise" in after.names
    assert "normalise" not in before.names
    assert run_cells(["seed"]).error.startswith("NameError")
