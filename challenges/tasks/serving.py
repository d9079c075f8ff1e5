"""What the checks of a service share: the learner's server, run with a runner that stands in."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from challenges.minimal_service.grading.sandbox.environment import make_python
from challenges.minimal_service.grading.submission.running import RunningService
from challenges.minimal_service.grading.submission.submission import Submission

STANDS_IN = Path(__file__).with_name("checks") / "standing_in" / "inference_runner.py"
READY_SECONDS = 40.0


def let_stand_in(folder: Path) -> None:
    """Put the runner that computes nothing in the place of the learner's own."""
    shutil.copyfile(STANDS_IN, folder / STANDS_IN.name)


def submission_of(folder: Path) -> Submission:
    """The folder as the grader sees one, with an artifact that is empty."""
    artifact = folder / "artifact"
    artifact.mkdir(exist_ok=True)
    names = ("preprocessing", "model_definition", "inference_runner")
    return Submission(
        name=folder.name,
        source=folder,
        folder=folder,
        artifact=artifact,
        built=artifact,
        modules={name: folder / f"{name}.py" for name in names},
        start=["{python}", "server.py", "--port", "{port}", "--artifact", "{artifact}"],
        build=None,
        weights=[],
        container=None,
        training=[],
        python=make_python(folder.parent / "python"),
    )


class Server(RunningService):
    """The learner's server.py as a process, with the runner that stands in.

    Args:
        folder: the copy of the learner's folder, with that runner in it.
        load_s: seconds that loading the model takes.
        work_s: seconds that a photo takes.
    """

    def __init__(self, folder: Path, load_s: float = 0.0, work_s: float = 0.0) -> None:
        self._events = folder.parent / "events"
        self._events.unlink(missing_ok=True)
        variables: Mapping[str, str] = {
            "RUNNER_EVENTS": str(self._events),
            "RUNNER_LOAD_S": str(load_s),
            "RUNNER_WORK_S": str(work_s),
        }
        super().__init__(submission_of(folder), environment=variables)

    def events(self) -> list[tuple[str, float]]:
        """What happened to the runner: "loading", "loaded", "worked", "closed", each with a time.

        The times are those of `time.monotonic`, which all processes share.
        """
        if not self._events.exists():
            return []
        lines = (line.split() for line in self._events.read_text("utf-8").splitlines())
        return [(word, float(at)) for word, at in lines]
