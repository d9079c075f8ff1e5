"""Cuts a lesson into slides: a notebook of which every cell fits on one slide.

Sizes are estimated from lines and characters, and a picture takes the room that text leaves; the
tests measure in a browser that nothing overflows.
"""

import base64
import copy
import itertools
import math
import re
import unicodedata
from io import BytesIO
from typing import Any

import nbformat.v4 as v4
from markdown_it import MarkdownIt
from PIL import Image

from authoring.publishing.rendering import readable
from learner.language import _
from notebooks.lab.lessons import Lesson, heading

LEFT_OUT = {"setup", "next", "panel-import", "panel"}
"""Cells that nobody needs to see on a wall, and the panel, which is to be shown live."""
WIDTH, HEIGHT = 1100, 535
"""Pixels for code and text on a slide of 1280 × 720."""
LINE, PER_LINE = 46, 76
"""Prose: the height of a line, and its Latin characters (a Japanese one takes two)."""
MOST_CODE, SMALLEST_CODE = 26, 16
_SMALL_CODE = 17
SMALLEST_PICTURE = 240
_LINES_OF_TEXT = 21
_PER_PRINTED_LINE = 84
_STILL_WELL_SEEN = 0.8
_PICTURE = re.compile(r"data:image/\w+;base64,([A-Za-z0-9+/=]+)")
_ASKS = re.compile(r"ask\w*\(")
_ITEM = re.compile(r"[-*+] |\d+[.)] ")
_PREDICTS = re.compile(r"predict\(")
_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)")


def cut(lesson: Lesson, minutes: str) -> Any:
    """The lesson as a notebook with one cell a slide; what the template needs is in `slide`.

    Args:
        lesson: as it was run, or stored.
        minutes: its duration in words.
    """
    slides: list[Any] = []
    section = ""
    cells = lesson.notebook.cells
    for place, cell in enumerate(cells):
        if cell.id in LEFT_OUT:
            continue
        if cell.id == "title":
            slides.append(_markdown(cell, f"# {lesson.title}\n\n{minutes}", "title", ""))
            continue
        if "minutes" in cell.metadata or cell.id == "recap":
            section = ""
        if cell.cell_type == "markdown":
            predicted = any(_PREDICTS.match(after.source) for after in cells[place + 1 : place + 2])
            slides += _prose(cell, section, predicted)
        elif cell.cell_type == "code":
            slides = _joined(slides, _code(cell, section))
        section = section or heading(cell.source if cell.cell_type == "markdown" else "")
    slides = _explained(slides)
    seen: dict[str, int] = {}
    for slide in slides:
        seen[slide.id] = seen.get(slide.id, 0) + 1
        if seen[slide.id] > 1:
            slide.id = f"{slide.id}-{seen[slide.id]}"
    return v4.new_notebook(cells=slides)  # type: ignore[no-untyped-call]


def _markdown(cell: Any, source: str, kind: str, kicker: str, notes: bool = True) -> Any:
    said = cell.metadata.get("speaker_notes", "") if notes else ""
    slide = {"kind": kind, "kicker": kicker, "notes": said}
    return v4.new_markdown_cell(source, id=cell.id, metadata={"slide": slide})  # type: ignore[no-untyped-call]


def _prose(cell: Any, section: str, predicted: bool) -> list[Any]:
    """Top-level blocks, as many on a slide as fit; a heading begins a new one.

    Before a prediction, what comes after a picture is its question, and begins a new one too.
    """
    pages: list[list[str]] = []
    room = 0.0
    for block in _blocks(cell.source):
        height = _height(block)
        asks = predicted and bool(pages) and _IMAGE.fullmatch(pages[-1][-1])
        if not pages or block.startswith("#") or height > room or asks:
            pages.append([])
            room = HEIGHT
        pages[-1].append(block)
        room -= height
    slides = []
    kicker = section
    for number, page in enumerate(pages):
        slide = _markdown(cell, _together(page), "prose", kicker, notes=number == 0)
        if not any(block.startswith(("#", "![", "|")) for block in page):
            slide.metadata["slide"]["height"] = sum(_height(block) for block in page)
        slides.append(slide)
        kicker = kicker or heading(page[0])
    return slides


def _joined(slides: list[Any], new: list[Any]) -> list[Any]:
    """A little text goes onto the slide of the code that it leads to, if there is room."""
    height = slides[-1].metadata["slide"].get("height") if slides else None
    if height is None or not new or new[0].metadata["slide"]["kind"] == "question":
        return slides + new
    shown = new[0].metadata["slide"]
    size = _size(shown["text"], HEIGHT - height - shown["pictures"] * SMALLEST_PICTURE)
    if size < min(_SMALL_CODE, shown["size"]):
        return slides + new
    text = slides[-1]
    notes = "\n\n".join(filter(None, (text.metadata["slide"]["notes"], shown["notes"])))
    place = _place(text, slides[:-1])
    shown |= {"lead": text.source, "lead_id": place, "size": size, "notes": notes}
    return slides[:-1] + new


def _explained(slides: list[Any]) -> list[Any]:
    """What a picture means goes below it, if that is little."""
    kept: list[Any] = []
    for slide in slides:
        height = slide.metadata["slide"].get("height", math.inf)
        before = kept[-1].metadata["slide"] if kept else {}
        if before.get("kind") == "output" and "tail" not in before and _leaves(kept[-1], height):
            before |= {"tail": slide.source, "tail_id": _place(slide, kept)}
            before["notes"] = before["notes"] or slide.metadata["slide"]["notes"]
        else:
            kept.append(slide)
    return kept


def _leaves(slide: Any, height: float) -> bool:
    """Whether an output is still as well seen when that much of its slide is taken away."""
    shown = slide.metadata["slide"]
    room = HEIGHT - height
    if not shown["pictures"]:
        return len(shown["text"].splitlines()) * MOST_CODE * 1.4 < room
    picture = _PICTURE.search(str(slide.outputs[0].get("data", {}).get("text/html", "")))
    if picture is None:
        return False
    width, tall = Image.open(BytesIO(base64.b64decode(picture.group(1)))).size
    alone, beside = (min(1, space * width / tall / WIDTH) for space in (HEIGHT, room))
    return room > SMALLEST_PICTURE / 2 and beside > _STILL_WELL_SEEN * alone


def _place(slide: Any, others: list[Any]) -> str:
    """The id of a slide that becomes part of another; empty if one of `others` bears it."""
    return "" if any(other.id == slide.id for other in others) else slide.id


def _blocks(source: str) -> list[str]:
    """Headings, paragraphs, pictures, items of lists, each as its own piece of Markdown."""
    lines = source.splitlines()
    parsed = MarkdownIt().enable("table").parse(source)
    pieces = [
        token
        for token in parsed
        if (token.level == 1 and token.type == "list_item_open")
        or (token.level == 0 and not token.type.endswith("list_open"))
    ]
    places = [token.map for token in pieces if token.map]
    blocks: list[str] = []
    for begin, end in places:
        block = "\n".join(lines[begin:end]).strip()
        # A picture that stands in a paragraph with text gets a paragraph of its own.
        blocks += [part for part in re.split(r"\n*(!\[[^\]]*\]\([^)]*\))\n*", block) if part]
    return blocks


def _together(blocks: list[str]) -> str:
    """The blocks as Markdown again; items that follow each other are one list."""
    text = blocks[0]
    for before, block in itertools.pairwise(blocks):
        text += "\n" if _ITEM.match(before) and _ITEM.match(block) else "\n\n"
        text += block
    return text


def _height(block: str) -> float:
    if _IMAGE.fullmatch(block.strip()):
        return SMALLEST_PICTURE
    if block.startswith("#"):
        return 80
    space = 10 if _ITEM.match(block) else 18
    return space + LINE * sum(
        math.ceil(_cells(line) / PER_LINE) or 1 for line in block.splitlines()
    )


def _cells(line: str) -> int:
    """The width of a line in Latin characters."""
    plain = re.sub(r"(?<=\])\([^)]*\)|[*`]", "", line)
    return sum(1 + (unicodedata.east_asian_width(char) in "WF") for char in plain)


def _code(cell: Any, section: str) -> list[Any]:
    """A prediction or a question alone; otherwise code, then its outputs, together if they fit."""
    shown = readable(copy.deepcopy(cell))
    if _ASKS.match(cell.source):
        asked = [one for one in shown.outputs if "workshop-question" in str(one.get("data"))]
        return [_slide(cell, "question", section, [one], code=False) for one in asked]
    if _PREDICTS.match(cell.source):
        return [_slide(cell, "predict", section, [], heading=_("What do you expect?"))]
    outputs = [part for output in shown.outputs for part in _parts(output)]
    lines = cell.source.count("\n") + 1
    if len(outputs) == 1 and lines + _lines(outputs[0]) <= 16:
        return [_slide(cell, "code", section, outputs)]
    alone = [_slide(cell, "output", section, [output], code=False) for output in outputs]
    return [_slide(cell, "code", section, []), *alone]


def _slide(
    cell: Any, kind: str, kicker: str, outputs: list[Any], code: bool = True, heading: str = ""
) -> Any:
    texts = [cell.source] if code else []
    texts += [_wrapped(str(_text(output))) for output in outputs if _text(output)]
    text = "\n".join(texts)
    pictures = sum(_text(output) is None for output in outputs)
    slide = {
        "kind": kind,
        "kicker": kicker,
        "heading": heading,
        "notes": cell.metadata.get("speaker_notes", "") if code or kind == "question" else "",
        "code": code,
        "text": text,
        "pictures": pictures,
        "size": _size(text, HEIGHT - pictures * SMALLEST_PICTURE),
    }
    return v4.new_code_cell(  # type: ignore[no-untyped-call]
        cell.source, id=cell.id, outputs=outputs, metadata={"slide": slide}
    )


def _wrapped(text: str) -> str:
    """Printed lines as they are broken at the width of a slide."""
    broken = []
    for line in text.splitlines():
        most = _PER_PRINTED_LINE * len(line) // max(_cells(line), 1)
        broken += [line[at : at + most] for at in range(0, len(line), max(most, 1))] or [""]
    return "\n".join(broken)


def _size(text: str, height: float) -> float:
    """The font size in pixels with which code or printed text fits."""
    lines = text.splitlines() or [""]
    longest = max(_cells(line) for line in lines)
    by_height = (height - 40) / ((len(lines) + 1) * 1.4)
    by_width = WIDTH / (max(longest, 1) * 0.61)
    return round(min(MOST_CODE, by_height, max(by_width, SMALLEST_CODE)), 1)


def _text(output: Any) -> str | None:
    """What is printed by an output, or listed by it; None if it is a picture or a page."""
    if output.output_type == "stream":
        return str(output.text)
    data = output.get("data", {})
    pictured = "image/png" in data or not data.get("text/html", "<pre").startswith("<pre")
    return None if pictured else str(data.get("text/plain", ""))


def _lines(output: Any) -> int:
    """The height of an output in lines of code."""
    text = _text(output)
    return 9 if text is None else _wrapped(text).count("\n") + 1


def _parts(output: Any) -> list[Any]:
    """A long printed or listed output as several, each of which fits on a slide."""
    text = _text(output)
    if text is None:
        return [output]
    total = text.rstrip("\n").count("\n") + 1
    most = math.ceil(total / math.ceil(total / _LINES_OF_TEXT))
    parts = []
    for begin in range(0, total, most):
        part = copy.deepcopy(output)
        if output.output_type == "stream":
            part.text = _piece(text, begin, most)
        else:
            part.data = {
                kind: _piece(str(whole), begin, most) for kind, whole in output.data.items()
            }
        parts.append(part)
    return parts


def _piece(text: str, first: int, count: int) -> str:
    """The lines of one slide; of a listing in HTML, too, whose lines are whole each."""
    begin, inside, end = re.fullmatch(r"(<pre[^>]*>)?(.*?)(</pre>)?\s*", text, re.DOTALL).groups()  # type: ignore[union-attr]
    lines = inside.split("\n")[first : first + count]
    return (begin or "") + "\n".join(lines) + (end or "")
