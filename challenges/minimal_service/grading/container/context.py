"""What a build may see of a folder, and what a container file copies of that."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from challenges.minimal_service.grading.container.file import ContainerFile
from challenges.minimal_service.grading.submission.copying import files_in


@dataclass(frozen=True, slots=True)
class Context:
    """The files of a build, as paths relative to its folder."""

    files: frozenset[str]
    """What the build sees."""
    ignored: frozenset[str]
    """What is there, but kept out by the ignore file."""


def ignore_file(folder: Path, container: Path) -> Path | None:
    """The file that says what a build must not see, or None; the first one found counts."""
    beside = container.with_name(f"{container.name}.dockerignore")
    for path in (beside, folder / ".containerignore", folder / ".dockerignore"):
        if path.is_file():
            return path
    return None


def read_context(folder: Path, container: Path) -> Context:
    """List the files below a folder, with those apart that an ignore file keeps out."""
    names = {path.relative_to(folder).as_posix() for path in files_in(folder)}
    path = ignore_file(folder, container)
    lines = path.read_text("utf-8", "replace").splitlines() if path else []
    rules = list(_rules(lines))
    ignored = {name for name in names if _is_ignored(name, rules)}
    return Context(frozenset(names - ignored), frozenset(ignored))


def copied(file: ContainerFile, context: Context) -> tuple[set[str], list[str]]:
    """What the COPY and ADD instructions take from the context.

    Returns:
        The files, and the sources (as they are written) that name none.
    """
    taken: set[str] = set()
    missing: list[str] = []
    for instruction in file.all("COPY", "ADD"):
        if "from" in instruction.flags or len(instruction.words) < 2:
            continue
        for source in instruction.words[:-1]:
            if source.startswith("<<") or "://" in source or source.startswith("git@"):
                continue
            found = matching(source, context.files)
            taken |= found
            if not found:
                missing.append(source)
    return taken, missing


def matching(source: str, names: Iterable[str]) -> set[str]:
    """The names that a source of COPY means: a file, a folder's files, or a pattern's."""
    clean = _clean(source)
    if clean == "":
        return set(names)
    pattern = re.compile(_expression(clean) + "(/.*)?")
    return {name for name in names if pattern.fullmatch(name)}


def _clean(path: str) -> str:
    """As a builder cleans it: relative to the context, which nothing leaves."""
    parts: list[str] = []
    for part in PurePosixPath(path).parts:
        if part == ".." and parts:
            parts.pop()
        elif part not in ("/", ".", ".."):
            parts.append(part)
    return "/".join(parts)


def _rules(lines: Iterable[str]) -> Iterable[tuple[re.Pattern[str], bool]]:
    for line in lines:
        text = line.strip()
        if not text or line.startswith("#"):
            continue
        keeps = text.startswith("!")
        pattern = _clean(text.removeprefix("!").strip())
        if pattern:
            yield re.compile(_expression(pattern) + "(/.*)?"), not keeps


def _is_ignored(name: str, rules: list[tuple[re.Pattern[str], bool]]) -> bool:
    """The last rule that fits a file, or a folder it lies in, decides."""
    ignored = False
    for pattern, ignores in rules:
        if pattern.fullmatch(name):
            ignored = ignores
    return ignored


def _expression(pattern: str) -> str:
    """A pattern of Go's filepath.Match, and ** for any number of folders."""
    expression, rest = "", pattern
    while rest:
        if rest.startswith("**/"):
            expression, rest = expression + "(.*/)?", rest[3:]
        elif rest.startswith("**"):
            expression, rest = expression + ".*", rest[2:]
        elif rest[0] == "*":
            expression, rest = expression + "[^/]*", rest[1:]
        elif rest[0] == "?":
            expression, rest = expression + "[^/]", rest[1:]
        elif match := re.match(r"\[\^?[^\]/]+\]", rest):
            expression, rest = expression + match[0], rest[match.end() :]
        elif rest[0] == "\\" and len(rest) > 1:
            expression, rest = expression + re.escape(rest[1]), rest[2:]
        else:
            expression, rest = expression + re.escape(rest[0]), rest[1:]
    return expression
