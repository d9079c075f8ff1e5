"""Collects every message of the workshop, in the order in which a translator meets them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tokenize import TokenError
from typing import Any

from babel.messages.extract import extract
from babel.messages.frontend import parse_keywords
from IPython.core.inputtransformer2 import TransformerManager

from authoring.translations import figures, glossary, notebooks
from authoring.translations.messages import Message, SourceError, unique
from learner.language import CATALOGUES
from learner.paths import ROOT

# Against the direction of other imports (quizzes stand on learner): nothing that a learner runs
# imports this package.
from quizzes.questions import messages as quiz_messages
from service.console.texts import TRANSLATIONS

KEYWORDS = parse_keywords(["_", "tr", "pgettext:1c,2"])
LESSONS = "[0-9][0-9]_*.ipynb"
"""Of `notebooks/en`; a notebook that a learner adds there is theirs."""
PYTHON = ("authoring", "learner", "notebooks", "quizzes", "challenges", "service")
JAVASCRIPT = ("notebooks/panel", "quizzes", "service")


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where messages come from, and where translations lie."""

    english: Path
    """The folder of the English lessons; those in other languages lie beside it."""
    catalogues: Path
    code: Sequence[Path] = ()
    quiz: bool = False
    terms: Path | None = None
    panel: Path | None = None
    """Where the service's console finds the texts of the panel, a JSON file a language."""

    @classmethod
    def of_repository(cls) -> "Workshop":
        """The workshop that this file belongs to."""
        code = [path for folder in PYTHON for path in sorted((ROOT / folder).rglob("*.py"))]
        code += [path for folder in JAVASCRIPT for path in sorted((ROOT / folder).rglob("*.js"))]
        english = ROOT / "notebooks" / "en"
        return cls(english, CATALOGUES, code, True, glossary.FILE, TRANSLATIONS)

    @property
    def root(self) -> Path:
        """What the names of its files are relative to."""
        return self.english.parent.parent

    def lessons(self) -> list[Path]:
        """The English lessons."""
        return sorted(self.english.glob(LESSONS))

    def drawings(self) -> list[Path]:
        """The English figures."""
        return sorted((self.english / "figures").glob("*.svg"))

    def lessons_in(self, code: str) -> Path:
        """The folder of the lessons in a language."""
        return self.english.with_name(code)

    def glossary(self) -> list[glossary.Term]:
        """Its terms."""
        return [] if self.terms is None else glossary.load(self.terms)


def collect(workshop: Workshop) -> list[Message]:
    """All messages, each key once.

    Raises:
        SourceError: a source cannot be read; the message names it.
    """
    found: list[Message] = []
    for path in workshop.lessons():
        found += of_lesson(path.read_bytes().decode(), lesson_name(path))
    for path in workshop.drawings():
        found += of_figure(path.read_bytes().decode(), figure_name(path))
    if workshop.quiz:
        found += [Message(text, context) for context, text in quiz_messages() if _has_letter(text)]
    for path in workshop.code:
        method = "python" if path.suffix == ".py" else "javascript"
        name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
        found += of_code(path.read_text(encoding="utf-8"), name, method)
    if workshop.terms is not None:
        found += glossary.messages(workshop.glossary())
    return unique(found)


def lesson_name(path: Path) -> str:
    """What the contexts of a lesson begin with; the same for all languages."""
    return f"notebooks/{path.name}"


def figure_name(path: Path) -> str:
    """What the contexts of a figure begin with."""
    return f"notebooks/figures/{path.name}"


def of_lesson(text: str, name: str) -> Iterator[Message]:
    """Blocks and notes of a notebook, then the strings in its code cells."""
    notebook = notebooks.read(text, name)
    yield from notebooks.messages(notebook, name)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            # Turns `%magic` and `!command` into Python; leaves all else alone.
            manager = TransformerManager()  # type: ignore[no-untyped-call]
            source = manager.transform_cell(notebooks.source_of(cell))
            yield from of_code(source, f"{name}/{cell['id']}", "python")


def of_figure(svg: str, name: str) -> Iterator[Message]:
    """The texts of an SVG file."""
    for place, text in figures.messages(svg, name):
        yield Message(text, f"{name}/{place}")


def of_code(source: str, name: str, method: str) -> Iterator[Message]:
    """The strings in calls of `_`, `tr` and `pgettext`; method: `python` or `javascript`.

    Raises:
        SourceError: the source is not of that language.
    """
    file = BytesIO(source.encode())
    try:
        found: Iterable[Any] = list(extract(method, file, KEYWORDS, options={"encoding": "utf-8"}))
    except (SyntaxError, TokenError, ValueError) as error:
        raise SourceError(f"{name} cannot be read as {method}: {error}") from None
    for _line, text, _comments, context in found:
        if not isinstance(text, str):
            raise SourceError(f"{name}: plural forms are not supported: {text!r}")
        if _has_letter(text):
            yield Message(text, context, (name,))


def _has_letter(text: str) -> bool:
    return any(character.isalpha() for character in text)
