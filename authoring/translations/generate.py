"""The lessons of a language, and the texts of the panel, made from English and its catalogue."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from authoring.translations import blocks, features, figures, glossary, notebooks
from authoring.translations.catalogue import TRANSLATED, write_file
from authoring.translations.messages import Entry, Message
from authoring.translations.sources import LESSONS, Workshop, figure_name, lesson_name
from service.console.texts import texts

Files = dict[Path, bytes]


def files_of(workshop: Workshop, code: str, entries: Sequence[Entry]) -> Files:
    """Path → content of all that is generated in a language. For English, that is the glossary.

    Args:
        workshop: what to translate.
        code: the language.
        entries: its catalogue; where it has no usable translation, English stands.
    """
    usable = {entry.message.key: entry.usable for entry in entries}
    folder = workshop.lessons_in(code)

    def translation(message: Message) -> str | None:
        return usable.get(message.key)

    found: Files = {}
    if workshop.terms is not None:
        found[folder / glossary.PAGE] = glossary.page(workshop.glossary(), translation).encode()
    if code not in TRANSLATED:
        return found
    if workshop.panel is not None:
        words = texts(lambda text: translation(Message(text)) or text)
        content = json.dumps(words, indent=1, ensure_ascii=False) + "\n"
        found[workshop.panel / f"{code}.json"] = content.encode()
    for path in workshop.lessons():
        text = path.read_bytes().decode()
        lesson = notebooks.translate(text, lesson_name(path), translation)
        found[folder / path.name] = lesson.encode()
    for path in sorted((workshop.english / "figures").glob("*")):
        figure = path.read_bytes()
        if path.suffix == ".svg":
            figure = _figure(figure.decode(), figure_name(path), translation).encode()
        found[folder / "figures" / path.name] = figure
    return found


def write(workshop: Workshop, code: str, files: Files) -> list[str]:
    """Bring a language's folder to `files`; what was done, a line each."""
    root = workshop.root
    done = [
        f"written: {path.relative_to(root)}"
        for path, content in files.items()
        if write_file(path, content)
    ]
    for path in leftovers(workshop, code, files):
        path.unlink()
        done.append(f"removed: {path.relative_to(root)}")
    return done


def leftovers(workshop: Workshop, code: str, files: Files) -> list[Path]:
    """Generated files that English no longer has. Whatever else lies there is somebody's own."""
    if code not in TRANSLATED:
        return []
    folder = workshop.lessons_in(code)
    there = [*folder.glob(LESSONS), *(folder / "figures").glob("*")]
    return sorted(path for path in there if path.is_file() and path not in files)


def differences(workshop: Workshop, code: str, files: Files) -> Iterator[str]:
    """How a language's folder is not what would be written."""
    root = workshop.root
    for path, content in files.items():
        if not path.exists():
            yield f"{path.relative_to(root)} is not there"
        elif path.read_bytes() != content:
            yield f"{path.relative_to(root)} is not what would be generated"
    for path in leftovers(workshop, code, files):
        yield f"{path.relative_to(root)} has no English original"


def regrouped_cells(workshop: Workshop, code: str, files: Files) -> Iterator[str]:
    """Cells whose blocks, put together, are not read as those of the English cell are."""
    folder = workshop.lessons_in(code)
    for path in workshop.lessons() if code in TRANSLATED else []:
        english = notebooks.read(path.read_bytes().decode(), path.name)
        other = notebooks.read(files[folder / path.name].decode(), path.name)
        for before, after in zip(english["cells"], other["cells"], strict=True):
            if before["cell_type"] == "markdown" and _shape(before) != _shape(after):
                yield f"{lesson_name(path)}/{before['id']}"


def _shape(cell: dict[str, object]) -> list[str]:
    return list(features.structure(blocks.PARSER.parse(notebooks.source_of(cell))))


def _figure(svg: str, name: str, translation: Callable[[Message], str | None]) -> str:
    return figures.translate(svg, lambda place, text: translation(Message(text, f"{name}/{place}")))
