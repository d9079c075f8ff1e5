"""Tasks of lesson 7: package the service, and release a model."""

from challenges.tasks.catalogue import Task
from learner.language import _


def tasks() -> list[Task]:
    """The lesson's tasks, in order."""
    return [_container_file(), _ci_gate(), _release()]


def _container_file() -> Task:
    return Task(
        id="container-file",
        lesson=7,
        file="Containerfile",
        title=_("A container file, line by line"),
        ask=_(
            "Write the container file of your service: a base with its version, packages with "
            "theirs, artifact and code, a user who is not root, a health check, the command."
        ),
        minutes=15,
        hints=(
            _(
                "A container image is a folder with everything that a program needs, from "
                "libc on. The container file says how it is made, and each line is a layer."
            ),
            _(
                "The example in the file has each line that you need. Change names, packages, "
                "files and the port; two COPY lines take the artifact and the code."
            ),
            _("Nearly the code:")
            + """
    FROM docker.io/library/python:...
    WORKDIR /app
    RUN python3 -m pip install --no-cache-dir fastapi==... numpy==... onnxruntime==... \\
        pillow==... uvicorn==...
    COPY artifact artifact
    COPY preprocessing.py model_definition.py manifest.py inference_runner.py ... ./
    USER ...
    EXPOSE 8000
    HEALTHCHECK CMD ["python3", "-c", "import urllib.request as u; u.urlopen('...')"]
    CMD ["python3", "server.py", "--host", "0.0.0.0", "--port", "8000", ...]""",
        ),
    )


def _ci_gate() -> Task:
    return Task(
        id="ci-gate",
        lesson=7,
        file="gate.py",
        title=_("A gate before the release"),
        ask=_(
            "Write `find_difference`: it compares the answers of a candidate with those of the "
            "released model, and says why the candidate must not be released, or None."
        ),
        minutes=15,
        hints=(
            _(
                "A candidate that starts and answers may still answer differently. Nobody can read "
                "all answers, but a script can count those that stayed as they were."
            ),
            _(
                "First look for NaN in all predictions of the candidate. Then make a list of the "
                "photos that the released model is sure of, and count the same `class_id` in it."
            ),
            _("Nearly the code:")
            + """
    for photo, predictions in candidate.items():
        if any(math.isnan(one["probability"]) for one in predictions):
            return f"{photo} ..."
    sure = [photo for photo, best in released.items() if best[0]["probability"] >= ...]
    if not ...:
        return "..."
    same = [photo for photo in sure if candidate[photo][0]["class_id"] == ...]
    share = len(same) / len(...)
    if share < ...:
        return f"{share:.0%} of {len(sure)} photos have the same first class"
    return None""",
        ),
    )


def _release() -> Task:
    return Task(
        id="release",
        lesson=7,
        file="release.py",
        title=_("A share of the traffic, and back"),
        ask=_(
            "Write `goes_to_candidate`, which moves a share of the requests, and `decide`, which "
            "says whether a release goes on, waits, or goes back."
        ),
        minutes=15,
        hints=(
            _(
                "A router has no list of who was moved. It computes a number from each name, "
                "always the same one. A name with a small number is moved first, and stays moved."
            ),
            _(
                "A SHA-256 digest looks like chance, and is the same everywhere. Its first 8 bytes "
                "are a number below 2**64. In `decide`, look at failures first, then at the count."
            ),
            _("Nearly the code:")
            + """
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:8]) / ... < share

    if failed > ...:
        return "back"
    if compared < ...:
        return "wait"
    return "back" if different / ... > ... else "on\"""",
        ),
    )
