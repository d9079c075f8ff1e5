"""Serve the model by LitServe: `python -m tests.performance.gpu.litserve_app PORT`."""
# mypy: disable-error-code="import-not-found,misc"

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import litserve
import numpy as np
from fastapi import Body

from service.engines.base import PixelBatch, Probabilities
from service.machine import available_cores
from tests.performance.gpu.peer_model import DEVICE, GpuClassifier

MOST = 64 if DEVICE != "cpu" else 8


class Photos(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.classifier = GpuClassifier(MOST)
        self.pool = ThreadPoolExecutor(available_cores())

    # The annotation makes LitServe's endpoint take the raw body instead of JSON.
    def decode_request(self, request: Annotated[bytes, Body(media_type="image/jpeg")]) -> bytes:
        return request

    def batch(self, inputs: list[bytes]) -> PixelBatch:
        return np.stack(list(self.pool.map(self.classifier.decode, inputs)))

    def predict(self, pixels: PixelBatch) -> Probabilities:
        return self.classifier.infer(pixels)

    def unbatch(self, output: Probabilities) -> list[Probabilities]:
        return list(output)

    def encode_response(self, probabilities: Probabilities) -> dict[str, Any]:
        return self.classifier.answer(probabilities)


if __name__ == "__main__":
    server = litserve.LitServer(
        Photos(max_batch_size=MOST, batch_timeout=0.005),
        accelerator="cpu" if DEVICE == "cpu" else "cuda",
        devices=1,
        workers_per_device=1 if DEVICE == "cpu" else 2,
        fast_queue=True,
    )
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=max(1, available_cores() // 4),
        log_level="warning",
        generate_client_file=False,  # it would be written to the working directory
    )
