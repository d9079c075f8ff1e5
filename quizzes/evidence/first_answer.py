"""A program that loads one form, answers, and prints its measurements: started by `five_forms`.

`python -m quizzes.evidence.first_answer FORM FILE PHOTO` prints one line of JSON. It imports only
what the form needs, because its imports are measured too.
"""

import json
import resource
import sys
import time
from pathlib import Path

from learner.stopwatch import median_ms

WATCHED = ("torch", "torchvision", "service.model_definition", "onnxruntime")
"""Modules that some forms need; `service.model_definition` contains the model's class."""
ROUNDS = 9


def main() -> None:
    """Load, answer, and print the measurements."""
    name, file, photo = sys.argv[1:]
    from service.engines import FORMS, load_engine
    from service.preprocessing import preprocess

    pixels = preprocess(Path(photo).read_bytes())[None]
    started = time.perf_counter()
    engine = load_engine(FORMS[name], Path(file), "cpu", 1)
    loaded = time.perf_counter()
    (probabilities,) = engine(pixels)
    answered = time.perf_counter()
    print("answered", flush=True)
    best = int(probabilities.argmax())
    measured = {
        "load_ms": (loaded - started) * 1000,
        "first_ms": (answered - loaded) * 1000,
        "steady_ms": median_ms(lambda: engine(pixels), ROUNDS),
        "peak_mib": peak_mib(),
        "imported": [module for module in WATCHED if module in sys.modules],
        "class_id": best,
        "probability": float(probabilities[best]),
    }
    print(json.dumps(measured), flush=True)


def peak_mib() -> float:
    """Return the peak memory of this process in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (
        peak / 2**20 if sys.platform == "darwin" else peak / 2**10
    )  # macOS counts bytes, Linux KiB


if __name__ == "__main__":
    main()
