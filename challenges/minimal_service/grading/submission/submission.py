"""Opens a submission: checks it, copies it to a clean folder, builds its artifact if needed."""

import contextlib
import dataclasses
from dataclasses import dataclass
from pathlib import Path

from challenges.minimal_service.grading.context import Say
from challenges.minimal_service.grading.sandbox.environment import make_python
from challenges.minimal_service.grading.submission.building import build_missing, build_own, fill_in
from challenges.minimal_service.grading.submission.copying import copy_tree, files_in, link_tree
from challenges.minimal_service.grading.submission.description import (
    DESCRIPTION,
    Description,
    read_description,
)
from learner.errors import LearnerError
from learner.language import _
from learner.paths import ROOT

OWN = {name: Path(__file__).resolve().parents[2] / name for name in ("reference", "starter")}
"""The workshop's own submissions, by name."""
BUILD_SECONDS = 1800.0


@dataclass(frozen=True)
class Submission:
    """A learner's service, ready to be started from a clean copy.

    All paths are absolute. Those of the three modules, the container file and the training files
    may name files that do not exist: a criterion reports that.
    """

    name: str
    source: Path
    """The learner's own folder: read only."""
    folder: Path
    """The clean copy; its parent belongs to this grade alone."""
    artifact: Path
    """In the clean copy, or next to it. Its files are hard links: copy one before changing it."""
    built: Path
    """The same artifact where it was built; read only."""
    modules: dict[str, Path]
    """preprocessing, model_definition and inference_runner, in the clean copy."""
    start: list[str]
    """The command, with {python}, {port} and {artifact} still in it: see `command`."""
    build: list[str] | None
    weights: list[Path]
    """The served weight files, in `artifact`."""
    container: Path | None
    training: list[Path]
    """Files of the clean copy that only training and building need."""
    python: Path
    """Finds installed packages, but not this repository."""

    def command(self, port: int, artifact: Path | None = None) -> list[str]:
        """Return the command that starts the service.

        Args:
            port: to listen on.
            artifact: to serve; the submission's own, if not given.
        """
        values = {
            "{python}": str(self.python),
            "{port}": str(port),
            "{artifact}": str(self.artifact if artifact is None else artifact),
        }
        return [fill_in(word, values) for word in self.start]


def open_submission(
    path: str, grade_folder: Path, model: Path, say: Say, build_seconds: float = BUILD_SECONDS
) -> Submission:
    """Check a submission, copy it, and build its artifact if that is missing or old.

    Args:
        path: its folder, or "reference" or "starter".
        grade_folder: an empty folder for the copy, outside `path`; the caller removes it.
        model: folder of the research model, for the build.
        say: receives the build's progress.
        build_seconds: a longer build is ended.

    Raises:
        LearnerError: it cannot be graded; the message says why and what to do.
    """
    source = OWN[path] if path in OWN else Path(path).expanduser().absolute()
    if source.is_file():
        sentence = _("{path} is a file. Name the folder of your service that it lies in.")
        raise LearnerError(sentence.format(path=source))
    if not source.is_dir():
        sentence = _("There is no folder {path}. Name the folder of your service.")
        raise LearnerError(sentence.format(path=source))
    description = read_description(source)
    own_artifact = _find_artifact(source, description)
    grade_folder = grade_folder.resolve()
    folder = grade_folder / "submission"
    copy_tree(source, folder, leave_out=own_artifact)
    for included in description.include:
        if not (ROOT / included).exists():
            sentence = _("service.toml: include names {path}, which does not exist.")
            raise LearnerError(sentence.format(path=ROOT / included))
        copy_tree(ROOT / included, folder / included)
    python = make_python(grade_folder / "python")
    if own_artifact.is_relative_to(ROOT / "artifacts"):
        build_own(description, own_artifact, model, say, build_seconds)
    else:
        build_missing(description, folder, own_artifact, model, python, say, build_seconds)
    if not own_artifact.is_dir():
        sentence = _(
            "There is no artifact {path}, and service.toml has no build command that makes one."
        )
        raise LearnerError(sentence.format(path=own_artifact))
    inside = own_artifact.is_relative_to(source)
    artifact = folder / own_artifact.relative_to(source) if inside else grade_folder / "artifact"
    link_tree(own_artifact, artifact)
    return Submission(
        name=path if path in OWN else source.name,
        source=source,
        folder=folder,
        artifact=artifact,
        built=own_artifact,
        modules={name: folder / file for name, file in description.modules},
        start=description.start,
        build=description.build,
        weights=_find_weights(artifact, description),
        container=None if description.container is None else folder / description.container,
        training=[folder / file for file in description.training],
        python=python,
    )


def copy_of(submission: Submission, folder: Path) -> Submission:
    """Return the same submission at another place: its code copied, its artifact linked.

    The artifact keeps its place in the folder, or next to it.
    """
    inside = submission.artifact.is_relative_to(submission.folder)
    leave_out = submission.artifact if inside else None
    copy_tree(submission.folder, folder, leave_out)
    artifact = (
        folder / submission.artifact.relative_to(submission.folder)
        if inside
        else folder.parent / "artifact"
    )
    link_tree(submission.artifact, artifact)

    def move(path: Path) -> Path:
        return folder / path.relative_to(submission.folder)

    return dataclasses.replace(
        submission,
        folder=folder,
        artifact=artifact,
        modules={name: move(path) for name, path in submission.modules.items()},
        weights=[artifact / path.relative_to(submission.artifact) for path in submission.weights],
        container=None if submission.container is None else move(submission.container),
        training=[move(path) for path in submission.training],
    )


def _find_artifact(source: Path, description: Description) -> Path:
    place = Path(fill_in(description.artifact, {"{root}": str(ROOT)}))
    artifact = place if place.is_absolute() else source / place
    # A new build takes the place of the folder, so nothing of the learner's may lie in it.
    own = [source / DESCRIPTION, *(source / file for _name, file in description.modules)]
    if any(path.is_relative_to(artifact) for path in own):
        sentence = _("service.toml: artifact must be a folder of its own, not {path}.")
        raise LearnerError(sentence.format(path=artifact))
    return artifact


def _find_weights(artifact: Path, description: Description) -> list[Path]:
    weights: set[Path] = set()
    for pattern in description.weights:
        matches: list[Path] = []
        with contextlib.suppress(ValueError, NotImplementedError):
            matches = [path for path in artifact.glob(pattern) if path.is_file()]
        if not matches:
            sentence = _(
                "No file of the artifact {artifact} fits the pattern {pattern} of weights in "
                "service.toml. It has: {files}"
            )
            names = [path.relative_to(artifact).as_posix() for path in files_in(artifact)]
            names = [*names[:10], *(["…"] if len(names) > 10 else [])]
            raise LearnerError(
                sentence.format(artifact=artifact, pattern=pattern, files=", ".join(names))
            )
        weights.update(matches)
    return sorted(weights)
