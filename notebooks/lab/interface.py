"""Completes JupyterLab's own interface where its language pack has gaps; a server extension.

The Indonesian pack translates a third of JupyterLab, without its menus. `interface_id.json` adds
what a learner meets in the lessons, in the form that JupyterLab's packs have: a context and U+0004
where there is one, the English text; the translation, and an empty plural where it is counted.
"""

import json
from pathlib import Path
from typing import Any

from jupyterlab_server import translations_handler

ADDED = {"id_ID": Path(__file__).with_name("interface_id.json")}
DOMAIN = "jupyterlab"


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(_server: object) -> None:
    """Put our strings into the answer of JupyterLab's translations handler."""
    handlers: Any = translations_handler
    packaged = handlers.get_language_pack

    def completed(locale: str) -> tuple[dict[str, Any], str]:
        data, message = packaged(locale)
        if locale in ADDED and DOMAIN in data:
            data[DOMAIN] = {**data[DOMAIN], **added(locale)}
        return data, message

    handlers.get_language_pack = completed


def added(locale: str) -> dict[str, list[str]]:
    """Our strings of a locale."""
    texts: dict[str, list[str]] = json.loads(ADDED[locale].read_text(encoding="utf-8"))
    return texts
