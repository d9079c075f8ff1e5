"""The description of `POST /predict`, which reads its request itself."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from fastapi.testclient import TestClient

from service.web.openapi import predict_documentation
from tests.conftest import ServiceProcess


def test_openapi_describes_the_contract(client: TestClient) -> None:
    predict = client.get("/openapi.json").json()["paths"]["/predict"]["post"]
    assert set(predict["requestBody"]["content"]) >= {"image/jpeg", "multipart/form-data"}
    assert set(predict["responses"]) == {"200", "400", "401", "408", "413", "415", "422", "503"}
    assert {one["name"] for one in predict["parameters"]} == {"k", "X-Deadline-Ms"}


def test_a_model_of_few_classes_has_a_smaller_default() -> None:
    (k, _deadline) = predict_documentation(3)["openapi_extra"]["parameters"]
    assert k["schema"] == {"type": "integer", "minimum": 1, "maximum": 3, "default": 3}


def test_service_behaves_as_it_is_described(
    start_service: Callable[..., ServiceProcess], tmp_path: Path
) -> None:
    """schemathesis makes requests from the description, right and wrong ones."""
    config = tmp_path / "schemathesis.toml"
    config.write_text(
        # Random bytes are no image, and 503 is a documented answer.
        "checks.positive_data_acceptance.enabled = false\n"
        'checks.not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 503]\n'
    )
    service = start_service("--no-access-log")
    program = str(Path(sys.executable).with_name("schemathesis"))
    options = ["--max-examples", "15", "--seed", "1", f"{service.url}/openapi.json"]
    done = subprocess.run(
        [program, "--config-file", str(config), "run", *options],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout
    assert "Traceback" not in service.log.read_text()
