"""Triton's and KServe's clients, unmodified, in environments of their own (.peers/)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ServiceProcess, start_process
from tests.service.protocols.foreign_clients import (
    MissingClientError,
    ask_with_perf_analyzer,
    ask_with_python_clients,
    write_photos,
)

IMAGES = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("photos")


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[ServiceProcess]:
    started = start_process(folder / "service.log", "--open-inference")
    write_photos(started.url, folder, IMAGES)
    yield started
    started.process.kill()
    started.process.wait()


@pytest.fixture(scope="module")
def found(service: ServiceProcess, folder: Path) -> dict[str, Any]:
    try:
        return ask_with_python_clients(service.url, folder)
    except MissingClientError as error:
        pytest.skip(str(error))


def test_clients_get_the_answers_of_predict(found: dict[str, Any]) -> None:
    assert found["counts"] == {"triton": IMAGES, "triton, several": IMAGES, "kserve": IMAGES}
    assert found["differ"] == {}


def test_clients_understand_health_and_metadata(found: dict[str, Any], folder: Path) -> None:
    triton, kserve = found["told"]["triton"], found["told"]["kserve"]
    assert kserve == {"live": True, "ready": True}
    assert (triton["live"], triton["ready"], triton["other"]) == (True, True, False)
    assert triton["model"]["name"] == triton["config"] == "efficientnet-lite0"
    best = json.loads((folder / "expected.json").read_text())["0000.jpg"][0][0]
    assert triton["top"].split(":")[1] == str(best)


def test_clients_understand_errors(found: dict[str, Any]) -> None:
    errors = found["told"]["triton"]["errors"]
    assert {what: status for what, (status, _) in errors.items()} == {
        "model": "404", "version": "404", "image": "422",
    }  # fmt: skip
    assert "this server has 'efficientnet-lite0', version '1.0.0'" in errors["version"][1]
    assert "are not an image; send JPEG, PNG or WebP" in errors["image"][1]


def test_perf_analyzer_meets_no_error(service: ServiceProcess, folder: Path) -> None:
    try:
        output = ask_with_perf_analyzer(service.url, folder)
    except MissingClientError as error:
        pytest.skip(str(error))
    assert f"Request count: {IMAGES}" in output
