"""Hints for each criterion, three steps up: a question, a direction, what exactly to do."""

from dataclasses import dataclass

from challenges.minimal_service.grading.verdict import CriterionId
from learner.language import _

STEPS = 3


@dataclass(frozen=True, slots=True)
class Ladder:
    """The hints for one criterion, and the section of a lesson that helps."""

    question: str
    direction: str
    recipe: str
    lesson: str
    """As in a verdict: "04_model_service.ipynb#cell-id=start"."""

    def step(self, number: int) -> str:
        """The hint of a step, 1 to `STEPS`."""
        return (self.question, self.direction, self.recipe)[number - 1]


def ladders() -> dict[CriterionId, Ladder]:
    """All hints, in the learner's language."""
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
            "02_script_to_modules.ipynb#cell-id=boundaries",
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
            "04_model_service.ipynb#cell-id=loading",
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
                "Whoever opens a file must first know that it is the right one."
            ),
            _(
                "Let build_artifact.py write a folder with the weights, the labels, and the "
                "source of preprocessing and model definition, and last a manifest with the "
                "SHA-256 of each file. At every start, hash all files before one is opened. If "
                "one does not match, print one line that names it and end with an exit status "
                "that is not 0. List build_artifact.py and whatever only it needs under training."
            ),
            "03_artifact.ipynb#cell-id=tampering",
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
            "03_artifact.ipynb#cell-id=weights-alone",
        ),
        "load": Ladder(
            _(
                "50 requests a second leave 20 ms for each, one after another. How many does one "
                "of yours take alone, and which part of it is the longest?"
            ),
            _(
                "Five levers: weights that are loaded once, fewer bits, batches that share one "
                "reading of the weights, weights that need no reading because their feature is "
                "zero, cheaper decoding. After that, divide the cores: decoding, features and "
                "classifier must not wait for each other."
            ),
            _(
                "Export two ONNX graphs in int8: features and classifier. Let one queue feed a "
                "few worker threads, about one a core, each session with one thread. Features "
                "run one image at a time; the classifier takes all images that are ready as one "
                "batch, and no image waits for a batch to fill. Decode JPEGs shrunk "
                "(PIL.Image.Image.draft). Keep the event loop free of computing."
            ),
            "06_challenge.ipynb#cell-id=lever",
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
                "finish the requests in flight and exit with status 0. uvicorn drains, but then "
                "ends by the signal: before uvicorn.run, install a handler of SIGTERM that calls "
                "sys.exit(0). Keep no state between requests, and take downloads, exports and "
                "evaluations out of the start."
            ),
            "04_model_service.ipynb#cell-id=available",
        ),
        "memory": Ladder(
            _(
                "Which of your processes hold the weights, and in how many forms each: the bytes "
                "of the file, the loaded model, another precision?"
            ),
            _(
                "A second worker process is a second copy. And what was only needed for loading "
                "stays in memory as long as a variable names it."
            ),
            _(
                "Serve from one process with threads; a forward pass releases the GIL. Build the "
                "precision that you serve into the artifact instead of converting it at the "
                "start. Give ONNX Runtime the path of the file, not its bytes, and load with "
                "torch only through safetensors, which maps the file."
            ),
            "03_artifact.ipynb#cell-id=forms",
        ),
        "packaging": Ladder(
            _(
                "A machine has a container engine and nothing else. Which files, packages and "
                "settings does your service need there?"
            ),
            _(
                "A container file says exactly that: a base with its version, packages with "
                "theirs, your code, a user who is not root, and the command that starts the "
                "service. What changes least comes first."
            ),
            _(
                "Write a Containerfile: FROM with a version tag; WORKDIR; COPY requirements.txt "
                "and RUN pip install --no-cache-dir -r requirements.txt with pinned versions; "
                "COPY the code; USER with a number that is not 0; EXPOSE; CMD as a JSON list. Name "
                "it in service.toml: container"
            ),
            "06_challenge.ipynb#cell-id=first-change",
        ),
    }
