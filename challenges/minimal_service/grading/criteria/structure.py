"""Criterion 1: three modules, importable alone, that do no work at import and that are in use."""

import contextlib
import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from challenges.minimal_service.grading.context import Grade, Report
from challenges.minimal_service.grading.criteria.imports_of import Imports, imports_of, is_service
from challenges.minimal_service.grading.criteria.load_once import distinct_photos
from challenges.minimal_service.grading.sandbox.client import ask, predictions_of
from challenges.minimal_service.grading.sandbox.environment import clean_environment
from challenges.minimal_service.grading.sandbox.file_watch import Watcher, can_watch
from challenges.minimal_service.grading.sandbox.process import Contained
from challenges.minimal_service.grading.submission.running import RunningService, ServiceFault
from challenges.minimal_service.grading.submission.submission import Submission, copy_of
from challenges.minimal_service.grading.verdict import CriterionResult
from learner.language import _

LESSON = "02_script_to_modules.ipynb#cell-id=explain-boundaries"
PROBE = Path(__file__).with_name("import_probe.py")
IMPORT_SECONDS = 90.0
MOST_MEMORY = 64 << 20
"""Bytes that an import may add to those of its libraries."""
MOST_CPU_S = 5.0
"""Processor time likewise."""
BROKEN_SECONDS = 60.0
"""A service with a broken module that is not ready by then, did not start."""
_MODEL_FILES = re.compile(
    r"\.(pth?|pt2|ckpt|onnx|onnx_data|safetensors|bin|pkl|pickle|joblib|h5|keras|tflite|gguf|npz)$"
)
PURE = ("preprocessing", "model_definition")
"""Modules in which no service code may be."""
USED = ("preprocessing", "inference_runner")
"""Modules that the running service must use. (An exported graph has its architecture inside.)"""


def judge(grade: Grade, submission: Submission) -> CriterionResult:
    """Look at the source of the three modules, import each alone, and break two of them."""
    report = Report("structure", lesson=LESSON)
    if not _exist(report, submission):
        return report.result()
    for name in submission.modules:
        check_import(report, submission, name)
    for name in USED:
        _check_used(report, submission, grade, name)
    return report.result()


def check_import(report: Report, submission: Submission, name: str) -> None:
    """Import one of the three modules in a process of its own; note what that does and needs."""
    try:
        imports = imports_of(submission.modules[name], submission.folder)
    except (SyntaxError, ValueError, RecursionError) as error:
        _not_importable(report, submission, name, f"{type(error).__name__}: {error}")
        return
    findings = _import(submission, name, imports)
    if "failed" in findings:
        _not_importable(report, submission, name, findings["failed"])
        return
    report.check(
        f"{name.replace('_', '-')}-imports-alone",
        True,
        _("{file} can be imported alone.").format(
            file=_shown(submission, submission.modules[name])
        ),
    )
    _check_work(report, submission, name, findings)
    if name in PURE:
        _check_pure(report, submission, name, imports, findings)
    _check_independent(report, submission, name, findings)


def _shown(submission: Submission, path: Path) -> str:
    return path.relative_to(submission.folder).as_posix()


def _exist(report: Report, submission: Submission) -> bool:
    missing = [_shown(submission, p) for p in submission.modules.values() if not p.is_file()]
    distinct = len({path.resolve() for path in submission.modules.values()})
    if missing:
        text = _("service.toml names modules that do not exist: {files}.")
    elif distinct < len(submission.modules):
        text = _("The three modules must be three files; service.toml names {count}.")
    else:
        text = _("Preprocessing, model definition and inference runner are three files.")
    cause = _("The service is not divided into its three modules yet: lesson 2 does it.")
    right = not missing and distinct == len(submission.modules)
    text = text.format(files=", ".join(missing), count=distinct)
    return report.check("three-modules", right, text, cause)


def _import(submission: Submission, name: str, imports: Imports) -> dict[str, Any]:
    """What the probe found; {"failed": reason} if the module cannot be imported."""
    file, own = submission.modules[name], submission.folder.parent
    home = Path(tempfile.mkdtemp(prefix="import-", dir=own))
    result = home / "findings.json"
    command = [str(submission.python), "-I", str(PROBE), str(file), str(submission.folder)]
    try:
        with Contained(
            [*command, str(result), *imports.libraries],
            clean_environment(submission.python, home),
            home,
            [home, submission.folder],
        ) as probe:
            opened = []
            with contextlib.ExitStack() as stack:
                # Libraries open files unseen by Python; the kernel sees them.
                watcher = None
                if can_watch(own):
                    watcher = stack.enter_context(Watcher([submission.artifact]))
                status = probe.wait(IMPORT_SECONDS)
                probe.kill()
                opened = [event.path for event in watcher.take()] if watcher else []
        if status is None:
            text = _("The import was not done after {seconds:g} s.")
            return {"failed": text.format(seconds=IMPORT_SECONDS)}
        try:
            findings: dict[str, Any] = json.loads(result.read_bytes())
        except (OSError, ValueError):
            return {"failed": probe.last_words}
        if findings["error"]:
            return {"failed": findings["error"]}
        return {**findings, "opened": [str(path) for path in opened], "left": probe.left_behind}
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _not_importable(report: Report, submission: Submission, name: str, reason: str) -> None:
    text = _("{file} cannot be imported alone, in a fresh process. {reason}")
    report.check(
        f"{name.replace('_', '-')}-imports-alone",
        False,
        text.format(file=_shown(submission, submission.modules[name]), reason=reason[:300]),
        _(
            "A module needs something that is neither in the folder nor an installed package, or "
            "runs as a script when it is imported."
        ),
    )


def _check_work(
    report: Report, submission: Submission, name: str, findings: dict[str, Any]
) -> None:
    done = []
    read = {Path(path) for kind, path in findings["seen"] if kind == "read"}
    artifact = {path for path in read if path.is_relative_to(submission.artifact.resolve())}
    models = {path for path in read if _MODEL_FILES.search(path.name)}
    if files := artifact | models | {Path(path) for path in findings["opened"]}:
        names = ", ".join(sorted({path.name for path in files})[:5])
        done.append(_("It opens {files}.").format(files=names))
    if written := sorted({Path(path).name for kind, path in findings["seen"] if kind == "write"}):
        done.append(_("It writes {files}.").format(files=", ".join(written[:5])))
    if events := {event for kind, event in findings["seen"] if kind == "talk"}:
        done.append(_("It uses the network: {events}.").format(events=", ".join(sorted(events))))
    if findings["left"] or any(kind == "start" for kind, _event in findings["seen"]):
        done.append(_("It starts other programs."))
    if findings["threads"] or findings["new_threads"] > 0:
        count = max(len(findings["threads"]), findings["new_threads"])
        done.append(_("It leaves {count} threads running.").format(count=count))
    if findings["memory_bytes"] > MOST_MEMORY:
        megabytes = findings["memory_bytes"] / 1e6
        done.append(
            _("It takes {megabytes:.0f} MB of memory beyond that of its libraries.").format(
                megabytes=megabytes
            )
        )
    if findings["cpu_seconds"] > MOST_CPU_S:
        done.append(_("It computes for {seconds:.1f} s.").format(seconds=findings["cpu_seconds"]))
    text = (
        _("The import of {file} does work. {work}")
        if done
        else _("The import of {file} does no work: it loads no model and leaves nothing running.")
    )
    report.check(
        f"{name.replace('_', '-')}-no-work-at-import",
        not done,
        text.format(file=_shown(submission, submission.modules[name]), work=" ".join(done)),
        _(
            "Work at import happens whenever anybody imports the module: a test, a tool, another "
            "module. Put it into a function, and call that when the service starts."
        ),
    )


def _check_pure(
    report: Report,
    submission: Submission,
    name: str,
    imports: Imports,
    findings: dict[str, Any],
) -> None:
    found = {f"{what} ({_shown(submission, where)})" for what, where in imports.service.items()}
    # Modules of the standard library are imported by others for their own ends.
    found |= {
        module
        for module in findings["modules"]
        if is_service(module) and "." not in module and module not in ("socket", "socketserver")
    }
    text = (
        _("{file} imports code of a service: {names}.")
        if found
        else _("{file} holds no code of a service.")
    )
    report.check(
        f"{name.replace('_', '-')}-no-service-code",
        not found,
        text.format(
            file=_shown(submission, submission.modules[name]), names=", ".join(sorted(found))
        ),
        _(
            "Preprocessing and model definition are also used in training, tests and batch jobs. "
            "HTTP belongs into the service."
        ),
    )


def _check_independent(
    report: Report, submission: Submission, name: str, findings: dict[str, Any]
) -> None:
    if name == "inference_runner":
        return  # it may know the two others
    others = {path for other, path in submission.modules.items() if other != name}
    if name == "model_definition":
        others.discard(submission.modules["preprocessing"])
    forbidden = {path.resolve() for path in [*others, *submission.training]}
    found = sorted({Path(path).resolve() for path in findings["files"]} & forbidden)
    names = ", ".join(_shown(submission, path) for path in found)
    text = (
        _("{file} imports {names}.")
        if found
        else _("{file} depends neither on the modules after it nor on training code.")
    )
    report.check(
        f"{name.replace('_', '-')}-independent",
        not found,
        text.format(file=_shown(submission, submission.modules[name]), names=names),
        _("A module that depends on a later one cannot be used, tested or replaced alone."),
    )


def _check_used(report: Report, submission: Submission, grade: Grade, name: str) -> None:
    """A copy in which importing the module fails must not answer a photo as if nothing were."""
    own = submission.folder.parent
    place_of_copy = Path(tempfile.mkdtemp(prefix="broken-", dir=own))
    folder = place_of_copy / "submission"
    try:
        broken = copy_of(submission, folder)
        file = broken.modules[name]
        file.write_text('raise ImportError("this module was broken on purpose, by the grader")\n')
        answered = False
        with RunningService(broken) as service:
            try:
                service.wait_until_ready(BROKEN_SECONDS)
                photo = distinct_photos(grade.seed, 1)[0]
                answered = predictions_of(ask(service.port, "/predict", 30, photo)) is not None
            except (ServiceFault, OSError):
                pass
    finally:
        shutil.rmtree(place_of_copy, ignore_errors=True)
    text = (
        _("With {file} broken, the service answers all the same: it does not use it.")
        if answered
        else _("The service uses {file}: with that module broken, it does not answer.")
    )
    report.check(
        f"{name.replace('_', '-')}-in-use",
        not answered,
        text.format(file=_shown(submission, submission.modules[name])),
        _("The service has a second definition of what a module defines; the two will differ."),
    )
