"""A process that loads one form, answers once, and tells what it took: run by `five_forms`.

`python -m quizzes.evidence.first_answer FORM FILE PHOTO` prints one line of JSON. It imports
nothing but what that form needs, so that what it took is the form's own.
"""

import json
import resource
import statistics
import sys
import time
from pathlib import Path

WATCHED = ("torch", "torchvision", "service.model_definition", "onnxruntime")
"""Modules that a form may or may not need; `service.model_definition` holds the model's class."""
ROUNDS = 9


def main() -> None:
    """Load, answer, and print what was found."""
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
    steady = []
    for _round in range(ROUNDS):
        began = time.perf_counter()
        engine(pixels)
        steady.append(time.perf_counter() - began)
    best = int(probabilities.argmax())
    found = {
        "load_ms": (loaded - started) * 1000,
        "first_ms": (answered - loaded) * 1000,
        "steady_ms": statistics.median(steady) * 1000,
        "peak_mib": peak_mib(),
        "imported": [module for module in WATCHED if module in sys.modules],
        "class_id": best,
        "probability": float(probabilities[best]),
    }
    print(json.dumps(found), flush=True)


def peak_mib() -> float:
    """Most memory that this process has held at once, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10  # there bytes, here KiB


if __name__ == "__main__":
    main()
