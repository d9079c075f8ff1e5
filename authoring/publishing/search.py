"""The index of the site's search: the sections of rendered pages, for `templates/search.js`.

The index is a script, `CODE/sections.js`, because a page from `file://` cannot fetch data. The
search is a short script, not a library: Pagefind fetches its index, and lunr compares words
between spaces, which Japanese does not have.
"""

import json
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from html.parser import HTMLParser
from urllib.parse import quote

_HEADINGS = ("h1", "h2", "h3")
_INLINE = ("a", "b", "code", "em", "i", "kbd", "mark", "s", "span", "strong", "sub", "sup")
_UNSEEN = ("script", "style")


@dataclass(slots=True)
class Section:
    """What stands under one heading."""

    href: str
    """Its place, relative to the pages of its language."""
    page: str
    """The page's title."""
    heading: str = ""
    text: str = ""


def cut_sections(html: str, href: str, title: str) -> list[Section]:
    """Return the sections of a page, in order.

    Args:
        html: the page's cells, as `rendering.cells` returns them.
        href: the page's address.
        title: the page's title.
    """
    parser = _Parser(href, title)
    parser.feed(html)
    parser.close()
    for section in parser.sections:
        section.heading = " ".join(section.heading.split())
        section.text = " ".join(section.text.split())
    return parser.sections


def write_index(sections: Iterable[Section]) -> str:
    """Return a script that sets `SECTIONS` to a list of [href, page, heading, text]."""
    rows = (json.dumps(astuple(section), ensure_ascii=False) for section in sections)
    return "globalThis.SECTIONS = [\n{}\n];\n".format(",\n".join(rows))


class _Parser(HTMLParser):
    """Collects text under headings; a section's place is the nearest id before its heading."""

    def __init__(self, href: str, title: str) -> None:
        super().__init__()
        self.sections: list[Section] = []
        self._href, self._title, self._id = href, title, ""
        self._heading, self._unseen = False, False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._id = dict(attrs).get("id") or self._id
        self._unseen = tag in _UNSEEN
        if tag in _HEADINGS:
            place = f"{self._href}#{quote(self._id, safe='=')}" if self._id else self._href
            self.sections.append(Section(place, self._title))
            self._heading = True
        elif tag not in _INLINE:
            self.handle_data(" ")

    def handle_endtag(self, tag: str) -> None:
        self._unseen = self._unseen and tag not in _UNSEEN
        if tag in _HEADINGS:
            self._heading = False

    def handle_data(self, data: str) -> None:
        if self._unseen or not self.sections:
            return
        if self._heading:
            self.sections[-1].heading += data
        else:
            self.sections[-1].text += data
