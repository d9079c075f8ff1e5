"""Draw docs/predictions.png: the sample photos and the service's answers over HTTP."""

from io import BytesIO
from typing import Any

import httpx2 as httpx
from matplotlib import pyplot as plt
from PIL import Image

from quizzes.evidence.running import REFERENCE, Service
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.settings import ROOT

PICTURE = ROOT / "docs" / "predictions.png"
INK, BAR, TRUE = "#1f2430", "#b8c4d9", "#2f6fdb"


def main() -> None:
    """Start the service, send it the photos, draw its answers."""
    with (
        Service(REFERENCE) as service,
        httpx.Client(base_url=service.url, trust_env=False) as client,
    ):
        answers = [
            client.post("/predict", params={"k": 3}, content=photo.read()).json()
            for photo in SAMPLE_PHOTOS
        ]
    figure, axes = plt.subplots(
        2, len(SAMPLE_PHOTOS), figsize=(16, 4.1), height_ratios=(3, 2), layout="constrained"
    )
    for column, (photo, answer) in enumerate(zip(SAMPLE_PHOTOS, answers, strict=True)):
        _draw_photo(axes[0, column], photo.read())
        _draw_answer(axes[1, column], answer, photo.labels)
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=100)
    print(PICTURE)


def _draw_photo(axes: Any, data: bytes) -> None:
    with Image.open(BytesIO(data)) as image:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        square = image.convert("RGB").crop((left, top, left + side, top + side))
    axes.imshow(square.resize((300, 300)))
    axes.axis("off")


def _draw_answer(axes: Any, answer: dict[str, Any], true_labels: tuple[str, ...]) -> None:
    for row, prediction in enumerate(answer["predictions"]):
        label, probability = prediction["label"], prediction["probability"]
        axes.barh(row, probability, color=TRUE if label in true_labels else BAR, height=0.34)
        axes.text(0, row - 0.3, f"{label}  {probability:.0%}", color=INK, fontsize=10.5)
    axes.set(xlim=(0, 1), ylim=(2.4, -0.75))
    axes.axis("off")


if __name__ == "__main__":
    main()
