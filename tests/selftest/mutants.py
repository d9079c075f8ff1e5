"""Single honest mistakes, each an edit of the small right submission."""

from tests.selftest.edits import all_of, appends, replaces
from tests.selftest.faults import Fault, criteria

_PREPROCESSING, _RUNNER, _SERVER = "preprocessing.py", "inference_runner.py", "server.py"
_MODEL_FILE = '(self.artifact / "model.onnx").read_bytes()'
_LOAD = '        self.session = load_session(files["model.onnx"])\n'
_FORWARD = "        return self.session.run("
_KNOWS_ARTIFACT = replaces(_RUNNER, _LOAD, f"        self.artifact = artifact\n{_LOAD}")
_EDGES = "    image = image.resize((width, height), Image.Resampling.BICUBIC)\n"

_LOADING = [
    Fault(
        "loads-per-request",
        "reads and loads the weights for each photo",
        all_of(
            _KNOWS_ARTIFACT,
            replaces(_RUNNER, _FORWARD, f"        return load_session({_MODEL_FILE}).run("),
        ),
        criteria("load-once", "load"),
        criteria("availability", "memory", "answers"),  # it cannot keep up, and queues
    ),
    Fault(
        "loads-at-first-request",
        "verifies the weights at start, but loads them when the first request comes",
        all_of(
            replaces(_RUNNER, _LOAD, "        self.session, self.artifact = None, artifact\n"),
            replaces(
                _RUNNER,
                "        self.forward(np.zeros((CROP, CROP, 3), np.uint8))  # first-time work\n",
                "",
            ),
            replaces(
                _RUNNER,
                _FORWARD,
                "        if self.session is None:\n"
                f"            self.session = load_session({_MODEL_FILE})\n{_FORWARD}",
            ),
        ),
        criteria("load-once"),
        criteria("load", "availability"),  # the first users wait
    ),
    Fault(
        "reads-weights-again",
        "reads the weights again at every 400th photo",
        all_of(
            _KNOWS_ARTIFACT,
            replaces(_RUNNER, _LOAD, f"        self.photos = 0\n{_LOAD}"),
            replaces(
                _RUNNER,
                _FORWARD,
                "        self.photos += 1\n"
                "        if self.photos % 400 == 0:  # too seldom for p99\n"
                f"            {_MODEL_FILE}\n{_FORWARD}",
            ),
        ),
        criteria("load-once"),
    ),
    Fault(
        "ready-before-loaded",
        "/readyz answers 200 half a second before the weights are loaded",
        all_of(
            replaces(_SERVER, "import sys\n", "import sys\nimport time\n"),
            replaces(_SERVER, "import InferenceRunner", "import InferenceRunner, read_verified"),
            replaces(
                _SERVER,
                "runner = InferenceRunner(options.artifact)",
                "read_verified(options.artifact)\n"
                "        later = asyncio.to_thread(\n"
                "            lambda: time.sleep(0.5) or InferenceRunner(options.artifact)\n"
                "        )",
            ),
            replaces(_SERVER, "create_app(runner)", "create_app(later)"),
            replaces(
                _SERVER,
                "    server = uvicorn.Server(",
                "    app.state.loading = asyncio.ensure_future(app.state.later)\n"
                "    server = uvicorn.Server(",
            ),
            replaces(
                _SERVER,
                "    app.state.draining = False\n",
                "    app.state.draining, app.state.later = False, runner\n",
            ),
            replaces(
                _SERVER, "await runner.classify(", "await (await app.state.loading).classify("
            ),
        ),
        criteria("load-once"),
        criteria("load", "availability"),
    ),
]

_ALSO = criteria("load")
"""Speed with wrong answers does not count, if the photos of the load show that they are wrong."""
_ANSWERS = [
    Fault(
        "nearest-neighbour",
        "resizes with the nearest pixel",
        replaces(_PREPROCESSING, "Resampling.BICUBIC", "Resampling.NEAREST"),
        criteria("answers"),
        _ALSO,
    ),
    Fault(
        "no-antialiasing",
        "resizes with a bicubic filter that does not antialias",
        replaces(
            _PREPROCESSING,
            _EDGES,
            "    scale = (image.width / width, 0, 0, 0, image.height / height, 0)\n"
            "    image = image.transform(\n"
            "        (width, height), Image.Transform.AFFINE, scale, Image.Resampling.BICUBIC\n"
            "    )\n",
        ),
        criteria("answers"),
        _ALSO,
    ),
    Fault(
        "squashed",
        "resizes to a square, whatever the photo's shape",
        replaces(
            _PREPROCESSING,
            "(int(RESIZE * side / short) for side in image.size)",
            "(RESIZE for _ in image.size)",
        ),
        criteria("answers"),
        _ALSO,
    ),
    Fault(
        "ignores-orientation",
        "does not apply the EXIF orientation",
        replaces(_PREPROCESSING, "        image = ImageOps.exif_transpose(image)\n", ""),
        criteria("answers"),
    ),
    Fault(
        "ignores-transparency",
        "shows the colours under transparent pixels",
        replaces(_PREPROCESSING, '"RGBA" if image.has_transparency_data else "RGB"', '"RGB"'),
        criteria("answers"),
    ),
    Fault(
        "swapped-colours",
        "hands blue, green, red to a model of red, green, blue",
        replaces(
            _PREPROCESSING,
            "np.asarray(over_white(resize_and_crop(in_full_colour(image))))",
            "np.asarray(over_white(resize_and_crop(in_full_colour(image))))[..., ::-1]",
        ),
        criteria("answers"),
        _ALSO,
    ),
    Fault(
        "not-normalised",
        "forgets the normalisation",
        replaces("model_definition.py", "MEAN, STD = 127.0, 128.0", "MEAN, STD = 0.0, 1.0"),
        criteria("answers"),
        _ALSO,
    ),
    Fault(
        "normalised-otherwise",
        "normalises to the unit interval, not as the weights were trained",
        replaces("model_definition.py", "MEAN, STD = 127.0, 128.0", "MEAN, STD = 0.0, 255.0"),
        criteria("answers"),
        _ALSO,
    ),
]

_PACKAGE = [
    Fault(
        "web-framework-in-preprocessing",
        "preprocessing imports FastAPI",
        replaces(
            _PREPROCESSING,
            "from PIL import Image, ImageOps\n",
            "from fastapi import HTTPException  # noqa: F401\nfrom PIL import Image, ImageOps\n",
        ),
        criteria("structure"),
    ),
    Fault(
        "work-at-import",
        "the inference runner loads the model when it is imported",
        all_of(
            replaces(_RUNNER, "import os\n", "import os\nimport sys\n"),
            appends(
                _RUNNER,
                '\n\nRUNNER = InferenceRunner(Path(sys.argv[sys.argv.index("--artifact") + 1]))\n',
            ),
            replaces(_SERVER, "import InferenceRunner", "import RUNNER, InferenceRunner"),
            replaces(_SERVER, "runner = InferenceRunner(options.artifact)", "runner = RUNNER"),
        ),
        criteria("structure"),
    ),
    Fault(
        "needs-training-code",
        "imports a constant from a file that only training needs",
        all_of(
            replaces(
                "service.toml",
                'training = ["build_artifact.py"]',
                'training = ["build_artifact.py", "training.py"]',
            ),
            appends("training.py", '"""Settings of the training."""\n\nTOP = 5\n'),
            replaces(_RUNNER, "TOP = 5\n", ""),
            replaces(
                _RUNNER,
                "from preprocessing import CROP, preprocess\n",
                "from preprocessing import CROP, preprocess\nfrom training import TOP\n",
            ),
        ),
        criteria("artifact"),
    ),
    Fault(
        "unverified-artifact",
        "serves an artifact in which a bit was flipped",
        replaces(
            _RUNNER,
            "        if hashlib.sha256(files[name]).hexdigest() != digest:\n",
            "        if not digest:\n",
        ),
        criteria("artifact"),
    ),
    Fault(
        "no-container-file",
        "has no container file",
        replaces("service.toml", 'container = "Containerfile"\n', ""),
        criteria("packaging"),
    ),
]

_OPERATION = [
    Fault(
        "stops-at-once",
        "ends at SIGTERM without answering what it has accepted",
        replaces(_SERVER, "    loop.add_signal_handler(signal.SIGTERM, drain)\n", ""),
        criteria("availability"),
    ),
    Fault(
        "locked-out-after-kill",
        "refuses to start while the lock file of a killed process is there",
        all_of(
            replaces(
                _SERVER,
                "    try:\n        runner =",
                '    lock = Path(f"port-{options.port}.lock")\n'
                "    if lock.exists():\n"
                '        sys.exit(f"error: {lock} is there: another process seems to run")\n'
                "    lock.touch()\n"
                "    try:\n        runner =",
            ),
            replaces(
                _SERVER,
                "options.host, options.port))\n",
                "options.host, options.port))\n    lock.unlink()\n",
            ),
        ),
        criteria("availability"),
    ),
    Fault(
        "blocks-event-loop",
        "decodes and computes in the event loop",
        replaces(
            _RUNNER,
            "        loop = asyncio.get_running_loop()\n"
            "        return self.best(await loop.run_in_executor(self.workers, self.work, data))\n",
            "        return self.best(self.work(data))\n",
        ),
        criteria("load"),
        criteria("availability"),
    ),
    Fault(
        "pauses",
        "stands still for 200 ms at every 50th request",
        all_of(
            replaces(_SERVER, "import sys\n", "import itertools\nimport sys\nimport time\n"),
            replaces(
                _SERVER,
                "    app = FastAPI()\n",
                "    app = FastAPI()\n    numbers = itertools.count(1)\n",
            ),
            replaces(
                _SERVER,
                "        try:\n            predictions",
                "        if next(numbers) % 50 == 0:\n"
                "            time.sleep(0.2)\n"
                "        try:\n            predictions",
            ),
        ),
        criteria("load"),
        p99_ms=200,
    ),
]

MUTANTS: list[Fault] = [*_LOADING, *_ANSWERS, *_PACKAGE, *_OPERATION]
