"""mosec. `python -m tests.performance.peers.mosec_app --port PORT`.

Compared: two and three workers that do everything, with one thread each; one or two workers that
decode and one with two threads that infers, with and without batches of up to 8 within 1 ms.
"""
# mypy: disable-error-code="import-not-found,misc"

from typing import Any

from mosec import Server, Worker

from tests.performance.peers.classifier import Classifier


class Photos(Worker):
    req_mime_type = "image/jpeg"

    def __init__(self) -> None:
        super().__init__()
        self.classifier = Classifier(threads=1)

    def deserialize(self, data: bytes) -> bytes:
        return data

    def forward(self, data: bytes) -> dict[str, Any]:
        return self.classifier.classify(data)


if __name__ == "__main__":
    server = Server()
    server.append_worker(Photos, num=2, route="/predict")
    server.run()
