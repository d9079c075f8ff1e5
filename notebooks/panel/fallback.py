"""Where no kernel is: a recorded real run, as one piece of HTML that needs nothing from outside.

It stands in the notebook beside the live widget. Where its script may run it is a panel that plays
the recording; where not (a sanitised page), it is a transcript.
"""

import functools
import html
import json
from pathlib import Path
from typing import Any

from learner.language import _, language
from notebooks.panel.photos import samples
from notebooks.panel.services import view_sources
from service.console.component import script, style
from service.console.texts import texts

RECORDING = Path(__file__).with_name("recording.json")
_HOME = Path(__file__).with_name("front") / "recording.js"


def plain_text() -> str:
    """What stands for the panel where there is only text: always the same."""
    return "<deployment panel>"


def fallback_page() -> str:
    """The recording as HTML, in the learner's language."""
    return _page(language())


@functools.cache
def _page(code: str) -> str:
    recording = json.loads(RECORDING.read_text(encoding="utf-8"))
    words = texts(_)
    banner = {"key": "recording", "values": {"date": recording["date"]}}
    values = {
        "texts": words,
        "language": code,
        "sources": view_sources(),
        "samples": samples(),
        "recording": recording,
        "banner": banner,
    }
    data = json.dumps(values, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    # `currentScript`: where a page runs this script, it stands inside its own element.
    play = (
        "const page = document.currentScript?.closest('.workshop-recording')\n"
        "  ?? document.querySelector('.workshop-recording:not([data-played])');\n"
        f"page.dataset.played = '';\nplayRecording(page, {data});\n"
    )
    source = script(_HOME.read_text(encoding="utf-8"), play)
    return (
        f'<div class="workshop-recording" lang="{code}">\n'
        f"<style>\n{style()}</style>\n"
        f"{_transcript(recording, words)}\n"
        f"<script>\n(() => {{\n{source}}})();\n</script>\n</div>"
    )


def _transcript(recording: dict[str, Any], words: dict[str, str]) -> str:
    """What the run said, as text."""
    banner = words["recording"].format(date=recording["date"])
    parts = [f"<p>{html.escape(banner)}</p>"]
    lines: list[str] = []
    said = None
    for _at, name, value in recording["events"]:
        if name == "lines":
            lines += [_words(line, words) for line in value if line["kind"] != "request"]
        elif name == "flow" and value["sentence"] != said:
            said = value["sentence"]
            if said["kind"]:  # a verdict
                shown = html.escape("\n".join(lines))
                verdict = html.escape(words[said["key"]].format(**said["values"]))
                parts.append(f"<pre>{shown}</pre>\n<p>{verdict}</p>")
                lines.clear()
    return '<div class="workshop-transcript">\n' + "\n".join(parts) + "\n</div>"


def _words(line: dict[str, Any], words: dict[str, str]) -> str:
    if "key" in line:
        return "# " + words[line["key"]].format(**line["values"])
    return str(line["text"])
