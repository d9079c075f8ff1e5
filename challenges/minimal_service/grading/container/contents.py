"""What a container file copies: the modules, the artifact, requirements with exact versions."""

import re
import shlex
from pathlib import Path

from challenges.minimal_service.grading.container.context import Context, copied
from challenges.minimal_service.grading.container.file import ContainerFile
from challenges.minimal_service.grading.container.lint import some_of
from challenges.minimal_service.grading.context import Report
from challenges.minimal_service.grading.submission.submission import Submission
from learner.language import _


def check_contents(
    report: Report, file: ContainerFile, context: Context, submission: Submission, folder: Path
) -> None:
    """Whether the file copies what the service needs, and whether what it copies is there.

    Args:
        report: takes the checks.
        file: the container file.
        context: of the build.
        submission: its modules, its artifact and its start command count as needed.
        folder: of the context; the submission's, with the artifact in it.
    """
    taken, missing = copied(file, context)
    report.check(
        "sources",
        not missing,
        _("Everything that is copied exists.")
        if not missing
        else _(
            "Files to be copied do not exist, or the ignore file keeps them out: {files}"
        ).format(files=some_of(missing)),
    )
    needed = {path.relative_to(submission.folder).as_posix() for path in _code(submission)}
    artifact = artifact_in(submission).as_posix()
    needed |= {name for name in context.files | context.ignored if name.startswith(artifact + "/")}
    lacking = sorted(needed - taken)
    report.check(
        "contents",
        not lacking,
        _("The three modules and the artifact are copied into the container image.")
        if not lacking
        else _("The container image lacks files that the service needs: {files}").format(
            files=some_of(lacking)
        ),
    )
    loose = _loose_requirements(file, context, folder)
    if loose is not None:
        report.check(
            "pinned-requirements",
            not loose,
            _("Every package of the requirements has an exact version.")
            if not loose
            else _(
                "Packages of the requirements have no exact version (name==1.2.3): {names}"
            ).format(names=some_of(loose)),
            cause=_(
                "The next build may install other packages than those the model was validated with."
            ),
        )


def artifact_in(submission: Submission) -> Path:
    """Where the artifact lies in the build's context."""
    if submission.artifact.is_relative_to(submission.folder):
        return submission.artifact.relative_to(submission.folder)
    return Path("artifacts", "graded")


def _code(submission: Submission) -> set[Path]:
    """The modules, and the files that the start command names."""
    started = {submission.folder / word for word in submission.start if word.endswith(".py")}
    return {path for path in {*submission.modules.values(), *started} if path.is_file()}


def _loose_requirements(file: ContainerFile, context: Context, folder: Path) -> list[str] | None:
    """Requirements without an exact version, of the files that pip is told of; None: no such."""
    names = {name for run in file.all("RUN") for name in _requirement_files(run.text)}
    paths = [folder / path for path in sorted(context.files) if Path(path).name in names]
    if not paths:
        return None
    loose = []
    for path in paths:
        text = path.read_text("utf-8", "replace").replace("\\\n", " ")
        for line in text.splitlines():
            requirement = re.sub(r"(^|\s)#.*", "", line).strip()
            if requirement and not requirement.startswith("-") and "@" not in requirement:
                specifier = requirement.partition(";")[0].partition("--")[0]
                if "==" not in specifier or "*" in specifier:
                    loose.append(specifier.strip())
    return loose


def _requirement_files(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    found = []
    for flag, name in zip(words, [*words[1:], ""], strict=True):
        if flag in ("-r", "--requirement", "--requirements"):
            found.append(Path(name).name)
        elif flag.startswith(("--requirement=", "-r")) and not flag.startswith("-rf"):
            found.append(Path(flag.partition("=")[2] or flag[2:]).name)
    return found
