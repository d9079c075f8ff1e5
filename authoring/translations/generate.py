"""Generate each language's lessons, figures, glossary and panel texts from its catalogue."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from authoring.translations import blocks, documents, glossary
from authoring.translations.catalogue import TRANSLATED, write_file
from authoring.translations.messages import Entry, Message
from authoring.translations.sources import LESSONS, Workshop, figure_name, lesson_name
from service.console.texts import texts

Files = dict[Path, bytes]


def generate(workshop: Workshop, code: str, entries: Sequence[Entry]) -> Files:
    """Return path → content of each generated file.

    The English lessons are sources: only their links to the glossary are generated. The other
    languages are generated whole, with figures and the texts of the panel.

    Args:
        workshop: what to translate.
        code: the language.
        entries: its catalogue; English fills in for what has no usable translation.
    """
    usable = {entry.message.key: entry.usable for entry in entries}
    folder = workshop.lessons_in(code)

    def translation(message: Message) -> str | None:
        return usable.get(message.key)

    files: Files = {}
    terms = workshop.glossary()
    if workshop.terms is not None:
        files[folder / glossary.PAGE] = glossary.page(terms, translation).encode()
    for path in workshop.lessons():
        text, place, name = path.read_bytes().decode(), folder / path.name, lesson_name(path)
        before = place.read_bytes().decode() if place.exists() else None
        linker = glossary.Linker(terms, code)
        lesson = documents.translate_notebook(text, name, translation, before, linker)
        files[place] = lesson.encode()
    if code not in TRANSLATED:
        return files
    if workshop.panel is not None:
        words = texts(lambda text: translation(Message(text)) or text)
        content = json.dumps(words, indent=1, ensure_ascii=False) + "\n"
        files[workshop.panel / f"{code}.json"] = content.encode()
    for path in sorted((workshop.english / "figures").glob("*")):
        figure = path.read_bytes()
        if path.suffix == ".svg":
            name = figure_name(path)
            figure = documents.translate_figure(figure.decode(), name, translation).encode()
        files[folder / "figures" / path.name] = figure
    return files


def write(workshop: Workshop, code: str, files: Files) -> list[str]:
    """Bring a language's folder to `files`; return a line for each file written or removed."""
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
    """Return generated files without an English original; any other file there is the learner's."""
    if code not in TRANSLATED:
        return []
    folder = workshop.lessons_in(code)
    there = [*folder.glob(LESSONS), *(folder / "figures").glob("*")]
    return sorted(path for path in there if path.is_file() and path not in files)


def differences(workshop: Workshop, code: str, files: Files) -> Iterator[str]:
    """Yield how a language's folder differs from `files`."""
    root = workshop.root
    for path, content in files.items():
        if not path.exists():
            yield f"{path.relative_to(root)} is not there"
        elif path.read_bytes() != content:
            yield f"{path.relative_to(root)} is not what would be generated"
    for path in leftovers(workshop, code, files):
        yield f"{path.relative_to(root)} has no English original"


def regrouped_cells(workshop: Workshop, code: str, files: Files) -> Iterator[str]:
    """Yield the cells whose translated blocks, joined, parse as other blocks than the English."""
    folder = workshop.lessons_in(code)
    for path in workshop.lessons() if code in TRANSLATED else []:
        english = documents.read_notebook(path.read_bytes().decode(), path.name)
        other = documents.read_notebook(files[folder / path.name].decode(), path.name)
        for before, after in zip(english["cells"], other["cells"], strict=True):
            if before["cell_type"] == "markdown" and _shape(before) != _shape(after):
                yield f"{lesson_name(path)}/{before['id']}"


def _shape(cell: dict[str, object]) -> list[str]:
    return list(blocks.structure(blocks.PARSER.parse(documents.cell_source(cell))))
