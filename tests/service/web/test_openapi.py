"""The description of `POST /predict`, which reads its request itself."""

from fastapi.testclient import TestClient

from service.web.openapi import predict_documentation


def test_openapi_describes_the_contract(client: TestClient) -> None:
    predict = client.get("/openapi.json").json()["paths"]["/predict"]["post"]
    assert set(predict["requestBody"]["content"]) >= {"image/jpeg", "multipart/form-data"}
    assert set(predict["responses"]) == {"200", "400", "401", "408", "413", "415", "422", "503"}
    assert {one["name"] for one in predict["parameters"]} == {"k", "X-Deadline-Ms"}


def test_a_model_of_few_classes_has_a_smaller_default() -> None:
    (k, _deadline) = predict_documentation(3)["openapi_extra"]["parameters"]
    assert k["schema"] == {"type": "integer", "minimum": 1, "maximum": 3, "default": 3}
