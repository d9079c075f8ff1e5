"""A container file as its builder reads it (docs.docker.com/reference/dockerfile): stages, values.

Only what a criterion asks about is understood. That the file is valid, the linter says.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

_ESCAPE = re.compile(r"#\s*escape\s*=\s*([\\`])\s*", re.IGNORECASE)
_DIRECTIVE = re.compile(r"#\s*\w+\s*=.*")
_FLAG = re.compile(r"--([a-z-]+)(?:=(\S*))?(?:\s+|$)")
_HEREDOC = re.compile(r"<<-?\s*([\"']?)([A-Za-z_]\w*)\1")
_WITH_HEREDOC = ("RUN", "COPY", "ADD")
_VARIABLE = re.compile(r"\\\$|\$(?:(\w+)|\{(\w+)(?::?([-+])([^}]*))?\})")
_SUBSTITUTED = {"FROM", "ADD", "COPY", "ENV", "EXPOSE", "USER", "WORKDIR", "VOLUME", "ARG"}


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction."""

    name: str
    """In capitals."""
    flags: dict[str, str]
    text: str
    """What follows the flags, on one line; variables are filled in where a builder does so."""
    words: list[str]
    """The same as words: of the JSON form, or as a shell splits it."""
    is_json: bool
    """Written as a list, which no shell reads: the "exec form"."""
    heredocs: tuple[str, ...]
    """Texts that follow, <<EOF … EOF."""
    line: int
    """Its first, from 1."""
    last_line: int


@dataclass(slots=True)
class Stage:
    """From one FROM to the next."""

    base: str
    """An image, or the name of an earlier stage."""
    name: str | None
    instructions: list[Instruction] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ContainerFile:
    """A file that was read."""

    stages: list[Stage]
    arguments: frozenset[str]
    """Names of all build arguments that it declares."""

    def images(self) -> list[str]:
        """The images that it starts from or copies from, in the order of the file."""
        found: list[str] = []
        for number, stage in enumerate(self.stages):
            earlier = {other.name for other in self.stages[:number]}
            sources = [stage.base]
            for instruction in stage.instructions:
                source = instruction.flags.get("from")
                if source and not source.isdecimal():
                    sources.append(source)
            found += [name for name in sources if name.lower() not in earlier and name != "scratch"]
        return list(dict.fromkeys(found))

    def last(self, *names: str) -> Instruction | None:
        """The instruction of such a name that counts for the final image, or None."""
        for stage in self._chain():
            for instruction in reversed(stage.instructions):
                if instruction.name in names:
                    return instruction
        return None

    def all(self, *names: str) -> list[Instruction]:
        """All instructions of such names, of all stages."""
        return [
            instruction
            for stage in self.stages
            for instruction in stage.instructions
            if instruction.name in names
        ]

    def final(self, name: str) -> list[Instruction]:
        """All instructions of a name that the final image inherits."""
        return [
            instruction
            for stage in self._chain()
            for instruction in stage.instructions
            if instruction.name == name
        ]

    def _chain(self) -> Iterator[Stage]:
        """The final stage, and those that it starts from."""
        number = len(self.stages) - 1
        while number >= 0:
            stage = self.stages[number]
            yield stage
            names = [other.name for other in self.stages[:number]]
            base = stage.base.lower()
            number = names.index(base) if base in names else -1


def read_container_file(text: str, build_arguments: Mapping[str, str]) -> ContainerFile:
    """Read a container file.

    Args:
        text: its content.
        build_arguments: values that the build is given, instead of the file's own.
    """
    declared: set[str] = set()
    outside: dict[str, str] = {}
    values: dict[str, str] = outside
    kept: dict[str | None, dict[str, str]] = {}
    stages: list[Stage] = []
    for raw in instructions(text):
        name = raw.name
        scope = outside if name == "FROM" else values
        instruction = _filled_in(raw, scope) if name in _SUBSTITUTED else raw
        if name == "FROM":
            words = instruction.words or [""]
            stage_name = words[2].lower() if len(words) > 2 and words[1].upper() == "AS" else None
            stages.append(Stage(words[0], stage_name))
            values = dict(kept.get(words[0].lower(), {}))
            kept[stage_name] = values
        elif name == "ARG":
            for word in instruction.words:
                key, _equals, default = word.partition("=")
                declared.add(key)
                if key in build_arguments:
                    values[key] = build_arguments[key]
                elif _equals:
                    values[key] = default
                elif key in outside:
                    values[key] = outside[key]
        elif name == "ENV":
            values.update(_pairs(instruction.words))
        if stages and name != "FROM":
            stages[-1].instructions.append(instruction)
    return ContainerFile(stages, frozenset(declared))


def _pairs(words: list[str]) -> dict[str, str]:
    if words and "=" not in words[0]:  # the old form: ENV NAME the whole rest
        return {words[0]: " ".join(words[1:])}
    return {key: value for key, _equals, value in (word.partition("=") for word in words)}


def _filled_in(instruction: Instruction, values: Mapping[str, str]) -> Instruction:
    def value(match: re.Match[str]) -> str:
        plain, name, operator, word = match.groups()
        if plain is None and name is None:
            return match[0]  # it is escaped
        found = values.get(plain or name, "")
        if operator == "-":
            return found or word
        return word * bool(found) if operator == "+" else found

    text = _VARIABLE.sub(value, instruction.text)
    words = [_VARIABLE.sub(value, word) for word in instruction.words]
    return replace(
        instruction,
        flags={key: _VARIABLE.sub(value, flag) for key, flag in instruction.flags.items()},
        text=text,
        words=words if instruction.is_json else _shell_words(text),
    )


def instructions(text: str) -> Iterator[Instruction]:
    """The instructions of a container file as they are written, no variable filled in."""
    lines = text.removeprefix("\ufeff").splitlines()
    escape, number = "\\", 0
    while number < len(lines) and _DIRECTIVE.fullmatch(lines[number].strip()):
        if match := _ESCAPE.fullmatch(lines[number].strip()):
            escape = match[1]
        number += 1
    while number < len(lines):
        start = number
        parts: list[str] = []
        while number < len(lines):
            line = lines[number].strip() if not parts else lines[number].rstrip()
            number += 1
            if line.lstrip().startswith("#") or not line.strip():
                if parts:
                    continue  # comments and empty lines do not end an instruction
                break
            parts.append(line.removesuffix(escape))
            if not line.endswith(escape):
                break
        if not parts:
            continue
        name, rest = [*"".join(parts).split(None, 1), ""][:2]
        heredocs = []
        if name.upper() in _WITH_HEREDOC:
            for match in _HEREDOC.finditer(rest):
                body = []
                while number < len(lines) and lines[number].lstrip("\t") != match[2]:
                    body.append(lines[number])
                    number += 1
                number += 1
                heredocs.append("\n".join(body))
        yield _instruction(name.upper(), rest.strip(), tuple(heredocs), start + 1, number)


def _instruction(
    name: str, rest: str, heredocs: tuple[str, ...], line: int, last_line: int
) -> Instruction:
    flags: dict[str, str] = {}
    while match := _FLAG.match(rest):
        flags[match[1]] = match[2] or ""
        rest = rest[match.end() :]
    command = rest
    if name == "HEALTHCHECK" and rest[:4].upper() == "CMD ":
        command = rest[4:].strip()
    listed = _json_words(command)
    words = _shell_words(command) if listed is None else listed
    return Instruction(name, flags, command, words, listed is not None, heredocs, line, last_line)


def _shell_words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quotation that does not end; the linter says so
        return text.split()


def _json_words(text: str) -> list[str] | None:
    if not text.startswith("["):
        return None
    try:
        words = json.loads(text)
    except ValueError:
        return None
    if isinstance(words, list) and all(isinstance(word, str) for word in words):
        return words
    return None
