"""The starter is the notebook and a thin server: its answers are right, one at a time."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import numpy as np
import pytest

from challenges.catalogue.model import make_model
from challenges.minimal_service.grading.submission.description import read_description
from challenges.minimal_service.grading.submission.submission import OWN
from challenges.minimal_service.starter_code import NOTEBOOK_CODE, STARTER, export_notebook
from learner.processes import Program
from quizzes.evidence.exhibit import cells
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.preprocessing import preprocess

EDITIONS = 2


def test_the_notebook_part_is_what_nbconvert_makes() -> None:
    assert NOTEBOOK_CODE.read_text(encoding="utf-8") == export_notebook()


def test_only_the_order_of_the_cells_was_changed() -> None:
    """Each cell stands in it once, as it is in the notebook, in the order of its number."""
    code = NOTEBOOK_CODE.read_text(encoding="utf-8")
    places = [code.index(cell.source) for cell in sorted(cells(), key=lambda cell: cell.count)]
    assert places == sorted(places)
    lines = {line for cell in cells() for line in cell.source.splitlines()}
    others = [line for line in code.splitlines() if line not in lines and line.strip()]
    assert all(line.startswith("#") for line in others), others


@pytest.mark.parametrize("name", OWN)
def test_the_grader_can_read_it(name: str) -> None:
    description = read_description(OWN[name])
    assert description.build
    for file in description.include:
        assert (Path(__file__).parents[3] / file).exists()


def test_its_readme_fits_on_a_screen() -> None:
    lines = (STARTER / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) < 40
    assert max(map(len, lines)) <= 100


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model") / "model", EDITIONS, lambda _line: None).path


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("starter") / "artifact"


@pytest.fixture(scope="module")
def url(model: Path, artifact: Path) -> Iterator[str]:
    """A running starter, its artifact built as service.toml says."""
    values = {
        "{python}": sys.executable,
        "{model}": str(model),
        "{artifact}": str(artifact),
        "{port}": "0",
    }
    description = read_description(STARTER)
    assert description.build
    build, start = (
        [values.get(word, word) for word in command]
        for command in (description.build, description.start)
    )
    subprocess.run(build, cwd=STARTER, check=True)
    environment = {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    with Program(start, environment, cwd=STARTER) as program:
        yield program.wait_for("Uvicorn running on ", 120).text.split()[4]


def test_its_answers_are_right_for_ordinary_photos(url: str, model: Path) -> None:
    labels = (model / "labels.txt").read_text(encoding="utf-8").splitlines()
    for photo in SAMPLE_PHOTOS:
        answer = httpx.post(f"{url}/predict", content=photo.read(), timeout=60)
        predictions = answer.json()["predictions"]
        assert predictions[0]["label"] in photo.labels
        assert all(labels[one["class_id"]] == one["label"] for one in predictions)
        probabilities = [one["probability"] for one in predictions]
        assert probabilities == sorted(probabilities, reverse=True)
        assert len(predictions) == 5


def test_its_probabilities_are_those_of_the_research_model(url: str, model: Path) -> None:
    import torch
    from safetensors.torch import load_file

    from service.model_definition import ServingModel, create_model, load_weights

    network = create_model("efficientnet_lite0", 1000 * EDITIONS)
    load_weights(network, load_file(model / "weights.safetensors"))
    truth = ServingModel(network, (127.0, 127.0, 127.0), (128.0, 128.0, 128.0))
    photo = SAMPLE_PHOTOS[-1].read()
    with torch.inference_mode():
        (expected,) = truth(torch.from_numpy(preprocess(photo)[None])).numpy()
    answer = httpx.post(f"{url}/predict", content=photo, timeout=60).json()["predictions"]
    assert [one["class_id"] for one in answer[:1]] == [int(np.argmax(expected))]
    for one in answer:
        assert abs(one["probability"] - expected[one["class_id"]]) < 1e-3


def test_what_is_no_image_is_answered_4xx_and_it_goes_on(url: str) -> None:
    assert httpx.post(f"{url}/predict", content=b"hello", timeout=60).status_code == 400
    assert httpx.get(f"{url}/readyz", timeout=60).status_code == 200


def test_it_reads_the_weights_for_each_request(url: str, artifact: Path) -> None:
    """Which is why it is too slow for 1 GB, on any machine."""
    photo = SAMPLE_PHOTOS[0].read()
    weights = artifact / "weights.safetensors"
    aside = weights.rename(artifact / "aside")
    assert httpx.post(f"{url}/predict", content=photo, timeout=60).status_code == 500
    aside.rename(weights)
    assert httpx.post(f"{url}/predict", content=photo, timeout=60).status_code == 200
