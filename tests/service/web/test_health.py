"""The health routes, and what /artifact says is loaded."""

from dataclasses import replace

from fastapi.testclient import TestClient

from service.artifact.verify import Bundle
from service.telemetry.exposition import MOST_LABELS, describe_artifact


def test_health(client: TestClient) -> None:
    assert client.head("/readyz").status_code == 200
    assert client.get("/livez").json() == {"status": "live"}
    assert client.get("/readyz").json() == {"status": "ready"}


def test_artifact_tells_all(client: TestClient, bundle: Bundle) -> None:
    answer = client.get("/artifact").json()
    manifest = bundle.manifest.model_dump(mode="json")
    assert {name: answer[name] for name in manifest} == manifest
    assert answer["digest"] == bundle.digest
    assert answer["verified"]["model.onnx"] == bundle.manifest.files["model.onnx"].sha256
    assert (answer["form"], answer["precision"], answer["device"]) == ("onnx-fp32", "fp32", "cpu")
    assert answer["engine"].startswith("ONNX Runtime ")
    assert answer["environment_match"] == {"matches": True, "differences": []}
    assert list(answer["startup_ms"]) == ["verify", "match", "load", "warm-up", "replay"]


def test_draining_is_live_but_not_ready(client: TestClient) -> None:
    client.app.state.draining = True  # type: ignore[attr-defined]
    try:
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert "about to stop, send requests elsewhere" in answer.json()["error"]
        assert client.get("/livez").status_code == 200
    finally:
        client.app.state.draining = False  # type: ignore[attr-defined]


def test_very_many_labels_are_left_out(client: TestClient) -> None:
    model = client.app.state.model  # type: ignore[attr-defined]
    labels = [str(number) for number in range(MOST_LABELS + 1)]
    manifest = model.manifest.model_copy(update={"labels": labels})
    described = describe_artifact(
        replace(model, bundle=replace(model.bundle, manifest=manifest)), front_ends=1
    )
    assert "labels" not in described
    assert described["classes"] == MOST_LABELS + 1
