"""LitServe. `python -m tests.performance.peers.litserve_app PORT`.

Compared: two workers with one thread each, with one and two HTTP servers, with and without the
fast queue; one worker with two threads, with and without batches of up to 8 within 2 ms.
"""
# mypy: disable-error-code="import-not-found,misc"

import sys
from typing import Annotated, Any

import litserve
from fastapi import Body

from service.engines.base import Probabilities
from service.preprocessing import Pixels
from tests.performance.peers.classifier import Classifier


class Photos(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.classifier = Classifier(threads=1)

    # The annotation makes LitServe's endpoint take the raw body instead of JSON.
    def decode_request(self, request: Annotated[bytes, Body(media_type="image/jpeg")]) -> Pixels:
        return self.classifier.decode(request)

    def predict(self, pixels: Pixels) -> Probabilities:
        return self.classifier.infer(pixels[None])

    def encode_response(self, probabilities: Probabilities) -> dict[str, Any]:
        return self.classifier.answer(probabilities[0])


if __name__ == "__main__":
    server = litserve.LitServer(Photos(), accelerator="cpu", workers_per_device=2, fast_queue=True)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,  # it would be written to the working directory
    )
