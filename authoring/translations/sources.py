"""Collect all messages of the workshop, in the order in which a translator meets them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tokenize import TokenError
from typing import Any

from babel.messages.extract import extract
from babel.messages.frontend import parse_keywords
from IPython.core.inputtransformer2 import TransformerManager

from authoring.translations import documents, glossary, style
from authoring.translations.messages import Message, SourceError, merge_equal
from learner.language import CATALOGUES
from learner.paths import ROOT
from quizzes.questions import messages as quiz_messages
from service.console.texts import TRANSLATIONS

KEYWORDS = parse_keywords(["_", "tr", "pgettext:1c,2"])
LESSONS = "[0-9][0-9]_*.ipynb"
"""The lessons in `notebooks/en`; a learner may add notebooks with other names."""
PYTHON = ("authoring", "learner", "notebooks", "quizzes", "challenges", "service")
JAVASCRIPT = ("notebooks/panel", "quizzes", "service")


@dataclass(frozen=True, slots=True)
class Workshop:
    """The sources of messages, and the places of their translations."""

    english: Path
    """The folder of the English lessons, beside those of the other languages."""
    catalogues: Path
    code: Sequence[Path] = ()
    quiz: bool = False
    terms: Path | None = None
    panel: Path | None = None
    """The folder of the panel's texts, a JSON file per language, which the service reads."""

    @classmethod
    def of_repository(cls) -> "Workshop":
        """Return the workshop that this file belongs to."""
        code = [path for folder in PYTHON for path in sorted((ROOT / folder).rglob("*.py"))]
        code += [path for folder in JAVASCRIPT for path in sorted((ROOT / folder).rglob("*.js"))]
        english = ROOT / "notebooks" / "en"
        return cls(english, CATALOGUES, code, True, glossary.FILE, TRANSLATIONS)

    @property
    def root(self) -> Path:
        """The folder that file names are relative to."""
        return self.english.parent.parent

    def lessons(self) -> list[Path]:
        """Return the English lessons."""
        return sorted(self.english.glob(LESSONS))

    def figures(self) -> list[Path]:
        """Return the English figures."""
        return sorted((self.english / "figures").glob("*.svg"))

    def lessons_in(self, code: str) -> Path:
        """Return the folder of the lessons in a language."""
        return self.english.with_name(code)

    def glossary(self) -> list[glossary.Term]:
        """Return its terms."""
        return [] if self.terms is None else glossary.load(self.terms)

    def style(self, code: str) -> list[style.Rule]:
        """Return the style rules of a language, if there are any beside the catalogues."""
        path = self.catalogues / style.FILE.name
        return style.load(path).get(code, []) if path.exists() else []


def collect(workshop: Workshop) -> list[Message]:
    """Return all messages, each key once.

    Raises:
        SourceError: a source cannot be read; the text says which one.
    """
    collected: list[Message] = []
    for path in workshop.lessons():
        collected += lesson_messages(path.read_bytes().decode(), lesson_name(path))
    for path in workshop.figures():
        collected += documents.figure_messages(path.read_bytes().decode(), figure_name(path))
    if workshop.quiz:
        collected += [
            Message(text, context) for context, text in quiz_messages() if _has_letter(text)
        ]
    for path in workshop.code:
        method = "python" if path.suffix == ".py" else "javascript"
        name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
        collected += code_messages(path.read_text(encoding="utf-8"), name, method)
    if workshop.terms is not None:
        collected += glossary.messages(workshop.glossary())
    return merge_equal(collected)


def lesson_name(path: Path) -> str:
    """Return the beginning of a lesson's contexts, the same in all languages."""
    return f"notebooks/{path.name}"


def figure_name(path: Path) -> str:
    """Return the beginning of a figure's contexts."""
    return f"notebooks/figures/{path.name}"


def lesson_messages(text: str, name: str) -> Iterator[Message]:
    """Yield the blocks and notes of a notebook, then the strings in its code cells."""
    notebook = documents.read_notebook(text, name)
    yield from documents.notebook_messages(notebook, name)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            # Turn `%magic` and `!command` into Python.
            manager = TransformerManager()  # type: ignore[no-untyped-call]
            source = manager.transform_cell(documents.cell_source(cell))
            yield from code_messages(source, f"{name}/{cell['id']}", "python")


def code_messages(source: str, name: str, method: str) -> Iterator[Message]:
    """Yield the strings in calls of `_`, `tr` and `pgettext`; method: `python` or `javascript`.

    Raises:
        SourceError: the source cannot be parsed as that language.
    """
    file = BytesIO(source.encode())
    try:
        calls: Iterable[Any] = list(extract(method, file, KEYWORDS, options={"encoding": "utf-8"}))
    except (SyntaxError, TokenError, ValueError) as error:
        raise SourceError(f"{name} cannot be read as {method}: {error}") from None
    for _line, text, _comments, context in calls:
        if not isinstance(text, str):
            raise SourceError(f"{name}: plural forms are not supported: {text!r}")
        if _has_letter(text):
            yield Message(text, context, (name,))


def _has_letter(text: str) -> bool:
    return any(character.isalpha() for character in text)
