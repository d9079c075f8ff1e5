"""The texts of a figure: what its `<text>`, `<title>` and `<desc>` elements contain."""

import re
from collections.abc import Callable, Iterator
from html import unescape
from xml.sax.saxutils import escape

from authoring.translations.messages import SourceError

ELEMENT = re.compile(
    r"(?P<open><(?P<name>text|title|desc)(?:\s[^>]*)?(?<!/)>)(?P<content>.*?)(?P<end></(?P=name)\s*>)",
    re.S,
)
OUT_OF_SIGHT = re.compile(r"<!--.*?-->|<style\b.*?</style\s*>", re.S)


def messages(svg: str, name: str) -> list[tuple[str, str]]:
    """Place (`text/3`) and text of each element with words, without the white space around it.

    Args:
        svg: the file's content.
        name: the file's, for errors.

    Raises:
        SourceError: an element has others within, so that its text is no single line.
    """
    found = []
    for number, element in enumerate(_elements(svg)):
        if "<" in (content := element["content"]):
            raise SourceError(f"{name}: <{element['name']}> must hold text alone: {content!r}")
        text = unescape(content).strip()
        if any(character.isalpha() for character in text):
            found.append((f"{element['name']}/{number}", text))
    return found


def translate(svg: str, translation: Callable[[str, str], str | None]) -> str:
    """`svg` with each text replaced by what `translation(place, text)` says, if anything."""
    parts = []
    done = 0
    for number, element in enumerate(_elements(svg)):
        content = element["content"]
        text = unescape(content).strip()
        new = translation(f"{element['name']}/{number}", text)
        if new is not None and new != text:
            before, after = content[: _lead(content)], content[len(content.rstrip()) :]
            parts += [svg[done : element.start("content")], before, escape(new), after]
            done = element.end("content")
    return "".join([*parts, svg[done:]])


def _lead(content: str) -> int:
    return len(content) - len(content.lstrip())


def _elements(svg: str) -> Iterator[re.Match[str]]:
    hidden = [found.span() for found in OUT_OF_SIGHT.finditer(svg)]
    for element in ELEMENT.finditer(svg):
        if not any(start <= element.start() < end for start, end in hidden):
            yield element
