"""Criterion 1: three modules that can be imported alone, do no work at import, and are in use."""

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from challenges.minimal_service.grading.context import Grade, Report
from challenges.minimal_service.grading.criteria.module_imports import (
    Imports,
    is_service,
    read_imports,
)
from challenges.minimal_service.grading.sandbox.environment import clean_environment
from challenges.minimal_service.grading.sandbox.file_watch import watch_files
from challenges.minimal_service.grading.sandbox.process import Contained, ServiceFault
from challenges.minimal_service.grading.submission.running import RunningService
from challenges.minimal_service.grading.submission.submission import Submission, copy_of
from challenges.minimal_service.grading.verdict import LESSONS, CriterionResult
from learner.language import _

PROBE = Path(__file__).with_name("import_probe.py")
IMPORT_SECONDS = 90.0
MOST_MEMORY = 64 << 20
"""Bytes that an import may add to those of its libraries."""
MOST_CPU_S = 5.0
"""Processor time that an import may add."""
BROKEN_SECONDS = 60.0
"""Time for a service with a broken module to get ready."""
_MODEL_FILES = re.compile(
    r"\.(pth?|pt2|ckpt|onnx|onnx_data|safetensors|bin|pkl|pickle|joblib|h5|keras|tflite|gguf|npz)$"
)
PURE = ("preprocessing", "model_definition")
"""Modules that must not hold service code."""
USED = ("preprocessing", "inference_runner")
"""Modules that the running service must use. (An exported graph has its architecture inside.)"""


def judge(grade: Grade, submission: Submission) -> CriterionResult:
    """Look at the source of the three modules, import each alone, and break two of them."""
    report = Report("structure", lesson=LESSONS["structure"])
    if not _exist(report, submission):
        return report.result()
    for name in submission.modules:
        check_import(report, submission, name)
    for name in USED:
        _check_used(report, submission, grade, name)
    return report.result()


def check_import(report: Report, submission: Submission, name: str) -> None:
    """Import one of the three modules in a process of its own; check what that does and needs."""
    try:
        imports = read_imports(submission.modules[name], submission.folder)
    except (SyntaxError, ValueError, RecursionError) as error:
        _not_importable(report, submission, name, f"{type(error).__name__}: {error}")
        return
    findings = _import(submission, name, imports)
    if "failed" in findings:
        _not_importable(report, submission, name, findings["failed"])
        return
    text = _("{file} can be imported alone.")
    report.check(_id(name, "imports-alone"), True, text, file=_relative(submission, name))
    _check_work(report, submission, name, findings)
    if name in PURE:
        _check_pure(report, submission, name, imports, findings)
    _check_independent(report, submission, name, findings)


def _id(name: str, what: str) -> str:
    return f"{name.replace('_', '-')}-{what}"


def _relative(submission: Submission, file: str | Path) -> str:
    """Return a module, by its name or path, relative to the submission's folder."""
    path = submission.modules[file] if isinstance(file, str) else file
    return path.relative_to(submission.folder).as_posix()


def _exist(report: Report, submission: Submission) -> bool:
    missing = [_relative(submission, p) for p in submission.modules.values() if not p.is_file()]
    distinct = len({path.resolve() for path in submission.modules.values()})
    if missing:
        text = _("service.toml names modules that do not exist: {files}.")
    elif distinct < len(submission.modules):
        text = _("The three modules must be three files; service.toml names {count}.")
    else:
        text = _("Preprocessing, model definition and inference runner are three files.")
    cause = _("The service is not divided into its three modules yet: lesson 2 does it.")
    right = not missing and distinct == len(submission.modules)
    files = ", ".join(missing)
    return report.check("three-modules", right, text, cause, files=files, count=distinct)


def _import(submission: Submission, name: str, imports: Imports) -> dict[str, Any]:
    """Return what the probe found; {"failed": reason} if the module cannot be imported."""
    file, own = submission.modules[name], submission.folder.parent
    home = Path(tempfile.mkdtemp(prefix="import-", dir=own))
    result = home / "findings.json"
    command = [str(submission.python), "-I", str(PROBE), str(file), str(submission.folder)]
    try:
        environment = clean_environment(submission.python, home)
        command += [str(result), *imports.libraries]
        # Native code opens files unseen by Python; the kernel sees them.
        with (
            watch_files(own, [submission.artifact]) as watcher,
            Contained(command, environment, home, [home, submission.folder]) as probe,
        ):
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
    cause = _(
        "A module needs something that is neither in the folder nor an installed package, or "
        "runs as a script when it is imported."
    )
    file = _relative(submission, name)
    check_id = _id(name, "imports-alone")
    report.check(check_id, False, text, cause, file=file, reason=reason[:300])


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
    cause = _(
        "Work at import happens whenever anybody imports the module: a test, a tool, another "
        "module. Put it into a function, and call that when the service starts."
    )
    file, work = _relative(submission, name), " ".join(done)
    report.check(_id(name, "no-work-at-import"), not done, text, cause, file=file, work=work)


def _check_pure(
    report: Report, submission: Submission, name: str, imports: Imports, findings: dict[str, Any]
) -> None:
    names = {f"{what} ({_relative(submission, where)})" for what, where in imports.service.items()}
    # Other libraries import these two modules of the standard library for their own ends.
    names |= {
        module
        for module in findings["modules"]
        if is_service(module) and "." not in module and module not in ("socket", "socketserver")
    }
    text = (
        _("{file} imports code of a service: {names}.")
        if names
        else _("{file} holds no code of a service.")
    )
    cause = _(
        "Preprocessing and model definition are also used in training, tests and batch jobs. "
        "HTTP belongs into the service."
    )
    file, listed = _relative(submission, name), ", ".join(sorted(names))
    report.check(_id(name, "no-service-code"), not names, text, cause, file=file, names=listed)


def _check_independent(
    report: Report, submission: Submission, name: str, findings: dict[str, Any]
) -> None:
    if name == "inference_runner":
        return  # it may know the two others
    others = {path for other, path in submission.modules.items() if other != name}
    if name == "model_definition":
        others.discard(submission.modules["preprocessing"])
    forbidden = {path.resolve() for path in [*others, *submission.training]}
    imported = sorted({Path(path).resolve() for path in findings["files"]} & forbidden)
    text = (
        _("{file} imports {names}.")
        if imported
        else _("{file} depends neither on the modules after it nor on training code.")
    )
    cause = _("A module that depends on a later one cannot be used, tested or replaced alone.")
    file = _relative(submission, name)
    names = ", ".join(_relative(submission, path) for path in imported)
    report.check(_id(name, "independent"), not imported, text, cause, file=file, names=names)


def _check_used(report: Report, submission: Submission, grade: Grade, name: str) -> None:
    """Check that a copy of the service in which the module is broken does not answer a photo."""
    own = submission.folder.parent
    place_of_copy = Path(tempfile.mkdtemp(prefix="broken-", dir=own))
    folder = place_of_copy / "submission"
    try:
        broken = copy_of(submission, folder)
        broken.modules[name].write_text(
            'raise ImportError("this module was broken on purpose, by the grader")\n'
        )
        answered = False
        with RunningService(broken) as service:
            try:
                service.wait_until_ready(BROKEN_SECONDS)
                answered = service.predict(grade.photos(1)[0]) is not None
            except ServiceFault:
                pass
    finally:
        shutil.rmtree(place_of_copy, ignore_errors=True)
    text = (
        _("With {file} broken, the service answers all the same: it does not use it.")
        if answered
        else _("The service uses {file}: with that module broken, it does not answer.")
    )
    cause = _("The service has a second definition of what a module defines; the two will differ.")
    file = _relative(submission, name)
    report.check(_id(name, "in-use"), not answered, text, cause, file=file)
