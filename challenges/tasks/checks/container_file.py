"""Task container-file: the linter's word, and what each line has to say."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from challenges.tasks.checking import Wrong
from learner.language import _

FILE = "Containerfile"
PACKAGES = ("fastapi", "numpy", "onnxruntime", "pillow", "uvicorn")
CODE = (
    "inference_runner.py",
    "manifest.py",
    "model_definition.py",
    "preprocessing.py",
    "server.py",
)
HEAVY = ("torch", "torchvision", "scikit-image", "jupyterlab")
LINT_SECONDS = 20
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::-([^}]*))?\})")
Line = tuple[int, str, str]
"""Number in the file, the instruction in capitals, what follows it."""


def check(folder: Path) -> None:
    """Read the container file line by line, as its builder does.

    Raises:
        Wrong: a line is missing, or says too little.
    """
    text = (folder / FILE).read_text("utf-8", "replace")
    lines = _lines(text)
    _check_base(lines)
    _check_packages(lines)
    _check_copies(lines)
    _check_order(lines)
    _check_user(lines)
    _check_port(lines)
    _check_command(lines)
    _check_lint(text)


def _lines(text: str) -> list[Line]:
    """Read the instructions: comments left out, continued lines joined, ARGs filled in."""
    found: list[Line] = []
    parts: list[str] = []
    values: dict[str, str] = {}
    start = 0
    for number, raw in enumerate(text.splitlines(), 1):
        if raw.lstrip().startswith("#") or not raw.strip():
            continue
        start = start if parts else number
        parts.append(raw.rstrip().removesuffix("\\"))
        if raw.rstrip().endswith("\\"):
            continue
        word, rest = [*" ".join(parts).split(None, 1), ""][:2]
        parts = []
        rest = _VARIABLE.sub(lambda one: values.get(one[1] or one[2]) or one[3] or "", rest.strip())
        if word.upper() in ("ARG", "ENV"):
            key, _equals, value = rest.partition("=")
            values[key.strip()] = value.strip("\"' ")
        found.append((start, word.upper(), rest))
    return found


def _all(lines: list[Line], name: str) -> list[Line]:
    return [line for line in lines if line[1] == name]


def _last(lines: list[Line], name: str, expected: str) -> Line:
    """The instruction of this name that counts: the last one."""
    found = _all(lines, name)
    if not found:
        raise Wrong(
            expected=expected,
            found=_("There is no line with {name}.").format(name=name),
            look=FILE,
        )
    return found[-1]


def _at(line: Line) -> str:
    return _("{file}, line {line}").format(file=FILE, line=line[0])


def _check_base(lines: list[Line]) -> None:
    expected = _(
        "FROM names a container image with its version: the same file builds the same tomorrow."
    )
    line = _last(lines, "FROM", expected)
    words = [word for word in line[2].split() if not word.startswith("--")]
    image = words[0] if words else ""
    tag = image.rpartition("/")[2].partition(":")[2]
    if "@sha256:" not in image and tag in ("", "latest"):
        raise Wrong(expected=expected, found=f"FROM {line[2]}", look=_at(line))


def _check_packages(lines: list[Line]) -> None:
    runs = [line for line in _all(lines, "RUN") if "pip" in line[2] and "install" in line[2]]
    expected = _("RUN installs {packages}, each as name==version.").format(
        packages=", ".join(PACKAGES)
    )
    text = " ".join(line[2] for line in runs)
    look = _at(runs[0]) if runs else FILE
    named = {one.lower(): version for one, version in re.findall(r"([\w.-]+)(==[\w.]+)?", text)}
    missing = [name for name in PACKAGES if name not in named and f"{name}[" not in text]
    if missing:
        found = _("Missing: {names}.").format(names=", ".join(missing))
        raise Wrong(expected=expected, found=found, look=look)
    loose = [name for name in PACKAGES if not re.search(rf"(?i)\b{name}(\[\w+\])?==\d", text)]
    if loose:
        found = _("Without a version: {names}.").format(names=", ".join(loose))
        raise Wrong(expected=expected, found=found, look=look)
    if heavy := [name for name in HEAVY if name in named]:
        raise Wrong(
            expected=_("Nothing is installed that only the build or the notebook needs."),
            found=_("It installs {names}: gigabytes, and more to attack.").format(
                names=", ".join(heavy)
            ),
            look=look,
        )


def _copied(line: Line) -> list[str]:
    text = line[2]
    words = json.loads(text) if text.startswith("[") else shlex.split(text)
    return [word.removeprefix("./").rstrip("/") for word in words if not word.startswith("--")][:-1]


def _check_copies(lines: list[Line]) -> None:
    copies = _all(lines, "COPY")
    expected = _("COPY takes the artifact and {files} into the container image.").format(
        files=", ".join(CODE)
    )
    try:
        taken = {name for line in copies for name in _copied(line)}
    except ValueError as error:
        raise Wrong(expected=expected, found=str(error), look=FILE) from error
    everything = {"", ".", "*"} & taken
    missing = [
        name
        for name in ("artifact", *CODE)
        if name not in taken and not everything and not (name.endswith(".py") and "*.py" in taken)
    ]
    if missing:
        found = _("Missing: {names}.").format(names=", ".join(missing))
        raise Wrong(expected=expected, found=found, look=_at(copies[-1]) if copies else FILE)


def _check_order(lines: list[Line]) -> None:
    installs = [line[0] for line in _all(lines, "RUN") if "pip" in line[2]]
    early = [
        line
        for line in _all(lines, "COPY")
        if line[0] < installs[-1]
        and any(name.endswith(".py") or not name for name in _copied(line))
    ]
    if early:
        raise Wrong(
            expected=_("What changes least comes first: packages before code."),
            found=_("The code is copied before: each change of it installs all packages again."),
            look=_at(early[0]),
        )


def _check_user(lines: list[Line]) -> None:
    expected = _("USER names a user who is not root, best by a number.")
    line = _last(lines, "USER", expected)
    if line[2].partition(":")[0].strip() in ("", "0", "root"):
        raise Wrong(expected=expected, found=f"USER {line[2]}", look=_at(line))


def _check_port(lines: list[Line]) -> None:
    expected = _("EXPOSE names the port, and HEALTHCHECK asks the service whether it is well.")
    _last(lines, "EXPOSE", expected)
    line = _last(lines, "HEALTHCHECK", expected)
    if line[2].strip().upper() == "NONE":
        raise Wrong(expected=expected, found="HEALTHCHECK NONE", look=_at(line))


def _check_command(lines: list[Line]) -> None:
    expected = _('CMD is a list, ["python3", "server.py", …]: no shell keeps SIGTERM to itself.')
    entry = _all(lines, "ENTRYPOINT")
    line = entry[-1] if entry else _last(lines, "CMD", expected)
    try:
        words = json.loads(line[2])
    except ValueError:
        words = None
    if not isinstance(words, list) or not words:
        raise Wrong(expected=expected, found=f"{line[1]} {line[2]}", look=_at(line))
    if entry and (more := _all(lines, "CMD")):
        words += shlex.split(more[-1][2].strip("[]").replace(",", " "))
    if "server.py" not in words or words[0] in ("sh", "bash", "/bin/sh", "/bin/bash"):
        raise Wrong(expected=expected, found=f"{line[1]} {line[2]}", look=_at(line))
    port = _all(lines, "EXPOSE")[-1][2].partition("/")[0].strip()
    if "0.0.0.0" not in words or port not in words:
        raise Wrong(
            expected=_(
                "The service listens on all addresses of the container, at the port of EXPOSE: "
                "--host 0.0.0.0 --port {port}"
            ).format(port=port),
            found=f"{line[1]} {line[2]}",
            look=_at(line),
        )


def _check_lint(text: str) -> None:
    """Let hadolint find what is no valid file, where it is installed."""
    beside = Path(sys.executable).with_name("hadolint")
    program = str(beside) if beside.is_file() else shutil.which("hadolint")
    if program is None:
        return
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run(
            [program, "--format", "json", "--no-fail", "-"],
            input=text,
            capture_output=True,
            encoding="utf-8",
            timeout=LINT_SECONDS,
            check=False,
            cwd=empty,
        )
    for finding in json.loads(done.stdout or "[]"):
        if finding["level"] == "error":
            raise Wrong(
                expected=_("The linter hadolint finds no error."),
                found="{code}: {message}".format(**finding)[:300],
                look=_("{file}, line {line}").format(file=FILE, line=finding["line"]),
            )
