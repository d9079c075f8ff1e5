"""The service over HTTP: right answers, and a clear error for every bad request."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from service.artifact.sample_photos import SAMPLE_PHOTOS, SamplePhoto
from service.settings import ROOT
from tests.service.test_preprocessing import bomb

CAT = next(photo for photo in SAMPLE_PHOTOS if photo.name == "cat")


def image_file(size: tuple[int, int], file_format: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size).save(file, file_format)
    return file.getvalue()


def test_answers_the_photo(client: TestClient, photo: SamplePhoto) -> None:
    answer = client.post("/predict", content=photo.read()).json()
    assert answer["model"] == {"name": "efficientnet-lite0", "version": "1.0.0"}
    assert answer["predictions"][0]["label"] in photo.labels
    probabilities = [prediction["probability"] for prediction in answer["predictions"]]
    assert len(probabilities) == 5
    assert probabilities == sorted(probabilities, reverse=True)
    assert set(answer["timing_ms"]) == {"preprocess", "queue", "forward"}
    assert all(ms >= 0 for ms in answer["timing_ms"].values())


def test_body_and_form_answer_the_same(client: TestClient) -> None:
    data = CAT.read()
    answers = [
        client.post("/predict", content=data, headers={"content-type": media_type})
        for media_type in ("image/png", "image/jpeg", "IMAGE/PNG; a=b", "application/octet-stream")
    ]
    answers.append(client.post("/predict", content=data))
    answers.append(client.post("/predict", files={"file": ("cat.png", data, "image/png")}))
    answers.append(client.post("/predict", files={"file": data}, data={"note": "hello"}))
    predictions = [answer.json()["predictions"] for answer in answers]
    assert all(prediction == predictions[0] for prediction in predictions)


@pytest.mark.parametrize("k", [1, 5, 1000])
def test_k(client: TestClient, k: int) -> None:
    predictions = client.post(f"/predict?k={k}", content=CAT.read()).json()["predictions"]
    assert len({prediction["class_id"] for prediction in predictions}) == k


@pytest.mark.parametrize("k", ["0", "-1", "1001", "x", "", "1.5"])
def test_wrong_k(client: TestClient, k: str) -> None:
    answer = client.post("/predict", params={"k": k}, content=CAT.read())
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(f"k={k!r} is not valid: Input should be")


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"", 400, "the image is empty; send a JPEG, PNG or WebP file"),
        (b"hello", 422, "the 5 bytes are not an image; send JPEG, PNG or WebP"),
        (CAT.read()[:20_000], 422, "cannot be decoded (20,000 bytes received); send the complete"),
        (image_file((1, 1)), 422, "1 × 1 pixels; each side must have at least 16"),
        (bomb(20_000), 413, "pixels; at most 50,000,000 are accepted"),
        (bomb(8_000), 413, "8000 × 8000 = 64,000,000 pixels; at most 50,000,000 are accepted"),
        (image_file((64, 64), "GIF"), 415, "GIF is not accepted; send JPEG, PNG or WebP"),
        (bytes(10 * 2**20 + 1), 413, "larger than 10,485,760 bytes"),
    ],
    ids=["empty", "text", "truncated", "1x1", "bomb", "8000x8000", "GIF", "large"],
)
def test_bad_image(client: TestClient, content: bytes, status: int, words: str) -> None:
    for answer in (
        client.post("/predict", content=content),
        client.post("/predict", files={"file": ("photo", content)}),
    ):
        assert answer.status_code == status
        assert words in answer.json()["error"]
        assert list(answer.json()) == ["error"]


def test_body_over_the_limit_that_does_not_say_so(client: TestClient) -> None:
    answer = client.post("/predict", content=(bytes(2**20) for _ in range(11)))
    assert answer.status_code == 413


@pytest.mark.parametrize("media_type", ["text/plain", "application/json", "video/mp4"])
def test_content_type_that_is_no_image(client: TestClient, media_type: str) -> None:
    answer = client.post("/predict", content=CAT.read(), headers={"content-type": media_type})
    assert answer.status_code == 415
    assert f"'{media_type}' is not accepted; send the image itself" in answer.json()["error"]


def test_wrong_form(client: TestClient) -> None:
    def error(**arguments: object) -> str:
        answer = client.post("/predict", **arguments)  # type: ignore[arg-type]
        assert answer.status_code == 422
        return str(answer.json()["error"])

    files = {"image": CAT.read()}
    assert "no field 'file' (found: 'image'); send the image in it" in error(files=files)
    assert "holds text; send it as a file" in error(data={"file": "x"}, files={"": b""})
    two = [("file", CAT.read()), ("file", CAT.read())]
    assert "Too many files" in error(files=two)
    form = {"content-type": "multipart/form-data"}
    assert "cannot be read" in error(content=b"hello", headers=form)
    cut = {"content-type": "multipart/form-data; boundary=x"}
    assert "no field 'file' (found: none)" in error(content=b"--x\r\n", headers=cut)


def test_other_routes_and_methods(client: TestClient) -> None:
    for answer, status in ((client.get("/predict"), 405), (client.get("/nothing"), 404)):
        assert answer.status_code == status
        assert "see /openapi.json for what there is" in answer.json()["error"]


def test_form_in_an_impossible_encoding(client: TestClient) -> None:
    body = b'--B\r\nContent-Disposition: form-data; name="\xe9"\r\n\r\nx\r\n--B--\r\n'
    media_type = {"content-type": "multipart/form-data; charset=undefined; boundary=B"}
    answer = client.post("/predict", content=body, headers=media_type)
    assert answer.status_code == 422
    assert "the form cannot be read" in answer.json()["error"]


def test_the_exhibit_is_readable_on_one_screen() -> None:
    lines = Path(ROOT / "service/inference_service.py").read_text().splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 100


def test_the_core_stands_alone() -> None:
    """A start on a CPU imports only what it uses."""
    script = (
        "import sys, service.inference_service\n"
        "names = [name for name in sys.modules if name.split('.')[0] == 'service']\n"
        "lines = sum(len(open(sys.modules[name].__file__).readlines()) for name in names)\n"
        "print(lines, *names)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    lines, *modules = done.stdout.split()
    assert len(modules) <= 32
    assert int(lines) < 3000
    rooms = {name.split(".")[1] for name in modules if "." in name}
    assert not rooms & {"gpu", "front_ends", "console", "telemetry"}
