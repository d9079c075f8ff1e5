"""Smoke run: `python -m tests.performance.peers [NAME …]`, one line a peer.

Installs, starts and asks each for the sample photos, and compares with ONNX Runtime in-process.
"""

import sys
from io import BytesIO

import httpx2 as httpx
from PIL import Image

from service.artifact.sample_photos import SAMPLE_PHOTOS, SamplePhoto
from tests.performance.peers import PEERS, Peer
from tests.performance.peers.classifier import Classifier
from tests.performance.peers.environment import prepare, start, stop, until_ready

PORT = 8490


def main() -> None:
    """Check the peers that are named, or all."""
    names = sys.argv[1:] or list(PEERS)
    if unknown := set(names) - set(PEERS):
        sys.exit(f"no such peer: {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    classifier = Classifier(threads=1)
    photos = [_as_jpeg(photo) for photo in SAMPLE_PHOTOS]
    expected = [classifier.classify(photo)["predictions"][0]["class_id"] for photo in photos]
    lines = [_check(PEERS[name], photos, expected) for name in names]
    sys.exit(not all(line.endswith("ok") for line in lines))


def _as_jpeg(photo: SamplePhoto) -> bytes:
    encoded = BytesIO()
    with Image.open(photo.path) as image:
        image.convert("RGB").save(encoded, "JPEG", quality=90)
    return encoded.getvalue()


def _check(peer: Peer, photos: list[bytes], expected: list[int]) -> str:
    line = f"{peer.name:14} {_outcome(peer, photos, expected)}"
    print(line, flush=True)
    return line


def _outcome(peer: Peer, photos: list[bytes], expected: list[int]) -> str:
    python = prepare(peer)
    if isinstance(python, str):
        return python
    process = start(peer, python, PORT)
    try:
        seconds = until_ready(peer, process, PORT, photos[0])
        if isinstance(seconds, str):
            return seconds
        with httpx.Client(timeout=30, trust_env=False) as client:
            found = [_top_class(peer, client, photo) for photo in photos]
        pss, uss = process.memory_mib()
    finally:
        stop(process)
    figures = f"ready in {seconds:4.1f} s, memory PSS {pss:4.0f} MiB, USS {uss:4.0f} MiB"
    return f"{figures}: {'ok' if found == expected else f'{found} instead of {expected}'}"


def _top_class(peer: Peer, client: httpx.Client, photo: bytes) -> int:
    body, headers = peer.wrap(photo)
    url = f"http://127.0.0.1:{PORT}{peer.path}"
    answer = client.post(url, content=body, headers={**peer.headers, **headers})
    return peer.top_class(answer.raise_for_status().content)


if __name__ == "__main__":
    main()
