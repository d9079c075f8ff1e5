"""Read built pages: their ids, links, pictures, and what they load."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """One HTML file."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.alts: list[str | None] = []
        self.language = ""
        self.texts: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    @property
    def text(self) -> str:
        """All its text, with single spaces."""
        return re.sub(r"\s+", " ", " ".join(self.texts))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if found := given.get("id"):
            self.ids.append(found)
        if tag == "html":
            self.language = given.get("lang") or ""
        if tag == "img":
            self.alts.append(given.get("alt"))
        if (href := given.get("href")) is not None:
            followed = tag != "link" or given.get("rel") == "alternate"
            (self.links if followed else self.loaded).append(href)
        self.loaded += [str(given[name]) for name in ("src", "data", "poster") if given.get(name)]
        self.loaded += re.findall(r"url\(([^)]*)\)", given.get("style") or "")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.lasttag in ("style", "script"):
            self.loaded += re.findall(r"url\(([^)]*)\)", data)
            self.loaded += re.findall(r"(?:import|from)\s+['\"](http[^'\"]+)", data)


def read(folder: Path) -> dict[Path, Page]:
    """Read all pages of a folder."""
    return {path.resolve(): Page(path) for path in sorted(folder.rglob("*.html"))}


def broken(pages: dict[Path, Page]) -> Iterator[str]:
    """Yield broken links, resources that are not in the folder, and duplicate ids."""
    for path, page in pages.items():
        for name in {one for one in page.ids if page.ids.count(one) > 1}:
            yield f"{path}: two elements have the id {name}"
        for link in page.links:
            if urlsplit(link).scheme in ("http", "https", "mailto"):
                continue  # somewhere to go, not something that is loaded
            name, _hash, place = link.partition("#")
            target = (path.parent / unquote(name)).resolve() if name else path
            if not target.is_file():
                yield f"{path}: {link} leads nowhere"
            elif place and unquote(place) not in pages[target].ids:
                yield f"{path}: {link}: there is no such place"
        for address in page.loaded:
            if not address.startswith("data:") and (
                urlsplit(address).scheme or not (path.parent / unquote(address)).is_file()
            ):
                yield f"{path}: loads {address}"
