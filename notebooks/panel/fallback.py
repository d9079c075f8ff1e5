"""The panel where no kernel runs: a recorded run as one piece of HTML without external files.

It is stored in the notebook next to the live widget. Where its script may run, it is a panel that
plays the recording; elsewhere (on a sanitised page) it is a transcript.
"""

import functools
import html
import json
from pathlib import Path
from typing import Any

from learner.language import _, language
from notebooks.panel.services import samples, view_sources
from service.console.component import script, style
from service.console.texts import texts

RECORDING = Path(__file__).with_name("recording.json")
_PLAYER = Path(__file__).with_name("front") / "recording.js"


def plain_text() -> str:
    """Return what replaces the panel where only text is shown."""
    return "<deployment panel>"


def fallback_page() -> str:
    """Return the recording as HTML, in the learner's language."""
    return _build_page(language())


@functools.cache
def _build_page(code: str) -> str:
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
    # A script that runs in place is inside its own element; otherwise the first unplayed one is
    # taken.
    play = (
        "const page = document.currentScript?.closest('.workshop-recording')\n"
        "  ?? document.querySelector('.workshop-recording:not([data-played])');\n"
        f"page.dataset.played = '';\nplayRecording(page, {data});\n"
    )
    source = script(_PLAYER.read_text(encoding="utf-8"), play)
    return (
        f'<div class="workshop-recording" lang="{code}">\n'
        f"<style>\n{style()}</style>\n"
        f"{_build_transcript(recording, words)}\n"
        f"<script>\n(() => {{\n{source}}})();\n</script>\n</div>"
    )


def _build_transcript(recording: dict[str, Any], words: dict[str, str]) -> str:
    """Return the output and the results of the run as HTML without a script."""
    banner = words["recording"].format(date=recording["date"])
    parts = [f"<p>{html.escape(banner)}</p>"]
    lines: list[str] = []
    last = None
    for _at, name, value in recording["events"]:
        if name == "lines":
            lines += [_format_line(line, words) for line in value if line["kind"] != "request"]
        elif name == "flow" and value["sentence"] != last:
            last = value["sentence"]
            if last["kind"]:  # a result
                shown = html.escape("\n".join(lines))
                verdict = html.escape(words[last["key"]].format(**last["values"]))
                parts.append(f"<pre>{shown}</pre>\n<p>{verdict}</p>")
                lines.clear()
    return '<div class="workshop-transcript">\n' + "\n".join(parts) + "\n</div>"


def _format_line(line: dict[str, Any], words: dict[str, str]) -> str:
    if "key" in line:
        return "# " + words[line["key"]].format(**line["values"])
    return str(line["text"])
