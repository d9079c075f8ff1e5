"""Our load generator beside an independent one, `hey`: `python -m tests.performance.cross_check`.

Both send the same photo to the same service, at a constant rate and on one connection, in turns.
`hey` waits for an answer before it sends again, so the two measure the same only as long as the
service answers within the interval; at 20 ms (50/s) it does.
"""

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

from challenges.load.arrivals import due_times
from challenges.load.generator import Target, generate
from challenges.load.images import distinct_images
from tests.performance.contestants import FP32, OURS, PORT, Contestants
from tests.performance.peers.environment import start, stop, until_ready

RATE, SECONDS, ROUNDS = 50, 20, 3
PERCENTILES = (50, 90, 99)
ANSWER = re.compile(r"(\d+)%+ in ([\d.]+) secs")


def main() -> None:
    """Measure and print the table."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    tool = shutil.which("hey")
    if tool is None:
        sys.exit("error: hey is not installed; on Debian and Ubuntu: apt-get install hey")
    [photo] = distinct_images(1)
    found = defaultdict[tuple[str, int], list[float]](list)
    service = Contestants([photo], {OURS: FP32}, []).ours(OURS)
    process = start(service, Path(sys.executable), PORT)
    try:
        if isinstance(fault := until_ready(service, process, PORT, photo), str):
            sys.exit(f"error: {fault}")
        for _ in range(ROUNDS):
            for name, latency in (("ours", _ours(photo)), ("hey", _hey(tool, photo))):
                for share in PERCENTILES:
                    found[name, share].append(latency[share])
    finally:
        stop(process)
    print(f"| {RATE}/s, median of {ROUNDS} rounds, ms | ours | hey | ratio |\n|---|---|---|---|")
    for share in PERCENTILES:
        ours, hey = (statistics.median(found[name, share]) for name in ("ours", "hey"))
        print(f"| p{share} | {ours:.1f} | {hey:.1f} | {ours / hey:.2f} |")


def _ours(photo: bytes) -> dict[int, float]:
    due = due_times("constant", RATE, SECONDS, seed=0)
    seen = generate(Target(PORT, "/predict"), due, [photo], timeout=10)
    return {share: float(np.percentile(seen.latency_ms, share)) for share in PERCENTILES}


def _hey(tool: str, photo: bytes) -> dict[int, float]:
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(photo)
        file.flush()
        command = [tool, "-n", str(RATE * SECONDS), "-q", str(RATE), "-c", "1", "-m", "POST"]
        command += ["-T", "image/jpeg", "-D", file.name, f"http://127.0.0.1:{PORT}/predict"]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {int(share): float(seconds) * 1000 for share, seconds in ANSWER.findall(printed)}


if __name__ == "__main__":
    main()
