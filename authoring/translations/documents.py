"""Read the texts of notebooks and figures, and replace them; all other bytes are copied."""

import json
import re
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any
from xml.sax.saxutils import escape

from authoring.translations import blocks
from authoring.translations.glossary import Linker, unlink
from authoring.translations.messages import Message, SourceError

Translation = Callable[[Message], str | None]
"""Message → its translation; None keeps the English."""
NOTES = "speaker_notes"
SVG_TEXT = re.compile(
    r"(?P<open><(?P<name>text|title|desc)(?:\s[^>]*)?(?<!/)>)(?P<content>.*?)(?P<end></(?P=name)\s*>)",
    re.S,
)
SVG_HIDDEN = re.compile(r"<!--.*?-->|<style\b.*?</style\s*>", re.S)


def read_notebook(text: str, name: str) -> dict[str, Any]:
    """Parse the JSON of a notebook; leave out its links to terms of the glossary.

    Those links are put in when lessons are generated. They are no part of any message.

    Raises:
        SourceError: it is not a notebook, a cell has no id, or two cells have the same id.
    """
    try:
        notebook = json.loads(text)
        ids = [cell["id"] for cell in notebook["cells"]]
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{name} is not a notebook whose cells have ids: {error}") from None
    if len(set(ids)) < len(ids):
        raise SourceError(f"{name}: two cells have the same id")
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            _set_source(cell, unlink(cell_source(cell)))
    return dict(notebook)


def cell_source(cell: dict[str, Any]) -> str:
    """Return a cell's source as one string."""
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def _set_source(cell: dict[str, Any], source: str) -> None:
    one = isinstance(cell["source"], str)
    cell["source"] = source if one else source.splitlines(keepends=True)


def notebook_messages(notebook: dict[str, Any], name: str) -> Iterator[Message]:
    """Yield the Markdown blocks and speaker notes; name: `notebooks/NAME.ipynb`."""
    for cell in notebook["cells"]:
        place = f"{name}/{cell['id']}"
        if cell["cell_type"] == "markdown":
            for number, text in blocks.messages(cell_source(cell)):
                yield Message(text, f"{place}/{number}")
        if notes := cell["metadata"].get(NOTES):
            yield Message(notes, f"{place}/notes")


def translate_notebook(
    text: str,
    name: str,
    translation: Translation,
    before: str | None = None,
    linker: Linker | None = None,
) -> str:
    """Return the notebook in `text` with its messages translated.

    Code cells are the same in all languages; what they print is not. So a code cell has the
    outputs that it has in `before`, if it ran there with the same source; otherwise it has none.

    Args:
        text: the English notebook.
        name: what the contexts of its messages begin with.
        translation: gives the translation of a message.
        before: the translated notebook as it was; without a readable one, outputs are left out.
        linker: links the terms of the glossary; None leaves the text without such links.
    """
    notebook = read_notebook(text, name)
    try:
        outputs = _outputs(read_notebook(before or "", name))
    except SourceError:
        outputs = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            ran = outputs.get((cell["id"], cell["metadata"].pop("executed", None)))
            cell["outputs"], cell["execution_count"] = ([], None) if ran is None else ran[1:]
            if ran is not None:
                cell["metadata"] = dict(sorted({**cell["metadata"], "executed": ran[0]}.items()))
        place = f"{name}/{cell['id']}"
        if cell["cell_type"] == "markdown":

            def block(number: int, text: str, place: str = place) -> str | None:
                new = translation(Message(text, f"{place}/{number}"))
                return linker.link(text, new) if linker else new

            _set_source(cell, blocks.translate(cell_source(cell), block))
        if notes := cell["metadata"].get(NOTES):
            new = translation(Message(notes, f"{place}/notes"))
            cell["metadata"][NOTES] = notes if new is None else new
    end = "\n" if text.endswith("\n") else ""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + end


def _outputs(notebook: dict[str, Any]) -> dict[tuple[str, str], tuple[str, Any, Any]]:
    """Return (id, digest of the source) of each cell that ran → that digest, outputs, count."""
    return {
        (cell["id"], ran): (ran, cell["outputs"], cell["execution_count"])
        for cell in notebook["cells"]
        if cell["cell_type"] == "code" and (ran := cell["metadata"].get("executed"))
    }


def figure_messages(svg: str, name: str) -> list[Message]:
    """Return the texts of `<text>`, `<title>` and `<desc>`, without the white space around them.

    Args:
        svg: the file's content.
        name: what the contexts begin with: `notebooks/figures/NAME.svg`.

    Raises:
        SourceError: an element contains other elements, so its text is not a single line.
    """
    found = []
    for number, element in enumerate(_svg_texts(svg)):
        if "<" in (content := element["content"]):
            raise SourceError(f"{name}: <{element['name']}> must hold text alone: {content!r}")
        text = unescape(content).strip()
        if any(character.isalpha() for character in text):
            found.append(Message(text, f"{name}/{element['name']}/{number}"))
    return found


def translate_figure(svg: str, name: str, translation: Translation) -> str:
    """Return `svg` with its messages translated."""
    parts = []
    done = 0
    for number, element in enumerate(_svg_texts(svg)):
        content = element["content"]
        text = unescape(content).strip()
        new = translation(Message(text, f"{name}/{element['name']}/{number}"))
        if new is not None and new != text:
            before = content[: len(content) - len(content.lstrip())]
            after = content[len(content.rstrip()) :]
            parts += [svg[done : element.start("content")], before, escape(new), after]
            done = element.end("content")
    return "".join([*parts, svg[done:]])


def _svg_texts(svg: str) -> Iterator[re.Match[str]]:
    hidden = [match.span() for match in SVG_HIDDEN.finditer(svg)]
    for element in SVG_TEXT.finditer(svg):
        if not any(start <= element.start() < end for start, end in hidden):
            yield element
