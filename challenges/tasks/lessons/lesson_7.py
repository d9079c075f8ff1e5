"""Tasks of lesson 7: the service in a container."""

from challenges.tasks.catalogue import Task
from learner.language import _


def tasks() -> list[Task]:
    """The lesson's tasks, in order."""
    return [
        Task(
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
    ]
