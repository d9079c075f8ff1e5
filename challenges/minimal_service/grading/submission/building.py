"""Builds a submission's artifact from the research model if it is missing or old."""

import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

from challenges.minimal_service.grading.context import Say
from challenges.minimal_service.grading.sandbox.environment import clean_environment
from challenges.minimal_service.grading.sandbox.process import Contained
from challenges.minimal_service.grading.submission.copying import files_in
from challenges.minimal_service.grading.submission.description import Description
from learner.errors import LearnerError
from learner.language import _
from learner.paths import ROOT


def fill_in(word: str, values: dict[str, str]) -> str:
    """Return a word of a command with its placeholders replaced."""
    for name, value in values.items():
        word = word.replace(name, value)
    return word


def build_own(
    description: Description, artifact: Path, model: Path, say: Say, seconds: float
) -> None:
    """Build the workshop's own artifact with its own Python if it is missing.

    Arguments and errors as in `build_missing`.
    """
    if description.build is None or artifact.exists():
        return
    values = {"{python}": sys.executable, "{model}": str(model), "{artifact}": str(artifact)}
    command = [fill_in(word, values) for word in description.build]
    with tempfile.TemporaryDirectory() as home:
        environment = clean_environment(Path(sys.executable), Path(home))
        _run_build(command, environment, ROOT, [Path(home)], say, seconds)


def build_missing(
    description: Description,
    folder: Path,
    artifact: Path,
    model: Path,
    python: Path,
    say: Say,
    seconds: float,
) -> None:
    """Build the artifact if it is missing or old: first next to its place, then moved there whole.

    Args:
        description: of the submission.
        folder: its clean copy, in which the build runs.
        artifact: where the artifact belongs, in the learner's own folder.
        model: folder of the research model.
        python: of `make_python`.
        say: receives the build's progress.
        seconds: a longer build is ended.

    Raises:
        LearnerError: it fails, hangs or makes no artifact.
    """
    if description.build is None:
        return
    digest = _digest_inputs(description, folder, model)
    stamp = artifact.with_name(f".{artifact.name}.built-from")
    if artifact.is_dir() and stamp.exists() and stamp.read_text("utf-8") == digest:
        return
    shown = {"{python}": "python", "{model}": str(model), "{artifact}": str(artifact)}
    told = " ".join(fill_in(word, shown) for word in description.build)
    say(_("The artifact is built: {command}").format(command=told))
    try:
        artifact.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{artifact.name}.part-", dir=artifact.parent))
        try:
            output, home = part / artifact.name, part / "home"
            home.mkdir()
            values = {"{python}": str(python), "{model}": str(model), "{artifact}": str(output)}
            command = [fill_in(word, values) for word in description.build]
            environment = clean_environment(python, home)
            _run_build(command, environment, folder, [folder, part], say, seconds)
            if not output.is_dir() or not any(output.iterdir()):
                sentence = _(
                    "The build ended without an error, but there is no artifact in {path}. "
                    "Write it to {{artifact}}, the folder that the command line names."
                )
                raise LearnerError(sentence.format(path=output))
            stamp.unlink(missing_ok=True)
            if artifact.exists():
                shutil.rmtree(artifact)
            output.rename(artifact)
            stamp.write_text(digest, "utf-8")
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        sentence = _("The artifact cannot be written to {path}: {reason}.")
        raise LearnerError(sentence.format(path=artifact, reason=error.strerror)) from None


def _run_build(
    command: list[str],
    environment: dict[str, str],
    folder: Path,
    folders: list[Path],
    say: Say,
    seconds: float,
) -> None:
    told = 0
    with Contained(command, environment, folder, folders) as build:
        while (status := build.wait(0.2)) is None:
            left = seconds - build.seconds
            if build.said > told:
                told = build.said
                say(build.last_words)
            if left <= 0:
                sentence = _(
                    "The build was not done after {seconds:g} s and was ended. "
                    "The last that it said: {last}"
                )
                raise LearnerError(sentence.format(seconds=seconds, last=build.last_words))
        build.kill()  # reads the rest of its output
        if build.said > told:
            say(build.last_words)
        if build.fault is not None:
            raise build.fault
        if status != 0:
            sentence = _(
                "The build failed with exit status {status}. The last that it said: {last}"
            )
            raise LearnerError(sentence.format(status=status, last=build.last_words))


def _digest_inputs(description: Description, folder: Path, model: Path) -> str:
    """Return the SHA-256 of everything that the artifact depends on."""
    digest = hashlib.sha256(repr((description.build, description.built_from)).encode())
    patterns = description.built_from
    for path in files_in(folder):
        name = path.relative_to(folder)
        if not patterns or any(name.match(pattern) for pattern in patterns):
            digest.update(f"{name.as_posix()}\0".encode() + path.read_bytes())
    sums = model / "SHA256SUMS"
    digest.update(sums.read_bytes() if sums.is_file() else str(model).encode())
    return digest.hexdigest()
