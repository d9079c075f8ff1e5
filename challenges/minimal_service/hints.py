"""Hints and solutions: what to ask, where to look, what to do, and how the reference does it."""

import re
from dataclasses import dataclass

from challenges.minimal_service.grading.verdict import CriterionId
from learner.language import _
from learner.paths import ROOT

STEPS = 3
"""Hints of a criterion: a question, a direction, what exactly to do."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """The hints for one criterion."""

    question: str
    direction: str
    recipe: str

    def step(self, number: int) -> str:
        """Return the hint of a step, 1 to `STEPS`."""
        return (self.question, self.direction, self.recipe)[number - 1]


def ladders() -> dict[CriterionId, Ladder]:
    """Return all hints, in the learner's language."""
    return {
        "structure": Ladder(
            _(
                "Import each of your three modules alone, in a fresh Python process. What has it "
                "already done when the import returns, and what else did it import?"
            ),
            _(
                "A module only defines things. What the notebook computes at the top level "
                "belongs in functions, and its experiments belong in none of the three modules. "
                "Preprocessing and model definition know nothing of the web."
            ),
            _(
                "Write preprocessing.py with a function from bytes to pixels, model_definition.py "
                "with the network and a function that puts weights into it, and "
                "inference_runner.py with a class that is handed both and answers for many "
                "callers. Import the web framework in server.py only. Name the three files under "
                "[modules] in service.toml."
            ),
        ),
        "load-once": Ladder(
            _(
                "Your service answers 100 requests. How often does it read the weights before the "
                "first one, and how often after that?"
            ),
            _(
                "What is the same for every request is done before the first one, and the service "
                "says that it is ready only after that."
            ),
            _(
                "In server.py, call load_catalogue once, before the server listens, and keep what "
                "it returns for all requests. Run one forward pass there as a warm-up. The "
                "handler of /predict opens no file."
            ),
        ),
        "artifact": Ladder(
            _(
                "Your artifact comes to a machine without network, without the notebook and "
                "without the training code. What else does your service ask for there? And how "
                "would it notice that one bit of the artifact was flipped on the way?"
            ),
            _(
                "Everything that decides an answer belongs in the artifact and is coupled with "
                "the weights: labels, preprocessing code with its settings, model architecture. "
                "A program that opens a file must first know that it is the right one."
            ),
            _(
                "Let build_artifact.py write a folder with the weights, the labels, and the "
                "source of preprocessing and model definition, and last a manifest with the "
                "SHA-256 of each file. The manifest is a file, too: store its own hash beside it. "
                "At every start, hash all files before one is opened. If one does not match, "
                "print one line that names it and end with an exit status that is not 0. List "
                "build_artifact.py and whatever only it needs under training."
            ),
        ),
        "answers": Ladder(
            _(
                "A phone stores a photo lying on its side, with a note on how to turn it. What "
                "does your preprocessing do with that note? With a transparent PNG? With 16 bits "
                "a channel? And what happens when two photos arrive at the same moment?"
            ),
            _(
                "Compare pixels, not only classes: yours with those that the brief specifies, one "
                "format at a time. And look for variables that two requests share."
            ),
            _(
                "In this order: decode; turn by the EXIF orientation "
                "(PIL.ImageOps.exif_transpose); keep the high byte of 16-bit images; lay "
                "transparency over white; convert to RGB; resize the shorter side to 256 with "
                "BICUBIC; crop 224 from the centre; normalise with (x - 127) / 128. Keep "
                "everything of a request in local variables. Answer 4xx to each image that the "
                "brief refuses. If you use fewer bits, compare with fp32 on real photos."
            ),
        ),
        "load": Ladder(
            _(
                "50 requests a second leave 20 ms for each, one after another. How many does one "
                "of yours take alone, and which part of it is the longest?"
            ),
            _(
                "Five levers: weights that are loaded once, fewer bits, batches that share one "
                "reading of the weights, a rough search over all classes with an exact second "
                "look at the best, cheaper decoding. After that, divide the cores: a batch makes "
                "its first image wait for its last, and one lane a core does not."
            ),
            _(
                "Export two ONNX graphs: features, quantised to int8 by quantize_static, and a "
                "classifier that scores all classes along 256 directions with 4 bits, and the "
                "best 1,024 again, exactly. Let the softmax and the top 5 be part of the graph. "
                "One queue feeds one worker thread a core, each session with one thread; a "
                "worker takes one photo from its bytes to its answer. Keep the event loop free "
                "of computing. The tasks quantise, classifier and runner build this piece by piece."
            ),
        ),
        "availability": Ladder(
            _(
                "SIGTERM arrives while your service computes. What does the client of that "
                "request get? And after a kill, what does a new start do before it is ready?"
            ),
            _(
                "SIGTERM asks a service to finish what it has accepted and then to end. After a "
                "kill only a new start helps, so it must need nothing but files, and be short."
            ),
            _(
                "On SIGTERM let /readyz answer 503, go on serving for a moment, close the port, "
                "finish the requests in flight and exit with status 0. uvicorn alone closes the "
                "port at once: override handle_exit in a subclass of uvicorn.Server, say there "
                "that you are not ready, and set should_exit a moment later by a timer. Then "
                "run() returns. Keep no state between requests, and take downloads, exports and "
                "evaluations out of the start."
            ),
        ),
        "memory": Ladder(
            _(
                "Which of your processes hold the weights, and in how many forms each: the bytes "
                "of the file, the loaded model, the same weights with more bits?"
            ),
            _(
                "A second worker process holds a second copy of the weights. And what was only "
                "needed for loading stays in memory as long as a variable names it."
            ),
            _(
                "Serve from one process with threads; a forward pass releases the GIL. Let the "
                "artifact hold the bits that you serve instead of converting at the start. Give "
                "ONNX Runtime the path of the file, not its bytes, and load with torch only "
                "through safetensors, which maps the file."
            ),
        ),
        "packaging": Ladder(
            _(
                "A machine has a container engine and nothing else. Which files, packages and "
                "settings does your service need there?"
            ),
            _(
                "A container file lists what the service needs: a base with its version, packages "
                "with theirs, your code, a user who is not root, and the command that starts the "
                "service. What changes least comes first."
            ),
            _(
                "Write a Containerfile: FROM with a version tag; WORKDIR; COPY requirements.txt "
                "and RUN pip install --no-cache-dir -r requirements.txt with pinned versions; "
                "COPY the code; USER with a number that is not 0; EXPOSE; CMD as a JSON list. Name "
                "it in service.toml: container"
            ),
        ),
    }


@dataclass(frozen=True, slots=True)
class Solution:
    """How the reference meets one criterion."""

    text: str
    places: tuple[str, ...]
    """Files of the repository; a Python file with a colon and a name in it."""


def solutions() -> dict[CriterionId, Solution]:
    """Return all solutions, in the learner's language."""
    return {
        "structure": Solution(
            _(
                "Preprocessing needs Pillow and NumPy only. The model definition holds the network "
                "and takes weights by name. The inference runner is handed an engine and a "
                "preprocess function, and owns the queue and the threads. FastAPI is imported by "
                "the service around them, not by these three."
            ),
            (
                "service/preprocessing.py:preprocess",
                "service/model_definition.py:load_weights",
                "service/inference_runner.py:InferenceRunner",
                "service/inference_service.py:create_app",
            ),
        ),
        "load-once": Solution(
            _(
                "The application is created only after the model was verified, loaded, warmed up "
                "and tried on golden photos. The port is reserved before that and listened on "
                "after it, so nobody can connect too early. Handlers only use the loaded model."
            ),
            (
                "service/inference_service.py:create_app",
                "service/startup.py:load_model",
                "service/server.py:serve",
            ),
        ),
        "artifact": Solution(
            _(
                "The build writes a bundle: the model in the form that is served, labels, "
                "preprocessing settings, the source of preprocessing and model definition, golden "
                "photos with their answers, and a manifest with the SHA-256 of every file. A "
                "start hashes every file before it opens one, and ends with one line that names "
                "what does not match."
            ),
            (
                "service/artifact/build.py:build",
                "service/artifact/manifest.py:Manifest",
                "service/artifact/verify.py:verify",
                "service/artifact/code.py:check_code",
            ),
        ),
        "answers": Solution(
            _(
                "One preprocess function serves validation, calibration and requests. It treats "
                "orientation, colour modes and transparency, and computes only the pixels of the "
                "crop. Normalisation is part of the exported graph. What int8 costs was measured "
                "on many crops when the artifact was built. A request keeps its pixels in an "
                "object of its own."
            ),
            (
                "service/preprocessing.py:preprocess",
                "service/model_definition.py:ServingModel",
                "service/artifact/screened.py:write_screened",
                "service/artifact/parity.py",
            ),
        ),
        "load": Solution(
            _(
                "Fewer bytes are read. The model is int8. All classes are scored roughly: along a "
                "fifth of the directions, with 4 bits a weight. The best few are computed again "
                "from all features. 27 MB are read for an image instead of 1 GB. What that costs "
                "was measured like any rounding. "
                "So an image needs one core from its bytes to its answer, and waits for no other. "
                "JPEGs are shrunk while they are decoded. The event loop only waits, and computing "
                "threads give way to it."
            ),
            (
                "service/artifact/screened.py:build_classifier",
                "service/runner/plan.py:choose_layout",
                "service/inference_runner.py:InferenceRunner",
                "service/preprocessing.py:preprocess",
                "service/runner/admission.py:Admission",
            ),
        ),
        "availability": Solution(
            _(
                "The service keeps no state, and a start needs only the files of its artifact. On "
                "SIGTERM readiness turns false while requests are still served. Then the port is "
                "closed, the runner finishes what is inside, and the process ends with status 0."
            ),
            (
                "service/server.py:serve",
                "service/web/health.py",
                "service/inference_runner.py:InferenceRunner.close",
            ),
        ),
        "memory": Solution(
            _(
                "There is one process, and its threads share one copy of the weights, which is "
                "read straight from its file. torch is not even imported, and no "
                "other form is loaded."
            ),
            (
                "service/engines/onnx_runtime.py:OnnxRuntimeEngine",
                "service/runner/tuning.py:return_freed_memory",
                "service/engines/__init__.py:load_engine",
            ),
        ),
        "packaging": Solution(
            _(
                "The container file begins with a base of a fixed digest. It installs packages by "
                "their hashes, copies code and artifact, and starts the service without a shell, "
                "as a user who is not root. A health check belongs to it."
            ),
            ("service/deploy/Containerfile", "service/deploy/requirements.txt"),
        ),
    }


def locate(place: str) -> str:
    """Return a place with the line of its definition: "service/startup.py:31 load_model".

    Raises:
        LookupError: there is no such file, or no such name in it.
    """
    file, _colon, name = place.partition(":")
    path = ROOT / file
    if not path.is_file():
        raise LookupError(f"{place}: there is no such file")
    if not name:
        return file
    *_outer, last = name.split(".")
    definition = re.compile(rf"\s*(async def|def|class) {re.escape(last)}\b")
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if definition.match(line):
            return f"{file}:{number} {name}"
    raise LookupError(f"{place}: {name} is not defined there")
